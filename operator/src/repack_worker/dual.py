"""Mode B, "Dual": beside the requirements.txt a minimal pyproject.toml and a uv.lock onto `./wheels` (6.1, step 6).

For people who want the daemon's `uv sync`. Everything of the author's pyproject.toml that could ask an index is left
out: build system, groups, extras, `[tool.uv]`. The lock has no hashes of wheels, so mode A is the safer one.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import uv
from packaging.version import InvalidVersion, Version

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import Member
from repack_worker.interpreters import Interpreter
from repack_worker.lock import LOCK
from repack_worker.plan import Plan, Wheel
from repack_worker.plugin import Plugin
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.rewrite import WHEELS, pins, wheels_of
from repack_worker.threads import in_thread
from repack_worker.uv_output import sentence
from repack_worker.wanted import PYPROJECT

_LOCK_SECONDS = 120
_NOT_AT_ENDS = re.compile(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$")


def pyproject_text(plugin: Plugin, plans: Sequence[Plan]) -> str:
    """Return the minimal pyproject.toml."""
    python = plans[0].platform.python
    major, minor = python.split(".")
    following = f"{major}.{int(minor) + 1}"
    environments = [
        f"sys_platform == 'linux' and platform_machine == '{plan.platform.machine}' and "
        f"implementation_name == 'cpython' and python_full_version >= '{python}' and "
        f"python_full_version < '{following}'"
        for plan in plans
    ]
    lines = [
        "[project]",
        f"name = {json.dumps(_NOT_AT_ENDS.sub('', plugin.name) or 'plugin')}",
        f"version = {json.dumps(_version(plugin.version))}",
        f"requires-python = {json.dumps(f'>={python},<{following}')}",
        "dependencies = [",
        *(f"    {json.dumps(pin.requirement)}," for pin in pins(plans)),
        "]",
        "",
        "[tool.uv]",
        "package = false",
        "no-index = true",
        f'find-links = ["./{WHEELS}"]',
        "environments = [",
        *(f"    {json.dumps(environment)}," for environment in environments),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _version(version: str) -> str:
    """Return the plugin's version where Python has such a one too."""
    try:
        return str(Version(version))
    except InvalidVersion:
        return "0"


async def dual_members(
    plugin: Plugin, plans: Sequence[Plan], files: Mapping[Wheel, Path], *, interpreter: Interpreter, folder: Path
) -> list[Member]:
    """Return pyproject.toml and uv.lock; `folder` is new and made here."""
    text = pyproject_text(plugin, plans)
    await in_thread(_lay_out, text, plans, files, folder)
    env = {"PATH": f"{interpreter.folder}:/usr/bin:/bin", "HOME": str(folder), "UV_CACHE_DIR": str(folder / "cache"),
           "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}  # fmt: skip
    command: list[str | Path] = [uv.find_uv_bin(), "lock", "--offline", "--python", interpreter.executable]
    try:
        finished = await run(command, env=env, cwd=folder, timeout_seconds=_LOCK_SECONDS)
    except ProcessTimeoutError as error:
        raise RepackError(
            Reason.INTERNAL, f"Locking onto the wheels took too long: {error}.",
            hint="Give the worker more CPU, or use the mode RequirementsOnly, which needs no lock.",
        ) from error  # fmt: skip
    if finished.code != 0:
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"The wheels of {plugin.name} cannot be locked together: {sentence(finished.lines)}",
            hint="Use the mode RequirementsOnly, which every version of Dify's daemon installs too.",
        )
    return [Member(PYPROJECT, text.encode()), Member(LOCK, (folder / LOCK).read_bytes())]


def _lay_out(text: str, plans: Sequence[Plan], files: Mapping[Wheel, Path], folder: Path) -> None:
    (folder / WHEELS).mkdir(parents=True)
    (folder / PYPROJECT).write_text(text, "utf-8")
    for wheel in wheels_of(plans):
        target = folder / WHEELS / wheel.filename
        try:
            os.link(files[wheel], target)
        except OSError:  # the cache is on another disk
            shutil.copyfile(files[wheel], target)
