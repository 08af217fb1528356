"""Building a wheel from a source: third-party code runs, so it gets no network, no credentials and no files of ours.

Three steps. The build's requirements are installed, wheels only, with the network and the index's credentials, and
nothing of them runs yet. Then the hooks of PEP 517 run under the isolation of Verify, in an environment that holds
nothing but paths, and see the system's programs and the build's own folder only (`confinement.py`). At the end the
wheel is compared with what it claims: name, version, CPU, glibc.
"""

import errno
import json
import os
import platform
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import IO, NoReturn

import tomli
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker import build_hooks
from repack_worker.archive import FIXED_DATE, invalid
from repack_worker.build_environment import BuildEnvironment, BuildFaultError, EnvironmentMaker
from repack_worker.built_wheels import BuiltWheels, shared_key
from repack_worker.confinement import confined, is_possible
from repack_worker.elf import ElfFacts, compiled_files
from repack_worker.guard import NetworkGuard
from repack_worker.index_access import IndexAccess
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation
from repack_worker.plan import Plan, SourceDist
from repack_worker.platforms import GLIBC_MINOR
from repack_worker.processes import ProcessTimeoutError
from repack_worker.requirement_lines import read_requirements
from repack_worker.resolve import uv_environment
from repack_worker.settings import Settings
from repack_worker.threads import in_thread
from repack_worker.unpack_source import fetch_commit, tree_sha256, unpack_archive

_LEGACY = ("setuptools.build_meta:__legacy__", ("setuptools>=40.8.0", "wheel"))
"""What PEP 517 says of a source without `[build-system]`; older setuptools need `wheel` named."""
METADATA = ".dist-info/METADATA"
_LARGEST_WHEEL = 2 << 30
"""Unpacked; a build could otherwise fill the memory of whoever looks at its wheel."""
_LONGEST_ANSWER = 1 << 20
_EPOCH = "315532800"
"""1980-01-01, the earliest date that zip knows: a build of the same source shall give the same bytes."""


@dataclass(frozen=True)
class Workshop:
    """Where sources are built."""

    interpreter: Interpreter
    isolation: Isolation
    indexes: Sequence[str | None]
    settings: Settings
    access: IndexAccess
    guard: NetworkGuard
    folder: Path
    """An existing folder, private to the attempt."""
    known: BuiltWheels
    """What other workers have built."""
    say: Callable[[str], None]

    async def build(self, source: SourceDist, archive: Path | None) -> Path:
        """Return the wheel of a source, checked.

        Args:
            source: what to build.
            archive: its archive; None for git, which is fetched here.

        Raises:
            RepackError: `NoWheelForPlatform` with the end of the build's own output when it cannot be built.
        """
        base = Path(await in_thread(tempfile.mkdtemp, prefix=f"build-{source.name}-", dir=self.folder))
        if archive:
            project = await in_thread(unpack_archive, archive, base / "source")
        else:
            env = await uv_environment(self.settings, home=base, guard=self.guard)
            timeout = self.settings.build_timeout_seconds
            project = await fetch_commit(source, base / "source", env=env, guard=self.guard, timeout_seconds=timeout)
        return await _Build(self, source, base=base, project=project).run()


