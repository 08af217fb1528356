"""`dify-repack pack` and `verify` as people run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.command import OUR_PYTHON, Command
from fakes.index import FakeIndex, Fault, a_wheel, wait_until
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.processes import stop
from fakes.sources import an_sdist


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        index.add(a_wheel("tiny-sdk", padding=5000))
        yield index


@pytest.fixture
def command(tmp_path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    stop(command.processes)


def test_a_file_becomes_a_package_whose_path_stands_alone_on_stdout(tmp_path, index, command):
    a_package(tmp_path / "tiny.difypkg")
    code, out, err = command.run(
        "pack", "tiny.difypkg", "-o", "result", "--index-url", index.url, "--python", OUR_PYTHON, "--suffix", "mine"
    )
    assert code == 0, err
    made = tmp_path / out.splitlines()[0]
    assert made == tmp_path / "result" / "tester-tiny_0.0.1-linux-amd64-mine.difypkg"
    assert "verified (" in out
    assert "[Download] 1 wheels downloaded" in err
    assert "\x1b[" not in err, "a pipe gets plain lines"
    assert command.leftovers == []
    checked = subprocess.run(["/usr/bin/sha256sum", "-c", f"{made.name}.sha256"], cwd=made.parent, check=False)
    assert checked.returncode == 0

    code, out, err = command.run("verify", str(made), "--python", OUR_PYTHON)
    assert code == 0, err
    assert "verified (" in out
    assert command.leftovers == []


def test_a_url_is_packed_as_well(tmp_path, index, command):
    address = index.add_file("tiny.difypkg", a_package(tmp_path / "tiny.difypkg").read_bytes())
    code, out, err = command.run("pack", address, "--index-url", index.url, "--python", OUR_PYTHON)
    assert code == 0, err
    assert Path(tmp_path / out.splitlines()[0]).is_file()


def test_a_package_that_lost_a_wheel_does_not_pass(tmp_path, command):
    requirements = f"--no-index\n--find-links ./wheels\ntiny-sdk==1.0 --hash=sha256:{'a' * 64}\n"
    a_package(tmp_path / "broken.difypkg", plugin_files(requirements=requirements) | {"wheels/none.txt": ""})
    code, _, err = command.run("verify", "broken.difypkg", "--python", OUR_PYTHON)
    assert code == 19
    assert "tiny-sdk was not found in the provided package locations" in err


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["pack", "absent.difypkg"], 10, ["PluginNotFound", "absent.difypkg does not exist", "What to do:"]),
        (["pack", "text.difypkg"], 12, ["InvalidPackage", "text.difypkg is not a zip file", "What to do:"]),
        (["pack", "http://127.0.0.1:9/x.difypkg"], 20, ["IndexUnreachable", "127.0.0.1:9", "What to do:"]),
        (["pack", "text.difypkg", "--python", "two"], 1, ["InvalidSpec", "--python", "What to do:"]),
        (["pack", "text.difypkg", "-o", "text.difypkg/x"], 1, ["InvalidSpec", "text.difypkg is a file", "What to do:"]),
        (["verify", "absent.difypkg"], 10, ["PluginNotFound", "absent.difypkg does not exist"]),
        (["pack"], 2, ["usage:"]),
    ],
)
def test_a_failure_is_told_in_three_parts_with_its_exit_code(tmp_path, command, words, code, parts):
    (tmp_path / "text.difypkg").write_text("hello")
    returned, out, err = command.run(*words)
    assert returned == code, err
    assert all(part in err for part in parts), err
    assert "Traceback" not in err
    assert out == ""
    assert command.leftovers == []


def test_a_wrong_setting_is_named(tmp_path, command):
    command.env["REPACK_CONNECTIONS"] = "many"
    code, _, err = command.run("pack", "x.difypkg")
    assert code == 1
    assert "REPACK_CONNECTIONS" in err
    assert "Traceback" not in err


def test_a_disk_that_fills_up_is_named_and_nothing_is_left(tmp_path, index, command):
    """A limit on the size of files stands for the full disk: the kernel refuses the write."""
    index.add(a_wheel("tiny-sdk", padding=400_000))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, *index.wheels.values())
    a_package(tmp_path / "tiny.difypkg", files)
    script = (
        "import resource, signal, sys; from repack_local.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); sys.exit(main())"
    )
    words = ["pack", "tiny.difypkg", "-o", "result", "--index-url", index.url, "--python", OUR_PYTHON]
    env = {**command.env, "PYTHONDONTWRITEBYTECODE": "1"}  # a cut .pyc would break every later run
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path, env=env, text=True, capture_output=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 30, done.stderr
    assert "DiskFull" in done.stderr
    assert command.leftovers == []
    assert not (tmp_path / "result").exists()
    assert not list((tmp_path / ".cache").rglob("*.whl*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing_half_made(tmp_path, index, command, number):
    index.fault("tiny_sdk", Fault(drip_seconds=0.2))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, *index.wheels.values())
    a_package(tmp_path / "tiny.difypkg", files)
    process = command.start("pack", "tiny.difypkg", "-o", "result", "--index-url", index.url, "--python", OUR_PYTHON)
    wait_until(lambda: index.asked_for("/packages/"), what="the download to begin", seconds=20)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "nothing was left behind" in err
    assert command.leftovers == []
    assert not (tmp_path / "result").exists()
    assert not list((tmp_path / ".cache").rglob("*.whl*"))


def test_the_same_input_gives_the_same_bytes_wherever_whenever_and_however_it_is_made(tmp_path, index):
    """Another folder, time zone, locale, umask, seed of hashes, and three years later."""
    places = {
        "one": ({"TZ": "UTC", "LANG": "C", "PYTHONHASHSEED": "1"}, 0o022, 0),
        "two/with spaces": (
            {"TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "2"},
            0o077,
            94_608_000,
        ),
    }
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    index.add(source := an_sdist("tiny-leaf"))
    files["uv.lock"] = a_lock(index, *[file for file in index.wheels.values() if file != source], source,
                              needs=("tiny-sdk", "tiny-leaf"))  # fmt: skip
    made = []
    for place, (environment, umask, later) in places.items():
        folder = tmp_path / place
        folder.mkdir(parents=True)
        a_package(folder / "tiny.difypkg", files)
        command = Command(folder)
        script = (
            f"import os, sys, time; os.umask({umask}); now = time.time; time.time = lambda: now() + {later};"
            "from repack_local.cli import main; sys.exit(main())"
        )
        words = ["pack", "tiny.difypkg", "-o", "out", "--arch", "amd64,universal", "--index-url", index.url, "-q"]
        done = subprocess.run(
            [sys.executable, "-c", script, *words, "--python", OUR_PYTHON],
            cwd=folder, env=command.env | environment, text=True, capture_output=True, check=False, timeout=50,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        documents = [*(folder / "out").glob("*.difypkg"), *(folder / "out").glob("*.sbom.cdx.json")]
        made.append({path.name: path.read_bytes() for path in documents})
    assert len(made[0]) == 4
    assert made[0] == made[1]


@pytest.mark.parametrize("words", [[], ["pack"], ["plan"], ["verify"], ["completion"]])
def test_help_shows_examples(command, words):
    code, out, _ = command.run(*words, "--help")
    assert code == 0
    assert "examples:" in out
    assert "dify-repack " + " ".join(words) in out.partition("examples:")[2]
