"""What a task costs the API server and the operator: calls, CPU, memory. The call budget is 3, its limit 4.2.

Usage: python bench/operator [--tasks N] [--stored N] [--write FILE]
       python bench/operator --kubeconfig FILE --audit-log FILE --worker-image IMAGE [--real-tasks N] [--write FILE]

The operator runs as a process of its own. The embedded API answers, and a player in place of the Job controller and the
kubelet writes what Jobs and Pods would become. With a kubeconfig the calls are also counted on that cluster, where real
Pods of the given image (any with `sh`) write the result of a worker and end; its API server must write an audit log
(tests/audit-policy.yaml) to a file that can be read here.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from counting import DRIVER, Calls, from_audit_log
from report import Report, Run, as_markdown

from embedded import embedded_api
from fakes.job_controller import Player, a_result, runs
from kubeapi import real_server
from operator_process import OperatorProcess
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from repack_kube.resources import TASKS, Object, Scope
from repack_local.api import EmbeddedApi

NAMESPACE = "default"
_LABEL = "dify-repack.io/bench"
_RESULT = json.dumps(a_result("amd64"))
_FINAL = {"Succeeded", "Failed", "Cancelled"}
_TOGETHER = 4
_KEY = ("dify-repack.io", "repackagetasks")


@dataclass
class Place:
    """Where is measured: a cluster, and how the operator is to be run there."""

    cluster: KubeCluster
    kubeconfig: Path
    tasks: int
    """How many to run to their end."""
    settings: dict[str, str] = field(default_factory=dict)
    together: int = 0
    """So many unfinished tasks at one time, where Pods are real and a node has room for few; 0 sets no bound."""
    embedded: EmbeddedApi | None = None
    player: Player | None = None
    audit_log: Path | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=300, help="tasks to run to their end (default: 300)")
    parser.add_argument("--real-tasks", type=int, default=100, help="tasks to run on a real cluster (default: 100)")
    parser.add_argument("--stored", type=int, default=10_000, help="tasks to keep in memory (default: 10000)")
    parser.add_argument("--kubeconfig", type=Path, help="a real cluster")
    parser.add_argument("--audit-log", type=Path, help="the audit log of its API server")
    parser.add_argument("--worker-image", help="an image with sh, for the Pods of that cluster")
    parser.add_argument("--write", type=Path, help="write the page to this file too")
    arguments = parser.parse_args()
    if arguments.kubeconfig and not (arguments.audit_log and arguments.worker_image):
        parser.error("--kubeconfig needs --audit-log and --worker-image")
    report = asyncio.run(measure(arguments))
    text = as_markdown(report)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


async def measure(arguments: argparse.Namespace) -> Report:
    report = Report(load=os.getloadavg())
    places = [a_cluster, an_embedded_api] if arguments.kubeconfig else [an_embedded_api]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for a_place in places:
            folder = Path(name) / a_place.__name__
            folder.mkdir()
            async with a_place(arguments) as place:
                await measure_tasks(place, report, folder, events=False, queued=False)
                await measure_tasks(place, report, folder, events=True, queued=False)
                await measure_tasks(place, report, folder, events=False, queued=True)
                if place.embedded is not None:
                    await measure_memory(place, report, folder, stored=arguments.stored)
    return report


@contextlib.asynccontextmanager
async def an_embedded_api(arguments: argparse.Namespace) -> AsyncIterator[Place]:
    """Run the embedded API and the player of Jobs and Pods."""
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(embedded_api())
        access = await find_access(kubeconfig=api.kubeconfig_path)
        cluster = await stack.enter_async_context(a_driver(access))
        player = Player(await stack.enter_async_context(a_driver(access)))
        playing = asyncio.create_task(player.run())
        stack.callback(playing.cancel)
        yield Place(cluster, api.kubeconfig_path, arguments.tasks, embedded=api.api, player=player)


@contextlib.asynccontextmanager
async def a_cluster(arguments: argparse.Namespace) -> AsyncIterator[Place]:
    """Use the cluster of a kubeconfig, with our CRD in it meanwhile."""
    command = ["sh", "-c", f"printf %s '{_RESULT}' > /dev/termination-log"]
    settings = {
        "WORKER_IMAGE": arguments.worker_image,
        "WORKER_COMMAND": json.dumps(command),
        "PROFILES": json.dumps({"default": {"memory": ["64Mi"], "cpu": "20m", "storage": "64Mi"}}),
        "NAMESPACES": json.dumps([NAMESPACE]),
    }
    with real_server(arguments.kubeconfig):
        async with a_driver(await find_access(kubeconfig=arguments.kubeconfig)) as cluster:
            yield Place(
                cluster, arguments.kubeconfig, arguments.real_tasks, settings,
                together=_TOGETHER, audit_log=arguments.audit_log,
            )  # fmt: skip


@contextlib.asynccontextmanager
async def a_driver(access: object) -> AsyncIterator[KubeCluster]:
    """A client that shows another User-Agent than the operator, so that its calls are not counted."""
    async with KubeCluster(access, qps=1000, burst=1000) as cluster:  # type: ignore[arg-type]
        cluster._transport.user_agent = DRIVER
        yield cluster


async def measure_tasks(place: Place, report: Report, folder: Path, *, events: bool, queued: bool) -> None:
    """Run tasks to their end; with `queued` most of them wait for a slot first."""
    slots = max(place.tasks // 20, 1) if queued else place.tasks
    settings = place.settings | {
        "KUBERNETES_EVENTS": str(events).lower(),
        "MAX_CONCURRENT": str(slots),
        "STARTS_PER_SECOND": "1000",
        "API_QPS": "500",
    }
    operator = OperatorProcess.start(place.kubeconfig, folder / f"log-{events}-{queued}", **settings)
    try:
        await until(operator.is_ready)
        calls, position = Calls(), place.audit_log.stat().st_size if place.audit_log else 0
        if place.embedded is not None:
            place.embedded.on_request = calls.note
        cpu, started = cpu_seconds(operator.process.pid), time.monotonic()
        for number in range(place.tasks):
            if place.together and not queued:
                await until_few(place)
            await place.cluster.create(TASKS, a_task(f"bench-{number}"))
        steps = await until_done(place, place.tasks)
        seconds, cpu = time.monotonic() - started, cpu_seconds(operator.process.pid) - cpu
        if place.audit_log is not None:
            await asyncio.sleep(2)  # the log is written beside the answers
            calls = from_audit_log(place.audit_log, after=position)
        if place.embedded is not None:
            place.embedded.on_request = lambda _method, _path, _user_agent: None
        run = Run(calls, place.embedded is None, place.tasks, cpu, seconds, events, queued, slots, steps)
        report.runs.append(run)
        for number in range(place.tasks):
            await place.cluster.delete(TASKS, f"bench-{number}", namespace=NAMESPACE)
    finally:
        await asyncio.to_thread(operator.terminate)


async def until_few(place: Place) -> None:
    """Wait until there is room for one more unfinished task."""
    while True:  # ends with the tasks, or with until_done's patience
        listed = (await place.cluster.list(TASKS, Scope(NAMESPACE, labels=_LABEL))).items
        if sum(body.get("status", {}).get("phase") not in _FINAL for body in listed) < place.together:
            return
        await asyncio.sleep(0.1)


async def until_done(place: Place, tasks: int, *, seconds: float = 600) -> int:
    """Wait for the end of all tasks; return the steps that they took together."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        listed = (await place.cluster.list(TASKS, Scope(NAMESPACE, labels=_LABEL))).items
        phases = [body.get("status", {}).get("phase") for body in listed]
        if len(phases) == tasks and all(phase == "Succeeded" for phase in phases):
            return sum(body["status"]["sequence"] for body in listed)
        if "Failed" in phases:
            raise SystemExit(
                f"a task failed: {next(b['status'] for b in listed if b['status'].get('phase') == 'Failed')}"
            )
        await asyncio.sleep(1)
    raise SystemExit(f"not all tasks ended within {seconds:g} s: {Counter(phases)}")


