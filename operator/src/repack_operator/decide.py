"""What becomes of one task and what is to be done about it. Pure: it reads nothing and changes nothing.

The first rule that applies wins, so the order of `RULES`, at the end, is the specification. Whatever crashes between
two calls to the API server is derived again from names, owner references and the recorded attempts: a Job is made
before the status that speaks of it, and deleted after the status that explains why.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from repack_contract.errors import SpecError
from repack_contract.naming import job_name
from repack_contract.phases import TRANSITIONS, Phase
from repack_contract.reasons import REASONS, Reason, Retry
from repack_contract.spec_rules import check_spec
from repack_contract.task import AttemptRecord, JobReference, RepackageTask
from repack_operator import outcome as outcomes
from repack_operator.outcome import Outcome, over
from repack_operator.sightings import JobSeen, PodSeen
from repack_operator.situation import (
    NOTHING,
    AskStore,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteTask,
    LookFor,
    Situation,
)
from repack_operator.status import (
    CANCELLED,
    SUSPENDED,
    Change,
    changed,
    record_of,
    record_of_stop,
    sentence,
    with_queue_position,
)

QUIET = timedelta(seconds=2)
"""So long a task may stand in Queued or Starting before that is written: a quick one saves two calls."""


def decide(seen: Situation) -> Decision:
    """Say what one task's status becomes and what to do about it: the first of `RULES` that has something to say."""
    return next(decision for rule in RULES if (decision := rule(seen)) is not None)


def _being_deleted(seen: Situation) -> Decision | None:
    """The Job goes with its owner; no finalizer holds the task."""
    return NOTHING if seen.task.metadata.deletion_timestamp is not None else None


def _perhaps_made(seen: Situation) -> Decision | None:
    """Ask whether the Job exists whose creation was not answered; until that is known it holds its slot."""
    return Decision(actions=(LookFor(seen.attempt + 1),)) if seen.unsure else None


def _after_the_end(seen: Situation) -> Decision | None:
    """Final is final. What still runs is stopped, and at its time the task itself goes."""
    if seen.task.phase is None or not seen.task.phase.is_final:
        return None
    status = seen.task.status
    ended, ttl, job_ttl = status.completion_time or seen.now, _ttl(seen), seen.job_ttl_seconds
    expires = ended + timedelta(seconds=ttl) if ttl is not None else None
    if expires is not None and seen.now >= expires:
        return Decision(actions=(DeleteTask(),))
    jobs_go = ended + timedelta(seconds=job_ttl) if job_ttl is not None and seen.jobs else None
    all_go = jobs_go is not None and seen.now >= jobs_go
    unwanted = (job for job in seen.jobs if all_go or (job.live and not _worker_done(seen, job)))
    doomed = tuple(DeleteJob(job.name, job.uid) for job in unwanted if not job.deleting)
    moments = [moment for moment in (expires, None if all_go else jobs_go) if moment is not None]
    return Decision(actions=doomed, wake_at=min(moments, default=None))


def _worker_done(seen: Situation, job: JobSeen) -> bool:
    """Tell whether the Job's worker ended well; it takes Kubernetes about two seconds more to call the Job complete."""
    return any(pod.attempt == job.attempt and pod.exit_code == 0 for pod in seen.pods)


def _leftovers(seen: Situation) -> Decision | None:
    """Delete Jobs whose attempt is over: a crash between status and deletion heals here."""
    over_already = (job for job in seen.jobs if job.attempt in seen.recorded or job.attempt < seen.attempt)
    doomed = tuple(DeleteJob(job.name, job.uid) for job in over_already if job.live and not job.deleting)
    return Decision(actions=doomed) if doomed else None


def _vanished(seen: Situation) -> Decision | None:
    """The status speaks of an attempt that is not over, and its Job is not to be seen.

    The API server is asked before anything is judged by what is not there; then what the Pod left behind counts, and
    then what the worker left in the artifact store.
    """
    attempt = seen.task.status.attempt or 0
    if attempt == 0 or attempt in seen.recorded or seen.job is not None or seen.task.phase is Phase.CANCELLING:
        return None
    if seen.looked_for != seen.attempt:
        return Decision(actions=(LookFor(seen.attempt),))
    stand_in = JobSeen("", job_name(seen.task.metadata.name, attempt=seen.attempt), "", "", seen.attempt, seen.now)
    end = outcomes.failure(Reason.JOB_DELETED_EXTERNALLY)
    if seen.pod is not None and seen.pod.exit_code == 0:
        end = outcomes.of_success(seen.task.spec, seen.pod)
    elif seen.pod is not None and seen.pod.exit_code is not None and seen.pod.termination_message:
        end = outcomes.of_failure(stand_in, seen.pod, seen.now)
    elif seen.has_store and seen.answers.store_asked != seen.attempt:
        return Decision(actions=(AskStore(seen.attempt),))
    elif seen.answers.published is not None:
        end = outcomes.of_result(seen.task.spec, seen.answers.published)
    return None if seen.cancelled and not end.ok else _conclude(seen, stand_in, end)


