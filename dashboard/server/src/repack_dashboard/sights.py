"""Route: the Pods and Events of a task, read when somebody looks: why nothing moves, without kubectl."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError

from repack_contract import naming
from repack_contract.errors import sanitize
from repack_contract.views import EventSight, PodSight, TaskSights, TaskView
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess
from repack_kube.errors import ForbiddenError
from repack_kube.resources import EVENTS, PODS, Object, Resource, Scope

MAX_EVENTS = 100
_MOMENT = TypeAdapter(datetime)


def routes(services: Services) -> APIRouter:
    """Return the route of Pods and Events."""
    router = APIRouter(prefix="/tasks/{uid}", tags=["tasks"])

    @router.get("/sights")
    async def sights(access: UserAccess, uid: str) -> TaskSights:
        """Return the Pods of the task's current attempt and the Events about the task, its Job and its Pods."""
        view = services.task(uid, access)
        pods, events = await asyncio.gather(_list(services, PODS, _of(view)), _events(services, view))
        names = {"pods": pods, "events": events}
        return TaskSights(
            pods=[pod_sight(body) for body in pods or ()],
            events=[event_sight(body) for body in events or ()][:MAX_EVENTS],
            missing=[name for name, found in names.items() if found is None],
        )

    return router


def _of(view: TaskView) -> Scope:
    labels = f"{naming.LABEL_TASK_UID}={view.uid}"
    if view.status.attempt:
        labels += f",{naming.LABEL_ATTEMPT}={view.status.attempt}"
    return Scope(namespace=view.namespace, labels=labels)


async def _list(services: Services, resource: Resource, scope: Scope) -> list[Object] | None:
    """Return the objects, None where our rights do not reach. Raises `KubeError`."""
    try:
        return (await services.tasks.api.list(resource, scope)).items
    except ForbiddenError:
        return None


async def _events(services: Services, view: TaskView) -> list[Object] | None:
    """Return the Events about the task and what was made for it, newest first. The names begin with the task's."""
    found = await _list(services, EVENTS, Scope(namespace=view.namespace))
    if found is None:
        return None
    jobs = {record.job for record in view.status.attempts or () if record.job}
    if view.status.job and view.status.job.name:
        jobs.add(view.status.job.name)

    def is_ours(body: Object) -> bool:
        about = body.get("involvedObject") or {}
        kind, name = about.get("kind"), str(about.get("name", ""))
        if kind == naming.KIND:
            return name == view.name and about.get("uid", view.uid) == view.uid
        return (kind == "Job" and name in jobs) or (kind == "Pod" and any(name.startswith(f"{job}-") for job in jobs))

    return sorted(filter(is_ours, found), key=lambda body: str(_last_seen(body) or ""), reverse=True)


def pod_sight(body: Object) -> PodSight:
    """Return what is worth telling of a Pod."""
    status = body.get("status") or {}
    containers: Sequence[Any] = (body.get("spec") or {}).get("containers") or ()
    reason, message = _trouble(status)
    return PodSight(
        name=str(body.get("metadata", {}).get("name", "")),
        phase=str(status.get("phase", "Unknown")),
        node=(body.get("spec") or {}).get("nodeName"),
        reason=reason,
        message=sanitize(message) if message else None,
        image=containers[0].get("image") if containers else None,
    )


def _trouble(status: dict[str, Any]) -> tuple[str | None, str | None]:
    for state in status.get("initContainerStatuses", []) + status.get("containerStatuses", []):
        for kind in ("waiting", "terminated"):
            told = (state.get("state") or {}).get(kind) or {}
            if told.get("reason") not in {None, "Completed"}:
                # A terminated worker's message is its result, which the task's status tells in words.
                return told["reason"], told.get("message") if kind == "waiting" else None
    for condition in status.get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("reason"), condition.get("message")
    return status.get("reason"), status.get("message")


def event_sight(body: Object) -> EventSight:
    """Return what is worth telling of an Event."""
    about = body.get("involvedObject") or {}
    return EventSight(
        kind=str(about.get("kind", "")),
        name=str(about.get("name", "")),
        type=str(body.get("type") or "Normal"),
        reason=str(body.get("reason") or ""),
        message=sanitize(str(body.get("message") or "")),
        count=int(body.get("count") or (body.get("series") or {}).get("count") or 1),
        last_seen=_last_seen(body),
    )


def _last_seen(body: Object) -> datetime | None:
    series = body.get("series") or {}
    first = body.get("metadata", {}).get("creationTimestamp")
    for moment in (series.get("lastObservedTime"), body.get("lastTimestamp"), body.get("eventTime"), first):
        try:
            if moment:
                return _MOMENT.validate_python(moment)
        except ValidationError:
            continue
    return None
