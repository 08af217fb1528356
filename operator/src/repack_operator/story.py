"""Kubernetes Events of a task, for people who ask `kubectl describe`: one for each step that says something.

A courtesy, not a record: the status is the record. They are written beside the work, from a bounded queue; one that
cannot be written is dropped.
"""

import asyncio
from datetime import datetime

import structlog

from repack_contract.naming import API_VERSION, KIND
from repack_contract.phases import Phase
from repack_contract.task import RepackageTask, Status
from repack_contract.wire import rfc3339
from repack_kube.client import Cluster
from repack_kube.errors import KubeError
from repack_kube.resources import EVENTS, Object

log = structlog.get_logger()

COMPONENT = "dify-repack-operator"
MAX_WAITING = 500
"""Events that may wait to be written; an API server that is that slow has better things to do."""
MAX_NOTE = 1024
"""Longest message that the API server takes."""

_TOLD = frozenset({Phase.RUNNING, Phase.RETRYING, Phase.SUSPENDED, *(p for p in Phase if p.is_final)})
_WARNINGS = frozenset({Phase.RETRYING, Phase.FAILED})


def event_of(task: RepackageTask, status: Status, *, now: datetime) -> Object | None:
    """Return the Event of a step; None for one of which there is nothing to tell.

    Its name is made of the task's uid and sequence, so that a step told twice is one Event.
    """
    if status.phase not in _TOLD:
        return None
    metadata, moment = task.metadata, rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata.name}.{metadata.uid[:8]}-{status.sequence}",
            "namespace": metadata.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "type": "Warning" if status.phase in _WARNINGS else "Normal",
        "reason": status.reason or status.phase.value,
        "message": (status.message or "")[:MAX_NOTE],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


class Story:
    """Writes Events beside the work; `tell` never waits and never fails."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waiting: asyncio.Queue[Object] = asyncio.Queue(MAX_WAITING)

    def tell(self, task: RepackageTask, status: Status, *, now: datetime) -> None:
        """Note a step of a task."""
        event = event_of(task, status, now=now)
        if event is not None and not self._waiting.full():
            self._waiting.put_nowait(event)

    async def run(self) -> None:
        """Write the noted steps until cancelled."""
        while True:  # ends by cancellation
            event = await self._waiting.get()
            try:
                await self._cluster.create(EVENTS, event)
            except KubeError as error:
                log.debug("an Event was not written", name=event["metadata"]["name"], error=error.message)
