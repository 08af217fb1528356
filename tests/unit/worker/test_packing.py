"""A whole attempt on small plugins: real uv, real installs, a package index of our own."""

import hashlib
import json
import platform
import zipfile

import pytest

from fakes.index import a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from repack_contract.phases import Stage, StageState
from repack_contract.reasons import Reason
from repack_worker.sources import UrlSource
from requirements import require


@pytest.fixture(autouse=True)
def _on_amd64() -> None:
    require(platform.machine() == "x86_64", "packages for amd64 are verified on an amd64 machine")


async def test_a_plugin_with_a_lock_becomes_a_verified_package_without_any_resolution(tmp_path, index, pack, listener):
    index.add(leaf := a_wheel("tiny-leaf", "2.0"), sdk := a_wheel("tiny-sdk", requires=("tiny-leaf",)))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, sdk, leaf, needs=("tiny-sdk", "tiny-leaf"))
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    [artifact] = result.artifacts
    assert artifact.name == "tester-tiny_0.0.1-linux-amd64-offline.difypkg"
    assert artifact.wheels == 2
    assert artifact.verification is not None
    assert artifact.verification.passed
    assert not index.asked_for("/simple/")
    package = tmp_path / "out" / artifact.name
    assert hashlib.sha256(package.read_bytes()).hexdigest() == artifact.sha256
    assert listener.states[-1].percent == 100
    assert "Installed 2 packages" in listener.text
    assert {stage.state for stage in listener.states[-1].stages} == {StageState.DONE}


