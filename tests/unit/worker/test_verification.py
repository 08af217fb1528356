"""What Verify refuses, what it records, and what code of a package can reach while it is looked at."""

import json
import os
import platform
import sys
from pathlib import Path

import pytest

from fakes.index import a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from repack_contract.choices import Mode, VerificationMethod
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import Limits, Member, pack, sha256_of
from repack_worker.confinement import is_possible
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.verify import Bench, prove
from requirements import require

LIMITS, REAL_PYTHON = Limits(), Path(sys.executable).resolve()


@pytest.fixture(autouse=True)
def _on_amd64() -> None:
    require(platform.machine() == "x86_64", "packages for amd64 are verified on an amd64 machine")


def a_finished_package(folder, *wheels, **files):
    """Write a package by hand: what its files say is up to the test."""
    members = [Member(name, text.encode()) for name, text in plugin_files(**files).items()]
    members += [Member(f"wheels/{wheel.filename}", wheel.content, stored=True) for wheel in wheels]
    pack(members, folder / "by-hand.difypkg")
    return folder / "by-hand.difypkg"


async def proven(package, folder, *, method=None, said=None):
    python = Interpreter(REAL_PYTHON, "{}.{}".format(*sys.version_info[:2]))
    bench = Bench(
        python, await choose_isolation(method), timeout_seconds=60, say=(said if said is not None else []).append
    )
    return await prove(package, bench=bench, folder=folder, limits=LIMITS)


async def refusal(proving) -> str:
    with pytest.raises(RepackError) as caught:
        await proving
    assert caught.value.reason is Reason.VERIFICATION_FAILED
    return caught.value.message


async def test_a_distribution_that_nobody_pinned_is_unexpected(tmp_path):
    wheels = a_wheel("tiny-sdk", requires=("tiny-leaf",)), a_wheel("tiny-leaf", "2.0")
    requirements = "--no-index\n--find-links ./wheels\ntiny-sdk==1.0\n"
    message = await refusal(proven(a_finished_package(tmp_path, *wheels, requirements=requirements), tmp_path))
    assert "differs from the pins: missing none, unexpected ['tiny-leaf==2.0']" in message


async def test_a_pin_that_the_daemon_does_not_install_is_missing(tmp_path):
    """`uv sync --frozen` obeys the lock, and the lock has less than the requirements."""
    sdk, leaf = a_wheel("tiny-sdk"), a_wheel("tiny-leaf")
    files = {
        "requirements": "tiny-sdk==1.0\ntiny-leaf==1.0\n",
        "pyproject__toml": PYPROJECT,
        "uv__lock": a_lock_of(sdk),
    }
    message = await refusal(proven(a_finished_package(tmp_path, sdk, leaf, **files), tmp_path))
    assert "missing ['tiny-leaf==1.0'], unexpected none" in message


async def test_a_requirement_of_what_is_installed_that_is_not_met_is_found(tmp_path):
    """The lock names no dependency, the wheel's own metadata does: `uv pip check` compares them."""
    sdk = a_wheel("tiny-sdk", requires=("tiny-leaf>=2",))
    files = {"requirements": "tiny-sdk==1.0\n", "pyproject__toml": PYPROJECT, "uv__lock": a_lock_of(sdk)}
    message = await refusal(proven(a_finished_package(tmp_path, sdk, **files), tmp_path))
    assert "checking what was installed ended with exit code 1" in message
    assert "tiny-leaf>=2" in message


def a_lock_of(wheel):
    """Return a lock onto one wheel of `./wheels`, as mode Dual has it."""
    return (
        'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n[[package]]\nname = "tiny"\nversion = "0.0.1"\n'
        f'source = {{ virtual = "." }}\ndependencies = [{{ name = "{wheel.name}" }}]\n'
        f'[[package]]\nname = "{wheel.name}"\nversion = "{wheel.version}"\nsource = {{ registry = "wheels" }}\n'
        f'wheels = [{{ path = "{wheel.filename}" }}]\n'
    )


@pytest.mark.parametrize("method", [VerificationMethod.SECCOMP_FILTER, VerificationMethod.OFFLINE_FLAGS])
async def test_the_method_that_was_used_is_the_one_recorded(tmp_path, index, pack, settings, method):
    index.add(a_wheel("tiny-sdk"))
    forced = settings.but(isolation=method)
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=forced)
    assert result.ok, result.message
    verification = result.artifacts[0].verification
    assert verification.method is method
    assert method.value in verification.message
    assert ("not enforced" in verification.message) is (method is VerificationMethod.OFFLINE_FLAGS)


