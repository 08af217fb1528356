"""Fetching the files of a plan into a cache addressed by content: what is there and right is not fetched again.

Every read is checked by hash, whoever wrote the entry; a wrong one is thrown away and fetched again.
"""

import asyncio
import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import sha256_of
from repack_worker.fetch import Download, Fetcher
from repack_worker.index_access import IndexAccess
from repack_worker.plan import SourceDist, Wheel
from repack_worker.threads import in_thread

if TYPE_CHECKING:
    from repack_worker.object_wheels import ObjectWheels
    from repack_worker.shared_cache import SharedCache

_LARGEST_FILE = 4 << 30
_FILES_PATH = "/packages/"
_IN_USE_SECONDS = 3600.0
"""An entry used within this time may be in the hands of another worker and is not thrown out."""

_MISSING = Reason.PLUGIN_NOT_FOUND
"""What the fetcher is to answer for a file that is not there; never leaves this module."""
_HINT = "Check that the package index can be reached and has the file, or name another one in spec.packageIndex."

File = Wheel | SourceDist
OnFile = Callable[[File, bool], None]


class Origin(Protocol):
    """Where the files of a plan come from when the cache does not have them."""

    async def fetch(self, file: File, into: Path, *, on_bytes: Callable[[int], None]) -> None:
        """Bring the file, checked by its hash; raise a `RepackError` that names it."""


class IndexOrigin:
    """The addresses of the plan, or the same files on a configured index; what an extra index has stays there."""

    def __init__(
        self, *, index: str | None, fetcher: Fetcher, access: IndexAccess, folder: Path, extra: Sequence[str] = ()
    ) -> None:
        self._index, self._extra = index, tuple(extra)
        self._fetcher, self._access, self._folder = fetcher, access, folder

    async def fetch(self, file: File, into: Path, *, on_bytes: Callable[[int], None]) -> None:
        """Ask the index for the file by its path; one that keeps its files elsewhere, by the page of the project."""
        is_extra = any(_host(file.url) == _host(index) for index in self._extra)
        url = moved(file.url, self._index) if self._index and not is_extra else file.url
        try:
            await self._download(url, file, into, on_bytes)
        except RepackError as error:
            if error.reason is Reason.PACKAGE_TOO_LARGE:  # than the plan says that it is: another file
                raise RepackError(Reason.CHECKSUM_MISMATCH, error.message) from error
            if error.reason is not _MISSING:
                raise
            found = await self._elsewhere(file)
            if not found:
                raise RepackError(Reason.INDEX_UNREACHABLE, error.message) from error
            await self._download(found, file, into, on_bytes)

    async def _download(self, url: str, file: File, into: Path, on_bytes: Callable[[int], None]) -> None:
        await self._fetcher.download(
            Download(
                url=url,
                target=into,
                what=f"{file.name} {file.version}",
                limit=file.size_bytes or _LARGEST_FILE,
                sha256=file.sha256,
                headers=self._access.headers(url),
                missing=_MISSING,
                hint=_HINT,
                on_bytes=on_bytes,
            )
        )

    async def _elsewhere(self, file: File) -> str | None:
        from repack_worker.simple_index import files_of  # noqa: PLC0415 - seldom needed

        for index in (self._index, *self._extra):
            if index:
                pages = await files_of(
                    file.name, index=index, fetcher=self._fetcher, access=self._access, folder=self._folder
                )
                if found := next((page.url for page in pages if page.filename == file.filename), None):
                    return found
        return None


