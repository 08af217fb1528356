"""What came in by a stream: counted, digested and bounded while it passes, a block at a time."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

BLOCK_BYTES = 1024**2
"""Handled at once: one switch to a thread per megabyte costs nothing to speak of."""


class Content:
    """What is known of a stream so far."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.head = b""
        """Its first bytes, which tell the kind of many files."""
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of everything that has passed, in hex."""
        return self._digest.hexdigest()

    def note(self, block: bytes) -> None:
        """Digest a block."""
        self.head = self.head or block[:16]
        self._digest.update(block)


async def blocks(chunks: AsyncIterator[bytes], content: Content, *, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the stream in blocks, each noted in `content` before.

    Raises:
        RepackError: `PackageTooLarge` as soon as the limit is passed.
    """
    block = bytearray()
    async for chunk in chunks:
        content.size_bytes += len(chunk)
        if content.size_bytes > max_bytes:
            raise too_large(max_bytes)
        block += chunk
        if len(block) >= BLOCK_BYTES:
            whole = bytes(block)
            block.clear()
            await asyncio.to_thread(content.note, whole)
            yield whole
    if block:
        content.note(bytes(block))
        yield bytes(block)


def too_large(max_bytes: int) -> RepackError:
    """Return the error for a body above its limit."""
    return RepackError(
        Reason.PACKAGE_TOO_LARGE,
        f"The file is larger than {max_bytes} bytes, the limit of this dashboard.",
        hint="Send a smaller file, or raise the dashboard's limit (REPACK_DASHBOARD_MAX_UPLOAD_BYTES, or "
        "REPACK_DASHBOARD_MAX_ARTIFACT_BYTES for a worker's result).",
        details={"maxBytes": max_bytes},
    )