def _ended_well(seen: Situation) -> Decision | None:
    """The worker ended well, or the Job is complete: a success where there is a verified artifact for every target."""
    job = seen.job
    if job is None:
        return None
    if not job.complete:
        early = outcomes.of_success(seen.task.spec, seen.pod) if _worker_done(seen, job) else None
        return _conclude(seen, job, early) if early is not None and early.ok else None
    if (seen.pod is None or seen.pod.exit_code is None) and seen.looked_for != seen.attempt:
        return Decision(actions=(LookFor(seen.attempt),))  # the Job's event came before the Pod's
    end = outcomes.of_success(seen.task.spec, seen.pod)
    return None if seen.cancelled and not end.ok else _conclude(seen, job, end)


def _failed(seen: Situation) -> Decision | None:
    """The Job failed, and nothing of it runs: the next attempt must not overlap with it."""
    job = seen.job
    if job is None or not (job.failed or (job.failing and all(over(pod, seen.now) for pod in seen.pods))):
        return None
    unknown = job.failure_reason != "DeadlineExceeded" and (seen.pod is None or not over(seen.pod, seen.now))
    if unknown and seen.looked_for != seen.attempt:
        return Decision(actions=(LookFor(seen.attempt),))
    return _conclude(seen, job, outcomes.of_failure(job, seen.pod, seen.now))


def _conclude(seen: Situation, job: JobSeen, end: Outcome) -> Decision:
    """Write the end of an attempt: success, another one later, or failure."""
    record = record_of(job, seen.pod, end, now=seen.now)
    if end.ok:
        return _to(seen, Phase.SUCCEEDED, "Succeeded", _praise(seen.task), outcome=end, record=record)
    if not _may_retry(seen, end):
        return _end_in_failure(seen, end, record=record)
    assert end.reason is not None  # noqa: S101 - an outcome that is not ok has one
    phase = Phase.SUSPENDED if seen.suspended else Phase.RETRYING
    number, limit = len(seen.failures) + 1, seen.task.spec.retry.limit
    message = f"Attempt {job.attempt} failed: {end.message} Retry {number} of {limit} follows."
    text = sentence(message, hint=end.hint)
    return _to(seen, phase, end.reason.value, text, outcome=Outcome(end.reason), record=record)


def _praise(task: RepackageTask) -> str:
    if task.spec.dry_run:
        return "The plan is ready; a dry run makes no package."
    archs = ", ".join(target.arch.value for target in task.spec.targets)
    return f"The package for {archs} was proven to install offline."


def _may_retry(seen: Situation, end: Outcome) -> bool:
    if end.reason is None or len(seen.failures) >= seen.task.spec.retry.limit:
        return False
    retry = REASONS[end.reason].retry
    if retry is Retry.ONCE:
        return all(record.reason != end.reason.value for record in seen.failures)
    return retry is Retry.YES


def _end_in_failure(seen: Situation, end: Outcome, *, record: AttemptRecord | None) -> Decision:
    assert end.reason is not None  # noqa: S101 - a failure has one
    message = sentence(end.message, end.reason, hint=end.hint)
    return _to(seen, Phase.FAILED, end.reason.value, message, outcome=end, record=record)


def _cancel(seen: Situation) -> Decision | None:
    """Stop what runs, and call the task cancelled once nothing runs any more."""
    if not seen.cancelled:
        return None
    doomed = tuple(DeleteJob(job.name, job.uid) for job in seen.jobs if job.live and not job.deleting)
    if seen.lingering:
        wake_at = _given_up_at(seen)
        if seen.task.phase is Phase.CANCELLING:
            return Decision(actions=doomed, wake_at=wake_at)
        stopping = _to(seen, Phase.CANCELLING, CANCELLED, "The user cancelled the task; the worker is being stopped.")
        return Decision(status=stopping.status, actions=doomed, wake_at=wake_at)
    stopped = seen.attempt > 0 and seen.attempt not in seen.recorded
    record = record_of_stop(seen.job, seen.pod, reason=CANCELLED, now=seen.now) if stopped else None
    if record is not None:
        name = job_name(seen.task.metadata.name, attempt=seen.attempt)
        record = record.model_copy(update={"attempt": seen.attempt, "job": name})
    return _to(seen, Phase.CANCELLED, CANCELLED, "The user cancelled the task.", record=record)


