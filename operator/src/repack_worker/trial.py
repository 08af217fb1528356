"""One installation of a package as one generation of the daemon does it, and the look at what came out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.confinement import confined
from repack_worker.daemons import Daemon
from repack_worker.elf import machine_of
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation
from repack_worker.platforms import Platform
from repack_worker.plugin import Plugin
from repack_worker.processes import Finished, ProcessTimeoutError
from repack_worker.requirement_lines import REQUIREMENTS
from repack_worker.threads import in_thread, together
from repack_worker.uv_output import sentence

_IMPORTS = """
import sys
sys.path.pop(0)  # the plugin's own folder: a module of its would stand for a dependency of that name
import importlib, importlib.metadata, json, os
failed = {}
def attempt(name):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"[:200]
names = [name for name in importlib.metadata.packages_distributions() if name.isidentifier() and name[0] != "_"]
names.sort(key=lambda name: (name != "dify_plugin", name))
for name in names[: int(sys.argv[1]) or None]:
    attempt(name)
print("\\n" + json.dumps({"names": names, "failed": failed}), flush=True)
os._exit(0)  # threads that a module started, and what it does at the end, are not waited for
"""
_SDK = "dify_plugin"
_SUMMARIES = ("Using CPython", "Resolved ", "Prepared ", "Installed ", "Checked ", "All installed packages",
              "Successfully installed")  # fmt: skip


@dataclass(frozen=True)
class Conditions:
    """What is the same for every installation of one verification."""

    interpreter: Interpreter
    isolation: Isolation
    timeout_seconds: float
    say: Callable[[str], None]
    """Takes the lines of the log."""
    doing: Callable[[str], None]
    """Takes what is being done now."""


class Trial:
    """One installation in one folder, `<base>/<author>/<name>-<version>@<checksum>`."""

    def __init__(
        self, plugin: Plugin, conditions: Conditions, daemon: Daemon, *, uv: Path | None, tools: Path,
        foreign: Platform | None = None,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            plugin: the package, laid out as the daemon does.
            conditions: interpreter, isolation, patience.
            daemon: whose command lines.
            uv: the uv that goes with it; None for a daemon that uses pip.
            tools: the uv to look at the result with.
            foreign: the CPU to install for, where it is not the one that runs us.
        """
        self._plugin, self._at, self._daemon = plugin, conditions, daemon
        self._uv, self._tools, self._foreign = uv, tools, foreign
        self._path = f"{conditions.interpreter.folder}:/usr/bin:/bin"
        self._venv = plugin.folder / ".venv"
        home = plugin.folder.parent.parent
        self._cache = plugin.folder / ".uv-cache" if daemon.own_cache else home / "empty-uv-cache"
        self._home, self._temporary = home, home / "tmp"

    async def install(self) -> dict[str, str]:
        """Run the daemon's commands; return name → version of what is installed, which is what is pinned."""
        await in_thread(self._temporary.mkdir, exist_ok=True)
        home = {
            "PATH": self._path, "HOME": str(self._home), "UV_PYTHON_DOWNLOADS": "never",
            "TMPDIR": str(self._temporary),
        }  # fmt: skip
        venv = self._daemon.venv_command(self._uv, self._at.interpreter.version)
        await self._run(venv, env=home, doing="making the environment")
        command = self.command()
        if self._foreign:
            command += ["--python-platform", self._foreign.uv_name]
        await self._run(command, env=self._environment(), doing="installing")
        listed = await self._run(
            [self._tools, "pip", "list", "--format", "json"], env=self._environment(), doing="listing"
        )
        installed = _installed(listed)
        self._compare(installed)
        return installed

    def command(self) -> list[str | Path]:
        """Return the install command of this daemon for this package."""
        command = self._daemon.install_command(self._uv, self._plugin.names)
        if command is None:
            self._fail("the package has neither requirements.txt nor pyproject.toml")
        return command

    async def check(self) -> str:
        """Run `uv pip check`: every requirement of what is installed is met."""
        platform = ["--python-platform", self._foreign.uv_name] if self._foreign else []
        command: list[str | Path] = [self._tools, "pip", "check", *platform]
        await self._run(command, env=self._environment(), doing="checking what was installed")
        return "checked"

    async def imports(self, installed: Mapping[str, str], *, all_modules: bool) -> str:
        """Import the modules, the SDK first or alone; raise when the SDK fails, for then no plugin starts."""
        command: list[str | Path] = [self._venv / "bin" / "python", "-c", _IMPORTS, "0" if all_modules else "1"]
        finished = await self._run(command, env=self._environment(), doing="importing")
        answer = _answer(finished.lines)
        if answer is None:
            self._fail(f"importing ended without a word: {sentence(finished.lines)}")
        names, failed = answer
        for name, error in failed.items():
            self._at.say(f"import {name} fails: {error}")
        if _SDK in failed:
            self._fail(f"import {_SDK} fails: {failed[_SDK]}")
        if all_modules and canonicalize_name(_SDK) not in installed:
            self._at.say("warning: the plugin does not depend on dify-plugin; Dify's daemon will not start it")
        failing = f" (not: {', '.join(sorted(failed)[:5])})" if failed else ""
        return f"{len(names) - len(failed)} of {len(names)} modules import{failing}"

    async def check_machine(self) -> int:
        """Compare the CPU of every compiled file with the foreign one; return how many there are."""
        assert self._foreign is not None  # noqa: S101 - asked for a foreign CPU only
        wanted, machines = self._foreign.machine, await in_thread(_machines, self._venv)
        wrong = sorted(f"{name} ({machine})" for name, machine in machines.items() if machine != wanted)
        if wrong:
            self._fail(f"files for another CPU than {wanted}: {', '.join(wrong[:3])}")
        return len(machines)

    def _environment(self) -> dict[str, str]:
        """Return what the daemon's uv gets, and nothing else but a place for temporary files."""
        return {
            "VIRTUAL_ENV": str(self._venv), "PATH": self._path, "UV_CACHE_DIR": str(self._cache),
            "TMPDIR": str(self._temporary),
        }  # fmt: skip

    async def _run(self, command: Sequence[str | Path], *, env: Mapping[str, str], doing: str) -> Finished:
        isolation, folder = self._at.isolation, self._plugin.folder
        shown = " ".join(Path(str(word)).name if at == 0 else str(word) for at, word in enumerate(command[:6]))
        self._at.say(f"$ {shown}" if _IMPORTS not in command else "$ python -c 'import every top-level module'")
        self._at.doing(f"{doing} ({self._daemon.label}, {isolation.method.value})")
        try:
            finished = await isolation.run(
                self._confined(command),
                env=env,
                cwd=folder,
                timeout_seconds=self._at.timeout_seconds,
                on_line=self._pass_on,
            )
        except ProcessTimeoutError as error:
            raise RepackError(
                Reason.VERIFICATION_FAILED,
                f"Verifying {self._plugin.name}, {doing} took too long: {error}.",
                hint="Give the worker more CPU, or raise REPACK_VERIFY_TIMEOUT_SECONDS; Dify's daemon itself waits no "
                "longer than 10 minutes for an installation.",
            ) from error
        if finished.code != 0:
            self._fail(f"{doing} ended with exit code {finished.code}: {sentence(finished.lines)}")
        return finished

    def _confined(self, command: Sequence[str | Path]) -> list[str | Path]:
        """Return the command line under which code of the package sees no file of ours, where the kernel can."""
        programs = [program for program in (self._uv, self._tools) if program]
        return confined(command, interpreter=self._at.interpreter, write=[self._home], read=programs)

    def _pass_on(self, line: str) -> None:
        """Put the installer's own summary into the log; its debug lines are read only when something fails."""
        if line.startswith(_SUMMARIES):
            self._at.say(line[:400])

    def _compare(self, installed: Mapping[str, str]) -> None:
        """Raise unless what is installed is what the requirements.txt pins."""
        pins = pins_of(self._plugin, self._foreign or Platform.here(self._at.interpreter.version))
        expected = {*pins, *(("pip", "setuptools", "wheel") if self._uv is None else ())}
        missing = sorted(f"{name}=={pins[name]}" for name in pins if not _same(installed.get(name), pins[name]))
        extra = sorted(f"{name}=={installed[name]}" for name in installed if pins and name not in expected)
        if missing or extra:
            self._fail(
                f"the installed set differs from the pins: missing {missing or 'none'}, unexpected {extra or 'none'}"
            )

    def _fail(self, what: str) -> NoReturn:
        # Told of a package that nobody made for closed networks, "run it again" would be a poor advice.
        original = not any(name.startswith("wheels/") for name in self._plugin.names)
        target = f" on {self._foreign.label}" if self._foreign else ""
        raise RepackError(
            Reason.VERIFICATION_FAILED,
            f"{self._plugin.name} {self._plugin.version} does not install without a network{target} the way of "
            f"daemon {self._daemon.label}: {what}",
            hint="Make an offline package of it first: dify-repack pack." if original else None,
        )


