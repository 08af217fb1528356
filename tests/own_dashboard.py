"""A dashboard in a process of its own, over tasks in memory: a test chooses its settings, kills it and starts it again.

As a program: `python own_dashboard.py <settings as JSON>`; the tests use the class.
"""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx

from builders import a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from local_mode import wait_for
from repack_dashboard.app import make_app, make_services
from repack_dashboard.background import drain
from repack_dashboard.server import make_server
from repack_dashboard.settings import Settings
from running_dashboard import SENDER, TOKEN, from_operator, observed

STATIC = Path(__file__).parents[1] / "dashboard/server/src/repack_dashboard/static"


class OwnDashboard:
    """The process. Use it as a context manager."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        given = {"port": self.port, "data_dir": str(folder / "data"), "static_dir": str(STATIC), "ingest_token": TOKEN}
        self._settings = json.dumps(given | {"relist_seconds": 3600.0} | settings)
        self._log = folder / "dashboard.log"
        self._http = httpx.Client(base_url=self.url, trust_env=False, timeout=20)
        self._batches = 0
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)
        self._http.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, __file__, self._settings], stdout=log, stderr=log)
        wait_for(self._is_ready, what=f"the dashboard; its log is {self._log}", pause=0.05)

    def end(self, sign: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(sign)
        self.process.wait(timeout=30)

    def change(self, *tasks: dict[str, Any]) -> None:
        """Tell it of tasks, as the operator does, a hundred in a batch."""
        for start in range(0, len(tasks), 100):
            self._batches += 1
            batch = from_operator(*map(observed, tasks[start : start + 100]), batch=self._batches)
            self._http.post("/api/v1/ingest/events", json=batch, headers=SENDER).raise_for_status()

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples whose line begins with `name`."""
        lines = self._http.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def sockets(self) -> int:
        return int(self.metric("repack_ws_connections{"))

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()[-3000:]
        try:
            return self._http.get("/readyz").status_code in {200, 503}
        except httpx.TransportError:
            return False


def a_state(sequence: int, *, name: str = "demo", phase: str = "Running", padding: int = 0) -> dict[str, Any]:
    """Return a task in its `sequence`th state, larger by `padding` bytes."""
    status = {"sequence": sequence, "phase": phase, "attempt": 1}
    return a_task_object(uid=f"uid-{name}", name=name, status=status, metadata={"labels": {"padding": "x" * padding}})


async def main(settings: Settings) -> None:
    """Serve, to the users of a cluster in which `root` sees everything and `eve` nothing."""
    tasks = FakeTaskApi()
    tasks.put(a_state(0))
    cluster = ReviewingApi(tasks)
    cluster.tokens = {"root": Known("root"), "eve": Known("eve")}
    cluster.allow("root", "list", namespace="*")
    services = make_services(settings, cluster)
    app = make_app(services, ingest_token=TOKEN)
    await make_server(app, settings, drain=lambda: drain(services), owns_process=True).serve()


if __name__ == "__main__":
    asyncio.run(main(Settings.model_validate_json(sys.argv[1])))
