"""What a Job needs next, as the Job controller of a cluster decides it. Pure: Job and Pods in, status and steps out.

One Pod at a time (`parallelism` above 1 is served one after the other). Reasons and messages are the real controller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from repack_local.api.objects import timestamp
from repack_local.api.statuses import Object

TRACKING = "batch.kubernetes.io/job-tracking"
"""Finalizer of a Job's Pods: it keeps an ended Pod until the Job's status has counted it."""

_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class Ending:
    """Why a Job is over."""

    reason: str
    message: str
    succeeded: bool = False


@dataclass
class JobPlan:
    """The next steps of a Job: write `status`, release and delete Pods, create one, look again at `wake_at`."""

    status: Object
    create: bool = False
    delete: list[str] = field(default_factory=list)
    release: list[str] = field(default_factory=list)
    failures: int = 0
    """Pods newly seen to have failed: each makes the next replacement wait longer.

    Ignored ones are left out, unlike in Kubernetes (#130881): here they were lost by a restart, which is no failure.
    """
    wake_at: datetime | None = None


def plan_job(job: Object, pods: Sequence[Object], *, now: datetime, not_before: datetime | None = None) -> JobPlan:
    """Say what a Job needs next.

    Args:
        job: the Job.
        pods: its Pods that still exist.
        now: the time.
        not_before: no replacement Pod is created before.
    """
    plan = JobPlan(dict(job.get("status") or {}))
    fatal = _count(plan, job, pods)
    ending = ending_of(plan.status)
    active = [pod for pod in pods if _phase(pod) not in _ENDED]
    if ending is None:
        ending = fatal or _new_ending(plan, job, now)
    if ending is not None:
        _end(plan, ending, active, now)
    elif job["spec"].get("suspend"):
        _suspend(plan, active, now)
    else:
        _keep_going(plan, job, active, now=now, not_before=not_before)
    running = [pod for pod in active if "deletionTimestamp" not in pod["metadata"]]
    leaving = [pod for pod in running if pod["metadata"]["name"] in plan.delete]
    _number(plan.status, "active", len(running) - len(leaving) + plan.create)
    plan.status["ready"] = sum(1 for pod in running if _is_ready(pod))
    plan.status["terminating"] = len(active) - len(running) + len(leaving)
    return plan


def is_finished(job: Object) -> bool:
    """Tell whether a Job is over for good."""
    return any(_is_true(job.get("status") or {}, name) for name in ("Complete", "Failed"))


def finished_at(job: Object) -> datetime | None:
    """Return when a Job ended, None while it goes on."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastTransitionTime"])
    return None


def ending_of(status: Object) -> Ending | None:
    """Return the ending that was decided before and waits for the last Pod to go."""
    for name, succeeded in (("SuccessCriteriaMet", True), ("FailureTarget", False)):
        for condition in status.get("conditions") or []:
            if condition["type"] == name and condition["status"] == "True":
                return Ending(condition["reason"], condition["message"], succeeded=succeeded)
    return None


def _count(plan: JobPlan, job: Object, pods: Sequence[Object]) -> Ending | None:
    """Count the Pods that ended, once each; return the ending where a failure policy asks for it."""
    ending = None
    suspended = bool(job["spec"].get("suspend"))
    for pod in pods:
        phase, metadata = _phase(pod), pod["metadata"]
        never_ran = "deletionTimestamp" in metadata and not pod["spec"].get("nodeName")
        if TRACKING not in (metadata.get("finalizers") or []) or (phase not in _ENDED and not never_ran):
            continue
        plan.release.append(metadata["name"])
        if phase == "Succeeded":
            _number(plan.status, "succeeded", plan.status.get("succeeded", 0) + 1)
            continue
        if suspended and "deletionTimestamp" in metadata:
            continue  # deleted by us: neither a failure nor a success
        action, message = failure_action(job, pod)
        if action == "Ignore":
            continue
        plan.failures += 1
        _number(plan.status, "failed", plan.status.get("failed", 0) + 1)
        if action == "FailJob":
            ending = Ending("PodFailurePolicy", message)
    return ending