async def examine(trial: Trial, installed: Mapping[str, str]) -> str:
    """Check the requirements and import every module; return what imports."""
    checked, imported = await together([trial.check(), trial.imports(installed, all_modules=True)])
    return imported or checked


def _answer(lines: Sequence[str]) -> tuple[list[str], dict[str, str]] | None:
    """Return the names that were imported and what failed; None where a module ended the process before."""
    for line in reversed(lines):
        if line.startswith('{"names": '):
            try:
                said = json.loads(line)
                return list(map(str, said["names"])), {str(name): str(error) for name, error in said["failed"].items()}
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
    return None


def _same(installed: str | None, pinned: str) -> bool:
    """Compare versions by value: `2024.01` and `2024.1` are one."""
    return installed is not None and Version(installed) == Version(pinned)


def _installed(listed: Finished) -> dict[str, str]:
    table = json.loads(next(line for line in reversed(listed.lines) if line.startswith("[")))
    return {canonicalize_name(row["name"]): row["version"] for row in table}


def _machines(folder: Path) -> dict[str, str]:
    """Return name → CPU of every compiled file of an environment."""
    found = {path: machine_of(path) for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {path.name: machine for path, machine in found.items() if machine}


def pins_of(plugin: Plugin, platform: Platform) -> dict[str, str]:
    """Return name → version of the `==` lines that count on a platform; empty for a package that is not pinned."""
    pins: dict[str, str] = {}
    if REQUIREMENTS not in plugin.names:
        return pins
    for line in (plugin.folder / REQUIREMENTS).read_text("utf-8").splitlines():
        try:
            requirement = Requirement(line.partition(" --hash")[0].strip())
        except InvalidRequirement:
            continue
        exact = [specifier.version for specifier in requirement.specifier if specifier.operator == "=="]
        if exact and _counts(requirement.marker, platform):
            pins[canonicalize_name(requirement.name)] = exact[0]
    return pins


def _counts(marker: Marker | None, platform: Platform) -> bool:
    return marker is None or marker.evaluate(dict(platform.environment))
