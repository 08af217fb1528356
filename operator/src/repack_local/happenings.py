"""Events, as `kubectl describe` shows them: what the Job controller and the pod runner did, and when."""

import time

from repack_local.api.kinds import EVENTS
from repack_local.api.objects import Objects
from repack_local.api.statuses import ApiError, Object

NODE = "local"
"""The one node's name."""


class Recorder:
    """Writes events. A failed write is no error: events inform, nothing depends on them."""

    def __init__(self, objects: Objects, *, component: str) -> None:
        self._objects = objects
        self._component = component

    def record(self, about: Object, reason: str, message: str, *, warning: bool = False, field: str = "") -> None:
        """Write one event about an object."""
        metadata, now = about["metadata"], self._objects.now()
        namespace = metadata.get("namespace", "default")
        involved = {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        event = {
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}"},
            "involvedObject": involved | ({"fieldPath": field} if field else {}),
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:1024],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": self._component} | ({"host": NODE} if self._component == "kubelet" else {}),
            "reportingComponent": self._component,
            "reportingInstance": NODE if self._component == "kubelet" else "",
        }
        try:
            self._objects.create(EVENTS, namespace, event)
        except ApiError:
            return  # the namespace is going
