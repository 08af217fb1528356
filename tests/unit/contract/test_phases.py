import pytest

from repack_contract.phases import FINAL_PHASES, TRANSITIONS, ImpossibleTransitionError, Phase, check_transition


def test_every_phase_has_its_row_in_the_transition_table():
    assert set(TRANSITIONS) == {None, *Phase}


@pytest.mark.parametrize("phase", sorted(FINAL_PHASES))
def test_nothing_follows_a_final_phase(phase: Phase):
    assert not TRANSITIONS[phase]


def test_every_phase_can_be_reached_from_a_new_task():
    reached: set[Phase] = set()
    frontier = set(TRANSITIONS[None])
    while frontier:
        reached |= frontier
        frontier = {after for phase in frontier for after in TRANSITIONS[phase]} - reached
    assert reached == set(Phase)


def test_every_unfinished_phase_can_end():
    for phase in set(Phase) - FINAL_PHASES:
        seen, frontier = {phase}, {phase}
        while frontier:
            frontier = {after for before in frontier for after in TRANSITIONS[before]} - seen
            seen |= frontier
        assert seen & FINAL_PHASES, phase


def test_an_impossible_step_is_refused_and_names_both_phases():
    with pytest.raises(ImpossibleTransitionError, match="Succeeded → Running is not a step a task can take"):
        check_transition(Phase.SUCCEEDED, Phase.RUNNING)


def test_staying_in_a_phase_is_no_step():
    check_transition(Phase.SUCCEEDED, Phase.SUCCEEDED)
