"""Packages for one CPU, for the other, for both; both modes; and what is left when one target fails."""

import json
import platform
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from fakes.index import a_wheel
from fakes.plugins import MANIFEST, PYPROJECT, a_lock, a_package, plugin_files
from repack_contract.choices import Arch, Mode, VerificationMethod
from repack_contract.reasons import Reason
from repack_contract.values import Target
from requirements import require

ALL = [Target(arch=arch) for arch in Arch]
SDK = a_wheel("tiny-sdk", requires=("fast",))
AMD64, ARM64 = (a_wheel("fast", tag=f"cp311-abi3-manylinux_2_28_{machine}") for machine in ("x86_64", "aarch64"))


@pytest.fixture(autouse=True)
def _on_amd64() -> None:
    require(platform.machine() == "x86_64", "amd64 is taken for the native CPU here")


def locked(folder, index, *wheels, **files):
    index.add(*wheels)
    plugin = plugin_files(requirements=None, pyproject__toml=PYPROJECT, **files)
    plugin["uv.lock"] = a_lock(index, *wheels, needs=tuple(dict.fromkeys(wheel.name for wheel in wheels)))
    return a_package(folder / "tiny.difypkg", plugin)


def read(artifact, name):
    with zipfile.ZipFile(artifact.uri) as archive:
        return archive.read(name).decode()


def wheels_in(artifact):
    with zipfile.ZipFile(artifact.uri) as archive:
        return sorted(name.removeprefix("wheels/") for name in archive.namelist() if name.startswith("wheels/"))


async def test_one_task_makes_a_package_for_each_cpu_and_one_for_both_from_shared_downloads(tmp_path, index, pack):
    result = await pack(locked(tmp_path, index, SDK, AMD64, ARM64), targets=ALL)
    assert result.ok, result.message
    amd64, arm64, universal = result.artifacts
    assert [artifact.name for artifact in result.artifacts] == [
        f"tester-tiny_0.0.1-linux-{arch.value}-offline.difypkg" for arch in Arch
    ]
    assert wheels_in(amd64) == [AMD64.filename, SDK.filename]
    assert wheels_in(arm64) == [ARM64.filename, SDK.filename]
    assert wheels_in(universal) == sorted([AMD64.filename, ARM64.filename, SDK.filename])
    assert len(index.asked_for("/packages/")) == 3, "each file once, whatever the number of packages"
    archs = [yaml.safe_load(read(artifact, "manifest.yaml"))["meta"]["arch"] for artifact in result.artifacts]
    assert archs == [["amd64"], ["arm64"], ["amd64", "arm64"]]


async def test_the_record_says_what_was_run_and_what_was_only_installed(tmp_path, index, pack):
    result = await pack(locked(tmp_path, index, SDK, AMD64, ARM64), targets=ALL)
    native, foreign, both = [artifact.verification for artifact in result.artifacts]
    assert native.method in {VerificationMethod.NETWORK_NAMESPACE, VerificationMethod.SECCOMP_FILTER}
    assert "2 of 2 modules import" in native.message
    assert "Command lines run: daemon 0.6.10, 0.6.10 +mirror." in native.message
    assert foreign.method is VerificationMethod.CROSS_INSTALL
    assert "for linux/arm64" in foreign.message
    assert "nothing of it was run" in foreign.message
    assert both.method is VerificationMethod.CROSS_INSTALL, "the weaker of the two"
    assert "modules import" in both.message
    assert "linux/arm64" in both.message


async def test_files_for_the_wrong_cpu_in_a_wheel_that_claims_the_right_one_are_found(tmp_path, index, pack):
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + b"\x3e\x00" + bytes(44)
    lying = a_wheel("fast", tag="cp311-abi3-manylinux_2_28_aarch64", files={"fast/part.so": header})
    result = await pack(locked(tmp_path, index, SDK, AMD64, lying), targets=[Target(arch=Arch.ARM64)])
    assert result.reason == Reason.VERIFICATION_FAILED
    assert "part.so (x86_64)" in (result.message or "")


