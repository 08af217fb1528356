"""From `kubectl apply` to the verified package on a real cluster: how long, and which part of it is ours.

A plain Job that does nothing, in the worker's image and with its Pod's shape, takes turns with a task, so that what the
cluster needs to start and to end a Pod is known from the same minutes. All is seen through watches, by one clock.

Usage: KUBECONFIG=… python bench/cluster.py [--rounds N] [--write docs/cluster-bench.md]    (after `make e2e-images`)
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e_cluster import HOME, TAG, TEAM, Cluster, install, serve_files, task, uninstall
from kubeapi import GROUP, client_of
from requirements import kubeconfig

Object = dict[str, Any]
JOBS = f"/apis/batch/v1/namespaces/{TEAM}/jobs"
PODS = f"/api/v1/namespaces/{TEAM}/pods"
TASKS = f"{GROUP}/namespaces/{TEAM}/repackagetasks"
GOAL_SECONDS, GOAL_OURS_SECONDS = 8.0, 3.0


@dataclass
class Marks:
    """When something was first seen of one task, in seconds of one clock."""

    asked: float = 0.0
    job: float = 0.0
    running: float = 0.0
    ended: float = 0.0
    done: float = 0.0


@dataclass
class Series:
    """Spans of all rounds, in seconds, by name."""

    spans: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Add a span."""
        self.spans.setdefault(name, []).append(seconds)

    def at(self, name: str, percent: int) -> float:
        """Return a percentile."""
        return statistics.quantiles(self.spans[name], n=100, method="inclusive")[percent - 1]


class Eyes:
    """Watches tasks, Jobs and Pods, and notes when their states are first seen."""

    def __init__(self, kubeconfig: Path) -> None:
        self.marks: dict[str, Marks] = {}
        self._kubeconfig = kubeconfig

    @contextmanager
    def open(self) -> Iterator[None]:
        """Watch."""
        for path, note in ((TASKS, self._task), (JOBS, self._job), (PODS, self._pod)):
            threading.Thread(target=self._watch, args=(path, note), daemon=True).start()
        time.sleep(1)  # until all three are open; what was before is of no interest
        yield

    def _watch(self, path: str, note: Callable[[Object], None]) -> None:
        with client_of(self._kubeconfig) as client:
            query = {"watch": "true", "timeoutSeconds": "3600"}
            with client.stream("GET", path, params=query, timeout=None) as response:
                for line in response.iter_lines():
                    note(json.loads(line)["object"])

    def _mark(self, name: str, moment: str) -> None:
        marks = self.marks.get(name)
        if marks is not None and not getattr(marks, moment):
            setattr(marks, moment, time.monotonic())

    def _task(self, body: Object) -> None:
        if body.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            self._mark(body["metadata"]["name"], "done")

    def _job(self, body: Object) -> None:
        name = _name(body)
        self._mark(name, "job")
        if body.get("status", {}).get("succeeded") and name.startswith("plain"):
            self._mark(name, "done")

    def _pod(self, body: Object) -> None:
        for status in body.get("status", {}).get("containerStatuses", []):
            if status["state"].get("running") or status["state"].get("terminated"):
                self._mark(_name(body), "running")
            if status["state"].get("terminated"):
                self._mark(_name(body), "ended")


def _name(body: Object) -> str:
    labels = body["metadata"].get("labels", {})
    return str(labels.get("dify-repack.io/task") or labels.get("plain") or "")


def plain_job(name: str) -> Object:
    """Return a Job that does nothing, in a Pod like that of a worker."""
    container = {
        "name": "worker",
        "image": f"dify-repack/worker:{TAG}",
        "command": ["/bin/true"],
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "work", "emptyDir": {}}],
    }
    labels = {"plain": name}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": spec}


