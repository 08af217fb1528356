"""The embedded mode as one thing to start and stop: Kubernetes API, Job controller and runner, operator, dashboard.

Operator, worker and dashboard are the very programs that run in a cluster, as processes of their own. What they are
told by a chart there, they are told by environment variables here.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import socket
from pathlib import Path
from typing import IO, Literal, Self
from urllib.parse import urlsplit

import httpx
import structlog

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.schema import crd_yaml
from repack_local.api import ApiOptions, EmbeddedApi
from repack_local.jobs import JobController
from repack_local.programs import Program, Supervisor
from repack_local.runner import PodRunner, RunnerOptions
from repack_local.settings import Settings, inherited_environment, worker_environment
from repack_worker.settings import Settings as WorkerSettings
from repack_worker.settings import load_settings

log = structlog.get_logger()

READY_SECONDS = 60.0
"""How long the dashboard may take to answer; a slow disk and a cold Python need some seconds."""


class LocalMode:
    """Everything of dify-repack on this machine; an async context manager.

    Raises:
        RepackError: another one uses the same home, or a program does not become ready.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.page_url = ""
        home = settings.home
        self.kubeconfig = home / "kubeconfig"
        self._facts_file = home / "run.json"
        self._ports_file = home / "ports.json"
        self._ingest_token_file = home / "ingest-token"
        self._lock: IO[str] | None = None
        self._stack = contextlib.AsyncExitStack()
        self._supervisors: list[Supervisor] = []
        self._api: EmbeddedApi | None = None
        self._ready = False

    @property
    def api_url(self) -> str:
        """Address of the embedded Kubernetes API."""
        assert self._api is not None, "not started"  # noqa: S101
        return self._api.address

    @property
    def api_token(self) -> str:
        """Bearer token of the embedded Kubernetes API."""
        assert self._api is not None, "not started"  # noqa: S101
        return self._api.token

    @property
    def api_certificate(self) -> str:
        """PEM of the certificate that the embedded Kubernetes API shows."""
        assert self._api is not None, "not started"  # noqa: S101
        return self._api.certificate

    @property
    def worker_settings(self) -> WorkerSettings:
        """Settings for doing a worker's steps in this process, with the caches of this home."""
        return load_settings().but(work_dir=self.settings.home / "work", cache_dir=self.settings.home / "cache")

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        self._facts_file.unlink(missing_ok=True)
        self._stack.callback(self._facts_file.unlink, missing_ok=True)
        token = _kept_secret(self._ingest_token_file)
        # Ended in the reverse order: nobody decides while the workers end, and they can still tell the dashboard.
        api = await self._start_api()
        self._start_program(self._dashboard(free_port(self.settings.host, self._port("page"))))
        await self._start_cluster(api, ingest_token=token)
        self._start_program(self._operator())
        await self._until_ready()
        ports = {"page": urlsplit(self.page_url).port, "api": urlsplit(self.api_url).port}
        await asyncio.to_thread(self._ports_file.write_text, json.dumps(ports))
        self._ready = True
        self._write_facts()

    async def _start_api(self) -> EmbeddedApi:
        home, settings = self.settings.home, self.settings
        crd = home / "crd.yaml"
        await asyncio.to_thread(crd.write_text, crd_yaml(), encoding="utf-8")
        options = ApiOptions(crds=(crd,), state=home / "state", host=settings.host, port=self._port("api"))
        self._api = await self._stack.enter_async_context(EmbeddedApi(options))
        self._api.write_kubeconfig(self.kubeconfig)
        return self._api

    async def _start_cluster(self, api: EmbeddedApi, *, ingest_token: str) -> None:
        """Start what a cluster has besides its API: the Job controller and somebody who runs Pods."""
        options = RunnerOptions(
            root=self.settings.home / "pods",
            ingest_token=ingest_token,
            environment=inherited_environment(),
            host_variables=frozenset(self._worker_environment()),
        )
        runner = PodRunner(api.objects, options)
        api.log_file = runner.log_file
        for name, work in (("job-controller", JobController(api.objects).run()), ("pod-runner", runner.run())):
            task = asyncio.create_task(work, name=name)
            task.add_done_callback(_complain)
            self._stack.push_async_callback(_end, task)

    def _start_program(self, program: Program) -> None:
        supervisor = Supervisor(
            program, stop_seconds=self.settings.stop_seconds, on_start=lambda _pid: self._tell_new_pid()
        )
        self._supervisors.append(supervisor)
        self._stack.push_async_callback(supervisor.stop)
        supervisor.start()

    def _port(self, name: Literal["page", "api"]) -> int:
        """Return the port to ask for: the one of the last run where any will do, for Jobs of then know its address."""
        wanted = self.settings.port if name == "page" else self.settings.api_port
        last: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            last = json.loads(self._ports_file.read_text())
        return wanted or last.get(name, 0)

    def _take_lock(self) -> None:
        self._lock = (self.settings.home / "lock").open("w")
        self._stack.callback(self._lock.close)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RepackError(
                Reason.INTERNAL,
                f"Another dify-repack already runs with {self.settings.home}.",
                hint="Use that one, end it first, or set REPACK_LOCAL_HOME to another folder.",
            ) from None

    def _dashboard(self, port: int) -> Program:
        settings = self.settings
        self.page_url = f"http://{settings.host}:{port}"
        environment = {
            **inherited_environment(),
            "REPACK_DASHBOARD_HOST": settings.host,
            "REPACK_DASHBOARD_PORT": str(port),
            "REPACK_DASHBOARD_DATA_DIR": str(settings.home / "data"),
            "REPACK_DASHBOARD_KUBECONFIG": str(self.kubeconfig),
            "REPACK_DASHBOARD_INGEST_TOKEN_FILE": str(self._ingest_token_file),
            "REPACK_DASHBOARD_DRAIN_SECONDS": "0.5",
            "REPACK_DASHBOARD_SHUTDOWN_SECONDS": "3",
            # Nobody is asked for a password here: a name that resolves to this machine must not open the page.
            "REPACK_DASHBOARD_ALLOWED_HOSTS": json.dumps([settings.host, "localhost", "127.0.0.1"]),
        }
        return Program("dashboard", "repack_dashboard", environment, settings.home / "logs" / "dashboard.log")

    def _operator(self) -> Program:
        settings = self.settings
        environment = {
            **inherited_environment(),
            "REPACK_OPERATOR_KUBECONFIG": str(self.kubeconfig),
            "REPACK_OPERATOR_MAX_CONCURRENT": str(settings.max_concurrent),
            "REPACK_OPERATOR_INGEST_URL": self.page_url,
            "REPACK_OPERATOR_INGEST_TOKEN_FILE": str(self._ingest_token_file),
            "REPACK_OPERATOR_HEALTH_HOST": settings.host,
            "REPACK_OPERATOR_HEALTH_PORT": "0",
            "REPACK_OPERATOR_WORKER_ENV": json.dumps(self._worker_environment()),
        }
        return Program("operator", "repack_operator", environment, settings.home / "logs" / "operator.log")

    def _worker_environment(self) -> dict[str, str]:
        own = {
            "REPACK_CACHE_DIR": str(self.settings.home / "cache"),
            "REPACK_PYTHON_HOME": str(Path.home()),
            # The one user here may fetch what their machine may; the example plugin is served by this very machine.
            "REPACK_ALLOW_PRIVATE_ADDRESSES": "true",
        }
        return {**own, **worker_environment()}

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with httpx.AsyncClient(trust_env=False) as client:
            while asyncio.get_running_loop().time() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.page_url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise RepackError(
            Reason.INTERNAL,
            f"The dashboard was not ready within {READY_SECONDS:g} s.",
            hint=f"Its log is {self.settings.home / 'logs' / 'dashboard.log'}.",
        )

    def _tell_new_pid(self) -> None:
        if self._ready:  # before that the file's absence says that we are not
            self._write_facts()

    def _write_facts(self) -> None:
        """Tell other programs (tests, scripts) that all is ready and where; written whole or not at all."""
        facts = {
            "pid": os.getpid(),
            "pageUrl": self.page_url,
            "apiUrl": self.api_url,
            "kubeconfig": str(self.kubeconfig),
            "programs": {each.program.name: each.pid for each in self._supervisors},
        }
        draft = self._facts_file.with_suffix(".tmp")
        draft.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        draft.replace(self._facts_file)


def _complain(task: asyncio.Task[None]) -> None:
    """Say that a part ended that must not end before we do."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error(
            "a part of the embedded mode broke; end it and start it again", part=task.get_name(), error=repr(error)
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _kept_secret(path: Path) -> str:
    """Return the secret of that file, which is made at the first start and only its owner can read."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


def free_port(host: str, wanted: int) -> int:
    """Return `wanted` when it can be had, else a free port."""
    for port in (wanted, 0):
        with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return int(probe.getsockname()[1])
    raise RepackError(Reason.INTERNAL, f"No port of {host} is free.", hint="End another program first.")
