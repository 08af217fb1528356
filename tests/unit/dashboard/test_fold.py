"""Whatever happens in whatever order, a client that folds its frames sees what the dashboard knows.

Publish, connect, drop, stall, read, evict, restart, follow a task, ticks and portions that end late: all of it through
the real board, log, welcome, hub, pump and backlog.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import a_task
from repack_contract.messages import Pong
from repack_contract.progress import Progress
from repack_contract.views import OperatorHealth
from repack_dashboard import hub
from repack_dashboard.attempts import Attempts
from repack_dashboard.backlog import Backlog
from repack_dashboard.board import Board
from repack_dashboard.eventlog import MemoryLog
from repack_dashboard.events import Bounds
from repack_dashboard.frames import frame, payload_of
from repack_dashboard.hub import Client, Hub
from repack_dashboard.metrics import Metrics
from repack_dashboard.session import Join, open_session
from repack_dashboard.sinks import Line
from repack_dashboard.store import Store
from repack_dashboard.welcome import Greeting, Welcome

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class NoAttempts(Attempts):
    """Keeps nothing on disk."""

    async def keep_progress(self, uid: str, progress: Progress) -> None:
        return None


class Wire:
    """A connection that stalls and reads again, with the real backlog."""

    heard_at = None
    coalesced = 0

    def __init__(self) -> None:
        self.line = Line()
        self.arrived: list[bytes] = []
        self.is_stalled = False
        self.closed: int | None = None
        self._backlog = Backlog(max_frames=5, max_bytes=10**6)

    @property
    def waiting(self) -> int:
        return len(self._backlog)

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        if self.closed is not None:
            return True
        if self.is_stalled:
            return self._backlog.add(frame, key=key)
        self.arrived.append(frame)
        return True

    def burst(self, frames: list[bytes]) -> None:
        if self.closed is not None:
            return
        if self.is_stalled:
            self._backlog.add_burst(frames)
        else:
            self.arrived.extend(frames)

    def close(self, code: int, reason: str = "") -> None:
        self.closed = code
        self._backlog.clear()

    def read(self) -> None:
        self.is_stalled = False
        self.arrived.extend(self._backlog.take())


class Browser:
    """Folds what arrives, and knows where it stands."""

    def __init__(self) -> None:
        self.line: Wire | None = None
        self.client: Client | None = None
        self.tasks: dict[str, tuple[Any, Any]] = {}
        self.position: int | None = None
        self.epoch: str | None = None

    def fold(self) -> None:
        while self.line is not None and self.line.arrived:
            self._take(json.loads(payload_of(self.line.arrived.pop(0))))

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "hello":
            self.epoch = message["epoch"]
            return
        if kind in {"subscribed", "pong"}:
            return
        if kind == "snapshot" and message["task_id"] is not None:
            assert message["gseq"] == self.position, "what came before must be there first"
            self.tasks[message["task_id"]] = seen(message["data"])
            return
        if kind == "snapshot":
            self.tasks = {entry["task_id"]: seen(entry["data"]) for entry in message["data"]}
            self.position = message["gseq"]
            return
        assert self.position is not None
        assert message["gseq"] == self.position + 1 + message.get("coalesced", 0), "an undeclared hole"
        self.position = message["gseq"]
        uid = message["task_id"]
        if kind == "task.deleted":
            self.tasks.pop(uid, None)
        elif kind == "task.status":
            self.tasks[uid] = seen(message["data"])
        else:
            self.tasks[uid] = (self.tasks[uid][0], message["data"]["tick"])


def seen(view: dict[str, Any]) -> tuple[Any, Any]:
    return view["status"].get("sequence"), (view.get("progress") or {}).get("tick")


class World:
    """One dashboard and three browsers."""

    def __init__(self) -> None:
        self.number = 0
        self.browsers = [Browser() for _ in range(3)]
        self.lives = [0, 0, 0]
        self.begin(Store())
        for which in range(3):
            self.do("state", which)
            self.do("connect", which)

    def begin(self, store: Store) -> None:
        self.log = MemoryLog(bounds=Bounds(events=5), clock=lambda: 0.0, epoch=f"e{self.number}")
        self.board = Board(store=store, log=self.log, attempts=NoAttempts(Path("/nowhere")), now=lambda: NOW)
        metrics = Metrics()
        self.due: deque[Callable[[], None]] = deque()
        self.hub = Hub(metrics=metrics, clock=lambda: 0.0, tick=0.02, later=lambda _seconds, act: self.due.append(act))
        self.log.listeners.entries.append(self.hub.publish)
        greeting = Greeting(server="1", ping_interval=30, operator=type("Op", (), {"health": OperatorHealth()})())
        self.welcome = Welcome(hub=self.hub, log=self.log, store=self.board.store, metrics=metrics, greeting=greeting)

    def do(self, step: str, which: int) -> None:
        self.number += 1
        browser, uid = self.browsers[which], f"task-{which}-{self.lives[which]}"
        if step in {"state", "progress", "gone", "late"}:
            asyncio.run(self.publish(step, which, uid))
        elif step == "connect":
            self.connect(browser)
        elif step == "drop":
            self.drop(browser)
        elif step == "restart":
            self.restart()
        elif step == "turn" and self.due:
            self.due.popleft()()
        elif browser.line is not None and browser.client is not None:
            self.meddle(step, browser.line, browser.client, uid)
        for each in self.browsers:
            each.fold()

    async def publish(self, step: str, which: int, uid: str) -> None:
        if step == "state":
            task = a_task(uid=uid, name=uid, status={"sequence": self.number, "phase": "Running"})
            await self.board.observe(task)
        elif step == "progress":
            await self.board.report(uid, Progress(attempt=1, tick=self.number, updated_at=NOW))
        elif step == "gone":
            await self.board.remove(uid)
            self.lives[which] += 1
        elif self.lives[which]:
            await self.board.observe(a_task(uid=f"task-{which}-0", status={"sequence": self.number}))

    def meddle(self, step: str, line: Wire, client: Client, uid: str) -> None:
        if step == "stall":
            line.is_stalled = True
        elif step == "read":
            line.read()
        elif step == "reply":
            self.hub.reply(client, frame(Pong(id=1)), kind="pong")
        elif step == "follow":
            self.welcome.join(client, Join(f"task:{uid}", None, None, 1))
        elif step == "unfollow":
            for channel in client.channels - {"tasks"}:
                self.hub.leave(client, channel)

    def connect(self, browser: Browser) -> None:
        if browser.line is not None and browser.line.closed is None:
            return
        self.drop(browser)
        since = None if browser.position is None else str(browser.position)
        opening = open_session(version="1", since=since, epoch=browser.epoch, subprotocols=[])
        browser.line = Wire()
        browser.client = self.hub.connect(browser.line, is_v1=True, kind="tasks")
        self.welcome.greet(browser.client, None, opening)

    def restart(self) -> None:
        """End and begin again: what was on its way is lost, the numbers begin anew, the tasks are still there."""
        for browser in self.browsers:
            browser.line = browser.client = None
        self.due.clear()
        self.begin(self.board.store)

    def drop(self, browser: Browser) -> None:
        if browser.client is not None:
            browser.fold()
            self.hub.drop(browser.client, code=1006)
        browser.line = browser.client = None

    def rest(self) -> None:
        """Let everything that is on its way arrive."""
        while self.due:
            self.due.popleft()()

    def truth(self) -> dict[str, tuple[Any, Any]]:
        return {view.uid: seen(view.wire()) for view in self.board.store}


STEP_NAMES = ["state", "state", *["progress"] * 5, "gone", "late", "connect", "drop", "stall", "stall", "read"]
STEP_NAMES += ["follow", "unfollow", "reply", "restart", *["turn"] * 4]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(STEP_NAMES),
        st.integers(0, 2),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS)
def test_every_client_ends_with_what_the_dashboard_knows(steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "PORTION", 1)  # the loop gets its turn after every single send
        world = World()
        for step, which in steps:
            world.do(step, which)
        world.rest()
        for browser in world.browsers:
            if browser.line is not None:
                browser.line.read()
            world.connect(browser)
            browser.fold()
            assert browser.tasks == world.truth()
            assert browser.position == world.log.head(None)
