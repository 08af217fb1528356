"""Where finished packages go: the dashboard, or a folder. Whole, with their checksum, or not at all."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from repack_contract.choices import Arch
from repack_contract.values import WorkResult
from repack_worker.threads import in_thread

Companions = Mapping[str, bytes]
"""The files that belong to a package, by the end of their name."""


class ArtifactStore(Protocol):
    """A place for finished packages."""

    async def put(
        self,
        package: Path,
        *,
        target: Arch,
        sha256: str,
        companions: Companions,
        on_bytes: Callable[[int], None],
    ) -> str:
        """Store the package and the files that belong to it; return its address."""

    async def put_log(self, log: Path) -> None:
        """Store the whole log (one JSON LogLine a line), also that of an attempt that failed."""

    async def put_result(self, result: WorkResult) -> None:
        """Store what was made beside it, for an operator whose Job vanishes before it can tell."""


class FolderStore:
    """A folder of the user's: the package, `<package>.sha256` as sha256sum writes it, and its companions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(
        self,
        package: Path,
        *,
        target: Arch,
        sha256: str,
        companions: Companions,
        on_bytes: Callable[[int], None],
    ) -> str:
        """Store the package atomically, last: whoever sees it sees its companions too."""
        del target
        return await in_thread(self._put, package, sha256, companions, on_bytes)

    def _put(self, package: Path, sha256: str, companions: Companions, on_bytes: Callable[[int], None]) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        final = self._folder / package.name
        contents = {f"{final.name}.{kind}": content for kind, content in companions.items()}
        contents[f"{final.name}.sha256"] = f"{sha256}  {final.name}\n".encode()
        parts = {name: self._folder / f".{name}.part" for name in (*contents, final.name)}
        try:
            for name, content in contents.items():
                parts[name].write_bytes(content)
            _link_or_copy(package, parts[final.name])
            for name, part in parts.items():
                part.replace(self._folder / name)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)
        on_bytes(final.stat().st_size)
        return str(final)

    async def put_log(self, log: Path) -> None:
        """Keep no log: the user has seen it."""

    async def put_result(self, result: WorkResult) -> None:
        """Keep no result: the report beside each package says it."""


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a finished file a second name; copy it where that is on another disk."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
