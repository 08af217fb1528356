"""Two dashboards with a Redis, whose users are those of the cluster: what one loses the other has."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from e2e_cluster import (
    FILES,
    HARDENED,
    HOME,
    RELEASE,
    TAG,
    TEAM,
    Cluster,
    Object,
    a_pod,
    a_service,
    install,
    task,
    uninstall,
)
from kubeapi import until

PASSWORD = "only-for-the-dashboards"


@pytest.fixture(scope="module")
def replicas(cluster: Cluster) -> Iterator[Cluster]:
    """Two dashboards, a Redis with a password, a volume that both mount, and a user who may see one namespace."""
    container = {
        "name": "redis",
        "image": f"dify-repack/redis:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--bind", "0.0.0.0", "--save", "", "--dir", "/data", "--requirepass", PASSWORD],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "securityContext": HARDENED,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    url = f"redis://:{PASSWORD}@redis.{HOME}.svc:6379/0"
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    cluster.apply(
        a_pod("redis", container, [{"name": "data", "emptyDir": {}}]),
        a_service("redis", port=6379, target=6379),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"}, "stringData": {"url": url}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"}, "spec": claim},
        namespace=HOME,
    )
    cluster.kubectl("-n", HOME, "wait", "--for=condition=Ready", "pod/redis", "--timeout=60s")
    cluster.apply(account("reader"), account("stranger"), binding("reader"))
    dashboard = {
        "replicas": 2,
        "auth": {"mode": "kubernetes"},
        "redis": {"existingSecret": {"name": "redis"}},
        "persistence": {"existingClaim": "shared", "accessModes": ["ReadWriteMany"]},
        "preStopSeconds": 0,
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}},
    }
    install(cluster, {"dashboard": dashboard})
    yield cluster
    uninstall(cluster)
    cluster.kubectl("-n", HOME, "delete", "pod/redis", "pvc/shared", "--wait=false")


def account(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def binding(name: str) -> Object:
    """Return what lets an account see what the cluster's role `view` shows, in the namespace of the tasks."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": TEAM}],
    }


def user(cluster: Cluster, name: str) -> dict[str, str]:
    """Return the header of a user."""
    return {"Authorization": f"Bearer {cluster.kubectl('-n', TEAM, 'create', 'token', name).strip()}"}


class Follower:
    """A client of one task's channel: what it was told, in order."""

    def __init__(self, uid: str, headers: dict[str, str]) -> None:
        self._uid, self.headers = uid, headers
        self.hello: Object = {}
        self.numbers: list[int] = []
        self.phases: list[str] = []

    @contextmanager
    def join(self, url: str) -> Iterator[ClientConnection]:
        """Connect, from where it was."""
        since = f"&since={self.numbers[-1]}&epoch={self.hello['epoch']}" if self.numbers else ""
        address = f"{url.replace('http', 'ws', 1)}/ws/tasks/{self._uid}?v=1{since}"
        with connect(address, additional_headers=self.headers, proxy=None, open_timeout=20) as socket:
            self.hello = self._read(socket)
            yield socket

    def hear(self, socket: ClientConnection, *, until_phase: str) -> None:
        """Listen until the task is in a phase; log lines, which have no numbers, are passed over."""
        while until_phase not in self.phases[-1:]:
            message = self._read(socket)
            if "seq" in message:
                self.numbers.append(message["seq"])
            if message["type"] in {"snapshot", "task.status"}:
                self.phases.append(message["data"].get("status", {}).get("phase", ""))

    def _read(self, socket: ClientConnection) -> Any:
        return json.loads(socket.recv(timeout=60))


def dashboards(cluster: Cluster) -> list[str]:
    """Return the names of the Pods that are ready."""
    pods = cluster.get("pods", "", "-l", "app.kubernetes.io/component=dashboard", namespace=HOME)["items"]
    return [
        pod["metadata"]["name"]
        for pod in pods
        if {"type": "Ready", "status": "True"}.items()
        <= next((c for c in pod["status"].get("conditions", []) if c["type"] == "Ready"), {}).items()
    ]


def test_a_dashboard_that_is_killed_in_the_middle_of_a_task_costs_its_clients_nothing(replicas: Cluster):
    one, other = until(lambda: (d := dashboards(replicas))[1:] and d, what="two dashboards", seconds=60)[:2]
    source = {"type": "URL", "url": {"url": f"{FILES}/slowly/4/locked.difypkg"}}
    replicas.apply(task("followed", source=source))
    body = replicas.get("rpt", "followed")
    follower = Follower(body["metadata"]["uid"], user(replicas, "reader"))
    with ExitStack() as stack:
        first = stack.enter_context(replicas.forward(f"pod/{one}", 8080))
        second = stack.enter_context(replicas.forward(f"pod/{other}", 8080))
        httpx.get(f"{first}/healthz", trust_env=False).raise_for_status()
        until(lambda: known(first, body, follower), what="the task to be known there")
        with follower.join(first) as socket:
            follower.hear(socket, until_phase="Running")
            replicas.kubectl("-n", HOME, "delete", "pod", one, "--grace-period=0", "--force", "--wait=false")
            with pytest.raises(ConnectionClosed):  # what comes until then has its number
                follower.hear(socket, until_phase="Succeeded")
        with follower.join(second) as again:
            assert follower.hello["recovered"] is True
            follower.hear(again, until_phase="Succeeded")
        status = replicas.finished("followed")
        content = httpx.get(second + status["artifacts"][0]["uri"], headers=follower.headers, trust_env=False)
    assert content.status_code == httpx.codes.OK
    first_number = follower.numbers[0]
    assert follower.numbers == list(range(first_number, first_number + len(follower.numbers)))


def known(url: str, body: Object, follower: Follower) -> bool:
    """Tell whether a dashboard shows a task to the follower."""
    answer = httpx.get(f"{url}/api/v1/tasks/{body['metadata']['uid']}", headers=follower.headers, trust_env=False)
    return answer.status_code == httpx.codes.OK


def test_users_see_what_the_cluster_lets_them_list(replicas: Cluster):
    replicas.apply(task("seen", "locked"))
    replicas.finished("seen")
    with replicas.forward(f"svc/{RELEASE}-dashboard", "http") as url:

        def names(headers: dict[str, str]) -> set[str]:
            answer = httpx.get(f"{url}/api/v1/tasks", headers=headers, trust_env=False).raise_for_status()
            return {item["name"] for item in answer.json()["items"]}

        reader = user(replicas, "reader")
        until(lambda: "seen" in names(reader), what="the reader to see the task")
        assert names(user(replicas, "stranger")) == set()
        uid = replicas.get("rpt", "seen")["metadata"]["uid"]
        refused = httpx.delete(f"{url}/api/v1/tasks/{uid}", headers=reader, trust_env=False)
        assert refused.status_code == httpx.codes.FORBIDDEN, refused.text
        assert httpx.get(f"{url}/api/v1/tasks", trust_env=False).status_code == httpx.codes.UNAUTHORIZED


def test_the_self_test_of_the_chart_passes_with_an_account_of_its_own(replicas: Cluster):
    said = replicas.helm("test", RELEASE, "-n", HOME, "--logs", "--timeout", "120s")
    assert "verified by SeccompFilter" in said
