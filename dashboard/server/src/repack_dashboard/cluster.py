"""The RepackageTasks of the cluster, as models: what the dashboard asks of the Kubernetes API, and nothing more."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from pydantic import ValidationError

from repack_contract.task import RepackageTask
from repack_dashboard.board import Board
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.metrics import Metrics
from repack_kube.errors import KubeError, unknown_kind
from repack_kube.resources import TASKS, Object, ObjectList, Resource, Scope

log = structlog.get_logger("repack.dashboard")


class TaskApi(Protocol):
    """The verbs of `repack_kube.client.Cluster` that the dashboard needs; its rights allow no others."""

    async def list(self, resource: Resource, scope: Scope = ...) -> ObjectList:
        """Return all objects of the scope."""
        ...

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        """Return one object."""
        ...

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object and return it as stored."""
        ...

    async def patch(self, resource: Resource, name: str, body: Object, *, namespace: str) -> Object:
        """Merge `body` into an object and return it as stored."""
        ...

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str | None = None) -> None:
        """Delete an object; with `uid` only that very one."""
        ...


def parse_task(body: Object) -> RepackageTask | None:
    """Return an object of the cluster as a task; fields of a newer version are ignored, nonsense is None."""
    try:
        return RepackageTask.model_validate(body, extra="ignore")
    except ValidationError as error:
        broken = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()[:5]]
        metadata = body.get("metadata", {})
        where = {"namespace": metadata.get("namespace"), "name": metadata.get("name")}
        log.warning("a task cannot be read", broken=broken, **where)
        return None


class ClusterTasks:
    """The tasks in the namespaces that are shown."""

    def __init__(self, api: TaskApi, *, namespaces: Sequence[str]) -> None:
        self.api = api
        self._scopes = [Scope(namespace=name) for name in namespaces] or [Scope()]
        self.unreadable = 0
        """How many tasks of the last list could not be read: of a newer version, or written by hand."""

    async def list(self) -> "list[RepackageTask]":
        """Return every task that can be read. Raises `KubeError`."""
        bodies = [body for scope in self._scopes for body in (await self.api.list(TASKS, scope)).items]
        tasks = [parse_task(body) for body in bodies]
        self.unreadable = tasks.count(None)
        return [task for task in tasks if task is not None]

    async def create(self, body: Object) -> RepackageTask:
        """Create a task and return it as stored. Raises `KubeError`."""
        return RepackageTask.model_validate(await self.api.create(TASKS, body), extra="ignore")

    async def patch(self, name: str, body: dict[str, Any], *, namespace: str) -> RepackageTask:
        """Merge `body` into a task and return it as stored. Raises `KubeError`."""
        answer = await self.api.patch(TASKS, name, body, namespace=namespace)
        return RepackageTask.model_validate(answer, extra="ignore")

    async def delete(self, name: str, *, namespace: str, uid: str) -> None:
        """Delete that very task. Raises `KubeError`."""
        await self.api.delete(TASKS, name, namespace=namespace, uid=uid)


class Relist:
    """Reads all tasks again: at start, every so often, and whenever somebody names a task that we do not know."""

    def __init__(
        self,
        tasks: ClusterTasks,
        *,
        board: Board,
        clock: Callable[[], float],
        metrics: Metrics,
        gap_seconds: float = 0.5,
    ) -> None:
        self._tasks = tasks
        self._gap_seconds = gap_seconds
        self._board = board
        self._clock = clock
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._began_at: float | None = None
        self._listed_at: float | None = None
        self.ready = asyncio.Event()
        """Set after the first list that succeeded."""
        self.obstacle = ""
        """Why the last list failed, and what to do about it."""

    async def refresh(self) -> None:
        """Bring in everything that existed when this was called; those who ask meanwhile share one list.

        Raises:
            KubeError: the API server cannot be asked.
            LogUnavailableError: what it says cannot be told to anybody.
        """
        asked_at = self._clock()
        async with self._lock:
            if self._listed_at is not None and self._listed_at > asked_at:
                return  # a list that began after we asked is as good as one of our own
            if self._began_at is not None:  # whoever names unknown tasks must not keep the API server busy
                await asyncio.sleep(max(0.0, self._began_at + self._gap_seconds - self._clock()))
            began_at = self._clock()
            # Only what was known before the list can be missed by it: what appears meanwhile is newer than the list.
            known = frozenset(self._board.store.uids)
            self._began_at = began_at
            found = await self._list()
            await self._board.observe_all(found, known - {task.metadata.uid for task in found})
            self._listed_at = began_at
            self.ready.set()

    async def _list(self) -> Sequence[RepackageTask]:
        try:
            found = await self._tasks.list()
        except KubeError as error:
            self._metrics.relists.labels("failed").inc()
            self.obstacle = unknown_kind(error) or error.message
            raise
        self.obstacle = ""
        self._metrics.relists.labels("succeeded").inc()
        return found

    async def run(self, *, seconds: float) -> None:
        """Refresh for ever; before it succeeded once, at once and then every second or so."""
        failures = 0
        while True:  # ends with the process, by cancellation
            await asyncio.sleep(seconds if self.ready.is_set() and not failures else min(seconds, 1.0 * failures, 5.0))
            try:
                await self.refresh()
                failures = 0
            except (KubeError, LogUnavailableError) as error:
                failures += 1
                if failures in {1, 10}:
                    log.warning("the tasks cannot be listed", error=self.obstacle or str(error), in_a_row=failures)
