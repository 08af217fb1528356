"""Distributions without a wheel: built from source, by somebody's code, without a network and without secrets."""

import json
import os
import platform
import sys
import zipfile
from pathlib import Path

import pytest

from fakes.index import a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sources import an_sdist, archive_of, source_files
from repack_contract.choices import Arch
from repack_contract.phases import Stage, StageState
from repack_contract.reasons import Reason
from repack_contract.values import Target
from repack_worker import landlock
from repack_worker.confinement import is_possible
from repack_worker.elf import compiled_files, machine_of
from requirements import require, require_command
from styles import served

OUR_PYTHON = ".".join(platform.python_version_tuple()[:2])
BOTH = [Target(arch=Arch.AMD64), Target(arch=Arch.ARM64)]


@pytest.fixture(autouse=True)
def _on_amd64() -> None:
    require(platform.machine() == "x86_64", "packages for amd64 are verified on an amd64 machine")


def locked(folder, index, *files, needs=()):
    index.add(*files)
    plugin = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    plugin["uv.lock"] = a_lock(index, *files, needs=needs)
    return a_package(folder / "tiny.difypkg", plugin)


def content(result, name, at=0):
    with zipfile.ZipFile(result.artifacts[at].uri) as archive:
        [wheel] = [member for member in archive.namelist() if member.startswith("wheels/tiny_sdk")]
        with archive.open(wheel) as file, zipfile.ZipFile(file) as inner:
            return inner.read(name)


def report_of(result):
    return json.loads(Path(f"{result.artifacts[0].uri}.report.json").read_text())


def again(folder):
    """Make room for another attempt."""
    (folder / "attempt").rename(folder / f"attempt-{len(list(folder.glob('attempt*')))}")


async def test_a_source_in_a_lock_is_built_and_its_wheel_is_remembered(tmp_path, index, pack, listener):
    package = locked(tmp_path, index, source := an_sdist("tiny-sdk"))
    first = await pack(package)
    assert first.ok, first.message
    stages = [(stage.stage, stage.state) for stage in listener.states[-1].stages]
    assert (Stage.BUILD, StageState.DONE) in stages
    assert [stage for stage, _ in stages] == list(Stage)
    report = report_of(first)
    assert report["wheels"][0]["builtFrom"] == index.file_url(source)
    again(tmp_path)
    second = await pack(package)
    assert second.artifacts[0].sha256 == first.artifacts[0].sha256
    assert "tiny-sdk==1.0 was built in an earlier run" in listener.text


async def test_a_build_gives_the_same_bytes_wherever_and_whenever_it_is_done(tmp_path, index, pack, settings):
    package = locked(tmp_path, index, an_sdist("tiny-sdk"))
    first = await pack(package)
    again(tmp_path)
    second = await pack(package, settings=settings.but(cache_dir=tmp_path / "other-cache"))
    assert first.ok
    assert second.artifacts[0].sha256 == first.artifacts[0].sha256


async def test_a_requirement_without_wheels_is_resolved_from_what_its_archive_states(tmp_path, index, pack):
    needs_leaf = ("tiny-leaf>=1", "win-only; sys_platform == 'win32'")
    index.add(
        an_sdist("tiny-sdk", "1.0"), an_sdist("tiny-sdk", "1.5", requires=needs_leaf), an_sdist("tiny-sdk", "2.0")
    )
    index.add(a_wheel("tiny-leaf", "1.0"), an_sdist("tiny-leaf", "1.1"))
    package = a_package(tmp_path / "tiny.difypkg", plugin_files(requirements="tiny-sdk<2\n"))
    result = await pack(package)
    assert result.ok, result.message
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        pins = [line.split(" ")[0] for line in archive.read("requirements.txt").decode().splitlines()[2:]]
    assert pins == ["tiny-leaf==1.0", "tiny-sdk==1.5"], "a wheel is preferred to a newer source"


