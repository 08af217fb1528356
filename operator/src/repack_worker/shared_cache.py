"""The wheel cache that the dashboard keeps for all workers: a help, never a need.

Entries are named by their content, so a worker can neither be given nor give a wrong one: both sides check the hash.
Only downloads are shared. What is built here is not: a build runs somebody's code, and its result has no hash that a
lock vouches for.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from repack_worker.archive import CHUNK, sha256_of
from repack_worker.authorization import authorization
from repack_worker.threads import in_thread

_TIMEOUT = httpx.Timeout(30, connect=3)


class SharedCache:
    """Speaks to `/api/v1/wheels/{sha256}`. After one failure of the connection it is not asked again."""

    def __init__(self, client: httpx.AsyncClient, *, token_file: Path | None) -> None:
        self._client, self._token_file = client, token_file
        self._usable = True

    async def get(self, sha256: str, into: Path) -> bool:
        """Fetch an entry; False when it is not there, not right, or the dashboard does not answer."""
        if not self._usable:
            return False
        try:
            headers = {"Accept-Encoding": "identity", **authorization(self._token_file)}
            async with self._client.stream("GET", _path(sha256), headers=headers, timeout=_TIMEOUT) as response:
                if response.status_code != httpx.codes.OK:
                    self._usable = response.status_code == httpx.codes.NOT_FOUND
                    return False
                with into.open("wb") as file:
                    async for chunk in response.aiter_raw():
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


def _path(sha256: str) -> str:
    return f"/api/v1/wheels/{sha256}"


async def _stream(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await in_thread(source.read, CHUNK):
            yield chunk
