"""A Kubernetes API under test, embedded or real: raw HTTP with the kubeconfig's credentials, and the real kubectl."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from embedded import CRD, RunningApi, embedded_api
from repack_local.jobs import JobController
from requirements import require_command

Object = dict[str, Any]

GROUP = "/apis/dify-repack.io/v1alpha1"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

WAIT_SECONDS = 20.0

_numbers = itertools.count(1)


def until(condition: Callable[[], Any], *, what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the first true answer of `condition`, or fail naming what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


@dataclass(frozen=True)
class Server:
    """An API that runs: how to reach it. `running` is set of the embedded one."""

    kubeconfig: Path
    client: httpx.Client
    running: RunningApi | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_real(self) -> bool:
        """Whether it is a cluster's."""
        return self.running is None

    def stranger(self, *, token: str) -> httpx.Client:
        """Return a client with nothing but a token."""
        return client_of(self.kubeconfig, token=token)

    def forget_history(self) -> None:
        """Make version 1 too old to watch from; on a real API server it is."""
        if self.running is not None and self.loop is not None:
            self.loop.call_soon_threadsafe(self.running.api.storage.history.forget)


@dataclass
class Kube:
    """An API and a namespace of it that a test has for itself."""

    server: Server
    namespace: str
    made: list[str] = field(default_factory=list)

    @property
    def client(self) -> httpx.Client:
        """HTTP with credentials."""
        return self.server.client

    @property
    def tasks(self) -> str:
        """Path of the tasks of the namespace."""
        return f"{GROUP}/namespaces/{self.namespace}/repackagetasks"

    def core(self, plural: str) -> str:
        """Path of a core kind of the namespace."""
        return f"/api/v1/namespaces/{self.namespace}/{plural}"

    @property
    def jobs(self) -> str:
        """Path of the Jobs of the namespace."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def leases(self) -> str:
        """Path of the leases of the namespace."""
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"

    def create(self, path: str, obj: Object, **query: Any) -> Object:
        """Create an object and return it."""
        response = self.client.post(path, json=obj, params=query)
        assert response.status_code == 201, response.text
        return dict(response.json())

    def get(self, path: str, **query: Any) -> Object:
        """Read something that must be there."""
        response = self.client.get(path, params=query)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def names(self, path: str, **query: Any) -> list[str]:
        """Return the names of a list."""
        return [item["metadata"]["name"] for item in self.get(path, **query)["items"]]

    def exists(self, path: str) -> bool:
        """Tell whether an object is there."""
        return self.client.get(path).status_code == 200

    def patch(self, path: str, body: Any, *, kind: str = MERGE, **query: Any) -> httpx.Response:
        """Patch an object."""
        return self.client.patch(path, content=json.dumps(body), headers={"Content-Type": kind}, params=query)

    def set_status(self, name: str, status: Object) -> httpx.Response:
        """Merge into the status of a task."""
        return self.patch(f"{self.tasks}/{name}/status", {"status": status})

    def delete(self, path: str, options: Object | None = None, **query: Any) -> httpx.Response:
        """Delete something."""
        return self.client.request("DELETE", path, json=options, params=query)

    @contextlib.contextmanager
    def watching(self, path: str, **query: Any) -> Iterator[Iterator[Object]]:
        """Watch; the events come one by one."""
        params = {"watch": "true", "timeoutSeconds": "15", **query}
        with self.client.stream("GET", path, params=params) as response:
            assert response.status_code == 200, response.read()
            yield (json.loads(line) for line in response.iter_lines() if line)

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace and return what it printed, errors included."""
        command = self._command(arguments)
        done = subprocess.run(command, check=False, input=given, capture_output=True, text=True, timeout=50)
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, output
        return output

    @contextlib.contextmanager
    def kubectl_running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run kubectl beside the test; it is ended when the test goes on."""
        with subprocess.Popen(self._command(arguments), stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        kubectl = require_command("kubectl", install="the package of your system, or the one of kubernetes.io")
        place = ["--kubeconfig", str(self.server.kubeconfig), "-n", self.namespace]
        return [kubectl, *place, "--cache-dir", str(self.server.kubeconfig.parent / "cache"), *arguments]


def a_manifest(name: str = "demo", *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """Return a RepackageTask to be created; arguments are fields of the spec."""
    source = {"type": "URL", "url": {"url": "http://files.test/plugin.difypkg"}}
    metadata: Object = {"name": name} | ({"labels": labels} if labels else {})
    return {
        "apiVersion": "dify-repack.io/v1alpha1",
        "kind": "RepackageTask",
        "metadata": metadata,
        "spec": {"source": source, "targets": [{"arch": "amd64"}], **spec},
    }


def a_config_map(name: str, *, labels: dict[str, str] | None = None, **metadata: Any) -> Object:
    """Return a ConfigMap to be created."""
    return {"metadata": {"name": name, "labels": labels or {}, **metadata}, "data": {"a": "1"}}


def a_job(name: str = "work", *, metadata: Object | None = None, **spec: Any) -> Object:
    """Return a Job whose Pods no node takes, so that nothing runs."""
    container = {"name": "worker", "image": "none.test/none:1", "command": ["true"]}
    pod = {"restartPolicy": "Never", "nodeSelector": {"dify-repack.io/no": "node"}, "containers": [container]}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    return {"metadata": {"name": name, **(metadata or {})}, "spec": {"template": template, **spec}}


def unique(base: str) -> str:
    """Return a name that no other test uses."""
    return f"{base}-{os.getpid()}-{next(_numbers)}"


def client_of(kubeconfig: Path, *, token: str = "") -> httpx.Client:
    """Return an HTTP client with the credentials of a kubeconfig: its CA, and its token or client certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    context_name = config["current-context"]
    chosen = next(entry["context"] for entry in config["contexts"] if entry["name"] == context_name)
    cluster = next(entry["cluster"] for entry in config["clusters"] if entry["name"] == chosen["cluster"])
    user = next(entry["user"] for entry in config["users"] if entry["name"] == chosen["user"])
    context = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority"))
    headers = {}
    if token or "token" in user:
        headers["Authorization"] = f"Bearer {token or user['token']}"
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("client-certificate", "client-key"):
                (Path(folder) / name).write_text(_pem(user, name))
            context.load_cert_chain(Path(folder) / "client-certificate", Path(folder) / "client-key")
    return httpx.Client(base_url=cluster["server"], verify=context, headers=headers, timeout=30, trust_env=False)


