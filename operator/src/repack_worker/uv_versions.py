"""Older versions of uv, for the daemons that had them: Python packages in folders of their own, kept in the cache."""

import asyncio
import shutil
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uv

from repack_worker.guard import NetworkGuard
from repack_worker.index_access import IndexAccess
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.resolve import index_options, uv_environment
from repack_worker.settings import Settings
from repack_worker.threads import in_thread

_INSTALL_SECONDS = 180


@dataclass
class UvVersions:
    """Finds or fetches a uv of a given version."""

    settings: Settings
    indexes: Sequence[str | None] = ()
    access: IndexAccess | None = None
    guard: NetworkGuard | None = None
    _flights: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def find(self, version: str) -> Path | None:
        """Return the program; None when it could not be fetched. Empty means the one that we ship with."""
        ours = Path(uv.find_uv_bin())
        if not version:
            return ours
        folder = self.settings.caches / "tools" / f"uv-{version}"
        program = folder / "bin" / "uv"
        async with self._flights.setdefault(version, asyncio.Lock()):
            if not await in_thread(program.is_file):
                await self._install(version, folder, ours)
            return program if await in_thread(program.is_file) else None

    async def _install(self, version: str, folder: Path, ours: Path) -> None:
        await in_thread(folder.parent.mkdir, parents=True, exist_ok=True)
        arriving = folder.with_name(f".{uuid.uuid4().hex[:8]}-{folder.name}")
        command: list[str | Path] = [
            ours, "pip", "install", "--no-config", "--quiet", "--no-deps", "--only-binary", ":all:",
            "--python", sys.executable, "--target", arriving, *index_options(self.indexes), f"uv=={version}",
        ]  # fmt: skip
        env = await uv_environment(self.settings, home=folder.parent, guard=self.guard)
        env |= self.access.environment() if self.access else {}
        try:
            await run(command, env=env, timeout_seconds=_INSTALL_SECONDS)
            if await in_thread((arriving / "bin" / "uv").is_file):
                await in_thread(_publish, arriving, folder)
        except ProcessTimeoutError:
            return
        finally:
            await in_thread(shutil.rmtree, arriving, ignore_errors=True)


def _publish(arriving: Path, folder: Path) -> None:
    """Give the folder its name; where another worker was faster, its copy is as good."""
    if not folder.exists():
        arriving.rename(folder)
