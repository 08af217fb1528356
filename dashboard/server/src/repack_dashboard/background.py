"""What happens by itself while the dashboard runs, and how it ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from repack_contract.messages import CloseCode, GoAway
from repack_dashboard.frames import frame
from repack_dashboard.ingest import tell_health
from repack_dashboard.services import Services
from repack_kube.errors import KubeError

log = structlog.get_logger("repack.dashboard")


@contextlib.asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Run what happens by itself: lists, pings, the operator's silence, sweeps."""
    settings = services.settings
    with contextlib.suppress(KubeError, TimeoutError):  # without a cluster we start all the same, and say so in /readyz
        async with asyncio.timeout(5):
            await services.relist.refresh()
    jobs = [
        asyncio.create_task(services.relist.run(seconds=settings.relist_seconds), name="relist"),
        asyncio.create_task(_every(min(1.0, settings.heartbeat_interval / 4), lambda: _tick(services)), name="tick"),
        asyncio.create_task(_every(min(1.0, settings.auth_recheck_seconds / 4), services.seats.look), name="seats"),
        asyncio.create_task(_every(settings.cleanup_interval, lambda: _clean(services)), name="clean"),
    ]
    for job in jobs:
        job.add_done_callback(_report_death)
    try:
        yield
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def drain(services: Services) -> None:
    """Send every client away, spread over a window, so that they do not all come back at the same moment."""
    services.is_draining = True
    hub, settings = services.hub, services.settings
    # 500 closes a second is what the others can take in; a handful of clients need no window at all.
    window = min(settings.drain_seconds, len(hub) / 500)
    for client in hub.clients:
        if client.is_v1:
            wait = GoAway(reason="restart", retry_after_ms=int(1000 * (0.5 + window)))
            hub.reply(client, frame(wait), kind="goaway")
    began = time.monotonic()
    for moment, client in hub.spread(window):
        await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
        hub.close(client, CloseCode.RESTART, "restarting")
        services.metrics.drain_remaining.set(len(hub))


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:  # ends with the process, by cancellation
        await asyncio.sleep(seconds)
        await act()


async def _tick(services: Services) -> None:
    services.hub.ping(interval=services.settings.heartbeat_interval)
    if services.operator.check():
        log.warning("the operator has gone silent", last_heard_at=str(services.operator.health.last_heard_at))
        tell_health(services)


async def _clean(services: Services) -> None:
    settings = services.settings
    services.hub.sweep(silence=settings.heartbeat_interval + settings.heartbeat_timeout)
    services.log.expire()
    if not services.relist.ready.is_set():
        return  # without a list of the tasks every file would look like nobody's
    if services.tasks.unreadable:
        return  # a task that we cannot read may own any of them
    now, grace, store = time.time(), settings.retention_seconds, services.board.store
    uploads = frozenset(view.spec.source.upload.key for view in store if view.spec.source.upload)
    await asyncio.to_thread(services.attempts.sweep, live=frozenset(store.uids), now=now, grace_seconds=grace)
    await asyncio.to_thread(services.packages.sweep_uploads, live=uploads, now=now, grace_seconds=grace)


def _report_death(job: asyncio.Task[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        log.error("a background job died", job=job.get_name(), exc_info=error)