def failure_action(job: Object, pod: Object) -> tuple[str, str]:
    """Return what the Job's podFailurePolicy says of a failed Pod (`Count` without one), and the message of FailJob."""
    metadata = pod["metadata"]
    where = f"{metadata.get('namespace')}/{metadata['name']}"
    for index, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or []):
        if "onExitCodes" in rule:
            found = _matching_container(rule["onExitCodes"], pod)
            if found:
                name, code = found
                text = f"Container {name} for pod {where} failed with exit code {code} matching {rule['action']} rule"
                return rule["action"], f"{text} at index {index}"
            continue
        for wanted in rule.get("onPodConditions") or []:
            for condition in (pod.get("status") or {}).get("conditions") or []:
                if condition["type"] == wanted["type"] and condition["status"] == wanted.get("status", "True"):
                    text = f"Pod {where} has condition {wanted['type']} matching {rule['action']} rule"
                    return rule["action"], f"{text} at index {index}"
    return "Count", ""


def _matching_container(rule: Object, pod: Object) -> tuple[str, int] | None:
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        code = ((container.get("state") or {}).get("terminated") or {}).get("exitCode")
        if not code or rule.get("containerName", container["name"]) != container["name"]:
            continue
        if (code in rule["values"]) == (rule["operator"] == "In"):
            return container["name"], code
    return None


def _new_ending(plan: JobPlan, job: Object, now: datetime) -> Ending | None:
    status, spec = plan.status, job["spec"]
    if status.get("succeeded", 0) >= spec.get("completions", 1):
        return Ending("CompletionsReached", "Reached expected number of succeeded pods", succeeded=True)
    if status.get("failed", 0) > spec.get("backoffLimit", 6):
        return Ending("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    deadline = _deadline(status, job)
    if deadline is not None and now >= deadline:
        return Ending("DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def _deadline(status: Object, job: Object) -> datetime | None:
    seconds, start = job["spec"].get("activeDeadlineSeconds"), status.get("startTime")
    if seconds is None or not start or job["spec"].get("suspend"):
        return None
    return datetime.fromisoformat(start) + timedelta(seconds=seconds)


def _end(plan: JobPlan, ending: Ending, active: Sequence[Object], now: datetime) -> None:
    early, final = ("SuccessCriteriaMet", "Complete") if ending.succeeded else ("FailureTarget", "Failed")
    _set(plan.status, early, "True", ending, now)
    plan.delete = [pod["metadata"]["name"] for pod in active if "deletionTimestamp" not in pod["metadata"]]
    if active:
        return  # the last condition comes when no Pod runs any more
    _set(plan.status, final, "True", ending, now)
    if ending.succeeded and "completionTime" not in plan.status:
        plan.status["completionTime"] = timestamp(now)


def _suspend(plan: JobPlan, active: Sequence[Object], now: datetime) -> None:
    plan.delete = [pod["metadata"]["name"] for pod in active if "deletionTimestamp" not in pod["metadata"]]
    plan.status.pop("startTime", None)
    _set(plan.status, "Suspended", "True", Ending("JobSuspended", "Job suspended"), now)


def _keep_going(
    plan: JobPlan, job: Object, active: Sequence[Object], *, now: datetime, not_before: datetime | None
) -> None:
    status = plan.status
    if _is_true(status, "Suspended"):
        _set(status, "Suspended", "False", Ending("JobResumed", "Job resumed"), now)
    status.setdefault("startTime", timestamp(now))
    wakes = [moment for moment in (_deadline(status, job),) if moment]
    if not active:
        if not_before is None or now >= not_before:
            plan.create = True
        else:
            wakes.append(not_before)
    plan.wake_at = min(wakes, default=None)


def _set(status: Object, kind: str, value: str, why: Ending, now: datetime) -> None:
    conditions = [dict(condition) for condition in status.get("conditions") or []]
    known = next((condition for condition in conditions if condition["type"] == kind), None)
    if known is not None and known["status"] == value:
        return
    entry = {
        "type": kind,
        "status": value,
        "lastProbeTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": why.reason,
        "message": why.message,
    }
    status["conditions"] = [*(condition for condition in conditions if condition["type"] != kind), entry]


def _number(status: Object, name: str, value: int) -> None:
    """Write a count; none is told by absence, as in a cluster."""
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _is_true(status: Object, kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in status.get("conditions") or [])


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _is_ready(pod: Object) -> bool:
    return _is_true(pod.get("status") or {}, "Ready")
