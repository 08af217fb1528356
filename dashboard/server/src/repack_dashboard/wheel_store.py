"""The wheels that workers share: `wheels/<first two>/<sha256>`, named by content, bounded, the least used go first.

Nothing here is vouched for but the hash: a worker that hands in an entry cannot give it another content, and whoever
reads one checks it again.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_dashboard.files import receive


class WheelStore:
    """A folder of files by their sha256.

    Args:
        root: the volume.
        max_bytes: the size of all entries together; 0 keeps none.
    """

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._folder, self._incoming = root / "wheels", root / "incoming"
        self._max_bytes = max_bytes
        self._sweeping = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Tell whether anything is kept at all."""
        return self._max_bytes > 0

    def find(self, sha256: str) -> Path | None:
        """Return an entry, which counts as used now."""
        path, now = self._path(sha256), time.time_ns()
        try:
            os.utime(path, ns=(now, now))  # the kernel's own stamp is coarse: two uses in one tick would look alike
        except OSError:
            return None
        return path

    async def take(self, chunks: AsyncIterator[bytes], *, sha256: str, max_bytes: int) -> None:
        """Store an entry; the same again is as good as the first.

        Raises:
            RepackError: `ChecksumMismatch` when the content is another, `PackageTooLarge`, `DiskFull`.
        """
        received = await receive(chunks, incoming=self._incoming, max_bytes=min(max_bytes, self._max_bytes))
        try:
            if received.sha256 != sha256:
                raise RepackError(
                    Reason.CHECKSUM_MISMATCH, f"The wheel arrived with sha256 {received.sha256}, named was {sha256}."
                )
            received.publish(self._path(sha256))
            self.find(sha256)
        finally:
            received.discard()
        async with self._sweeping:
            await asyncio.to_thread(self._sweep)

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _sweep(self) -> None:
        """Throw out what was not used for longest, until the rest fits."""
        entries = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                entries.append((facts.st_mtime_ns, facts.st_size, path))
        kept = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if kept <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            kept -= size
