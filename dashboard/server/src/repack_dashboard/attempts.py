"""What is kept of each attempt: the lines of its log, and its last progress.

On disk, below `tasks/<uid>/<attempt>/`: `log.ndjson` (one LogLine per line; the spool of a running attempt, replaced
by the whole log that its worker hands in), `complete` (the whole log is there), `progress.json` (at milestones).
Of the lines of attempts that were heard lately the last 1,000 are in memory too. Several replicas may write to one
volume: whoever appends locks the file, and what is in memory counts only while the file has the size that it had then.
"""

import asyncio
import errno
import fcntl
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from repack_contract.progress import LogLine, Progress
from repack_dashboard import layout
from repack_dashboard.files import write_whole
from repack_dashboard.problems import disk_problem
from repack_dashboard.retention import sweep
from repack_dashboard.spools import line_number, ndjson

MEMORY_LINES = 1000
MEMORY_ATTEMPTS = 64


@dataclass(slots=True)
class Tail:
    """The end of one log in memory."""

    last: int = 0
    """Number of the last line."""
    size: int = 0
    """Bytes of the file that these lines end; another size, and somebody else has written."""
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=MEMORY_LINES))


@dataclass(frozen=True, slots=True)
class Appended:
    """Lines that are on disk now."""

    news: list[LogLine]
    last: int
    size: int
    follows: bool
    """They come right after what was in memory."""


class Attempts:
    """Logs and progress by (uid, attempt). The uid is one that the store knows; its form is checked all the same."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tails: OrderedDict[tuple[str, int], Tail] = OrderedDict()
        # One writer: lines reach the file in the order in which they were taken, whoever waits for them.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")

    def close(self) -> None:
        """Finish what is being written."""
        self._writer.shutdown(wait=True)

    def folder(self, uid: str, attempt: int | None = None) -> Path:
        """Return the folder of a task, or of one of its attempts.

        Raises:
            ValueError: that is no uid.
        """
        task = self._root / layout.task_part(uid)
        return task if attempt is None else task / str(int(attempt))

    async def append(self, uid: str, attempt: int, lines: Sequence[LogLine]) -> list[LogLine]:
        """Keep the lines that are new and return them once they are on disk; those sent before are recognised by `n`.

        Raises:
            RepackError: `DiskFull`; nothing of it was taken, so that the worker sends it again.
        """
        path, tail = self._log(uid, attempt), self._tail(uid, attempt)
        try:
            done = await asyncio.get_running_loop().run_in_executor(self._writer, _append, path, tail, lines)
        except OSError as error:
            raise disk_problem(error) from error
        if not done.follows:
            tail.lines.clear()
        tail.lines.extend(done.news)
        tail.last, tail.size = done.last, done.size
        return done.news

    def hear(self, uid: str, attempt: int, lines: Sequence[LogLine], *, size: int) -> None:
        """Take note of lines that another replica has written; `size` is that of the file with them."""
        tail = self._tails.get((uid, attempt))
        if tail is None or tail.size == size:
            return  # read when somebody asks, or our own
        if lines[0].n == tail.last + 1:
            tail.lines.extend(lines)
            tail.last, tail.size = lines[-1].n, size
        else:
            del self._tails[uid, attempt]

    def size(self, uid: str, attempt: int) -> int:
        """Return the bytes of a log as it was last read or written here."""
        return self._tail(uid, attempt).size

    async def complete(self, uid: str, attempt: int, lines: Sequence[LogLine]) -> None:
        """Replace what was spooled by the whole log, which its worker handed in at its end."""
        path = self._log(uid, attempt)

        def write() -> None:
            write_whole(path, ndjson(lines))
            write_whole(path.with_name(layout.COMPLETE), b"")

        await asyncio.get_running_loop().run_in_executor(self._writer, write)
        self._tails.pop((uid, attempt), None)

    def is_complete(self, uid: str, attempt: int) -> bool:
        """Tell whether the worker handed in the whole log."""
        return self._log(uid, attempt).with_name(layout.COMPLETE).exists()

    async def bring(self, uid: str, attempt: int) -> None:
        """Make ready to read the log of an attempt. Here it is on disk already."""

    async def bring_progress(self, wanted: Sequence[tuple[str, int]]) -> None:
        """Make ready to read the progress of tasks: uids, with their last attempt. Here it is on disk already."""

    async def attempts(self, uid: str) -> list[int]:
        """Return the attempts of which a log is kept, oldest first."""
        return self._attempts_here(uid)

    async def archive(self, is_over: Callable[[str, int], bool], *, quiet_seconds: float) -> None:
        """Move what is on disk to where it lasts. Here it lasts already."""

    def _attempts_here(self, uid: str) -> list[int]:
        folder = self.folder(uid)
        if not folder.is_dir():
            return []
        return sorted(int(path.parent.name) for path in folder.glob(f"*/{layout.LOG}") if path.parent.name.isdecimal())

    def last_line(self, uid: str, attempt: int) -> int:
        """Return the number of the last line that is kept; 0 when there is none."""
        return self._tail(uid, attempt).last

    async def after(self, uid: str, attempt: int, *, position: int, limit: int) -> list[LogLine]:
        """Return up to `limit` lines that come after line `position`."""
        held = self._tail(uid, attempt).lines
        if held and held[0].n <= position + 1:
            return [line for line in held if line.n > position][:limit]
        return await asyncio.to_thread(self._read_after, uid, attempt, position=position, limit=limit)

    async def tail(self, uid: str, attempt: int, *, limit: int) -> list[LogLine]:
        """Return the last `limit` lines."""
        held = self._tail(uid, attempt).lines
        if held and (len(held) >= limit or held[0].n == 1):
            return list(held)[-limit:]
        return await asyncio.to_thread(self._read_tail, uid, attempt, limit=limit)

    def text(self, uid: str, attempt: int) -> Iterator[str]:
        """Yield the whole log as text, a line at a time."""
        for data in self._lines(uid, attempt):
            if line := _parsed(data):
                yield f"{line.ts:%Y-%m-%dT%H:%M:%S}Z {line.level:<7} {line.stage or '-':<8} {line.text}\n"

    async def keep_progress(self, uid: str, progress: Progress) -> None:
        """Keep an attempt's progress, so that the timeline of a finished task survives a restart."""
        path = self.folder(uid, progress.attempt) / layout.PROGRESS
        data = progress.model_dump_json(exclude_none=True).encode()
        await asyncio.get_running_loop().run_in_executor(self._writer, write_whole, path, data)

    def last_progress(self, uid: str) -> Progress | None:
        """Return the kept progress of the latest attempt that has one."""
        folder = self.folder(uid)
        if not folder.is_dir():
            return None
        for path in sorted(folder.glob(f"*/{layout.PROGRESS}"), key=_attempt_of, reverse=True):
            try:
                return Progress.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                continue  # of a crash or an older version: the timeline is less, the task is not
        return None

    def forget(self, uid: str) -> None:
        """Drop what is in memory of a task that is gone; its files go when their time of grace is over."""
        for key in [key for key in self._tails if key[0] == uid]:
            del self._tails[key]

    def sweep(self, *, live: frozenset[str], now: float, grace_seconds: float) -> list[str]:
        """Remove the folders of tasks that have been gone for the time of grace."""
        return sweep(self._root, is_live=lambda folder: folder.name in live, now=now, grace_seconds=grace_seconds)

    def _read_after(self, uid: str, attempt: int, *, position: int, limit: int) -> list[LogLine]:
        found: list[LogLine] = []
        for data in self._lines(uid, attempt):
            if len(found) == limit:
                break
            if line_number(data) > position and (line := _parsed(data)) is not None:
                found.append(line)
        return found

    def _read_tail(self, uid: str, attempt: int, *, limit: int) -> list[LogLine]:
        last = deque(self._lines(uid, attempt), maxlen=limit)
        return [line for data in last if (line := _parsed(data)) is not None]

    def _log(self, uid: str, attempt: int) -> Path:
        return self.folder(uid, attempt) / layout.LOG

    def _lines(self, uid: str, attempt: int) -> Iterator[bytes]:
        path = self._log(uid, attempt)
        if path.exists():
            with path.open("rb") as file:
                yield from file

    def _tail(self, uid: str, attempt: int) -> Tail:
        key, path = (uid, attempt), self._log(uid, attempt)
        tail = self._tails.get(key)
        if tail is None or tail.size != _size(path):
            tail = self._tails[key] = Tail(*_end(path))
            if len(self._tails) > MEMORY_ATTEMPTS:
                self._tails.popitem(last=False)
        self._tails.move_to_end(key)
        return tail


