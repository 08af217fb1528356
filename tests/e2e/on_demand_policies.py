"""The chart's NetworkPolicies where something enforces them: `make e2e-policies`.

What is meant to pass passes, and a worker's Pod, in which the build code of packages runs, reaches nothing else.
`POLICY_ENFORCER` is a command that enforces policies on the node while it runs; it may be empty where the cluster does.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_cluster import FILES, HARDENED, HOME, RELEASE, TAG, TEAM, Cluster, Object, a_pod, install, task, uninstall
from kubeapi import until

WORKER = {"app.kubernetes.io/component": "worker", "app.kubernetes.io/managed-by": "dify-repack-operator"}
TRY = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("reached")
except OSError as error:
    print("not reached:", error)
"""
LISTEN = "import http.server as h; h.ThreadingHTTPServer(('', 8000), h.SimpleHTTPRequestHandler).serve_forever()"
DASHBOARD = (f"{RELEASE}-dashboard.{HOME}.svc", 80)


@pytest.fixture(scope="module")
def enforced(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The chart with its policies, Pods to try from, and something that enforces them."""
    ingress = [{"podSelector": {"matchLabels": {"app": "ingress"}}}]
    policies = {
        "jobNamespaces": [TEAM],
        "jobPorts": [8000],  # what Pods listen on, not what their Services show
        "dashboardFrom": ingress,
        "metricsFrom": ingress,
    }
    cluster.apply(prober("as-worker", WORKER), prober("stranger", {}), namespace=TEAM)
    cluster.apply(prober("ingress", {"app": "ingress"}), namespace=HOME)
    for namespace, name in ((TEAM, "as-worker"), (TEAM, "stranger"), (HOME, "ingress")):
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    install(cluster, {"networkPolicies": policies})
    command = os.environ.get("POLICY_ENFORCER", "")
    log = tmp_path_factory.mktemp("enforcer") / "log"
    process = start(command, log)
    try:
        until(lambda: not reaches(cluster, "stranger", *DASHBOARD),
              what=f"the policies to be in force: {log.read_text('utf-8')[-3000:]}", seconds=60)  # fmt: skip
        yield cluster
    finally:
        if process is not None:
            process.terminate()
            process.wait(timeout=20)
        uninstall(cluster)
        cluster.kubectl("-n", TEAM, "delete", "pod", "as-worker", "stranger", "--wait=false")
        cluster.kubectl("-n", HOME, "delete", "pod", "ingress", "--wait=false")


def start(command: str, log: Path) -> "subprocess.Popen[bytes] | None":
    """Start the enforcer."""
    with log.open("wb") as stream:
        return subprocess.Popen(shlex.split(command), stdout=stream, stderr=stream) if command else None


def prober(name: str, labels: dict[str, str]) -> Object:
    """Return a Pod that listens, and in which connections can be tried."""
    container = {
        "name": "files",
        "image": f"dify-repack/dashboard:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", LISTEN],
        "securityContext": HARDENED,
        "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    }
    pod = a_pod(name, container, [])
    pod["metadata"]["labels"] |= labels
    return pod


def reaches(cluster: Cluster, pod: str, host: str, port: int, *, namespace: str = TEAM) -> bool:
    """Try to connect from a Pod."""
    said = cluster.kubectl("-n", namespace, "exec", pod, "--", "python", "-c", TRY, host, str(port))
    assert "reached" in said, said
    return said.startswith("reached")


def address(cluster: Cluster, name: str, namespace: str) -> str:
    """Return a Pod's address."""
    return str(cluster.get("pod", name, namespace=namespace)["status"]["podIP"])


def operator_address(cluster: Cluster) -> str:
    """Return the address of the operator's Pod."""
    (pod,) = cluster.get("pods", "", "-l", "app.kubernetes.io/component=operator", namespace=HOME)["items"]
    return str(pod["status"]["podIP"])


def test_a_task_succeeds_so_every_way_that_is_needed_is_open(enforced: Cluster):
    enforced.apply(task("behind-policies", "good"))
    status = enforced.finished("behind-policies")
    assert status["phase"] == "Succeeded", status


def test_a_worker_reaches_the_index_and_the_dashboard_and_nothing_else(enforced: Cluster):
    files = FILES.removeprefix("http://")
    assert reaches(enforced, "as-worker", files, 80)
    assert reaches(enforced, "as-worker", *DASHBOARD)
    assert not reaches(enforced, "as-worker", "kubernetes.default.svc", 443)
    assert not reaches(enforced, "as-worker", operator_address(enforced), 8081)


def test_nobody_reaches_a_worker(enforced: Cluster):
    worker = address(enforced, "as-worker", TEAM)
    assert not reaches(enforced, "stranger", worker, 8000)
    assert not reaches(enforced, "ingress", worker, 8000, namespace=HOME)


def test_only_those_who_are_named_reach_the_page_and_the_metrics(enforced: Cluster):
    assert reaches(enforced, "ingress", *DASHBOARD, namespace=HOME)
    assert reaches(enforced, "ingress", operator_address(enforced), 8081, namespace=HOME)
    assert not reaches(enforced, "stranger", *DASHBOARD)
    assert not reaches(enforced, "stranger", operator_address(enforced), 8081)
