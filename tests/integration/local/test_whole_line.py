"""From `kubectl apply` to a verified package, and what happens when something dies on the way."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes.index import FakeIndex, Fault
from fakes.plugins import a_package, plugin_files
from local_mode import RunningMode, running_mode, wait_for
from requirements import require_command

pytestmark = pytest.mark.timeout(180)

SLOW = Fault(drip_seconds=0.0004)
"""Makes the one wheel take about ten seconds: time enough to kill something meanwhile."""


def kubectl(mode: RunningMode, *arguments: str, stdin: str = "") -> str:
    command = require_command("kubectl", install="the kubectl of your cluster's version")
    environment = {"PATH": os.defpath, "HOME": str(mode.home), "KUBECONFIG": str(mode.kubeconfig)}
    done = subprocess.run(
        [command, *arguments], check=False, input=stdin, env=environment, text=True, capture_output=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def task_yaml(name: str, url: str, **spec: Any) -> str:
    body = {
        "apiVersion": "dify-repack.io/v1alpha1",
        "kind": "RepackageTask",
        "metadata": {"name": name},
        "spec": {"source": {"type": "URL", "url": {"url": url}}, "targets": [{"arch": "amd64"}], **spec},
    }
    return json.dumps(body)


def apply(mode: RunningMode, name: str, url: str, **spec: Any) -> None:
    kubectl(mode, "apply", "-f", "-", stdin=task_yaml(name, url, **spec))


def download(mode: RunningMode, task: dict[str, Any]) -> bytes:
    with mode.client() as client:
        return client.get(task["status"]["artifacts"][0]["uri"]).raise_for_status().content


def workers(mode: RunningMode) -> list[int]:
    """Process ids of the workers of this mode: their environment names its folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"repack_worker" in command and str(mode.home).encode() in environment:
            found.append(int(folder.name))
    return found


def wait_for_download(mode: RunningMode, name: str) -> None:
    wait_for(
        lambda: (mode.task(name).get("progress") or {}).get("stage") == "Download",
        what=f"{name} to reach Download",
        seconds=60,
    )


