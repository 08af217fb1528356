"""What is kept between attempts stays within its limits, and no attempt that runs beside a sweep notices it."""

import asyncio
import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uv

from fakes.index import a_wheel
from fakes.plugins import a_package, plugin_files
from fakes.sources import an_sdist
from repack_worker.processes import run
from repack_worker.sweeping import sweep_caches, sweep_uv

DAY = 86_400
MUCH = 1 << 40


def aged(path: Path, days: float) -> Path:
    used = time.time() - days * DAY
    os.utime(path, (used, used))
    return path


def due(settings):
    """Let the last sweep be two days ago."""
    settings.caches.mkdir(parents=True, exist_ok=True)
    stamp = settings.caches / ".swept"
    stamp.touch()
    return aged(stamp, 2)


async def install(cache: Path, index, into: Path, *names: str) -> None:
    """Use the cache as a build's environment does."""
    finished = await run(
        [uv.find_uv_bin(), "pip", "install", "--no-config", "--python", sys.executable, "--target", into,
         "--default-index", index.url, *names],
        env={"PATH": "/usr/bin:/bin", "UV_CACHE_DIR": str(cache)}, timeout_seconds=40,
    )  # fmt: skip
    assert finished.code == 0, finished.output


def pages(cache: Path) -> dict[str, Path]:
    return {page.stem: page for page in cache.glob("simple-v*/**/*.rkyv")}


def unpacked(cache: Path) -> set[str]:
    return {path.parent.name for path in cache.glob("archive-v*/*/*/__init__.py")}


async def swept(cache: Path, *, max_bytes: int = MUCH, days: float = 90) -> list[str]:
    said: list[str] = []
    await sweep_uv(cache, max_bytes=max_bytes, max_age_seconds=days * DAY, say=said.append)
    return said


async def test_a_package_that_nobody_asked_about_for_long_goes_and_a_used_one_stays(tmp_path, index):
    cache = tmp_path / "uv"
    index.add(a_wheel("old-one"), a_wheel("used-one"))
    await install(cache, index, tmp_path / "first", "old-one", "used-one")
    for page in pages(cache).values():
        aged(page, 100)
    await install(cache, index, tmp_path / "second", "used-one")
    assert await swept(cache) == []
    assert set(pages(cache)) == {"used-one"}, "uv writes the page of what it asks for"
    assert unpacked(cache) == {"used_one"}


async def test_what_nothing_refers_to_goes(tmp_path, index):
    cache = tmp_path / "uv"
    index.add(a_wheel("tiny-sdk"))
    await install(cache, index, tmp_path / "first", "tiny-sdk")
    (dangling := next(cache.glob("archive-v*")) / "dangling").mkdir()
    (old := cache / "simple-v1").mkdir()
    await swept(cache)
    assert not dangling.exists()
    assert not old.exists(), "of an older uv"
    assert unpacked(cache) == {"tiny_sdk"}


async def test_a_cache_above_the_size_starts_afresh_and_serves_again(tmp_path, index):
    cache = tmp_path / "uv"
    index.add(a_wheel("tiny-sdk", padding=2_000_000))
    await install(cache, index, tmp_path / "first", "tiny-sdk")
    [line] = await swept(cache, max_bytes=1_000_000)
    assert "REPACK_CACHE_MAX_BYTES" in line
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    await install(cache, index, tmp_path / "second", "tiny-sdk")
    assert unpacked(cache) == {"tiny_sdk"}


async def test_nothing_is_taken_from_under_an_installation_that_runs(tmp_path, index):
    cache = tmp_path / "uv"
    names = [f"w{number}" for number in range(20)]
    index.add(*(a_wheel(name, padding=200_000) for name in names))
    await install(cache, index, tmp_path / "first", *names)
    for page in pages(cache).values():
        aged(page, 100)
    running = asyncio.gather(*(install(cache, index, tmp_path / f"beside-{number}", *names) for number in range(4)))
    sweeps = 0
    while not running.done() or sweeps < 2:
        await swept(cache, max_bytes=1, days=90)
        sweeps += 1
    await running  # raises when one of them failed
    for number in range(4):
        assert len(list((tmp_path / f"beside-{number}").glob("w*/padding.bin"))) == 20


