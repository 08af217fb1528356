"""What the dashboard knows, and the one way to change it: through the event log, which tells everybody."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from repack_contract.events import ProgressDigest
from repack_contract.progress import Progress, StageState
from repack_contract.task import RepackageTask
from repack_contract.views import TaskView
from repack_dashboard.attempts import Attempts
from repack_dashboard.eventlog import EventLog
from repack_dashboard.events import Draft, Entry, Order, Outcome
from repack_dashboard.store import Store, order_of


class Board:
    """Takes what was seen, drops what is old news, and writes the rest to the log.

    What is old news the log decides, which all replicas share; what the store knows already need not be asked.
    """

    def __init__(self, *, store: Store, log: EventLog, attempts: Attempts, now: Callable[[], datetime]) -> None:
        self.store = store
        self._log = log
        self._attempts = attempts
        self._now = now
        self._digests: dict[str, ProgressDigest] = {}
        self._progress: dict[str, Progress] = {}
        """What was known of the tasks when the log was lost."""
        log.listeners.entries.append(self._apply)
        log.listeners.begins.append(self._begin)

    async def observe(self, task: RepackageTask) -> bool:
        """Take a state of a task; False when it is not newer than the known one."""
        await self._bring_progress([task])
        return await self._observe(task)

    async def _observe(self, task: RepackageTask) -> bool:
        if not self.store.is_news(task):
            return False
        uid, order = task.metadata.uid, order_of(task)
        old = self.store.get(uid)
        view = TaskView.of(task, progress=old.progress if old else self._kept_progress(uid))
        outcome = await self._append(view, view, order=order)
        if outcome != "appended":
            self.store.renumber(uid, order)
        return outcome != "known"

    async def observe_all(self, found: Sequence[RepackageTask], vanished: Iterable[str]) -> None:
        """Take a full list, and the uids of the tasks that it should hold and does not."""
        await self._bring_progress(found)
        for task in found:
            await self._observe(task)
        for uid in vanished:
            await self.remove(uid)

    async def remove(self, uid: str) -> bool:
        """Take note that a task is gone; False when it was not known."""
        view = self.store.get(uid)
        if view is None:
            return False
        return await self._append(view, None) == "appended"

    async def report(self, uid: str, progress: Progress) -> bool:
        """Take a worker's progress; False when it is late, repeated or of a task that is not known."""
        if not self.store.is_progress_news(uid, progress):
            return False
        view = self.store.get(uid)
        if view is None:
            return False
        if await self._append(view, progress) != "appended":
            return False
        if _is_milestone(view.progress, progress):
            await self._attempts.keep_progress(uid, progress)
        return True

    def take_digests(self) -> list[ProgressDigest]:
        """Return the progress that changed since this was last asked."""
        digests = list(self._digests.values())
        self._digests.clear()
        return digests

    def _apply(self, entry: Entry) -> None:
        draft = entry.draft
        self.store.apply(draft)
        match draft.body:
            case Progress() as progress:
                self._digests[draft.uid] = _digest(draft.uid, progress)
            case None:
                self._digests.pop(draft.uid, None)
                self._attempts.forget(draft.uid)

    def _begin(self, states: Sequence[Draft]) -> None:
        self._progress = {view.uid: view.progress for view in self.store if view.progress is not None}
        self.store.begin(states)

    async def _bring_progress(self, tasks: Sequence[RepackageTask]) -> None:
        """Bring what a finished task's timeline needs; a task that never ran has none."""
        new = [task for task in tasks if task.metadata.uid not in self.store and task.status.attempt]
        await self._attempts.bring_progress([(task.metadata.uid, task.status.attempt or 0) for task in new])

    def _kept_progress(self, uid: str) -> Progress | None:
        return self._progress.get(uid) or self._attempts.last_progress(uid)

    async def _append(self, view: TaskView, body: TaskView | Progress | None, *, order: Order = (0, 0, 0)) -> Outcome:
        return await self._log.append(Draft(view.uid, view.namespace, view.name, self._now(), body, order))


def _digest(uid: str, progress: Progress) -> ProgressDigest:
    return ProgressDigest(
        uid=uid,
        attempt=progress.attempt,
        percent=progress.percent,
        step=progress.stage,
        message=progress.message,
    )


def _is_milestone(old: Progress | None, new: Progress) -> bool:
    """Tell whether a progress must survive a restart: a stage began or ended, not merely bytes that moved."""
    return old is None or _outline(old) != _outline(new)


def _outline(progress: Progress) -> tuple[int, list[StageState]]:
    return progress.attempt, [stage.state for stage in progress.stages]
