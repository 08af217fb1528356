"""Where packages, their companions, results and shared wheels are kept: a folder, or an object store.

Both promise the same: an entry is there whole or not at all, and replacing one is one step.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from repack_dashboard.content import Content
from repack_objects.bucket import Found
from repack_objects.errors import StoreError

log = structlog.get_logger("repack.dashboard")

Check = Callable[[Content], None]
"""Looks at what came in before it gets its name; what it raises keeps it out."""


class StoreHealth:
    """Whether the store can be used, as far as the last request to it showed."""

    def __init__(self, *, reached: bool) -> None:
        self.was_reached = reached
        """It could be written once since this process started."""
        self.error: StoreError | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether the last request went well."""
        return self.was_reached and self.error is None

    def failed(self, error: StoreError) -> None:
        """Take note of a failure; the log hears of the first one."""
        if self.error is None:
            log.warning("the object store cannot be used", reason=error.message, hint=error.hint)
        self.error = error

    def worked(self) -> None:
        """Take note that it works."""
        if self.error is not None:
            log.info("the object store can be used again")
        self.error = None


class Blobs(Protocol):
    """Entries by key. All may raise `StoreError` where an object store is behind it."""

    health: StoreHealth

    async def begin(self) -> None:
        """Tidy up what a crash left, and see whether the store can be written; it does not raise."""

    async def check(self) -> None:
        """See whether the store can be used, where nothing has shown that lately; it does not raise."""

    async def take(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int, check: Check | None) -> Content:
        """Store a stream, and return what it was.

        Raises:
            RepackError: `PackageTooLarge`, `DiskFull`, or what `check` raises; nothing is left behind then.
        """

    async def write(self, key: str, data: bytes) -> None:
        """Store a small entry."""

    async def read(self, key: str) -> bytes | None:
        """Return a small entry."""

    async def find(self, key: str) -> Found | None:
        """Return what is known of an entry."""

    async def use(self, key: str) -> Found | None:
        """Return what is known of an entry, which counts as used now."""

    async def entries(self, folder: str) -> Sequence[Found]:
        """Return every entry below a folder."""

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove entries; one that is not there is no error."""

    async def sweep(self, folder: str, *, live: Callable[[str], bool], now: float, grace_seconds: float) -> list[str]:
        """Remove the folders in `folder` that have been nobody's for the time of grace; return their names."""

    def pieces(self, found: Found, *, start: int = 0) -> AsyncGenerator[bytes]:
        """Yield an entry, from a position on, in pieces of at most some megabytes."""

    def path(self, found: Found) -> Path | None:
        """Return the file that an entry is, where it is one."""

    def space(self) -> tuple[int, int] | None:
        """Return the bytes that the volume has and those that are free; None where it has no end."""
