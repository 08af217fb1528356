"""Changes in order: a bounded history, and the streams that follow it from a resource version.

A stream that asks for a version older than the history gets 410 and lists again, as on a real API server.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from repack_local.api.kinds import Key
from repack_local.api.selecting import Predicate
from repack_local.api.statuses import Object, expired

HISTORY = 10_000
"""How many changes are remembered for streams that resume."""

BACKLOG = 20_000
"""How many changes a slow reader may be behind before its stream is closed; it then resumes or lists again."""


@dataclass(slots=True)
class Entry:
    """A stored object and its JSON, made once. Neither is ever changed in place."""

    obj: Object
    raw: bytes

    @classmethod
    def of(cls, obj: Object) -> "Entry":
        """Return the entry of an object."""
        return cls(obj, json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode())

    @property
    def version(self) -> int:
        """Its resource version."""
        return int(self.obj["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `old` is None for a creation, `new` carries the last state for a removal."""

    version: int
    type: str
    key: Key
    old: Entry | None
    new: Entry


@dataclass(frozen=True, slots=True)
class Interest:
    """What a stream is about."""

    key: Key
    namespace: str | None
    selects: Predicate

    def event(self, change: Change) -> tuple[str, Entry] | None:
        """Return the event that the change is for this stream: one that leaves the selection is a deletion for it."""
        metadata = change.new.obj["metadata"]
        if self.namespace is not None and metadata.get("namespace") != self.namespace:
            return None
        now = self.selects(change.new.obj)
        before = now if change.type == "ADDED" or change.old is None else self.selects(change.old.obj)
        if change.type == "DELETED":
            return ("DELETED", change.new) if before else None
        if change.type == "ADDED":
            return ("ADDED", change.new) if now else None
        if now:
            return ("MODIFIED" if before else "ADDED", change.new)
        return ("DELETED", _as_it_was(change)) if before else None


def _as_it_was(change: Change) -> Entry:
    """Return the last state that was selected, with the version of the change that ended it."""
    obj = (change.old or change.new).obj
    return Entry.of(obj | {"metadata": obj["metadata"] | {"resourceVersion": str(change.version)}})


class History:
    """The last changes, and who waits for the next one."""

    def __init__(self, *, version: int, size: int = HISTORY) -> None:
        self._changes: deque[Change] = deque(maxlen=size)
        self._floor = version
        """Changes up to this version are forgotten."""
        self._waiting: dict[Key, set[asyncio.Queue[Change | None]]] = {}

    def append(self, change: Change) -> None:
        """Remember a change and hand it to the streams of its kind."""
        if len(self._changes) == self._changes.maxlen:
            self._floor = self._changes[0].version
        self._changes.append(change)
        for queue in list(self._waiting.get(change.key, ())):
            if queue.qsize() >= BACKLOG:
                self._waiting[change.key].discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(change)

    def forget(self) -> None:
        """Drop the history, as a compaction does; tests use it to bring about 410."""
        if self._changes:
            self._floor = self._changes[-1].version
            self._changes.clear()

    def close(self) -> None:
        """End all streams."""
        for queues in self._waiting.values():
            for queue in queues:
                queue.put_nowait(None)
        self._waiting.clear()

    def since(self, key: Key, version: int) -> list[Change]:
        """Return the changes of a kind after a version.

        Raises:
            ApiError: 410, the history does not reach back that far.
        """
        if version < self._floor:
            raise expired(f"too old resource version: {version} ({self._floor + 1})")
        found: list[Change] = []
        for change in reversed(self._changes):
            if change.version <= version:
                break
            if change.key == key:
                found.append(change)
        return found[::-1]

    def open(self, key: Key, version: int) -> "Stream":
        """Follow a kind from a version.

        Raises:
            ApiError: 410, as `since`.
        """
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        for change in self.since(key, version):
            queue.put_nowait(change)
        self._waiting.setdefault(key, set()).add(queue)
        return Stream(self, key, queue)

    def drop(self, key: Key, queue: "asyncio.Queue[Change | None]") -> None:
        """Forget a reader."""
        self._waiting.get(key, set()).discard(queue)


class Stream:
    """The changes of one kind from a version on. Close it, or use it as a context manager."""

    def __init__(self, history: History, key: Key, queue: "asyncio.Queue[Change | None]") -> None:
        self._history = history
        self._key = key
        self._queue = queue

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._history.drop(self._key, self._queue)

    @property
    def waits(self) -> bool:
        """Whether there are changes that were not read yet."""
        return not self._queue.empty()

    async def next(self, *, within_seconds: float | None = None) -> Change | None:
        """Return the next change, None where the stream was ended.

        Raises:
            TimeoutError: none came in time.
        """
        if not self._queue.empty():
            return self._queue.get_nowait()
        async with asyncio.timeout(within_seconds):
            return await self._queue.get()

    async def __aiter__(self) -> AsyncIterator[Change]:
        while (change := await self.next()) is not None:
            yield change
