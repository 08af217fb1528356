"""The operator as a whole: what runs beside what, how it starts, and how it stops.

It may be killed at any moment: nothing is kept in memory that cannot be read again.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog

from repack_contract.naming import LABEL_TASK
from repack_kube.access import Access
from repack_kube.client import Cluster
from repack_kube.errors import ForbiddenError, KubeError, unknown_kind
from repack_kube.resources import JOBS, PODS, TASKS, Object, Resource, Scope, uid_of
from repack_operator.emit import Dashboard, Emitter, Pulse, Sender, Source, Tasks
from repack_operator.handlers import make_registry, run_watches
from repack_operator.health import Health
from repack_operator.metrics import Metrics
from repack_operator.published import DashboardStore
from repack_operator.reconcile import Reconciler, utc_now
from repack_operator.rights import Rights
from repack_operator.settings import Settings

log = structlog.get_logger()

_KINDS: tuple[tuple[Resource, str | None], ...] = ((JOBS, LABEL_TASK), (PODS, LABEL_TASK), (TASKS, None))
"""Kinds that we keep, with their label selectors."""
_RESTART_SECONDS = 1.0
_RELIST_SECONDS = 2.0
"""After the watch has listed again: time for the rest of its list to arrive."""
_FLUSH_SECONDS = 2.0
_LAG_SECONDS = 1.0
_LIST_BACKOFFS = (0.2, 0.5, 1.0, 2.0, 5.0)


class Program:
    """One running operator, or one term of leadership of it.

    Args:
        access: the API server, for kopf's watches.
        cluster: the API server, for everything else.
        settings: see there.
        metrics: see there.
        health: what probes are told; of its own where None.
        epoch: number of the term (`leaseTransitions`); 0 without an election.
    """

    def __init__(
        self,
        access: Access,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        *,
        health: Health | None = None,
        epoch: int = 0,
    ) -> None:
        self.epoch = epoch
        self._access = access
        self._cluster = cluster
        self._settings = settings
        self._metrics = metrics
        self.reconciler = Reconciler(cluster, settings, metrics, clock=monotonic, store=store_of(settings))
        self.health = health or Health(clock=monotonic, silence_seconds=3 * settings.probe_seconds)
        self.at_rest = asyncio.Event()
        """Set when nothing is decided and written any more, at the end of `run`."""
        self._abdicates = False
        self._rights = Rights(cluster, settings, self.health)
        self.reconciler.on_refusal = self._rights.refused
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._relisted = asyncio.Event()
        self._emitter = self._make_emitter()
        self._name_gauges()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; then tell the dashboard what it does not know yet.

        Raises:
            Exception: a part that must not end has ended; the process should be started anew.
        """
        stopped = asyncio.create_task(stop.wait())
        syncing = asyncio.create_task(self._first_sync())
        try:
            await asyncio.wait({stopped, syncing}, return_when=asyncio.FIRST_COMPLETED)
            if not stop.is_set():
                syncing.result()
                await self._work(stopped)
        finally:
            self.at_rest.set()
            stopped.cancel()
            syncing.cancel()
            await asyncio.gather(stopped, syncing, return_exceptions=True)

    def abdicate(self) -> None:
        """Another replica leads: at the end of `run` nothing more is to be told to anybody."""
        self._abdicates = True

    async def _work(self, stopped: "asyncio.Task[Any]") -> None:
        watching = asyncio.create_task(self._watch_for_ever())
        try:
            await self._until(stopped, [*self._endless(), _waited_for(watching)])
        finally:
            self.at_rest.set()
            self._stopping.set()
            await asyncio.gather(self._say_the_rest(), self._wait_for_the_end_of(watching))

    async def _say_the_rest(self) -> None:
        if self._emitter is not None and not self._abdicates:
            await self._emitter.flush(seconds=_FLUSH_SECONDS)

    async def _wait_for_the_end_of(self, watching: "asyncio.Task[None]") -> None:
        await asyncio.wait({watching}, timeout=self._settings.stop_seconds)

    def _endless(self) -> list[Coroutine[Any, Any, None]]:
        parts = [self.reconciler.work() for _ in range(self._settings.workers)]
        parts += [
            self._rights.watch_over(),
            self._resync_for_ever(),
            self._probe_for_ever(),
            self._feel_the_lag(),
            self.reconciler.story.run(),
        ]
        return [*parts, self._emitter.run()] if self._emitter is not None else parts

    async def _until(self, stopped: "asyncio.Task[Any]", parts: list[Coroutine[Any, Any, None]]) -> None:
        tasks = {asyncio.create_task(part) for part in parts}
        try:
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
                raise RuntimeError("a part of the operator ended that must not end")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is seen ---------------------------------------------------------------------------------------------

    async def _first_sync(self) -> None:
        """List everything once; decisions begin only then, so that no Job is missed."""
        await self._rights.complete()
        attempt = 0
        while True:  # ends with the first success; run() gives it up when the process is to stop
            try:
                await self.resync()
                break
            except KubeError as error:
                wait = _LIST_BACKOFFS[min(attempt, len(_LIST_BACKOFFS) - 1)]
                self.health.obstacle = unknown_kind(error) or error.message
                log.warning("the API server cannot be listed yet", error=self.health.obstacle, again_seconds=wait)
                attempt += 1
                await asyncio.sleep(wait)
        self.reconciler.enter_queue()
        self.health.synced, self.health.obstacle = True, ""

    async def resync(self) -> None:
        """Compare what we know with what the API server lists; what vanished without an event is counted.

        Raises:
            KubeError: it could not be listed.
        """
        for resource, label in _KINDS:
            known = self.reconciler.observed.uids(resource)
            exist: set[str] = set()
            for namespace in self._served():
                async for page in self._cluster.pages(resource, Scope(namespace, labels=label)):
                    for body in page.items:
                        exist.add(uid_of(body))
                        self.reconciler.note(resource, body)
            for ghost in self.reconciler.observed.compare(resource, exist, known_before=known):
                self._metrics.ghosts.labels(resource.kind).inc()
                log.warning("an object vanished without an event", kind=resource.kind, name=ghost["metadata"]["name"])
                self.reconciler.note(resource, ghost, deleted=True)
        self.health.heard()

    def _served(self) -> Sequence[str | None]:
        """Return the namespaces to list; None stands for all."""
        return self._settings.namespaces or (None,)

    async def _resync_for_ever(self) -> None:
        while True:  # ends by cancellation
            try:
                async with asyncio.timeout(self._settings.resync_seconds):
                    await self._relisted.wait()
                self._metrics.relists.inc()
                await asyncio.sleep(_RELIST_SECONDS)
                self._relisted.clear()
            except TimeoutError:
                pass  # nothing told us to: it is time anyway
            await self._try_to_resync()

    async def _try_to_resync(self) -> None:
        try:
            await self.resync()
        except KubeError as error:
            log.warning("the comparison with the API server failed", error=error.message)
            if isinstance(error, ForbiddenError):
                self._rights.refused()

    async def _probe_for_ever(self) -> None:
        """Where nothing happens nothing is heard: then ask for a sign of life."""
        namespace = next(iter(self._settings.namespaces), None)
        while True:  # ends by cancellation
            await asyncio.sleep(self._settings.probe_seconds / 3)
            if self.health.age_seconds < self._settings.probe_seconds:
                continue
            try:
                await self._cluster.list(TASKS, Scope(namespace, fields="metadata.name=sign-of-life"))
                self.health.heard()
            except KubeError as error:
                log.warning("no sign of life of the API server", error=error.message)

    async def _feel_the_lag(self) -> None:
        while True:  # ends by cancellation
            before = monotonic()
            await asyncio.sleep(_LAG_SECONDS)
            self._metrics.loop_lag.observe(max(monotonic() - before - _LAG_SECONDS, 0.0))

    async def _watch_for_ever(self) -> None:
        """Keep kopf's watches running; a fatal error of theirs costs a restart of kopf, not of the process."""
        registry = make_registry(self._access, self._sink)
        while not self._stopping.is_set():
            ready = threading.Event()
            # What vanishes between our list and the watch's own is told by nobody: compare once it has listed.
            self._relisted.set()
            self.health.watching = True
            try:
                await asyncio.to_thread(
                    run_watches, registry, namespaces=self._settings.namespaces, stop=self._stopping, ready=ready
                )
            except Exception:
                log.exception("the watches ended and are started again")
            self.health.watching = False
            if not self._stopping.is_set():
                await asyncio.sleep(_RESTART_SECONDS)
                await self._try_to_resync()

    def _sink(self, resource: Resource, kind: str | None, body: Object) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(self._seen, resource, kind, body)

    def _seen(self, resource: Resource, kind: str | None, body: Object) -> None:
        self.health.heard()
        if kind is None:
            self._relisted.set()  # kopf listed, perhaps after a 410, and does not tell what vanished meanwhile
        self.reconciler.note(resource, body, deleted=kind == "DELETED")

    # --- what is told ---------------------------------------------------------------------------------------------

    def _make_emitter(self) -> Emitter | None:
        if self._settings.ingest_url is None:
            return None
        reconciler = self.reconciler
        source = Source(
            outbox=reconciler.outbox,
            tasks=Tasks(lambda: reconciler.observed.uids(TASKS), reconciler.observed.task_of_uid),
            pulse=self._pulse,
            progress=reconciler.copy_progress,
        )
        dashboard = Dashboard(self._settings.ingest_url, self._settings.ingest_token_file)
        return Emitter(dashboard, source, self._metrics, sender=Sender(uuid4().hex, self.epoch), now=utc_now)

    def _pulse(self) -> Pulse:
        slots = self.reconciler.slots
        return Pulse(
            leader=True,
            queue_depth=slots.waiting,
            running=slots.in_use,
            slots=slots.total,
            watch_age_seconds=round(self.health.age_seconds, 1),
            api_errors=self._metrics.recent_api_errors,
            lag_seconds=round(self.reconciler.queue.oldest_seconds, 1),
            queue=self.reconciler.forecast.places(),
        )

    def _name_gauges(self) -> None:
        metrics, reconciler, slots = self._metrics, self.reconciler, self.reconciler.slots
        metrics.gauge("slots_in_use", "Tasks that run.", lambda: slots.in_use)
        metrics.gauge("slots_max", "Tasks that may run.", lambda: slots.total)
        metrics.gauge("queue_depth", "Tasks that wait for a slot.", lambda: slots.waiting)
        metrics.gauge("workqueue_depth", "Keys to look at.", lambda: len(reconciler.queue))
        metrics.gauge("workqueue_oldest_seconds", "Age of the first key.", lambda: reconciler.queue.oldest_seconds)
        metrics.gauge("watch_last_event_age_seconds", "Since the API server told.", lambda: self.health.age_seconds)
        metrics.gauge("emit_queue", "Tasks of which the dashboard must be told.", lambda: len(reconciler.outbox))
        metrics.phases(reconciler.phases)
        for resource, _ in _KINDS:
            metrics.objects(resource.kind, lambda resource=resource: reconciler.observed.count(resource))  # type: ignore[misc]


def store_of(settings: Settings) -> DashboardStore | None:
    """Return the artifact store that can be asked; None without a dashboard."""
    return DashboardStore(settings.ingest_url, settings.ingest_token_file) if settings.ingest_url else None


async def _waited_for(task: "asyncio.Task[None]") -> None:
    """Wait for a task without cancelling it: kopf's thread is asked to end, it cannot be made to."""
    await asyncio.shield(task)
