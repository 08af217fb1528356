"""Several replicas over one Redis: every browser ends with what the cluster says, on whichever replica it is.

Publish, disconnect, resume elsewhere, restart a replica, lose the log, lose its stream, let it go back in time: all of
it through the real boards, logs, hubs and welcomes. A browser never sees a hole or a repetition, unless it was told to
begin anew.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import a_task_object
from fakes.redis_server import RedisServer
from fakes.task_api import FakeTaskApi
from repack_contract.progress import Progress
from repack_contract.views import OperatorHealth
from repack_dashboard.attempts import Attempts
from repack_dashboard.background import Resync
from repack_dashboard.board import Board
from repack_dashboard.cluster import ClusterTasks, Relist, parse_task
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.eventlog_redis import RedisLog, connect
from repack_dashboard.events import Bounds
from repack_dashboard.frames import payload_of
from repack_dashboard.hub import Client, Hub
from repack_dashboard.metrics import Metrics
from repack_dashboard.session import open_session
from repack_dashboard.sinks import Line
from repack_dashboard.store import Store
from repack_dashboard.welcome import Greeting, Welcome
from running_dashboard import eventually

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class NoAttempts(Attempts):
    """Keeps nothing on disk."""

    async def keep_progress(self, uid: str, progress: Progress) -> None:
        return None


class Wire:
    """A connection that keeps up."""

    heard_at = None
    coalesced = waiting = 0

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.line = Line(self.arrived.append)
        self.closed: int | None = None

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        self.arrived.append(frame)
        return True

    def burst(self, frames: list[bytes]) -> None:
        self.arrived.extend(frames)

    def close(self, code: int, reason: str = "") -> None:
        self.closed = code


class Replica:
    """One dashboard, from the log to the wire."""

    def __init__(self, url: str, prefix: str, api: FakeTaskApi) -> None:
        metrics = Metrics()
        self.log = RedisLog(connect(url), prefix=prefix, bounds=Bounds(events=8), clock=time.monotonic)
        self.board = Board(store=Store(), log=self.log, attempts=NoAttempts(Path("/nowhere")), now=lambda: NOW)
        self.hub = Hub(metrics=metrics, clock=time.monotonic)
        self.log.listeners.entries.append(self.hub.publish)
        tasks = ClusterTasks(api, namespaces=())
        self.relist = Relist(tasks, board=self.board, metrics=metrics, clock=time.monotonic, gap_seconds=0.0)
        greeting = Greeting(server="1", ping_interval=30, operator=SimpleNamespace(health=OperatorHealth()))
        self.welcome = Welcome(hub=self.hub, log=self.log, store=self.board.store, metrics=metrics, greeting=greeting)
        parts = SimpleNamespace(hub=self.hub, relist=self.relist, settings=SimpleNamespace(drain_seconds=0.0))
        self.resync = Resync(parts)  # type: ignore[arg-type]
        self.log.listeners.begins.append(self.resync.begin)
        self._jobs: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._jobs = [asyncio.create_task(self.log.run()), asyncio.create_task(self.resync.run())]
        async with asyncio.timeout(20):
            await self.log.reached()
            while not self.relist.ready.is_set():
                with contextlib.suppress(LogUnavailableError):
                    await self.relist.refresh()

    async def stop(self) -> None:
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    @property
    def is_ready(self) -> bool:
        """What lets a browser in."""
        return self.log.state.is_live and self.relist.ready.is_set()

    def shown(self) -> dict[str, tuple[Any, Any]]:
        return {view.uid: seen(view.wire()) for view in self.board.store}


class Browser:
    """Folds what arrives, and knows where it stands."""

    def __init__(self) -> None:
        self.replica: Replica | None = None
        self.wire = Wire()
        self.client: Client | None = None
        self.tasks: dict[str, tuple[Any, Any]] = {}
        self.position: int | None = None
        self.epoch: str | None = None
        self.is_told = False
        """That what follows is a snapshot, whatever it had."""

    async def connect(self, replica: Replica) -> None:
        self.drop()
        if not replica.is_ready:
            return
        await replica.log.catch_up(None, position=self.position, epoch=self.epoch)
        since = None if self.position is None else str(self.position)
        opening = open_session(version="1", since=since, epoch=self.epoch, subprotocols=[])
        self.replica, self.wire = replica, Wire()
        self.client = replica.hub.connect(self.wire, is_v1=True, kind="tasks")
        replica.welcome.greet(self.client, None, opening)

    def drop(self) -> None:
        self.fold()
        if self.replica is not None and self.client is not None:
            self.replica.hub.drop(self.client, code=1006)
        self.replica = self.client = None

    def fold(self) -> None:
        while self.wire.arrived:
            self._take(json.loads(payload_of(self.wire.arrived.pop(0))))

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "hello":
            self.is_told = not message["recovered"]
            assert self.is_told or message["epoch"] == self.epoch
        elif kind == "snapshot":
            assert self.is_told, "a snapshot that nobody announced"
            self.tasks = {entry["task_id"]: seen(entry["data"]) for entry in message["data"]}
            self.position, self.epoch = message["gseq"], message["epoch"]
        else:
            self._take_event(message)

    def _take_event(self, message: dict[str, Any]) -> None:
        assert self.position is not None
        assert message["epoch"] == self.epoch, "a number of another epoch"
        assert message["gseq"] == self.position + 1, "an undeclared hole, or a repetition"
        self.position = message["gseq"]
        uid = message["task_id"]
        before = self.tasks.get(uid, (0, 0))
        if message["type"] == "task.deleted":
            self.tasks.pop(uid, None)
        elif message["type"] == "task.status":
            self.tasks[uid] = seen(message["data"])
        else:
            self.tasks[uid] = (before[0], message["data"]["tick"])
        after = self.tasks.get(uid)
        assert after is None or all((new or 0) >= (old or 0) for new, old in zip(after, before, strict=True)), "back"


def seen(view: dict[str, Any]) -> tuple[Any, Any]:
    return view["status"].get("sequence"), (view.get("progress") or {}).get("tick")


class World:
    """Two replicas, three browsers, one cluster, one Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.server, self.prefix, self.api = server, secrets.token_hex(6), FakeTaskApi()
        self.replicas = [Replica(server.url, self.prefix, self.api) for _ in range(2)]
        self.browsers = [Browser() for _ in range(3)]
        self.lives = [0, 0, 0]
        self.number = 0
        self.backup: dict[bytes, bytes] | None = None

    async def do(self, step: str, which: int) -> None:
        self.number += 1
        replica, browser, uid = self.replicas[which % 2], self.browsers[which], f"task-{which}-{self.lives[which]}"
        with contextlib.suppress(LogUnavailableError):  # nothing was acknowledged; the sender would send it again
            if step in {"state", "progress", "gone"}:
                await self.publish(step, which, uid)
            elif step == "list":
                await replica.relist.refresh()
        if step == "connect":
            self.harm("save")
            await browser.connect(self.replicas[self.number % 2])
        elif step == "drop":
            browser.drop()
        elif step == "restart":
            await self.restart(which % 2)
        elif step in {"lose", "lose-stream", "go-back"}:
            self.harm(step)
        for each in self.browsers:
            each.fold()
            if each.wire.closed is not None:
                each.drop()

    async def publish(self, step: str, which: int, uid: str) -> None:
        """Tell both replicas the same at the same moment, as a sender does whose first request timed out."""
        boards = [replica.board for replica in self.replicas]
        if step == "state":
            body = a_task_object(uid=uid, name=uid, status={"sequence": self.number, "phase": "Running"})
            task = parse_task(self.api.put(body))
            assert task is not None
            answers = await asyncio.gather(*[board.observe(task) for board in boards], return_exceptions=True)
        elif step == "progress":
            progress = Progress(attempt=1, tick=self.number, updated_at=NOW)
            answers = await asyncio.gather(*[board.report(uid, progress) for board in boards], return_exceptions=True)
        else:
            self.api.objects.pop(("default", uid), None)
            self.lives[which] += 1
            answers = await asyncio.gather(*[board.remove(uid) for board in boards], return_exceptions=True)
        assert list(answers).count(True) <= 1, "one event was taken twice"
        assert all(isinstance(answer, bool | LogUnavailableError) for answer in answers), answers

    async def restart(self, which: int) -> None:
        for browser in self.browsers:
            if browser.replica is self.replicas[which]:
                browser.drop()
        await self.replicas[which].stop()
        self.replicas[which] = Replica(self.server.url, self.prefix, self.api)
        await self.replicas[which].start()

    def harm(self, step: str) -> None:
        log, events = f"{self.prefix}:log", f"{self.prefix}:events"
        with self.server.client() as redis:
            if step == "lose":
                redis.delete(log, events)
            elif step == "lose-stream":
                redis.delete(events)
            elif step == "save":
                self.backup = {key: data for key in (log, events) if (data := redis.dump(key))}
            elif self.backup:
                with redis.pipeline(transaction=True) as pipe:  # as a failover to one that had not heard of the rest
                    pipe.delete(log, events)
                    for key, data in self.backup.items():
                        pipe.restore(key, 0, data)
                    pipe.execute()

    async def rest(self) -> None:
        """Wait until every replica shows what the cluster holds."""

        async def is_same() -> bool:
            for replica in self.replicas:
                with contextlib.suppress(LogUnavailableError):
                    await replica.relist.refresh()
            first, second = self.replicas
            want = {body["metadata"]["uid"]: body["status"]["sequence"] for body in self.api.objects.values()}
            shown = {uid: sequence for uid, (sequence, _) in first.shown().items()}
            is_settled = first.log.epoch == second.log.epoch and first.log.head(None) == second.log.head(None)
            return all(each.is_ready for each in self.replicas) and is_settled and shown == want

        await eventually(is_same, "the replicas agree", seconds=20)


@contextlib.asynccontextmanager
async def a_world(server: RedisServer) -> AsyncIterator[World]:
    world = World(server)
    try:
        for replica in world.replicas:
            await replica.start()
        yield world
    finally:
        for replica in world.replicas:
            await replica.stop()


STEP_NAMES = ["state"] * 4 + ["progress"] * 6 + ["gone", "list", "restart", "lose", "lose-stream", "go-back", "go-back"]
STEPS = st.lists(
    st.tuples(st.sampled_from([*STEP_NAMES, *["connect"] * 5, "drop", "drop"]), st.integers(0, 2)),
    min_size=10,
    max_size=50,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_every_browser_ends_with_what_the_cluster_says_on_whichever_replica(
    redis_server: RedisServer, impatience: None, steps: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        async with a_world(redis_server) as world:
            for step, which in steps:
                await world.do(step, which)
            await world.rest()
            assert world.replicas[0].shown() == world.replicas[1].shown()
            for number, browser in enumerate(world.browsers):
                await browser.connect(world.replicas[number % 2])
                browser.fold()
                assert browser.tasks == world.replicas[0].shown()
                assert browser.position == world.replicas[0].log.head(None)

    asyncio.run(run())
