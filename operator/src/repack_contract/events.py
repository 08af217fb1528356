"""What the operator and the workers send to the dashboard's ingest endpoint, and how it is acknowledged.

Batches are sent at least once: a sender repeats a batch until it is acknowledged, and the dashboard recognises what
it knows already by (uid, sequence) of a transition, (uid, attempt, tick) of progress and (uid, attempt, n) of a line.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from repack_contract.phases import Stage
from repack_contract.progress import LogLine, Progress
from repack_contract.task import RepackageTask
from repack_contract.wire import Model

MAX_BATCH_EVENTS = 200
MAX_BATCH_LINES = 1000
MAX_QUEUE_PLACES = 100
HEARTBEAT_SECONDS = 5.0
MISSED_HEARTBEATS = 3
"""So many silent intervals make the operator stale."""


class TaskObserved(Model):
    """The operator saw or wrote a task: its whole object. Ordered by (`status.sequence`, `metadata.generation`)."""

    kind: Literal["task"] = "task"
    task: RepackageTask
    ts: AwareDatetime


class TaskRemoved(Model):
    """A task object is gone from the cluster."""

    kind: Literal["removed"] = "removed"
    uid: str
    namespace: str
    name: str
    ts: AwareDatetime


class SnapshotMark(Model):
    """The operator has just sent every task that exists: what is not among these uids is gone."""

    kind: Literal["snapshot"] = "snapshot"
    uids: list[str]
    ts: AwareDatetime


class QueuePlace(Model):
    """A task that waits for a slot: where it stands, and when it will probably begin."""

    uid: str
    position: int = Field(ge=1)
    why: str
    """What keeps it from starting, such as `all 4 slots are in use`."""
    starts_in_seconds: int | None = None
    """An estimate; None while nothing is known of durations."""
    lasts_seconds: int | None = None
    """How long a task of this source and these targets took lately."""


class Heartbeat(Model):
    """Sent every `HEARTBEAT_SECONDS`. Its acknowledgement brings the progress that changed since the last one."""

    kind: Literal["heartbeat"] = "heartbeat"
    leader: bool
    queue_depth: int = Field(ge=0)
    running: int = Field(ge=0)
    slots: int = Field(ge=0)
    watch_age_seconds: float = Field(ge=0)
    api_errors: int = Field(default=0, ge=0)
    """Calls of the last minute that the API server did not answer, or refused for want of rights or capacity."""
    lag_seconds: float = Field(default=0.0, ge=0)
    """Age of the oldest change that the operator has not looked at yet."""
    queue: list[QueuePlace] = Field(default_factory=list, max_length=MAX_QUEUE_PLACES)
    """The first places of the queue."""
    ts: AwareDatetime


class ProgressReported(Model):
    """A worker's progress, whole."""

    kind: Literal["progress"] = "progress"
    progress: Progress


class LinesLogged(Model):
    """Lines of a worker's log, in order."""

    kind: Literal["log"] = "log"
    lines: list[LogLine] = Field(min_length=1, max_length=MAX_BATCH_LINES)


OperatorEvent = Annotated[TaskObserved | TaskRemoved | SnapshotMark | Heartbeat, Field(discriminator="kind")]
WorkerEvent = Annotated[ProgressReported | LinesLogged, Field(discriminator="kind")]


class OperatorBatch(Model):
    """Events of the operator, in the order in which they happened."""

    sender: Literal["operator"] = "operator"
    instance: str
    """Random per process."""
    epoch: int = Field(ge=0)
    """`leaseTransitions` of the leader election; 0 without one."""
    batch: int = Field(ge=1)
    """Number of the batch, contiguous per instance; a repeated batch keeps its number."""
    events: list[OperatorEvent] = Field(max_length=MAX_BATCH_EVENTS)


class WorkerBatch(Model):
    """Events of the worker of one attempt, in order."""

    sender: Literal["worker"] = "worker"
    uid: str
    attempt: int = Field(ge=1)
    batch: int = Field(ge=1)
    events: list[WorkerEvent] = Field(max_length=MAX_BATCH_EVENTS)


IngestBatch = Annotated[OperatorBatch | WorkerBatch, Field(discriminator="sender")]


class ProgressDigest(Model):
    """What the operator copies to `status.progress`."""

    uid: str
    attempt: int
    percent: int | None = None
    step: Stage | None = None
    message: str | None = None


class IngestAck(Model):
    """The dashboard has taken the batch; what it acknowledges it will not ask for again."""

    instance: str
    """Of the dashboard. When it changes, the operator sends everything again and a worker its last lines."""
    batch: int
    accepted: int = 0
    duplicates: int = 0
    progress: list[ProgressDigest] = Field(default_factory=list)
    """Only in the answer to a batch with a heartbeat."""