def _append(path: Path, tail: Tail, lines: Sequence[LogLine]) -> Appended:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        _lock(file)  # until it is closed
        start = file.seek(0, os.SEEK_END)
        follows = start == tail.size
        last = tail.last if follows else _mend(file)
        start = file.seek(0, os.SEEK_END)
        news = []
        for line in lines:
            if line.n > last:
                news.append(line)
                last = line.n
        data = ndjson(news)
        try:
            file.write(data)
            file.flush()
        except OSError:
            file.truncate(start)
            raise
    return Appended(news, last, start + len(data), follows)


def _lock(file: BinaryIO) -> None:
    """Keep other replicas out until the file is closed; a volume that knows no locks has one replica only."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise


def _size(path: Path) -> int:
    try:
        with path.open("rb") as file:  # opened, because a network volume answers from its memory otherwise
            return os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return 0


def _end(path: Path) -> tuple[int, int]:
    """Return the number of the last whole line, and the bytes up to its end."""
    try:
        with path.open("rb") as file:
            number, half = _last_line(file)
            return number, file.seek(0, os.SEEK_END) - half
    except FileNotFoundError:
        return 0, 0


def _mend(file: BinaryIO) -> int:
    """Cut off half a line that a crash left behind; return the number of the last line."""
    number, half = _last_line(file)
    if half:
        file.truncate(file.seek(0, os.SEEK_END) - half)
    return number


def _last_line(file: BinaryIO) -> tuple[int, int]:
    """Return the number of the last whole line, and the bytes that follow it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 64 * 1024))
    whole, newline, half = file.read().rpartition(b"\n")
    return (line_number(whole.rpartition(b"\n")[2]) if newline else 0), len(half)


def _parsed(data: bytes) -> LogLine | None:
    try:
        return LogLine.model_validate_json(data)
    except ValidationError:
        return None


def _attempt_of(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdecimal() else 0
