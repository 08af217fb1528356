"""The wheel cache: what is wrong in it is fetched again, what is old goes, and many writers do no harm."""

import asyncio
import os
import time

import pytest

from fakes.index import a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sources import an_sdist
from repack_contract.choices import Arch
from repack_worker import plan_cache
from repack_worker.fetch import Fetcher
from repack_worker.index_access import IndexAccess
from repack_worker.plan import Plan, SourceDist, Wheel
from repack_worker.plan_cache import PlanCache
from repack_worker.platforms import Platform
from repack_worker.sealed import seal, unseal
from repack_worker.wanted import Wanted
from repack_worker.wheels import IndexOrigin, WheelCache, sweep


def a_planned(index, wheel):
    return Wheel(wheel.name, wheel.version, wheel.filename, index.file_url(wheel), wheel.sha256, len(wheel.content))


async def collect(folder, index, settings, *wheels):
    folder.mkdir(exist_ok=True)
    async with Fetcher(settings) as fetcher:
        origin = IndexOrigin(index=None, fetcher=fetcher, access=IndexAccess(settings, folder), folder=folder)
        cache = WheelCache(folder, fetcher=fetcher, connections=4)
        return await cache.collect(
            wheels, origin=origin, on_bytes=lambda _count: None, on_file=lambda _file, _new: None
        )


@pytest.mark.parametrize("damage", [b"", b"poison", "cut"])
async def test_a_wrong_entry_is_thrown_away_and_fetched_again(tmp_path, index, settings, damage):
    index.add(wheel := a_wheel("tiny-sdk"))
    planned = a_planned(index, wheel)
    path = (await collect(tmp_path / "cache", index, settings, planned))[planned]
    path.write_bytes(wheel.content[:-1] if damage == "cut" else damage)
    path = (await collect(tmp_path / "cache", index, settings, planned))[planned]
    assert path.read_bytes() == wheel.content
    assert len(index.asked_for("/packages/")) == 2


async def test_two_workers_that_write_the_same_entry_at_once_do_no_harm(tmp_path, index, settings):
    wheels = [a_wheel(f"w{number}", padding=100_000) for number in range(8)]
    index.add(*wheels)
    planned = [a_planned(index, wheel) for wheel in wheels]
    results = await asyncio.gather(*(collect(tmp_path / "cache", index, settings, *planned) for _ in range(4)))
    for wheel, one in zip(wheels, planned, strict=True):
        assert {found[one].read_bytes() for found in results} == {wheel.content}
    left = [path.name for path in (tmp_path / "cache").glob("*/*")]
    assert sorted(left) == sorted(wheel.filename for wheel in wheels)


def an_entry(folder, name, *, size, age_days):
    path = folder / (name * 64) / "x.whl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * size)
    used = time.time() - age_days * 86_400
    os.utime(path, (used, used))
    return path


def test_what_was_not_used_for_too_long_goes_and_then_the_least_used_above_the_size(tmp_path):
    ancient = an_entry(tmp_path, "a", size=10, age_days=100)
    older, newer = an_entry(tmp_path, "b", size=600, age_days=3), an_entry(tmp_path, "c", size=600, age_days=2)
    in_use = an_entry(tmp_path, "d", size=600, age_days=0)
    freed = sweep(tmp_path, max_bytes=1300, max_age_seconds=90 * 86_400)
    assert freed == 610
    assert [path.exists() for path in (ancient, older, newer, in_use)] == [False, False, True, True]
    assert not ancient.parent.exists()
    sweep(tmp_path, max_bytes=0, max_age_seconds=1)
    assert in_use.exists(), "another worker may be about to read it"


async def test_versions_chosen_once_are_remembered_and_a_damaged_memory_is_none(
    tmp_path, index, pack, settings, monkeypatch
):
    now = time.time()
    index.add(a_wheel("tiny-sdk"))
    package = a_package(tmp_path / "tiny.difypkg")

    async def pages_asked() -> int:
        before = len(index.asked_for("/simple/"))
        result = await pack(package)
        assert result.ok, result.message
        (tmp_path / "attempt").rename(tmp_path / f"attempt-{time.monotonic_ns()}")
        return len(index.asked_for("/simple/")) - before

    assert await pages_asked() > 0
    assert await pages_asked() == 0
    [entry] = (settings.caches / "plans").glob("*.json")
    entry.write_bytes(entry.read_bytes().replace(b"tiny", b"evil"))
    assert await pages_asked() > 0
    monkeypatch.setattr(plan_cache.time, "time", lambda: now + settings.plan_cache_seconds + 10)
    assert await pages_asked() > 0, "too old"


async def test_a_poisoned_build_is_built_again(tmp_path, index, pack, settings, listener):
    index.add(source := an_sdist("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": a_lock(index, source)}
    package = a_package(tmp_path / "tiny.difypkg", files)
    assert (await pack(package)).ok
    (tmp_path / "attempt").rename(tmp_path / "first")
    [wheel] = (settings.caches / "wheels").glob("*/tiny_sdk*.whl")
    wheel.write_bytes(b"poison")
    assert (await pack(package)).ok
    assert listener.text.count("Building tiny-sdk==1.0") == 2


class Dashboard:
    """Gives the same entry whatever the key."""

    def __init__(self) -> None:
        self.entry = b""

    async def recall(self, _kind: str, _key: str) -> bytes:
        return self.entry

    async def remember(self, _kind: str, _key: str, content: bytes) -> None:
        self.entry = content


WHEEL = Wheel("tiny-sdk", "1.0", "tiny_sdk-1.0-py3-none-any.whl", "https://files.test/x.whl", "a" * 64, 10)
SOURCE = SourceDist("tiny-git", "", "https://git.test/x", commit="b" * 40)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("wheels", {"filename": "../../../x-1-py3-none-any.whl"}),
        ("wheels", {"filename": "x.tar.gz"}),
        ("wheels", {"sha256": "0"}),
        ("wheels", {"name": "x\n--index-url y"}),
        ("wheels", {"version": "1 --hash"}),
        ("wheels", {"url": "file:///etc/passwd"}),
        ("wheels", {"size_bytes": "1"}),
        ("wheels", {"more": 1}),
        ("builds", {"commit": "--upload-pack=touch x"}),
        ("builds", {"sha256": "x"}),
        ("builds", {"url": "ext::touch x"}),
        ("made", -90_000),
        ("made", 90_000),
        (None, None),
    ],
)
async def test_a_plan_of_another_worker_is_held_to_what_a_lock_could_say(tmp_path, kind, fault):
    dashboard, platform = Dashboard(), Platform(Arch.AMD64, "3.12")
    wanted = Wanted("requirements.txt", ("tiny-sdk",))

    def cache(name: str) -> PlanCache:
        return PlanCache(tmp_path / name, 86_400, dashboard)  # type: ignore[arg-type]

    plan = Plan.of([WHEEL, SOURCE], platform=platform, origin="requirements.txt")
    await cache("one").put("key", plan)
    document = unseal(dashboard.entry)
    if kind == "made":
        document["made"] += fault
    elif kind:
        document[kind][0] |= fault
    dashboard.entry = seal(document)
    found = await cache("two").get("key", wanted, platform)
    assert found == (None if kind else plan)
    assert (tmp_path / "two").exists() is (kind is None), "nothing of it is kept here"
