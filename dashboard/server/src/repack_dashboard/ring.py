"""The last events in memory, finished for sending: what a client that comes back is owed is read from here."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from repack_dashboard.events import Bounds, Entry

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


class Ring:
    """The heads of all channels and the events that lead up to them, within bounds."""

    def __init__(self, *, epoch: str, bounds: Bounds, clock: Callable[[], float]) -> None:
        self.epoch = epoch
        self.gseq = 0
        self._bounds = bounds
        self._clock = clock
        self._all: deque[Entry] = deque()
        self._bytes = 0
        self._seqs: dict[str, int] = {}
        self._of_task: dict[str, deque[Entry]] = {}

    def head(self, uid: str | None) -> int:
        """Return the last `seq` of a task, or (None) the last `gseq`; 0 before the first event."""
        return self.gseq if uid is None else self._seqs.get(uid, 0)

    @property
    def oldest(self) -> int:
        """The `gseq` of the oldest event that is kept; where there is none, that of the last one."""
        return self._all[0].gseq if self._all else self.gseq

    def add(self, entry: Entry) -> None:
        """Keep the next event."""
        self.gseq = entry.gseq
        self._seqs[entry.draft.uid] = entry.seq
        self._all.append(entry)
        self._bytes += len(entry.frame)
        self._of_task.setdefault(entry.draft.uid, deque(maxlen=self._bounds.task_events)).append(entry)
        while len(self._all) > self._bounds.events or self._bytes > self._bounds.total_bytes:
            self._forget_oldest()

    def begin(self, *, epoch: str, gseq: int, seqs: Mapping[str, int]) -> None:
        """Forget everything and go on from these numbers, which may be those of another epoch."""
        self._all.clear()
        self._of_task.clear()
        self._bytes = 0
        self.epoch, self.gseq, self._seqs = epoch, gseq, dict(seqs)

    def since(self, uid: str | None, *, position: int, epoch: str) -> Replay:
        """Return what came after `position`, unless it is another epoch's, ahead of us or no longer kept."""
        head = self.head(uid)
        if epoch != self.epoch:
            return Replay("epoch")
        if position > head:
            return Replay("future")
        missed = head - position
        ring = self._all if uid is None else self._of_task.get(uid, deque())
        if missed > min(len(ring), self._bounds.replay):
            return Replay("too_old")
        if missed == 0:
            return Replay("recovered")
        return Replay("recovered", tuple(entry.frame for entry in list(ring)[-missed:]))

    def expire(self) -> None:
        """Forget events that are too old. A task's counter stays as long as the task: it must not begin again."""
        horizon = self._clock() - self._bounds.seconds
        while self._all and self._all[0].at < horizon:
            self._forget_oldest()
        for uid, ring in list(self._of_task.items()):
            last = ring[-1]
            while ring and ring[0].at < horizon:
                ring.popleft()
            if not ring:
                del self._of_task[uid]
                if last.draft.body is None:
                    del self._seqs[uid]

    def _forget_oldest(self) -> None:
        self._bytes -= len(self._all.popleft().frame)
