"""Entries as objects of a bucket: several replicas need no common volume then.

What S3 and its like lack is made up for: when an entry was used stands in an empty object beside it (`.used`, written
once a day at most), and since when a folder is nobody's in one below `orphaned/`.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from repack_dashboard.blobs import Check, StoreHealth
from repack_dashboard.content import Content, blocks
from repack_dashboard.metrics import Metrics
from repack_objects.bucket import Bucket, Found
from repack_objects.errors import ChangedError, StoreError

USED = ".used"
ORPHANED = "orphaned"
_PROBE = "dify-repack.txt"
_PROBE_TEXT = b"The files of a dify-repack dashboard. This one shows that it may write here.\n"
_USE_SECONDS = 86_400.0
_QUIET_SECONDS = 30.0


class ObjectBlobs:
    """`<prefix>/<key>` in a bucket."""

    def __init__(self, bucket: Bucket, *, metrics: Metrics) -> None:
        self._bucket, self._metrics = bucket, metrics
        self.health = StoreHealth(reached=False)
        self._asked = float("-inf")
        self.when_reached: Callable[[], Awaitable[None]] = _nothing
        """Called before the store counts as reached; where it fails it is called again."""
        metrics.watch_store(self.health)

    async def begin(self) -> None:
        """Write a small object. What a crash left of uploads the bucket itself removes (docs/object-store.md)."""
        with contextlib.suppress(StoreError):
            with self._watched("probe"):
                await self._bucket.put(_PROBE, _PROBE_TEXT)
            if not self.health.was_reached:
                await self.when_reached()
                self.health.was_reached = True

    async def check(self) -> None:
        """Ask where nothing was asked lately, and always while it is down."""
        if self.health.is_up and time.monotonic() - self._asked < _QUIET_SECONDS:
            return
        await self.begin()

    async def take(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int, check: Check | None) -> Content:
        """Send it on in parts; the last step, which makes it visible, comes after the look at it."""
        content = Content()

        async def checked() -> AsyncIterator[bytes]:
            async for block in blocks(chunks, content, max_bytes=max_bytes):
                yield block
            if check is not None:
                check(content)

        with self._watched("put"):
            await self._bucket.put_stream(key, checked())
        return content

    async def write(self, key: str, data: bytes) -> None:
        """Put an object."""
        with self._watched("put"):
            await self._bucket.put(key, data)

    async def read(self, key: str) -> bytes | None:
        """Get an object."""
        with self._watched("get"):
            return await self._bucket.get(key)

    async def agree(self, key: str, data: bytes) -> bytes:
        """Return the small entry that all replicas have: the one that is there, else ours."""
        with self._watched("put"):
            is_ours = await self._bucket.create(key, data)
        return data if is_ours else await self.read(key) or data

    async def find(self, key: str) -> Found | None:
        """Ask for an object's head."""
        with self._watched("head"):
            return await self._bucket.find(key)

    async def use(self, key: str) -> Found | None:
        """Ask for an object's head; note once a day that somebody did."""
        found = await self.find(key)
        if found is not None and time.time() - found.modified > _USE_SECONDS:
            mark = await self.find(key + USED)
            if mark is None or time.time() - mark.modified > _USE_SECONDS:
                await self.write(key + USED, b"")
        return found

    async def entries(self, folder: str) -> Sequence[Found]:
        """List a folder; an entry's time is that of its last known use."""
        with self._watched("list"):
            found = {entry.key: entry async for entry in self._bucket.list(folder)}
        marks = {key.removesuffix(USED): found.pop(key) for key in list(found) if key.endswith(USED)}
        return [_used(entry, marks.get(key)) for key, entry in found.items()]

    async def remove(self, keys: Sequence[str]) -> None:
        """Delete objects, and the marks of their use."""
        with self._watched("delete"):
            await self._bucket.delete([*keys, *(key + USED for key in keys)])

    async def sweep(self, folder: str, *, live: Callable[[str], bool], now: float, grace_seconds: float) -> list[str]:
        """Remove folders; the time of grace is the age of a mark below `orphaned/`."""
        marks = {entry.key.rpartition("/")[2]: entry for entry in await self.entries(f"{ORPHANED}/{folder}")}
        with self._watched("list"):
            names = await self._bucket.folders(folder)
        removed = []
        for name in names:
            mark = marks.get(name)
            if live(name):
                continue
            if mark is None:
                await self.write(f"{ORPHANED}/{folder}/{name}", b"")
            elif mark.modified <= now - grace_seconds:
                await self.remove([entry.key for entry in await self.entries(f"{folder}/{name}")])
                removed.append(name)
        over = [mark.key for name, mark in marks.items() if name in removed or name not in names or live(name)]
        if over:
            await self.remove(over)
        return removed

    async def pieces(self, found: Found, *, start: int = 0) -> AsyncGenerator[bytes]:
        """Read an object in windows."""
        with self._watched("get"):
            async for piece in self._bucket.pieces(found, start):
                yield piece

    def path(self, found: Found) -> Path | None:
        """Return None: there is no file."""
        del found
        return None

    def space(self) -> tuple[int, int] | None:
        """Return None: there is no end."""
        return None

    @contextlib.contextmanager
    def _watched(self, operation: str) -> Iterator[None]:
        """Count a request, and take note of how the store is; what our own checks raise says nothing about it."""
        result = "ok"
        try:
            yield
        except ChangedError:
            result = "changed"
            raise
        except StoreError as error:
            result = "failed"
            self.health.failed(error)
            raise
        except BaseException:
            result = "broken off"
            raise
        else:
            self._asked = time.monotonic()
            self.health.worked()
        finally:
            self._metrics.store_requests.labels(operation, result).inc()


async def _nothing() -> None:
    """Do nothing."""


def _used(entry: Found, mark: Found | None) -> Found:
    if mark is None or mark.modified < entry.modified:
        return entry
    return Found(entry.key, entry.size_bytes, mark.modified, entry.version)
