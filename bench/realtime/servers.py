"""The servers that are measured, in this process: ours, `websockets.broadcast`, and the loop that tutorials show."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.server import ServerConnection, broadcast, serve

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_dashboard.app import make_app, make_services
from repack_dashboard.background import drain
from repack_dashboard.server import Server, make_server
from repack_dashboard.services import Services
from repack_dashboard.settings import Settings

TOKEN = "the-token-of-the-benchmark"  # noqa: S105 - opens nothing
SOCKETS = Callable[[], list[int]]


@dataclass(frozen=True)
class Ours:
    """A running dashboard."""

    services: Services
    server: Server

    @property
    def port(self) -> int:
        """Its port."""
        return self.server.port

    def sockets(self, channel: str) -> list[int]:
        """Return the file descriptors of a channel's clients."""
        clients = [client for client in self.services.hub.clients if channel in client.channels]
        return [client.sink.transport.get_extra_info("socket").fileno() for client in clients]  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def ours(folder: Path, *, uids: list[str], **settings: object) -> AsyncIterator[Ours]:
    """Run the dashboard with these tasks; everything but what `settings` names is as it is delivered."""
    api = FakeTaskApi()
    for uid in uids:
        api.put(a_task_object(uid=uid, name=uid))
    options = {"port": 0, "data_dir": folder / "data", "static_dir": folder / "static", "relist_seconds": 3600.0}
    read = Settings.model_validate(
        {"ingest_token": TOKEN, "max_connections": 100_000, "drain_seconds": 0.0, **options, **settings}
    )
    services = make_services(read, api)
    server = make_server(make_app(services, ingest_token=TOKEN), read, drain=lambda: drain(services), owns_process=True)
    async with _running(server):
        yield Ours(services, server)


@dataclass(frozen=True)
class Naive:
    """`for socket in sockets: await socket.send_json(message)`."""

    port: int
    sockets: list[WebSocket]

    async def send(self, message: dict[str, object], count: int) -> None:
        """Send a message to the first `count` clients."""
        for socket in self.sockets[:count]:
            await socket.send_json(message)


@contextlib.asynccontextmanager
async def naive() -> AsyncIterator[Naive]:
    """Run an application as tutorials show it, on uvicorn as it is delivered, without compression and pings."""
    app, sockets = FastAPI(), list[WebSocket]()

    @app.websocket("/ws")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        sockets.append(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            while True:  # ends with the connection
                await websocket.receive_text()

    config = uvicorn.Config(
        app, port=0, ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=None, log_config=None,
        backlog=4096, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    async with _running(server):
        yield Naive(server.servers[0].sockets[0].getsockname()[1], sockets)


@dataclass(frozen=True)
class Broadcast:
    """`websockets.broadcast`."""

    port: int
    connections: list[ServerConnection]

    def send(self, text: str, count: int) -> None:
        """Send a message to the first `count` clients."""
        broadcast(self.connections[:count], text)


@contextlib.asynccontextmanager
async def broadcasting() -> AsyncIterator[Broadcast]:
    """Run the server of the `websockets` library, without compression and pings."""
    connections: list[ServerConnection] = []

    async def stay(connection: ServerConnection) -> None:
        connections.append(connection)
        await connection.wait_closed()

    async with serve(stay, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096) as server:
        yield Broadcast(next(iter(server.sockets)).getsockname()[1], connections)


@contextlib.asynccontextmanager
async def _running(server: uvicorn.Server) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await task


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
