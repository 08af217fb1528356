"""Routes: upload a package, take a worker's artifact, download both (Range, sha256)."""

import base64
import binascii
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, Response

from repack_contract.task import Arch
from repack_contract.views import StoredArtifact, Upload
from repack_dashboard.blobs import Blobs
from repack_dashboard.content import too_large
from repack_dashboard.downloads import download
from repack_dashboard.packages import StoredFile
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services
from repack_dashboard.tickets import DownloadAccess
from repack_dashboard.users import UserAccess
from repack_objects.bucket import Found

MEDIA_TYPE = "application/octet-stream"
# What a plugin's author chose ends in a header and on a user's disk: letters, digits and a few signs, no path.
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+@-]{0,240}\.difypkg$"
_UPLOAD_NAME = r"^[^/\\\x00-\x1f\x7f]{1,240}$"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPR_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "The file."},
    206: {"description": "The part asked for."},
}


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes of packages."""
    router = APIRouter(tags=["packages"])
    settings, packages = services.settings, services.packages

    @router.post("/uploads", status_code=201, openapi_extra=_BODY)
    async def upload(
        access: UserAccess, request: Request, filename: Annotated[str, Query(pattern=_UPLOAD_NAME)]
    ) -> Upload:
        """Store a package; `spec.source.upload.key` of a task names it then. The body is the file itself."""
        await services.require_create(access)
        _check_length(request, settings.max_upload_bytes)
        taken = await packages.take_upload(request.stream(), filename=filename, max_bytes=settings.max_upload_bytes)
        services.metrics.artifact_bytes.labels("upload").inc(taken.size_bytes)
        return taken

    @router.get("/uploads/{key}", response_class=FileResponse, responses=_FILE)
    async def download_upload(request: Request, key: str, sender: Annotated[Sender, Depends(guard)]) -> Response:
        """Return an uploaded package to the worker that shall repackage it."""
        sender.check_upload(list(services.board.store), key)
        found = await packages.find_upload(key)
        if found is None:
            raise not_found("upload with this key")
        return _file(request, services.blobs, *found)

    @router.put(
        "/ingest/artifacts/{uid}/{attempt}/{target}/{filename}",
        status_code=201,
        openapi_extra=_BODY,
    )
    async def take_artifact(
        request: Request,
        uid: str,
        attempt: Annotated[int, Path(ge=1, le=10_000)],
        target: Arch,
        filename: Annotated[str, Path(pattern=FILE_NAME)],
        sender: Annotated[Sender, Depends(guard)],
    ) -> StoredArtifact:
        """Take what a worker made. Its sha256 is announced in `X-Content-SHA256` (hex) or `Repr-Digest`."""
        sha256 = announced_sha256(request.headers.get("x-content-sha256"), request.headers.get("repr-digest"))
        if not await services.knows(uid):
            raise not_found("task with this uid")
        services.check_sender(sender, uid, attempt)
        _check_length(request, settings.max_artifact_bytes)
        stored = await packages.take_artifact(
            request.stream(),
            uid=uid,
            attempt=attempt,
            stored_as=(target, filename),
            sha256=sha256,
            max_bytes=settings.max_artifact_bytes,
        )
        services.metrics.artifact_bytes.labels("artifact").inc(stored.size_bytes)
        return StoredArtifact(
            uri=f"/api/v1/artifacts/{uid}/{stored.name}",
            name=stored.name,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )

    @router.head("/artifacts/{uid}/{filename}", include_in_schema=False)
    @router.get("/artifacts/{uid}/{filename}", response_class=FileResponse, responses=_FILE)
    async def download_artifact(access: DownloadAccess, request: Request, uid: str, filename: str) -> Response:
        """Return a finished package. A cut download goes on with `Range` and `If-Range`; the ETag is its sha256."""
        services.task(uid, access)
        found = await packages.find_artifact(uid, filename)
        if found is None:
            raise not_found("such package of this task")
        return _file(request, services.blobs, *found)

    return router


def announced_sha256(plain: str | None, repr_digest: str | None) -> str:
    """Return the sha256 (hex) that a sender announced in `X-Content-SHA256` or in `Repr-Digest` (RFC 9530).

    Raises:
        ProblemError: 400, none or none that can be read.
    """
    if plain and _SHA256.fullmatch(plain.lower()):
        return plain.lower()
    if repr_digest and (match := _REPR_DIGEST.search(repr_digest)):
        try:
            digest = base64.b64decode(match.group(1), validate=True)
        except binascii.Error:
            digest = b""
        if len(digest) == 32:
            return digest.hex()
    raise ProblemError(400, "The file's sha256 is missing.", hint="Send it in X-Content-SHA256 (hex) or Repr-Digest.")


def _check_length(request: Request, limit: int) -> None:
    """Refuse before the first byte where the sender says how much it will be."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)


def _file(request: Request, blobs: Blobs, found: Found, stored: StoredFile) -> Response:
    etag = f'"{stored.sha256}"'
    digest = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
    headers = {
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{digest}:",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    known = [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return download(blobs, found, media_type=MEDIA_TYPE, filename=stored.name, headers=headers)