def _given_up_at(seen: Situation) -> datetime | None:
    """Return when a Pod that does not end counts as lost with its node."""
    ending = [pod.deletion_at for pod in seen.pods if pod.deletion_at and not over(pod, seen.now)]
    return min(ending) + outcomes.LOST_AFTER + timedelta(seconds=1) if ending else None


def _suspend(seen: Situation) -> Decision | None:
    """Hold the task; its Job is deleted, and resuming starts another attempt."""
    job = seen.job
    if not seen.suspended:
        return None
    if seen.task.phase is Phase.SUSPENDED:
        return _observed_generation(seen)
    message = "The user suspended the task. Hint: Set spec.desiredState to Active to go on."
    if job is None:
        return _to(seen, Phase.SUSPENDED, SUSPENDED, message)
    record = record_of_stop(job, seen.pod, reason=SUSPENDED, now=seen.now)
    suspended = _to(seen, Phase.SUSPENDED, SUSPENDED, message, record=record)
    return Decision(status=suspended.status, actions=(DeleteJob(job.name, job.uid),))


def _goes_on(seen: Situation) -> Decision | None:
    """The Job lives: waiting to start, or running."""
    job, pod = seen.job, seen.pod
    if job is None:
        return None
    if pod is not None and pod.started_at is not None:
        message = f"Attempt {job.attempt} runs."
        running = _to(seen, Phase.RUNNING, "Running", message)
        return Decision(status=running.status, wake_at=_given_up_at(seen))
    if seen.task.phase is Phase.RUNNING:
        return _observed_generation(seen)  # its Pod was disrupted, and the Job makes another one
    return _starts(seen, job, pod)


def _starts(seen: Situation, job: JobSeen, pod: PodSeen | None) -> Decision:
    seconds = seen.task.spec.pending_deadline_seconds
    deadline = (pod.created_at if pod else job.created_at) + timedelta(seconds=seconds)
    if seen.now >= deadline and not job.failing:
        end = outcomes.of_waiting(pod, job, seconds=seconds)
        failed = _end_in_failure(seen, end, record=record_of(job, pod, end, now=seen.now))
        return Decision(status=failed.status, actions=(DeleteJob(job.name, job.uid),))
    reason = pod.waiting.value if pod and pod.waiting else "Starting"
    written = seen.task.phase is Phase.STARTING
    if not written and reason == "Starting" and seen.now < job.created_at + QUIET:
        return Decision(wake_at=job.created_at + QUIET)
    message = f"Attempt {job.attempt} is being started."
    if pod and pod.waiting:
        message = sentence(f"{message} {pod.waiting_message}".strip(), pod.waiting)
    step = _to(seen, Phase.STARTING, reason, message)
    return Decision(status=step.status, wake_at=deadline)


def _invalid(seen: Situation) -> Decision | None:
    """The spec breaks a rule that this API server does not know, or names a profile that we do not know."""
    profile, known = seen.task.spec.profile, seen.profiles
    errors = check_spec(seen.task)
    if profile is not None and known is not None and profile not in known:
        names = ", ".join(sorted(known))
        errors.append(SpecError("spec.profile", f"{profile!r} is not a profile of this operator; it has {names}"))
    return unreadable(seen, errors[0].message) if errors else None


def unreadable(seen: Situation, message: str) -> Decision:
    """Say what becomes of a task whose spec cannot be obeyed; `message` names the field."""
    return _end_in_failure(seen, outcomes.failure(Reason.INVALID_SPEC, message), record=None)


def _next_attempt(seen: Situation) -> Decision:
    """No Job, and nothing stands against one: a further attempt, when its time and a slot have come."""
    task, refusal = seen.task, seen.refusal
    if refusal is not None and refusal.final:
        return _end_in_failure(seen, outcomes.failure(Reason.NAME_CONFLICT, refusal.message), record=None)
    if task.phase is Phase.RETRYING and seen.now < (due := _retry_at(seen)):
        return Decision(wake_at=due)
    if seen.lingering:
        return _wait(seen, Phase.PENDING, "Waiting", "Something of an earlier attempt is still being ended.")
    if refusal is not None and seen.now < refusal.retry_at:
        held = _wait(seen, Phase.QUEUED, refusal.reason, sentence(refusal.message, hint=refusal.hint))
        unwritten = held.status is None and task.phase is None
        return Decision(status=held.status, wake_at=held.wake_at if unwritten else refusal.retry_at)
    if not seen.slot.free:
        return _queue(seen)
    starved = sum(1 for record in seen.failures if record.reason == Reason.OOM_KILLED.value)
    return Decision(actions=(CreateJob(attempt=seen.attempt + 1, memory_step=starved),))


