"""Answers without an end: watch streams and the log of a running pod."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from repack_local.api import tables
from repack_local.api.kinds import Resource
from repack_local.api.objects import Objects
from repack_local.api.requests import Query, Target, is_true, number, predicate
from repack_local.api.statuses import ApiError, Cause, Object, bad_request, invalid
from repack_local.api.watching import Change, Entry, Interest

BOOKMARK_SECONDS = 30.0
"""How often a quiet stream tells the current version, so that its reader can resume from there."""

LAST_BOOKMARK_SECONDS = 2.0
"""How long before its end a stream tells the version for the last time."""

LOG_POLL_SECONDS = 0.1
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Watch:
    """What a watch asks for."""

    target: Target
    interest: Interest
    version: str
    timeout_seconds: float
    bookmarks: bool
    initial_events: bool
    as_table: bool
    include: str

    @property
    def lists_first(self) -> bool:
        """Whether the stream begins with what exists."""
        return self.version in {"", "0"} or self.initial_events


def watch_of(target: Target, query: Query, *, as_table: bool) -> Watch:
    """Read a watch request.

    Raises:
        ApiError: 400 or 422, it is none.
    """
    initial = is_true(query, "sendInitialEvents")
    if initial and query.get("resourceVersionMatch") != "NotOlderThan":
        message = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid("meta.k8s.io", "ListOptions", "", [Cause("resourceVersionMatch", message, "FieldValueForbidden")])
    version = query.get("resourceVersion", "")
    if version and not version.isdigit():
        raise bad_request(f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: invalid syntax')
    selects = predicate(target.resource, query)
    if target.name:
        selects = _named(target.name)
    timeout = number(query, "timeoutSeconds") or random.randint(1800, 3600)  # noqa: S311 - spreads reconnections
    return Watch(
        target,
        Interest(target.resource.key, target.namespace or None, selects),
        version,
        timeout,
        is_true(query, "allowWatchBookmarks"),
        initial,
        as_table,
        query.get("includeObject") or "Metadata",
    )


def _named(name: str) -> Callable[[Object], bool]:
    return lambda obj: obj["metadata"]["name"] == name


class WatchStream:
    """Writes the events of one watch."""

    def __init__(self, objects: Objects, watch: Watch) -> None:
        self._objects = objects
        self._watch = watch
        self._resource: Resource = watch.target.resource
        self._header = True

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events, as lines of JSON, until the time is over."""
        watch, storage = self._watch, self._objects.storage
        loop = asyncio.get_running_loop()
        deadline = loop.time() + watch.timeout_seconds
        start = storage.version if watch.lists_first else int(watch.version)
        try:
            stream = storage.history.open(self._resource.key, start)
        except ApiError as error:
            yield json.dumps({"type": "ERROR", "object": error.status()}).encode() + b"\n"
            return
        with stream:
            for line in self._existing(start):
                yield line
            mark = _next_bookmark(loop.time(), deadline)
            while (now := loop.time()) < deadline:
                if now >= mark and not stream.waits:
                    mark = _next_bookmark(now, deadline)
                    if watch.bookmarks:
                        yield self._bookmark(storage.version)
                try:
                    change = await stream.next(within_seconds=min(mark, deadline) - now)
                except TimeoutError:
                    continue
                if change is None:
                    return
                if event := self._event(change):
                    yield event

    def _existing(self, version: int) -> Iterator[bytes]:
        """Yield what exists, where the watch asks for it."""
        watch = self._watch
        if not watch.lists_first:
            return
        for entry in self._objects.storage.entries(self._resource.key, watch.interest.namespace):
            if watch.interest.selects(entry.obj):
                yield self._line("ADDED", entry)
        if watch.initial_events and watch.bookmarks:
            yield self._bookmark(version, initial=True)

    def _event(self, change: Change) -> bytes | None:
        event = self._watch.interest.event(change)
        return self._line(*event) if event else None

    def _line(self, kind: str, entry: Entry) -> bytes:
        raw = entry.raw
        if self._watch.as_table:
            shown = tables.table(
                self._resource, [entry.obj], now=tables.utc_now(), include=self._watch.include, header=self._header
            )
            shown["metadata"] = {"resourceVersion": entry.obj["metadata"]["resourceVersion"]}
            self._header = False
            raw = json.dumps(shown).encode()
        return b'{"type":"' + kind.encode() + b'","object":' + raw + b"}\n"

    def _bookmark(self, version: int, *, initial: bool = False) -> bytes:
        annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if initial else {}
        meta: Object = {"resourceVersion": str(version), "creationTimestamp": None} | annotations
        obj: Object = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": meta}
        if self._watch.as_table:
            obj = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "columnDefinitions": None}
            obj["rows"] = []
        return json.dumps({"type": "BOOKMARK", "object": obj}).encode() + b"\n"


