"""Pods as subprocesses: what the worker sees, what the Pod's status and log tell, how it ends."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from embedded import INGEST_TOKEN, RunningApi, embedded_cluster
from repack_local import leftovers
from repack_local.api.kinds import EVENTS, JOBS, PODS, Resource
from repack_local.api.objects import Deletion
from requirements import require_command

Object = dict[str, Any]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with embedded_cluster(root=tmp_path / "pods", environment={"GIVEN": "on purpose"}) as running:
        yield running


async def until(condition: Callable[[], Any], *, what: str, seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


def a_job(code: str, **container: Any) -> Object:
    return {
        "metadata": {"name": "work"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": container.pop("grace", 2),
                    "volumes": container.pop("volumes", []),
                    "containers": [
                        {
                            "name": "worker",
                            "image": "i",
                            "command": ["python", "-u", "-c", code],
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            **container,
                        }
                    ],
                }
            },
        },
    }


def submit(cluster: RunningApi, job: Object) -> None:
    cluster.api.objects.create(JOBS, "default", job)


def listed(cluster: RunningApi, resource: Resource) -> list[Object]:
    return [entry.obj for entry in cluster.api.storage.entries(resource.key)]


def phase_is(cluster: RunningApi, *phases: str) -> Callable[[], Object | None]:
    return lambda: next((p for p in listed(cluster, PODS) if (p.get("status") or {}).get("phase") in phases), None)


async def ended(cluster: RunningApi) -> Object:
    return dict(await until(phase_is(cluster, "Succeeded", "Failed"), what="the Pod to end"))


def terminated(pod: Object) -> Object:
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


def log_of(cluster: RunningApi, pod: Object) -> str:
    path = cluster.api.log_file(pod)
    assert path is not None
    return path.read_text()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_a_pod_walks_from_pending_over_running_to_succeeded(cluster: RunningApi) -> None:
    phases: list[str] = []
    cluster.api.storage.listen(
        lambda change: (
            phases.append((change.new.obj.get("status") or {}).get("phase")) if change.key == PODS.key else None
        )
    )
    submit(cluster, a_job("print('hello')"))
    pod = await ended(cluster)
    assert [phase for phase, before in zip(phases, [None, *phases], strict=False) if phase != before][:3] == [
        "Pending",
        "Running",
        "Succeeded",
    ]
    state = terminated(pod)
    assert (state["exitCode"], state["reason"]) == (0, "Completed")
    assert state["startedAt"] <= state["finishedAt"]
    assert pod["spec"]["nodeName"] == "local"
    conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    assert conditions["PodScheduled"] == "True"
    assert conditions["Ready"] == "False"
    assert log_of(cluster, pod) == "hello\n"
    job = await until(lambda: listed(cluster, JOBS)[0].get("status", {}).get("succeeded"), what="the Job to count it")
    assert job == 1


async def test_the_environment_is_composed_and_volumes_are_folders(cluster: RunningApi, tmp_path: Path) -> None:
    code = """