async def test_a_dry_run_says_what_would_be_built_and_builds_nothing(tmp_path, index, pack, settings):
    index.add(an_sdist("tiny-sdk", body="raise SystemExit('was run')"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"), dry_run=True)
    assert result.ok, result.message
    assert result.plan is not None
    assert (result.plan.packages, result.plan.builds) == (1, 1)
    assert not (settings.caches / "built").exists()


async def test_a_build_that_needs_more_than_its_archive_stated_is_refused(tmp_path, index, pack):
    index.add(an_sdist("tiny-sdk", requires=("tiny-leaf",), stated=()), a_wheel("tiny-leaf"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.DEPENDENCY_CONFLICT
    assert "needs tiny-leaf once it is built" in (result.message or "")


SPY = """
import json, os, socket, sys
seen = {"environment": dict(os.environ), "python": "%d.%d" % sys.version_info[:2]}
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=3).close()
    seen["network"] = "reached"
except OSError as error:
    seen["network"] = f"refused: {error}"
seen["files"] = []
for path in PATHS:
    try:
        open(path, "rb").close()
        seen["files"].append(path)
    except OSError:
        pass
files[f"{module}/seen.json"] = json.dumps(seen).encode()
"""


async def test_a_build_has_no_network_and_no_secrets(tmp_path, index, pack, settings, monkeypatch):
    monkeypatch.setenv("REPACK_INDEX_PASSWORD", "hush-hush")
    monkeypatch.setenv("SOME_TOKEN", "hush-hush")
    port = index.base.rpartition(":")[2]
    paths = [str(tmp_path / "password"), "/proc/1/environ", f"/proc/{os.getpid()}/environ", __file__]
    body = SPY.replace("PORT", port).replace("PATHS", repr(paths))
    package = locked(tmp_path, index, an_sdist("tiny-sdk", body=body))
    secret = {"index_url": index.url, "index_username": "me", "index_password_file": tmp_path / "password"}
    (tmp_path / "password").write_text("hush-hush\n")
    result = await pack(package, settings=settings.but(**secret))
    assert result.ok, result.message
    seen = json.loads(content(result, "tiny_sdk/seen.json"))
    assert seen["network"].startswith("refused")
    assert seen["python"] == OUR_PYTHON, "the one that the task names"
    assert "hush-hush" not in json.dumps(seen)
    require(is_possible(), "keeping files from a build needs Landlock (Linux 5.19)")
    assert seen["files"] == []
    assert not [name for name in seen["environment"] if name.startswith(("REPACK", "NETRC", "UV_INDEX", "SOME"))]


async def test_a_kernel_without_landlock_builds_and_verifies_and_the_log_says_what_is_missing(
    tmp_path, index, pack, listener, monkeypatch
):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk")))
    assert result.ok, result.message
    assert "no Landlock: the build could read" in listener.text
    assert "no Landlock: what is imported could read" in listener.text


async def test_what_a_build_requires_is_installed_from_the_index_before_it_runs(tmp_path, index, pack):
    index.add(a_wheel("helper", source="ANSWER = 42"))
    body = "import helper\nfiles[f'{module}/answer.txt'] = str(helper.ANSWER).encode()"
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk", body=body, build_requires=("helper",))))
    assert result.ok, result.message
    assert content(result, "tiny_sdk/answer.txt") == b"42"


async def test_a_pure_build_serves_all_targets_and_happens_once(tmp_path, index, pack, listener):
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk")), targets=BOTH)
    assert result.ok, result.message
    assert len(result.artifacts) == 2
    assert listener.text.count("Building tiny-sdk==1.0") == 1


async def test_a_compiled_build_makes_no_package_for_another_cpu_and_the_native_one_is_published(tmp_path, index, pack):
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk", tag="py3-none-linux_x86_64")), targets=BOTH)
    assert (result.ok, result.reason) == (False, Reason.NO_WHEEL_FOR_PLATFORM)
    assert "target arm64: tiny-sdk==1.0 has no wheel for linux/arm64" in (result.message or "")
    assert "none can be built here for another" in (result.message or "")
    assert [artifact.target for artifact in result.artifacts] == [Arch.AMD64]
    assert report_of(result)["package"]["target"] == "linux/amd64"


async def test_a_source_with_compiled_wheels_elsewhere_is_refused_for_another_cpu_before_the_download(
    tmp_path, index, pack
):
    sources = [an_sdist("tiny-sdk"), a_wheel("tiny-sdk", tag="py3-none-win_amd64")]
    result = await pack(locked(tmp_path, index, *sources), targets=[Target(arch=Arch.ARM64)])
    assert result.reason == Reason.NO_WHEEL_FOR_PLATFORM
    assert "win_amd64" in (result.message or "")
    assert "amd64 cannot build" in (result.message or "")
    assert index.asked_for("/packages/") == []


async def test_a_build_that_fails_shows_the_end_of_its_own_output(tmp_path, index, pack):
    package = locked(tmp_path, index, an_sdist("tiny-sdk", body="raise RuntimeError('no Fortran compiler')"))
    result = await pack(package)
    assert result.reason == Reason.NO_WHEEL_FOR_PLATFORM
    assert "tiny-sdk==1.0 has no wheel, and it could not be built" in (result.message or "")
    assert "no Fortran compiler" in (result.message or "")


async def test_building_can_be_switched_off(tmp_path, index, pack, settings):
    package = locked(tmp_path, index, an_sdist("tiny-sdk"))
    result = await pack(package, settings=settings.but(build_sources=False))
    assert result.reason == Reason.NO_WHEEL_FOR_PLATFORM
    assert "REPACK_BUILD_SOURCES" in (result.message or "")


@pytest.fixture
def _git() -> None:
    require_command("git", install="apt-get install git")


@pytest.mark.usefixtures("_git")
@pytest.mark.parametrize("subdirectory", ["", "python/sdk"])
async def test_a_git_dependency_is_built_from_the_commit_of_the_lock(tmp_path, index, pack, subdirectory):
    repository = tmp_path / "repository"
    files = {f"{subdirectory}/{path}".lstrip("/"): text for path, text in source_files("tiny-sdk").items()}
    address, _, commit = served(index, repository, files).partition("#")
    query = f"?subdirectory={subdirectory}" if subdirectory else ""
    address = f"{address}{query}#{commit}"
    lock = a_lock(index, needs=("tiny-sdk",)) + (
        f'\n[[package]]\nname = "tiny-sdk"\nversion = "1.0"\nsource = {{ git = "{address}" }}\n'
    )
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": lock}
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    report = report_of(result)
    assert report["wheels"][0]["builtFrom"].endswith(f"@{commit}")


@pytest.mark.usefixtures("_git")
async def test_a_git_requirement_without_a_lock_is_pinned_to_its_commit(tmp_path, index, pack):
    repository = tmp_path / "repository"
    address = served(index, repository, source_files("tiny-sdk")).partition("#")[0]
    requirement = f"tiny-sdk @ git+{address}\n"
    result = await pack(a_package(tmp_path / "tiny.difypkg", plugin_files(requirements=requirement)))
    assert result.ok, result.message


@pytest.mark.usefixtures("_git")
async def test_a_commit_that_is_gone_is_named(tmp_path, index, pack):
    repository = tmp_path / "repository"
    address = served(index, repository, source_files("tiny-sdk")).partition("#")[0]
    lock = a_lock(index, needs=("tiny-sdk",)) + (
        f'\n[[package]]\nname = "tiny-sdk"\nversion = "1.0"\nsource = {{ git = "{address}#{"a" * 40}" }}\n'
    )
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": lock}
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.reason == Reason.INDEX_UNREACHABLE
    assert "aaaaaaaaaaaa" in (result.message or "")


COMPILE = """
import subprocess
open("part.c", "w").write('#include <stdio.h>\\nint part(void) { return printf("x"); }\\n')
subprocess.run(["cc", "-shared", "-fPIC", "-o", "part.so", "part.c"], check=True)
data = open("part.so", "rb").read()
files[f"{module}/part.so"] = data.replace(b"GLIBC_2.2.5\\0", b"GLIBC_2.99\\0\\0") if NEWER else data
"""


@pytest.mark.parametrize(
    ("newer", "tag", "words"),
    [
        (False, "py3-none-linux_x86_64", None),
        (True, "py3-none-linux_x86_64", "needs glibc 2.99, and Dify has 2.39"),
        (True, "py3-none-manylinux_2_28_x86_64", "needs glibc 2.99, and its wheel claims 2.28"),
        (False, "py3-none-any", "says that it fits any CPU"),
    ],
)
async def test_a_compiled_build_is_held_to_the_glibc_of_dify_and_to_its_own_claim(
    tmp_path, index, pack, newer, tag, words
):
    require_command("cc", install="apt-get install gcc libc6-dev")
    body = COMPILE.replace("NEWER", str(newer))
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk", tag=tag, body=body)))
    assert result.ok is (words is None), result.message
    if words:
        assert words in (result.message or "")
        return
    (tmp_path / "part.so").write_bytes(content(result, "tiny_sdk/part.so"))
    assert machine_of(tmp_path / "part.so") == "x86_64"
    [wheel] = (tmp_path / "cache" / "wheels").glob("*/tiny_sdk-*.whl")
    [facts] = compiled_files(wheel)
    assert facts.machine == "x86_64"
    assert 2 <= facts.glibc_minor <= 39


TRAP = """
import os, socket
def tried():
    yield "secret", lambda: open({secret!r}).close()
    yield "network", lambda: socket.create_connection(("127.0.0.1", {port}), timeout=2).close()
    yield "cache", lambda: open({cache!r}, "x").close()
for name, act in tried():
    try:
        act()
        open({mark!r} + name, "x").close()
    except OSError:
        pass
"""


async def test_nothing_that_a_build_leaves_behind_runs_outside_of_it(tmp_path, index, pack, settings, listener):
    """A `.pth` file runs whenever the environment's Python starts, a program of the same name in place of the real."""
    require(is_possible(), "keeping files from a build needs Landlock (Linux 5.19)")
    (tmp_path / "secret").write_text("hush")
    trap = TRAP.format(
        secret=str(tmp_path / "secret"), port=index.base.rpartition(":")[2], cache=str(tmp_path / "cache" / "planted"),
        mark=str(tmp_path / "reached-"),
    )  # fmt: skip
    line = f"import os; exec({trap!r})\n"
    programs = dict.fromkeys(("helper-1.0.data/scripts/unshare", "helper-1.0.data/scripts/uv"),
                             f"#!{sys.executable}\n{trap}".encode())  # fmt: skip
    index.add(a_wheel("helper", files={"helper.pth": line.encode(), **programs}), a_wheel("more"))
    plant = f"""
import glob, sys
for folder in [path for path in sys.path if path.endswith("site-packages")]:
    try:
        open(folder + "/planted.pth", "w").write({line!r})
    except OSError:
        pass
"""
    source = source_files("tiny-sdk", build_requires=("helper",), body="import helper, more")
    backend = source["its_backend.py"].replace("    return []", f"    exec({plant!r})\n    return ['more']")
    package = locked(tmp_path, index, archive_of("tiny-sdk", source | {"its_backend.py": backend}))
    result = await pack(package)
    assert result.ok, result.message
    assert "Building tiny-sdk==1.0" in listener.text
    assert not list(tmp_path.glob("reached-*"))


BOMB = """
name = "tiny_sdk-1.0-py3-none-any.whl"
with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    archive.writestr("x", bytes(1 << 20))
data = open(os.path.join(wheel_directory, name), "rb").read()
data = data.replace((1 << 20).to_bytes(4, "little"), (3 << 30).to_bytes(4, "little"))
open(os.path.join(wheel_directory, name), "wb").write(data)
return name
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return '../../../password'", "no name of a file"),
        ("os.symlink('/etc/passwd', os.path.join(wheel_directory, 'tiny_sdk-1.0-py3-none-any.whl'))\n"
         "return 'tiny_sdk-1.0-py3-none-any.whl'", "which is not there"),
        ("open(os.path.join(wheel_directory, 'tiny_sdk-1.0-py3-none-any.whl'), 'w').write('no zip')\n"
         "return 'tiny_sdk-1.0-py3-none-any.whl'", "a wheel that is none"),
        ("os.symlink('/etc/passwd', os.path.join(wheel_directory, 'wheel.json'))\nos._exit(0)", "could not be built"),
        ("files.pop(f'{info}/METADATA')", "has no metadata"),
        (BOMB, "unpacked, it has more than"),
    ],
)  # fmt: skip
async def test_a_build_that_hands_over_something_else_than_its_wheel_is_refused(tmp_path, index, pack, body, words):
    result = await pack(locked(tmp_path, index, an_sdist("tiny-sdk", body=body)))
    assert result.reason == Reason.NO_WHEEL_FOR_PLATFORM, result.message
    assert words in (result.message or "")


async def test_two_versions_of_one_source_are_built_beside_each_other(tmp_path, index, pack):
    """A lock that forks by CPU has two."""
    older, newer = an_sdist("tiny-sdk", "1.0"), an_sdist("tiny-sdk", "2.0")
    index.add(older, newer)
    lock = """version = 1
revision = 3
requires-python = ">=3.11"
[[package]]
name = "tiny"
version = "0.0.1"
source = { virtual = "." }
dependencies = [
    { name = "tiny-sdk", version = "1.0", marker = "platform_machine == 'x86_64'" },
    { name = "tiny-sdk", version = "2.0", marker = "platform_machine != 'x86_64'" },
]
""" + "".join(
        f'[[package]]\nname = "tiny-sdk"\nversion = "{one.version}"\nsource = {{ registry = "{index.url}" }}\n'
        f'sdist = {{ url = "{index.file_url(one)}", hash = "sha256:{one.sha256}", size = {len(one.content)} }}\n'
        for one in (older, newer)
    )
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": lock}
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), targets=[Target(arch=Arch.UNIVERSAL)])
    assert result.ok, result.message
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        pins = [line.partition(" --hash")[0] for line in archive.read("requirements.txt").decode().splitlines()[2:]]
    assert pins == [
        "tiny-sdk==1.0 ; platform_machine == 'x86_64'", "tiny-sdk==2.0 ; platform_machine == 'aarch64'",
    ]  # fmt: skip
