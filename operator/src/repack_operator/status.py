"""From the old status of a task to its new one. Pure; the only place where a status is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from repack_contract.conditions import ConditionType, merge_conditions
from repack_contract.errors import MAX_MESSAGE, sanitize, with_hint
from repack_contract.phases import Phase, Stage, check_transition
from repack_contract.progress import WorkResult
from repack_contract.reasons import REASONS, Reason
from repack_contract.task import AttemptRecord, Condition, JobReference, ProgressCopy, RepackageTask, Status
from repack_operator.outcome import Outcome
from repack_operator.sightings import JobSeen, PodSeen

MAX_ATTEMPT_RECORDS = 11
SUSPENDED = "Suspended"
"""`reason` of the record of an attempt that was ended by suspending the task; it is no failure."""
CANCELLED = "Cancelled"


@dataclass(frozen=True)
class Change:
    """What is to become of a task; fields that are None keep their value."""

    phase: Phase
    reason: str
    message: str
    now: datetime
    attempt: int | None = None
    job: JobReference | None = None
    started_at: datetime | None = None
    record: AttemptRecord | None = None
    result: WorkResult = field(default_factory=lambda: WorkResult(ok=False))
    expires_after_seconds: int | None = None
    dry_run: bool = False


def changed(task: RepackageTask, change: Change) -> Status:
    """Return the status after `change`, its sequence one higher.

    Raises:
        ImpossibleTransitionError: the state machine has no such step; a bug of the caller.
    """
    old = task.status
    check_transition(old.phase, change.phase)
    now = change.now.replace(microsecond=0)
    final = change.phase.is_final
    started = old.start_time or change.started_at
    queued = old.queued_at or task.metadata.creation_timestamp or now
    after = change.expires_after_seconds
    return Status(
        observed_generation=task.metadata.generation or None,
        sequence=(old.sequence or 0) + 1,
        phase=change.phase,
        reason=change.reason,
        message=change.message,
        attempt=change.attempt or old.attempt,
        queued_at=queued,
        start_time=started,
        completion_time=now if final else None,
        expires_at=now + timedelta(seconds=after) if final and after is not None else None,
        duration=duration_text((now - (started or queued)).total_seconds()) if final else None,
        job=change.job or old.job,
        plugin=change.result.plugin or old.plugin,
        progress=_progress(old, change, now=now),
        plan=change.result.plan or old.plan,
        artifacts=list(change.result.artifacts) or old.artifacts,
        attempts=_records(old.attempts or [], change.record),
        conditions=_conditions(old, change, generation=task.metadata.generation or None, now=now),
    )


def with_queue_position(task: RepackageTask, message: str, now: datetime) -> Status:
    """Return the status with another message of `Admitted=False`; not a transition, so its sequence stays."""
    conditions = [
        condition.model_copy(update={"message": message}) if condition.type == ConditionType.ADMITTED else condition
        for condition in task.status.conditions or []
    ]
    merged = merge_conditions(task.status.conditions or [], conditions, now=now)
    return task.status.model_copy(update={"conditions": merged})


def _progress(old: Status, change: Change, *, now: datetime) -> ProgressCopy | None:
    if change.phase is Phase.SUCCEEDED:
        return ProgressCopy(percent=100, step=Stage.PLAN if change.dry_run else Stage.PUBLISH, updated_at=now)
    new_attempt = change.attempt is not None and change.attempt != old.attempt
    return None if new_attempt or change.phase in {Phase.RETRYING, Phase.SUSPENDED} else old.progress


def _records(old: Sequence[AttemptRecord], new: AttemptRecord | None) -> list[AttemptRecord] | None:
    """Append a record; where there are too many, the oldest that is no failure goes first, because retries count."""
    records = [*old, new] if new else list(old)
    while len(records) > MAX_ATTEMPT_RECORDS:
        harmless = next((index for index, record in enumerate(records) if record.failure_class is None), 0)
        del records[harmless]
    return records or None


def _conditions(old: Status, change: Change, *, generation: int | None, now: datetime) -> list[Condition]:
    phase, reason = change.phase, change.reason
    wanted: list[tuple[ConditionType, str, str, str]] = []
    waiting = phase in {Phase.PENDING, Phase.QUEUED} and not old.attempt
    if waiting or phase is Phase.QUEUED:
        wanted.append((ConditionType.ADMITTED, "False", reason, change.message))
    elif change.attempt or old.attempt:
        wanted.append((ConditionType.ADMITTED, "True", "Admitted", "The task has, or had, a slot."))
    verdict = {Phase.SUCCEEDED: "True", Phase.FAILED: "False", Phase.CANCELLED: "False"}.get(phase, "Unknown")
    wanted.append((ConditionType.SUCCEEDED, verdict, reason, change.message))
    if phase is Phase.SUCCEEDED:
        wanted.append((ConditionType.COMPLETE, "True", reason, change.message))
        if not change.dry_run:
            ready = "Every target has a package whose offline install was verified."
            wanted.append((ConditionType.ARTIFACT_READY, "True", "Verified", ready))
    elif phase.is_final:
        wanted.append((ConditionType.FAILED, "True", reason, change.message))
        if phase is Phase.FAILED:
            wanted.append((ConditionType.STALLED, "True", reason, change.message))
    elif phase is not Phase.SUSPENDED:
        wanted.append((ConditionType.RECONCILING, "True", reason, change.message))
    conditions = [
        Condition(
            type=kind, status=state, observed_generation=generation, last_transition_time=now, reason=why, message=text
        )
        for kind, state, why, text in wanted
    ]
    return merge_conditions(old.conditions or [], conditions, now=now)


def sentence(message: str, reason: Reason | None = None, *, hint: str | None = None) -> str:
    """Return the text of `status.message`: what happened and, at its end, what to do."""
    ended = message if message.endswith((".", "!", "?", "…", "。")) else f"{message}."
    text = with_hint(ended, hint or (REASONS[reason].hint if reason else ""))
    return sanitize(text, limit=2 * MAX_MESSAGE)


def record_of(job: JobSeen | None, pod: PodSeen | None, outcome: Outcome, *, now: datetime) -> AttemptRecord:
    """Return the record of an attempt that ended with `outcome`."""
    facts = REASONS[outcome.reason] if outcome.reason else None
    record = _record(job, pod, now=now)
    return record.model_copy(
        update={
            "exit_code": outcome.exit_code,
            "failure_class": facts.failure_class.value if facts else None,
            "reason": outcome.reason.value if outcome.reason else "Succeeded",
            "message": sanitize(outcome.message, limit=1000) or None,
        }
    )


def record_of_stop(job: JobSeen | None, pod: PodSeen | None, *, reason: str, now: datetime) -> AttemptRecord:
    """Return the record of an attempt that the user ended; it counts as no failure."""
    return _record(job, pod, now=now).model_copy(update={"reason": reason})


def _record(job: JobSeen | None, pod: PodSeen | None, *, now: datetime) -> AttemptRecord:
    return AttemptRecord(
        attempt=job.attempt if job else None,
        job=job.name if job else None,
        pod=pod.name if pod else None,
        start_time=pod.started_at if pod else None,
        completion_time=(pod.finished_at if pod else None) or now.replace(microsecond=0),
    )


def duration_text(seconds: float) -> str:
    """Return a duration as kubectl writes it: `42s`, `3m5s`, `2h10m`."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60}s" if whole % 60 else f"{whole // 60}m"
    return f"{whole // 3600}h{whole % 3600 // 60}m" if whole % 3600 // 60 else f"{whole // 3600}h"


def merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7386) that makes `new` of `old`; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
