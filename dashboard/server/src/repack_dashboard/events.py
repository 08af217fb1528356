"""What happens to tasks, before and after the log has numbered it; and what makes it old news."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

from repack_contract.messages import TaskDeleted, TaskProgress, TaskStatus
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.frames import frame

Order = tuple[int, int, int]
"""(status.sequence, metadata.generation, metadata.resourceVersion): which state of a task is the newer one."""

Outcome = Literal["appended", "same", "known"]
"""What became of a draft: it has a number now; or it is newer and shows nothing new; or the log had it already."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What happened, without a number yet: a task's new state, its progress, or (None) its end."""

    uid: str
    namespace: str
    name: str
    ts: datetime
    body: TaskView | Progress | None
    order: Order = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened, with its numbers and as the one frame that all clients get."""

    draft: Draft
    seq: int
    gseq: int
    frame: bytes
    at: float
    """The log's clock, in seconds."""


@dataclass(frozen=True)
class Bounds:
    """How much a log keeps for clients that come back."""

    events: int = 10_000
    total_bytes: int = 16 * 1024**2
    task_events: int = 64
    seconds: float = 600.0
    replay: int = 1000


def numbered(draft: Draft, *, seq: int, gseq: int, epoch: str, at: float) -> Entry:
    """Return a draft with its numbers, as an entry of the log."""
    envelope: dict[str, Any] = {
        "task_id": draft.uid,
        "namespace": draft.namespace,
        "name": draft.name,
        "seq": seq,
        "gseq": gseq,
        "epoch": epoch,
        "ts": draft.ts,
    }
    match draft.body:
        case TaskView() as view:
            finished = frame(TaskStatus.model_construct(**envelope, data=view))
        case Progress() as progress:
            finished = frame(TaskProgress.model_construct(**envelope, data=progress))
        case None:
            finished = frame(TaskDeleted.model_construct(**envelope))
    return Entry(draft, seq, gseq, finished, at)


def rank(draft: Draft) -> str:
    """Return what orders the drafts of one kind of one task, as text that sorts like the numbers in it."""
    match draft.body:
        case TaskView():
            sequence, *others = draft.order
            return _sortable(sequence + 1, *others)  # before the first transition it is -1
        case Progress() as progress:
            return progress_rank(progress)
        case None:
            return ""


def progress_rank(progress: Progress) -> str:
    """Return what orders the progress of one task, as text that sorts."""
    return _sortable(progress.attempt, progress.tick)


def shown(view: TaskView) -> str:
    """Return a digest of what browsers see of a state.

    The progress is not part of it, which has events of its own, and neither is its copy in the status.
    """
    status = view.status.model_copy(update={"progress": None, "observed_generation": None})
    plain = view.model_copy(update={"status": status, "progress": None})
    return blake2b(plain.model_dump_json(exclude_none=True).encode(), digest_size=12).hexdigest()


def _sortable(*numbers: int) -> str:
    return ".".join(f"{number:020d}" for number in numbers)
