"""When what waits is written: the first at once, then what gathers in a tick together, and never too much in one go.

A fan-out to thousands of clients would keep the event loop for tens of milliseconds. It is therefore a generator that
stops after each portion, and the pump lets the loop do other work between (realtime.md 4.4). One delivery is finished
before the next begins, so each client gets everything in order.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TypeVar

import structlog

log = structlog.get_logger("repack.dashboard")

Item = TypeVar("Item")
Later = Callable[[float, Callable[[], None]], object]


def on_loop(seconds: float, act: Callable[[], None]) -> object:
    """Call `act` on the running event loop after `seconds`, with 0 in its next turn."""
    loop = asyncio.get_running_loop()
    return loop.call_later(seconds, act) if seconds else loop.call_soon(act)


class Pump(Generic[Item]):
    """Hands items over to `deliver` in batches."""

    def __init__(
        self, deliver: Callable[[list[Item]], Iterator[None]], *, tick: float = 0.0, later: Later = on_loop
    ) -> None:
        """Make a pump; `tick` is the time in seconds between two batches, 0 hands every item over at once."""
        self._deliver = deliver
        self._tick = tick
        self._later = later
        self._waiting: list[Item] = []
        self._delivery: Iterator[None] | None = None
        self._state: Literal["idle", "delivering", "resting"] = "idle"

    def put(self, item: Item) -> None:
        """Take an item: it goes out now, or with the next batch."""
        self._waiting.append(item)
        if self._state == "idle":
            self._begin()

    def settle(self) -> None:
        """Hand over everything now, so that what is written next comes after it."""
        while self._delivery is not None:
            self._advance()
        if self._waiting:
            self._take()
            while self._delivery is not None:
                self._advance()

    def _take(self) -> None:
        batch, self._waiting = self._waiting, []
        self._delivery = self._deliver(batch)

    def _begin(self) -> None:
        self._state = "delivering"
        self._take()
        self._go_on()

    def _go_on(self) -> None:
        if self._delivery is not None:
            self._advance()
        if self._delivery is not None:
            self._later(0.0, self._go_on)
        elif self._tick:
            self._state = "resting"
            self._later(self._tick, self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._begin()
        else:
            self._state = "idle"

    def _advance(self) -> None:
        """Let the delivery write one portion."""
        try:
            next(self._delivery)  # type: ignore[arg-type]  # only called with one
        except StopIteration:
            self._delivery = None
        except Exception:
            self._delivery = None
            log.exception("a batch could not be delivered whole; its clients see a gap and resume")
