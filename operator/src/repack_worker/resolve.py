"""Choosing versions for a plugin without a lock: `uv pip compile` for the target, read back as a pylock (PEP 751).

Only wheels are considered, so that nothing of the plugin or of a source distribution is executed here.
"""

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uv

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.plan import Plan, Wheel, choose_wheel, raise_no_wheel
from repack_worker.platforms import Platform
from repack_worker.processes import ProcessTimeoutError, run
from repack_worker.settings import Settings, passed_on_environment
from repack_worker.uv_output import sentence

_HTTP_TIMEOUT_SECONDS = 30
_SYMPTOMS: tuple[tuple[str, Reason, str], ...] = (
    (r"\b429\b|too many requests", Reason.RATE_LIMITED, "The package index asked to be called less often"),
    (r"timed? ?out|deadline", Reason.DOWNLOAD_TIMEOUT, "The package index was too slow"),
    (r"dns error|failed to lookup|connect|connection|sending request|\b50[0234]\b|\b401\b|\b403\b|tls|certificate",
     Reason.INDEX_UNREACHABLE, "The package index could not be used"),
)  # fmt: skip


async def resolve(
    lines: Sequence[str], *, origin: str, platform: Platform, indexes: Sequence[str], settings: Settings, folder: Path
) -> Plan:
    """Return a plan for the requirement lines.

    Args:
        lines: requirements, without options (`requirement_lines`).
        origin: the file they come from, for messages.
        platform: what the packages must install on.
        indexes: addresses of package indexes, the first one the main one; uv's own default when empty.
        settings: timeouts and caches.
        folder: an existing folder for working files.
    """
    source, pylock = folder / "requirements.in", folder / "pylock.toml"
    source.write_text("\n".join(lines) + "\n", "utf-8")
    argv = [
        uv.find_uv_bin(), "pip", "compile", "--no-config", "--no-python-downloads", "--quiet",
        # Any interpreter serves, and ours is there; in an image there may be none where uv would look.
        "--python", sys.executable, "--python-version", platform.python, "--python-platform", platform.uv_name,
        "--only-binary", ":all:", "--format", "pylock.toml", "--no-header", "--output-file", str(pylock), str(source),
        *(option for option, url in zip(["--default-index", *["--index"] * len(indexes)], indexes, strict=False)
          for option in (option, url)),
    ]  # fmt: skip
    env = {
        **passed_on_environment(),
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "UV_CACHE_DIR": str(settings.caches / "uv"),
        "UV_HTTP_TIMEOUT": str(_HTTP_TIMEOUT_SECONDS),
        "UV_HTTP_RETRIES": str(settings.download_attempts - 1),
        "NO_COLOR": "1",
    }
    try:
        finished = await run(argv, env=env, cwd=folder, timeout_seconds=settings.resolve_timeout_seconds)
    except ProcessTimeoutError as error:
        raise RepackError(
            Reason.DOWNLOAD_TIMEOUT, f"Choosing the versions of {origin} took too long: {error}."
        ) from error
    if finished.code != 0:
        raise explain(finished.output, origin=origin, platform=platform)
    return read_pylock(pylock.read_text("utf-8"), origin=origin, platform=platform)


def explain(output: str, *, origin: str, platform: Platform) -> RepackError:
    """Turn what uv said into an error with a reason; the sentence of uv that names the culprit is kept."""
    said = sentence(output.splitlines()).partition(" hint: Wheels are required")[0]
    if "no solution found" in output.lower() or "not found in the package registry" in output:
        if "no usable wheels" in output or "no wheels" in output:
            return RepackError(
                Reason.NO_WHEEL_FOR_PLATFORM,
                f"A dependency in {origin} has no wheel for {platform.label}: {said}",
                hint="Choose another version of the plugin; this version of dify-repack does not build sources.",
            )
        return RepackError(Reason.DEPENDENCY_CONFLICT, f"The dependencies in {origin} cannot be resolved: {said}")
    lowered = output.lower()
    for pattern, reason, meaning in _SYMPTOMS:
        if re.search(pattern, lowered):
            return RepackError(reason, f"{meaning} while reading {origin}: {said}")
    return RepackError(Reason.DEPENDENCY_CONFLICT, f"uv could not resolve {origin}: {said}")


def read_pylock(text: str, *, origin: str, platform: Platform) -> Plan:
    """Return the plan that a pylock.toml stands for."""
    packages = tomllib.loads(text).get("packages", [])
    wheels = sorted((_choose(package, platform) for package in packages), key=lambda wheel: wheel.name)
    return Plan(platform=platform, origin=origin, wheels=tuple(wheels))


def _choose(package: dict[str, Any], platform: Platform) -> Wheel:
    name, version = package["name"], package.get("version", "")
    files = package.get("wheels") or ([package["archive"]] if "archive" in package else [])
    if "vcs" in package:
        raise_no_wheel(f"{name} (from version control)", offered=set(), has_sdist=True, platform=platform)
    if not version and files:
        version = str(files[0]["url"]).rpartition("/")[2].split("-")[1]
    return choose_wheel(name, version, files=files, has_sdist="sdist" in package, platform=platform)
