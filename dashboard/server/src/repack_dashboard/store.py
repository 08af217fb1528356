"""The tasks as they are now. Written by the event log's entries alone, so that every replica holds the same."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from repack_contract.progress import Progress
from repack_contract.task import RepackageTask
from repack_contract.views import TaskView
from repack_dashboard.events import Draft, Order

MAX_TOMBSTONES = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """A task, and which of its states this is."""

    view: TaskView
    order: Order


def order_of(task: RepackageTask) -> Order:
    """Return what orders the states of one task: they come from two senders, repeated and out of step."""
    version = task.metadata.resource_version
    sequence = -1 if task.status.sequence is None else task.status.sequence
    return (sequence, task.metadata.generation, int(version) if version.isdecimal() else 0)


def progress_order(progress: Progress | None) -> tuple[int, int]:
    """Return what orders the progress of one task; that of a later attempt is newer."""
    return (-1, -1) if progress is None else (progress.attempt, progress.tick)


class Store:
    """All tasks by uid."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._gone: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[TaskView]:
        return (known.view for known in self._known.values())

    def __contains__(self, uid: str) -> bool:
        return uid in self._known

    @property
    def uids(self) -> Collection[str]:
        """The uids of all tasks."""
        return self._known.keys()

    def get(self, uid: str) -> TaskView | None:
        """Return a task by its uid."""
        known = self._known.get(uid)
        return None if known is None else known.view

    def is_gone(self, uid: str) -> bool:
        """Tell whether this task existed and was deleted."""
        return uid in self._gone

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces that hold a task."""
        return frozenset(namespace for namespace, _ in self._names)

    def find(self, namespace: str, name: str) -> TaskView | None:
        """Return a task by its name."""
        uid = self._names.get((namespace, name))
        return None if uid is None else self.get(uid)

    def names(self, namespace: str) -> set[str]:
        """Return the names that are taken in a namespace."""
        return {name for owner, name in self._names if owner == namespace}

    def is_news(self, task: RepackageTask) -> bool:
        """Tell whether this is a later state of the task than the known one, and not that of a task already gone."""
        uid = task.metadata.uid
        if uid in self._gone:
            return False  # a uid is never given twice: this is an old message that came late
        known = self._known.get(uid)
        return known is None or order_of(task) > known.order

    def is_progress_news(self, uid: str, progress: Progress) -> bool:
        """Tell whether this is later progress of a known task."""
        view = self.get(uid)
        return view is not None and progress_order(progress) > progress_order(view.progress)

    def renumber(self, uid: str, order: Order) -> None:
        """Note a later version of a task that shows nothing new; one that was deleted meanwhile stays so."""
        known = self._known.get(uid)
        if known is not None and order > known.order:
            self._known[uid] = replace(known, order=order)

    def apply(self, draft: Draft) -> None:
        """Take over what the event log says."""
        match draft.body:
            case TaskView() as view:
                self._put(view, draft.order)
            case Progress() as progress:
                if known := self._known.get(draft.uid):
                    self._known[draft.uid] = replace(known, view=known.view.model_copy(update={"progress": progress}))
            case None:
                self._drop(draft.uid)

    def begin(self, states: Iterable[Draft]) -> None:
        """Forget all tasks and take over these states. What is gone stays gone."""
        self._known.clear()
        self._names.clear()
        for draft in states:
            self.apply(draft)

    def _put(self, view: TaskView, order: Order) -> None:
        self._known[view.uid] = Known(view, order)
        self._names[view.namespace, view.name] = view.uid

    def _drop(self, uid: str) -> None:
        known = self._known.pop(uid, None)
        if known and self._names.get((known.view.namespace, known.view.name)) == uid:
            del self._names[known.view.namespace, known.view.name]
        self._gone[uid] = None
        if len(self._gone) > MAX_TOMBSTONES:
            del self._gone[next(iter(self._gone))]
