"""Telling the dashboard, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import a_task_object
from fakes.ingest import FakeIngest, fake_ingest
from repack_contract.events import ProgressDigest
from repack_kube.resources import uid_of
from repack_operator.emit import Dashboard, Emitter, Outbox, Pulse, Sender, Source, Tasks
from repack_operator.metrics import Metrics


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Sending:
    outbox: Outbox
    emitter: Emitter
    tasks: list[dict[str, Any]] = field(default_factory=list)
    progress: list[ProgressDigest] = field(default_factory=list)


@pytest.fixture
async def ingest() -> AsyncIterator[FakeIngest]:
    async with fake_ingest() as server:
        yield server


@pytest.fixture
async def sending(ingest: FakeIngest, tmp_path: Path) -> AsyncIterator[Sending]:
    token = tmp_path / "token"
    token.write_text("secret\n")
    outbox = Outbox(now=now)
    tasks: list[dict[str, Any]] = []
    progress: list[ProgressDigest] = []
    pulse = Pulse(leader=True, queue_depth=1, running=2, slots=4, watch_age_seconds=0.5)
    all_tasks = Tasks(lambda: [uid_of(each) for each in tasks], lambda uid: next(t for t in tasks if uid_of(t) == uid))
    source = Source(outbox=outbox, tasks=all_tasks, pulse=lambda: pulse, progress=progress.extend)
    emitter = Emitter(Dashboard(ingest.url, token), source, Metrics(version="t"), sender=Sender("me"), now=now)
    running = asyncio.create_task(emitter.run())
    yield Sending(outbox, emitter, tasks, progress)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], Any], what: str, *, seconds: float = 10) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.02)


async def test_a_transition_arrives_with_the_credential(ingest: FakeIngest, sending: Sending) -> None:
    sending.outbox.seen(a_task_object(uid="a", status={"phase": "Running", "sequence": 1}))

    await until(lambda: ("a", "Running") in ingest.tasks, "the transition")
    assert ingest.tokens[-1] == "Bearer secret"
    assert ingest.batches[-1].instance == "me"


async def test_the_heartbeat_tells_how_the_operator_is_and_brings_progress(
    ingest: FakeIngest, sending: Sending
) -> None:
    ingest.progress = [ProgressDigest(uid="a", attempt=1, percent=40)]

    await until(lambda: sending.progress, "the progress")

    beat = ingest.events[0]
    assert (beat.kind, beat.running, beat.slots, beat.queue_depth) == ("heartbeat", 2, 4, 1)
    assert sending.progress[0].percent == 40


async def test_a_dashboard_that_is_met_is_sent_everything_and_told_that_this_is_all(
    ingest: FakeIngest, sending: Sending
) -> None:
    sending.tasks.extend(a_task_object(uid=f"u{number}", name=f"t{number}") for number in range(450))

    await until(lambda: ingest.marks, "the mark")

    assert {uid for uid, _ in ingest.tasks} == {f"u{number}" for number in range(450)}
    assert set(ingest.marks[0].uids) == {f"u{number}" for number in range(450)}
    assert all(len(batch.events) <= 200 for batch in ingest.batches)
    assert ingest.events[-1] == ingest.marks[0], "the mark comes last"


@pytest.mark.fault(4, "answers are lost")
async def test_a_batch_whose_answer_was_lost_is_sent_again_under_its_number(
    ingest: FakeIngest, sending: Sending
) -> None:
    await until(lambda: ingest.marks, "the first contact")
    ingest.lose_answers = 1
    sending.outbox.seen(a_task_object(uid="a", status={"phase": "Running", "sequence": 1}))

    await until(lambda: ingest.tasks.count(("a", "Running")) == 2, "the repetition")
    await until(lambda: len(sending.outbox) == 0, "the acknowledgement")

    first, second = [batch.batch for batch in ingest.batches if any(event.kind == "task" for event in batch.events)]
    assert first == second


@pytest.mark.fault(4, "it is restarted")
async def test_a_dashboard_that_started_anew_is_sent_everything_again(ingest: FakeIngest, sending: Sending) -> None:
    sending.tasks.append(a_task_object(uid="old"))
    await until(lambda: ingest.marks, "the first contact")
    ingest.batches.clear()

    ingest.instance = "second"
    sending.outbox.seen(a_task_object(uid="new"))

    await until(lambda: ingest.marks, "the mark")
    assert ("old", None) in ingest.tasks


@pytest.mark.parametrize("answers", [[503, 503], [403, 401], [404, 429]], ids=["away", "rights", "starting"])
@pytest.mark.fault(4, "it refuses for a while")
async def test_a_dashboard_that_is_away_for_a_while_learns_the_latest_state(
    ingest: FakeIngest, sending: Sending, answers: list[int]
) -> None:
    await until(lambda: ingest.marks, "the first contact")
    ingest.refuse_with = answers
    sending.outbox.seen(a_task_object(uid="a", status={"phase": "Running", "sequence": 1}))
    await until(lambda: not ingest.refuse_with, "two refusals")
    sending.outbox.seen(a_task_object(uid="a", status={"phase": "Succeeded", "sequence": 2}))

    await until(lambda: ("a", "Succeeded") in ingest.tasks, "the last state")


async def test_a_batch_that_is_refused_for_good_does_not_stop_the_next_one(
    ingest: FakeIngest, sending: Sending
) -> None:
    await until(lambda: ingest.marks, "the first contact")
    ingest.refuse_with = [422]
    sending.outbox.seen(a_task_object(uid="bad"))
    await until(lambda: not ingest.refuse_with, "the refusal")
    sending.outbox.seen(a_task_object(uid="good"))

    await until(lambda: ("good", None) in ingest.tasks, "the next one")


async def test_a_removed_task_is_told(ingest: FakeIngest, sending: Sending) -> None:
    sending.outbox.removed(a_task_object(uid="a"))

    await until(lambda: any(event.kind == "removed" and event.uid == "a" for event in ingest.events), "the removal")


async def test_at_the_end_what_waits_is_still_told(ingest: FakeIngest, sending: Sending) -> None:
    await until(lambda: ingest.marks, "the first contact")
    sending.outbox.seen(a_task_object(uid="last"))

    await sending.emitter.flush(seconds=5)

    assert ("last", None) in ingest.tasks


def test_of_a_task_only_the_latest_state_waits_and_without_what_nobody_reads() -> None:
    outbox = Outbox(now=now)
    for sequence in range(5):
        body = a_task_object(status={"phase": "Running", "sequence": sequence})
        body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        outbox.seen(body)

    events = outbox.take(Tasks(list, lambda _uid: None), room=200)

    assert len(events) == 1
    assert events[0]["task"]["status"]["sequence"] == 4
    assert "managedFields" not in events[0]["task"]["metadata"]
