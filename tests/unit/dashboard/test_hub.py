"""Who gets what, each once, and nobody is waited for."""

import asyncio
import zlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from builders import a_task
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.eventlog import MemoryLog
from repack_dashboard.events import Bounds, Draft
from repack_dashboard.frames import PACK_BYTES, payload_of
from repack_dashboard.hub import PINGS, PORTION, Hub
from repack_dashboard.metrics import Metrics
from repack_dashboard.sinks import Line

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class FakeSink:
    """A client that takes `room` frames and no more."""

    def __init__(self, *, room: int = 1000, heard_at: float | None = 0.0) -> None:
        self.line = Line()
        self.room = room
        self.heard_at = heard_at
        self.frames: list[bytes] = []
        self.keys: list[str | None] = []
        self.closed: list[int] = []
        self.waiting = 0
        self.coalesced = 0

    def writes_directly(self, *, packs: bool = False) -> "FakeSink":
        """Become a client that keeps up."""
        self.line = Line(None, self.frames.append) if packs else Line(self.frames.append)
        return self

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        if len(self.frames) >= self.room:
            return False
        self.frames.append(frame)
        self.keys.append(key)
        return True

    def burst(self, frames: list[bytes]) -> None:
        self.frames.extend(frames)

    def close(self, code: int, reason: str = "") -> None:
        self.closed.append(code)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Due(deque[Callable[[], None]]):
    """What the event loop would do later."""

    def later(self, _seconds: float, act: Callable[[], None]) -> None:
        self.append(act)

    def turn(self) -> None:
        self.popleft()()


def a_hub() -> tuple[Hub, Clock]:
    clock = Clock()
    return Hub(metrics=Metrics(), clock=clock), clock


def a_ticking_hub() -> tuple[Hub, Due]:
    due = Due()
    return Hub(metrics=Metrics(), clock=Clock(), tick=0.02, later=due.later), due


def publish(hub: Hub, *bodies: TaskView | Progress | None, uid: str = "u") -> None:
    log = MemoryLog(bounds=Bounds(), clock=lambda: 0.0)
    log.listeners.entries.append(hub.publish)

    async def run() -> None:
        for number, body in enumerate(bodies, start=1):  # each is news
            change = {TaskView: {"generation": number}, Progress: {"tick": number}}.get(type(body), {})
            news = body and body.model_copy(update=change)
            await log.append(Draft(uid, "default", "demo", NOW, news, (number, 0, 0)))

    asyncio.run(run())


STATUS = TaskView.of(a_task(uid="u"))
PROGRESS = Progress(attempt=1, tick=1, updated_at=NOW)


def test_an_event_reaches_each_client_once_whatever_it_joined() -> None:
    hub, _ = a_hub()
    own, everything, both, other = FakeSink(), FakeSink(), FakeSink(), FakeSink()
    for sink, channels in (
        (own, ["task:u"]),
        (everything, ["tasks"]),
        (both, ["tasks", "task:u"]),
        (other, ["task:x"]),
    ):
        client = hub.connect(sink, is_v1=True, kind="tasks")
        for channel in channels:
            hub.join(client, channel)
    publish(hub, STATUS)
    assert [len(sink.frames) for sink in (own, everything, both, other)] == [1, 1, 1, 0]
    assert own.frames[0] is everything.frames[0] is both.frames[0]  # the very same bytes


def test_only_progress_for_those_who_hear_all_tasks_may_be_left_out_for_newer() -> None:
    hub, _ = a_hub()
    own, everything = FakeSink(), FakeSink()
    hub.join(hub.connect(own, is_v1=True, kind="task"), "task:u")
    hub.join(hub.connect(everything, is_v1=True, kind="tasks"), "tasks")
    publish(hub, STATUS, PROGRESS, None)
    assert own.keys == [None, None, None]
    assert everything.keys == [None, "u", None]