import json, os, pathlib
pathlib.Path(os.environ["REPACK_WORK_DIR"]).mkdir(exist_ok=True)
print(json.dumps({**os.environ, "token": open(os.environ["TOKEN_FILE"]).read(), "cwd": os.getcwd()}))
"""
    volumes = [
        {"name": "work", "emptyDir": {}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "a"}}]}},
    ]
    env = [
        {"name": "REPACK_WORK_DIR", "value": "/scratch/deep"},
        {"name": "HOME", "value": "/scratch"},
        {"name": "TOKEN_FILE", "value": "/var/run/secrets/token"},
        {"name": "ELSEWHERE", "value": "/scratchpad/x"},
        {"name": "ORDER", "value": '{"name": "a$(NOT)b"}'},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    mounts = [{"name": "work", "mountPath": "/scratch"}, {"name": "token", "mountPath": "/var/run/secrets"}]
    submit(cluster, a_job(code, env=env, volumes=volumes, volumeMounts=mounts))
    pod = await ended(cluster)
    assert pod["status"]["phase"] == "Succeeded", log_of(cluster, pod)
    seen = json.loads(log_of(cluster, pod))
    folder = tmp_path / "pods" / "pods" / pod["metadata"]["uid"]
    assert seen["token"] == INGEST_TOKEN
    assert seen["REPACK_WORK_DIR"] == str(folder / "volumes" / "work" / "deep")
    assert seen["HOME"] == str(folder / "volumes" / "work")
    assert seen["TMPDIR"] == str(folder / "tmp")
    assert seen["ELSEWHERE"] == "/scratchpad/x"
    assert seen["ORDER"] == '{"name": "a$(NOT)b"}'
    assert seen["NAME"] == pod["metadata"]["name"]
    assert seen["GIVEN"] == "on purpose"
    expected = {"PATH", "LANG", "GIVEN", "HOME", "TMPDIR", "REPACK_TERMINATION_LOG", "token", "cwd", "LC_CTYPE"}
    assert set(seen) - expected - {entry["name"] for entry in env} == set(), "nothing else of ours leaks"
    await until(lambda: not folder.exists(), what="the Pod's folder to be removed")


async def test_the_termination_message_is_what_the_worker_wrote(cluster: RunningApi) -> None:
    code = "import os; open(os.environ['REPACK_TERMINATION_LOG'], 'w').write('{\"ok\": true}' + 'x' * 5000)"
    submit(cluster, a_job(code))
    message = terminated(await ended(cluster))["message"]
    assert message.startswith('{"ok": true}')
    assert len(message) == 4096


async def test_a_silent_failure_tells_the_end_of_its_log(cluster: RunningApi) -> None:
    submit(cluster, a_job("import sys\nfor i in range(200): print('line', i)\nsys.exit(11)"))
    pod = await ended(cluster)
    state = terminated(pod)
    assert (pod["status"]["phase"], state["exitCode"], state["reason"]) == ("Failed", 11, "Error")
    assert state["message"].endswith("line 198\nline 199\n")
    assert "line 100\n" not in state["message"]


async def test_a_killed_process_is_exit_code_137(cluster: RunningApi) -> None:
    submit(cluster, a_job("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert terminated(await ended(cluster))["exitCode"] == 137


async def test_a_program_that_is_not_there_fails_with_a_sentence(cluster: RunningApi) -> None:
    submit(cluster, a_job("", command=["/no/such/program"]))
    pod = await ended(cluster)
    assert terminated(pod)["exitCode"] == 128
    assert "cannot start /no/such/program" in terminated(pod)["message"]


async def test_a_volume_of_an_unknown_kind_keeps_the_pod_waiting(cluster: RunningApi) -> None:
    submit(cluster, a_job("", volumes=[{"name": "s", "secret": {"secretName": "x"}}]))

    def waiting() -> Any:
        statuses = [s for p in listed(cluster, PODS) for s in p.get("status", {}).get("containerStatuses") or []]
        return next((s["state"]["waiting"] for s in statuses if s["state"].get("waiting", {}).get("message")), None)

    state = await until(waiting, what="the Pod to wait")
    assert state["reason"] == "CreateContainerConfigError"
    assert "only emptyDir and projected volumes exist here" in state["message"]
    cluster.api.objects.delete(JOBS, ("default", "work"), Deletion(propagation="Background"))
    await until(lambda: not listed(cluster, PODS), what="the Pod to go with its Job")


async def test_a_deleted_pod_gets_sigterm_and_its_children_go_too(cluster: RunningApi) -> None:
    code = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
def end(*_):
    print("asked to end", flush=True); sys.exit(3)
signal.signal(signal.SIGTERM, end)
print(os.getpid(), child.pid, flush=True)
time.sleep(60)
"""
    submit(cluster, a_job(code))
    pod = await until(phase_is(cluster, "Running"), what="the Pod to run")
    pids = await until(lambda: log_of(cluster, pod).split(), what="the process ids")
    states: list[Object] = []
    cluster.api.storage.listen(lambda change: states.append(change.new.obj) if change.key == PODS.key else None)
    cluster.api.objects.delete(PODS, ("default", pod["metadata"]["name"]))
    await until(lambda: not listed(cluster, PODS), what="the Pod to go")
    assert not any(is_alive(int(pid)) for pid in pids[:2])
    final = next(state for state in states if state["status"]["phase"] == "Failed")
    assert terminated(final)["exitCode"] == 3
    conditions = [c["reason"] for c in listed(cluster, JOBS)[0]["status"]["conditions"]]
    assert "BackoffLimitExceeded" in conditions
    assert not cluster.api.log_file(pod).exists(), "the log goes with the Pod"  # type: ignore[union-attr]


async def test_a_stubborn_process_is_killed_after_the_grace_period(cluster: RunningApi) -> None:
    code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)\n"
    submit(cluster, a_job(code + "while True: time.sleep(1)", grace=1))
    pod = await until(phase_is(cluster, "Running"), what="the Pod to run")
    pid = int((await until(lambda: log_of(cluster, pod).split(), what="the process id"))[0])
    started = time.monotonic()
    cluster.api.objects.delete(JOBS, ("default", "work"), Deletion(propagation="Background"))
    await until(lambda: not listed(cluster, PODS), what="the Pod to go")
    assert time.monotonic() - started > 0.8
    assert not is_alive(pid)


