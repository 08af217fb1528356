"""The status of a pod in each step of its life, as the kubelet writes it. Pure."""

from dataclasses import dataclass

from repack_local.api.statuses import Object

MESSAGE_BYTES = 4096
FALLBACK_BYTES = 2048
FALLBACK_LINES = 80
"""What is taken of the log where a container failed without a message."""


@dataclass(frozen=True)
class Exit:
    """How a container's process ended."""

    code: int
    message: str
    started_at: str
    finished_at: str

    @property
    def reason(self) -> str:
        """As in the container's state."""
        return "Completed" if self.code == 0 else "Error"


def waiting(pod: Object, reason: str, *, now: str, message: str = "") -> Object:
    """Return the status of a pod whose container is not started."""
    state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    return _status(pod, "Pending", state, now=now)


def running(pod: Object, *, now: str) -> Object:
    """Return the status of a pod whose process runs."""
    return _status(pod, "Running", {"running": {"startedAt": now}}, now=now)


def ended(pod: Object, end: Exit, *, now: str) -> Object:
    """Return the status of a pod whose process ended."""
    state = {
        "terminated": {
            "exitCode": end.code,
            "reason": end.reason,
            "startedAt": end.started_at,
            "finishedAt": end.finished_at,
            "containerID": _container_id(pod),
        }
        | ({"message": end.message} if end.message else {})
    }
    return _status(pod, "Succeeded" if end.code == 0 else "Failed", state, now=now)


def lost(pod: Object, *, now: str) -> Object:
    """Return the status of a pod whose process went with an earlier run of the embedded mode, as with a lost node."""
    status = dict(pod.get("status") or {})
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "The embedded mode ended while this Pod ran; its process is gone.",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    others = [condition for condition in status.get("conditions") or [] if condition["type"] != "DisruptionTarget"]
    statuses = [dict(container) | {"ready": False} for container in status.get("containerStatuses") or []]
    return status | {
        "phase": "Failed",
        "reason": "NodeLost",
        "message": disruption["message"],
        "conditions": [*others, disruption],
        "containerStatuses": statuses,
    }


def _status(pod: Object, phase: str, state: Object, *, now: str) -> Object:
    old = pod.get("status") or {}
    is_running, is_over = phase == "Running", phase in {"Succeeded", "Failed"}
    container = pod["spec"]["containers"][0]
    unready = "PodCompleted" if phase == "Succeeded" else "PodFailed" if is_over else "ContainersNotReady"
    wanted = {
        "PodReadyToStartContainers": (not is_over and phase != "Pending", ""),
        "Initialized": (True, "PodCompleted" if phase == "Succeeded" else ""),
        "Ready": (is_running, "" if is_running else unready),
        "ContainersReady": (is_running, "" if is_running else unready),
        "PodScheduled": (True, ""),
    }
    known = {condition["type"]: condition for condition in old.get("conditions") or []}
    conditions = [_condition(known.pop(name, None), name, *facts, now=now) for name, facts in wanted.items()]
    container_status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": is_running,
        "started": is_running,
        "restartCount": 0,
        "state": state,
        "lastState": {},
        "containerID": _container_id(pod) if phase != "Pending" else "",
    }
    return {
        "phase": phase,
        "conditions": [*conditions, *known.values()],
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": old.get("startTime") or now,
        "containerStatuses": [container_status],
        "qosClass": "BestEffort",
    }


def _condition(old: Object | None, name: str, holds: bool, reason: str, *, now: str) -> Object:  # noqa: FBT001 - a value
    value = "True" if holds else "False"
    since = old["lastTransitionTime"] if old and old["status"] == value else now
    entry: Object = {"type": name, "status": value, "lastProbeTime": None, "lastTransitionTime": since}
    return entry | ({"reason": reason} if reason else {})


def _container_id(pod: Object) -> str:
    return f"process://{pod['metadata']['uid']}"


def termination_message(written: bytes, log_tail: bytes, *, exit_code: int, policy: str) -> str:
    """Return the message of an ended container: what it wrote, or the end of its log where it failed silently."""
    if written.strip():
        return written[:MESSAGE_BYTES].decode(errors="replace")
    if policy != "FallbackToLogsOnError" or exit_code == 0:
        return ""
    lines = log_tail[-FALLBACK_BYTES:].decode(errors="replace").splitlines(keepends=True)
    return "".join(lines[-FALLBACK_LINES:])