def test_a_client_of_the_base_contract_gets_states_only() -> None:
    hub, _ = a_hub()
    base = FakeSink()
    hub.join(hub.connect(base, is_v1=False, kind="task"), "task:u")
    publish(hub, STATUS, PROGRESS, None)
    hub.tell("task:u", b"a log frame", kind="task.log")
    assert len(base.frames) == 1


def test_a_client_without_room_is_closed_and_the_others_get_everything() -> None:
    hub, _ = a_hub()
    slow, healthy = FakeSink(room=1), FakeSink()
    for sink in (slow, healthy):
        hub.join(hub.connect(sink, is_v1=True, kind="tasks"), "tasks")
    publish(hub, STATUS, STATUS, STATUS)
    assert len(healthy.frames) == 3
    assert slow.closed[0] == 4008


def test_a_client_that_left_hears_nothing_and_empty_channels_are_forgotten() -> None:
    hub, _ = a_hub()
    sink = FakeSink()
    client = hub.connect(sink, is_v1=True, kind="task")
    hub.join(client, "task:u")
    hub.drop(client, code=1005)
    hub.drop(client, code=1005)
    publish(hub, STATUS)
    assert (sink.frames, len(hub), hub._channels) == ([], 0, {})


def test_what_comes_within_a_tick_is_written_together_and_is_the_very_same_for_all() -> None:
    hub, due = a_ticking_hub()
    first, second, slow = FakeSink().writes_directly(), FakeSink().writes_directly(), FakeSink()
    for sink in (first, second, slow):
        hub.join(hub.connect(sink, is_v1=True, kind="tasks"), "tasks")
    publish(hub, STATUS, PROGRESS, None)
    assert len(first.frames) == 1
    due.turn()
    assert len(first.frames) == len(second.frames) == 2
    assert first.frames[1] is second.frames[1]
    # Who does not keep up must queue them one by one, as each is left out or kept by itself.
    assert len(slow.frames) == 3
    assert slow.keys == [None, "u", None]
    assert b"".join(slow.frames) == b"".join(first.frames)


def test_who_joins_in_the_middle_of_a_tick_gets_nothing_of_before_and_nobody_misses_it() -> None:
    hub, _ = a_ticking_hub()
    old, new = FakeSink().writes_directly(), FakeSink().writes_directly()
    hub.join(hub.connect(old, is_v1=True, kind="tasks"), "tasks")
    publish(hub, STATUS, PROGRESS)
    hub.join(hub.connect(new, is_v1=True, kind="tasks"), "tasks")
    assert len(old.frames) == 2
    assert new.frames == []


def test_what_is_said_to_one_client_comes_after_all_that_is_on_its_way() -> None:
    hub, _ = a_ticking_hub()
    sink = FakeSink().writes_directly()
    client = hub.connect(sink, is_v1=True, kind="tasks")
    hub.join(client, "tasks")
    publish(hub, STATUS, PROGRESS)
    hub.send(client, [b"a replay"], kind="replay")
    assert sink.frames[2:] == [b"a replay"]


def test_a_client_of_several_channels_gets_one_order_and_the_base_contract_its_selection() -> None:
    hub, due = a_ticking_hub()
    both, base, plain = (FakeSink().writes_directly() for _ in range(3))
    client = hub.connect(both, is_v1=True, kind="tasks")
    for channel in ("tasks", "task:u"):
        hub.join(client, channel)
    hub.join(hub.connect(base, is_v1=False, kind="tasks"), "tasks")
    hub.join(hub.connect(plain, is_v1=True, kind="tasks"), "tasks")
    publish(hub, STATUS, PROGRESS, STATUS)
    publish(hub, STATUS, uid="x")
    due.turn()
    assert b"".join(both.frames) == b"".join(plain.frames)
    assert b"".join(both.frames).count(b"task.status") == 3
    assert b"".join(base.frames).count(b"task.status") == 3
    assert b"task.progress" not in b"".join(base.frames)


