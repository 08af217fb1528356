"""The parts of a running dashboard, put together in `app.py`; routes get this and nothing else."""

import contextlib
from dataclasses import dataclass, field

from repack_contract.views import TaskView
from repack_dashboard.announce import Announcer
from repack_dashboard.attempts import Attempts
from repack_dashboard.blobs import Blobs
from repack_dashboard.board import Board
from repack_dashboard.cluster import ClusterTasks, Relist
from repack_dashboard.doors import Doors
from repack_dashboard.eventlog import EventLog, LogUnavailableError
from repack_dashboard.hub import Hub
from repack_dashboard.live import Seats
from repack_dashboard.marketplace import Marketplace
from repack_dashboard.memory_store import Memory
from repack_dashboard.metrics import Metrics
from repack_dashboard.operator_health import OperatorWatch
from repack_dashboard.packages import Packages
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.rights import Rights
from repack_dashboard.senders import IngestApi, Sender
from repack_dashboard.settings import Settings
from repack_dashboard.store import Store
from repack_dashboard.users import Access, Users
from repack_dashboard.welcome import Welcome
from repack_dashboard.wheel_store import WheelStore
from repack_kube.errors import KubeError


@dataclass
class Services:
    """Everything that routes need."""

    settings: Settings
    version: str
    metrics: Metrics
    log: EventLog
    board: Board
    hub: Hub
    welcome: Welcome
    operator: OperatorWatch
    announcer: Announcer
    attempts: Attempts
    blobs: Blobs
    packages: Packages
    wheels: WheelStore
    memory: Memory
    tasks: ClusterTasks
    relist: Relist
    users: Users
    seats: Seats
    doors: Doors
    senders_api: IngestApi
    """Where to ask who sends in."""
    marketplace: Marketplace | None = None
    """None where it is switched off."""
    rights: Rights | None = None
    """What our service account lacks; None where nobody asks."""
    is_draining: bool = field(default=False)

    @property
    def instance(self) -> str:
        """What acknowledgements name: when it changes, operator and workers send again what the log may have lost."""
        return self.log.epoch

    def task(self, uid: str, access: Access) -> TaskView:
        """Return a task; raises the 404 problem where it is unknown, or nothing that this user may see."""
        view = self.board.store.get(uid)
        if view is None or not access.shows(view.namespace):
            raise not_found(f"task with the uid {uid[:64]}")
        return view

    async def look_for(self, uid: str, access: Access) -> TaskView:
        """Return a task that may be newer than our list; raises the 404 problem where it is unknown to the cluster."""
        with contextlib.suppress(KubeError, LogUnavailableError):
            await self.knows(uid)
        return self.task(uid, access)

    def check_listed(self) -> None:
        """Raise the 503 problem before the first list: no tasks and not yet knowing are two things."""
        if not self.relist.ready.is_set():
            why = f": {self.relist.obstacle}" if self.relist.obstacle else ""
            raise ProblemError(
                503,
                f"The tasks could not be listed since this dashboard started{why}.",
                hint="Check that the API server can be reached and knows RepackageTasks; it is tried again by itself.",
                headers={"Retry-After": "2"},
            )

    def check_sender(self, sender: Sender, uid: str, attempt: int) -> None:
        """Raise the 403 problem where a worker speaks of another attempt than its own; of what is gone all may speak.

        It is asked once the task is known: a worker is bound by the namespace and the name that the cluster gives it.
        """
        view = self.board.store.get(uid)
        if view is not None:
            sender.check_attempt(view, attempt)

    async def require_create(self, access: Access) -> None:
        """Raise the 403 problem unless the user may create tasks somewhere."""
        names = sorted(self.namespaces)
        for name in names:
            if access.shows(name) and await access.users.may(access, "create", name):
                return
        await access.require("create", names[0])

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces whose tasks could be shown: those that are set, or that of new tasks and all that hold one."""
        return shown_namespaces(self.settings, self.board.store)

    async def knows(self, uid: str) -> bool:
        """Tell whether a task exists, asking the cluster when it is not known.

        Raises:
            KubeError: the cluster cannot be asked.
            LogUnavailableError: what it says cannot be told to anybody.
        """
        if uid not in self.board.store and not self.board.store.is_gone(uid):
            await self.relist.refresh()
        return uid in self.board.store


def shown_namespaces(settings: Settings, store: Store) -> frozenset[str]:
    """Return the namespaces whose tasks could be shown."""
    return frozenset(settings.watch_namespaces) or store.namespaces | {settings.namespace}
