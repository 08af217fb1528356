"""Which tasks are to be looked at, and when: each key once at a time, back-off per key, timers in one heap."""

import asyncio
import contextlib
import heapq
import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 60.0


class WorkQueue(Generic[K]):
    """A queue in which a key that is added twice is handed out once, and never to two workers at a time.

    Args:
        clock: seconds that only grow.
        rng: numbers in [0, 1), for the jitter of back-offs.
    """

    def __init__(self, *, clock: Callable[[], float], rng: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._rng = rng
        self._ready: dict[K, float] = {}
        """Keys to hand out, in order, each with the time since which it waits."""
        self._urgent: dict[K, float] = {}
        """The same, to be handed out before them."""
        self._busy: set[K] = set()
        self._again: set[K] = set()
        """Keys that were added while a worker had them."""
        self._timers: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        """The one timer of a key that counts; others in the heap are outdated."""
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._count = 0

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Have the key looked at soon, also while it backs off: something new is known of it.

        What runs, or may run now, is urgent: it must not stand behind ten thousand that only wait.
        """
        if key in self._busy:
            self._again.add(key)
        elif urgent:
            self._urgent.setdefault(key, self._ready.pop(key, self._clock()))
            self._wake.set()
        elif key not in self._ready and key not in self._urgent:
            self._ready[key] = self._clock()
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have the key looked at after some seconds; the earliest of several such wishes counts."""
        due = self._clock() + max(seconds, 0.0)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._count += 1
            heapq.heappush(self._timers, (due, self._count, key))
            self._wake.set()

    def retry(self, key: K) -> float:
        """Have the key looked at after a back-off that grows with every failure; return its seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = min(_FIRST_SECONDS * 2.0**failures, _LONGEST_SECONDS) * (0.5 + self._rng())
        self.add_after(key, seconds)
        return seconds

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """Forget everything about a key that no longer exists."""
        self._failures.pop(key, None)
        self._due.pop(key, None)
        self._ready.pop(key, None)
        self._urgent.pop(key, None)

    def take(self) -> K | None:
        """Return a key to look at now, None when there is none; call `done` afterwards."""
        self._ring()
        lane = self._urgent or self._ready
        if not lane:
            return None
        key = next(iter(lane))
        del lane[key]
        self._busy.add(key)
        return key

    async def get(self) -> K:
        """Wait for a key to look at; call `done` afterwards."""
        while True:  # ends with the first key; woken by add, or by the next timer
            if (key := self.take()) is not None:
                return key
            self._wake.clear()
            patience = self._timers[0][0] - self._clock() if self._timers else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._wake.wait()

    def done(self, key: K) -> None:
        """Give a key back; it is handed out again when it was added meanwhile."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _ring(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    def __len__(self) -> int:
        return len(self._ready) + len(self._urgent) + len(self._again)

    @property
    def oldest_seconds(self) -> float:
        """How long the first key has been waiting to be handed out."""
        firsts = [next(iter(lane.values())) for lane in (self._ready, self._urgent) if lane]
        return self._clock() - min(firsts) if firsts else 0.0
