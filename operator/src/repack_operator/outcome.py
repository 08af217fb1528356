"""How an attempt ended, from what its Job and Pods tell. Pure.

What the Pod and the Job say (disruption, OOM, deadline) is read before the worker's own words, because a worker that
is being killed says little of the cause (operator.md 6.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError

from repack_contract.errors import sanitize
from repack_contract.progress import WorkResult
from repack_contract.reasons import REASONS, Reason, reason_of_exit_code
from repack_contract.task import Spec
from repack_operator.sightings import JobSeen, PodSeen

LOST_AFTER = timedelta(seconds=60)
"""A Pod that should have ended so long ago is on a node that no longer answers."""

_DISRUPTIONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "EvictionByEvictionAPI": Reason.POD_EVICTED,
    "TerminationByKubelet": Reason.POD_EVICTED,
}


@dataclass(frozen=True)
class Outcome:
    """The end of one attempt. `reason` is None for a success."""

    reason: Reason | None
    message: str = ""
    hint: str = ""
    result: WorkResult = field(default_factory=lambda: WorkResult(ok=False))
    exit_code: int | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the attempt did everything that was asked."""
        return self.reason is None


def failure(
    reason: Reason, message: str = "", *, result: WorkResult | None = None, exit_code: int | None = None
) -> Outcome:
    """Return the outcome of a failed attempt; what the reason's table says fills what is not known better."""
    facts = REASONS[reason]
    return Outcome(
        reason=reason,
        message=sanitize(message or facts.meaning),
        hint=sanitize((result.hint if result else None) or facts.hint),
        result=result or WorkResult(ok=False),
        exit_code=exit_code,
    )


def over(pod: PodSeen, now: datetime) -> bool:
    """Tell whether a Pod can do nothing more: it ended, or its node is lost."""
    return pod.ended or (pod.deletion_at is not None and now > pod.deletion_at + LOST_AFTER)


def last_pod(pods: Sequence[PodSeen], *, attempt: int) -> PodSeen | None:
    """Return the Pod that speaks for an attempt: the youngest (Ignore rules of a Job make further ones)."""
    mine = [pod for pod in pods if pod.attempt == attempt]
    alive = [pod for pod in mine if not pod.gone]
    speakers = alive or mine
    return speakers[-1] if speakers else None


def of_success(spec: Spec, pod: PodSeen | None) -> Outcome:
    """Return the outcome of a Job that ended well: a success only with a verified artifact for every target."""
    result = _result_of(pod)
    if result is None:
        return failure(Reason.INTERNAL, "The worker ended well without saying what it made.", exit_code=0)
    return of_result(spec, result)


def of_result(spec: Spec, result: WorkResult) -> Outcome:
    """Return the outcome of a worker that says it made everything."""
    if not result.ok:
        return _as_the_worker_says(result, exit_code=0)
    missing = unverified(spec, result)
    if missing and not spec.dry_run:
        message = f"The worker ended well without a verified package for {', '.join(missing)}."
        return failure(Reason.INTERNAL, message, result=result, exit_code=0)
    if spec.dry_run and result.plan is None:
        return failure(Reason.INTERNAL, "The worker ended a dry run without a plan.", result=result, exit_code=0)
    return Outcome(reason=None, result=result, exit_code=0)


def unverified(spec: Spec, result: WorkResult) -> list[str]:
    """Return the targets for which the result has no artifact that passed verification."""
    passed = {a.target for a in result.artifacts if a.verification is not None and a.verification.passed}
    return [target.arch.value for target in spec.targets if target.arch not in passed]


def of_failure(job: JobSeen, pod: PodSeen | None, now: datetime) -> Outcome:
    """Return the outcome of a Job that failed."""
    if job.failure_reason == "DeadlineExceeded":
        return failure(Reason.DEADLINE_EXCEEDED, "The attempt ran longer than spec.activeDeadlineSeconds.")
    if pod is None:
        return failure(Reason.POD_DELETED_EXTERNALLY, "The attempt's Pod vanished before it could tell anything.")
    return _from_outside(pod, now) or _from_inside(pod)


def _from_outside(pod: PodSeen, now: datetime) -> Outcome | None:
    """Return what was done to the Pod; None when it ended by itself."""
    if pod.exit_reason == "OOMKilled":
        return failure(Reason.OOM_KILLED, result=_result_of(pod), exit_code=pod.exit_code)
    if pod.disruption:
        reason = _DISRUPTIONS.get(pod.disruption, Reason.POD_EVICTED)
        return failure(reason, f"The Pod was ended from outside ({pod.disruption}).", exit_code=pod.exit_code)
    if pod.pod_reason == "Evicted":
        return failure(Reason.POD_EVICTED, pod.waiting_message, exit_code=pod.exit_code)
    if pod.pod_reason in {"NodeLost", "NodeShutdown"} or (not pod.ended and over(pod, now)):
        return failure(Reason.NODE_LOST, exit_code=pod.exit_code)
    told = _result_of(pod)
    if (pod.deletion_at is not None or pod.gone) and told is None:
        return failure(Reason.POD_DELETED_EXTERNALLY, exit_code=pod.exit_code)
    return None


def _from_inside(pod: PodSeen) -> Outcome:
    result = _result_of(pod)
    if result is not None and not result.ok:
        return _as_the_worker_says(result, exit_code=pod.exit_code)
    if pod.exit_code is None:
        return failure(Reason.INTERNAL, "The Job failed, and its Pod does not say why.")
    reason = reason_of_exit_code(pod.exit_code)
    last_words = pod.termination_message.strip().rpartition("\n")[2]
    message = f"The worker ended with code {pod.exit_code}" + (f": {last_words}" if last_words else ".")
    return failure(reason, message, exit_code=pod.exit_code)


def _as_the_worker_says(result: WorkResult, *, exit_code: int | None) -> Outcome:
    known = {reason.value for reason in Reason}
    fallback = reason_of_exit_code(exit_code) if exit_code else Reason.INTERNAL
    reason = Reason(result.reason) if result.reason in known else fallback
    return failure(reason, result.message or "", result=result, exit_code=exit_code)


def _result_of(pod: PodSeen | None) -> WorkResult | None:
    if pod is None or not pod.termination_message.lstrip().startswith("{"):
        return None
    try:
        return WorkResult.model_validate_json(pod.termination_message)
    except ValidationError:
        return None


def of_waiting(pod: PodSeen | None, job: JobSeen, *, seconds: int) -> Outcome:
    """Return the outcome of an attempt whose worker did not start before the pending deadline."""
    reason = (pod.waiting if pod else None) or Reason.POD_NEVER_STARTED
    why = (pod.waiting_message if pod else "") or job.failure_message
    message = f"{REASONS[reason].meaning[:-1]} ({seconds} s)."
    if pod is None and not why:
        why = f"No Pod was made: `kubectl describe job {job.name}` says why, such as a quota of Pods, cpu or memory."
    return failure(reason, f"{message} {why}".strip())
