"""Entries as files of a folder: a volume that survives restarts, shared where there are several replicas."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

from repack_dashboard.blobs import Check, StoreHealth
from repack_dashboard.content import BLOCK_BYTES, Content
from repack_dashboard.files import receive, write_whole
from repack_dashboard.retention import sweep
from repack_objects.bucket import Found


class FolderBlobs:
    """`<root>/<key>`; what is still coming in lies in `<root>/incoming`."""

    def __init__(self, root: Path) -> None:
        self._root, self._incoming = root, root / "incoming"
        self.health = StoreHealth(reached=True)

    async def begin(self) -> None:
        """Remove what a crash left half-received. Only at start, while nothing is being received."""
        await asyncio.to_thread(shutil.rmtree, self._incoming, ignore_errors=True)

    async def check(self) -> None:
        """Do nothing: a folder that fails says so by itself."""

    async def take(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int, check: Check | None) -> Content:
        """Write beside, look, sync, rename."""
        received = await receive(chunks, incoming=self._incoming, max_bytes=max_bytes)
        try:
            if check is not None:
                check(received.content)
            await asyncio.to_thread(received.publish, self._root / key)
        finally:
            received.discard()
        return received.content

    async def write(self, key: str, data: bytes) -> None:
        """Write in one step."""
        await asyncio.to_thread(write_whole, self._root / key, data)

    async def read(self, key: str) -> bytes | None:
        """Return the content of a file."""
        return await asyncio.to_thread(_read, self._root / key)

    async def find(self, key: str) -> Found | None:
        """Look at a file."""
        return await asyncio.to_thread(_found, self._root / key, key)

    async def use(self, key: str) -> Found | None:
        """Look at a file and set its time."""
        path, now = self._root / key, time.time_ns()
        try:
            os.utime(path, ns=(now, now))  # the kernel's own stamp is coarse: two uses in one tick would look alike
        except OSError:
            return None
        return await self.find(key)

    async def entries(self, folder: str) -> Sequence[Found]:
        """Walk through a folder; what is swept away meanwhile is left out."""
        return await asyncio.to_thread(self._list, self._root / folder)

    async def remove(self, keys: Sequence[str]) -> None:
        """Unlink files."""
        for key in keys:
            await asyncio.to_thread((self._root / key).unlink, missing_ok=True)

    async def sweep(self, folder: str, *, live: Callable[[str], bool], now: float, grace_seconds: float) -> list[str]:
        """Remove folders; the time of grace is the age of a file in each."""
        return await asyncio.to_thread(
            sweep, self._root / folder, is_live=lambda path: live(path.name), now=now, grace_seconds=grace_seconds
        )

    async def pieces(self, found: Found, *, start: int = 0) -> AsyncGenerator[bytes]:
        """Read a file."""
        with (self._root / found.key).open("rb") as file:
            file.seek(start)
            while chunk := await asyncio.to_thread(file.read, BLOCK_BYTES):
                yield chunk

    def path(self, found: Found) -> Path | None:
        """Return the file."""
        return self._root / found.key

    def space(self) -> tuple[int, int] | None:
        """Ask the volume."""
        disk = shutil.disk_usage(self._root if self._root.exists() else self._root.parent)
        return disk.total, disk.free

    def _list(self, folder: Path) -> list[Found]:
        paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
        found = (_found(path, str(path.relative_to(self._root))) for path in paths)
        return [entry for entry in found if entry is not None]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _found(path: Path, key: str) -> Found | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return Found(key, facts.st_size, facts.st_mtime) if path.is_file() else None