def measure(kubeconfig: Path, *, rounds: int) -> Series:
    """Let a plain Job and a task take turns; the first of each is not counted."""
    eyes, series = Eyes(kubeconfig), Series()
    with client_of(kubeconfig) as client, eyes.open():

        def go(name: str, path: str, body: Object) -> Marks:
            marks = eyes.marks[name] = Marks(asked=time.monotonic())
            client.post(path, json=body).raise_for_status()
            deadline = time.monotonic() + 120
            while not (marks.done and marks.ended) and time.monotonic() < deadline:
                time.sleep(0.01)
            if not (marks.done and marks.ended):
                raise SystemExit(f"{name} did not end")
            client.delete(f"{path}/{name}", params={"propagationPolicy": "Background"})
            time.sleep(2)  # its Pod goes meanwhile
            return marks

        for number in range(rounds + 1):
            plain = go(f"plain-{number}", JOBS, plain_job(f"plain-{number}"))
            made = go(f"bench-{number}", TASKS, task(f"bench-{number}", "locked"))
            if number:
                _count(series, plain, made)
    return series


def _count(series: Series, plain: Marks, made: Marks) -> None:
    # Both up to the news that the container has ended, which is all that a task's success waits for of Kubernetes;
    # that a Job is Complete the Job controller says about two seconds later.
    total, bare = made.done - made.asked, plain.ended - plain.asked
    series.add("task", total)
    series.add("plain", bare)
    series.add("plain complete", plain.done - plain.asked)
    series.add("ours", total - bare)
    series.add("to the Job", made.job - made.asked)
    series.add("Pod start", made.running - made.job)
    series.add("worker", made.ended - made.running)
    series.add("to the status", made.done - made.ended)


def page(series: Series, *, rounds: int, version: str) -> str:
    """Return the page."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    rows = [
        ("**apply → verified package**", "task"),
        ("of it: apply → Job (operator)", "to the Job"),
        ("of it: Job → container runs (scheduler, kubelet, containerd)", "Pod start"),
        ("of it: container runs → ended (worker, and the kubelet's reports)", "worker"),
        ("of it: ended → status Succeeded (operator)", "to the status"),
        ("a plain Job that does nothing: apply → its container is known to have ended", "plain"),
        ("**ours: the task less the plain Job of the same round**", "ours"),
        ("for comparison: the plain Job → Complete, as `kubectl wait` sees it", "plain complete"),
    ]
    table = "\n".join(f"| {text} | {series.at(key, 50):.2f} | {series.at(key, 95):.2f} |" for text, key in rows)
    return f"""# Cluster benchmark

<!-- Written by `make bench-cluster`. Do not edit. -->

From a `RepackageTask` that is created to its `Succeeded` with a verified package in the dashboard's store, on a real
Kubernetes {version}: a small plugin with a lock and two wheels, served in the cluster; images on the node already.
Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores that the whole cluster shares
(Linux {platform.release()}), load averages at the end {load}. {rounds} rounds; a plain Job and a task take turns.

| span, seconds | p50 | p95 |
|---|---|---|
{table}

Goals: p50 of the whole ≤ {GOAL_SECONDS:.0f} s ({_met(series.at("task", 50), GOAL_SECONDS)}), of which ours
≤ {GOAL_OURS_SECONDS:.0f} s ({_met(series.at("ours", 50), GOAL_OURS_SECONDS)}).
"""


def _met(value: float, goal: float) -> str:
    return f"{value:.2f} s: {'met' if value <= goal else 'not met'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    config = kubeconfig()
    if config is None:
        raise SystemExit("set KUBECONFIG to the cluster to measure on")
    cluster = Cluster(config)
    cluster.ensure_namespace(HOME)
    cluster.ensure_namespace(TEAM)
    try:
        serve_files(cluster)
        install(cluster)
        series = measure(config, rounds=options.rounds)
        version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    finally:
        uninstall(cluster)
        cluster.kubectl("delete", "namespace", HOME, TEAM, "--timeout=90s")
        cluster.kubectl("delete", "crd", "repackagetasks.dify-repack.io", "--ignore-not-found")
    text = page(series, rounds=options.rounds, version=version)
    sys.stdout.write(text)
    if options.write:
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
