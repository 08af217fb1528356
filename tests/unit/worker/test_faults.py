"""Networks and servers that fail: each fault has its reason, names its culprit and leaves nothing half-made."""

import errno
from pathlib import Path

from fakes.index import Fault, WheelFile, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from repack_contract.reasons import Reason
from repack_worker.sources import UrlSource


def locked(tmp_path: Path, index, *wheels) -> Path:
    index.add(*wheels)
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, *wheels)
    return a_package(tmp_path / "tiny.difypkg", files)


def assert_nothing_is_left(tmp_path: Path) -> None:
    assert not (tmp_path / "out").exists()
    cached = [path for path in (tmp_path / "cache" / "wheels").rglob("*") if path.is_file()]
    assert cached == []


async def test_a_wheel_that_is_not_the_one_announced_is_a_checksum_mismatch(tmp_path, index, pack):
    sdk = a_wheel("tiny-sdk")
    package = locked(tmp_path, index, sdk)
    index.fault("tiny_sdk", Fault(body=b"x" * len(sdk.content)))
    result = await pack(package)
    assert result.reason == Reason.CHECKSUM_MISMATCH
    assert sdk.filename in (result.message or "")
    assert sdk.sha256 in (result.message or "")
    assert_nothing_is_left(tmp_path)


async def test_an_index_that_is_down_is_unreachable(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))
    index.stop()
    result = await pack(package)
    assert result.reason == Reason.INDEX_UNREACHABLE
    assert "tiny-sdk 1.0" in (result.message or "")
    assert_nothing_is_left(tmp_path)


async def test_an_index_that_is_down_while_versions_are_chosen_is_unreachable(tmp_path, index, pack):
    index.stop()
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.INDEX_UNREACHABLE
    assert "requirements.txt" in (result.message or "")


async def test_a_download_that_drips_is_given_up(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))
    index.fault("tiny_sdk", Fault(drip_seconds=0.05))
    result = await pack(package)
    assert result.reason == Reason.DOWNLOAD_TIMEOUT
    assert_nothing_is_left(tmp_path)


async def test_a_cut_download_goes_on_where_it_stopped(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk", padding=5000))
    index.fault("tiny_sdk", Fault(cut_after=2000, times=1))
    result = await pack(package)
    assert result.ok, result.message
    assert [seen.headers.get("range") for seen in index.asked_for("/packages/")] == [None, "bytes=2000-"]


async def test_a_download_that_is_cut_again_and_again_is_a_timeout(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk", padding=5000))
    index.fault("tiny_sdk", Fault(cut_after=100))
    result = await pack(package)
    assert result.reason == Reason.DOWNLOAD_TIMEOUT
    assert "cut" in (result.message or "")
    assert_nothing_is_left(tmp_path)


async def test_a_server_that_asks_to_wait_is_asked_again_and_then_believed(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))
    index.fault("tiny_sdk", Fault(status=429, headers={"Retry-After": "0"}))
    result = await pack(package)
    assert result.reason == Reason.RATE_LIMITED
    assert len(index.asked_for("/packages/")) == 2


async def test_a_server_that_recovers_is_forgiven(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))
    index.fault("tiny_sdk", Fault(status=503, times=1))
    assert (await pack(package)).ok


async def test_a_poisoned_cache_entry_is_thrown_away_and_fetched_again(tmp_path, index, pack):
    sdk = a_wheel("tiny-sdk")
    package = locked(tmp_path, index, sdk)
    entry = tmp_path / "cache" / "wheels" / sdk.sha256 / sdk.filename
    entry.parent.mkdir(parents=True)
    entry.write_bytes(sdk.content[:-1])
    assert (await pack(package)).ok
    assert entry.read_bytes() == sdk.content


async def test_a_dependency_that_does_not_exist_is_named(tmp_path, pack):
    package = a_package(tmp_path / "tiny.difypkg", plugin_files(requirements="no-such-thing==1.0\n"))
    result = await pack(package)
    assert result.reason == Reason.DEPENDENCY_CONFLICT
    assert "no-such-thing was not found" in (result.message or "")


