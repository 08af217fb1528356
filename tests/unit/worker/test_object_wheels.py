"""Wheels shared by a bucket of a real S3 server: checked on every read, never needed, never in the way."""

import asyncio
import subprocess
import sys

import pytest

from fakes.index import a_wheel
from fakes.object_store import FORBIDDEN, a_network_to
from fakes.plugins import a_package
from repack_contract.errors import RepackError
from repack_objects import bucket as buckets
from repack_objects.bucket import Bucket
from repack_worker import object_wheels
from repack_worker.fetch import Fetcher
from repack_worker.index_access import IndexAccess
from repack_worker.object_wheels import ObjectWheels
from repack_worker.plan import Wheel
from repack_worker.settings import load_settings
from repack_worker.wheels import IndexOrigin, WheelCache


@pytest.fixture
def place(s3_server, bucket):
    return s3_server.location(bucket)


@pytest.fixture
def store(s3_server, bucket):
    return s3_server, bucket


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setattr(buckets, "RETRIES", 0)
    monkeypatch.setattr(object_wheels, "_ANSWER_SECONDS", 2.0)


def a_planned(index, wheel):
    return Wheel(wheel.name, wheel.version, wheel.filename, index.file_url(wheel), wheel.sha256, len(wheel.content))


def key(wheel):
    return f"{wheel.sha256[:2]}/{wheel.sha256}"


async def collect(folder, index, settings, shared, *wheels):
    """Return what a machine with an empty folder gets."""
    folder.mkdir(exist_ok=True)
    async with Fetcher(settings) as fetcher:
        origin = IndexOrigin(index=None, fetcher=fetcher, access=IndexAccess(settings, folder), folder=folder)
        cache = WheelCache(folder, fetcher=fetcher, connections=4, shared=shared)
        found = await cache.collect(
            [a_planned(index, wheel) for wheel in wheels],
            origin=origin, on_bytes=lambda _count: None, on_file=lambda _file, _new: None,
        )  # fmt: skip
    return [path.read_bytes() for path in found.values()]


async def test_what_one_machine_fetched_the_next_one_has_from_the_bucket(tmp_path, index, settings, place):
    index.add(wheel := a_wheel("tiny-sdk"))
    for name in ("one", "other"):
        assert await collect(tmp_path / name, index, settings, ObjectWheels(place), wheel) == [wheel.content]
    assert len(index.asked_for("/packages/")) == 1


@pytest.mark.parametrize("damage", [b"", b"poison", "cut", "long"])
async def test_a_wrong_entry_is_never_used_and_is_replaced(tmp_path, index, settings, place, damage):
    index.add(wheel := a_wheel("tiny-sdk"))
    wrong = {"cut": wheel.content[:-1], "long": wheel.content + b"!"}.get(damage, damage)
    store = Bucket(place)
    await store.put(key(wheel), wrong)
    assert await collect(tmp_path / "one", index, settings, ObjectWheels(place), wheel) == [wheel.content]
    assert await store.get(key(wheel)) == wheel.content
    assert await collect(tmp_path / "other", index, settings, ObjectWheels(place), wheel) == [wheel.content]
    assert len(index.asked_for("/packages/")) == 1


async def test_machines_that_write_the_same_entries_at_once_do_no_harm(tmp_path, index, settings, place):
    wheels = [a_wheel(f"w{number}", padding=100_000) for number in range(4)]
    index.add(*wheels)
    results = await asyncio.gather(
        *(collect(tmp_path / str(n), index, settings, ObjectWheels(place), *wheels) for n in range(3))
    )
    assert all(sorted(found) == sorted(wheel.content for wheel in wheels) for found in results)
    for wheel in wheels:
        assert await Bucket(place).get(key(wheel)) == wheel.content


@pytest.mark.parametrize("fault", ["down", "refused", "silent", "cut"])
async def test_a_store_that_fails_costs_time_and_nothing_else(tmp_path, index, settings, store, monkeypatch, fault):
    s3_server, bucket = store
    wheels = [a_wheel(f"w{number}", padding=50_000) for number in range(3)]
    index.add(*wheels)
    await collect(tmp_path / "before", index, settings, ObjectWheels(s3_server.location(bucket)), *wheels)
    async with a_network_to(s3_server) as network:
        shared = ObjectWheels(s3_server.location(bucket, port=network.port))
        match fault:
            case "down":
                network.cut()
            case "refused":
                network.answer = FORBIDDEN
            case "silent":
                monkeypatch.setattr(object_wheels, "_ANSWER_SECONDS", 0.2)
                monkeypatch.setattr(object_wheels, "_REQUEST_SECONDS", 0.2)
                network.pause = 30.0
            case "cut":
                network.cut_after = 2000
        found = await collect(tmp_path / "after", index, settings, shared, *wheels)
        assert sorted(found) == sorted(wheel.content for wheel in wheels)
        assert shared.fault is not None
        asked = network.requests
        await collect(tmp_path / "again", index, settings, shared, *wheels)
        assert network.requests == asked, "it is not asked again for a while"


async def test_making_a_package_by_the_settings_alone_fills_the_bucket(tmp_path, index, pack, settings, place):
    index.add(wheel := a_wheel("tiny-sdk"))
    wanted = {"wheel_store_url": place.url, "wheel_store_endpoint": place.endpoint, "wheel_store_allow_http": True}
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=settings.but(**wanted))
    assert result.ok, result.message
    assert await Bucket(place).get(key(wheel)) == wheel.content


async def test_a_bucket_that_is_not_there_is_told_of_in_the_log_and_the_package_is_made(
    tmp_path, index, pack, settings, listener, store
):
    s3_server, bucket = store
    index.add(a_wheel("tiny-sdk"))
    wrong = {"wheel_store_url": "s3://there-is-no-such-bucket/w", "wheel_store_allow_http": True}
    changed = settings.but(**(wrong | {"wheel_store_endpoint": s3_server.location(bucket).endpoint}))
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=changed)
    assert result.ok, result.message
    assert "The shared wheels were not used: There is no bucket" in listener.text


def test_a_setting_that_cannot_be_a_store_is_named(monkeypatch):
    monkeypatch.setenv("REPACK_WHEEL_STORE_URL", "https://bucket.example.com")
    with pytest.raises(RepackError, match="The setting REPACK_WHEEL_STORE_URL is wrong: give s3://") as caught:
        load_settings()
    assert "REPACK_WHEEL_STORE_URL" in caught.value.hint


def test_the_library_is_loaded_by_those_alone_who_use_a_store():
    code = "import sys, repack_local.cli, repack_worker.job, repack_dashboard.app; print('obstore' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"
