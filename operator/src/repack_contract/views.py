"""What the dashboard's REST answers and its WebSocket messages carry."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from repack_contract.phases import Phase
from repack_contract.progress import LogLine, Progress
from repack_contract.source import SourceType
from repack_contract.task import Arch, Mode, RepackageTask, Spec, Status
from repack_contract.wire import Model, StrictModel


class TaskView(Model):
    """One task as the page shows it: the object, and the live progress that is not in it."""

    uid: str
    namespace: str
    name: str
    labels: dict[str, str] = Field(default_factory=dict)
    created_at: AwareDatetime | None = None
    generation: int = 0
    deleting: bool = False
    spec: Spec
    status: Status = Field(default_factory=Status)
    progress: Progress | None = None

    @classmethod
    def of(cls, task: RepackageTask, *, progress: Progress | None = None) -> "TaskView":
        """Return the view of a task object."""
        metadata = task.metadata
        return cls(
            uid=metadata.uid,
            namespace=metadata.namespace,
            name=metadata.name,
            labels=metadata.labels,
            created_at=metadata.creation_timestamp,
            generation=metadata.generation,
            deleting=metadata.deletion_timestamp is not None,
            spec=task.spec,
            status=task.status,
            progress=progress,
        )


class TaskList(Model):
    """A page of tasks, newest first."""

    items: list[TaskView]
    total: int
    """Number of tasks that match the filter."""
    counts: dict[Phase, int]
    """Number of tasks in each phase among all that the asker may see, whatever the filter."""
    continue_: str | None = Field(default=None, alias="continue")


class NewTask(StrictModel):
    """What the form sends."""

    namespace: str | None = None
    """The dashboard's own namespace when absent."""
    name: str | None = None
    """Made from the source when absent."""
    rerun_of: str | None = None
    """Name of the task that this one runs again (label `dify-repack.io/rerun-of`)."""
    spec: Spec


class Upload(Model):
    """A package that was uploaded; `spec.source.upload.key` names it."""

    key: str
    filename: str
    size_bytes: int
    sha256: str


class StoredArtifact(Model):
    """A package that a worker uploaded."""

    uri: str
    """Path on the dashboard, from which the page and `curl` download it."""
    name: str
    size_bytes: int
    sha256: str


class LogPage(Model):
    """A piece of the log of one attempt."""

    attempt: int
    attempts: list[int]
    """The attempts of which a log is kept."""
    items: list[LogLine]
    last: int
    """Number of the last line that is kept; 0 when there is none."""
    complete: bool
    """The attempt has ended: no further line will come."""


class OperatorState(StrEnum):
    """Whether the states shown can be trusted to be fresh."""

    UNKNOWN = "Unknown"
    """Not heard since the dashboard started."""
    HEALTHY = "Healthy"
    STALE = "Stale"
    """Not heard for three heartbeats: what is shown may be old."""


class OperatorHealth(Model):
    """What the operator's heartbeat told."""

    state: OperatorState = OperatorState.UNKNOWN
    last_heard_at: AwareDatetime | None = None
    instance: str | None = None
    epoch: int | None = None
    leader: bool | None = None
    queue_depth: int | None = None
    running: int | None = None
    slots: int | None = None
    watch_age_seconds: float | None = None
    api_errors: int | None = None
    lag_seconds: float | None = None


class Limits(Model):
    """Limits in force, for the page to check before sending."""

    max_upload_bytes: int


class Defaults(Model):
    """What the form starts with."""

    targets: list[Arch]
    python: str
    mode: Mode
    suffix: str
    package_index_url: str | None = None


class ClientConfig(Model):
    """What the page must know before it can show anything."""

    version: str
    instance: str
    """Changes when the dashboard restarts."""
    auth_mode: str
    namespace: str
    namespaces: list[str]
    sources: list[SourceType]
    """The kinds of source that the workers can fetch."""
    targets: list[Arch]
    """The targets that the workers can make."""
    modes: list[Mode]
    limits: Limits
    defaults: Defaults
    marketplace: bool = False
    """The Marketplace can be searched from the page."""


class PodSight(Model):
    """A Pod of the current attempt, as far as it helps to see why nothing moves."""

    name: str
    phase: str
    node: str | None = None
    reason: str | None = None
    """Why a container waits or ended, such as `ImagePullBackOff`; of a Pod that found no node `Unschedulable`."""
    message: str | None = None
    image: str | None = None


class EventSight(Model):
    """A Kubernetes Event about the task, its Jobs or its Pods."""

    kind: str
    """Of the object that it is about: `RepackageTask`, `Job`, `Pod`."""
    name: str
    type: str
    """`Normal` or `Warning`."""
    reason: str
    message: str
    count: int = 1
    last_seen: AwareDatetime | None = None


class TaskSights(Model):
    """What `kubectl describe` would tell of a task's Pods and Events."""

    pods: list[PodSight]
    events: list[EventSight]
    """Newest first."""
    missing: list[str] = Field(default_factory=list)
    """What the dashboard's service account may not list: `pods`, `events`."""


class PackageCompanions(Model):
    """What lies beside one package of a task."""

    target: Arch
    kinds: list[str]
    """Of `report.json`, `sbom.cdx.json`, and, where it was signed, `public_key.pem`."""


class StoredBytes(Model):
    """Files of one kind."""

    files: int = 0
    size_bytes: int = 0


class StorageReport(Model):
    """What the dashboard keeps, and when it goes. Of tasks the asker may not see nothing is counted."""

    packages: StoredBytes
    """Finished packages of tasks that exist."""
    logs: StoredBytes
    uploads: StoredBytes
    """What users uploaded and some task still names."""
    leaving: StoredBytes
    """Files of deleted tasks and uploads that no task names: they go when `retention_seconds` are over."""
    retention_seconds: float
    """Those after which the files of deleted tasks go."""
    max_upload_bytes: int
    max_artifact_bytes: int
    volume_bytes: int | None = None
    """None where an object store keeps the files: it has no end."""
    free_bytes: int | None = None


class EndedTask(Model):
    """What is remembered of a task that ended, also when it was deleted since."""

    uid: str
    namespace: str
    phase: Phase
    """`Succeeded` or `Failed`."""
    reason: str | None = None
    created_at: AwareDatetime | None = None
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime


class Problem(Model):
    """An error as RFC 9457 `application/problem+json`, with our reason and hint."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str
    """A reason of the table, or `BadRequest`, `NotFound`, `Conflict`, `Unauthorized`, `Forbidden`, `Unavailable`."""
    hint: str = ""
    instance: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
    """Further facts, such as `{"field": "spec.source.url.url"}`."""
