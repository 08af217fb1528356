"""What a decision depends on, and what it can say. Plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from repack_contract.phases import Phase
from repack_contract.progress import WorkResult
from repack_contract.task import AttemptRecord, DesiredState, RepackageTask, Status
from repack_operator.outcome import last_pod, over
from repack_operator.sightings import JobSeen, PodSeen

POSITION_SECONDS = 30.0
"""A place in the queue that was told is not told anew before so long."""


@dataclass(frozen=True)
class Slot:
    """Whether one task may start now, and if not, why."""

    free: bool
    position: int = 0
    """Coarse place in the queue, from 1."""
    why: str = ""
    """What keeps the task from starting, such as `all 4 slots are in use`."""
    again_seconds: float = POSITION_SECONDS
    """When the place is worth another look."""


@dataclass(frozen=True)
class CreateJob:
    """Make the Job of an attempt."""

    attempt: int
    memory_step: int = 0
    """How many attempts were killed for want of memory."""


@dataclass(frozen=True)
class DeleteJob:
    """Delete this very Job; its Pods go with it."""

    name: str
    uid: str


@dataclass(frozen=True)
class LookFor:
    """Ask the API server for the Job of an attempt and its Pods: what we know is not enough to judge."""

    attempt: int


@dataclass(frozen=True)
class AskStore:
    """Ask the artifact store whether an attempt published everything before its Job vanished."""

    attempt: int


@dataclass(frozen=True)
class DeleteTask:
    """Delete the finished task: its time to live has passed."""


ApiAction = CreateJob | DeleteJob | LookFor | DeleteTask
"""What is done, or asked, at the API server."""
Action = ApiAction | AskStore


@dataclass(frozen=True)
class Answers:
    """What was asked for the sake of one decision, just now."""

    looked_for: int | None = None
    """The attempt of which the API server was asked: what is not seen now does not exist."""
    store_asked: int | None = None
    """The attempt of which the artifact store was asked."""
    published: WorkResult | None = None
    """What the store holds of that attempt."""


@dataclass(frozen=True)
class Refusal:
    """The API server did not make the Job."""

    reason: str
    message: str
    retry_at: datetime
    hint: str = ""
    final: bool = False
    """Asking again does not help: the name is taken by somebody else's Job."""


@dataclass(frozen=True)
class Situation:
    """Everything a decision depends on."""

    task: RepackageTask
    now: datetime
    jobs: Sequence[JobSeen] = ()
    pods: Sequence[PodSeen] = ()
    slot: Slot = field(default_factory=lambda: Slot(free=True))
    refusal: Refusal | None = None
    answers: Answers = field(default_factory=Answers)
    has_store: bool = False
    """There is an artifact store that can be asked."""
    unsure: bool = False
    """A Job was to be made, and the API server did not answer: it may exist."""
    default_ttl_seconds: int | None = None
    job_ttl_seconds: int | None = None
    """Finished Jobs go so long after the end of their task; None leaves them to the task's own end."""
    profiles: frozenset[str] | None = None
    """Names of the runtime profiles that the operator knows; None where it does not matter."""

    @property
    def looked_for(self) -> int | None:
        """The attempt of which the API server was just asked."""
        return self.answers.looked_for

    @property
    def recorded(self) -> frozenset[int]:
        """The attempts whose end is in the status; they are over, whatever else is seen of them."""
        return frozenset(record.attempt for record in self.task.status.attempts or [] if record.attempt)

    @property
    def attempt(self) -> int:
        """The number of the last attempt, 0 before the first."""
        return max([self.task.status.attempt or 0, *(job.attempt for job in self.jobs), *self.recorded])

    @property
    def job(self) -> JobSeen | None:
        """The Job of the last attempt, unless that attempt is over."""
        if self.attempt in self.recorded:
            return None
        return next((job for job in self.jobs if job.attempt == self.attempt), None)

    @property
    def pod(self) -> PodSeen | None:
        """The Pod that speaks for the last attempt."""
        return last_pod(self.pods, attempt=self.attempt)

    @property
    def lingering(self) -> bool:
        """Tell whether something of the task may still run."""
        return any(job.live for job in self.jobs) or any(not over(pod, self.now) for pod in self.pods)

    @property
    def failures(self) -> list[AttemptRecord]:
        """The attempts that failed (those that the user ended are none)."""
        return [record for record in self.task.status.attempts or [] if record.failure_class]

    @property
    def suspended(self) -> bool:
        """Tell whether the user wants the task held."""
        return self.task.spec.desired_state is DesiredState.SUSPENDED

    @property
    def cancelled(self) -> bool:
        """Tell whether the user wants the task stopped; once it is being stopped there is no way back."""
        return self.task.spec.desired_state is DesiredState.CANCELLED or self.task.phase is Phase.CANCELLING


@dataclass(frozen=True)
class Decision:
    """A new status (None: leave it), what to do, when to look again, and whether the task waits for a slot."""

    status: Status | None = None
    actions: tuple[Action, ...] = ()
    wake_at: datetime | None = None
    queued: bool = False


NOTHING = Decision()
