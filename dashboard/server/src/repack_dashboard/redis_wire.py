"""What the event log writes into Redis and reads from it: drafts as JSON, and the state that follows from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.events import Draft, Order, progress_rank, rank, shown

Fields = Mapping[bytes, bytes]
Kind = Literal["status", "progress", "deleted"]
EventId = bytes
"""The id of an event in the stream: `<gseq>-0`. So a position of a browser is a position in the stream."""


class _Written(BaseModel):
    """A draft without its progress, which is written beside it: the script must be able to put in a newer one."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    uid: str
    namespace: str
    name: str
    ts: datetime
    order: Order
    view: TaskView | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The arguments of `append.lua` that say what happened."""

    kind: Kind
    uid: str
    rank: str
    shown: str
    draft: str
    progress: str
    progress_rank: str

    @classmethod
    def of(cls, draft: Draft) -> "Outgoing":
        """Return what is written of a draft."""
        kind: Kind
        view: TaskView | None = None
        progress: Progress | None = None
        match draft.body:
            case TaskView() as whole:
                kind, progress, view = "status", whole.progress, whole.model_copy(update={"progress": None})
            case Progress() as progress:
                kind = "progress"
            case None:
                kind = "deleted"
        written = _Written(
            kind=kind, uid=draft.uid, namespace=draft.namespace, name=draft.name, ts=draft.ts, order=draft.order,
            view=view,
        )  # fmt: skip
        return cls(
            kind=kind,
            uid=draft.uid,
            rank="" if kind == "progress" else rank(draft),
            shown="" if view is None else shown(view),
            draft=written.model_dump_json(exclude_none=True),
            progress="" if progress is None else progress.model_dump_json(exclude_none=True),
            progress_rank="" if progress is None else progress_rank(progress),
        )


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event as it stands in the stream."""

    draft: Draft
    gseq: int
    seq: int
    at: float
    """Redis' clock, in seconds."""
    mark: bytes
    """Random: tells this event from another one that got the same number after a failover."""
    after: bytes
    """The mark of the event before; empty where this is the first."""

    @classmethod
    def of(cls, event: EventId, fields: Fields) -> "Incoming":
        """Return an event of the stream. Raises `ValueError` where it is none of ours."""
        return cls(
            draft=_draft_of(fields[b"draft"], fields[b"progress"]),
            gseq=gseq_of(event),
            seq=int(fields[b"seq"]),
            at=int(fields[b"at"]) / 1000,
            mark=fields[b"mark"],
            after=fields[b"after"],
        )


def gseq_of(event: EventId) -> int:
    """Return the number of an event from its id in the stream."""
    return int(event.partition(b"-")[0])


def event_id(gseq: int) -> str:
    """Return the id of the event with this number."""
    return f"{gseq}-0"


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that Redis keeps of the log, at one moment."""

    epoch: str
    gseq: int
    seqs: Mapping[str, int]
    states: Sequence[Draft]
    """The last state of every task, with its progress."""

    @classmethod
    def of(cls, log: Fields) -> "Kept":
        """Return what the hash of the log says. Raises `ValueError` where it is none of ours."""
        return cls(
            epoch=log.get(b"epoch", b"").decode(),
            gseq=int(log.get(b"gseq", 0)),
            seqs={uid: int(value) for uid, value in _about(log, b"seq:")},
            states=[
                _draft_of(value, log.get(b"progress:" + uid.encode(), b"")) for uid, value in _about(log, b"state:")
            ],
        )


def _about(log: Fields, prefix: bytes) -> Iterator[tuple[str, bytes]]:
    return ((name[len(prefix) :].decode(), value) for name, value in log.items() if name.startswith(prefix))


def _draft_of(data: bytes, progress_data: bytes) -> Draft:
    written = _Written.model_validate_json(data, extra="ignore")
    progress = Progress.model_validate_json(progress_data, extra="ignore") if progress_data else None
    draft = Draft(written.uid, written.namespace, written.name, written.ts, None, written.order)
    match written.kind:
        case "status" if written.view is not None:
            return replace(draft, body=written.view.model_copy(update={"progress": progress}))
        case "progress" if progress is not None:
            return replace(draft, body=progress)
        case "deleted":
            return draft
    raise ValueError(f"an event of kind {written.kind} lacks its content")
