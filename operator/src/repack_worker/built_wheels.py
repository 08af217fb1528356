"""Wheels that were built before: by an earlier run here, or by another worker of the same namespace.

The wheel itself lies in the wheel caches, named by its content. What is remembered is which one came of which build,
and that is believed: so the dashboard keeps it apart by namespace, and a build cannot read the token with which a
worker writes there (`confinement.py`). Where the kernel cannot keep it from a build, builds are not shared.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from repack_worker.confinement import is_possible
from repack_worker.plan import SourceDist
from repack_worker.platforms import GLIBC_MINOR
from repack_worker.sealed import BUILDS, seal, unseal, write_sealed
from repack_worker.threads import in_thread
from repack_worker.wheels import WheelCache

if TYPE_CHECKING:
    from repack_worker.shared_cache import SharedCache

_BUILDER = 2
"""To be raised when a build of the same source would come out differently."""
_FILENAME = re.compile(r"[A-Za-z0-9_.+!-]{1,250}\.whl", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST_WHEEL = 1 << 30


@dataclass(frozen=True)
class BuiltWheels:
    """What is known of earlier builds."""

    folder: Path
    cache: WheelCache
    shared: "SharedCache | None" = None
    """Of the dashboard; None where builds are not shared."""

    async def here(self, key: str) -> Path | None:
        """Return the wheel that an earlier run made here."""
        return await in_thread(self._here, key)

    def _here(self, key: str) -> Path | None:
        path = self.folder / f"{key}.json"
        try:
            sha256, filename = _read(path.read_bytes())
        except (OSError, ValueError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now, for the sweep
        return self.cache.find(sha256, filename)

    async def keep(self, key: str, wheel: Path) -> Path:
        """Move a wheel that was built into the cache, remember it, and return where it lies now."""
        path = await in_thread(self.cache.add, wheel)
        await in_thread(write_sealed, self.folder / f"{key}.json", _entry(path.parent.name, path.name))
        return path

    async def elsewhere(self, key: str, folder: Path) -> Path | None:
        """Fetch the wheel that another worker made into the folder; None when there is none, or not the right one."""
        if self.shared is None or not is_possible():
            return None
        try:
            sha256, filename = _read(await self.shared.recall(BUILDS, key))
        except ValueError:
            return None
        path = folder / filename
        return path if await self.shared.get(sha256, path, limit=_LARGEST_WHEEL) else None

    async def offer(self, key: str, wheel: Path) -> None:
        """Hand a wheel that was built here to the other workers."""
        if self.shared is None or not is_possible():
            return
        sha256 = await in_thread(_sha256_of, wheel)
        await self.shared.put(sha256, wheel)
        await self.shared.remember(BUILDS, key, _entry(sha256, wheel.name))


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(sha256: str, filename: str) -> bytes:
    return seal({"sha256": sha256, "filename": filename})


def _read(kept: bytes) -> tuple[str, str]:
    """Return sha256 and file name of an entry; raise ValueError where it holds anything else: a name becomes a path."""
    said: Any = unseal(kept)
    try:
        sha256, filename = str(said["sha256"]), str(said["filename"])
        parse_wheel_filename(filename)
    except (KeyError, TypeError, InvalidWheelFilename) as error:
        raise ValueError("the entry names no wheel") from error
    if not _SHA256.fullmatch(sha256) or not _FILENAME.fullmatch(filename):
        raise ValueError("the entry names no wheel")
    return sha256, filename


def local_key(source: SourceDist, *, python: str, machine: str, indexes: Sequence[str | None]) -> str:
    """Return the name of a build here: the source, the Python, the CPU, and where its requirements come from."""
    where = source.sha256 or f"{source.url}@{source.commit}"
    return _key([where, source.subdirectory, python, machine, *(index or "" for index in indexes)])


def shared_key(content: str, *, subdirectory: str, backend: str, requires: str, python: str, machine: str) -> str:
    """Return the name of a build for all workers: everything that decides about its wheel.

    Args:
        content: sha256 of the archive, or of the files of a commit.
        subdirectory: where the project lies in it.
        backend: what builds it.
        requires: what was installed for that, each with its version and hashes.
        python: such as `3.12`.
        machine: the kernel's name of the CPU.
    """
    return _key([content, subdirectory, backend, requires, python, machine])


def _key(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([_BUILDER, GLIBC_MINOR, *parts]).encode()).hexdigest()