def test_kubectl_apply_ends_in_a_package_that_is_proven_to_install_offline(
    mode: RunningMode, plugin_url: str, tmp_path: Path
):
    apply(mode, "whole-line", plugin_url)
    kubectl(mode, "wait", "--for=condition=complete", "rpt/whole-line", "--timeout=120s")

    task = mode.wait_for_phase("whole-line", "Succeeded", seconds=10)
    artifact = task["status"]["artifacts"][0]
    assert artifact["verification"]["passed"] is True
    assert artifact["verification"]["method"] in {"NetworkNamespace", "SeccompFilter"}

    package = tmp_path / artifact["name"]
    package.write_bytes(download(mode, task))
    assert hashlib.sha256(package.read_bytes()).hexdigest() == artifact["sha256"]
    again = subprocess.run(
        [sys.executable, "-m", "repack_local.cli", "verify", str(package)],
        env={"PATH": os.defpath, "HOME": mode.environment["HOME"]},
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr

    stages = {entry["stage"]: entry["state"] for entry in task["progress"]["stages"]}
    assert stages["Verify"] == "Done"
    row = kubectl(mode, "get", "rpt", "whole-line", "--no-headers").split()
    assert row[:3] == ["whole-line", "Succeeded", "100"]
    assert "tiny" in kubectl(mode, "describe", "rpt", "whole-line")
    pod = kubectl(mode, "get", "pods", "-o", "name").strip()
    assert "Verify" in kubectl(mode, "logs", pod)


def test_a_file_that_is_no_plugin_fails_with_its_reason_and_leaves_nothing(mode: RunningMode, index: FakeIndex):
    url = index.add_file("bad.difypkg", b"this is no zip")
    apply(mode, "no-zip", url)
    task = mode.wait_for_phase("no-zip", "Failed", "Succeeded")
    assert task["status"]["phase"] == "Failed"
    assert task["status"]["reason"] == "InvalidPackage"
    assert "Hint: " in task["status"]["message"]
    assert task["status"].get("artifacts") is None
    assert not list((mode.home / "data").rglob("*.difypkg"))
    wait_for(lambda: not list((mode.home / "pods" / "pods").glob("*")), what="the worker's folders to be removed")


@pytest.mark.parametrize("program", ["operator", "dashboard"])
def test_a_program_killed_in_the_middle_loses_no_task(
    mode: RunningMode, index: FakeIndex, plugin_url: str, program: str
):
    index.fault("tiny_sdk-1.0", SLOW)
    apply(mode, "survivor", plugin_url)
    wait_for_download(mode, "survivor")
    mode.kill(program)
    task = mode.wait_for_phase("survivor", "Succeeded", "Failed", seconds=120)
    assert task["status"]["phase"] == "Succeeded"
    assert task["status"]["attempt"] == 1
    assert kubectl(mode, "get", "jobs", "-o", "name").split() == ["job.batch/rpt-survivor-1"]
    assert hashlib.sha256(download(mode, task)).hexdigest() == task["status"]["artifacts"][0]["sha256"]
    with mode.client() as client:
        log = client.get(f"/api/v1/tasks/{task['uid']}/log").json()
    assert [line["n"] for line in log["items"]] == list(range(1, log["last"] + 1))


def test_a_worker_killed_in_the_middle_is_tried_again(mode: RunningMode, index: FakeIndex, plugin_url: str):
    index.fault("tiny_sdk-1.0", Fault(drip_seconds=0.0004, times=1))
    apply(mode, "killed", plugin_url, retry={"limit": 1, "backoffSeconds": 0, "maxBackoffSeconds": 0})
    wait_for_download(mode, "killed")
    (worker,) = workers(mode)
    os.kill(worker, signal.SIGKILL)
    task = mode.wait_for_phase("killed", "Succeeded", "Failed", seconds=120)
    assert task["status"]["phase"] == "Succeeded"
    assert task["status"]["attempt"] == 2
    assert len(task["status"]["attempts"]) == 2


def test_the_whole_mode_killed_in_the_middle_goes_on_after_a_restart(tmp_path: Path, index: FakeIndex, plugin_url: str):
    index.fault("tiny_sdk-1.0", Fault(drip_seconds=0.0004, times=1))
    with running_mode(tmp_path / "home", REPACK_INDEX_URL=index.url) as mode:
        apply(mode, "reborn", plugin_url, retry={"limit": 1, "backoffSeconds": 0, "maxBackoffSeconds": 0})
        wait_for_download(mode, "reborn")
        mode.stop(signum=signal.SIGKILL)
        wait_for(lambda: not workers(mode), what="the worker to end with its parent")
        mode.start()
        task = mode.wait_for_phase("reborn", "Succeeded", "Failed", seconds=120)
        assert task["status"]["phase"] == "Succeeded"


def test_cancelling_stops_the_worker(mode: RunningMode, index: FakeIndex, plugin_url: str):
    index.fault("tiny_sdk-1.0", SLOW)
    apply(mode, "unwanted", plugin_url)
    wait_for_download(mode, "unwanted")
    kubectl(mode, "patch", "rpt", "unwanted", "--type=merge", "-p", '{"spec":{"desiredState":"Cancelled"}}')
    mode.wait_for_phase("unwanted", "Cancelled", seconds=60)
    assert not workers(mode)


def test_finished_tasks_and_packages_are_there_after_a_restart(tmp_path: Path, index: FakeIndex, plugin_url: str):
    with running_mode(tmp_path / "home", REPACK_INDEX_URL=index.url) as mode:
        apply(mode, "kept", plugin_url)
        before = download(mode, mode.wait_for_phase("kept", "Succeeded"))
        assert mode.stop() == 0
        mode.start()
        after = mode.wait_for_phase("kept", "Succeeded", seconds=20)
        assert download(mode, after) == before
        assert {stage["state"] for stage in after["progress"]["stages"]} == {"Done"}


def test_ctrl_c_ends_every_process(tmp_path: Path, index: FakeIndex, plugin_url: str):
    index.fault("tiny_sdk-1.0", SLOW)
    with running_mode(tmp_path / "home", REPACK_INDEX_URL=index.url) as mode:
        apply(mode, "interrupted", plugin_url)
        wait_for_download(mode, "interrupted")
        programs = [mode.pid_of("operator"), mode.pid_of("dashboard"), *workers(mode)]
        assert mode.stop(signum=signal.SIGINT) == 0
        assert [pid for pid in programs if Path(f"/proc/{pid}").exists()] == []


def test_a_second_one_in_the_same_folder_is_refused_in_words(mode: RunningMode):
    second = subprocess.run(
        [sys.executable, "-m", "repack_local"],
        env=mode.environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode != 0
    assert "Another dify-repack already runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_package_for_two_readers_comes_out_the_same_byte_for_byte(mode: RunningMode, tmp_path: Path):
    package = a_package(tmp_path / "same.difypkg", plugin_files())
    digests = set()
    for name in ("first", "second"):
        with mode.client() as client:
            answer = client.post("/api/v1/uploads?filename=same.difypkg", content=package.read_bytes())
            spec = {
                "source": {"type": "Upload", "upload": {"key": answer.json()["key"]}},
                "targets": [{"arch": "amd64"}],
            }
            client.post("/api/v1/tasks", json={"name": name, "spec": spec}).raise_for_status()
        task = mode.wait_for_phase(name, "Succeeded")
        digests.add(task["status"]["artifacts"][0]["sha256"])
    assert len(digests) == 1
