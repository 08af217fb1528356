"""Jobs and Pods reduced to what a decision needs; pure readers of Kubernetes objects."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from repack_contract.naming import LABEL_ATTEMPT, LABEL_TASK_UID
from repack_contract.reasons import Reason

Object = dict[str, Any]
"""As the API server writes it. Not taken from `repack_kube`: what decides knows no cluster."""

_DAWN = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class JobSeen:
    """One Job of a task."""

    uid: str
    name: str
    namespace: str
    task_uid: str
    """Of the owner reference; empty when a task does not own it."""
    attempt: int
    created_at: datetime
    deleting: bool = False
    complete: bool = False
    failed: bool = False
    failing: bool = False
    """Its failure is decided (FailureTarget) and its Pods are being ended."""
    failure_reason: str = ""
    """Of the failed condition, such as DeadlineExceeded."""
    failure_message: str = ""

    @property
    def finished(self) -> bool:
        """Tell whether it ended by itself."""
        return self.complete or self.failed

    @property
    def live(self) -> bool:
        """Tell whether it may still run a Pod."""
        return not self.finished

    def stub(self) -> Object:
        """Return the least object that `job_seen` reads as this Job."""
        return {"metadata": _stub(self.uid, self.name, self.namespace, self.task_uid, self.attempt)}


@dataclass(frozen=True)
class PodSeen:
    """One Pod of a task's Job."""

    uid: str
    name: str
    namespace: str
    task_uid: str
    attempt: int
    created_at: datetime
    phase: str = ""
    started_at: datetime | None = None
    """When the worker began to run."""
    finished_at: datetime | None = None
    exit_code: int | None = None
    exit_reason: str = ""
    """Of the ended container, such as OOMKilled."""
    termination_message: str = ""
    pod_reason: str = ""
    """Of the Pod, such as Evicted or NodeLost."""
    waiting: Reason | None = None
    """Why it does not start, where that is known."""
    waiting_message: str = ""
    disruption: str = ""
    """Reason of the condition DisruptionTarget."""
    deletion_at: datetime | None = None
    """When it should have ended after its deletion."""
    gone: bool = False

    @property
    def running(self) -> bool:
        """Tell whether the worker runs."""
        return self.started_at is not None and not self.ended

    @property
    def ended(self) -> bool:
        """Tell whether it will never run again."""
        return self.gone or self.exit_code is not None or self.phase in {"Succeeded", "Failed"}

    def stub(self) -> Object:
        """Return the least object that `pod_seen` reads as this Pod."""
        return {"metadata": _stub(self.uid, self.name, self.namespace, self.task_uid, self.attempt)}


def _stub(uid: str, name: str, namespace: str, task_uid: str, attempt: int) -> Object:
    return {
        "uid": uid,
        "name": name,
        "namespace": namespace,
        "labels": {LABEL_TASK_UID: task_uid, LABEL_ATTEMPT: str(attempt)},
        "ownerReferences": [{"kind": "RepackageTask", "uid": task_uid, "controller": True}],
    }


def job_seen(body: Object) -> JobSeen:
    """Read a Job."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    failure = conditions.get("Failed") or conditions.get("FailureTarget") or {}
    return JobSeen(
        uid=metadata["uid"],
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        task_uid=owner_uid(body),
        attempt=_attempt(metadata),
        created_at=moment(metadata.get("creationTimestamp")) or _DAWN,
        deleting="deletionTimestamp" in metadata,
        complete="Complete" in conditions,
        failed="Failed" in conditions,
        failing="FailureTarget" in conditions,
        failure_reason=failure.get("reason") or "",
        failure_message=failure.get("message") or "",
    )


def pod_seen(body: Object) -> PodSeen:
    """Read a Pod of one container."""
    metadata, status = body["metadata"], body.get("status") or {}
    container: Object = next(iter(status.get("containerStatuses") or ()), {})
    state = container.get("state") or {}
    ended, running, waiting = (state.get(name) or {} for name in ("terminated", "running", "waiting"))
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    reason, why = _waiting(waiting, conditions)
    disruption = conditions.get("DisruptionTarget") or {}
    return PodSeen(
        uid=metadata["uid"],
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        task_uid=(metadata.get("labels") or {}).get(LABEL_TASK_UID, ""),
        attempt=_attempt(metadata),
        created_at=moment(metadata.get("creationTimestamp")) or _DAWN,
        phase=status.get("phase") or "",
        started_at=moment(running.get("startedAt") or ended.get("startedAt")),
        finished_at=moment(ended.get("finishedAt")),
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason") or "",
        termination_message=ended.get("message") or "",
        pod_reason=status.get("reason") or "",
        waiting=reason,
        waiting_message=why,
        disruption=(disruption.get("reason") or "") if disruption.get("status") == "True" else "",
        deletion_at=moment(metadata.get("deletionTimestamp")),
    )


def owner_uid(body: Object) -> str:
    """Return the uid of the task that controls an object; empty when there is none."""
    owners = body["metadata"].get("ownerReferences") or ()
    return next((o["uid"] for o in owners if o.get("controller") and o.get("kind") == "RepackageTask"), "")


_WAITING = {
    "ErrImagePull": Reason.IMAGE_PULL_BACK_OFF,
    "ImagePullBackOff": Reason.IMAGE_PULL_BACK_OFF,
    "ImageInspectError": Reason.IMAGE_PULL_BACK_OFF,
    "ErrImageNeverPull": Reason.IMAGE_PULL_BACK_OFF,
    "InvalidImageName": Reason.IMAGE_PULL_BACK_OFF,
    "CreateContainerConfigError": Reason.CREATE_CONTAINER_CONFIG_ERROR,
    "CreateContainerError": Reason.CREATE_CONTAINER_CONFIG_ERROR,
    "RunContainerError": Reason.CREATE_CONTAINER_CONFIG_ERROR,
}
"""What the kubelet says of a container that does not start, in the words of our table."""


def _waiting(waiting: Object, conditions: Object) -> tuple[Reason | None, str]:
    if reason := _WAITING.get(waiting.get("reason") or ""):
        return reason, waiting.get("message") or ""
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return Reason.UNSCHEDULABLE, scheduled.get("message") or ""
    return None, ""


def _attempt(metadata: Object) -> int:
    text = (metadata.get("labels") or {}).get(LABEL_ATTEMPT, "")
    return int(text) if text.isdigit() else 0


def moment(text: str | None) -> datetime | None:
    """Read a time of a Kubernetes object."""
    return datetime.fromisoformat(text) if text else None
