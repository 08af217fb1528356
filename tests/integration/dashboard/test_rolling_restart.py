"""Two replicas are replaced one after the other under load: every client gets every event once, in order."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from builders import a_task_object
from embedded import RunningApi, embedded_api
from fakes.redis_server import RedisServer, a_redis
from running_dashboard import SENDER, TOKEN, eventually, from_worker, progressed, until

CLIENTS, TASKS = 20, 5


class Replica:
    """A dashboard in a process of its own."""

    def __init__(self, folder: Path, server: RedisServer, api: RunningApi) -> None:
        self._environment = dict(os.environ) | {
            "REPACK_DASHBOARD_PORT": "0",
            "REPACK_DASHBOARD_DATA_DIR": str(folder / "data"),
            "REPACK_DASHBOARD_KUBECONFIG": str(api.kubeconfig_path),
            "REPACK_DASHBOARD_INGEST_TOKEN": TOKEN,
            "REPACK_DASHBOARD_REDIS_URL": server.url,
        }
        self._program: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[bytes] | None = None
        self.address = ""

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self._program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "repack_dashboard", env=self._environment, stderr=asyncio.subprocess.PIPE
        )
        assert self._program.stderr is not None
        async with asyncio.timeout(40):
            while b'"address"' not in (line := await self._program.stderr.readline()):
                assert line, "it ended instead of listening"
        address = line.decode().partition('"address": "http://')[2].partition('"')[0]
        self._reading = asyncio.create_task(self._program.stderr.read())
        async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:

            async def is_ready() -> bool:
                return (await http.get("/readyz")).status_code == 200

            await eventually(is_ready, "it is ready", seconds=30)
        self.address = address

    async def end(self) -> None:
        """Send it the signal that Kubernetes sends and wait until it has drained and ended."""
        assert self._program is not None
        self._program.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await self._program.wait()
        self.address = ""

    async def kill(self) -> None:
        """Make sure that nothing is left of it."""
        if self._program is not None and self._program.returncode is None:
            self._program.kill()
            await self._program.wait()
        if self._reading is not None:
            await self._reading


@dataclass
class Client:
    """Follows all tasks on whichever replica is up, and notes what it gets."""

    replicas: list[Replica]
    position: int | None = None
    epoch: str = ""
    got: list[tuple[str, int]] = field(default_factory=list)
    """Task and tick of each progress."""
    faults: list[str] = field(default_factory=list)
    connections: int = 0

    async def run(self) -> None:
        """Stay connected until it is cancelled."""
        while True:
            address = random.choice(self.replicas).address  # noqa: S311 - spreads load
            if address:
                with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                    await self._follow(address)
            await asyncio.sleep(random.uniform(0, 0.1))  # noqa: S311 - spreads load

    async def _follow(self, address: str) -> None:
        where = "" if self.position is None else f"&since={self.position}&epoch={self.epoch}"
        async with connect(f"ws://{address}/ws/tasks?v=1{where}", proxy=None) as socket:
            while True:
                self._take(json.loads(await socket.recv()))

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "hello":
            self.connections += 1
            self.epoch = message["epoch"]
            if self.position is not None and not message["recovered"]:
                self.faults.append(f"not recovered at {self.position}")
        elif kind == "snapshot":
            self.position = message["gseq"]
        elif kind.startswith("task."):
            if message["gseq"] != (self.position or 0) + 1:
                self.faults.append(f"{message['gseq']} after {self.position}")
            self.position = message["gseq"]
            if kind == "task.progress":
                self.got.append((message["task_id"], message["data"]["tick"]))


@dataclass
class Sender:
    """Reports progress as workers do: to whichever replica takes it, again until one has acknowledged it."""

    replicas: list[Replica]
    uids: list[str]
    sent: list[tuple[str, int]] = field(default_factory=list)
    repeats: int = 0
    is_to_end: bool = False

    async def run(self) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            for number, uid in enumerate(itertools.cycle(self.uids)):
                if self.is_to_end:
                    return
                tick = number // len(self.uids) + 1
                batch = from_worker(uid, progressed(tick), batch=tick)
                while not await self._is_taken(http, batch):
                    self.repeats += 1
                    await asyncio.sleep(0.01)
                self.sent.append((uid, tick))
                await asyncio.sleep(0.005)

    async def _is_taken(self, http: httpx.AsyncClient, batch: dict[str, Any]) -> bool:
        address = random.choice(self.replicas).address  # noqa: S311 - spreads load
        try:
            answer = await http.post(f"http://{address}/api/v1/ingest/events", json=batch, headers=SENDER)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.status_code == 200


@contextlib.asynccontextmanager
async def two_processes(folder: Path) -> AsyncIterator[list[Replica]]:
    with a_redis() as server:
        async with embedded_api() as api:
            replicas = [Replica(folder, server, api) for _ in range(2)]
            try:
                await asyncio.gather(*[replica.start() for replica in replicas])
                yield replicas
            finally:
                await asyncio.gather(*[replica.kill() for replica in replicas])


async def create_tasks(replica: Replica) -> list[str]:
    spec = a_task_object()["spec"]
    async with httpx.AsyncClient(base_url=f"http://{replica.address}", trust_env=False, timeout=20) as http:
        answers = [
            await http.post("/api/v1/tasks", json={"name": f"demo-{number}", "spec": spec}) for number in range(TASKS)
        ]
    return [answer.json()["uid"] for answer in answers]


@pytest.mark.timeout(150)
async def test_a_rolling_restart_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    async with two_processes(tmp_path) as replicas:
        sender = Sender(replicas, await create_tasks(replicas[0]))
        clients = [Client(replicas) for _ in range(CLIENTS)]
        following = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(client.position is not None for client in clients), "all are connected", seconds=20)
        sending = asyncio.create_task(sender.run())
        try:
            for replica in replicas:
                before = len(sender.sent)
                await until(lambda more=before: len(sender.sent) > more + 50, "load is under way", seconds=20)
                await replica.end()
                await replica.start()
            await until(lambda: sender.sent[-1][1] > 40, "both are new and take load", seconds=20)
            sender.is_to_end = True
            await sending
            everything = len(sender.sent)
            await until(lambda: all(len(client.got) >= everything for client in clients), "all have all", seconds=20)
        finally:
            for task in (*following, sending):
                task.cancel()
            await asyncio.gather(*following, sending, return_exceptions=True)
    assert [client.faults for client in clients] == [[]] * CLIENTS
    assert all(client.got == sender.sent for client in clients)
    assert min(client.connections for client in clients) >= 2, "each had to change its replica"