def _retry_at(seen: Situation) -> datetime:
    """Return when the next attempt is due: the back-off doubles with every failure."""
    retry = seen.task.spec.retry
    seconds = min(retry.backoff_seconds * 2 ** (len(seen.failures) - 1), retry.max_backoff_seconds)
    ended = seen.failures[-1].completion_time if seen.failures else None
    return (ended or seen.now) + timedelta(seconds=seconds)


def _queue(seen: Situation) -> Decision:
    slot = seen.slot
    message = f"Position {slot.position} in the queue: {slot.why}."
    waiting = _wait(seen, Phase.QUEUED, "Queued", message)
    later = seen.now + timedelta(seconds=slot.again_seconds)
    if waiting.status is None and seen.task.phase is Phase.QUEUED and seen.task.status.reason == "Queued":
        shown = next((c.message for c in seen.task.status.conditions or [] if c.type == "Admitted"), None)
        status = with_queue_position(seen.task, message, seen.now) if shown != message else None
        return Decision(status=status, wake_at=later, queued=True)
    return Decision(status=waiting.status, wake_at=waiting.wake_at or later, queued=True)


def _wait(seen: Situation, phase: Phase, reason: str, message: str) -> Decision:
    """Write that the task waits, once it has waited for more than a moment."""
    created = seen.task.metadata.creation_timestamp or seen.now
    if seen.task.phase is None and seen.now < created + QUIET:
        return Decision(wake_at=created + QUIET)
    if phase not in {seen.task.phase, *TRANSITIONS[seen.task.phase]}:
        return Decision(wake_at=seen.now + QUIET)  # such as a retry that waits for its dying Pod: nothing new to tell
    step = _to(seen, phase, reason, message)
    return Decision(status=step.status, wake_at=seen.now + QUIET)


def _observed_generation(seen: Situation) -> Decision:
    """Tell kstatus that the newest spec was seen, where nothing else changes."""
    if seen.task.status.observed_generation == (seen.task.metadata.generation or None):
        return NOTHING
    status, task = seen.task.status, seen.task
    assert status.phase is not None  # noqa: S101 - only asked of tasks that have one
    return _write(task, Change(status.phase, status.reason or "", status.message or "", seen.now))


def _to(
    seen: Situation,
    phase: Phase,
    reason: str,
    message: str,
    *,
    outcome: Outcome | None = None,
    record: AttemptRecord | None = None,
) -> Decision:
    """Step into a phase; where the state machine has no direct way, through Running, which then was missed."""
    task, job = seen.task, seen.job
    if phase != task.phase and phase not in TRANSITIONS[task.phase]:
        phase, reason, message, outcome, record = Phase.RUNNING, "Running", f"Attempt {seen.attempt} ran.", None, None
    same = (task.phase, task.status.reason, task.status.attempt or 0)
    fresh = task.status.observed_generation == (task.metadata.generation or None)
    if same == (phase, reason, seen.attempt) and fresh and record is None:
        return NOTHING
    change = Change(
        phase,
        reason,
        message,
        seen.now,
        attempt=seen.attempt or None,
        job=JobReference(name=job.name, uid=job.uid) if job else None,
        started_at=seen.pod.started_at if seen.pod else None,
        record=record,
        expires_after_seconds=_ttl(seen),
        dry_run=task.spec.dry_run,
        **({"result": outcome.result} if outcome else {}),
    )
    return _write(task, change)


def _ttl(seen: Situation) -> int | None:
    ttl = seen.task.spec.ttl_seconds_after_finished
    return seen.default_ttl_seconds if ttl is None else ttl


def _write(task: RepackageTask, change: Change) -> Decision:
    return Decision(status=changed(task, change))


RULES: tuple[Callable[[Situation], Decision | None], ...] = (
    _being_deleted,
    _perhaps_made,
    _after_the_end,
    _leftovers,
    _vanished,
    _ended_well,
    _cancel,
    _failed,
    _suspend,
    _goes_on,
    _invalid,
    _next_attempt,
)
"""In this order; the last one always has something to say."""