async def test_where_one_target_fails_the_others_are_published_and_the_failure_names_it(tmp_path, index, pack):
    windows = a_wheel("fast", tag="cp311-abi3-win_amd64")
    result = await pack(locked(tmp_path, index, SDK, AMD64, windows), targets=ALL)
    assert (result.ok, result.reason) == (False, Reason.NO_WHEEL_FOR_PLATFORM)
    message = result.message or ""
    assert "target arm64: fast==1.0 has no wheel for linux/arm64" in message
    assert "manylinux_2_28_x86_64, win_amd64" in message, "the platforms that do exist"
    assert "target universal:" in message
    assert "put a wheel" in (result.hint or "")
    assert [artifact.target for artifact in result.artifacts] == [Arch.AMD64]
    assert Path(result.artifacts[0].uri or "").exists()  # noqa: ASYNC240 - a test's own file


async def test_where_all_targets_fail_nothing_is_published_and_all_are_named(tmp_path, index, pack):
    windows = a_wheel("fast", tag="cp311-abi3-win_amd64")
    result = await pack(locked(tmp_path, index, SDK, windows), targets=ALL[:2])
    assert (result.ok, result.artifacts) == (False, [])
    assert "target amd64:" in (result.message or "")
    assert "target arm64:" in (result.message or "")


async def test_a_target_that_the_manifest_excludes_drops_out(tmp_path, index, pack):
    manifest = MANIFEST.replace("[amd64, arm64]", "[amd64]")
    package = locked(tmp_path, index, SDK, AMD64, ARM64, manifest=manifest)
    result = await pack(package, targets=ALL)
    assert result.reason == Reason.UNSUPPORTED_PLATFORM
    assert [artifact.target for artifact in result.artifacts] == [Arch.AMD64]


@pytest.mark.parametrize("target", ALL, ids=lambda target: target.arch.value)
async def test_a_dual_package_has_a_lock_onto_its_own_wheels_and_asks_no_index(tmp_path, index, pack, target):
    result = await pack(locked(tmp_path, index, SDK, AMD64, ARM64), targets=[target], mode=Mode.DUAL)
    assert result.ok, result.message
    [artifact] = result.artifacts
    project = tomllib.loads(read(artifact, "pyproject.toml"))
    assert project["project"]["dependencies"] == ["fast==1.0", "tiny-sdk==1.0"]
    assert project["tool"]["uv"]["no-index"] is True
    assert len(project["tool"]["uv"]["environments"]) == (2 if target.arch is Arch.UNIVERSAL else 1)
    assert "http" not in read(artifact, "uv.lock")
    assert "--no-index" in read(artifact, "requirements.txt")
    assert "uv sync" in artifact.verification.message


@pytest.mark.parametrize("mode", Mode)
async def test_every_target_and_mode_comes_out_with_the_same_bytes_again(tmp_path, index, pack, settings, mode):
    package = locked(tmp_path, index, SDK, AMD64, ARM64)
    first = await pack(package, targets=ALL, mode=mode)
    (tmp_path / "attempt").rename(tmp_path / "first")
    other = settings.but(cache_dir=tmp_path / "other-cache")
    second = await pack(package, targets=ALL, mode=mode, settings=other)
    assert first.ok, first.message
    assert [one.sha256 for one in first.artifacts] == [one.sha256 for one in second.artifacts]
    reports = [json.loads(Path(f"{one.uri}.report.json").read_text()) for one in second.artifacts]  # noqa: ASYNC240
    assert len({report["package"]["identity"] for report in reports}) == 3


async def test_a_package_above_the_limit_drops_out_before_anything_is_downloaded(tmp_path, index, pack, settings):
    big = a_wheel("fast", tag="cp311-abi3-manylinux_2_28_aarch64", padding=200_000)
    package = locked(tmp_path, index, SDK, AMD64, big)
    smaller = settings.but(max_package_bytes=100_000)
    result = await pack(package, targets=ALL, settings=smaller)
    assert result.reason == Reason.PACKAGE_TOO_LARGE
    assert "REPACK_MAX_PACKAGE_BYTES" in (result.hint or "")
    assert [artifact.target for artifact in result.artifacts] == [Arch.AMD64]
    assert not index.asked_for(big.filename)
