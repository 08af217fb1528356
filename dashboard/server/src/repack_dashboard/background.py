"""What happens by itself while the dashboard runs, and how it ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from repack_contract.messages import CloseCode, GoAway
from repack_dashboard import layout
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.frames import frame
from repack_dashboard.hub import Client, Hub
from repack_dashboard.logs import has_ended
from repack_dashboard.services import Services
from repack_kube.errors import KubeError
from repack_objects.errors import StoreError

log = structlog.get_logger("repack.dashboard")

STORE_SECONDS = 5.0
"""Between two looks at what the object store does not have yet, and at whether it can be used."""
QUIET_SECONDS = 60.0
"""How long after its last line a log that is over waits for the whole one from its worker."""
HAND_OVER_SECONDS = 8.0
RESYNC_SECONDS = 3.0
"""Longest time that clients wait for the list of the tasks before they are sent away to begin anew."""


@contextlib.asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Run what happens by itself: lists, pings, the operator's silence, sweeps."""
    settings, resync = services.settings, Resync(services)
    services.log.listeners.begins.append(resync.begin)
    jobs = [asyncio.create_task(services.log.run(), name="event-log")]
    # Without a cluster or the log we start all the same, and say so in /readyz.
    with contextlib.suppress(KubeError, LogUnavailableError, TimeoutError):
        async with asyncio.timeout(5):
            await services.log.reached()
            await services.relist.refresh()
    jobs += [
        asyncio.create_task(resync.run(), name="resync"),
        asyncio.create_task(services.relist.run(seconds=settings.relist_seconds), name="relist"),
        asyncio.create_task(_every(min(1.0, settings.heartbeat_interval / 4), lambda: _tick(services)), name="tick"),
        asyncio.create_task(_every(min(1.0, settings.auth_recheck_seconds / 4), services.seats.look), name="seats"),
        asyncio.create_task(_every(STORE_SECONDS, lambda: _look_after_the_store(services)), name="store"),
        asyncio.create_task(_every(settings.cleanup_interval, lambda: _clean(services)), name="clean"),
    ]
    if services.rights is not None:
        jobs.append(asyncio.create_task(services.rights.run(), name="rights"))
    for job in jobs:
        job.add_done_callback(_report_death)
    try:
        yield
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await _hand_over(services)


async def drain(services: Services) -> None:
    """Send every client away, spread over a window, so that they do not all come back at the same moment."""
    services.is_draining = True
    hub = services.hub
    window = _window(services, len(hub))
    for client in hub.clients:
        if client.is_v1:
            wait = GoAway(reason="restart", retry_after_ms=int(1000 * (0.5 + window)))
            hub.reply(client, frame(wait), kind="goaway")
    async for _ in _close(hub, hub.clients, CloseCode.RESTART, "restarting", window=window):
        services.metrics.drain_remaining.set(len(hub))


class Resync:
    """What happens when the log does not go on from where it was: every client begins anew, and is told so."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: asyncio.Queue[list[Client]] = asyncio.Queue()

    def begin(self, _states: object) -> None:
        """Let nobody hear numbers that do not follow from theirs, and nobody in before the tasks are listed again."""
        was_ready = self._services.relist.ready.is_set()
        self._services.relist.ready.clear()
        clients = self._services.hub.silence()
        if was_ready:
            self._told.put_nowait(clients)

    async def run(self) -> None:
        """Whenever that happened, list the tasks and then send away who was connected: they come back to a snapshot."""
        while True:  # ends with the process, by cancellation
            clients, hub = await self._told.get(), self._services.hub
            async with asyncio.TaskGroup() as group:
                listing = group.create_task(self._list())
                await asyncio.wait([listing], timeout=RESYNC_SECONDS)  # nobody is kept in silence for longer
                window = _window(self._services, len(clients))
                async for _ in _close(hub, clients, CloseCode.RESYNC, "the event log began anew", window=window):
                    pass

    async def _list(self) -> None:
        while not self._services.relist.ready.is_set():
            try:
                await self._services.relist.refresh()
            except (KubeError, LogUnavailableError):
                await asyncio.sleep(0.5)


def _window(services: Services, clients: int) -> float:
    """Return over how many seconds to close so many. 500 a second is what the other replicas can take in."""
    return min(services.settings.drain_seconds, clients / 500)


async def _close(hub: Hub, clients: list[Client], code: int, reason: str, *, window: float) -> AsyncIterator[Client]:
    began = time.monotonic()
    for moment, client in hub.spread(clients, window=window):
        await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
        hub.close(client, code, reason)
        yield client


async def _every(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    while True:  # ends with the process, by cancellation
        await asyncio.sleep(seconds)
        await act()


async def _tick(services: Services) -> None:
    services.hub.ping(interval=services.settings.heartbeat_interval)
    if services.operator.check():
        log.warning("the operator has gone silent", last_heard_at=str(services.operator.health.last_heard_at))
        services.announcer.tell_health()


async def _clean(services: Services) -> None:
    settings = services.settings
    services.hub.sweep(silence=settings.heartbeat_interval + settings.heartbeat_timeout)
    services.log.expire()
    if not services.relist.ready.is_set():
        return  # without a list of the tasks every file would look like nobody's
    if services.tasks.unreadable:
        return  # a task that we cannot read may own any of them
    now, grace, store, blobs = time.time(), settings.retention_seconds, services.board.store, services.blobs
    tasks = frozenset(store.uids)
    uploads = frozenset(view.spec.source.upload.key.partition("-")[0] for view in store if view.spec.source.upload)
    await asyncio.to_thread(services.attempts.sweep, live=tasks, now=now, grace_seconds=grace)
    with contextlib.suppress(StoreError):  # the next time; the log has heard of it by the store's health
        await blobs.sweep(layout.TASKS, live=tasks.__contains__, now=now, grace_seconds=grace)
        await blobs.sweep(layout.UPLOADS, live=uploads.__contains__, now=now, grace_seconds=grace)
        await services.wheels.sweep()
        await services.memory.sweep()


async def _look_after_the_store(services: Services) -> None:
    await services.blobs.check()
    if services.blobs.health.is_up:
        with contextlib.suppress(StoreError):
            await services.attempts.archive(
                lambda uid, attempt: _is_over(services, uid, attempt), quiet_seconds=QUIET_SECONDS
            )


def _is_over(services: Services, uid: str, attempt: int) -> bool:
    view = services.board.store.get(uid)
    return view is not None and has_ended(view, attempt, services.attempts)


async def _hand_over(services: Services) -> None:
    """Give what runs to whoever comes after us, as far as there is time for it."""
    with contextlib.suppress(StoreError, TimeoutError):
        async with asyncio.timeout(HAND_OVER_SECONDS):
            await services.attempts.archive(lambda _uid, _attempt: True, quiet_seconds=0)


def _report_death(job: asyncio.Task[None]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        log.error("a background job died", job=job.get_name(), exc_info=error)
