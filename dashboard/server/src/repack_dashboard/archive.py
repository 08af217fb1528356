"""Logs and progress where an object store keeps the files: spooled on a disk that may be lost, then put there.

Each replica spools every line that it takes or hears of from the others, so any of them can show a running attempt.
The whole log, which the worker hands in, goes to the store at once. Of an attempt that ended without one, and of those
that run while a replica ends, the spool goes there; what is there already is joined with it by line numbers.
"""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from repack_contract.progress import LogLine, Progress
from repack_dashboard import layout
from repack_dashboard.attempts import Attempts
from repack_dashboard.blobs import Blobs
from repack_dashboard.files import write_whole
from repack_dashboard.spools import joined, ndjson
from repack_objects.errors import StoreError

log = structlog.get_logger("repack.dashboard")

KEPT_SECONDS = 900.0
"""A copy of a log that lies in the store is kept so long after it was last asked for."""
BRING_SECONDS = 10.0
"""Longest time that a list of the tasks waits for what the store knows of them."""
_AT_ONCE = 32
_ARCHIVED = "archived"
"""Beside a spool: what is in it lies in the store."""

IsOver = Callable[[str, int], bool]
"""Tells whether no further line of an attempt can come."""


class ArchivedAttempts(Attempts):
    """What `Attempts` does, with the folder as a copy of what the store keeps."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        super().__init__(root)
        self._blobs = blobs
        self._asked: set[str] = set()
        """Uids whose progress was asked for."""
        self._own: set[tuple[str, int, int]] = set()
        """Lines of our own that we shall hear of like everybody else."""
        self._unsaved: dict[str, bytes] = {}
        """Progress by its key that is not in the store yet."""

    async def bring(self, uid: str, attempt: int) -> None:
        """Bring the log that the store keeps; the spool alone is shown while that cannot be asked."""
        folder = self.folder(uid, attempt)
        if (folder / layout.COMPLETE).exists():
            await asyncio.to_thread(os.utime, folder / layout.LOG)  # read now: it stays a while
            return
        key = layout.attempt(uid, attempt)
        kept = await self._blobs.read(f"{key}/{layout.LOG}")
        if kept is None:
            return
        is_whole = await self._blobs.find(f"{key}/{layout.COMPLETE}") is not None
        take = functools.partial(_take_over, folder, kept, is_whole=is_whole)
        await asyncio.get_running_loop().run_in_executor(self._writer, take)
        self._tails.pop((uid, attempt), None)

    async def attempts(self, uid: str) -> list[int]:
        """Return the attempts of which a log is kept, here or in the store."""
        there = [found.key.split("/") for found in await self._blobs.entries(layout.task(uid))]
        numbers = {int(parts[2]) for parts in there if parts[-1] == layout.LOG and parts[2].isdecimal()}
        return sorted(numbers | set(self._attempts_here(uid)))

    async def append(self, uid: str, attempt: int, lines: Sequence[LogLine]) -> list[LogLine]:
        """Spool lines; what lies in the store is not all any more."""
        news = await super().append(uid, attempt, lines)
        self._own.update((uid, attempt, line.n) for line in news)
        mark = self.folder(uid, attempt) / _ARCHIVED
        await asyncio.get_running_loop().run_in_executor(self._writer, lambda: mark.unlink(missing_ok=True))
        return news

    def hear(self, uid: str, attempt: int, lines: Sequence[LogLine], *, size: int) -> None:
        """Spool the lines that another replica took. They may come after later ones of our own."""
        del size
        others = [line for line in lines if (uid, attempt, line.n) not in self._own]
        self._own.difference_update((uid, attempt, line.n) for line in lines)
        if others:
            self._writer.submit(self._spool, self.folder(uid, attempt), others)

    @staticmethod
    def _spool(folder: Path, lines: list[LogLine]) -> None:
        try:
            if not (folder / layout.COMPLETE).exists():
                _take_over(folder, ndjson(lines), is_whole=False)
        except OSError as error:  # a full disk: those lines come with the whole log
            log.warning("lines of another replica could not be spooled", folder=str(folder), reason=str(error))

    async def complete(self, uid: str, attempt: int, lines: Sequence[LogLine]) -> None:
        """Put the whole log into the store, then replace the spool."""
        key = layout.attempt(uid, attempt)
        await self._blobs.write(f"{key}/{layout.LOG}", ndjson(lines))
        await self._blobs.write(f"{key}/{layout.COMPLETE}", b"")
        await super().complete(uid, attempt, lines)

    async def keep_progress(self, uid: str, progress: Progress) -> None:
        """Keep progress here, and soon in the store: whoever reports it does not wait for that."""
        await super().keep_progress(uid, progress)
        self._asked.add(uid)
        key = f"{layout.attempt(uid, progress.attempt)}/{layout.PROGRESS}"
        self._unsaved[key] = progress.model_dump_json(exclude_none=True).encode()

    async def bring_progress(self, wanted: Sequence[tuple[str, int]]) -> None:
        """Bring the last progress of tasks; a store that fails or dawdles costs their timelines, and no more."""
        missing = [(uid, attempt) for uid, attempt in wanted if uid not in self._asked]
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(BRING_SECONDS):
                for start in range(0, len(missing), _AT_ONCE):
                    await gathered([self._bring_one(*one) for one in missing[start : start + _AT_ONCE]])

    async def _bring_one(self, uid: str, attempt: int) -> None:
        for number in range(attempt, 0, -1):
            data = await self._blobs.read(f"{layout.attempt(uid, number)}/{layout.PROGRESS}")
            if data is not None:
                await asyncio.to_thread(write_whole, self.folder(uid, number) / layout.PROGRESS, data)
                break
        self._asked.add(uid)

    async def archive(self, is_over: IsOver, *, quiet_seconds: float) -> None:
        """Put into the store what is not there yet: progress, and spools that are over without a whole log.

        Args:
            is_over: tells which spools are.
            quiet_seconds: a spool that was written to later than that may still get its whole log.

        Raises:
            StoreError: the rest stays for the next time.
        """
        for key in list(self._unsaved):
            data = self._unsaved[key]
            await self._blobs.write(key, data)
            if self._unsaved.get(key) is data:
                del self._unsaved[key]
        for path in await asyncio.to_thread(self._spools, time.time() - quiet_seconds):
            uid, attempt = path.parent.parent.name, int(path.parent.name)
            if is_over(uid, attempt):
                await self._put(uid, attempt, path)

    async def _put(self, uid: str, attempt: int, path: Path) -> None:
        key = layout.attempt(uid, attempt)
        if await self._blobs.find(f"{key}/{layout.COMPLETE}") is None:
            ours, kept = await asyncio.to_thread(path.read_bytes), await self._blobs.read(f"{key}/{layout.LOG}")
            both = joined(kept or b"", ours)
            if both != kept:
                await self._blobs.write(f"{key}/{layout.LOG}", both)
        await asyncio.to_thread(path.with_name(_ARCHIVED).touch)

    def _spools(self, written_before: float) -> list[Path]:
        found = [path for path in self._root.glob(f"*/*/{layout.LOG}") if path.parent.name.isdecimal()]
        return [path for path in found if not _is_in_store(path) and path.stat().st_mtime <= written_before]

    def sweep(self, *, live: frozenset[str], now: float, grace_seconds: float) -> list[str]:
        """Remove what is here of tasks that are gone, and copies of logs that nobody has read for a while."""
        for path in self._root.glob(f"*/*/{layout.LOG}"):
            if _is_in_store(path) and path.stat().st_mtime < time.time() - KEPT_SECONDS:
                for name in (layout.COMPLETE, _ARCHIVED, layout.LOG):
                    path.with_name(name).unlink(missing_ok=True)
        self._asked &= live
        return super().sweep(live=live, now=now, grace_seconds=grace_seconds)


async def gathered(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all, then raise what the first of them raised."""
    for result in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _is_in_store(path: Path) -> bool:
    return path.with_name(layout.COMPLETE).exists() or path.with_name(_ARCHIVED).exists()


def _take_over(folder: Path, lines: bytes, *, is_whole: bool) -> bool:
    """Join lines with a spool, or put the whole log in its place; False where it held them already."""
    path = folder / layout.LOG
    ours = path.read_bytes() if path.exists() else b""
    both = lines if is_whole else joined(ours, lines)
    if both != ours:
        write_whole(path, both)
    if is_whole:
        write_whole(folder / layout.COMPLETE, b"")
    return both != ours
