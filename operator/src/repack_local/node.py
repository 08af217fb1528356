"""The one node of the embedded mode: where its pods' files lie, and how it tells of them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repack_local.api.kinds import PODS
from repack_local.api.objects import Deletion, Objects
from repack_local.api.statuses import ApiError, Object
from repack_local.happenings import Recorder

_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class RunnerOptions:
    """How pods are run."""

    root: Path
    """Folder for the pods' files and logs."""
    ingest_token: str
    """What projected service account tokens contain."""
    environment: Mapping[str, str]
    """What every process gets: search path, language, certificates and proxies. Nothing else of ours reaches it."""
    host_variables: frozenset[str] = frozenset()
    """Names of variables whose paths are of this machine: such as that of a cache that all pods share."""
    stop_seconds: float = 5.0
    """How long processes may take to end when the runner stops."""


class Node:
    """What running a pod needs of the machine and the API."""

    def __init__(self, objects: Objects, options: RunnerOptions) -> None:
        self.objects = objects
        self.options = options
        self.scheduler = Recorder(objects, component="default-scheduler")
        self.kubelet = Recorder(objects, component="kubelet")

    @property
    def pods_folder(self) -> Path:
        """Where each running pod has a folder, named by its uid."""
        return self.options.root / "pods"

    @property
    def logs_folder(self) -> Path:
        """Where each pod has its log until the Pod object is deleted."""
        return self.options.root / "logs"

    def log_file(self, pod: Object) -> Path:
        """Return where a pod's log is."""
        return self.logs_folder / f"{pod['metadata']['uid']}.log"

    def current(self, pod: Object) -> Object | None:
        """Return the Pod as it is stored now, None where it is gone (or another one has its name)."""
        entry = self.objects.storage.get(PODS.key, *place_of(pod))
        if entry is None or entry.obj["metadata"]["uid"] != pod["metadata"]["uid"]:
            return None
        return entry.obj

    def write_status(self, pod: Object, status: Object) -> None:
        """Write the status of a Pod that may be gone meanwhile."""
        current = self.current(pod)
        if current is not None:
            self.objects.replace(PODS, place_of(pod), current | {"status": status}, subresource="status")

    def finish_deletion(self, pod: Object) -> None:
        """Let a Pod go that was deleted and whose process has ended."""
        metadata = (self.current(pod) or {}).get("metadata", {})
        if "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds"):
            preconditions = {"uid": pod["metadata"]["uid"]}
            with contextlib.suppress(ApiError):
                self.objects.delete(PODS, place_of(pod), Deletion(grace_seconds=0, preconditions=preconditions))


def place_of(pod: Object) -> tuple[str, str]:
    """Return namespace and name of a Pod."""
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def is_over(pod: Object) -> bool:
    """Tell whether a Pod has ended."""
    return (pod.get("status") or {}).get("phase") in _OVER
