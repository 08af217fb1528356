"""The state of a task is one value, `Phase`; `TRANSITIONS` is the whole state machine (operator.md 6.2)."""

from enum import StrEnum


class Phase(StrEnum):
    """Where a task stands. The last three are final: a finished task never changes, running again makes a new one."""

    PENDING = "Pending"
    """Seen, and nothing decided yet. Written only where a task really waits."""
    QUEUED = "Queued"
    """Waits for a slot; the condition `Admitted` tells its position and why."""
    STARTING = "Starting"
    """Its Job exists, and the worker does not run yet."""
    RUNNING = "Running"
    """The worker runs; `status.progress` tells the stage."""
    RETRYING = "Retrying"
    """The last attempt failed in a way that another one may mend; waits for the back-off to pass."""
    SUSPENDED = "Suspended"
    """Held by `spec.desiredState: Suspended`; its Job is gone and resuming starts another attempt."""
    CANCELLING = "Cancelling"
    """`spec.desiredState: Cancelled` was seen; the worker is being stopped."""
    SUCCEEDED = "Succeeded"
    """Every target has an artifact that was proven to install offline; or, of a dry run, the plan is there."""
    FAILED = "Failed"
    """It cannot be done, or not without the user; `reason` and `message` tell why and what to do."""
    CANCELLED = "Cancelled"
    """Stopped because the user wished so."""

    @property
    def is_final(self) -> bool:
        """Tell whether a task in this phase can never change again."""
        return self in FINAL_PHASES

    @property
    def holds_a_slot(self) -> bool:
        """Tell whether a task in this phase has a Job that may be running."""
        return self in {Phase.STARTING, Phase.RUNNING, Phase.CANCELLING}


FINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})

_ENDINGS = {Phase.FAILED, Phase.CANCELLING, Phase.CANCELLED}

TRANSITIONS: dict[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.PENDING, Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED, *_ENDINGS}),
    Phase.PENDING: frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED, *_ENDINGS}),
    Phase.QUEUED: frozenset({Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED, *_ENDINGS}),
    Phase.STARTING: frozenset(
        {Phase.RUNNING, Phase.RETRYING, Phase.QUEUED, Phase.SUSPENDED, Phase.SUCCEEDED, *_ENDINGS}
    ),
    Phase.RUNNING: frozenset({Phase.RETRYING, Phase.SUSPENDED, Phase.SUCCEEDED, *_ENDINGS}),
    Phase.RETRYING: frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED, *_ENDINGS}),
    Phase.SUSPENDED: frozenset({Phase.QUEUED, Phase.STARTING, Phase.RUNNING, *_ENDINGS}),
    # Work that ended well before the worker could be stopped is kept: the artifact is there and verified.
    Phase.CANCELLING: frozenset({Phase.CANCELLED, Phase.SUCCEEDED}),
    Phase.SUCCEEDED: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.CANCELLED: frozenset(),
}
"""From each phase (None: no status yet) the phases that may follow it."""


class ImpossibleTransitionError(ValueError):
    """A step that the state machine does not have; always a bug of the program that tried it."""

    def __init__(self, old: Phase | None, new: Phase) -> None:
        super().__init__(f"{old or '(new)'} → {new} is not a step a task can take")


def check_transition(old: Phase | None, new: Phase) -> None:
    """Raise `ImpossibleTransitionError` unless `new` is `old` or may follow it."""
    if new != old and new not in TRANSITIONS[old]:
        raise ImpossibleTransitionError(old, new)


class Stage(StrEnum):
    """What a worker does, in this order (repackaging.md 6.1). Build takes place only when something must be built."""

    FETCH = "Fetch"
    PLAN = "Plan"
    DOWNLOAD = "Download"
    BUILD = "Build"
    PACK = "Pack"
    VERIFY = "Verify"
    PUBLISH = "Publish"


class StageState(StrEnum):
    """Where one stage stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"