async def test_a_plugin_with_requirements_only_is_resolved_from_the_index(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", "1.0", requires=("tiny-leaf>=1",)), a_wheel("tiny-sdk", "1.1"))
    index.add(a_wheel("tiny-leaf", "1.0"), a_wheel("tiny-leaf", "1.5"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.ok, result.message
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        lines = archive.read("requirements.txt").decode().splitlines()
    assert lines[:2] == ["--no-index", "--find-links ./wheels"]
    assert [line.split(" ")[0] for line in lines[2:]] == ["tiny-leaf==1.5", "tiny-sdk==1.0"]
    assert all(" --hash=sha256:" in line for line in lines[2:])


async def test_a_plugin_that_depends_on_nothing_becomes_a_verified_package(tmp_path, index, pack):
    plugin = a_package(tmp_path / "tiny.difypkg", plugin_files(requirements="# nothing\n"))
    result = await pack(plugin)
    assert result.ok, result.message
    [artifact] = result.artifacts
    assert artifact.wheels == 0
    assert artifact.verification is not None
    assert artifact.verification.passed


async def test_a_plugin_with_pyproject_and_no_lock_is_resolved_from_its_dependencies(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    assert result.artifacts[0].wheels == 1


async def test_the_same_input_gives_the_same_bytes(tmp_path, index, pack, settings):
    index.add(a_wheel("tiny-sdk"))
    package = a_package(tmp_path / "tiny.difypkg")
    first = await pack(package)
    (tmp_path / "attempt").rename(tmp_path / "first-attempt")
    second = await pack(package)
    assert first.artifacts[0].sha256 == second.artifacts[0].sha256


async def test_a_second_run_takes_the_wheels_from_the_cache(tmp_path, index, pack):
    index.add(sdk := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, sdk)
    package = a_package(tmp_path / "tiny.difypkg", files)
    assert (await pack(package)).ok
    asked = len(index.asked_for("/packages/"))
    (tmp_path / "attempt").rename(tmp_path / "first-attempt")
    assert (await pack(package)).ok
    assert len(index.asked_for("/packages/")) == asked == 1


async def test_a_report_and_a_checksum_file_lie_beside_the_package(tmp_path, index, pack):
    index.add(sdk := a_wheel("tiny-sdk"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    name = result.artifacts[0].name or ""
    report = json.loads((tmp_path / "out" / f"{name}.report.json").read_text())
    assert report["wheels"] == [
        {"name": "tiny-sdk", "version": "1.0", "filename": sdk.filename, "sha256": sdk.sha256, "license": None}
    ]  # fmt: skip
    assert report["package"]["identity"].startswith("tester/tiny:0.0.1@")
    assert (tmp_path / "out" / f"{name}.sha256").read_text() == f"{result.artifacts[0].sha256}  {name}\n"


async def test_a_dry_run_stops_after_the_plan_and_downloads_nothing(tmp_path, index, pack, listener):
    index.add(sdk := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, sdk)
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), dry_run=True)
    assert result.ok
    assert result.plan is not None
    assert (result.plan.packages, result.plan.download_bytes) == (1, len(sdk.content))
    assert result.artifacts == []
    assert index.seen == []
    assert [stage.stage for stage in listener.states[-1].stages] == [Stage.FETCH, Stage.PLAN]


async def test_the_files_of_a_lock_are_taken_from_the_configured_index(tmp_path, index, pack):
    index.add(sdk := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, sdk).replace(index.base, "http://files.invalid")
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    assert len(index.asked_for("/packages/")) == 1


@pytest.mark.parametrize("given", ["requirements.txt", "pyproject.toml", "uv.lock"])
async def test_a_dependency_at_an_address_is_fetched_from_there_and_pinned(tmp_path, index, pack, given):
    sdk = a_wheel("tiny-sdk", "1.2", requires=("tiny-leaf",))
    index.add(a_wheel("tiny-sdk", "9.9"), leaf := a_wheel("tiny-leaf"))
    address = index.add_file(sdk.filename, sdk.content)
    at = f"tiny-sdk @ {address}"
    files = plugin_files(requirements=f"{at}\n" if given == "requirements.txt" else None)
    if given != "requirements.txt":
        files["pyproject.toml"] = PYPROJECT.replace('"tiny-sdk"', f'"{at}"')
    if given == "uv.lock":
        files["uv.lock"] = a_lock(index, leaf, needs=("tiny-sdk", "tiny-leaf")) + (
            f'\n[[package]]\nname = "tiny-sdk"\nversion = "1.2"\nsource = {{ url = "{address}" }}\n'
            f'wheels = [{{ filename = "{sdk.filename}", hash = "sha256:{sdk.sha256}" }}]\n'
        )
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        pins = archive.read("requirements.txt").decode().splitlines()[2:]
    assert pins == [f"tiny-leaf==1.0 --hash=sha256:{leaf.sha256}", f"tiny-sdk==1.2 --hash=sha256:{sdk.sha256}"]
    assert index.asked_for("/files/")


async def test_extras_and_markers_of_a_requirement_count_for_the_target(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", requires=("tiny-leaf; extra == 'fast'",)), a_wheel("tiny-leaf"), a_wheel("win-only"))
    requirements = "tiny-sdk[fast]\nwin-only; sys_platform == 'win32'\n"
    result = await pack(a_package(tmp_path / "tiny.difypkg", plugin_files(requirements=requirements)))
    assert result.ok, result.message
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        assert [name for name in archive.namelist() if name.startswith("wheels/")] == [
            "wheels/tiny_leaf-1.0-py3-none-any.whl", "wheels/tiny_sdk-1.0-py3-none-any.whl",
        ]  # fmt: skip


async def test_the_size_that_a_dry_run_tells_is_that_of_the_package(tmp_path, index, pack):
    index.add(sdk := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {".difyignore": "wheels/\n*.pyc\n"}
    package = a_package(tmp_path / "tiny.difypkg", files | {"uv.lock": a_lock(index, sdk)})
    told = await pack(package, dry_run=True)
    (tmp_path / "attempt").rename(tmp_path / "first")
    made = await pack(package)
    with zipfile.ZipFile(made.artifacts[0].uri or "") as archive:
        assert told.plan.targets[0].size_bytes == sum(info.file_size for info in archive.infolist())


async def test_the_limit_counts_the_packed_size_too(tmp_path, index, pack, settings):
    """What is in the package fits, the file that holds it does not: Dify looks at both."""
    index.add(sdk := a_wheel("tiny-sdk", padding=50_000))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": a_lock(index, sdk)}
    package = a_package(tmp_path / "tiny.difypkg", files)
    first = await pack(package)
    with zipfile.ZipFile(first.artifacts[0].uri or "") as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    assert unpacked < (first.artifacts[0].size_bytes or 0)
    (tmp_path / "attempt").rename(tmp_path / "first")
    result = await pack(package, settings=settings.but(max_package_bytes=unpacked))
    assert result.reason == Reason.PACKAGE_TOO_LARGE
    assert "bytes packed" in (result.message or "")
    assert "REPACK_MAX_PACKAGE_BYTES to at least" in (result.hint or "")


async def test_a_dry_run_of_a_plugin_at_an_address_fetches_the_plugin_and_nothing_else(tmp_path, index, pack):
    index.add(sdk := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": a_lock(index, sdk)}
    address = index.add_file("tiny.difypkg", a_package(tmp_path / "tiny.difypkg", files).read_bytes())
    result = await pack(tmp_path, source=UrlSource(address), dry_run=True)
    assert result.ok, result.message
    assert [seen.path for seen in index.seen] == ["/files/tiny.difypkg"]


async def test_a_dry_run_without_a_lock_asks_the_index_for_versions_and_for_no_wheel(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", requires=("tiny-leaf",), padding=200_000), a_wheel("tiny-leaf"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"), dry_run=True)
    assert result.ok, result.message
    assert result.plan is not None
    assert result.plan.packages == 2
    assert index.sent_bytes < 100_000, "of a wheel its metadata at most"
