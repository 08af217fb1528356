import asyncio

import pytest

from repack_operator.workqueue import WorkQueue


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, rng=lambda: 0.5)


def test_a_key_that_is_added_twice_is_handed_out_once(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("a")

    assert [queue.take(), queue.take(), queue.take()] == ["a", "b", None]


def test_a_key_is_never_with_two_workers_and_comes_again_if_it_was_added_meanwhile(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert queue.take() == "a"
    queue.add("a")
    assert queue.take() is None

    queue.done("a")

    assert queue.take() == "a"
    queue.done("a")
    assert queue.take() is None


def test_a_timer_hands_its_key_out_when_it_is_due(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 10)
    clock.now = 9.9
    assert queue.take() is None

    clock.now = 10
    assert queue.take() == "a"


def test_the_earliest_of_several_timers_counts_once(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)

    clock.now = 5
    assert queue.take() == "a"
    queue.done("a")
    clock.now = 30
    assert queue.take() is None


def test_the_back_off_doubles_and_ends_at_a_minute(queue: WorkQueue[str]) -> None:
    waits = [queue.retry("a") for _ in range(12)]

    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == 60


def test_a_success_forgets_the_back_off(queue: WorkQueue[str]) -> None:
    queue.retry("a")
    queue.retry("a")
    queue.succeeded("a")

    assert queue.retry("a") == 0.1


def test_a_forgotten_key_rings_no_more(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    queue.forget("a")

    clock.now = 10
    assert queue.take() is None


def test_depth_and_age_are_those_of_what_waits(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add("a")
    queue.add("b")
    clock.now = 3

    assert len(queue) == 2
    assert queue.oldest_seconds == 3


async def test_a_waiting_worker_is_woken_by_what_is_added_and_by_timers() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=asyncio.get_running_loop().time)
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(getting, 5) == "a"

    queue.add_after("b", 0.01)
    assert await asyncio.wait_for(queue.get(), 5) == "b"


def test_what_is_urgent_does_not_stand_behind_what_only_waits(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "c"):
        queue.add(key)
    queue.add("runs", urgent=True)
    queue.add("c", urgent=True)
    queue.add("runs")

    assert [queue.take() for _ in range(5)] == ["runs", "c", "a", "b", None]
