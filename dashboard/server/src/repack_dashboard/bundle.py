"""Route: several packages as one archive, with a SHA256SUMS in it. Written while it is read; nothing is kept."""

import asyncio
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import IO, Annotated, Any, cast

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from repack_dashboard.blobs import Blobs
from repack_dashboard.packages import StoredFile
from repack_dashboard.problems import ProblemError
from repack_dashboard.services import Services
from repack_dashboard.tickets import DownloadAccess
from repack_dashboard.users import Access
from repack_objects.bucket import Found

MAX_TASKS = 200
SUMS = "SHA256SUMS"
_ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}, "description": "The archive."}}

Entry = tuple[str, Found, StoredFile]
"""Name in the archive, and the file."""


def routes(services: Services) -> APIRouter:
    """Return the route of the archive."""
    router = APIRouter(tags=["packages"])

    @router.get("/archive", response_class=StreamingResponse, responses=_ZIP)
    async def archive(
        access: DownloadAccess,
        task: Annotated[list[str], Query(min_length=1, max_length=MAX_TASKS, description="uids of tasks")],
    ) -> StreamingResponse:
        """Return the packages of several tasks as one zip; `sha256sum -c SHA256SUMS` checks what was unpacked."""
        entries = await collect(services, access, task)
        if not entries:
            raise ProblemError(404, "None of these tasks has a package.", hint="Choose tasks that have succeeded.")
        headers = {
            "Content-Disposition": 'attachment; filename="dify-offline-packages.zip"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(zipped(services.blobs, entries), media_type="application/zip", headers=headers)

    return router


async def collect(services: Services, access: Access, uids: Sequence[str]) -> list[Entry]:
    """Return the packages of those tasks that the user may see; of equal names the later ones get their task's."""
    entries: list[Entry] = []
    taken: set[str] = set()
    for uid in dict.fromkeys(uids):
        view = services.task(uid, access)
        for artifact in view.status.artifacts or ():
            found = await services.packages.find_artifact(uid, artifact.name or "")
            if found is None:
                continue
            _, stored = found
            name = stored.name if stored.name not in taken else f"{view.name}/{stored.name}"
            taken.add(name)
            entries.append((name, found[0], stored))
    return entries


async def zipped(blobs: Blobs, entries: Sequence[Entry]) -> AsyncIterator[bytes]:
    """Yield a zip of the files, uncompressed: packages are compressed already."""
    sink = _Sink()
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, found, stored in entries:
            about = zipfile.ZipInfo(name)
            about.file_size = stored.size_bytes
            with archive.open(about, "w", force_zip64=True) as target:
                async for piece in blobs.pieces(found):
                    await asyncio.to_thread(target.write, piece)
                    yield sink.take()
        sums = "".join(f"{stored.sha256}  {name}\n" for name, _, stored in entries)
        archive.writestr(zipfile.ZipInfo(SUMS), sums)
    yield sink.take()


class _Sink:
    """What a zip is written to: not seekable, and emptied after each piece."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it to flush."""

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data
