"""Wheels that several machines share by a bucket: a help, never a need.

`<url>/<first two>/<sha256>`, as the dashboard keeps them. Entries are named by their content, which is checked on every
read, so whoever may write to the bucket cannot slip in another file. Nothing is thrown out here: the bucket's own rule
for old objects does that.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path

from repack_objects.bucket import Bucket
from repack_objects.errors import StoreError
from repack_objects.location import Location
from repack_worker.archive import CHUNK, sha256_of
from repack_worker.threads import in_thread

LARGEST = 4 << 30
PAUSE_SECONDS = 60.0
"""A store that failed is not asked again for so long."""
_REQUEST_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
"""Longest wait for the first answer about an entry: the package index is not slower than that."""


class ObjectWheels:
    """The entries below a location. The library that speaks to it is loaded when the first one is asked for."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._bucket: Bucket | None = None
        self._not_read_before = self._not_written_before = float("-inf")
        self.fault: StoreError | None = None
        """Why the store was not used, where it was not."""

    async def get(self, sha256: str, into: Path, *, limit: int = LARGEST) -> bool:
        """Fetch an entry; False when it is not there, not right, or the store fails.

        A wrong one is replaced by the `put` that follows, of what the package index gave.
        """
        if time.monotonic() < self._not_read_before:
            return False
        try:
            if await self._fetch(sha256, into, limit=limit) and await in_thread(sha256_of, into) == sha256:
                return True
        except (StoreError, TimeoutError) as error:
            self._not_read_before = self._not_written_before = self._failed(error)
        except asyncio.CancelledError:
            _remove(into)
            raise
        await in_thread(_remove, into)
        return False

    async def put(self, sha256: str, file: Path) -> None:
        """Offer an entry; it is visible when it is whole, and the same from two workers is the same.

        Whoever may only read goes on reading.
        """
        if time.monotonic() < self._not_written_before:
            return
        try:
            await self._opened().put_stream(_key(sha256), _stream(file))
        except StoreError as error:
            self._not_written_before = self._failed(error)

    async def _fetch(self, sha256: str, into: Path, *, limit: int) -> bool:
        bucket = self._opened()
        async with asyncio.timeout(_ANSWER_SECONDS):
            found = await bucket.find(_key(sha256))
        if found is None or found.size_bytes > limit:  # another file than the plan says
            return False
        with into.open("wb") as file:
            async for piece in bucket.pieces(found):
                await in_thread(file.write, piece)
        return True

    def _opened(self) -> Bucket:
        if self._bucket is None:
            self._bucket = Bucket(self._location, request_seconds=_REQUEST_SECONDS)
        return self._bucket

    def _failed(self, error: StoreError | TimeoutError) -> float:
        self.fault = error if isinstance(error, StoreError) else StoreError(
            f"The object store {self._location.url} does not answer.", hint="Check that it runs."
        )  # fmt: skip
        return time.monotonic() + PAUSE_SECONDS


@functools.cache
def wheels_at(location: Location) -> ObjectWheels:
    """Return the wheels at a location: the same for every attempt of this process, so that a failure is met once."""
    return ObjectWheels(location)


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256}"


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _stream(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await in_thread(source.read, CHUNK):
            yield chunk
