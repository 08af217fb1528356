"""The matrix in its light form: every way to name dependencies, the thirteen command lines, all by the uv at hand.

`make matrix` runs the same with the uv that each daemon had, and writes docs/compatibility.md.
"""

import platform
from pathlib import Path

import pytest
import uv

from repack_contract.choices import Mode, VerifyDepth
from repack_worker.archive import Limits
from repack_worker.daemons import DAEMONS, MIRROR
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.uv_versions import UvVersions
from repack_worker.verify import Bench, survey
from requirements import require, require_command
from styles import STYLES, a_styled_plugin


@pytest.fixture(autouse=True)
def _on_amd64_with_git() -> None:
    require(platform.machine() == "x86_64", "packages for amd64 are verified on an amd64 machine")
    require_command("git", install="apt-get install git")


class OurUv(UvVersions):
    """Takes the uv at hand for every version."""

    async def find(self, version: str) -> Path | None:
        return Path(uv.find_uv_bin())


async def outcomes(package, settings, folder, depth=VerifyDepth.FULL):
    assert settings.python is not None
    python = Interpreter(settings.python.resolve(), "{}.{}".format(*platform.python_version_tuple()))
    bench = Bench(
        python, await choose_isolation(), timeout_seconds=60, say=lambda _line: None,
        depth=depth, versions=OurUv(settings),
    )  # fmt: skip
    return await survey(package, bench=bench, folder=folder, limits=Limits())


@pytest.mark.parametrize("style", STYLES)
async def test_the_newest_daemon_installs_what_we_make_of_every_style(tmp_path, index, pack, style):
    result = await pack(a_styled_plugin(style, index, tmp_path))
    assert result.ok, result.message


@pytest.mark.parametrize("mode", Mode)
async def test_every_command_line_installs_a_package(tmp_path, index, pack, settings, mode):
    result = await pack(a_styled_plugin("all three files", index, tmp_path), mode=mode)
    assert result.ok, result.message
    faults = await outcomes(Path(result.artifacts[0].uri or ""), settings, tmp_path)
    assert list(faults) == list(DAEMONS)
    assert {daemon.label: fault for daemon, fault in faults.items() if fault} == {}


async def test_no_current_daemon_installs_the_plugin_as_it_was(tmp_path, index, settings):
    faults = await outcomes(a_styled_plugin("lock", index, tmp_path), settings, tmp_path, VerifyDepth.STANDARD)
    assert len(faults) == 2
    assert all(faults.values())


async def test_a_generation_whose_uv_cannot_be_fetched_is_named_as_not_run(tmp_path, index, pack, settings):
    full = settings.but(verify=VerifyDepth.FULL)
    result = await pack(a_styled_plugin("lock", index, tmp_path), settings=full)
    assert result.ok, result.message
    message = result.artifacts[0].verification.message
    assert "Command lines run: daemon 0.0.3, 0.6.10, 0.6.10 +mirror." in message
    assert "Not run: 0.0.4, 0.1.3, 0.3.0 +mirror, 0.5.2, 0.5.3," in message


UV = Path("/usr/local/bin/uv")
LINES = {
    ("0.0.3", False): ".venv/bin/pip install -r requirements.txt",
    ("0.0.4", False): f"{UV} pip install -r requirements.txt -vvv",
    ("0.3.0", True): f"{UV} pip install -i {MIRROR} -r requirements.txt -vvv",
    ("0.5.2", False): f"{UV} pip install -r requirements.txt -vvv",
    ("0.5.3", False): f"{UV} sync --no-dev -v",
    ("0.5.3", True): f"{UV} sync --no-dev -i {MIRROR} -v",
    ("0.5.4", False): f"{UV} sync --no-dev -v --offline",
    ("0.5.6", False): f"{UV} sync --no-dev --frozen -v",
    ("0.5.9", False): f"{UV} sync --no-dev -v",
    ("0.6.1", True): f"{UV} sync --no-dev --frozen -i {MIRROR} -v",
    ("0.6.10", False): f"{UV} sync --no-dev --frozen -v",
    ("0.6.10", True): f"{UV} pip install -i {MIRROR} -r requirements.txt -vvv",
}
"""Written off from the daemon's sources (repackaging.md 5.1), for a plugin that has all three files."""


@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda daemon: daemon.label)
def test_the_command_lines_are_those_of_the_daemon(daemon):
    names = ["pyproject.toml", "uv.lock", "requirements.txt"]
    command = daemon.install_command(None if daemon.uv is None else UV, names)
    assert command is not None
    if (daemon.version, daemon.mirror) in LINES:
        assert " ".join(map(str, command)) == LINES[daemon.version, daemon.mirror]
    pinned = daemon.install_command(None if daemon.uv is None else UV, ["requirements.txt"])
    assert pinned is not None
    assert "sync" not in pinned, "a package without pyproject.toml is installed from its requirements by all"
    assert daemon.install_command(UV, ["main.py"]) is None
