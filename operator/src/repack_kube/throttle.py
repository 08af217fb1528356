"""A bucket of permits: so many calls per second, and a few more at once."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


class Bucket:
    """Lets `rate` calls pass per second and up to `burst` at once; further callers wait their turn.

    Args:
        rate: permits per second.
        burst: permits that may be saved up.
        clock: seconds that only grow.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: int,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1.0 / rate
        self._depth = burst * self._interval
        self._clock = clock
        self._sleep = sleep
        self._next = clock() - self._depth

    async def take(self) -> float:
        """Wait for a permit and return the seconds waited."""
        now = self._clock()
        self._next = max(self._next, now - self._depth) + self._interval
        wait = self._next - now
        if wait <= 0:
            return 0.0
        await self._sleep(wait)
        return wait