def _pem(entry: Object, name: str) -> str:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"]).decode()
    return Path(entry[name]).read_text()


@contextlib.contextmanager
def embedded_server() -> Iterator[Server]:
    """Run the embedded API and its Job controller, without anybody who runs Pods, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded-api")
    thread.start()
    stack = contextlib.AsyncExitStack()

    async def start() -> RunningApi:
        running = await stack.enter_async_context(embedded_api())
        jobs = asyncio.create_task(JobController(running.api.objects, backoff_seconds=0.05).run())
        stack.callback(jobs.cancel)
        return running

    try:
        running = asyncio.run_coroutine_threadsafe(start(), loop).result(timeout=20)
        with client_of(running.kubeconfig_path) as client:
            yield Server(running.kubeconfig_path, client, running, loop)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(timeout=20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


@contextlib.contextmanager
def real_server(kubeconfig: Path) -> Iterator[Server]:
    """Use the API server of a kubeconfig; our CRD is applied to it, and removed again if it was not there before."""
    with client_of(kubeconfig) as client, tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "kubeconfig"
        copy.touch(mode=0o600)
        copy.write_bytes(kubeconfig.read_bytes())
        definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/repackagetasks.dify-repack.io"
        response = client.patch(
            definition,
            content=CRD.read_bytes(),
            headers={"Content-Type": APPLY},
            params={"fieldManager": "dify-repack-tests", "force": "true"},
        )
        assert response.status_code in {200, 201}, response.text
        until(lambda: client.get(f"{GROUP}/repackagetasks").status_code == 200, what="the CRD to be served")
        try:
            yield Server(copy, client)
        finally:
            if response.status_code == 201:
                client.delete(definition)
