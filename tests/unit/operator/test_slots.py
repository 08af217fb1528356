from builders import a_job_object, a_task, a_task_object
from repack_contract.task import RepackageTask
from repack_kube.resources import JOBS, TASKS
from repack_operator.observed import Key, Observed
from repack_operator.slots import Slots


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_waiting(name: str, *, created: str = "05:00:00", priority: int = 0) -> tuple[Key, RepackageTask]:
    metadata = {"creationTimestamp": f"2026-11-23T{created}Z"}
    return ("default", name), a_task(name=name, uid=name, metadata=metadata, spec={"priority": priority})


def with_running(*names: str) -> Observed:
    observed = Observed()
    for name in names:
        observed.see(TASKS, a_task_object(name=name, uid=name))
        observed.see(JOBS, a_job_object(task=name, task_uid=name, uid=f"job-{name}"))
    return observed


def test_a_task_that_runs_holds_a_slot() -> None:
    slots = Slots(with_running("a"), total=1, clock=Clock())

    assert slots.in_use == 1
    assert not slots.ask(*a_waiting("b")).free


def test_the_older_one_goes_first_and_priority_goes_before_age() -> None:
    slots = Slots(Observed(), total=1, clock=Clock())
    slots.wait(*a_waiting("young", created="06:00:00"))
    slots.wait(*a_waiting("old", created="05:00:00"))
    assert slots.next_keys() == [("default", "old")]

    slots.wait(*a_waiting("urgent", created="07:00:00", priority=5))

    assert slots.next_keys() == [("default", "urgent")]
    assert not slots.ask(*a_waiting("old")).free
    assert slots.ask(*a_waiting("urgent", created="07:00:00", priority=5)).free


def test_a_slot_is_held_while_the_job_is_being_made() -> None:
    slots = Slots(Observed(), total=1, clock=Clock())
    key, task = a_waiting("a")
    assert slots.ask(key, task).free
    slots.reserve(key, task.metadata.uid)

    assert not slots.ask(*a_waiting("b")).free

    slots.release(task.metadata.uid)
    assert slots.ask(*a_waiting("b")).free


def test_positions_are_coarse_and_told_anew_only_after_a_while() -> None:
    clock = Clock()
    slots = Slots(with_running("running"), total=1, clock=clock)
    for number in range(7):
        slots.wait(*a_waiting(f"t{number}", created=f"05:00:0{number}"))

    last = a_waiting("last", created="05:01:00")
    assert slots.ask(*last).position == 5  # the eighth
    for number in range(6):
        slots.leave(("default", f"t{number}"))
    assert slots.ask(*last).position == 5

    clock.now = 31
    assert slots.ask(*last).position == 2
