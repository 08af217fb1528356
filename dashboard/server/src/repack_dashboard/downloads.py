"""Answers that are a stored entry: whole, or the parts that were asked for (Range, If-Range)."""

import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from fastapi.responses import FileResponse

from repack_dashboard.blobs import Blobs
from repack_objects.bucket import Found


def download(blobs: Blobs, found: Found, **options: Any) -> FileResponse:
    """Return the answer for an entry; `options` are those of Starlette's FileResponse."""
    path = blobs.path(found)
    return FileResponse(path, **options) if path is not None else _ObjectResponse(blobs, found, **options)


class _ObjectResponse(FileResponse):
    """Starlette's answer for a file, with an object in the file's place: ranges are judged by the same code."""

    def __init__(self, blobs: Blobs, found: Found, **options: Any) -> None:
        times = (found.modified,) * 3
        facts = os.stat_result((stat.S_IFREG | 0o600, 0, 0, 1, 0, 0, found.size_bytes, *times))
        super().__init__(found.key, stat_result=facts, **options)
        self._reader = _Reader(blobs, found)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        """Give what is read from; the tests of ranges hold that this is what Starlette asks for."""
        try:
            yield cast("anyio.AsyncFile[bytes]", self._reader)
        finally:
            await self._reader.close()


class _Reader:
    """Reads an object forwards, from where `seek` put it."""

    def __init__(self, blobs: Blobs, found: Found) -> None:
        self._blobs, self._found = blobs, found
        self._parts: AsyncGenerator[bytes] | None = None
        self._position = 0
        self._held = memoryview(b"")

    async def seek(self, position: int) -> None:
        """Go to a position."""
        await self.close()
        self._position, self._held = position, memoryview(b"")

    async def read(self, size: int) -> bytes:
        """Return the next bytes, as many as were asked for unless the object ends."""
        taken = bytearray()
        while len(taken) < size:
            if not self._held:
                if self._parts is None:
                    self._parts = self._blobs.pieces(self._found, start=self._position)
                self._held = memoryview(await anext(self._parts, b""))
                if not self._held:
                    break
            piece = self._held[: size - len(taken)]
            taken += piece
            self._held = self._held[len(piece) :]
        return bytes(taken)

    async def close(self) -> None:
        """Stop reading."""
        if self._parts is not None:
            await self._parts.aclose()
            self._parts = None
