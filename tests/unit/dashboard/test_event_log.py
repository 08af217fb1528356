"""The log's promise: whoever folds what the log gives has what the log has, or is told to begin anew."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import a_task
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.eventlog import MemoryLog
from repack_dashboard.events import Bounds, Draft, Entry
from repack_dashboard.frames import payload_of

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_log(**bounds: Any) -> tuple[MemoryLog, Clock]:
    clock = Clock()
    return MemoryLog(bounds=Bounds(**bounds), clock=clock, epoch="e1"), clock


def a_draft(uid: str = "u", *, tick: int = 1) -> Draft:
    return Draft(uid, "default", uid, NOW, Progress(attempt=1, tick=tick, updated_at=NOW))


def append(log: MemoryLog, *drafts: Draft) -> None:
    async def all_of_them() -> None:
        for draft in drafts:
            await log.append(draft)

    asyncio.run(all_of_them())


def decoded(frame: bytes) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(payload_of(frame))
    return value


def test_seq_counts_per_task_and_gseq_over_all() -> None:
    log, _ = a_log()
    seen: list[Entry] = []
    log.listeners.entries.append(seen.append)
    append(log, a_draft("a"), a_draft("b"), a_draft("a"))
    assert [(entry.draft.uid, entry.seq, entry.gseq) for entry in seen] == [("a", 1, 1), ("b", 1, 2), ("a", 2, 3)]
    assert (log.head("a"), log.head("b"), log.head(None), log.head("nobody")) == (2, 1, 3, 0)


def test_a_frame_says_what_happened_in_one_message_for_both_channels() -> None:
    log, _ = a_log()
    append(log, Draft("u", "ns", "demo", NOW, TaskView.of(a_task(uid="u"))), Draft("u", "ns", "demo", NOW, None))
    status, gone = (decoded(frame) for frame in log.since(None, position=0, epoch="e1").frames)
    assert (status["type"], status["seq"], status["gseq"], status["epoch"]) == ("task.status", 1, 1, "e1")
    assert status["data"]["uid"] == "u"
    assert (gone["type"], gone["seq"], gone["namespace"], gone["name"]) == ("task.deleted", 2, "ns", "demo")


def test_bounds_of_number_bytes_and_age_forget_the_oldest() -> None:
    few, _ = a_log(events=3)
    append(few, *(a_draft() for _ in range(5)))
    assert few.since(None, position=2, epoch="e1").recovered
    assert few.since(None, position=1, epoch="e1").verdict == "too_old"

    small, _ = a_log(total_bytes=600)
    append(small, *(a_draft() for _ in range(5)))
    assert not small.since(None, position=0, epoch="e1").recovered

    old, clock = a_log(seconds=10)
    append(old, a_draft())
    clock.now = 11
    append(old, a_draft())
    old.expire()
    assert old.since("u", position=0, epoch="e1").verdict == "too_old"
    assert old.since("u", position=1, epoch="e1").recovered


def test_a_replay_above_its_limit_is_a_snapshot_instead() -> None:
    log, _ = a_log(replay=3)
    append(log, *(a_draft() for _ in range(5)))
    assert len(log.since(None, position=2, epoch="e1").frames) == 3
    assert log.since(None, position=1, epoch="e1").verdict == "too_old"


def test_a_task_keeps_its_numbers_while_it_lives_although_its_events_expired() -> None:
    log, clock = a_log(seconds=10)
    append(log, a_draft("lives"), a_draft("dies"), Draft("dies", "default", "dies", NOW, None))
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

    def resume(self, log: MemoryLog, truth: dict[str, int]) -> None:
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
    log, clock = a_log(events=6, seconds=10)
    truth: dict[str, int] = {}
    clients = [Client() for _ in range(3)]
    connected: set[int] = set()
    for number, (step, what) in enumerate(steps):
        if step == "publish":
            truth[what] = number
            live: list[Entry] = []
            log.listeners.entries.append(live.append)
            append(log, a_draft(what, tick=number))
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