class _Build:
    """One build in one folder. Its code may write to `source`, `out` and `tmp` there, and to nothing beside them."""

    def __init__(self, workshop: Workshop, source: SourceDist, *, base: Path, project: Path) -> None:
        self._shop, self._source, self._base, self._project = workshop, source, base, project
        self._out, self._scratch = base / "out", base / "tmp"

    async def run(self) -> Path:
        """Prepare, take what another worker built of the same or build; return the wheel, checked."""
        try:
            return await self._run()
        except BuildFaultError as fault:
            self._fail(str(fault))

    async def _run(self) -> Path:
        shop = self._shop
        backend, paths, requires = self._build_system()
        # Before a hook runs: it can change its own files, and must not pass for another source by that.
        content = self._source.sha256 or await in_thread(tree_sha256, self._base / "source")
        self._out.mkdir()
        self._scratch.mkdir()
        maker = EnvironmentMaker(shop.interpreter, shop.indexes, shop.settings, shop.access, shop.guard, self._base)
        environment = await maker.make("environment", requires)
        if more := _texts(await self._hook("requires", backend, paths, environment)):
            environment = await maker.make("whole-environment", (*requires, *more))
        key = shared_key(
            content, subdirectory=self._source.subdirectory, backend=backend, requires=environment.requires,
            python=shop.interpreter.version, machine=platform.machine(),
        )  # fmt: skip
        if wheel := await self._from_elsewhere(key):
            return wheel
        shop.say(f"Building {self._source.label} with {backend} under {shop.isolation.method.value}")
        name = await self._hook("wheel", backend, paths, environment)
        wheel = await in_thread(self._taken, str(name))
        await in_thread(self._check, wheel)
        wheel = await in_thread(_normalised, wheel, self._base / wheel.name)
        await shop.known.offer(key, wheel)
        return wheel

    async def _from_elsewhere(self, key: str) -> Path | None:
        """Return the wheel that another worker built, held to what one of our own is; None when there is no such."""
        wheel = await self._shop.known.elsewhere(key, self._base)
        if wheel is None:
            return None
        try:
            await in_thread(self._check, wheel)
        except RepackError as error:
            self._shop.say(f"What another worker handed in is not taken: {error.message}")
            return None
        self._shop.say(f"{self._source.label} was built by another worker")
        return wheel

    def _taken(self, name: str) -> Path:
        """Copy the wheel out of the build's reach; its build could name any file of ours, or leave a link to one."""
        taken = self._base / "taken" / name
        if taken.parent != self._base / "taken":
            raise BuildFaultError(f"its build names {name[:120]!r} as the wheel, which is no name of a file")
        taken.parent.mkdir()
        try:
            with own_file(self._out / name) as source, taken.open("xb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise BuildFaultError(f"its build names {name[:120]!r} as the wheel, which is not there") from error
        return taken

    def _build_system(self) -> tuple[str, list[str], tuple[str, ...]]:
        """Return backend, folders to find it in, and requirements (PEP 518)."""
        path = self._project / "pyproject.toml"
        try:
            table = tomli.loads(path.read_text("utf-8")).get("build-system") if path.is_file() else None
            if table is None:
                if not path.is_file() and not (self._project / "setup.py").is_file():
                    self._fail("its source has neither pyproject.toml nor setup.py")
                return _LEGACY[0], [], _LEGACY[1]
            requires = read_requirements("\n".join(table.get("requires", [])), origin="[build-system]").lines
            folders = [(self._project / folder).resolve() for folder in table.get("backend-path", [])]
        except (tomli.TOMLDecodeError, UnicodeDecodeError, TypeError, AttributeError, RecursionError) as error:
            raise invalid(f"The pyproject.toml of {self._source.label} cannot be read: {error}.") from error
        if any(not folder.is_relative_to(self._project.resolve()) for folder in folders):
            self._fail("its backend-path leads out of its source")
        return table.get("build-backend") or _LEGACY[0], [str(folder) for folder in folders], requires

    async def _hook(self, step: str, backend: str, paths: list[str], environment: BuildEnvironment) -> object:
        """Run a hook without a network; return its answer."""
        scratch = str(self._scratch)
        env = {
            "PATH": f"{environment.folder / 'bin'}:/usr/bin:/bin",
            "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8",
            "SOURCE_DATE_EPOCH": _EPOCH, "PYTHONHASHSEED": "0", "PIP_NO_INDEX": "1", "NO_COLOR": "1",
        }  # fmt: skip
        command: list[str | Path] = [environment.python, build_hooks.__file__, step, self._out, backend, *paths]
        if not is_possible():
            self._shop.say("This kernel has no Landlock: the build could read what the worker can read")
        command = confined(
            command, interpreter=self._shop.interpreter, read=(Path(build_hooks.__file__), environment.folder),
            write=(self._base / "source", self._out, self._scratch),
        )  # fmt: skip
        timeout = self._shop.settings.build_timeout_seconds
        try:
            finished = await self._shop.isolation.run(command, env=env, cwd=self._project, timeout_seconds=timeout)
        except ProcessTimeoutError as error:
            raise BuildFaultError(f"its build took too long (REPACK_BUILD_TIMEOUT_SECONDS): {error}") from error
        try:
            if finished.code == 0:
                return await in_thread(_answer, self._out / f"{step}.json")
        except (OSError, ValueError, RecursionError):
            pass  # it is to blame as much as one that says that it failed
        said = " ".join(" | ".join(line for line in finished.lines[-6:] if line.strip()).split())[-600:]
        raise BuildFaultError(f"it could not be built from its source: {said or f'exit code {finished.code}'}")

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
        try:
            compiled = _examined(wheel)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            self._fail(f"its build gives a wheel that is none: {error}")
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


def _answer(path: Path) -> object:
    with own_file(path) as file:
        return json.loads(file.read(_LONGEST_ANSWER))


def own_file(path: Path) -> IO[bytes]:
    """Open an ordinary file that somebody else wrote, and nothing that it links to; raise OSError otherwise."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is no ordinary file", str(path))
    return file


def _examined(wheel: Path) -> tuple[ElfFacts, ...]:
    """Return the compiled files of a wheel; raise ValueError for one without metadata, or too large to be unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST_WHEEL:
            raise ValueError(f"unpacked, it has more than {_LARGEST_WHEEL:,} bytes")
        if not any(name.endswith(METADATA) for name in archive.namelist()):
            raise ValueError("it has no metadata")
    return tuple(compiled_files(wheel))


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
            copy.compress_type, copy.file_size = zipfile.ZIP_DEFLATED, info.file_size
            with source.open(info) as reading, target.open(copy, "w") as writing:
                shutil.copyfileobj(reading, writing)
    return into


def unmet(wheel: Path, plan: Plan) -> tuple[str, ...]:
    """Return the requirements of a built wheel that the plan does not hold: its archive may have told us less."""
    pinned = {one.name: one.version for one in plan.all}
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(METADATA))
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
