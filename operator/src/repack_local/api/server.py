"""The embedded API as one thing to start and stop."""

import asyncio
import base64
import contextlib
import errno
import os
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import yaml
from aiohttp import web

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_local.api.app import App, LogFile, OnRequest
from repack_local.api.certificates import server_certificate
from repack_local.api.kinds import CRDS, NAMESPACES
from repack_local.api.objects import Objects
from repack_local.api.ownership import GarbageCollector
from repack_local.api.statuses import Object
from repack_local.api.storage import Storage
from repack_local.api.watching import HISTORY


@dataclass(frozen=True)
class ApiOptions:
    """How the embedded API is to be run."""

    crds: tuple[Path, ...] = ()
    """Files of CustomResourceDefinitions that are installed at the start."""
    state: Path | None = None
    """Folder that keeps objects, certificate and token over restarts; None keeps nothing."""
    host: str = "127.0.0.1"
    """Address to listen on; a loopback one."""
    port: int = 0
    """Port to listen on; 0 takes a free one, and so does a port that is in use."""
    token: str = ""
    """Bearer token of the one user; "" makes one."""
    history: int = HISTORY
    """How many changes a watch can resume over."""
    namespaces: tuple[str, ...] = field(default=("default",))
    """Namespaces that exist from the start."""


class EmbeddedApi:
    """A Kubernetes API on a loopback port, for one machine.

    Args:
        options: how to run it.

    Raises:
        RepackError: the address is not a loopback one.
    """

    def __init__(self, options: ApiOptions) -> None:
        _refuse_other_than_loopback(options.host)
        self._options = options
        self.token = options.token or _kept_token(options.state)
        self.storage = Storage(options.state / "objects.sqlite" if options.state else None, history=options.history)
        self.objects = Objects(self.storage)
        self.log_file: LogFile = _no_log
        """Gives a pod's log file; the pod runner sets it."""
        self.on_request: OnRequest = lambda _method, _path, _user_agent: None
        """Told of every request, for whoever counts them; set it at any time."""
        self.address = ""
        self.certificate = ""
        self._runner: web.ServerRunner | None = None
        self._collector: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Serve, and return the address."""
        self._install()
        self._collector = asyncio.create_task(GarbageCollector(self.objects).run(), name="garbage-collector")
        self.certificate, context = server_certificate(self._options.state, host=self._options.host)
        app = App(self.objects, token=self.token, log_file=self._find_log)
        app.on_request = self._tell
        server = web.Server(app.handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._options.host, self._options.port, ssl_context=context).start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._options.port:
                raise
            await web.TCPSite(self._runner, self._options.host, 0, ssl_context=context).start()
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        self.address = f"https://{host}:{self._runner.addresses[0][1]}"
        return self.address

    async def stop(self) -> None:
        """End the streams, the server and the garbage collector, and close the file."""
        self.storage.history.close()
        if self._runner:
            await self._runner.cleanup()
        if self._collector:
            self._collector.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._collector
        self.storage.close()

    async def __aenter__(self) -> "EmbeddedApi":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def kubeconfig(self, *, namespace: str = "default") -> str:
        """Return the kubeconfig (YAML) that opens the API; keep it from others."""
        name = "dify-repack"
        authority = base64.b64encode(self.certificate.encode()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": self.address, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": self.token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        }
        return yaml.safe_dump(config, sort_keys=False)

    def write_kubeconfig(self, path: Path, *, namespace: str = "default") -> None:
        """Write the kubeconfig to a file that only its owner can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.kubeconfig(namespace=namespace))

    def _tell(self, method: str, path: str, user_agent: str) -> None:
        self.on_request(method, path, user_agent)  # asked each time: whoever counts comes later

    def _find_log(self, pod: Object) -> Path | None:
        return self.log_file(pod)  # asked each time: the runner comes after the API

    def _install(self) -> None:
        """Bring in the namespaces and definitions that are there from the start."""
        for name in self._options.namespaces:
            if self.storage.get(NAMESPACES.key, "", name) is None:
                self.objects.create(NAMESPACES, "", {"metadata": {"name": name}})
        for path in self._options.crds:
            for document in yaml.safe_load_all(path.read_text()):
                self._install_definition(document)

    def _install_definition(self, crd: Object) -> None:
        name = crd["metadata"]["name"]
        known = self.storage.get(CRDS.key, "", name)
        if known is None:
            self.objects.create(CRDS, "", crd)
            return
        metadata = crd["metadata"] | {"resourceVersion": known.obj["metadata"]["resourceVersion"]}
        self.objects.replace(CRDS, ("", name), crd | {"metadata": metadata})


def _no_log(_: Object) -> Path | None:
    return None


def _refuse_other_than_loopback(host: str) -> None:
    if host == "localhost":
        return
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise RepackError(
            Reason.INTERNAL,
            f"The embedded Kubernetes API listens on a loopback address only, not on {host}.",
            hint="Use 127.0.0.1; to serve other machines, install the chart in a real cluster.",
        )


def _kept_token(folder: Path | None) -> str:
    """Return the token of an earlier start, or a new one, which is kept where there is a folder."""
    if folder is None:
        return secrets.token_urlsafe(32)
    path = folder / "token"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text().strip()
