"""Building a wheel from a source: third-party code runs, so it gets no network, no credentials and no files of ours.

Three steps. The build's requirements are installed, wheels only, with the network and the index's credentials, and
nothing of them runs yet. Then the hooks of PEP 517 run under the isolation of Verify, in an environment that holds
nothing but paths, and see the system's programs and the build's own folder only (`confinement.py`). At the end the
wheel is compared with what it claims: name, version, CPU, glibc.
"""

import hashlib
import json
import tomllib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import NoReturn

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker import build_hooks
from repack_worker.archive import FIXED_DATE, invalid
from repack_worker.confinement import confined, is_possible
from repack_worker.elf import compiled_files
from repack_worker.index_access import IndexAccess
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation
from repack_worker.plan import Plan, SourceDist
from repack_worker.platforms import GLIBC_MINOR
from repack_worker.processes import Finished, ProcessTimeoutError, run
from repack_worker.requirement_lines import read_requirements
from repack_worker.resolve import index_options, uv_environment
from repack_worker.settings import Settings
from repack_worker.threads import in_thread
from repack_worker.unpack_source import fetch_commit, unpack_archive
from repack_worker.uv_output import sentence

_LEGACY = ("setuptools.build_meta:__legacy__", ("setuptools>=40.8.0", "wheel"))
"""What PEP 517 says of a source without `[build-system]`; older setuptools need `wheel` named."""
_EPOCH = "315532800"
"""1980-01-01, the earliest date that zip knows: a build of the same source shall give the same bytes."""


@dataclass(frozen=True)
class Workshop:
    """Where sources are built."""

    interpreter: Interpreter
    isolation: Isolation
    indexes: Sequence[str]
    settings: Settings
    access: IndexAccess
    folder: Path
    """An existing folder, private to the attempt."""
    say: Callable[[str], None]

    async def build(self, source: SourceDist, archive: Path | None) -> Path:
        """Return the wheel of a source, checked.

        Args:
            source: what to build.
            archive: its archive; None for git, which is fetched here.

        Raises:
            RepackError: `NoWheelForPlatform` with the end of the build's own output when it cannot be built.
        """
        base = self.folder / f"build-{source.name}"
        base.mkdir()
        if archive:
            project = await in_thread(unpack_archive, archive, base / "source")
        else:
            project = await fetch_commit(
                source, base / "source",
                env={**uv_environment(self.settings, home=self.folder), "GIT_CONFIG_NOSYSTEM": "1"},
                timeout_seconds=self.settings.build_timeout_seconds,
            )  # fmt: skip
        return await _Build(self, source, base=base, project=project).run()