async def test_a_cache_that_is_in_use_is_left_for_another_day(tmp_path, index):
    cache = tmp_path / "uv"
    index.add(a_wheel("tiny-sdk"))
    await install(cache, index, tmp_path / "first", "tiny-sdk")
    aged(pages(cache)["tiny-sdk"], 100)
    with (cache / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as every uv that uses the cache does
        assert await swept(cache, max_bytes=1) == []
    assert set(pages(cache)) == {"tiny-sdk"}
    assert unpacked(cache) == {"tiny_sdk"}


async def test_uv_tells_by_that_lock_that_it_works_there(tmp_path, index):
    """What the whole sweep rests on."""
    cache = tmp_path / "uv"
    index.add(a_wheel("tiny-sdk"))
    await install(cache, index, tmp_path / "first", "tiny-sdk")
    with (cache / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = asyncio.create_task(install(cache, index, tmp_path / "second", "tiny-sdk"))
        done, _ = await asyncio.wait([waiting], timeout=1)
        assert not done
    await waiting


async def test_records_of_plans_and_builds_go_when_they_are_old(settings):
    due(settings)
    kept, gone = [], []
    for name in ("plans", "built"):
        (settings.caches / name).mkdir()
        for days, group in ((0.5, kept), (100, gone)):
            path = settings.caches / name / f"{days}.json"
            path.write_text("x")
            group.append(aged(path, days))
    await sweep_caches(settings, lambda _line: None)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


async def test_a_build_that_is_used_again_is_not_old(tmp_path, index, pack, settings):
    index.add(an_sdist("tiny-sdk"))
    package = a_package(tmp_path / "tiny.difypkg", plugin_files())
    assert (await pack(package)).ok
    [record] = (settings.caches / "built").glob("*.json")
    aged(record, 80)
    (tmp_path / "attempt").rename(tmp_path / "attempt-1")
    assert (await pack(package)).ok
    assert time.time() - record.stat().st_mtime < DAY


async def test_a_day_passes_between_two_sweeps(settings):
    (settings.caches / "built").mkdir(parents=True)
    (old := settings.caches / "built" / "x.json").write_text("x")
    aged(old, 100)
    await sweep_caches(settings, lambda _line: None)
    assert old.exists(), "a cache without a stamp is taken as new"
    aged(settings.caches / ".swept", 0.9)
    await sweep_caches(settings, lambda _line: None)
    assert old.exists()
    stamp = due(settings)
    await sweep_caches(settings, lambda _line: None)
    assert not old.exists()
    assert time.time() - stamp.stat().st_mtime < DAY


AS_NOBODY = """
import asyncio, concurrent.futures.thread, os, sys, sysconfig
from pathlib import Path
from repack_worker.settings import Settings
from repack_worker.sweeping import sweep_caches, sweep_uv
sysconfig.get_config_vars()  # from files that nobody may read here
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
cache = Path(sys.argv[1])
settings = Settings(work_dir=cache / "work", cache_dir=cache, cache_max_bytes=0)
asyncio.run(sweep_caches(settings, print))
asyncio.run(sweep_uv(cache / "uv", max_bytes=0, max_age_seconds=1, say=print))
"""


def test_a_cache_that_cannot_be_written_to_is_no_failure():
    with tempfile.TemporaryDirectory() as place:  # every account may enter it; pytest's own are closed
        cache = Path(place)
        for path in ("wheels/aa/x.whl", "built/x.json", "uv/simple-v1/pypi/x.rkyv"):
            (cache / path).parent.mkdir(parents=True)
            (cache / path).write_text("x")
            aged(cache / path, 100)
        (cache / "uv" / ".lock").touch(0o444)
        (cache / ".swept").touch()
        aged(cache / ".swept", 2)
        folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, place], check=False, capture_output=True, text=True)
        for folder in folders:
            folder.chmod(0o755)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert len([path for path in cache.rglob("*") if path.is_file() and not path.name.startswith(".")]) == 3
