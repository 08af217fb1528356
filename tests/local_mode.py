"""The embedded mode as its users start it: a process of its own, in a folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


def wait_for(condition: Callable[[], Any], *, what: str, seconds: float = 60.0, pause: float = 0.1) -> Any:
    """Return the first true answer of `condition`, or fail naming what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(pause)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


@dataclass
class RunningMode:
    """A started embedded mode, driven from outside."""

    home: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Start it and wait until the page can be opened."""
        (self.home / "run.json").unlink(missing_ok=True)
        with (self.home / "mode.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "repack_local"], env=self.environment, stdout=log, stderr=log
            )
        self.facts = wait_for(self._read_facts, what=f"the embedded mode; its log is {self.home / 'mode.log'}")

    def _read_facts(self) -> dict[str, Any] | None:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "mode.log").read_text()[-3000:]
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            return dict(json.loads((self.home / "run.json").read_text()))
        return None

    def stop(self, *, signum: int = signal.SIGINT) -> int:
        """End it as Ctrl-C would and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(timeout=30)

    @property
    def page_url(self) -> str:
        """Address of the page, without a slash at the end."""
        return str(self.facts["pageUrl"])

    @property
    def kubeconfig(self) -> Path:
        """For kubectl."""
        return Path(self.facts["kubeconfig"])

    def pid_of(self, program: str) -> int:
        """Process id of `operator` or `dashboard` at this moment."""
        facts = json.loads((self.home / "run.json").read_text())
        return int(facts["programs"][program])

    def kill(self, program: str) -> None:
        """Kill a program the hard way; the embedded mode starts it again."""
        os.kill(self.pid_of(program), signal.SIGKILL)

    def client(self) -> httpx.Client:
        """A client of the dashboard's REST interface."""
        return httpx.Client(base_url=self.page_url, trust_env=False, timeout=20)

    def create_task(self, name: str, url: str) -> None:
        """Create a task for the plugin at an address, as the page's form does."""
        spec = {"source": {"type": "URL", "url": {"url": url}}, "targets": [{"arch": "amd64"}]}
        with self.client() as client:
            client.post("/api/v1/tasks", json={"name": name, "spec": spec}).raise_for_status()

    def task(self, name: str) -> dict[str, Any]:
        """The task of that name, {} when the dashboard does not know it or is away."""
        with self.client() as client, contextlib.suppress(httpx.HTTPError, KeyError, IndexError):
            answer = client.get("/api/v1/tasks", params={"namespace": "default", "name": name})
            return dict(answer.json()["items"][0])
        return {}

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks that the dashboard knows, newest first."""
        with self.client() as client:
            return list(client.get("/api/v1/tasks", params={"limit": 1000}).raise_for_status().json()["items"])

    def wait_for_phase(self, name: str, *phases: str, seconds: float = 90.0) -> dict[str, Any]:
        """Return the task once it is in one of the phases."""

        def arrived() -> dict[str, Any] | None:
            task = self.task(name)
            return task if (task.get("status") or {}).get("phase") in phases else None

        try:
            return dict(wait_for(arrived, what=f"{name} to become {' or '.join(phases)}", seconds=seconds))
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.task(name).get('status')}") from None


@contextlib.contextmanager
def running_mode(home: Path, **settings: str) -> Iterator[RunningMode]:
    """Start the embedded mode in `home` with ports of its own, and end it afterwards."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
    environment = {
        **kept,
        "REPACK_LOCAL_HOME": str(home),
        "REPACK_LOCAL_PORT": "0",
        "REPACK_LOCAL_API_PORT": "0",
        **settings,
    }
    home.mkdir(parents=True, exist_ok=True)
    mode = RunningMode(home, environment)
    mode.start()
    try:
        yield mode
    finally:
        if mode.process is not None and mode.process.poll() is None:
            mode.stop()