class _Build:
    """One build in one folder."""

    def __init__(self, workshop: Workshop, source: SourceDist, *, base: Path, project: Path) -> None:
        self._shop, self._source, self._base, self._project = workshop, source, base, project
        self._environment, self._out = base / "environment", base / "out"

    async def run(self) -> Path:
        """Prepare, build, check; return the wheel."""
        backend, paths, requires = self._build_system()
        self._out.mkdir()
        uv_bin, python = uv.find_uv_bin(), self._shop.interpreter.executable
        home = uv_environment(self._shop.settings, home=self._base)
        await self._uv([uv_bin, "venv", "--no-config", "--quiet", "--python", python, self._environment], home)
        await self._install(requires)
        await self._install(_texts(await self._hook("requires", backend, paths)))
        self._shop.say(f"Building {self._source.label} with {backend} under {self._shop.isolation.method.value}")
        name = str(await self._hook("wheel", backend, paths))
        wheel = self._out / name
        # A build could name any file of ours, or leave a link to one.
        if wheel.parent != self._out or await in_thread(wheel.is_symlink) or not await in_thread(wheel.is_file):
            self._fail(f"its build names {name[:120]!r} as the wheel, which is not there")
        await in_thread(self._check, wheel)
        return await in_thread(_normalised, wheel, self._base / wheel.name)

    def _build_system(self) -> tuple[str, list[str], tuple[str, ...]]:
        """Return backend, folders to find it in, and requirements (PEP 518)."""
        path = self._project / "pyproject.toml"
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("build-system") if path.is_file() else None
            if table is None:
                if not path.is_file() and not (self._project / "setup.py").is_file():
                    self._fail("its source has neither pyproject.toml nor setup.py")
                return _LEGACY[0], [], _LEGACY[1]
            requires = read_requirements("\n".join(table.get("requires", [])), origin="[build-system]").lines
            folders = [(self._project / folder).resolve() for folder in table.get("backend-path", [])]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, AttributeError, RecursionError) as error:
            raise invalid(f"The pyproject.toml of {self._source.label} cannot be read: {error}.") from error
        if any(not folder.is_relative_to(self._project.resolve()) for folder in folders):
            self._fail("its backend-path leads out of its source")
        return table.get("build-backend") or _LEGACY[0], [str(folder) for folder in folders], requires

    async def _install(self, requires: tuple[str, ...]) -> None:
        """Install what the build needs, wheels only: nothing of it runs before the network is gone."""
        if not requires:
            return
        listed = self._base / "build-requires.txt"
        listed.write_text("\n".join(requires) + "\n", "utf-8")
        env = uv_environment(self._shop.settings, home=self._base) | self._shop.access.environment()
        command: list[str | Path] = [
            uv.find_uv_bin(), "pip", "install", "--no-config", "--quiet", "--python", self._python,
            "--only-binary", ":all:", *index_options(self._shop.indexes), "-r", listed,
        ]  # fmt: skip
        await self._uv(command, env)

    @property
    def _python(self) -> Path:
        return self._environment / "bin" / "python"

    async def _uv(self, command: Sequence[str | Path], env: dict[str, str]) -> None:
        finished = await self._run(command, env)
        if finished.code != 0:
            self._fail(f"what its build needs could not be installed: {sentence(finished.lines)}")

    async def _hook(self, step: str, backend: str, paths: list[str]) -> object:
        """Run a hook without a network; return its answer."""
        scratch = self._base / "tmp"
        scratch.mkdir(exist_ok=True)
        env = {
            **self._shop.isolation.environment,
            "PATH": f"{self._environment / 'bin'}:/usr/bin:/bin",
            "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8",
            "SOURCE_DATE_EPOCH": _EPOCH, "PYTHONHASHSEED": "0", "PIP_NO_INDEX": "1", "NO_COLOR": "1",
        }  # fmt: skip
        command: list[str | Path] = [self._python, build_hooks.__file__, step, self._out, backend, *paths]
        finished = await self._run(self._shop.isolation.wrap(self._confined(command)), env, cwd=self._project)
        answer = self._out / f"{step}.json"
        if finished.code != 0 or not answer.is_file():
            said = " ".join(" | ".join(line for line in finished.lines[-6:] if line.strip()).split())[-600:]
            self._fail(f"it could not be built from its source: {said or f'exit code {finished.code}'}")
        return json.loads(answer.read_text("utf-8"))

    def _confined(self, command: Sequence[str | Path]) -> list[str | Path]:
        if not is_possible():
            self._shop.say("This kernel has no Landlock: the build could read what the worker can read")
        own = Path(build_hooks.__file__)
        return confined(command, interpreter=self._shop.interpreter, write=self._base, read=(own,))

    async def _run(self, command: Sequence[str | Path], env: dict[str, str], *, cwd: Path | None = None) -> Finished:
        try:
            return await run(command, env=env, cwd=cwd, timeout_seconds=self._shop.settings.build_timeout_seconds)
        except ProcessTimeoutError as error:
            self._fail(f"its build took too long: {error}")

    def _check(self, wheel: Path) -> None:
        """Refuse a wheel that is not what was asked for, or that needs a newer machine than it may."""
        try:
            name, version, _, tags = parse_wheel_filename(wheel.name)
        except InvalidWheelFilename as error:
            self._fail(f"its build gives {wheel.name!r}, which is no name of a wheel: {error}")
        if name != canonicalize_name(self._source.name):
            self._fail(f"its build gives a wheel of {name}")
        if self._source.version and version != Version(self._source.version):
            self._fail(f"its build gives version {version}")
        compiled = tuple(compiled_files(wheel))
        if compiled and all(tag.platform == "any" for tag in tags):
            self._fail(f"its wheel {wheel.name} says that it fits any CPU and holds {compiled[0].name}")
        claimed = min((_glibc_of(tag.platform) for tag in tags), default=GLIBC_MINOR)
        for file in compiled:
            if file.glibc_minor > claimed:
                self._fail(
                    f"{file.name} of its build needs glibc 2.{file.glibc_minor}, and "
                    f"{'Dify has' if claimed == GLIBC_MINOR else 'its wheel claims'} 2.{claimed}"
                )

    def _fail(self, why: str) -> NoReturn:
        raise RepackError(
            Reason.NO_WHEEL_FOR_PLATFORM,
            f"{self._source.label} has no wheel, and {why}.",
            hint="Put a wheel of it on a package index of your own and name that in spec.packageIndex, or use a "
            "version of the plugin that needs another version of it.",
        )


def _texts(answer: object) -> tuple[str, ...]:
    """Return the requirements that a hook answered; other things than texts are none."""
    listed = answer if isinstance(answer, list) else []
    return read_requirements("\n".join(one for one in listed if isinstance(one, str)), origin="[build-system]").lines


def _glibc_of(platform: str) -> int:
    """Return the minor version of glibc that a platform tag claims to need at most."""
    legacy = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
    head, _, rest = platform.partition("_")
    if head == "manylinux":
        return int(rest.split("_")[1])
    return legacy.get(head, GLIBC_MINOR)


def _normalised(wheel: Path, into: Path) -> Path:
    """Write the wheel again with one fixed date, so that a build of the same source gives the same bytes."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            if info.is_dir():
                continue
            copy = zipfile.ZipInfo(info.filename, FIXED_DATE)
            copy.external_attr, copy.create_system = info.external_attr, 3
            copy.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(copy, source.read(info))
    return into


def unmet(wheel: Path, plan: Plan) -> tuple[str, ...]:
    """Return the requirements of a built wheel that the plan does not hold: its archive may have told us less."""
    pinned = {one.name: one.version for one in plan.all}
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        stated = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace")).get_all("Requires-Dist") or []
    missing = []
    for text in stated:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # uv refuses it in Verify, with its own words
        if requirement.marker and not requirement.marker.evaluate({**plan.platform.environment, "extra": ""}):
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or (version and not requirement.specifier.contains(version, prereleases=True)):
            missing.append(text)
    return tuple(missing)


def build_key(source: SourceDist, *, python: str, machine: str) -> str:
    """Return the name under which a build is remembered: the same source, Python and CPU give the same wheel."""
    parts = [source.sha256 or f"{source.url}@{source.commit}", source.subdirectory, python, machine]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
