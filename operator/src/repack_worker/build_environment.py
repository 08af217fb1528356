"""The environment that a source is built in: a virtual one with what `[build-system] requires`, from wheels only.

uv installs it with the network and the index's credentials. It asks an environment's interpreter what it is, and that
runs the `.pth` files in it: so uv installs into an environment once, while it is still empty, and never again after
anything of it ran. The hooks cannot write to it either (`build.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uv

from repack_worker.guard import NetworkGuard
from repack_worker.index_access import IndexAccess
from repack_worker.interpreters import Interpreter
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.resolve import index_options, uv_environment
from repack_worker.settings import Settings
from repack_worker.threads import in_thread
from repack_worker.uv_output import sentence


class BuildFaultError(Exception):
    """Why a source cannot be built, as the end of a sentence."""


@dataclass(frozen=True)
class BuildEnvironment:
    """One environment."""

    folder: Path
    requires: str
    """What is in it, each with its version and hashes: it decides about the wheel as much as the source does."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


@dataclass(frozen=True)
class EnvironmentMaker:
    """Makes environments for one build."""

    interpreter: Interpreter
    indexes: Sequence[str | None]
    settings: Settings
    access: IndexAccess
    guard: NetworkGuard
    base: Path
    """An existing folder that the build cannot write to."""

    async def make(self, name: str, requires: Sequence[str]) -> BuildEnvironment:
        """Return a new environment with the requirements; raise `BuildFaultError` when they cannot be installed."""
        folder = self.base / name
        uv_bin, python = uv.find_uv_bin(), self.interpreter.executable
        home = await uv_environment(self.settings, home=self.base, guard=self.guard)
        await self._run([uv_bin, "venv", "--no-config", "--no-project", "--quiet", "--python", python, folder], home)
        if not requires:
            return BuildEnvironment(folder, "")
        wanted, pinned = self.base / f"{name}.in", self.base / f"{name}.txt"
        await in_thread(wanted.write_text, "\n".join(requires) + "\n", "utf-8")
        options: list[str | Path] = [
            "--no-config", "--quiet", "--only-binary", ":all:", *index_options(self.indexes),
        ]  # fmt: skip
        newest = self.settings.exclude_newer
        options += ["--exclude-newer", newest] if newest else []
        pinning: list[str | Path] = [
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--output-file",
            pinned,
            wanted,
        ]
        env = home | self.access.environment()
        await self._run([uv_bin, "pip", "compile", "--python", python, *options, *pinning], env)
        installing: list[str | Path] = ["--python", folder / "bin" / "python", "--require-hashes", "-r", pinned]
        await self._run([uv_bin, "pip", "install", *options, *installing], env)
        return BuildEnvironment(folder, await in_thread(pinned.read_text, "utf-8"))

    async def _run(self, command: Sequence[str | Path], env: dict[str, str]) -> None:
        try:
            finished = await run(command, env=env, timeout_seconds=self.settings.build_timeout_seconds)
        except ProcessTimeoutError as error:
            raise BuildFaultError(
                f"installing what its build needs took too long (REPACK_BUILD_TIMEOUT_SECONDS): {error}"
            ) from error
        if finished.code != 0:
            self.guard.raise_refusal()
            raise BuildFaultError(f"what its build needs could not be installed: {sentence(finished.lines)}")