class WheelCache:
    """`<folder>/<sha256>/<filename>`, filled from a shared cache where there is one, else from the origin."""

    def __init__(
        self, folder: Path, *, fetcher: Fetcher, connections: int, shared: "SharedCache | ObjectWheels | None" = None
    ) -> None:
        self._folder, self._fetcher, self._shared = folder, fetcher, shared
        self._slots = asyncio.Semaphore(connections)

    async def collect(
        self, files: Sequence[File], *, origin: Origin, on_bytes: Callable[[int], None], on_file: OnFile
    ) -> dict[File, Path]:
        """Return where each file lies.

        Args:
            files: what is needed; each has a sha256.
            origin: where to get what is not here.
            on_bytes: called with the bytes that are there now.
            on_file: called with each file when it is there, and whether it was fetched from the origin.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    file: group.create_task(self._one(file, origin=origin, on_bytes=on_bytes, on_file=on_file))
                    for file in files
                }
        except ExceptionGroup as group_error:  # the first failure stopped the others
            raise group_error.exceptions[0] from group_error
        return {file: task.result() for file, task in tasks.items()}

    async def _one(self, file: File, *, origin: Origin, on_bytes: Callable[[int], None], on_file: OnFile) -> Path:
        path = self._folder / file.sha256 / file.filename
        async with self._fetcher.flight(file.sha256), self._slots:
            if path.exists() and await in_thread(_is_right, path, file.sha256):
                on_bytes(path.stat().st_size)
                on_file(file, False)  # noqa: FBT003 - the callback's one flag
                return path
            path.parent.mkdir(parents=True, exist_ok=True)
            # A name of our own: two workers may write the same entry, and the last rename wins with equal bytes.
            arriving = path.with_name(f".{uuid.uuid4().hex[:8]}-{file.filename}")
            shared = self._shared is not None and await self._shared.get(
                file.sha256, arriving, limit=file.size_bytes or _LARGEST_FILE
            )
            if shared:
                on_bytes(arriving.stat().st_size)
            else:
                await origin.fetch(file, arriving, on_bytes=on_bytes)
            arriving.replace(path)
            if self._shared is not None and not shared:
                await self._shared.put(file.sha256, path)
            on_file(file, not shared)
            return path

    def find(self, sha256: str, filename: str) -> Path | None:
        """Return an entry that is there and right."""
        path = self._folder / sha256 / filename
        return path if _is_right(path, sha256) else None

    def add(self, file: Path) -> Path:
        """Move a file of our own making into the cache and return where it lies now."""
        sha256 = sha256_of(file)
        path = self._folder / sha256 / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        arriving = path.with_name(f".{uuid.uuid4().hex[:8]}-{file.name}")
        shutil.move(file, arriving)
        arriving.replace(path)
        return path


def _is_right(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    if sha256_of(path) == sha256:
        os.utime(path)  # used now: the sweep throws out what was not used for longest
        return True
    path.unlink(missing_ok=True)
    return False


def sweep(
    folder: Path, *, max_bytes: int, max_age_seconds: float, pattern: str = "*/*", now: float | None = None
) -> int:
    """Throw out what was not used for too long, then the least recently used above the size; return the bytes freed.

    What was used within the last hour stays, for another worker may be about to read it, and so does what cannot be
    removed.
    """
    now = time.time() if now is None else now
    entries = []
    for path in folder.glob(pattern):
        try:
            facts = path.stat()
        except OSError:
            continue  # another worker was faster
        entries.append((facts.st_mtime, facts.st_size, path))
    kept = sum(size for _, size, _ in entries)
    freed = 0
    for used, size, path in sorted(entries):
        too_old, too_much = now - used > max_age_seconds, kept > max_bytes
        if now - used < _IN_USE_SECONDS or not (too_old or too_much):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
        if path.parent != folder:
            with contextlib.suppress(OSError):  # it may hold another file of the same content
                path.parent.rmdir()
        kept -= size
        freed += size
    return freed


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def moved(url: str, index: str) -> str:
    """Return the address of the file on another index, which is guarded by its hash.

    Mirrors keep the path `/packages/…` of the public index's file host beside their `/simple` (repackaging.md 6.1).
    An address without such a path, or on the index already, stays.
    """
    path = urlsplit(url).path
    at = path.find(_FILES_PATH)
    base = index.rstrip("/").removesuffix("/simple")
    if at < 0 or url.startswith(base):
        return url
    return base + path[at:]
