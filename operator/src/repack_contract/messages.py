"""Messages of the WebSocket, version 1 (realtime.md 3). The envelope is snake_case, the payloads are camelCase.

One event is one frame for both channels: `seq` is contiguous per task, `gseq` over all tasks.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from repack_contract.progress import LogLine, Progress
from repack_contract.views import OperatorHealth, TaskView

PROTOCOL_VERSION = 1
SUBPROTOCOL = "taskws.v1"
ALL_TASKS = "tasks"
TASK_CHANNEL_PREFIX = "task:"


class _Frame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class _Envelope(_Frame):
    """What every event of the log carries."""

    v: Literal[1] = 1
    task_id: str
    namespace: str
    name: str
    seq: int
    """Contiguous per task."""
    gseq: int
    """Contiguous over all tasks."""
    epoch: str
    """Of the event log: another epoch, another numbering."""
    ts: AwareDatetime
    coalesced: int | None = None
    """So many events just before this one were left out for newer ones of the same task: their numbers are no hole."""


class Hello(_Frame):
    """First message to a client that speaks version 1."""

    v: Literal[1] = 1
    type: Literal["hello"] = "hello"
    conn: str
    epoch: str
    seq: int
    """Head of the channel that the path names: `seq` of one task, `gseq` of all."""
    recovered: bool
    """True: everything since the client's position follows. False: a snapshot follows, forget what you had."""
    replayed: int
    filtered: bool = False
    ping_interval: float
    server: str
    """Version of the dashboard."""
    caps: list[str] = Field(default_factory=lambda: ["resume", "sub"])
    operator: OperatorHealth = Field(default_factory=OperatorHealth)


class TaskStatus(_Envelope):
    """A task is new or changed."""

    type: Literal["task.status"] = "task.status"
    data: TaskView


class TaskProgress(_Envelope):
    """A worker's progress."""

    type: Literal["task.progress"] = "task.progress"
    data: Progress


class TaskDeleted(_Envelope):
    """A task is gone."""

    type: Literal["task.deleted"] = "task.deleted"


class LogData(BaseModel):
    """Lines of one attempt."""

    model_config = ConfigDict(frozen=True)

    attempt: int
    lines: list[LogLine]


class TaskLog(_Frame):
    """Lines of a log; outside the event log, numbered by themselves, sent on the task's own channel only."""

    v: Literal[1] = 1
    type: Literal["task.log"] = "task.log"
    task_id: str
    namespace: str
    name: str
    data: LogData


class TaskSnapshot(_Frame):
    """The state of one task; replaces what the client had."""

    v: Literal[1] = 1
    type: Literal["snapshot"] = "snapshot"
    task_id: str
    namespace: str
    name: str
    seq: int
    gseq: int
    epoch: str
    data: TaskView


class SnapshotEntry(BaseModel):
    """One task of a snapshot of all."""

    model_config = ConfigDict(frozen=True)

    task_id: str
    namespace: str
    name: str
    seq: int
    data: TaskView


class AllSnapshot(_Frame):
    """The state of all tasks; replaces what the client had. May come in several parts."""

    v: Literal[1] = 1
    type: Literal["snapshot"] = "snapshot"
    task_id: None = None
    namespace: None = None
    name: None = None
    gseq: int
    epoch: str
    part: int = 1
    parts: int = 1
    data: list[SnapshotEntry]


class OperatorHealthChanged(_Frame):
    """The operator was heard, or went silent; on the all-tasks channel, outside the event log."""

    v: Literal[1] = 1
    type: Literal["operator.health"] = "operator.health"
    data: OperatorHealth


class Ping(_Frame):
    """Either side asks whether the other is there."""

    type: Literal["ping"] = "ping"
    id: int | None = None
    ts: float | None = None


class Pong(_Frame):
    """The answer to a ping, with its id."""

    type: Literal["pong"] = "pong"
    id: int | None = None


class GoAway(_Frame):
    """The server will close this connection soon; come back after the given time."""

    type: Literal["goaway"] = "goaway"
    reason: str
    retry_after_ms: int


class ErrorMessage(_Frame):
    """The client's message `id` could not be obeyed."""

    type: Literal["error"] = "error"
    code: str
    message: str
    id: int | None = None
    fatal: bool = False


class Subscribed(_Frame):
    """Answer to `subscribe`: what follows for this channel."""

    v: Literal[1] = 1
    type: Literal["subscribed"] = "subscribed"
    id: int | None = None
    channel: str
    epoch: str
    seq: int
    recovered: bool
    replayed: int


class Unsubscribed(_Frame):
    """Answer to `unsubscribe`."""

    v: Literal[1] = 1
    type: Literal["unsubscribed"] = "unsubscribed"
    id: int | None = None
    channel: str


ServerMessage = (
    Hello
    | TaskStatus
    | TaskProgress
    | TaskDeleted
    | TaskLog
    | TaskSnapshot
    | AllSnapshot
    | OperatorHealthChanged
    | Subscribed
    | Unsubscribed
    | Ping
    | Pong
    | GoAway
    | ErrorMessage
)


class Subscribe(_Frame):
    """Join a channel (`tasks` or `task:<uid>`), from a position when `since` and `epoch` are given."""

    type: Literal["subscribe"] = "subscribe"
    id: int | None = None
    channel: str = Field(max_length=128)
    since: int | None = Field(default=None, ge=0)
    epoch: str | None = Field(default=None, max_length=64)


class Unsubscribe(_Frame):
    """Leave a channel."""

    type: Literal["unsubscribe"] = "unsubscribe"
    id: int | None = None
    channel: str = Field(max_length=128)


class Authenticate(_Frame):
    """A new token of the same user, before the old one ends; nothing is answered when it is good."""

    type: Literal["auth"] = "auth"
    id: int | None = None
    token: str = Field(max_length=16_384, repr=False)


ClientMessage = Annotated[Ping | Pong | Subscribe | Unsubscribe | Authenticate, Field(discriminator="type")]


class CloseCode:
    """Close codes (realtime.md 3.3): 4000-4499 reconnect, 4500-4999 are terminal."""

    NORMAL = 1000
    GOING_AWAY = 1001
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    CLIENT_HEARTBEAT_TIMEOUT = 4000
    SILENT = 4001
    SLOW_CONSUMER = 4008
    RESYNC = 4010
    RATE_LIMITED = 4013
    SERVER_FULL = 4029
    UNAUTHENTICATED = 4501
    FORBIDDEN = 4503
    UNKNOWN_TASK = 4504
    USER_LIMIT = 4505
    VERSION_UNSUPPORTED = 4506
