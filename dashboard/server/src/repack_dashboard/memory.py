"""What workers remember for each other: plans, and which wheel came of which source. Kept apart by namespace.

Such an entry is believed, unlike a wheel, whose name is the hash of its content. A worker that was taken over could
write a wrong one: so an entry is read in the namespace only from which it was written, as the API server names it.
Where all share one token (`ingest_auth` token) there is one scope.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from repack_dashboard.artifacts import MEDIA_TYPE
from repack_dashboard.memory_store import Kind
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services
from repack_dashboard.wheels import check_worker

SHARED = "shared"
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "The entry."}}
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


def scope_of(sender: Sender) -> str:
    """Return the folder of those who may read what this sender writes.

    Raises:
        ProblemError: 403 for a sender of no namespace, which is the operator.
    """
    if sender.work is None:
        return SHARED
    if not _NAMESPACE.fullmatch(sender.work.namespace):
        raise ProblemError(403, "Only workers remember plans and builds.", hint="Use the token of a worker.")
    return f"ns-{sender.work.namespace}"


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes of what workers remember; nothing is kept where the wheel cache is off."""
    router = APIRouter(tags=["packages"])

    @router.get("/memory/{kind}/{key}", response_class=Response, responses=_FILE)
    async def recall(kind: Kind, key: Key, sender: Annotated[Sender, Depends(guard)]) -> Response:
        """Return what a worker of the same namespace remembered. It checks the entry itself."""
        check_worker(services, sender)
        content = await services.memory.find(scope_of(sender), kind, key)
        if content is None:
            raise not_found("entry under this key")
        return Response(content, media_type=MEDIA_TYPE)

    @router.put("/memory/{kind}/{key}", status_code=204, openapi_extra=_BODY)
    async def remember(request: Request, kind: Kind, key: Key, sender: Annotated[Sender, Depends(guard)]) -> None:
        """Keep an entry for the workers of the same namespace."""
        check_worker(services, sender)
        scope = scope_of(sender)
        if services.wheels.is_on:
            await services.memory.take(request.stream(), scope=scope, kind=kind, key=key)

    return router
