"""`dify-repack pack --list`: many plugins, one process, resumable."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.command import OUR_PYTHON, Command
from fakes.index import Fault, a_wheel, wait_until
from fakes.plugins import MANIFEST, PYPROJECT, a_lock, a_package, plugin_files
from fakes.processes import stop
from fakes.sites import FakeSites
from repack_local.batch_list import LEDGER, Line, read_list

WHEELS = [a_wheel("tiny-sdk", padding=20_000), a_wheel("tiny-leaf", padding=10_000)]


@pytest.fixture
def sites() -> Iterator[FakeSites]:
    with FakeSites() as sites:
        sites.add(*WHEELS)
        yield sites


@pytest.fixture
def command(tmp_path, sites) -> Iterator[Command]:
    command = Command(tmp_path)
    command.env["REPACK_MARKETPLACE_URL"] = sites.base
    yield command
    stop(command.processes)


def a_plugin(folder: Path, sites: FakeSites, name: str) -> Path:
    """Write a small plugin that needs both wheels by its lock."""
    files = plugin_files(requirements=None, manifest=MANIFEST.replace("name: tiny", f"name: {name}"),
                         pyproject__toml=PYPROJECT)  # fmt: skip
    files["uv.lock"] = a_lock(sites, *WHEELS, needs=tuple(wheel.name for wheel in WHEELS))
    return a_package(folder / f"{name}.difypkg", files)


def words(sites: FakeSites, *more: str) -> list[str]:
    return ["pack", "--list", "plugins.txt", "-o", "out", "--index-url", sites.url, "--python", OUR_PYTHON, *more]


def test_a_list_is_packed_in_one_process_and_shared_wheels_are_downloaded_once(tmp_path, sites, command):
    for name in ("one", "two", "three"):
        a_plugin(tmp_path, sites, name)
    sites.publish("tester", "four", "1.0.0", package=a_plugin(tmp_path, sites, "four").read_bytes())
    (tmp_path / "plugins.txt").write_text(
        "# for the closed network\none.difypkg\ntwo.difypkg   # by Ann\n\nthree.difypkg\ntester/four\nabsent.difypkg\n"
    )
    code, out, err = command.run(*words(sites, "--jobs", "3"))
    assert code == 5, err
    assert "4 made, 0 there before, 1 failed" in out
    assert re.search(r"^ *7 +absent\.difypkg +failed .*PluginNotFound: .*does not exist", out, re.MULTILINE), out
    made = sorted(path.name for path in (tmp_path / "out").glob("*.difypkg"))
    assert made == [f"tester-{name}_0.0.1-linux-amd64-offline.difypkg" for name in ("four", "one", "three", "two")]
    assert len(sites.asked_for("/packages/")) == len(WHEELS), "each wheel is downloaded once for all"
    assert "[5/5]" in err
    assert command.leftovers == []


def test_a_list_goes_on_where_it_ended_and_makes_again_what_changed_or_is_gone(tmp_path, sites, command):
    for name in ("one", "two", "three"):
        a_plugin(tmp_path, sites, name)
    (tmp_path / "plugins.txt").write_text("one.difypkg\ntwo.difypkg\nthree.difypkg\n")
    assert command.run(*words(sites))[0] == 0
    out = tmp_path / "out"
    (out / "tester-two_0.0.1-linux-amd64-offline.difypkg").write_bytes(b"damaged")
    (out / "tester-three_0.0.1-linux-amd64-offline.difypkg").unlink()
    (tmp_path / "plugins.txt").write_text("one.difypkg\ntwo.difypkg\nthree.difypkg\nfour.difypkg\n")
    a_plugin(tmp_path, sites, "four")
    code, text, err = command.run(*words(sites, "--json"))
    assert code == 0, err
    told = json.loads(text)
    assert told["ok"] is True
    assert [line["outcome"] for line in told["lines"]] == ["there", "made", "made", "made"]
    assert told["lines"][0]["artifacts"][0]["sha256"]
    assert len(list(out.glob("*.difypkg"))) == 4
    code, text, _ = command.run(*words(sites, "--again", "--quiet"))
    assert code == 0
    assert sorted(text.splitlines()) == sorted(f"out/{path.name}" for path in out.glob("*.difypkg"))


def test_another_suffix_or_another_version_is_other_work(tmp_path, sites, command):
    package = a_plugin(tmp_path, sites, "one").read_bytes()
    sites.publish("tester", "one", "1.0.0", package=package)
    (tmp_path / "plugins.txt").write_text("tester/one\n")
    assert command.run(*words(sites))[0] == 0
    assert "0 made, 1 there before" in command.run(*words(sites))[1]
    assert "1 made" in command.run(*words(sites, "--suffix", "other"))[1]
    sites.publish("tester", "one", "1.1.0", package=package)
    assert "1 made" in command.run(*words(sites))[1], "the latest version is another one now"


def test_two_lines_of_one_plugin_are_made_once(tmp_path, sites, command):
    a_plugin(tmp_path, sites, "one")
    (tmp_path / "plugins.txt").write_text("one.difypkg\n./one.difypkg\n")
    code, out, err = command.run(*words(sites, "--jobs", "2"))
    assert code == 0, err
    assert "1 made, 1 there before, 0 failed" in out


def test_a_checksum_in_the_list_is_held_against_the_download(tmp_path, sites, command):
    address = sites.add_file("one.difypkg", a_plugin(tmp_path, sites, "one").read_bytes())
    (tmp_path / "plugins.txt").write_text(f"{address} sha256:{'0' * 64}\n")
    code, out, _ = command.run(*words(sites))
    assert code == 5
    assert "ChecksumMismatch" in out


@pytest.mark.parametrize(
    ("text", "part"), [("# nothing\n", "names no plugin"), (None, "could not be read"), (b"\xff\xfe", "no UTF-8")]
)
def test_a_list_that_cannot_be_used_is_refused(tmp_path, sites, command, text, part):
    if text is not None:
        (tmp_path / "plugins.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    code, _, err = command.run(*words(sites))
    assert code == 1
    assert part in err
    assert "What to do:" in err


def test_a_signal_in_the_middle_of_a_list_keeps_what_is_made_and_nothing_else(tmp_path, sites, command):
    for name in ("one", "two"):
        a_plugin(tmp_path, sites, name)
    slow = sites.add_file("slow.difypkg", a_plugin(tmp_path, sites, "slow").read_bytes())
    sites.fault("slow.difypkg", Fault(drip_seconds=0.1))
    (tmp_path / "plugins.txt").write_text(f"one.difypkg\n{slow}\n")
    process = command.start(*words(sites, "--jobs", "2"))
    ledger = tmp_path / "out" / LEDGER
    wait_until(ledger.exists, what="the first plugin to be made", seconds=40)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130, err
    assert command.leftovers == []
    assert sorted(path.name.rpartition("offline")[2] for path in (tmp_path / "out").iterdir()) == sorted(
        [LEDGER, ".difypkg", ".difypkg.report.json", ".difypkg.sbom.cdx.json", ".difypkg.sha256"]
    )
    (tmp_path / "plugins.txt").write_text("one.difypkg\ntwo.difypkg\n")
    assert "1 made, 1 there before" in command.run(*words(sites))[1]


def test_a_list_is_read_without_its_comments():
    read = read_list("\ufeffa/b # why\n#c/d\n\ngithub:a/b@v1#x.difypkg\nhttps://e.org/x sha256:" + "a" * 64 + "\n")
    assert read == [
        Line(1, "a/b"), Line(4, "github:a/b@v1#x.difypkg"), Line(5, "https://e.org/x", "a" * 64),
    ]  # fmt: skip
