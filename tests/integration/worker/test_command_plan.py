"""`dify-repack plan`, and what the command shows: JSON, quiet, a terminal, completion."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fakes.command import OUR_PYTHON, Command
from fakes.index import FakeIndex, Fault, WheelFile, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.processes import stop
from requirements import require_command


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        index.add(a_wheel("tiny-sdk", padding=5000), a_wheel("nltk", padding=9000))
        yield index


@pytest.fixture
def command(tmp_path, index) -> Iterator[Command]:
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["main.py"] = "import os\nmodel = AutoModel.from_pretrained('bert')\n"
    files["uv.lock"] = a_lock(index, *index.wheels.values(), needs=("tiny-sdk", "nltk"))
    a_package(tmp_path / "tiny.difypkg", files)
    command = Command(tmp_path)
    yield command
    stop(command.processes)


def test_a_plan_tells_sizes_and_hints_before_anything_is_downloaded(tmp_path, index, command):
    code, out, err = command.run("plan", "tiny.difypkg", "--index-url", index.url, "--python", OUR_PYTHON)
    assert code == 0, err
    sizes = [len(wheel.content) for wheel in index.wheels.values()]
    assert f"2 packages, {sum(sizes):,} bytes to download, 0 to build" in out
    assert re.search(rf"nltk +1\.0 +{sizes[1]:,} +\?", out), out
    assert "! At run time: nltk downloads its data when it is asked for it (nltk)" in out
    assert "Hugging Face unless they lie in HF_HOME already (main.py:2)" in out
    assert not index.asked_for("/packages/")
    assert command.leftovers == []


def test_a_plan_as_json_has_the_fields_of_the_tasks_status(tmp_path, index, command):
    command.env["REPACK_MAX_PACKAGE_BYTES"] = "10000"
    code, out, err = command.run("plan", "tiny.difypkg", "--index-url", index.url, "--python", OUR_PYTHON, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["plugin"]["name"] == "tiny"
    assert told["plan"]["packages"] == 2
    assert told["plan"]["downloadBytes"] == sum(len(wheel.content) for wheel in index.wheels.values())
    assert told["plan"]["targets"][0] | {"sizeBytes": 0} == {"arch": "amd64", "sizeBytes": 0, "overLimit": True}
    assert len(told["plan"]["warnings"]) == 2
    assert {wheel["name"]: wheel["licence"] for wheel in told["wheels"]["amd64"]} == {"nltk": None, "tiny-sdk": None}


def test_licences_come_from_the_cache_or_are_asked_for(tmp_path, index, command):
    words = ("tiny.difypkg", "--index-url", index.url, "--python", OUR_PYTHON)
    nltk = index.wheels["nltk-1.0-py3-none-any.whl"]
    index.wheels[f"{nltk.filename}.metadata"] = WheelFile(
        f"{nltk.filename}.metadata", b"Metadata-Version: 2.4\nName: nltk\nLicense-Expression: Apache-2.0\n"
    )
    code, out, err = command.run("plan", *words, "--licences", "--json")
    assert code == 0, err
    [wheel, other] = json.loads(out)["wheels"]["amd64"]
    assert (wheel["name"], wheel["licence"], other["licence"]) == ("nltk", "Apache-2.0", None)
    assert not [seen for seen in index.asked_for("/packages/") if seen.path.endswith(".whl")]


def test_a_failure_as_json_is_on_stdout_too(tmp_path, command):
    for words in (["pack", "absent.difypkg"], ["plan", "absent.difypkg"], ["pack", "two words"]):
        code, out, err = command.run(*words, "--json")
        told = json.loads(out)
        assert told["ok"] is False
        assert told["reason"] == ("InvalidSpec" if words[1] == "two words" else "PluginNotFound")
        assert told["message"]
        assert told["hint"]
        assert "What to do:" in err
        assert code != 0


def test_quiet_prints_the_path_and_nothing_else(tmp_path, index, command):
    code, out, err = command.run("pack", "tiny.difypkg", "-q", "--index-url", index.url, "--python", OUR_PYTHON)
    assert (code, err) == (0, "")
    assert out == "tester-tiny_0.0.1-linux-amd64-offline.difypkg\n"
    code, out, err = command.run("verify", out.strip(), "-q", "--json", "--python", OUR_PYTHON)
    assert (code, err) == (0, "")
    assert json.loads(out)["verification"]["passed"] is True


def test_a_terminal_shows_stages_bytes_rate_and_what_is_left(tmp_path, index, command):
    index.fault("tiny_sdk", Fault(drip_seconds=0.0004))
    words = ["pack", "tiny.difypkg", "--index-url", index.url, "--python", OUR_PYTHON]
    script = "import sys; from repack_local.cli import main; sys.exit(main())"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], cwd=tmp_path, env={**command.env, "TERM": "xterm-256color"},
        stdout=subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    command.processes.append(process)  # type: ignore[arg-type]
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    process.communicate(timeout=50)
    assert process.returncode == 0, shown.decode()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    for stage in ("Fetch", "Plan", "Download", "Pack", "Verify", "Publish"):
        assert f"✓ {stage}" in text
    assert re.search(r"Download .*[0-9.]+/[0-9.]+ (bytes|kB|MB) .*(bytes|kB|MB)/s", text)
    assert " s left" in text


@pytest.mark.parametrize(
    ("shell", "check"),
    [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])],
)
def test_completion_scripts_are_valid_in_their_shell(tmp_path, command, shell, check):
    program = require_command(shell, install=f"apt-get install {shell}")
    code, out, err = command.run("completion", shell)
    assert code == 0, err
    (tmp_path / "script").write_text(out)
    done = subprocess.run([program, *check[1:], str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_commands_options_and_values(tmp_path, command):
    (tmp_path / "script").write_text(command.run("completion", "bash")[1])
    asking = """
        source ./script
        complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=();
          _shtab_dify_repack; printf '%s\\n' "${COMPREPLY[@]}"; }
        complete_words dify-repack p
        complete_words dify-repack pack --ver
        complete_words dify-repack pack --mode d
    """
    done = subprocess.run(["bash", "-c", asking], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert {"pack", "plan", "--verify", "--verbose", "dual"} <= set(done.stdout.split()), done.stderr
