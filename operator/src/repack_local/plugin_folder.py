"""From a plugin's source folder to a `.difypkg`, as its author would publish it; for the example and for tests."""

import asyncio
from pathlib import Path

import uv

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import Member, pack
from repack_worker.interpreters import find_interpreter
from repack_worker.processes import run
from repack_worker.settings import Settings, home_folder, passed_on_environment
from repack_worker.uv_output import sentence

_SKIPPED = {".venv", "__pycache__", ".git", "wheels"}


async def pack_folder(folder: Path, target: Path, *, settings: Settings, python: str = "3.12") -> Path:
    """Write the folder's files as a plugin package and return `target`.

    Args:
        folder: a plugin's source; its `uv.lock` is made by uv when it is missing.
        target: the file to write.
        settings: where an interpreter is looked for, and the caches.
        python: the plugin's Python.
    """
    if await asyncio.to_thread(_needs_lock, folder):
        await _lock(folder, settings=settings, python=python)
    await asyncio.to_thread(_write, folder, target)
    return target


def _needs_lock(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and not (folder / "uv.lock").is_file()


def _write(folder: Path, target: Path) -> None:
    members = [
        Member(path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _SKIPPED & set(path.relative_to(folder).parts) and path.suffix != ".difypkg"
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    pack(members, target)


async def _lock(folder: Path, *, settings: Settings, python: str) -> None:
    interpreter = await find_interpreter(python, settings=settings)
    index = ["--default-index", settings.index_url] if settings.index_url else []
    command = [uv.find_uv_bin(), "lock", "--no-config", "--python", str(interpreter.executable), *index]
    env = {
        **passed_on_environment(),
        "HOME": str(home_folder(otherwise=settings.work_dir)),
        "PATH": "/usr/bin:/bin",
        "UV_CACHE_DIR": str(settings.caches / "uv"),
    }
    finished = await run(command, env=env, cwd=folder, timeout_seconds=settings.resolve_timeout_seconds)
    if finished.code != 0:
        raise RepackError(Reason.INDEX_UNREACHABLE, f"{folder.name} could not be locked: {sentence(finished.lines)}")
