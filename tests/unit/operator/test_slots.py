from datetime import timedelta

from builders import a_job_object, a_task, a_task_object
from repack_contract.task import RepackageTask
from repack_kube.resources import JOBS, TASKS
from repack_operator.observed import Key, Observed
from repack_operator.queueing import Limits
from repack_operator.slots import Slots
from situation_builder import START


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_waiting(
    name: str, *, created: str = "05:00:00", priority: int = 0, namespace: str = "default"
) -> tuple[Key, RepackageTask]:
    metadata = {"creationTimestamp": f"2026-11-23T{created}Z"}
    task = a_task(name=name, namespace=namespace, uid=name, metadata=metadata, spec={"priority": priority})
    return (namespace, name), task


def with_running(*names: str, namespace: str = "default") -> Observed:
    observed = Observed()
    for name in names:
        observed.see(TASKS, a_task_object(name=name, uid=name, namespace=namespace))
        job = a_job_object(task=name, task_uid=name, uid=f"job-{name}")
        job["metadata"]["namespace"] = namespace
        observed.see(JOBS, job)
    return observed


def a_queue(observed: Observed | None = None, *, clock: Clock | None = None, **limits: object) -> Slots:
    clock = clock or Clock()
    wanted = Limits(**{"total": 1, **limits})  # type: ignore[arg-type]
    return Slots(observed or Observed(), wanted, clock=clock, now=lambda: START + timedelta(seconds=clock.now))


def test_a_task_that_runs_holds_a_slot() -> None:
    slots = a_queue(with_running("a"))

    assert slots.in_use == 1
    assert not slots.ask(*a_waiting("b")).free


def test_the_older_one_goes_first_and_priority_goes_before_age() -> None:
    slots = a_queue()
    slots.wait(*a_waiting("young", created="06:00:00"))
    slots.wait(*a_waiting("old", created="05:00:00"))
    assert slots.next_key() == ("default", "old")

    slots.wait(*a_waiting("urgent", created="05:00:30", priority=5))

    assert slots.next_key() == ("default", "urgent")
    assert not slots.ask(*a_waiting("old")).free
    assert slots.ask(*a_waiting("urgent", created="05:00:30", priority=5)).free


def test_a_changed_priority_changes_the_place() -> None:
    slots = a_queue()
    slots.wait(*a_waiting("first"))
    slots.wait(*a_waiting("second", created="05:00:01"))
    slots.wait(*a_waiting("second", created="05:00:01", priority=1))

    assert slots.next_key() == ("default", "second")
    assert slots.waiting == 2


def test_a_slot_is_held_while_the_job_is_being_made() -> None:
    slots = a_queue()
    key, task = a_waiting("a")
    assert slots.ask(key, task).free
    slots.reserve(key, task.metadata.uid)

    assert not slots.ask(*a_waiting("b")).free

    slots.release(task.metadata.uid)
    assert slots.ask(*a_waiting("b")).free


def test_positions_are_coarse_and_told_anew_only_after_a_while() -> None:
    clock = Clock()
    slots = a_queue(with_running("running"), clock=clock)
    for number in range(7):
        slots.wait(*a_waiting(f"t{number}", created=f"05:00:0{number}"))

    last = a_waiting("last", created="05:01:00")
    assert slots.ask(*last).position == 5  # the eighth
    for number in range(6):
        slots.leave(("default", f"t{number}"))
    assert slots.ask(*last).position == 5

    clock.now = 31
    assert slots.ask(*last).position == 2


def test_why_a_task_waits_is_said() -> None:
    assert a_queue(with_running("a", "b"), total=2).ask(*a_waiting("c")).why == "all 2 slots are in use"
    assert a_queue(with_running("a")).ask(*a_waiting("c")).why == "the only slot is in use"
    full = a_queue(with_running("a", "b", namespace="team-a"), total=9, per_namespace=2)
    assert full.ask(*a_waiting("c", namespace="team-a")).why == "namespace team-a uses its 2 of 2"
    quick = a_queue(total=9, burst=1, starts_per_second=0.5)
    quick.reserve(*[("default", "first"), "uid-first"])
    assert quick.ask(*a_waiting("second")).why == "at most 0.5 tasks are started a second"


def test_a_namespace_that_uses_its_share_does_not_hold_up_the_others() -> None:
    slots = a_queue(with_running("a", "b", namespace="team-a"), total=9, per_namespace=2)
    slots.wait(*a_waiting("c", namespace="team-a"))

    assert slots.next_key() is None
    assert slots.ask(*a_waiting("d", created="05:30:00", namespace="team-b")).free


def test_jobs_are_made_no_faster_than_allowed() -> None:
    clock = Clock()
    slots = a_queue(total=100, clock=clock, burst=3, starts_per_second=2)
    started = []
    for number in range(10):
        slots.wait(*a_waiting(f"t{number}", created=f"05:00:0{number}"))
    while clock.now < 2:
        while (key := slots.next_key()) is not None and not slots.hold_seconds:
            slots.reserve(key, key[1])
            started.append(clock.now)
        clock.now += max(slots.hold_seconds, 0.001)

    assert started == [0, 0, 0, 0.5, 1, 1.5]