async def test_dependencies_that_exclude_each_other_are_named(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", requires=("tiny-leaf<1",)), a_wheel("tiny-leaf", "2.0"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.DEPENDENCY_CONFLICT
    assert "tiny-leaf" in (result.message or "")


async def test_a_dependency_without_a_wheel_for_the_target_names_those_that_exist(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk", tag="cp311-cp311-win_amd64"))
    result = await pack(package)
    assert result.reason == Reason.NO_WHEEL_FOR_PLATFORM
    assert "tiny-sdk==1.0 has no wheel for linux/amd64" in (result.message or "")
    assert "win_amd64" in (result.message or "")
    assert "spec.packageIndex" in (result.hint or "")


async def test_a_plan_above_the_size_limit_is_refused_before_anything_is_downloaded(tmp_path, index, pack, settings):
    package = locked(tmp_path, index, a_wheel("tiny-sdk", padding=50_000))
    result = await pack(package, settings=settings.but(max_package_bytes=20_000))
    assert result.reason == Reason.PACKAGE_TOO_LARGE
    assert "REPACK_MAX_PACKAGE_BYTES" in (result.hint or "")
    assert not index.asked_for("/packages/")


async def test_a_full_disk_is_named_as_such(tmp_path, index, pack, monkeypatch):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))

    def full(*_args: object, **_words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "outgoing/x.difypkg")

    monkeypatch.setattr("repack_worker.archive.zipfile.ZipFile.open", full)
    result = await pack(package)
    assert result.reason == Reason.DISK_FULL
    assert "No space left on device" in (result.message or "")
    assert not (tmp_path / "out").exists()


async def test_a_wheel_that_does_not_install_fails_the_verification_and_nothing_is_published(tmp_path, index, pack):
    sdk = a_wheel("tiny-sdk", requires=("forgotten",))  # its lock does not know of the dependency
    result = await pack(locked(tmp_path, index, sdk))
    assert result.reason == Reason.VERIFICATION_FAILED
    assert "forgotten" in (result.message or "")
    assert not (tmp_path / "out").exists()


async def test_an_sdk_that_does_not_import_fails_the_verification(tmp_path, index, pack):
    sdk = a_wheel("dify-plugin", source="raise RuntimeError('broken')")
    index.add(sdk)
    package = a_package(tmp_path / "tiny.difypkg", plugin_files(requirements="dify-plugin==1.0\n"))
    result = await pack(package)
    assert result.reason == Reason.VERIFICATION_FAILED
    assert "import dify_plugin fails: RuntimeError: broken" in (result.message or "")


async def test_a_plugin_by_url_is_checked_by_its_sha256(tmp_path, index, pack):
    content = a_package(tmp_path / "tiny.difypkg").read_bytes()
    address = index.add_file("tiny.difypkg", content)
    result = await pack(tmp_path, source=UrlSource(f"{address}?token=secret", sha256="0" * 64))
    assert result.reason == Reason.CHECKSUM_MISMATCH
    assert "secret" not in (result.message or "")


async def test_a_plugin_that_is_not_there_is_not_found(tmp_path, index, pack):
    result = await pack(tmp_path, source=UrlSource(f"{index.base}/files/absent.difypkg"))
    assert result.reason == Reason.PLUGIN_NOT_FOUND
    assert "404" in (result.message or "")


async def test_a_plugin_above_the_download_limit_is_refused(tmp_path, index, pack, settings):
    address = index.add_file("big.difypkg", b"x" * 5000)
    small = settings.but(max_plugin_bytes=1000)
    result = await pack(tmp_path, source=UrlSource(address), settings=small)
    assert result.reason == Reason.PACKAGE_TOO_LARGE
    assert "REPACK_MAX_PLUGIN_BYTES" in (result.hint or ""), "the setting that decides"


async def test_a_server_that_redirects_for_ever_is_left(tmp_path, index, pack):
    address = index.add_file("loop.difypkg", b"")
    index.fault("loop", Fault(status=302, headers={"Location": address}))
    result = await pack(tmp_path, source=UrlSource(address))
    assert result.reason == Reason.INDEX_UNREACHABLE
    assert "redirects" in (result.message or "")


async def test_a_web_page_in_place_of_a_package_is_recognised(tmp_path, index, pack):
    address = index.add_file("page", b"<!doctype html><title>Sign in</title>")
    result = await pack(tmp_path, source=UrlSource(address))
    assert result.reason == Reason.INVALID_PACKAGE
    assert "web page" in (result.message or "")


async def test_a_source_archive_that_is_none_is_named(tmp_path, index, pack):
    index.add(WheelFile("tiny_sdk-1.0.tar.gz", b"source"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.DEPENDENCY_CONFLICT, result.message
    assert "tiny_sdk-1.0.tar.gz is damaged" in (result.message or "")


async def test_a_file_that_the_mirror_does_not_have_is_named(tmp_path, index, pack):
    package = locked(tmp_path, index, a_wheel("tiny-sdk"))
    index.wheels.clear()
    result = await pack(package)
    assert result.reason == Reason.INDEX_UNREACHABLE
    assert "tiny-sdk 1.0: the server answers 404" in (result.message or "")