def _next_bookmark(now: float, deadline: float) -> float:
    """Return when the next bookmark is due: regularly, and shortly before the end, as on a real API server."""
    last = deadline - LAST_BOOKMARK_SECONDS
    return min(now + BOOKMARK_SECONDS, last) if now < last else deadline


async def send_watch(request: web.BaseRequest, objects: Objects, watch: Watch) -> web.StreamResponse:
    """Answer a watch."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    await response.prepare(request)
    events = WatchStream(objects, watch).events()
    async with contextlib.aclosing(events):
        with contextlib.suppress(ConnectionResetError):  # the reader is gone
            async for line in events:
                await response.write(line)
            await response.write_eof()
    return response


@dataclass(frozen=True)
class LogQuery:
    """What is asked of a log."""

    follow: bool
    tail_lines: int | None
    limit_bytes: int | None


def log_query(target: Target, query: Query, pod: Object) -> LogQuery:
    """Read a request for a pod's log.

    Raises:
        ApiError: 400, there is no such container, or no such log.
    """
    names = [container["name"] for container in pod["spec"]["containers"]]
    wanted = query.get("container") or names[0]
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {target.name}")
    if is_true(query, "previous"):
        raise bad_request(f'previous terminated container "{wanted}" in pod "{target.name}" not found')
    return LogQuery(is_true(query, "follow"), number(query, "tailLines"), number(query, "limitBytes"))


async def send_log(
    request: web.BaseRequest, path: Path, query: LogQuery, *, is_over: Callable[[], bool]
) -> web.StreamResponse:
    """Answer with a log file; with `follow` until the process that writes it `is_over`."""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    left = query.limit_bytes
    chunks = _chunks(path, query, is_over)
    async with contextlib.aclosing(chunks):
        with contextlib.suppress(ConnectionResetError):  # the reader is gone
            async for chunk in chunks:
                part = chunk if left is None else chunk[:left]
                await response.write(part)
                left = None if left is None else left - len(part)
                if left == 0:
                    break
            await response.write_eof()
    return response


async def _chunks(path: Path, query: LogQuery, is_over: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
    with path.open("rb") as file:
        if query.tail_lines is not None:
            file.seek(tail_offset(path, query.tail_lines))
        while True:  # ends with the process, or with the request
            over = is_over()
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            if over or not query.follow:
                return
            await asyncio.sleep(LOG_POLL_SECONDS)


def tail_offset(path: Path, lines: int) -> int:
    """Return where the last `lines` lines of a file begin."""
    size = path.stat().st_size
    if lines <= 0:
        return size
    with path.open("rb") as file:
        position, newlines = size, 0
        while position > 0:
            start = max(0, position - CHUNK_BYTES)
            file.seek(start)
            block = file.read(position - start)
            at = len(block)
            while (at := block.rfind(b"\n", 0, at)) >= 0:
                newlines += start + at != size - 1  # the newline that ends the file begins no line
                if newlines == lines:
                    return start + at + 1
            position = start
    return 0
