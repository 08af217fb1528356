"""Writing files so that a reader, or a crash, never meets half of one."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from repack_dashboard.content import Content, blocks
from repack_dashboard.problems import disk_problem


@dataclass(frozen=True)
class Received:
    """A file that came in whole and lies, synced, beside its final place."""

    path: Path
    content: Content

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
    content = Content()
    with _new_file(path) as file:
        async for block in blocks(chunks, content, max_bytes=max_bytes):
            await asyncio.to_thread(_write, file, block)
        await asyncio.to_thread(os.fsync, file.fileno())
    return Received(path, content)


def _write(file: FileIO, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _new_file(path: Path) -> FileIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileIO(path, "xb")


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
