"""Who gets what, each once, and nobody is waited for."""

import asyncio
from datetime import UTC, datetime

from builders import a_task
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.eventlog import Bounds, Draft, MemoryLog
from repack_dashboard.hub import Hub
from repack_dashboard.metrics import Metrics

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class FakeSink:
    """A client that takes `room` frames and no more."""

    def __init__(self, *, room: int = 1000, heard_at: float | None = 0.0) -> None:
        self.room = room
        self.heard_at = heard_at
        self.frames: list[bytes] = []
        self.keys: list[str | None] = []
        self.closed: list[int] = []
        self.waiting = 0
        self.coalesced = 0

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


def a_hub() -> tuple[Hub, Clock]:
    clock = Clock()
    return Hub(metrics=Metrics(), clock=clock), clock


def publish(hub: Hub, *bodies: TaskView | Progress | None, uid: str = "u") -> None:
    log = MemoryLog(bounds=Bounds(), clock=lambda: 0.0)
    log.listen(hub.publish)

    async def run() -> None:
        for body in bodies:
            await log.append(Draft(uid, "default", "demo", NOW, body))

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
    moments = [moment for moment, _ in hub.spread(3.0)]
    assert len(moments) == 200
    assert moments == sorted(moments)
    assert moments[0] < 0.5
    assert 1.0 < moments[100] < 2.0
    assert 2.5 < moments[-1] <= 3.0
