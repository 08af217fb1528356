"""A real dashboard on a real port of 127.0.0.1, over a fake Kubernetes API; and what its senders send."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fakes.task_api import FakeTaskApi
from repack_dashboard.app import make_app, make_services
from repack_dashboard.background import drain
from repack_dashboard.cluster import TaskApi
from repack_dashboard.server import Server, make_server
from repack_dashboard.services import Services
from repack_dashboard.settings import Settings

TOKEN = "the-token-of-all-ingest-tests"
SENDER = {"Authorization": f"Bearer {TOKEN}"}


class Dashboard:
    """A running dashboard, and clients for it."""

    def __init__(self, services: Services, server: Server, api: TaskApi) -> None:
        self.services = services
        self.server = server
        self.api = cast("FakeTaskApi", api)
        """What most tests change the cluster by; not there where a real one was given."""
        self.address = f"127.0.0.1:{server.port}"
        self.http = httpx.AsyncClient(base_url=f"http://{self.address}", trust_env=False, timeout=20)

    def socket(self, path: str, **options: Any) -> connect:
        """Open a WebSocket, such as `/ws/tasks?v=1`."""
        return connect(f"ws://{self.address}{path}", proxy=None, **options)

    async def ingest(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Send a batch as operator or worker and return the acknowledgement."""
        answer = await self.http.post("/api/v1/ingest/events", json=batch, headers=SENDER)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def metric(self, name: str) -> float:
        """Return the sum of a metric's samples whose line begins with `name`."""
        text = (await self.http.get("/metrics")).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@contextlib.asynccontextmanager
async def a_dashboard(
    folder: Path, *, api: TaskApi | None = None, has_our_protocol: bool = True, **settings: Any
) -> AsyncIterator[Dashboard]:
    """Run a dashboard until the block ends; without our protocol its clients are served through a queue."""
    api = api or FakeTaskApi()
    options = {"port": 0, "data_dir": folder / "data", "static_dir": folder / "static", "relist_seconds": 3600.0}
    read = Settings.model_validate(options | settings)
    services = make_services(read, api)
    server = make_server(make_app(services, ingest_token=TOKEN), read, drain=lambda: drain(services))
    if not has_our_protocol:
        server.config.ws = "websockets-sansio"
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or running.done(), "the server starts")
        if running.done():
            running.result()
        dashboard = Dashboard(services, server, api)
        async with dashboard.http:
            yield dashboard
    finally:
        server.should_exit = True
        await running


async def until(condition: Callable[[], object], what: str, *, seconds: float = 10.0) -> None:
    """Wait until a condition holds; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        await asyncio.sleep(0.01)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 10.0) -> None:
    """Wait until an asynchronous condition holds; fail with what was waited for."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
        await asyncio.sleep(0.02)


async def next_message(socket: ClientConnection, *, seconds: float = 10.0) -> dict[str, Any]:
    """Return the next message that is no ping."""
    async with asyncio.timeout(seconds):
        while True:
            message = json.loads(await socket.recv())
            if message["type"] != "ping":
                return message


async def messages(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    """Return the next messages that are no pings."""
    return [await next_message(socket) for _ in range(count)]


async def close_code(socket: ClientConnection, *, seconds: float = 10.0) -> int | None:
    """Read until the server closes and return its code; None when the line was cut without one."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd and closed.rcvd.code


def moment() -> str:
    return datetime.now(UTC).isoformat()


def from_operator(*events: dict[str, Any], batch: int = 1, instance: str = "op-1", epoch: int = 0) -> dict[str, Any]:
    """Return a batch of the operator."""
    return {"sender": "operator", "instance": instance, "epoch": epoch, "batch": batch, "events": list(events)}


def observed(body: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "task", "task": body, "ts": moment()}


def removed(uid: str, *, name: str = "demo") -> dict[str, Any]:
    return {"kind": "removed", "uid": uid, "namespace": "default", "name": name, "ts": moment()}


def heartbeat(**parts: Any) -> dict[str, Any]:
    return {
        "kind": "heartbeat", "leader": True, "queueDepth": 0, "running": 0, "slots": 4, "watchAgeSeconds": 0.5,
        "ts": moment(), **parts,
    }  # fmt: skip


def from_worker(uid: str, *events: dict[str, Any], attempt: int = 1, batch: int = 1) -> dict[str, Any]:
    """Return a batch of a worker."""
    return {"sender": "worker", "uid": uid, "attempt": attempt, "batch": batch, "events": list(events)}


def progressed(tick: int, *, percent: int | None = None, stage: str = "Download", attempt: int = 1) -> dict[str, Any]:
    return {
        "kind": "progress",
        "progress": {
            "attempt": attempt, "tick": tick, "stage": stage, "percent": percent, "updatedAt": moment(),
            "stages": [{"stage": stage, "state": "Running"}],
        },
    }  # fmt: skip


def logged(*numbers: int, text: str = "line") -> dict[str, Any]:
    return {"kind": "log", "lines": [{"n": n, "ts": moment(), "text": f"{text} {n}"} for n in numbers]}