async def test_nothing_of_a_plugin_runs_but_its_dependencies_in_the_sandboxes(tmp_path, index, pack):
    mark = tmp_path / "was-run"
    trap = f"open({str(mark)!r}, 'a').write(__name__)\n"
    names = ("main.py", "setup.py", "conftest.py", "sitecustomize.py", "usercustomize.py", "provider/tiny.py",
             "json.py", "tiny_sdk.py", "hatch_build.py")  # fmt: skip
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT + '[build-system]\nrequires = ["hatchling"]\n')
    index.add(sdk := a_wheel("tiny-sdk"))
    files |= dict.fromkeys(names, trap) | {"uv.lock": a_lock(index, sdk), "x.pth": f"import os; {trap}"}
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    assert not mark.exists()


LOOK = """
import json, os, sys
seen = []
for path in PATHS:
    try:
        seen.append([path, open(path, "rb").read().decode("utf-8", "replace")])
    except OSError:
        pass
for path in CHANGED:
    try:
        open(path, "ab").write(b"changed")
    except OSError:
        pass
raise ImportError(json.dumps([seen, sorted(os.environ)]))
"""


async def test_what_is_imported_sees_no_secret_and_changes_nothing_of_ours(
    tmp_path, index, pack, settings, listener, monkeypatch
):
    """An import runs somebody's code, and what it raises stands in the log, which the task's owner may read."""
    monkeypatch.setenv("REPACK_INDEX_PASSWORD", "hush-hush")
    (tmp_path / "password").write_text("hush-hush\n")
    paths = [str(tmp_path / "password"), f"/proc/{os.getpid()}/environ", "/proc/self/../1/environ", __file__]
    kept = tmp_path / "cache" / "built.json"
    kept.parent.mkdir()
    kept.write_text("kept")
    package = tmp_path / "attempt" / "outgoing" / "tester-tiny_0.0.1-linux-amd64-offline.difypkg"
    source = LOOK.replace("PATHS", repr(paths)).replace("CHANGED", repr([str(kept), str(package)]))
    index.add(a_wheel("tiny-sdk", requires=("looker",)), a_wheel("looker", source=source))
    secret = {"index_url": index.url, "index_username": "me", "index_password_file": tmp_path / "password"}
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=settings.but(**secret))
    assert result.ok, result.message
    told = next(line.text for line in listener.lines if "import looker fails: ImportError" in line.text)
    seen, environment = json.loads(told.partition("ImportError: ")[2])
    assert "hush-hush" not in listener.text
    require(is_possible(), "keeping files from an import needs Landlock (Linux 5.19)")
    assert seen == []
    assert kept.read_text() == "kept"
    assert sha256_of(Path(result.artifacts[0].uri)) == result.artifacts[0].sha256
    assert not [name for name in environment if name.startswith(("REPACK", "NETRC", "UV_INDEX"))]


async def test_a_module_that_talks_or_works_on_at_the_end_is_not_waited_for(tmp_path, index, pack, listener):
    late = (
        "import atexit, threading, time\natexit.register(print, 'bye')\n"
        "threading.Thread(target=time.sleep, args=(99,)).start()"
    )
    index.add(a_wheel("tiny-sdk", requires=("late",)), a_wheel("late", source=late))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.ok, result.message
    assert "2 of 2 modules import" in listener.text


async def test_a_module_that_ends_the_process_fails_the_verification(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", source="import os\nos._exit(0)"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.VERIFICATION_FAILED, result.message
    assert "importing ended without a word" in (result.message or "")


async def test_a_verification_that_takes_too_long_says_which_setting_to_change(tmp_path, index, pack, settings):
    index.add(a_wheel("tiny-sdk", source="import time\ntime.sleep(60)"))
    shorter = settings.but(verify_timeout_seconds=4)
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=shorter)
    assert result.reason == Reason.VERIFICATION_FAILED
    assert "took too long" in (result.message or "")
    assert "REPACK_VERIFY_TIMEOUT_SECONDS" in (result.hint or "")


FOREIGN = """\
[project]
name = "somebody-elses"
version = "1"
requires-python = "<3.0"

[tool.uv]
required-version = "<0.0.1"

[tool.uv.workspace]
members = ["**"]
"""


@pytest.mark.parametrize("mode", Mode)
async def test_a_project_in_whose_folder_we_work_has_no_say(tmp_path, index, pack, mode):
    """uv looks for settings and for a project in every folder above; below Dify's daemon's there are none."""
    (tmp_path / "pyproject.toml").write_text(FOREIGN)
    index.add(wheel := a_wheel("tiny-sdk"))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, wheel))
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), mode=mode)
    assert result.ok, result.message