async def test_events_tell_what_happened(cluster: RunningApi) -> None:
    submit(cluster, a_job("import time; time.sleep(60)"))
    pod = await until(phase_is(cluster, "Running"), what="the Pod to run")
    cluster.api.objects.delete(PODS, ("default", pod["metadata"]["name"]))
    await until(lambda: not listed(cluster, PODS), what="the Pod to go")
    reasons = {event["reason"] for event in listed(cluster, EVENTS)}
    assert {"Scheduled", "Started", "Killing", "SuccessfulCreate", "BackoffLimitExceeded"} <= reasons


async def test_kubectl_follows_a_log_to_its_end(cluster: RunningApi, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)"
    code = "\n".join(["import pathlib, time", "print('one')", wait, "print('two')"])
    submit(cluster, a_job(code))
    await until(phase_is(cluster, "Running"), what="the Pod to run")
    kubectl = require_command("kubectl", install="the package of your system, or the one of kubernetes.io")
    command = [kubectl, "--kubeconfig", str(cluster.kubeconfig_path), "--cache-dir", str(tmp_path / "cache")]
    process = await asyncio.create_subprocess_exec(*command, "logs", "-f", "job/work", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"one\n"
    gate.touch()
    assert await process.stdout.readline() == b"two\n"
    assert await process.wait() == 0
    tail = await asyncio.create_subprocess_exec(*command, "logs", "job/work", "--tail=1", stdout=subprocess.PIPE)
    assert (await tail.communicate())[0] == b"two\n"


async def test_a_pod_of_an_earlier_run_is_lost_and_its_job_makes_another(tmp_path: Path) -> None:
    state, root, gate = tmp_path / "state", tmp_path / "pods", tmp_path / "gate"
    code = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)"
    job = a_job(code)
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    job["spec"]["podFailurePolicy"] = {"rules": rules}
    async with embedded_cluster(state=state, root=root) as first:
        submit(first, job)
        lost = await until(phase_is(first, "Running"), what="the Pod to run")
    gate.touch()
    async with embedded_cluster(state=state, root=root) as second:
        await until(lambda: listed(second, JOBS)[0]["status"].get("succeeded"), what="the Job to succeed after all")
        old = next(pod for pod in listed(second, PODS) if pod["metadata"]["uid"] == lost["metadata"]["uid"])
        assert (old["status"]["phase"], old["status"]["reason"]) == ("Failed", "NodeLost")
        assert len(listed(second, PODS)) == 2


def test_a_process_that_outlived_its_runner_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
        folder = tmp_path / "uid-1"
        folder.mkdir()
        leftovers.write_down(folder, process.pid)
        assert leftovers.end_all(tmp_path) == ["uid-1"]
        assert process.wait(timeout=5) == -signal.SIGKILL
    assert not folder.exists()


def test_another_process_with_a_written_down_number_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) as process:
        folder = tmp_path / "uid-1"
        folder.mkdir()
        leftovers.write_down(folder, process.pid)
        facts = json.loads((folder / "process.json").read_text())
        (folder / "process.json").write_text(json.dumps(facts | {"started": facts["started"] + 1_000_000}))
        leftovers.end_all(tmp_path)
        assert is_alive(process.pid)
        os.kill(process.pid, signal.SIGKILL)


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
while True: time.sleep(1)
"""

MODE = """
import asyncio, json, pathlib, sys
from embedded import embedded_cluster
from repack_local.api.kinds import JOBS
async def main():
    state, root = map(pathlib.Path, sys.argv[1:3])
    async with embedded_cluster(state=state, root=root) as running:
        running.api.objects.create(JOBS, "default", json.loads(sys.argv[3]))
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_killed_mode_leaves_no_process_and_loses_no_job(tmp_path: Path) -> None:
    state, root = tmp_path / "state", tmp_path / "pods"
    job = a_job(STUBBORN)
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    job["spec"]["podFailurePolicy"] = {"rules": rules}
    tests = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": tests}
    arguments = (str(state), str(root), json.dumps(job))
    mode = await asyncio.create_subprocess_exec(sys.executable, "-c", MODE, *arguments, env=environment)
    worker = int(await until(lambda: next((f.read_text() for f in root.glob("logs/*.log")), ""), what="the worker"))
    mode.kill()
    await mode.wait()
    assert is_alive(worker), "it ignores the signal that tells of its parent's death"
    async with embedded_cluster(state=state, root=root) as again:
        await until(lambda: not is_alive(worker), what="the old process to be ended")
        running = await until(phase_is(again, "Running"), what="another Pod of the same Job")
        lost = [pod["status"]["reason"] for pod in listed(again, PODS) if pod["status"]["phase"] == "Failed"]
        assert lost == ["NodeLost"]
        again.api.objects.delete(PODS, ("default", running["metadata"]["name"]), Deletion(grace_seconds=0))
