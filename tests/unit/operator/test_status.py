from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_task
from repack_contract.phases import ImpossibleTransitionError, Phase
from repack_contract.task import AttemptRecord
from repack_operator.status import MAX_ATTEMPT_RECORDS, Change, changed, duration_text, merge_patch
from situation_builder import a_running_task, in_phase

NOW = datetime(2026, 11, 23, 6, 0, 0, 123456, tzinfo=UTC)

JSON = st.recursive(
    st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner), max_leaves=12
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON | st.lists(JSON, max_size=2))


def merged(target: object, patch: object) -> object:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(old=OBJECTS, new=OBJECTS)
def test_the_patch_makes_the_new_object_of_the_old_one(old: dict, new: dict) -> None:
    assert merged(old, merge_patch(old, new)) == new
    assert (merge_patch(old, new) == {}) == (old == new)


def test_an_impossible_step_is_refused_and_named() -> None:
    with pytest.raises(ImpossibleTransitionError, match="Succeeded → Running"):
        changed(in_phase("Succeeded"), Change(Phase.RUNNING, "Running", "", NOW))


def test_the_sequence_grows_and_the_generation_is_observed() -> None:
    status = changed(a_running_task(metadata={"generation": 4}), Change(Phase.FAILED, "DiskFull", "full", NOW))

    assert status.sequence == 2
    assert status.observed_generation == 4
    assert all(condition.observed_generation == 4 for condition in status.conditions or [])


def test_moments_have_whole_seconds_like_those_that_come_back() -> None:
    status = changed(a_running_task(), Change(Phase.FAILED, "DiskFull", "full", NOW))

    assert status.completion_time == NOW.replace(microsecond=0)


def test_a_condition_keeps_its_moment_while_its_state_stays() -> None:
    first = changed(a_task(), Change(Phase.STARTING, "Starting", "one", NOW, attempt=1))
    task = a_task(status=first.wire())
    second = changed(task, Change(Phase.RUNNING, "Running", "two", NOW + timedelta(seconds=9)))

    times = {condition.type: condition.last_transition_time for condition in second.conditions or []}
    assert times["Reconciling"] == NOW.replace(microsecond=0)


def test_a_long_history_loses_suspensions_before_failures() -> None:
    records = [AttemptRecord(attempt=n, reason="x", failure_class="Infra") for n in range(1, MAX_ATTEMPT_RECORDS)]
    records.insert(3, AttemptRecord(attempt=99, reason="Suspended"))
    task = a_running_task(status={"attempts": [record.wire() for record in records]})

    newest = AttemptRecord(attempt=12, reason="y", failure_class="Infra")
    status = changed(task, Change(Phase.RETRYING, "y", "", NOW, record=newest))

    assert len(status.attempts or []) == MAX_ATTEMPT_RECORDS
    assert 99 not in {record.attempt for record in status.attempts or []}


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (42.9, "42s"), (60, "1m"), (185, "3m5s"), (7200, "2h"), (7810, "2h10m")]
)
def test_durations_read_like_kubectls(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
