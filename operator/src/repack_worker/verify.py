"""The proof: install the package as Dify's daemon does, with the network refused, and look at what came out.

Same folder layout, same command lines, same few variables as the daemon (repackaging.md 5.1, 6.2), an empty uv cache,
and a real interpreter of the plugin's Python.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.task import Verification
from repack_worker.archive import Limits, unpack
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation
from repack_worker.plugin import Plugin, read_plugin
from repack_worker.processes import Finished, ProcessTimeoutError, run
from repack_worker.requirement_lines import REQUIREMENTS
from repack_worker.threads import in_thread
from repack_worker.uv_output import sentence

_IMPORTS = """
import importlib, importlib.metadata, json, sys
failed = {}
def attempt(name):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"[:200]
names = [name for name in importlib.metadata.packages_distributions() if name.isidentifier() and name[0] != "_"]
names.sort(key=lambda name: (name != "dify_plugin", name))
for name in names:
    attempt(name)
print("\\n" + json.dumps({"names": names, "failed": failed}))
"""
_SDK = "dify_plugin"
_SUMMARIES = ("Using CPython", "Resolved ", "Prepared ", "Installed ", "Checked ", "All installed packages")


@dataclass(frozen=True)
class Bench:
    """Where and how packages are verified."""

    interpreter: Interpreter
    isolation: Isolation
    timeout_seconds: float
    say: Callable[[str], None]
    """Takes the lines of the log."""
    doing: Callable[[str], None] = lambda _what: None
    """Takes what is being done now."""


async def verify(package: Path, *, bench: Bench, folder: Path, limits: Limits) -> tuple[Plugin, Verification]:
    """Return the plugin and the proof that its package installs without a network.

    Args:
        package: the finished file.
        bench: interpreter and isolation.
        folder: an existing folder; everything is made in a new one below and removed again.
        limits: what the package may cost to unpack.

    Raises:
        RepackError: `VerificationFailed`, naming what was missing; `InvalidPackage` when it cannot even be read.
    """
    base = Path(tempfile.mkdtemp(prefix="verify-", dir=folder))
    try:
        plugin = await in_thread(_lay_out, package, base, limits)
        message = await _Trial(plugin, bench, cache=base / "empty-uv-cache").install()
    finally:
        await in_thread(shutil.rmtree, base, ignore_errors=True)
    proof = Verification(
        method=bench.isolation.method, passed=True, verified_at=datetime.now(UTC), message=message[:1024]
    )
    return plugin, proof


def _lay_out(package: Path, base: Path, limits: Limits) -> Plugin:
    """Unpack as the daemon does: `<base>/<author>/<name>-<version>@<checksum>`."""
    plugin = read_plugin(unpack(package, base / "unpacked", limits=limits))
    home = base / plugin.author / f"{plugin.name}-{plugin.version}@{plugin.checksum}"
    home.parent.mkdir()
    plugin.folder.rename(home)
    return Plugin(**{**vars(plugin), "folder": home})


class _Trial:
    """One installation in one folder."""

    def __init__(self, plugin: Plugin, bench: Bench, *, cache: Path) -> None:
        self._plugin, self._bench, self._cache = plugin, bench, cache
        self._path = f"{bench.interpreter.folder}:/usr/bin:/bin"
        self._venv = plugin.folder / ".venv"
        self._uv = uv.find_uv_bin()

    async def install(self) -> str:
        """Run the daemon's commands and the checks after them; return the sentence for the record."""
        python = self._bench.interpreter.version
        home = {"PATH": self._path, "HOME": str(self._cache.parent), "UV_PYTHON_DOWNLOADS": "never"}
        await self._daemon([self._uv, "venv", ".venv", "--python", python], env=home, doing="making the environment")
        command = self._install_command()
        await self._daemon([self._uv, *command], env=self._environment(), doing="installing")
        _, listed, imports = await asyncio.gather(
            self._daemon([self._uv, "pip", "check"], env=self._environment(), doing="checking what was installed"),
            self._daemon([self._uv, "pip", "list", "--format", "json"], env=self._environment(), doing="listing"),
            self._daemon([self._venv / "bin" / "python", "-c", _IMPORTS], env=self._environment(), doing="importing"),
        )
        installed = _installed(listed)
        self._compare(installed)
        imported = self._imports(imports, installed)
        method = self._bench.isolation.method.value
        return (
            f"{len(installed)} packages installed by `uv {' '.join(command[:2])}` on CPython {python} without a "
            f"network ({method}, {self._bench.isolation.proof}); {imported}."
        )

    def _install_command(self) -> list[str]:
        """Return what the newest daemon runs: pyproject.toml first, then requirements.txt (5.1)."""
        if "pyproject.toml" in self._plugin.names:
            frozen = ["--frozen"] if "uv.lock" in self._plugin.names else []
            return ["sync", "--no-dev", *frozen, "-v"]
        if REQUIREMENTS not in self._plugin.names:
            self._fail("the package has neither requirements.txt nor pyproject.toml")
        return ["pip", "install", "-r", REQUIREMENTS, "-vvv"]

    def _environment(self) -> dict[str, str]:
        """Return what the daemon's uv gets, and nothing else."""
        return {"VIRTUAL_ENV": str(self._venv), "PATH": self._path, "UV_CACHE_DIR": str(self._cache)}

    async def _daemon(self, command: Sequence[str | Path], *, env: Mapping[str, str], doing: str) -> Finished:
        isolation, folder = self._bench.isolation, self._plugin.folder
        shown = " ".join(Path(str(word)).name if at == 0 else str(word) for at, word in enumerate(command[:6]))
        self._bench.say(f"$ {shown}" if _IMPORTS not in command else "$ python -c 'import every top-level module'")
        self._bench.doing(f"{doing} ({isolation.method.value})")
        try:
            finished = await run(
                isolation.wrap(command),
                env={**isolation.environment, **env},
                cwd=folder,
                timeout_seconds=self._bench.timeout_seconds,
                on_line=self._pass_on,
            )
        except ProcessTimeoutError as error:
            raise RepackError(
                Reason.VERIFICATION_FAILED, f"Verifying {self._plugin.name}, {doing} took too long: {error}."
            ) from error
        if finished.code != 0:
            self._fail(f"{doing} ended with exit code {finished.code}: {sentence(finished.lines)}")
        return finished

    def _pass_on(self, line: str) -> None:
        """Put uv's own summary into the log; its debug lines are read only when something fails."""
        if line.startswith(_SUMMARIES):
            self._bench.say(line)

    def _compare(self, installed: Mapping[str, str]) -> None:
        """Raise unless what is installed is what the requirements.txt pins."""
        pins = _pins(self._plugin)
        missing = sorted(f"{name}=={pins[name]}" for name in pins if not _same(installed.get(name), pins[name]))
        extra = sorted(f"{name}=={installed[name]}" for name in installed if pins and name not in pins)
        if missing or extra:
            self._fail(
                f"the installed set differs from the pins: missing {missing or 'none'}, unexpected {extra or 'none'}"
            )

    def _imports(self, finished: Finished, installed: Mapping[str, str]) -> str:
        """Return how many modules import; raise when the SDK itself does not, for then no plugin starts."""
        answer = json.loads(finished.lines[-1])
        names, failed = answer["names"], answer["failed"]
        for name, error in failed.items():
            self._bench.say(f"import {name} fails: {error}")
        if _SDK in failed:
            self._fail(f"import {_SDK} fails: {failed[_SDK]}")
        if canonicalize_name(_SDK) not in installed:
            self._bench.say("warning: the plugin does not depend on dify-plugin; Dify's daemon will not start it")
        failing = f" (not: {', '.join(sorted(failed)[:5])})" if failed else ""
        return f"{len(names) - len(failed)} of {len(names)} modules import{failing}"

    def _fail(self, what: str) -> NoReturn:
        # Told of a package that nobody made for closed networks, "run it again" would be a poor advice.
        original = "pyproject.toml" in self._plugin.names or not any(
            name.startswith("wheels/") for name in self._plugin.names
        )
        raise RepackError(
            Reason.VERIFICATION_FAILED,
            f"{self._plugin.name} {self._plugin.version} does not install without a network: {what}",
            hint="Make an offline package of it first: dify-repack pack." if original else None,
        )


def _same(installed: str | None, pinned: str) -> bool:
    """Compare versions by value: `2024.01` and `2024.1` are one."""
    return installed is not None and Version(installed) == Version(pinned)


def _installed(listed: Finished) -> dict[str, str]:
    table = json.loads(next(line for line in reversed(listed.lines) if line.startswith("[")))
    return {canonicalize_name(row["name"]): row["version"] for row in table}


def _pins(plugin: Plugin) -> dict[str, str]:
    """Return name → version of the `==` lines; empty for a package that is not pinned."""
    if REQUIREMENTS not in plugin.names or "pyproject.toml" in plugin.names:
        return {}
    pins: dict[str, str] = {}
    for line in (plugin.folder / REQUIREMENTS).read_text("utf-8").splitlines():
        try:
            requirement = Requirement(line.partition(" --hash")[0].strip())
        except InvalidRequirement:
            continue
        exact = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
        if exact and (requirement.marker is None):
            pins[canonicalize_name(requirement.name)] = exact[0]
    return pins
