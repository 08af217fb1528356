"""Situations for `decide`, said in few words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from builders import a_job_object, a_pod_object, a_task
from repack_contract.task import RepackageTask, Status
from repack_operator.decide import decide
from repack_operator.sightings import JobSeen, PodSeen, job_seen, pod_seen
from repack_operator.situation import Decision, Situation

START = datetime(2026, 11, 23, 5, 0, 0, tzinfo=UTC)
"""When the task of the builders was created; its Job came 10 s later."""


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_job(**parts: Any) -> JobSeen:
    return job_seen(a_job_object(**parts))


def a_failed_job(reason: str = "BackoffLimitExceeded", **parts: Any) -> JobSeen:
    return a_job(conditions={"Failed": reason}, **parts)


def a_complete_job(**parts: Any) -> JobSeen:
    return a_job(conditions={"Complete": ""}, **parts)


def a_pod(**parts: Any) -> PodSeen:
    return pod_seen(a_pod_object(**parts))


def a_running_pod(**parts: Any) -> PodSeen:
    return a_pod(state={"running": {"startedAt": "2026-11-23T05:00:12Z"}}, **parts)


def a_waiting_pod(reason: str, message: str = "", **parts: Any) -> PodSeen:
    return a_pod(phase="Pending", state={"waiting": {"reason": reason, "message": message}}, **parts)


def an_ended_pod(exit_code: int, result: dict[str, Any] | str = "", *, reason: str = "Error", **parts: Any) -> PodSeen:
    ended = {
        "exitCode": exit_code,
        "reason": reason,
        "message": result if isinstance(result, str) else json.dumps(result),
        "startedAt": "2026-11-23T05:00:12Z",
        "finishedAt": "2026-11-23T05:01:00Z",
    }
    return a_pod(phase="Failed" if exit_code else "Succeeded", state={"terminated": ended}, **parts)


def an_artifact(arch: str = "amd64", *, passed: bool = True) -> dict[str, Any]:
    return {"target": arch, "name": f"{arch}.difypkg", "verification": {"method": "NetworkNamespace", "passed": passed}}


def a_success(*archs: str) -> PodSeen:
    return an_ended_pod(0, {"ok": True, "artifacts": [an_artifact(arch) for arch in archs or ("amd64",)]})


def a_failure(exit_code: int, reason: str, message: str = "it went wrong", **parts: Any) -> PodSeen:
    return an_ended_pod(exit_code, {"ok": False, "reason": reason, "message": message}, **parts)


def decided(task: RepackageTask, *, at: float = 60, **parts: Any) -> Decision:
    return decide(Situation(task=task, now=after(at), **parts))


def applied(task: RepackageTask, decision: Decision) -> RepackageTask:
    """The task with the decision's status, as the API server would store and answer it."""
    if decision.status is None:
        return task
    return task.model_copy(update={"status": Status.model_validate(decision.status.wire())})


def a_running_task(*, attempt: int = 1, **parts: Any) -> RepackageTask:
    status = {
        "phase": "Running",
        "reason": "Running",
        "sequence": 1,
        "attempt": attempt,
        "observedGeneration": 1,
        "startTime": "2026-11-23T05:00:12Z",
        "queuedAt": "2026-11-23T05:00:00Z",
    }
    return a_task(status=status | parts.pop("status", {}), **parts)


def in_phase(phase: str, **parts: Any) -> RepackageTask:
    status = {"phase": phase, "reason": phase, "sequence": 3, "observedGeneration": 1}
    return a_task(status=status | parts.pop("status", {}), **parts)
