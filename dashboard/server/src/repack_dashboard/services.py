"""The parts of a running dashboard, put together in `app.py`; routes get this and nothing else."""

import contextlib
from dataclasses import dataclass, field

from repack_contract.views import TaskView
from repack_dashboard.attempts import Attempts
from repack_dashboard.board import Board
from repack_dashboard.cluster import ClusterTasks, Relist
from repack_dashboard.eventlog import EventLog
from repack_dashboard.hub import Hub
from repack_dashboard.metrics import Metrics
from repack_dashboard.operator_health import OperatorWatch
from repack_dashboard.packages import Packages
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.settings import Settings
from repack_dashboard.welcome import Welcome
from repack_kube.errors import KubeError


@dataclass
class Services:
    """Everything that routes need."""

    settings: Settings
    instance: str
    """Random per process; operator and workers send again what this one may not have."""
    version: str
    metrics: Metrics
    log: EventLog
    board: Board
    hub: Hub
    welcome: Welcome
    operator: OperatorWatch
    attempts: Attempts
    packages: Packages
    tasks: ClusterTasks
    relist: Relist
    is_draining: bool = field(default=False)

    def task(self, uid: str) -> TaskView:
        """Return a task; raises the 404 problem where it is unknown."""
        view = self.board.store.get(uid)
        if view is None:
            raise not_found(f"task with the uid {uid[:64]}")
        return view

    async def look_for(self, uid: str) -> TaskView:
        """Return a task that may be newer than our list; raises the 404 problem where it is unknown to the cluster."""
        with contextlib.suppress(KubeError):
            await self.knows(uid)
        return self.task(uid)

    def check_listed(self) -> None:
        """Raise the 503 problem before the first list: no tasks and not yet knowing are two things."""
        if not self.relist.ready.is_set():
            raise ProblemError(
                503,
                "The Kubernetes API has not answered since this dashboard started, so the tasks are not known.",
                hint="Check that the API server can be reached.",
                headers={"Retry-After": "2"},
            )

    async def knows(self, uid: str) -> bool:
        """Tell whether a task exists, asking the cluster when it is not known. Raises `KubeError`."""
        if uid not in self.board.store and not self.board.store.is_gone(uid):
            await self.relist.refresh()
        return uid in self.board.store
