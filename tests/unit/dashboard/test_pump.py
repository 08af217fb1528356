"""The first at once, the rest together, portion by portion, and always in order."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from repack_dashboard.pump import Pump


class Loop:
    """An event loop that runs what is due when it is told to."""

    def __init__(self) -> None:
        self.due: deque[tuple[float, Callable[[], None]]] = deque()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.due.append((seconds, act))

    def turn(self) -> float:
        seconds, act = self.due.popleft()
        act()
        return seconds


class Written:
    """Writes two portions per batch."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.halves: list[str] = []

    def deliver(self, batch: list[int]) -> Iterator[None]:
        self.batches.append(batch)
        self.halves.append(f"{batch} begins")
        yield
        self.halves.append(f"{batch} ends")


def at_once(written: list[list[int]]) -> Callable[[list[int]], Iterator[None]]:
    def deliver(batch: list[int]) -> Iterator[None]:
        written.append(batch)
        return iter(())

    return deliver


def test_the_first_goes_at_once_and_what_comes_within_the_tick_goes_together() -> None:
    loop, written = Loop(), []
    pump = Pump(at_once(written), tick=0.02, later=loop.later)
    pump.put(1)
    assert written == [[1]]
    pump.put(2)
    pump.put(3)
    assert written == [[1]]
    assert loop.turn() == 0.02
    assert written == [[1], [2, 3]]
    loop.turn()
    assert not loop.due  # nothing came, so nothing ticks
    pump.put(4)
    assert written == [[1], [2, 3], [4]]


def test_without_a_tick_everything_goes_at_once() -> None:
    loop, written = Loop(), []
    pump = Pump(at_once(written), later=loop.later)
    for item in (1, 2, 3):
        pump.put(item)
    assert written == [[1], [2], [3]]
    assert not loop.due


def test_a_delivery_ends_before_the_next_begins_and_lets_the_loop_work_between_its_portions() -> None:
    loop, written = Loop(), Written()
    pump = Pump(written.deliver, later=loop.later)
    pump.put(1)
    pump.put(2)
    assert written.halves == ["[1] begins"]
    assert loop.turn() == 0.0
    assert written.halves == ["[1] begins", "[1] ends", "[2] begins"]
    loop.turn()
    assert written.halves[-1] == "[2] ends"


def test_settling_ends_what_is_on_its_way_and_nothing_is_written_twice() -> None:
    loop, written = Loop(), Written()
    pump = Pump(written.deliver, tick=0.02, later=loop.later)
    pump.put(1)
    pump.put(2)
    pump.settle()
    assert written.halves == ["[1] begins", "[1] ends", "[2] begins", "[2] ends"]
    pump.put(3)
    while loop.due:
        loop.turn()
    assert written.batches == [[1], [2], [3]]


def test_a_delivery_that_fails_does_not_end_the_pump() -> None:
    loop, written = Loop(), []

    def deliver(batch: list[int]) -> Iterator[None]:
        if batch == [1]:
            raise RuntimeError("broken")
        written.append(batch)
        yield

    pump = Pump(deliver, tick=0.02, later=loop.later)
    pump.put(1)
    pump.put(2)
    while loop.due:
        loop.turn()
    assert written == [[2]]


@given(st.lists(st.sampled_from(["put", "turn", "settle"]), max_size=60), st.sampled_from([0.0, 0.02]))
def test_whatever_happens_everything_is_written_once_and_in_order(steps: list[str], tick: float) -> None:
    loop, written = Loop(), Written()
    pump = Pump(written.deliver, tick=tick, later=loop.later)
    number = 0
    for step in steps:
        if step == "put":
            pump.put(number := number + 1)
        elif step == "settle":
            pump.settle()
            assert list(chain(*written.batches)) == list(range(1, number + 1))
        elif loop.due:
            loop.turn()
    while loop.due:
        loop.turn()
    assert list(chain(*written.batches)) == list(range(1, number + 1))
    assert len(written.halves) == 2 * len(written.batches)
