"""Writing files so that a reader, or a crash, never meets half of one."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_dashboard.problems import disk_problem

BLOCK_BYTES = 1024**2
"""Written at once: one switch to a thread per megabyte costs nothing to speak of."""


@dataclass(frozen=True)
class Received:
    """A file that came in whole and lies, synced, beside its final place."""

    path: Path
    size_bytes: int
    sha256: str

    def publish(self, final: Path) -> None:
        """Give the file its name; it replaces what had that name, in one step."""
        final.parent.mkdir(parents=True, exist_ok=True)
        self.path.replace(final)
        sync_folder(final.parent)

    def discard(self) -> None:
        """Remove the file, if it was not published."""
        self.path.unlink(missing_ok=True)


async def receive(chunks: AsyncIterator[bytes], *, incoming: Path, max_bytes: int) -> Received:
    """Write a stream into a new file of the folder `incoming`; leave nothing behind when it fails.

    Raises:
        RepackError: `PackageTooLarge` as soon as the limit is passed, `DiskFull`.
    """
    path = incoming / secrets.token_hex(16)
    try:
        return await _receive(chunks, path, max_bytes=max_bytes)
    except BaseException as error:  # also a client that goes away
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise disk_problem(error) from error
        raise


async def _receive(chunks: AsyncIterator[bytes], path: Path, *, max_bytes: int) -> Received:
    digest, size, block = hashlib.sha256(), 0, bytearray()
    with _new_file(path) as file:

        def flush() -> None:
            digest.update(block)
            view = memoryview(bytes(block))
            while view:
                view = view[file.write(view) :]
            block.clear()

        async for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise too_large(max_bytes)
            block += chunk
            if len(block) >= BLOCK_BYTES:
                await asyncio.to_thread(flush)
        flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    return Received(path, size, digest.hexdigest())


def _new_file(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileIO(path, "xb")


def too_large(max_bytes: int) -> RepackError:
    """Return the error for a body above its limit."""
    return RepackError(
        Reason.PACKAGE_TOO_LARGE,
        f"The file is larger than {max_bytes} bytes, the limit of this dashboard.",
        hint="Send a smaller file, or raise the dashboard's limit (REPACK_DASHBOARD_MAX_UPLOAD_BYTES, or "
        "REPACK_DASHBOARD_MAX_ARTIFACT_BYTES for a worker's result).",
        details={"maxBytes": max_bytes},
    )


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file in one step and make it durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_problem(error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
