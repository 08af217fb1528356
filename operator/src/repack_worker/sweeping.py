"""Keeping the caches within their limits: that of wheels after each attempt, what grows slowly once a day.

uv's own cache holds pages of indexes, metadata, what builds require, and repositories of git. uv says by a lock on the
cache that it works there, shared among those that use it, alone for one that clears it. So nothing is taken from under
an attempt that runs beside us: what is in use is left for another day.
"""

import fcntl
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uv

from repack_worker.processes import Finished, ProcessTimeoutError, run
from repack_worker.settings import Settings
from repack_worker.threads import in_thread
from repack_worker.wheels import sweep

_DAY = 86_400.0
_STAMP = ".swept"
_GOING = ".going-"
_PATIENCE_SECONDS = 5.0
"""For each command of the sweep; what it did not come to waits for another day."""
_AT_ONCE = 500
"""Names of packages on one command line."""


async def sweep_caches(settings: Settings, say: Callable[[str], None]) -> None:
    """Throw out what was not used for too long, and what is too much; a cache that cannot be changed stays as it is.

    Args:
        settings: where the caches are, and their limits.
        say: takes a line for the log.
    """
    caches, max_bytes = settings.caches, settings.cache_max_bytes
    max_age = settings.cache_max_age_days * _DAY
    freed = await in_thread(sweep, caches / "wheels", max_bytes=max_bytes, max_age_seconds=max_age)
    if freed:
        say(f"{freed:,} bytes of the wheel cache were not used for long and are gone")
    if not await in_thread(_is_due, caches):
        return
    for name, age in (("plans", min(max_age, settings.plan_cache_seconds)), ("built", max_age)):
        await in_thread(sweep, caches / name, pattern="*", max_bytes=max_bytes, max_age_seconds=age)
    await sweep_uv(caches / "uv", max_bytes=max_bytes, max_age_seconds=max_age, say=say)


def _is_due(caches: Path) -> bool:
    """Tell whether the last sweep was a day ago; the next one is due in a day then, and so it is in a new cache."""
    stamp = caches / _STAMP
    try:
        age = time.time() - stamp.stat().st_mtime if stamp.exists() else 0.0
        if age == 0.0 or age > _DAY:
            stamp.touch()
    except OSError:
        return False
    return age > _DAY


async def sweep_uv(cache: Path, *, max_bytes: int, max_age_seconds: float, say: Callable[[str], None]) -> None:
    """Let uv throw out the packages that were not asked about for too long, and all when it is still too much."""
    if not await in_thread(cache.is_dir):
        return
    unused = await in_thread(_unused, cache, max_age_seconds)
    if unused:
        await _run([uv.find_uv_bin(), "cache", "clean", "--no-config", *unused[:_AT_ONCE]], cache)
    await _run([uv.find_uv_bin(), "cache", "prune", "--no-config"], cache)
    told = await _run(["du", "-sk", cache], cache)
    too_much = told is not None and told.code == 0 and int(told.lines[-1].split()[0]) * 1024 > max_bytes
    if too_much and await in_thread(_start_afresh, cache):
        say("uv's own cache was larger than REPACK_CACHE_MAX_BYTES and starts afresh")
    if going := await in_thread(lambda: list(cache.glob(f"{_GOING}*"))):
        await _run(["rm", "-rf", "--", *going], cache)


async def _run(command: Sequence[str | Path], cache: Path) -> Finished | None:
    env = {"PATH": "/usr/bin:/bin", "UV_CACHE_DIR": str(cache), "UV_LOCK_TIMEOUT": "1"}
    try:
        return await run(command, env=env, timeout_seconds=_PATIENCE_SECONDS)
    except (OSError, ProcessTimeoutError):
        return None


def _unused(cache: Path, max_age_seconds: float) -> list[str]:
    """Return the packages of which no page of an index is new enough, oldest first; uv writes a page that it asks for.

    Where uv should keep its pages elsewhere one day, none is found, and the size alone is limited.
    """
    asked: dict[str, float] = {}
    for page in cache.glob("simple-v*/**/*.rkyv"):
        try:
            asked[page.stem] = max(asked.get(page.stem, 0.0), page.stat().st_mtime)
        except OSError:
            continue
    oldest = time.time() - max_age_seconds
    return sorted((name for name, at in asked.items() if at < oldest), key=lambda name: asked[name])


def _start_afresh(cache: Path) -> bool:
    """Put all of uv's cache aside at once, unless a uv works there; tell whether that was done.

    `uv cache clean` takes as long as there are files, and one that is killed leaves packages of which half is there.
    """
    try:
        with (cache / ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            going = Path(tempfile.mkdtemp(prefix=_GOING, dir=cache))
            for folder in [path for path in cache.iterdir() if path.is_dir() and not path.name.startswith(_GOING)]:
                folder.rename(going / folder.name)
    except OSError:
        return False
    return True
