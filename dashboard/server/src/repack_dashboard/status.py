"""Routes about the installation itself: configuration, the operator's health, liveness, readiness, metrics."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from repack_contract.events import QueuePlace
from repack_contract.task import Output
from repack_contract.views import ClientConfig, Defaults, Limits, OperatorHealth, TaskView
from repack_dashboard.metrics import CONTENT_TYPE
from repack_dashboard.services import Services
from repack_dashboard.stats import connections, log_line, table
from repack_dashboard.users import Access, UnauthenticatedError, UserAccess, access_of, bearer_of


def api_routes(services: Services) -> APIRouter:
    """Return the routes below `/api/v1`."""
    router = APIRouter(tags=["installation"])

    @router.get("/config")
    async def config(request: Request) -> ClientConfig:
        """Return what the page must know before it can show anything; to a stranger no namespace that holds tasks."""
        access = None if bearer_of(request.headers) is None else await access_of(request)
        return client_config(services, access or await _nobody(services))

    @router.get("/operator")
    async def operator(_access: UserAccess) -> OperatorHealth:
        """Return how the operator is."""
        return services.operator.health

    @router.get("/operator/queue")
    async def queue(access: UserAccess) -> list[QueuePlace]:
        """Return the first tasks of the queue: where each stands, why it waits, when it will probably start."""
        views = ((place, services.board.store.get(place.uid)) for place in services.operator.queue)
        return [place for place, view in views if view is not None and access.shows(view.namespace)]

    return router


def root_routes(services: Services) -> APIRouter:
    """Return the routes for the kubelet and for Prometheus."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        """Say that the process works. It says nothing of the cluster: a restart would not mend that."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz")
    async def readyz() -> Response:
        """Say whether to send users here: not before the tasks are listed, without log or vital right, while we end.

        Nor before the object store could be written once, so that a wrong setting stops a roll-out. One that fails
        later is told of and no more: without it tasks can still be watched, and no other replica has another.
        """
        rights = services.rights
        waits = {
            "draining": services.is_draining,
            "event-log-unreachable": not services.log.state.is_live,
            "object-store-unreachable": not services.blobs.health.was_reached,
            "tasks-not-listed": not services.relist.ready.is_set(),
            "rights-missing": rights is not None and rights.is_vital_missing,
        }
        reasons = [name for name, holds in waits.items() if holds]
        answer: dict[str, Any] = {"ready": not reasons, "reasons": reasons}
        if rights is not None and rights.missing:
            answer["missing"] = rights.sentences
        if services.relist.obstacle:
            answer["obstacle"] = services.relist.obstacle
        if error := services.blobs.health.error:
            answer["degraded"] = [{"reason": "object-store-unreachable", "message": error.message, "hint": error.hint}]
        return JSONResponse(answer, status_code=503 if reasons else 200)

    @router.get("/metrics")
    async def metrics() -> Response:
        """Return all metrics."""
        services.hub.measure()
        return Response(services.metrics.text(), media_type=CONTENT_TYPE)

    @router.get("/stats")
    async def stats(access: UserAccess) -> Response:
        """Show people who is connected: channels with their connections, ages, backlogs and round trips."""

        def find(uid: str) -> TaskView | None:
            view = services.board.store.get(uid)
            return view if view is not None and access.shows(view.namespace) else None

        hub, now = services.hub, time.monotonic()
        rows = connections(hub.clients, find=find, rtt=services.seats.rtt, now=now)
        return PlainTextResponse(log_line(services.log) + table(rows))

    return router


async def _nobody(services: Services) -> Access:
    try:
        return await services.users.access(None)
    except UnauthenticatedError:
        return Access(services.users, sees=frozenset())


def client_config(services: Services, access: Access) -> ClientConfig:
    """Return the part of the settings that the page needs."""
    settings = services.settings
    namespaces = sorted(name for name in services.namespaces if access.shows(name))
    return ClientConfig(
        version=services.version,
        instance=services.instance,
        auth_mode=settings.auth_mode,
        namespace=settings.namespace,
        namespaces=namespaces,
        sources=settings.sources,
        targets=settings.targets,
        modes=settings.modes,
        marketplace=services.marketplace is not None,
        limits=Limits(max_upload_bytes=settings.max_upload_bytes),
        defaults=Defaults(
            targets=settings.targets[:1],
            python="3.12",
            mode=settings.modes[0],
            suffix=Output().suffix,
            package_index_url=settings.default_package_index_url,
        ),
    )
