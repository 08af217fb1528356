"""A real cluster with the chart installed: kubectl, helm, plugins that are served inside, and the way to Services."""

import base64
import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from fakes.index import WheelFile, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from helmchart import CHART, ROOT
from kubeapi import until
from requirements import require_command

Object = dict[str, Any]

RELEASE = "dify-repack"
HOME = "dify-repack-e2e"
"""Namespace of the release."""
TEAM = "dify-repack-e2e-team"
"""Namespace of tasks."""
LACKING = "lacking-"
"""How the accounts begin whose rights are taken away on purpose."""
TAG = os.environ.get("E2E_TAG", "e2e")
"""Tag of the images under test; `make e2e-images` builds them."""
FILES = f"http://files.{TEAM}.svc"
HARDENED: Object = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}

LEAF = a_wheel("tiny-leaf", "2.0", source="VALUE = 2")
SDK = a_wheel("tiny-sdk", "1.0", requires=("tiny-leaf>=1",), source="import tiny_leaf")
WHEELS = (LEAF, SDK)

VALUES: Object = {
    "images": {name: {"tag": TAG} for name in ("operator", "dashboard", "worker")},
    "worker": {
        "indexUrl": f"{FILES}/simple/",
        # A small node must be able to run several at once.
        "profiles": {"default": {"memory": ["256Mi", "512Mi"], "cpu": "50m", "storage": "1Gi"}},
    },
    "operator": {"resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}},
}


class _Index:
    """The addresses that a lock names."""

    url = f"{FILES}/simple"

    def file_url(self, wheel: WheelFile) -> str:
        """Return where a wheel lies."""
        return f"{FILES}/packages/{wheel.filename}"


def index_files() -> dict[str, bytes]:
    """Return a package index, by path."""
    files = {f"packages/{wheel.filename}": wheel.content for wheel in WHEELS}
    for wheel in WHEELS:
        link = f'<a href="../../packages/{wheel.filename}#sha256={wheel.sha256}">{wheel.filename}</a>'
        files[f"simple/{wheel.name}/index.html"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
    return files


def served_files() -> dict[str, bytes]:
    """Return what the server in the cluster serves, by path: a package index, and plugins."""
    index: Any = _Index()
    files = index_files()
    locked = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    # The author's lock names the SDK and forgets what the SDK itself needs: a wheel will be missing.
    incomplete = locked | {"uv.lock": a_lock(index, SDK)}
    plugins = {
        "good": plugin_files(),
        "locked": locked | {"uv.lock": a_lock(index, SDK, LEAF, needs=("tiny-sdk", "tiny-leaf"))},
        "incomplete": incomplete,
        "impossible": plugin_files(requirements="never-published==9.9\n"),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, content in plugins.items():
            files[f"{name}.difypkg"] = a_package(Path(folder) / name, content).read_bytes()
    return files


@dataclass(frozen=True)
class Cluster:
    """The cluster of a kubeconfig."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True, seconds: float = 120) -> str:
        """Run kubectl; return what it printed, errors included."""
        return self._run("kubectl", arguments, given, check=check, seconds=seconds)

    def helm(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        """Run helm."""
        return self._run("helm", arguments, given, check=check, seconds=240)

    def _run(self, name: str, arguments: tuple[str, ...], given: str | None, *, check: bool, seconds: float) -> str:
        program = require_command(name, install="the package of your system, or the project's own")
        done = subprocess.run(
            [program, "--kubeconfig", str(self.kubeconfig), *arguments],
            check=False, input=given, capture_output=True, text=True, timeout=seconds,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{name} {' '.join(arguments)}:\n{output}"
        return done.stdout if check else output

    def get(self, kind: str, name: str = "", *options: str, namespace: str = TEAM) -> Object:
        """Return an object, or a list."""
        return dict(
            json.loads(self.kubectl("-n", namespace, "get", kind, *([name] if name else []), *options, "-o", "json"))
        )

    def apply(self, *objects: Object, namespace: str = TEAM) -> str:
        """Apply objects."""
        return self.kubectl("-n", namespace, "apply", "-f", "-", given=yaml.safe_dump_all(objects))

    def ensure_namespace(self, name: str, **labels: str) -> None:
        """Make a namespace in which Pod Security restricted is enforced."""
        metadata = {"name": name, "labels": RESTRICTED | labels}
        self.kubectl(
            "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        )

    def phase(self, name: str, *, namespace: str = TEAM) -> str:
        """Return a task's phase."""
        return str(self.get("rpt", name, namespace=namespace).get("status", {}).get("phase", ""))

    def finished(self, name: str, *, namespace: str = TEAM, seconds: float = 90) -> Object:
        """Wait for a task's end; return its status."""
        final = {"Succeeded", "Failed", "Cancelled"}
        until(lambda: self.phase(name, namespace=namespace) in final, what=f"the end of task {name}", seconds=seconds)
        return dict(self.get("rpt", name, namespace=namespace)["status"])

    @contextlib.contextmanager
    def forward(self, target: str, port: int | str, *, namespace: str = HOME) -> Iterator[str]:
        """Forward a port of a Service or Pod; yield the base URL."""
        program = require_command("kubectl", install="the package of your system, or the one of kubernetes.io")
        command = [program, "--kubeconfig", str(self.kubeconfig), "-n", namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert found, line + process.stdout.read()
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()

    def token(self) -> str:
        """Return the users' token."""
        return base64.b64decode(self.get("secret", f"{RELEASE}-token", namespace=HOME)["data"]["token"]).decode()


def task(name: str, plugin: str = "good", **spec: Any) -> Object:
    """Return a RepackageTask of a plugin that the cluster serves."""
    source = {"type": "URL", "url": {"url": f"{FILES}/{plugin}.difypkg"}}
    return {
        "apiVersion": "dify-repack.io/v1alpha1",
        "kind": "RepackageTask",
        "metadata": {"name": name},
        "spec": {"source": source, "targets": [{"arch": "amd64"}], **spec},
    }


def install(cluster: Cluster, values: Object | None = None, *, wait: bool = True) -> str:
    """Install or upgrade the release with `VALUES` and more."""
    merged = _merged(VALUES, values or {})
    options = ["--wait", "--timeout", "120s"] if wait else []
    return cluster.helm(
        "upgrade", "--install", RELEASE, str(CHART), "-n", HOME, "-f", "-", *options, given=json.dumps(merged)
    )


def uninstall(cluster: Cluster) -> str:
    """Uninstall the release, and wait for its Pods: one that still ends would ask with rights that are gone."""
    said = cluster.helm("uninstall", RELEASE, "-n", HOME, "--wait", "--timeout", "90s", "--ignore-not-found")
    its_pods = ("pod", "-l", f"app.kubernetes.io/instance={RELEASE}")
    cluster.kubectl("-n", HOME, "wait", "--for=delete", *its_pods, "--timeout=90s")
    return said


def _merged(one: Object, other: Object) -> Object:
    merged = dict(one)
    for key, value in other.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def serve_files(cluster: Cluster) -> None:
    """Run the server of plugins and wheels in the namespace of the tasks; no Pod reaches anything outside."""
    serve(cluster, "files", served_files())


def serve(
    cluster: Cluster, name: str, files: dict[str, bytes], *, certificate: str = "", login: str = "", port: int = 80
) -> None:
    """Serve files in the namespace of the tasks by a Service: with a certificate by TLS, to those who log in."""
    files = files | {"server.py": (ROOT / "tests/served_in_cluster.py").read_bytes()}
    keys = {path: f"f{number}" for number, path in enumerate(sorted(files))}
    data = {keys[path]: base64.b64encode(content).decode() for path, content in files.items()}
    container = {
        "name": "files",
        "image": f"dify-repack/dashboard:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/srv/server.py"],
        "env": [{"name": "LOGIN", "value": login}],
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
        "securityContext": HARDENED,
        "volumeMounts": [{"name": "files", "mountPath": "/srv"}, {"name": "tls", "mountPath": "/tls"}],
    }
    items = [{"key": key, "path": path} for path, key in keys.items()]
    volumes = [
        {"name": "files", "configMap": {"name": name, "items": items}},
        {"name": "tls", "secret": {"secretName": f"{name}-tls", "optional": True}},
    ]
    objects: list[Object] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "binaryData": data},
        a_pod(name, container, volumes),
        a_service(name, port=port, target=8000),
    ]
    if certificate:
        metadata = {"name": f"{name}-tls"}
        objects.append(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"tls.pem": certificate}}
        )
    cluster.apply(*reversed(objects))
    cluster.kubectl("-n", TEAM, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def a_pod(name: str, container: Object, volumes: list[Object]) -> Object:
    """Return a Pod that Pod Security restricted allows."""
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def a_service(name: str, *, port: int, target: int) -> Object:
    """Return the Service in front of that Pod."""
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@contextlib.contextmanager
def page_of(cluster: Cluster) -> Iterator[httpx.Client]:
    """Yield a client of the dashboard's REST interface, through its Service, with the users' token."""
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    with (
        cluster.forward(f"svc/{RELEASE}-dashboard", "http") as url,
        httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
    ):
        yield client


_OURS = {"repackagetasks", "jobs", "leases", "tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"}
"""Kinds of which the calls are ours; Kubernetes' own controllers are refused now and then, in namespaces that end."""
_READ = {"pods", "events"}
"""Kinds of which the reads are ours."""


def refused_calls(cluster: Cluster) -> dict[str, float]:
    """Return how many calls to kinds that we use the API server has refused with 403, by verb and resource."""
    refused: dict[str, float] = {}
    for line in cluster.kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith("apiserver_request_total{") and 'code="403"' in line:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            verb, resource = labels["verb"], labels["resource"]
            if resource in _OURS or (resource in _READ and verb in {"GET", "LIST", "WATCH"}):
                call = f"{verb} {labels['group']}/{resource}/{labels['subresource']}"
                refused[call] = refused.get(call, 0) + float(line.rpartition(" ")[2])
    return refused


def metric(text: str, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    total = 0.0
    for line in text.splitlines():
        if re.match(rf"{name}[{{ ]", line) and all(f'{key}="{value}"' in line for key, value in labels.items()):
            total += float(line.rpartition(" ")[2])
    return total
