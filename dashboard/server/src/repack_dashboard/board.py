"""What the dashboard knows, and the one way to change it: through the event log, which tells everybody."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from repack_contract.events import ProgressDigest
from repack_contract.progress import Progress, StageState
from repack_contract.task import RepackageTask
from repack_contract.views import TaskView
from repack_dashboard.attempts import Attempts
from repack_dashboard.eventlog import Draft, EventLog
from repack_dashboard.store import Store, order_of


class Board:
    """Takes what was seen, drops what is old news, and writes the rest to the log."""

    def __init__(self, *, store: Store, log: EventLog, attempts: Attempts, now: Callable[[], datetime]) -> None:
        self.store = store
        self._log = log
        self._attempts = attempts
        self._now = now
        self._digests: dict[str, ProgressDigest] = {}
        log.listen(lambda entry: store.apply(entry.draft))

    async def observe(self, task: RepackageTask) -> bool:
        """Take a state of a task; False when it is not newer than the known one."""
        if not self.store.is_news(task):
            return False
        uid = task.metadata.uid
        old = self.store.get(uid)
        view = TaskView.of(task, progress=old.progress if old else self._attempts.last_progress(uid))
        if old is not None and _shown(old) == _shown(view):
            self.store.renumber(uid, order_of(task))
            return True
        await self._append(view, view, order=order_of(task))
        return True

    async def observe_all(self, found: Sequence[RepackageTask], vanished: Iterable[str]) -> None:
        """Take a full list, and the uids of the tasks that it should hold and does not."""
        for task in found:
            await self.observe(task)
        for uid in vanished:
            await self.remove(uid)

    async def remove(self, uid: str) -> bool:
        """Take note that a task is gone; False when it was not known."""
        view = self.store.get(uid)
        if view is None:
            return False
        self._digests.pop(uid, None)
        self._attempts.forget(uid)
        await self._append(view, None)
        return True

    async def report(self, uid: str, progress: Progress) -> bool:
        """Take a worker's progress; False when it is late, repeated or of a task that is not known."""
        if not self.store.is_progress_news(uid, progress):
            return False
        view = self.store.get(uid)
        if view is None:
            return False
        self._digests[uid] = ProgressDigest(
            uid=uid,
            attempt=progress.attempt,
            percent=progress.percent,
            step=progress.stage,
            message=progress.message,
        )
        await self._append(view, progress)
        if _is_milestone(view.progress, progress):
            await self._attempts.keep_progress(uid, progress)
        return True

    def take_digests(self) -> list[ProgressDigest]:
        """Return the progress that changed since this was last asked."""
        digests = list(self._digests.values())
        self._digests.clear()
        return digests

    async def _append(
        self, view: TaskView, body: TaskView | Progress | None, *, order: tuple[int, int, int] = (0, 0, 0)
    ) -> None:
        draft = Draft(view.uid, view.namespace, view.name, self._now(), body, order)
        await self._log.append(draft)


def _shown(view: TaskView) -> TaskView:
    """Return what browsers see of a view. The copy of the progress in the status is not: they have the original."""
    status = view.status.model_copy(update={"progress": None, "observed_generation": None})
    return view.model_copy(update={"status": status})


def _is_milestone(old: Progress | None, new: Progress) -> bool:
    """Tell whether a progress must survive a restart: a stage began or ended, not merely bytes that moved."""
    return old is None or _outline(old) != _outline(new)


def _outline(progress: Progress) -> tuple[int, list[StageState]]:
    return progress.attempt, [stage.state for stage in progress.stages]