async def measure_memory(place: Place, report: Report, folder: Path, *, stored: int) -> None:
    """Fill the API with finished tasks and a tenth that waits, and look at the operator after it has read them all."""
    assert place.embedded is not None
    assert place.player is not None
    place.player.default = runs
    operator = OperatorProcess.start(
        place.kubeconfig, folder / "log-idle", MAX_CONCURRENT="1", KUBERNETES_EVENTS="false"
    )
    try:
        await until(operator.is_ready)
        report.idle_mib = memory_mib(operator.process.pid, "VmRSS")
    finally:
        await asyncio.to_thread(operator.terminate)
    finished = await a_finished_task(place, folder)
    for number in range(stored):
        metadata = finished["metadata"] | {"name": f"stored-{number}", "uid": f"00000000-0000-4000-8000-{number:012}"}
        status = {} if number % 10 == 0 else finished["status"]
        place.embedded.storage.put(_KEY, {**finished, "metadata": metadata, "status": status}, old=None)
        if number % 200 == 0:
            await asyncio.sleep(0)
    operator = OperatorProcess.start(
        place.kubeconfig, folder / "log-full", MAX_CONCURRENT="1", KUBERNETES_EVENTS="false"
    )
    try:
        await until(operator.is_ready, seconds=300)
        await until(lambda: waiting_told(place) >= stored // 10 - 1, seconds=600)
        report.stored, report.waiting = stored, stored // 10 - 1
        report.full_mib = memory_mib(operator.process.pid, "VmRSS")
        report.peak_mib = memory_mib(operator.process.pid, "VmHWM")
        await asyncio.sleep(40)  # until what was told has come back as events, and been looked at
        cpu, started = cpu_seconds(operator.process.pid), time.monotonic()
        await asyncio.sleep(30)
        report.resting_cpu = (cpu_seconds(operator.process.pid) - cpu) / (time.monotonic() - started)
    finally:
        await asyncio.to_thread(operator.terminate)


def waiting_told(place: Place) -> int:
    """Return how many tasks say that they wait."""
    assert place.embedded is not None
    return sum(entry.obj.get("status", {}).get("phase") == "Queued" for entry in place.embedded.storage.entries(_KEY))


async def a_finished_task(place: Place, folder: Path) -> Object:
    """Run one task, to have an object with everything in it that a finished one has."""
    from fakes.job_controller import succeeds  # noqa: PLC0415

    assert place.player is not None
    place.player.default = succeeds
    operator = OperatorProcess.start(place.kubeconfig, folder / "log-one", KUBERNETES_EVENTS="false")
    try:
        await place.cluster.create(TASKS, a_task("bench-0"))
        await until_done(place, 1)
    finally:
        await asyncio.to_thread(operator.terminate)
        place.player.default = runs
    body = await place.cluster.get(TASKS, "bench-0", namespace=NAMESPACE)
    await place.cluster.delete(TASKS, "bench-0", namespace=NAMESPACE)
    return body


def a_task(name: str) -> Object:
    source = {"type": "URL", "url": {"url": "http://files.test/plugin.difypkg"}}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {_LABEL: "true"}}
    spec = {"source": source, "targets": [{"arch": "amd64"}]}
    return {"apiVersion": TASKS.api_version, "kind": TASKS.kind, "metadata": metadata, "spec": spec}


async def until(condition: object, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):  # type: ignore[arg-type]
        if time.monotonic() > deadline:
            raise SystemExit("the operator did not get there in time")
        await asyncio.sleep(0.2)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, user and system (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, what: str) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
