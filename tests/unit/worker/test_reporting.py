"""Reporting: what listeners hear, and what a dashboard that comes and goes receives."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from repack_contract.phases import Stage, StageState
from repack_worker.ingest import IngestReporter
from repack_worker.report import Journal


class Dashboard:
    """Answers the ingest endpoint the way the real one does."""

    def __init__(self) -> None:
        self.instance, self.up, self.batches = "one", True, []
        self.authorizations: list[str | None] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if not self.up:
            raise httpx.ConnectError("refused", request=request)
        batch = json.loads(request.content)
        self.batches.append(batch)
        self.authorizations.append(request.headers.get("authorization"))
        return httpx.Response(200, json={"instance": self.instance, "batch": batch["batch"]})

    @property
    def lines(self) -> list[int]:
        return [line["n"] for batch in self.batches for event in batch["events"] for line in event.get("lines", [])]

    @property
    def progress(self) -> list[dict[str, Any]]:
        return [e["progress"] for batch in self.batches for e in batch["events"] if e["kind"] == "progress"]


@pytest.fixture
def dashboard() -> Dashboard:
    return Dashboard()


@pytest.fixture
async def reporter(dashboard, tmp_path) -> AsyncIterator[IngestReporter]:
    (tmp_path / "token").write_text("first\n")
    async with httpx.AsyncClient(transport=httpx.MockTransport(dashboard.answer), base_url="http://d") as client:
        reporter = IngestReporter(client, uid="u", attempt=1, token_file=tmp_path / "token", interval_seconds=0.01)
        task = asyncio.create_task(reporter.run())
        yield reporter
        task.cancel()


async def eventually(condition: Any, what: str) -> None:
    for _ in range(1000):  # five seconds
        if condition():
            break
        await asyncio.sleep(0.005)
    assert condition(), what


async def test_lines_arrive_in_order_and_once(reporter, dashboard):
    journal = Journal(attempt=1, reporters=[reporter])
    for number in range(2500):
        journal.say(f"line {number}")
    await eventually(lambda: len(dashboard.lines) == 2500, "all lines")
    assert dashboard.lines == list(range(1, 2501))
    assert [batch["batch"] for batch in dashboard.batches] == list(range(1, len(dashboard.batches) + 1))


async def test_progress_is_coalesced_to_the_newest(reporter, dashboard):
    journal = Journal(attempt=1, reporters=[reporter])
    journal.plan_stages([Stage.DOWNLOAD])
    journal.start(Stage.DOWNLOAD)
    for _ in range(1000):
        journal.moved(1)
    await eventually(lambda: dashboard.progress, "a report")
    assert len(dashboard.progress) < 10
    assert dashboard.progress[-1]["stages"][0]["bytesDone"] == 1000


async def test_nothing_is_lost_while_the_dashboard_is_away(reporter, dashboard):
    journal = Journal(attempt=1, reporters=[reporter])
    dashboard.up = False
    journal.say("one")
    await asyncio.sleep(0.05)
    journal.say("two")
    dashboard.up = True
    await eventually(lambda: dashboard.lines == [1, 2], "both lines")


async def test_a_dashboard_without_memory_gets_the_last_thousand_lines_again(reporter, dashboard):
    journal = Journal(attempt=1, reporters=[reporter])
    for number in range(1500):
        journal.say(str(number))
    await eventually(lambda: len(dashboard.lines) == 1500, "all lines")
    dashboard.batches.clear()
    dashboard.instance = "two"
    journal.say("after the restart")
    await eventually(lambda: len(dashboard.lines) >= 1001, "the lines again")
    assert sorted(set(dashboard.lines)) == list(range(502, 1502))


async def test_the_token_is_read_again_for_each_batch(reporter, dashboard, tmp_path):
    journal = Journal(attempt=1, reporters=[reporter])
    journal.say("one")
    await eventually(lambda: dashboard.lines == [1], "the first line")
    (tmp_path / "token").write_text("second\n")
    journal.say("two")
    await eventually(lambda: dashboard.lines == [1, 2], "the second line")
    assert (dashboard.authorizations[0], dashboard.authorizations[-1]) == ("Bearer first", "Bearer second")


async def test_the_journal_keeps_the_whole_log_without_secrets(tmp_path):
    journal = Journal(attempt=1, reporters=[], log_file=tmp_path / "log.ndjson")
    journal.say("from https://user:pw@host.test/a?token=secret#x\nsecond line")
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert [(line["n"], line["text"]) for line in lines] == [(1, "from https://host.test/a"), (2, "second line")]


def test_progress_never_claims_what_is_not_known(listener):
    journal = Journal(attempt=1, reporters=[listener])
    journal.plan_stages([Stage.FETCH, Stage.DOWNLOAD, Stage.VERIFY])
    assert listener.states[-1].percent is None
    journal.start(Stage.FETCH)
    assert listener.states[-1].stages[0].bytes_total is None
    journal.finish(Stage.FETCH)
    journal.start(Stage.DOWNLOAD)
    journal.total(100)
    before = listener.states[-1].percent
    journal.moved(50)
    assert before < listener.states[-1].percent < 100
    journal.finish(Stage.DOWNLOAD, StageState.FAILED)
    assert listener.states[-1].stages[1].state is StageState.FAILED
    ticks = [state.tick for state in listener.states]
    assert ticks == sorted(set(ticks))