def test_a_large_fan_out_lets_the_loop_work_between_its_portions() -> None:
    due = Due()
    hub = Hub(metrics=Metrics(), clock=Clock(), later=due.later)
    sinks = [FakeSink().writes_directly() for _ in range(2 * PORTION + 1)]
    for sink in sinks:
        hub.join(hub.connect(sink, is_v1=True, kind="tasks"), "tasks")

    def written() -> int:
        return sum(len(sink.frames) for sink in sinks)

    publish(hub, STATUS)
    assert written() == PORTION
    due.turn()
    assert written() == 2 * PORTION
    due.turn()
    assert written() == 2 * PORTION + 1
    assert not due


def test_clients_that_agreed_to_compression_share_one_compressed_frame() -> None:
    hub, _ = a_hub()
    first, second, plain = FakeSink(), FakeSink(), FakeSink().writes_directly()
    for sink in (first, second, plain):
        if sink is not plain:
            sink.writes_directly(packs=True)
        hub.join(hub.connect(sink, is_v1=True, kind="tasks"), "tasks")
    publish(hub, TaskView.of(a_task(uid="u", metadata={"labels": {"large": "x" * PACK_BYTES}})))
    publish(hub, PROGRESS)
    assert first.frames[0] is second.frames[0]
    assert len(first.frames[0]) < len(plain.frames[0])
    assert first.frames[0][0] == 0xC1  # final, compressed, text
    read = zlib.decompressobj(wbits=-15).decompress(payload_of(first.frames[0]) + b"\x00\x00\xff\xff")
    assert read == payload_of(plain.frames[0])
    assert first.frames[1] is plain.frames[1]  # too small to be worth it


def test_not_all_are_pinged_in_one_go_but_all_are_pinged() -> None:
    hub, clock = a_hub()
    sinks = [FakeSink() for _ in range(PINGS + 1)]
    for sink in sinks:
        hub.connect(sink, is_v1=True, kind="tasks")
    clock.now += 30
    hub.ping(interval=30)
    assert sum(len(sink.frames) for sink in sinks) == PINGS
    hub.ping(interval=30)
    assert [len(sink.frames) for sink in sinks] == [1] * (PINGS + 1)


def test_everybody_is_pinged_once_per_interval_with_one_frame() -> None:
    hub, clock = a_hub()
    first, second = FakeSink(), FakeSink()
    hub.connect(first, is_v1=True, kind="tasks")
    clock.now += 20
    hub.connect(second, is_v1=False, kind="tasks")
    clock.now += 10
    hub.ping(interval=30)
    assert (len(first.frames), len(second.frames)) == (1, 0)
    clock.now += 20
    hub.ping(interval=30)
    assert (len(first.frames), len(second.frames)) == (1, 1)


def test_the_sweep_closes_the_silent_and_spares_those_of_whom_nothing_can_be_known() -> None:
    hub, _ = a_hub()
    silent, lively, unknown = FakeSink(heard_at=50.0), FakeSink(heard_at=99.0), FakeSink(heard_at=None)
    for sink in (silent, lively, unknown):
        hub.connect(sink, is_v1=True, kind="tasks")
    assert hub.sweep(silence=45) == 1
    assert (silent.closed, lively.closed, unknown.closed) == ([4001], [], [])


def test_a_drain_is_spread_over_its_window_and_leaves_nobody_out() -> None:
    hub, _ = a_hub()
    for _ in range(200):
        hub.connect(FakeSink(), is_v1=True, kind="tasks")
    moments = [moment for moment, _ in hub.spread(hub.clients, window=3.0)]
    assert len(moments) == 200
    assert moments == sorted(moments)
    assert moments[0] < 0.5
    assert 1.0 < moments[100] < 2.0
    assert 2.5 < moments[-1] <= 3.0


def test_what_was_left_out_is_counted_while_the_client_is_still_there() -> None:
    hub, _ = a_hub()
    sink = FakeSink()
    client = hub.connect(sink, is_v1=True, kind="tasks")
    counted = hub._metrics.coalesced._value.get
    sink.coalesced = 3
    hub.measure()
    hub.measure()
    assert counted() == 3
    sink.coalesced = 5
    hub.drop(client, code=1000)
    assert counted() == 5
