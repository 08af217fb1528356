"""Routes: the wheel cache that workers share, and the files that belong to an artifact."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import FileResponse, Response

from repack_contract.task import Arch
from repack_dashboard.artifacts import MEDIA_TYPE
from repack_dashboard.downloads import download
from repack_dashboard.packages import Companion
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services
from repack_dashboard.tickets import DownloadAccess

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_MEDIA_TYPES = {
    Companion.REPORT: "application/json",
    Companion.SBOM: "application/vnd.cyclonedx+json",
    Companion.PUBLIC_KEY: "application/x-pem-file",
}
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "The file."}}
MAX_COMPANION_BYTES = 16 << 20
"""A report of a thousand wheels has less than one."""


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes of wheels and of companions."""
    router = APIRouter(tags=["packages"])
    settings, wheels, packages = services.settings, services.wheels, services.packages

    @router.get("/wheels/{sha256}", response_class=FileResponse, responses=_FILE)
    async def download_wheel(sha256: Sha256, sender: Annotated[Sender, Depends(guard)]) -> Response:
        """Return a wheel that some worker has fetched before. The worker checks its hash again."""
        check_worker(services, sender)
        found = await wheels.find(sha256)
        if found is None:
            raise not_found("wheel with this sha256")
        return download(services.blobs, found, media_type=MEDIA_TYPE)

    @router.put("/wheels/{sha256}", status_code=204, openapi_extra=_BODY)
    async def take_wheel(request: Request, sha256: Sha256, sender: Annotated[Sender, Depends(guard)]) -> None:
        """Keep a wheel for the other workers; refused when its content has another sha256."""
        check_worker(services, sender)
        if wheels.is_on:
            await wheels.take(request.stream(), sha256=sha256, max_bytes=settings.max_artifact_bytes)

    @router.put("/ingest/companions/{uid}/{attempt}/{target}/{kind}", status_code=204, openapi_extra=_BODY)
    async def take_companion(
        request: Request,
        uid: str,
        attempt: Annotated[int, Path(ge=1, le=10_000)],
        target: Arch,
        kind: Companion,
        sender: Annotated[Sender, Depends(guard)],
    ) -> None:
        """Take a file that belongs to an artifact, before the artifact itself: whoever sees the one sees the others."""
        if not await services.knows(uid):
            raise not_found("task with this uid")
        services.check_sender(sender, uid, attempt)
        await packages.take_companion(
            request.stream(), uid=uid, attempt=attempt, target=target, kind=kind, max_bytes=MAX_COMPANION_BYTES
        )

    @router.get("/artifacts/{uid}/{filename}/{kind}", response_class=FileResponse, responses=_FILE)
    async def download_companion(access: DownloadAccess, uid: str, filename: str, kind: Companion) -> Response:
        """Return the report, the bill of materials or the public key that belongs to a package."""
        services.task(uid, access)
        found = (await packages.companions(uid, filename)).get(kind)
        if found is None:
            raise not_found("such file beside this package")
        headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
        name = f"{filename}.{kind.value}"
        return download(services.blobs, found, media_type=_MEDIA_TYPES[kind], filename=name, headers=headers)

    return router


def check_worker(services: Services, sender: Sender) -> None:
    """Raise the 403 problem for a service account that works on no task of ours."""
    if not sender.is_operator and (sender.work is None or sender.work.task_uid not in services.board.store):
        raise ProblemError(403, "This token is not that of a worker of a task.", hint="Only workers share wheels.")
