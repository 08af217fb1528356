"""The one ordered log of an installation: it hands out `epoch`, `seq` (per task) and `gseq` (over all tasks).

The log alone gives the numbers, not the process that holds the sockets (realtime.md 2.2). Whoever appends waits for
the number; whoever shows events listens. In memory both happen at once; a log shared by several replicas appends
remotely and calls the listeners from the stream that it follows.
"""

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from repack_contract.messages import TaskDeleted, TaskProgress, TaskStatus
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.frames import frame

Order = tuple[int, int, int]
"""(status.sequence, metadata.generation, metadata.resourceVersion): which state of a task is the newer one."""


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


Verdict = Literal["recovered", "epoch", "too_old", "future"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a client that comes back is owed: the frames since its position, or (not recovered) a snapshot."""

    verdict: Verdict
    frames: tuple[bytes, ...] = ()

    @property
    def recovered(self) -> bool:
        """Tell whether `frames` is everything since the client's position."""
        return self.verdict == "recovered"


Listener = Callable[[Entry], None]


class EventLog(Protocol):
    """The ordered log as the rest of the dashboard sees it."""

    @property
    def epoch(self) -> str:
        """Names the numbering; another epoch, other numbers."""
        ...

    def head(self, uid: str | None) -> int:
        """Return the last `seq` of a task, or (None) the last `gseq`; 0 before the first event."""
        ...

    async def append(self, draft: Draft) -> None:
        """Give the event its numbers, keep it and call the listeners with it, all as one step."""
        ...

    def since(self, uid: str | None, *, position: int, epoch: str) -> Replay:
        """Return what came after a client's position on a task's channel, or (None) on that of all tasks."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every entry, in order, and never let it wait."""
        ...

    def expire(self) -> None:
        """Forget what is too old."""
        ...


@dataclass(frozen=True)
class Bounds:
    """How much a log keeps for clients that come back."""

    events: int = 10_000
    total_bytes: int = 16 * 1024**2
    task_events: int = 64
    seconds: float = 600.0
    replay: int = 1000


class MemoryLog:
    """The log of a dashboard that runs alone: a bounded ring. Empty after a restart, which its new epoch tells."""

    def __init__(self, *, bounds: Bounds, clock: Callable[[], float], epoch: str | None = None) -> None:
        self._epoch = epoch or secrets.token_hex(6)
        self._bounds = bounds
        self._clock = clock
        self._ring: deque[Entry] = deque()
        self._ring_bytes = 0
        self._gseq = 0
        self._seqs: dict[str, int] = {}
        self._rings: dict[str, deque[Entry]] = {}
        self._listeners: list[Listener] = []

    @property
    def epoch(self) -> str:
        """Random per process."""
        return self._epoch

    def head(self, uid: str | None) -> int:
        """Return the last number of a channel."""
        return self._gseq if uid is None else self._seqs.get(uid, 0)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every entry."""
        self._listeners.append(listener)

    async def append(self, draft: Draft) -> None:
        """Number, keep and announce an event. Never waits, so nothing can come between."""
        self._gseq += 1
        seq = self._seqs[draft.uid] = self._seqs.get(draft.uid, 0) + 1
        entry = Entry(draft, seq, self._gseq, self._frame(draft, seq), self._clock())
        self._ring.append(entry)
        self._ring_bytes += len(entry.frame)
        self._rings.setdefault(draft.uid, deque(maxlen=self._bounds.task_events)).append(entry)
        self._shrink()
        for listener in self._listeners:
            listener(entry)

    def since(self, uid: str | None, *, position: int, epoch: str) -> Replay:
        """Return what came after `position`, unless it is another epoch's, ahead of us or no longer kept."""
        head = self.head(uid)
        if epoch != self._epoch:
            return Replay("epoch")
        if position > head:
            return Replay("future")
        missed = head - position
        ring = self._ring if uid is None else self._rings.get(uid, deque())
        if missed > min(len(ring), self._bounds.replay):
            return Replay("too_old")
        if missed == 0:
            return Replay("recovered")
        return Replay("recovered", tuple(entry.frame for entry in list(ring)[-missed:]))

    def expire(self) -> None:
        """Forget events that are too old. A task's counter stays as long as the task: it must not begin again."""
        horizon = self._clock() - self._bounds.seconds
        while self._ring and self._ring[0].at < horizon:
            self._forget_oldest()
        for uid, ring in list(self._rings.items()):
            last = ring[-1]
            while ring and ring[0].at < horizon:
                ring.popleft()
            if not ring:
                del self._rings[uid]
                if last.draft.body is None:
                    del self._seqs[uid]

    def _shrink(self) -> None:
        while len(self._ring) > self._bounds.events or self._ring_bytes > self._bounds.total_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._ring_bytes -= len(self._ring.popleft().frame)

    def _frame(self, draft: Draft, seq: int) -> bytes:
        envelope: dict[str, Any] = {
            "task_id": draft.uid,
            "namespace": draft.namespace,
            "name": draft.name,
            "seq": seq,
            "gseq": self._gseq,
            "epoch": self._epoch,
            "ts": draft.ts,
        }
        match draft.body:
            case TaskView() as view:
                return frame(TaskStatus.model_construct(**envelope, data=view))
            case Progress() as progress:
                return frame(TaskProgress.model_construct(**envelope, data=progress))
            case None:
                return frame(TaskDeleted.model_construct(**envelope))
