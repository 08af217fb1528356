"""The event logs under test: both kinds keep the same promises."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from fakes.redis_server import RedisServer, a_redis
from repack_dashboard import eventlog_redis
from repack_dashboard.eventlog import EventLog, MemoryLog
from repack_dashboard.eventlog_redis import RedisLog
from repack_dashboard.events import Bounds


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One redis-server for all tests that leave it as it is; each has keys of its own."""
    with a_redis() as server:
        yield server


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often whether the log is still the same: tests wait for it."""
    monkeypatch.setattr(eventlog_redis, "IDLE_SECONDS", 0.03)


@contextlib.asynccontextmanager
async def followed(log: EventLog) -> AsyncIterator[None]:
    """Let a log follow its stream until the block ends."""
    following = asyncio.create_task(log.run())
    try:
        async with asyncio.timeout(10):
            await log.reached()
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@pytest.fixture(params=["memory", "redis"])
async def make_log(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Make logs of one kind: `await make_log(clock=..., **bounds)`."""
    numbers, prefix = itertools.count(1), secrets.token_hex(4)
    async with contextlib.AsyncExitStack() as stack:

        async def make(*, clock: Clock | None = None, **bounds: Any) -> EventLog:
            if request.param == "memory":
                return MemoryLog(bounds=Bounds(**bounds), clock=clock or Clock())
            server = request.getfixturevalue("redis_server")
            redis = eventlog_redis.connect(server.url)
            log = RedisLog(redis, prefix=f"{prefix}-{next(numbers)}", bounds=Bounds(**bounds), clock=clock or Clock())
            await stack.enter_async_context(followed(log))
            return log

        yield make
