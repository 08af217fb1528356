"""Finding a real Python of the plugin's version.

A candidate counts only once it has run and told its version: a pyenv shim named `python3.12` exists in the PATH of
machines where it refuses to run.
"""

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.settings import Settings, home_folder, passed_on_environment

_ASK = (
    "import os, sys; print('|'.join(['%d.%d' % sys.version_info[:2], sys.implementation.name, "
    "os.path.realpath(getattr(sys, '_base_executable', sys.executable))]))"
)
_USUAL_PLACES = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
_USUAL_PATTERNS = (".pyenv/versions/{v}.*/bin", ".local/bin", ".local/share/mise/installs/python/{v}*/bin")


@dataclass(frozen=True)
class Interpreter:
    """A CPython that runs."""

    executable: Path
    version: str

    @property
    def folder(self) -> Path:
        """The folder to put at the front of PATH, so that uv finds it as `pythonX.Y`."""
        return self.executable.parent


async def find_interpreter(version: str, *, settings: Settings, home: Path | None = None) -> Interpreter:
    """Return a CPython of the version: the setting, usual places, what uv finds, then uv's download where allowed.

    Raises:
        RepackError: `PythonNotFound`, with what was tried and the remedy.
    """
    if settings.python:
        if found := await _ask(settings.python, version):
            return found
        raise _not_found(version, f"REPACK_PYTHON names {settings.python}, which is no CPython {version} that runs.")
    tried: list[str] = []
    async for candidate in _candidates(
        version, home=home or settings.python_home or home_folder(otherwise=settings.work_dir)
    ):
        if str(candidate) in tried:
            continue
        tried.append(str(candidate))
        if found := await _ask(candidate, version):
            return found
    if settings.python_download and (found := await _download(version, settings=settings)):
        return found
    downloaded = "uv could not download one" if settings.python_download else "downloading one is switched off"
    raise _not_found(
        version, f"No CPython {version} that runs was found here ({len(tried)} looked at), and {downloaded}."
    )


def _not_found(version: str, message: str) -> RepackError:
    return RepackError(
        Reason.PYTHON_NOT_FOUND,
        message,
        hint=f"Install Python {version} and set REPACK_PYTHON to its path, or allow REPACK_PYTHON_DOWNLOAD=true.",
    )


async def _candidates(version: str, *, home: Path) -> AsyncIterator[Path]:
    if "{}.{}".format(*sys.version_info[:2]) == version:
        yield Path(sys.executable)
    for place in _places(version, home):
        yield place
    if by_uv := await _uv_finds(version, "--system", "--no-python-downloads", home=home):
        yield by_uv


async def _uv_finds(version: str, *options: str, home: Path) -> Path | None:
    env = {"HOME": str(home), "PATH": _search_path()}
    finished = await run(
        [uv.find_uv_bin(), "python", "find", "--no-config", *options, version], env=env, timeout_seconds=30
    )
    line = finished.lines[-1].strip() if finished.lines else ""
    return Path(line) if finished.code == 0 and line else None


def _search_path() -> str:
    folders = [str(Path(found).parent) for name in ("python3", "python") if (found := shutil.which(name))]
    return ":".join(dict.fromkeys([*folders, *_USUAL_PLACES, "/bin"]))


def _places(version: str, home: Path) -> Iterator[Path]:
    name = f"python{version}"
    folders = [Path(place) for place in _USUAL_PLACES]
    for pattern in _USUAL_PATTERNS:
        folders += sorted(home.glob(pattern.format(v=version)), reverse=True)
    folders += sorted(Path("/opt").glob(f"python*{version}*/bin"), reverse=True)
    for folder in folders:
        if (folder / name).is_file():
            yield folder / name
    if in_path := shutil.which(name):  # late: where pyenv is, a shim that takes its time to refuse
        shims = Path(in_path).parent
        yield from sorted(shims.parent.glob(f"versions/{version}.*/bin/{name}"), reverse=True)
        yield Path(in_path)


async def _ask(candidate: Path, version: str) -> Interpreter | None:
    """Run the candidate; return it when it is a CPython of the version, by the path of the real executable."""
    try:
        finished = await run([candidate, "-I", "-c", _ASK], env={"PATH": "/usr/bin:/bin"}, timeout_seconds=15)
    except (OSError, ProcessTimeoutError):
        return None
    said, _, rest = finished.lines[-1].partition("|") if finished.code == 0 and finished.lines else ("", "", "")
    kind, _, real = rest.partition("|")
    if said != version or kind != "cpython":
        return None
    executable = Path(real)
    if executable.name != f"python{version}":
        sibling = executable.parent / f"python{version}"
        executable = sibling if sibling.exists() else executable
    return Interpreter(executable=executable, version=version)


async def _download(version: str, *, settings: Settings) -> Interpreter | None:
    """Let uv fetch an interpreter into the cache; None when it cannot."""
    folder = settings.caches / "python"
    env = {
        **passed_on_environment(),
        "HOME": str(settings.work_dir),
        "PATH": "/usr/bin:/bin",
        "UV_PYTHON_INSTALL_DIR": str(folder),
        "UV_CACHE_DIR": str(settings.caches / "uv"),
    }
    binary = uv.find_uv_bin()
    try:
        await run([binary, "python", "install", "--no-config", "--no-bin", version], env=env, timeout_seconds=300)
        finished = await run(
            [binary, "python", "find", "--no-config", "--managed-python", "--no-python-downloads", version],
            env=env, timeout_seconds=30,
        )  # fmt: skip
    except ProcessTimeoutError:
        return None
    return await _ask(Path(finished.lines[-1].strip()), version) if finished.code == 0 and finished.lines else None
