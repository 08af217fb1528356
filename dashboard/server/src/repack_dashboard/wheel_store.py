"""The wheels that workers share, named by content, bounded, the least used go first.

Nothing here is vouched for but the hash: a worker that hands in an entry cannot give it another content, and whoever
reads one checks it again.
"""

import asyncio
from collections.abc import AsyncIterator

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_dashboard import layout
from repack_dashboard.blobs import Blobs
from repack_dashboard.content import Content
from repack_objects.bucket import Found


class WheelStore:
    """Entries by their sha256.

    Args:
        blobs: where they are kept.
        max_bytes: the size of all entries together; 0 keeps none.
    """

    def __init__(self, blobs: Blobs, *, max_bytes: int) -> None:
        self._blobs, self._max_bytes = blobs, max_bytes
        self._sweeping = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Tell whether anything is kept at all."""
        return self._max_bytes > 0

    async def find(self, sha256: str) -> Found | None:
        """Return an entry, which counts as used now."""
        return await self._blobs.use(layout.wheel(sha256))

    async def take(self, chunks: AsyncIterator[bytes], *, sha256: str, max_bytes: int) -> None:
        """Store an entry; the same again is as good as the first.

        Raises:
            RepackError: `ChecksumMismatch` when the content is another, `PackageTooLarge`, `DiskFull`.
        """

        def check(content: Content) -> None:
            if content.sha256 != sha256:
                raise RepackError(
                    Reason.CHECKSUM_MISMATCH, f"The wheel arrived with sha256 {content.sha256}, named was {sha256}."
                )

        await self._blobs.take(layout.wheel(sha256), chunks, max_bytes=min(max_bytes, self._max_bytes), check=check)
        await self.find(sha256)
        if self._blobs.space() is not None:
            await self.sweep()

    async def sweep(self) -> None:
        """Throw out what was not used for longest, until the rest fits.

        A folder is looked through after each entry that comes in. An object store bills every look, so there it is done
        with the other sweeps.
        """
        async with self._sweeping:
            entries = sorted(await self._blobs.entries(layout.WHEELS), key=lambda entry: (entry.modified, entry.key))
            kept, over = sum(entry.size_bytes for entry in entries), []
            for entry in entries:
                if kept <= self._max_bytes:
                    break
                over.append(entry.key)
                kept -= entry.size_bytes
            if over:
                await self._blobs.remove(over)
