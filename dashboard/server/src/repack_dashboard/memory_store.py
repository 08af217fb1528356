"""Small entries that workers remember for each other: `memory/<scope>/<kind>/<key>`, bounded by size and by age."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from enum import StrEnum

from repack_dashboard import layout
from repack_dashboard.blobs import Blobs

MAX_ENTRY_BYTES = 2 << 20
"""A plan of a thousand wheels has 400 kB."""
MAX_SCOPE_BYTES = 64 << 20
"""Of one namespace; the least recently used entries go first."""
MAX_AGE_SECONDS = 30 * 86_400
"""Unused for so long, an entry goes; so those of a namespace that is gone do not stay for ever."""


class Kind(StrEnum):
    """What is remembered."""

    PLANS = "plans"
    BUILDS = "builds"


class Memory:
    """Entries of several scopes, none of which takes room from another."""

    def __init__(self, blobs: Blobs, *, max_scope_bytes: int = MAX_SCOPE_BYTES) -> None:
        self._blobs, self._max_bytes = blobs, max_scope_bytes
        self._sweeping = asyncio.Lock()

    async def find(self, scope: str, kind: Kind, key: str) -> bytes | None:
        """Return an entry, which counts as used now."""
        place = layout.remembered(scope, kind.value, key)
        return await self._blobs.read(place) if await self._blobs.use(place) else None

    async def take(self, chunks: AsyncIterator[bytes], *, scope: str, kind: Kind, key: str) -> None:
        """Keep an entry in place of the one that had its key; raise `PackageTooLarge` or `DiskFull`."""
        place = layout.remembered(scope, kind.value, key)
        await self._blobs.take(place, chunks, max_bytes=MAX_ENTRY_BYTES, check=None)
        await self._blobs.use(place)
        if self._blobs.space() is not None:  # an object store bills every look: there it is done with the other sweeps
            await self.sweep()

    async def sweep(self) -> None:
        """Throw out what was not used for long, and of each scope what is above its size."""
        async with self._sweeping:
            entries = sorted(await self._blobs.entries(layout.MEMORY), key=lambda entry: entry.modified)
            kept: Counter[str] = Counter()
            for entry in entries:
                kept[_scope(entry.key)] += entry.size_bytes
            oldest, over = time.time() - MAX_AGE_SECONDS, []
            for entry in entries:
                scope = _scope(entry.key)
                if entry.modified < oldest or kept[scope] > self._max_bytes:
                    over.append(entry.key)
                    kept[scope] -= entry.size_bytes
            if over:
                await self._blobs.remove(over)


def _scope(key: str) -> str:
    return key.split("/")[1]
