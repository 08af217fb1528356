"""The one ordered log of an installation: it hands out `epoch`, `seq` (per task) and `gseq` (over all tasks).

The log alone gives the numbers, not the process that holds the sockets (realtime.md 2.2). Whoever appends waits for
the number; whoever shows events listens. In memory both happen at once; the log that several replicas share
(`eventlog_redis.py`) appends remotely and calls the listeners from the stream that it follows.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.events import Bounds, Draft, Entry, Outcome, numbered, progress_rank, rank, shown
from repack_dashboard.notes import Note
from repack_dashboard.problems import ProblemError
from repack_dashboard.ring import Replay, Ring


class LogUnavailableError(ProblemError):
    """The log cannot be written now: nothing was acknowledged, so the sender sends it again. HTTP 503."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            503, f"The event log cannot be written: {detail}", hint="Send it again.", headers={"Retry-After": "1"}
        )


@dataclass
class Listeners:
    """Who is told what the log says. None of them may wait."""

    entries: list[Callable[[Entry], None]] = field(default_factory=list)
    """Called with every event, in order."""
    notes: list[Callable[[Note], None]] = field(default_factory=list)
    """Called with what is no event."""
    begins: list[Callable[[Sequence[Draft]], None]] = field(default_factory=list)
    """Called with the state of every task when the numbers do not go on from the last entry: what was known is void."""


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log is."""

    kind: str
    """`memory` or `redis`."""
    is_live: bool
    """False: nothing can be appended, and what others appended is not heard."""
    detail: str = ""
    """Why it is not live, in a sentence without a secret."""


class EventLog(Protocol):
    """The ordered log as the rest of the dashboard sees it."""

    listeners: Listeners

    @property
    def epoch(self) -> str:
        """Names the numbering; another epoch, other numbers."""
        ...

    @property
    def state(self) -> LogState:
        """How the log is now."""
        ...

    def head(self, uid: str | None) -> int:
        """Return the last `seq` of a task, or (None) the last `gseq`; 0 before the first event."""
        ...

    def check(self) -> None:
        """Raise `LogUnavailableError` where an append would."""
        ...

    async def append(self, draft: Draft) -> Outcome:
        """Give the event its numbers, keep it and call the listeners, unless the log knows it already.

        When it returns, the listeners here have heard of everything that the log held then.

        Raises:
            LogUnavailableError: it is not known to be in the log.
        """
        ...

    async def tell(self, note: Note) -> None:
        """Let all replicas hear something that is no event. Raises `LogUnavailableError`."""
        ...

    async def catch_up(self, uid: str | None, *, position: int | None, epoch: str | None) -> None:
        """Wait, for a short time at most, for what a client has seen elsewhere and we have not heard of yet."""
        ...

    def since(self, uid: str | None, *, position: int, epoch: str) -> Replay:
        """Return what came after a client's position on a task's channel, or (None) on that of all tasks."""
        ...

    def expire(self) -> None:
        """Forget what is too old."""
        ...

    async def reached(self) -> None:
        """Wait until it is live."""
        ...

    async def run(self) -> None:
        """Hear what others append, until it is cancelled."""
        ...


@dataclass(slots=True)
class _Known:
    """What the log knows of one task, by which it recognises what it was told before."""

    rank: str = ""
    shown: str = ""
    progress: Progress | None = None
    is_gone: bool = False

    def take(self, draft: Draft) -> Outcome:
        """Judge a draft and remember it. `append.lua` has the same rules for the log of several replicas."""
        if self.is_gone:
            return "known"
        match draft.body:
            case TaskView() as view:
                return self._take_state(rank(draft), shown(view), view.progress)
            case Progress() as progress:
                if self.progress is not None and progress_rank(progress) <= progress_rank(self.progress):
                    return "known"
                self.progress = progress
            case None:
                self.is_gone = True
        return "appended"

    def _take_state(self, new_rank: str, new_shown: str, offered: Progress | None) -> Outcome:
        if new_rank <= self.rank:
            return "known"
        self.rank = new_rank
        if new_shown == self.shown:
            return "same"
        self.shown = new_shown
        self.progress = self.progress or offered
        return "appended"


class MemoryLog:
    """The log of a dashboard that runs alone. Empty after a restart, which its new epoch tells."""

    def __init__(self, *, bounds: Bounds, clock: Callable[[], float], epoch: str | None = None) -> None:
        self.listeners = Listeners()
        self._clock = clock
        self._ring = Ring(epoch=epoch or secrets.token_hex(6), bounds=bounds, clock=clock)
        self._known: dict[str, _Known] = {}
        self.head = self._ring.head
        self.since = self._ring.since

    @property
    def epoch(self) -> str:
        """Random per process."""
        return self._ring.epoch

    @property
    def state(self) -> LogState:
        """Always live."""
        return LogState("memory", is_live=True)

    def check(self) -> None:
        """Raise nothing: memory is there."""

    async def append(self, draft: Draft) -> Outcome:
        """Number, keep and announce an event. Never waits, so nothing can come between."""
        known = self._known.setdefault(draft.uid, _Known())
        outcome = known.take(draft)
        if outcome != "appended":
            return outcome
        if isinstance(draft.body, TaskView):
            draft = replace(draft, body=draft.body.model_copy(update={"progress": known.progress}))
        seq, gseq = self.head(draft.uid) + 1, self.head(None) + 1
        entry = numbered(draft, seq=seq, gseq=gseq, epoch=self.epoch, at=self._clock())
        self._ring.add(entry)
        for listener in self.listeners.entries:
            listener(entry)
        return outcome

    async def tell(self, note: Note) -> None:
        """Tell it here; there is nobody else."""
        for listener in self.listeners.notes:
            listener(note)

    async def catch_up(self, uid: str | None, *, position: int | None, epoch: str | None) -> None:
        """Return at once: nobody can have seen more than this process has written."""

    def expire(self) -> None:
        """Forget events that are too old, and tasks that are gone."""
        self._ring.expire()
        for uid in [uid for uid, known in self._known.items() if known.is_gone and not self.head(uid)]:
            del self._known[uid]

    async def reached(self) -> None:
        """Return at once: memory is there."""

    async def run(self) -> None:
        """Return at once: nobody else appends."""
