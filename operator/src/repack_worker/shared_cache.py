"""What the dashboard keeps for all workers: a help, never a need.

Wheels are named by their content, so a worker can neither be given nor give a wrong one: both sides check the hash.
Plans, and which wheel came of which build, have no such name and are believed: the dashboard keeps them apart by the
namespace of the worker, and here they are checked as if a plugin had brought them.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from repack_worker.archive import CHUNK, sha256_of
from repack_worker.authorization import authorization
from repack_worker.threads import in_thread

_TIMEOUT = httpx.Timeout(30, connect=3)
_LARGEST_ENTRY = 2 << 20


class SharedCache:
    """Speaks to `/api/v1/wheels` and `/api/v1/memory`. After one failure of the connection it is not asked again."""

    def __init__(self, client: httpx.AsyncClient, *, token_file: Path | None, remembers: bool = True) -> None:
        """Prepare.

        Args:
            client: its base URL is the dashboard.
            token_file: who we are there.
            remembers: whether plans and builds are shared as well.
        """
        self._client, self._token_file = client, token_file
        self._usable, self._remembers = True, remembers

    async def recall(self, kind: str, key: str) -> bytes:
        """Return what a worker of our namespace remembered; empty when nobody did, or it cannot be had."""
        if not (self._usable and self._remembers):
            return b""
        try:
            headers = {"Accept-Encoding": "identity", **authorization(self._token_file)}
            async with self._client.stream("GET", _entry(kind, key), headers=headers, timeout=_TIMEOUT) as response:
                if response.status_code != httpx.codes.OK:
                    self._remembers = response.status_code == httpx.codes.NOT_FOUND
                    return b""
                content = b""
                async for chunk in response.aiter_raw():
                    content += chunk
                    if len(content) > _LARGEST_ENTRY:
                        return b""
                return content
        except (httpx.HTTPError, OSError):
            self._usable = False
            return b""

    async def remember(self, kind: str, key: str, content: bytes) -> None:
        """Tell the workers of our namespace; what the dashboard does with it is its own affair."""
        if not (self._usable and self._remembers):
            return
        headers = {"Content-Type": "application/octet-stream"}
        try:
            headers |= authorization(self._token_file)
            await self._client.put(_entry(kind, key), content=content, headers=headers, timeout=_TIMEOUT)
        except (httpx.HTTPError, OSError):
            self._usable = False

    async def get(self, sha256: str, into: Path, *, limit: int) -> bool:
        """Fetch a wheel; False when it is not there, not right, or the dashboard does not answer."""
        if not self._usable:
            return False
        try:
            headers = {"Accept-Encoding": "identity", **authorization(self._token_file)}
            async with self._client.stream("GET", _path(sha256), headers=headers, timeout=_TIMEOUT) as response:
                if response.status_code != httpx.codes.OK:
                    self._usable = response.status_code == httpx.codes.NOT_FOUND
                    return False
                size = 0
                with into.open("wb") as file:
                    async for chunk in response.aiter_raw():
                        size += len(chunk)
                        if size > limit:
                            break  # it is another file, which the hash will tell
                        file.write(chunk)
        except httpx.HTTPError:
            self._usable = False
            await in_thread(_remove, into)
            return False
        except asyncio.CancelledError:
            _remove(into)
            raise
        if await in_thread(sha256_of, into) == sha256:
            return True
        await in_thread(_remove, into)
        return False

    async def put(self, sha256: str, file: Path) -> None:
        """Offer an entry; what the dashboard does with it is its own affair."""
        if not self._usable:
            return
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str((await in_thread(file.stat)).st_size),
            **authorization(self._token_file),
        }
        try:
            await self._client.put(_path(sha256), content=_stream(file), headers=headers, timeout=_TIMEOUT)
        except httpx.HTTPError:
            self._usable = False


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _entry(kind: str, key: str) -> str:
    return f"/api/v1/memory/{kind}/{key}"


def _path(sha256: str) -> str:
    return f"/api/v1/wheels/{sha256}"


async def _stream(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await in_thread(source.read, CHUNK):
            yield chunk
