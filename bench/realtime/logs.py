"""The full path with both event logs: from a worker's progress, through the log, to the last client."""

import shutil
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from load import Load, Tools
from servers import Ours, ours

from fakes.redis_server import a_redis
from repack_contract.progress import Progress

MEMORY, REDIS = "memory", "Redis Streams"
EVENTS = 20
"""Events in one round, one after the other."""


@dataclass(frozen=True)
class Logs:
    """Rounds of both logs, in pairs."""

    clients: int
    cpu: dict[str, list[float]] = field(default_factory=lambda: {MEMORY: [], REDIS: []})
    """Processor seconds of the dashboard per event."""
    last: dict[str, list[float]] = field(default_factory=lambda: {MEMORY: [], REDIS: []})
    """Seconds from the report of an event until the last client had it."""

    @property
    def cpu_ratio(self) -> float:
        """The median of the pairs' ratios, Redis to memory."""
        return _ratio(self.cpu)

    @property
    def last_ratio(self) -> float:
        """The median of the pairs' ratios, Redis to memory."""
        return _ratio(self.last)


def _ratio(series: dict[str, list[float]]) -> float:
    return statistics.median(mine / peer for mine, peer in zip(series[REDIS], series[MEMORY], strict=True))


async def measure_logs(tools: Tools, folder: Path, *, clients: int, rounds: int, core: int | None) -> Logs | None:
    """Report progress to a dashboard with each log, in turn; None where there is no redis-server."""
    if shutil.which("redis-server") is None:
        return None
    found = Logs(clients)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(a_redis())
        options = {"uids": ["u"], "tick_seconds": 0, "heartbeat_interval": 3600}
        sides = {
            MEMORY: await stack.enter_async_context(ours(folder / "memory", **options)),
            REDIS: await stack.enter_async_context(ours(folder / "redis", redis_url=server.url, **options)),
        }
        load = await stack.enter_async_context(Load(tools, core=core))
        for dashboard in sides.values():
            await load.open(dashboard.port, "/ws/tasks?v=1", clients)
        for number in range(rounds + 5):  # the first five warm up
            for name, dashboard in sides.items():
                cpu, last = await _round(load, dashboard, clients=clients, first_tick=number * EVENTS)
                if number >= 5:
                    found.cpu[name].append(cpu)
                    found.last[name].append(last)
    return found


async def _round(load: Load, dashboard: Ours, *, clients: int, first_tick: int) -> tuple[float, float]:
    cpu, seconds = time.process_time(), 0.0
    for tick in range(first_tick + 1, first_tick + EVENTS + 1):
        await load.expect(clients)
        began = time.monotonic_ns()
        progress = Progress(attempt=1, tick=tick, message="x" * 100, updated_at=datetime.now(UTC))
        if not await dashboard.services.board.report("u", progress):
            raise RuntimeError("the log did not take an event")
        seconds += (await load.done() - began) / 1e9
    return (time.process_time() - cpu) / EVENTS, seconds / EVENTS
