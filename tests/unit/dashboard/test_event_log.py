"""The log's promise: whoever folds what the log gives has what the log has, or is told to begin anew.

Both logs keep it, the one in memory and the one in Redis.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import a_task
from repack_contract.events import Heartbeat
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.eventlog import EventLog, MemoryLog
from repack_dashboard.events import Bounds, Draft, Entry
from repack_dashboard.frames import payload_of
from repack_dashboard.notes import HeartbeatHeard, Note

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
TICKS = itertools.count(1)
MakeLog = Callable[..., Awaitable[EventLog]]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_draft(uid: str = "u", *, tick: int | None = None, attempt: int = 1) -> Draft:
    progress = Progress(attempt=attempt, tick=next(TICKS) if tick is None else tick, updated_at=NOW)
    return Draft(uid, "default", uid, NOW, progress)


def a_state(uid: str = "u", *, sequence: int = 1, version: int = 1, phase: str = "Running", **parts: Any) -> Draft:
    task = a_task(uid=uid, name=uid, status={"sequence": sequence, "phase": phase})
    return Draft(uid, "default", uid, NOW, TaskView.of(task, **parts), (sequence, 1, version))


def an_end(uid: str = "u") -> Draft:
    return Draft(uid, "default", uid, NOW, None)


async def append(log: EventLog, *drafts: Draft) -> list[str]:
    return [await log.append(draft) for draft in drafts]


def heard(log: EventLog) -> list[Entry]:
    seen: list[Entry] = []
    log.listeners.entries.append(seen.append)
    return seen


def decoded(frame: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(payload_of(frame))
    return value


async def test_seq_counts_per_task_and_gseq_over_all(make_log: MakeLog) -> None:
    log = await make_log()
    seen = heard(log)
    await append(log, a_draft("a"), a_draft("b"), a_draft("a"))
    assert [(entry.draft.uid, entry.seq, entry.gseq) for entry in seen] == [("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]
    assert (log.head("a"), log.head("b"), log.head(None), log.head("nobody")) == (2, 1, 3, 0)


async def test_a_frame_says_what_happened_in_one_message_for_both_channels(make_log: MakeLog) -> None:
    log = await make_log()
    await append(log, a_state(), an_end())
    status, gone = (decoded(frame) for frame in log.since(None, position=0, epoch=log.epoch).frames)
    assert (status["type"], status["seq"], status["gseq"], status["epoch"]) == ("task.status", 1, 1, log.epoch)
    assert status["data"]["uid"] == "u"
    assert (gone["type"], gone["seq"], gone["namespace"], gone["name"]) == ("task.deleted", 2, "default", "u")


async def test_what_was_told_before_is_no_second_event(make_log: MakeLog) -> None:
    log = await make_log()
    seen = heard(log)
    told = await append(
        log, a_state(sequence=2), a_state(sequence=2), a_state(sequence=1, phase="Pending"), a_draft(tick=5),
        a_draft(tick=5), a_draft(tick=4), a_draft(tick=1, attempt=2), a_draft(tick=6),
    )  # fmt: skip
    assert told == ["appended", "known", "known", "appended", "known", "known", "appended", "known"]
    assert [entry.gseq for entry in seen] == [1, 2, 3]


async def test_a_later_version_that_shows_nothing_new_is_no_event_and_hides_what_came_between(
    make_log: MakeLog,
) -> None:
    log = await make_log()
    told = await append(log, a_state(version=1), a_state(version=9), a_state(version=5, phase="Pending"))
    assert told == ["appended", "same", "known"]
    assert log.head(None) == 1


async def test_versions_are_compared_as_numbers(make_log: MakeLog) -> None:
    log = await make_log()
    told = await append(log, a_state(version=9), a_state(version=10, phase="Pending"), a_state(sequence=10, version=1))
    assert told == ["appended"] * 3


async def test_nothing_is_heard_of_a_task_after_its_end(make_log: MakeLog) -> None:
    log = await make_log()
    told = await append(log, a_state(), an_end(), an_end(), a_state(sequence=5), a_draft())
    assert told == ["appended", "appended", "known", "known", "known"]


async def test_a_state_carries_the_progress_that_the_log_knows_and_never_an_older_one(make_log: MakeLog) -> None:
    log = await make_log()
    seen = heard(log)
    old = Progress(attempt=1, tick=3, updated_at=NOW)
    await append(log, a_state(progress=old), a_draft(tick=7), a_state(sequence=2, phase="Pending", progress=old))
    bodies = [entry.draft.body for entry in seen]
    ticks = [body.progress.tick for body in bodies if isinstance(body, TaskView) and body.progress]
    assert ticks == [3, 7]
    assert decoded(seen[-1].frame)["data"]["progress"]["tick"] == 7


async def test_a_note_is_heard_and_has_no_number(make_log: MakeLog) -> None:
    log = await make_log()
    notes: list[Note] = []
    arrived = asyncio.Event()
    log.listeners.notes += [notes.append, lambda _note: arrived.set()]
    beat = Heartbeat(leader=True, queue_depth=0, running=0, slots=4, watch_age_seconds=0.5, ts=NOW)
    note = HeartbeatHeard(heartbeat=beat, instance="op-1", epoch=0, at=NOW)
    await log.tell(note)
    async with asyncio.timeout(10):
        await arrived.wait()
    assert notes == [note]
    assert log.head(None) == 0


async def test_bounds_of_number_bytes_and_age_forget_the_oldest(make_log: MakeLog) -> None:
    few = await make_log(events=3)
    await append(few, *(a_draft() for _ in range(5)))
    assert few.since(None, position=2, epoch=few.epoch).recovered
    assert few.since(None, position=1, epoch=few.epoch).verdict == "too_old"

    small = await make_log(total_bytes=600)
    await append(small, *(a_draft() for _ in range(5)))
    assert not small.since(None, position=0, epoch=small.epoch).recovered

    clock = Clock()
    old = await make_log(seconds=10, clock=clock)
    await append(old, a_draft())
    clock.now = 11
    await append(old, a_draft())
    old.expire()
    assert old.since("u", position=0, epoch=old.epoch).verdict == "too_old"
    assert old.since("u", position=1, epoch=old.epoch).recovered


async def test_a_replay_above_its_limit_is_a_snapshot_instead(make_log: MakeLog) -> None:
    log = await make_log(replay=3)
    await append(log, *(a_draft() for _ in range(5)))
    assert len(log.since(None, position=2, epoch=log.epoch).frames) == 3
    assert log.since(None, position=1, epoch=log.epoch).verdict == "too_old"


async def test_a_position_of_another_epoch_or_ahead_of_the_log_is_not_recovered(make_log: MakeLog) -> None:
    log = await make_log()
    await append(log, a_draft())
    await log.catch_up(None, position=5, epoch=log.epoch)
    assert log.since(None, position=5, epoch=log.epoch).verdict == "future"
    assert log.since(None, position=1, epoch="another").verdict == "epoch"


async def test_a_task_keeps_its_numbers_while_it_lives_although_its_events_expired(make_log: MakeLog) -> None:
    clock = Clock()
    log = await make_log(seconds=10, clock=clock)
    await append(log, a_draft("lives"), a_draft("dies"), an_end("dies"))
    clock.now = 20
    log.expire()
    assert (log.head("lives"), log.head("dies")) == (1, 0)


class Client:
    """What a browser does: drops what it has, asks when there is a hole, begins anew when told to."""

    def __init__(self) -> None:
        self.position = 0
        self.epoch = ""
        self.ticks: dict[str, int] = {}
        self.seen: list[int] = []

    def resume(self, log: EventLog, truth: dict[str, int]) -> None:
        replay = log.since(None, position=self.position, epoch=self.epoch)
        if not replay.recovered:
            self.ticks, self.position, self.epoch, self.seen = dict(truth), log.head(None), log.epoch, []
            return
        for frame in replay.frames:
            self.take(decoded(frame))

    def take(self, event: dict[str, Any]) -> None:
        assert event["gseq"] == self.position + 1, "a hole or a repetition"
        self.position = event["gseq"]
        self.ticks[event["task_id"]] = event["data"]["tick"]
        self.seen.append(event["gseq"])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("disconnect"), st.integers(0, 2)),
        st.tuples(st.just("resume"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.integers(1, 8)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
def test_any_interleaving_leaves_every_client_with_the_fold_of_the_log_or_a_declared_snapshot(
    steps: list[tuple[str, Any]],
) -> None:
    clock = Clock()
    log = MemoryLog(bounds=Bounds(events=6, seconds=10), clock=clock)
    truth: dict[str, int] = {}
    clients = [Client() for _ in range(3)]
    connected: set[int] = set()
    for number, (step, what) in enumerate(steps):
        if step == "publish":
            truth[what] = number
            live = heard(log)
            asyncio.run(append(log, a_draft(what, tick=number)))
            for index in connected:
                clients[index].take(decoded(live[-1].frame))
        elif step == "disconnect":
            connected.discard(what)
        elif step == "resume" and what not in connected:
            clients[what].resume(log, truth)
            connected.add(what)
        elif step == "wait":
            clock.now += what
            log.expire()
        elif step == "restart":
            log = MemoryLog(bounds=Bounds(events=6, seconds=10), clock=clock, epoch=f"e{number}x")
            connected.clear()
    for index in range(3):
        if index not in connected:
            clients[index].resume(log, truth)
        assert clients[index].ticks == truth
        assert clients[index].position == log.head(None)
