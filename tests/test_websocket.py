"""The claims of the original's "WebSocket Stability Improvements", one by one, and what its code made of them.

Each is driven by a client written to the original's documented contract (`fakes/original_client.py`) against our real
server on real sockets. The numbers in names are those of its timers: 30 s, 60 s, 10 attempts, on a faster clock.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from builders import a_task_object
from fakes.original_client import Options, OriginalClient
from fakes.task_api import FakeTaskApi
from repack_dashboard.protocol import TaskWebSocket
from repack_dashboard.settings import Settings
from running_dashboard import (
    Dashboard,
    a_dashboard,
    close_code,
    eventually,
    from_operator,
    from_worker,
    logged,
    next_message,
    observed,
    until,
)

QUICK = Options().times(1 / 100)
"""The original's client, a hundred times faster: a ping each 0.3 s, away after 0.6 s, tries after 0.03 to 0.3 s."""
SERVER = {"heartbeat_interval": 0.3, "heartbeat_timeout": 0.3}


@pytest.fixture
def api() -> FakeTaskApi:
    fake = FakeTaskApi()
    fake.put(a_task_object())
    fake.put(a_task_object(uid="uid-2", name="other"))
    return fake


@pytest.fixture
async def dashboard(tmp_path: Path, api: FakeTaskApi) -> AsyncIterator[Dashboard]:
    async with a_dashboard(tmp_path, api=api, **SERVER) as running:
        yield running


def a_client(dashboard: Dashboard, task_id: str = "uid-1", options: Options = QUICK) -> OriginalClient:
    return OriginalClient(f"ws://{dashboard.address}", task_id, options)


def changed(sequence: int, **parts: object) -> dict[str, object]:
    return a_task_object(status={"sequence": sequence, "phase": "Running", "attempt": 1}, **parts)  # type: ignore[arg-type]


async def change(dashboard: Dashboard, sequence: int, **parts: object) -> None:
    await dashboard.ingest(from_operator(observed(changed(sequence, **parts)), batch=sequence))


def sequences(client: OriginalClient) -> list[int]:
    return [message["data"]["status"]["sequence"] for message in client.of_type("task.status")[1:]]


@contextlib.asynccontextmanager
async def a_silent_peer(dashboard: Dashboard) -> AsyncIterator[asyncio.StreamReader]:
    """Connect as somebody whose machine is gone: the handshake, and then nothing at all."""
    host, _, port = dashboard.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /ws/tasks/uid-1 HTTP/1.1\r\nHost: {dashboard.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader
    finally:
        writer.close()


# Connection management


async def test_connection_management_lets_viewers_of_a_task_in_and_forgets_them_when_they_leave(
    dashboard: Dashboard,
) -> None:
    async with a_client(dashboard) as first, a_client(dashboard) as second:
        await until(lambda: first.received and second.received, "both see the task")
        assert len(dashboard.services.hub) == 2
        assert (first.state, second.state) == ("connected", "connected")
    await until(lambda: len(dashboard.services.hub) == 0, "both are forgotten")
    assert await dashboard.metric("repack_ws_connections{") == 0


async def test_the_first_message_is_the_whole_task_and_so_is_every_change(dashboard: Dashboard) -> None:
    async with a_client(dashboard) as client:
        await until(lambda: client.received, "the first message")
        await change(dashboard, 1)
        await until(lambda: len(client.of_type("task.status")) == 2, "the change")
    first, second = client.of_type("task.status")
    assert (first["task_id"], first["data"]["name"]) == ("uid-1", "demo")
    assert second["data"]["status"]["phase"] == "Running"
    assert first["data"].keys() == second["data"].keys()
    assert {message["type"] for message in client.received} <= {"task.status", "ping", "pong"}


# Heartbeat


async def test_heartbeat_of_the_client_is_answered_by_a_pong_which_the_original_promised_and_never_sent(
    dashboard: Dashboard,
) -> None:
    async with a_client(dashboard) as client:
        await until(lambda: len(client.of_type("pong")) >= 3, "three pongs")
        assert client.attempts == 1


async def test_heartbeat_of_the_server_comes_every_interval_and_its_pong_keeps_the_client_connected(
    dashboard: Dashboard,
) -> None:
    quiet = Options(heartbeat_interval=1000, silence=QUICK.silence, reconnect_interval=0.03)  # it only answers
    async with a_client(dashboard, options=quiet) as client:
        await until(lambda: len(client.of_type("ping")) >= 5, "five pings, over longer than interval and timeout")
        assert (client.attempts, client.state) == (1, "connected")


async def test_heartbeat_timeout_closes_a_peer_of_which_nothing_at_all_is_heard(dashboard: Dashboard) -> None:
    async with a_silent_peer(dashboard) as peer:
        await until(lambda: len(dashboard.services.hub) == 1, "it is in")
        await until(lambda: len(dashboard.services.hub) == 0, "it is given up")
        heard = await peer.read()
    assert (4001).to_bytes(2) in heard
    assert await dashboard.metric('repack_ws_disconnects_total{code="4001",initiator="server"}') == 1


def test_heartbeat_and_cleanup_are_set_by_the_originals_three_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().heartbeat_interval, Settings().cleanup_interval) == (30, 300)
    for name, value in (("INTERVAL", "7"), ("TIMEOUT", "8")):
        monkeypatch.setenv(f"WS_HEARTBEAT_{name}", value)
    monkeypatch.setenv("WS_CLEANUP_INTERVAL", "9")
    settings = Settings()
    assert (settings.heartbeat_interval, settings.heartbeat_timeout, settings.cleanup_interval) == (7, 8, 9)


# Periodic cleanup


@pytest.fixture
async def swept(tmp_path: Path, api: FakeTaskApi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Dashboard]:
    """A dashboard whose connections never notice a silence by themselves: the periodic cleanup alone does."""
    monkeypatch.setattr(TaskWebSocket, "keepalive_timeout", lambda _self: None)
    async with a_dashboard(tmp_path, api=api, cleanup_interval=0.1, **SERVER) as running:
        yield running


async def test_periodic_cleanup_closes_stale_connections_and_leaves_the_live_ones(swept: Dashboard) -> None:
    async with a_client(swept) as living, a_silent_peer(swept), a_silent_peer(swept):
        await until(lambda: len(swept.services.hub) == 3, "all are in")
        await until(lambda: len(swept.services.hub) == 1, "the silent ones are swept")
        assert (living.state, living.attempts) == ("connected", 1)


async def test_no_deadlock_in_cleanup_connects_go_on_while_stale_sockets_are_swept(swept: Dashboard) -> None:
    """1.5 no. 1: the original's cleanup held a lock that its own disconnect wanted: no later client got in."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(a_silent_peer(swept))
        for _ in range(20):
            async with a_client(swept) as client:
                await until(lambda client=client: client.received, "a new client is served", seconds=3)
            await asyncio.sleep(0.05)
        await until(lambda: len(swept.services.hub) == 0, "every stale socket is gone")
        assert await swept.metric('repack_ws_disconnects_total{code="4001",initiator="server"}') == 10


# Connection timestamps and statistics


async def test_connection_timestamps_and_statistics_are_kept_and_shown(dashboard: Dashboard) -> None:
    async with a_client(dashboard) as client, dashboard.socket("/ws/tasks?v=1") as socket:
        await next_message(socket)
        await until(lambda: client.of_type("pong"), "a heartbeat")
        held = list(dashboard.services.hub.clients)
        assert all(one.opened_at <= (one.sink.heard_at or 0) for one in held)
        assert await dashboard.metric('repack_ws_connections{channel_kind="task"}') == 1
        assert await dashboard.metric('repack_ws_connections{channel_kind="tasks"}') == 1
        assert await dashboard.metric('repack_ws_messages_received_total{type="ping"}') >= 1
        assert await dashboard.metric('repack_ws_messages_sent_total{type="task.status"}') >= 1
        shown = (await dashboard.http.get("/stats")).text
    assert [line.split()[-1] for line in shown.splitlines()[2:]] == ["channel", "tasks", "default/demo"]


# Broadcast and channel messages


async def test_channel_messages_reach_the_viewers_of_their_task_and_nobody_else(dashboard: Dashboard) -> None:
    async with a_client(dashboard, "uid-1") as mine, a_client(dashboard, "uid-2") as other:
        await until(lambda: mine.received and other.received, "both are in")
        await change(dashboard, 1)
        await change(dashboard, 2, uid="uid-2", name="other")
        await until(lambda: sequences(mine) == [1] and sequences(other) == [2], "each has its own")
    assert {message["task_id"] for message in mine.of_type("task.status")} == {"uid-1"}


async def test_broadcast_messages_of_all_tasks_reach_one_socket_which_the_original_could_not(
    dashboard: Dashboard,
) -> None:
    """1.5 no. 9: one socket per task, no view of all, no history of logs."""
    async with dashboard.socket("/ws/tasks") as everything:
        await until(lambda: len(dashboard.services.hub) == 1, "it is in")
        await change(dashboard, 1)
        await change(dashboard, 2, uid="uid-2", name="other")
        seen = [(await next_message(everything))["name"] for _ in range(2)]
    assert seen == ["demo", "other"]
    await dashboard.ingest(from_worker("uid-1", logged(1, 2)))
    assert len((await dashboard.http.get("/api/v1/tasks/uid-1/log")).json()["items"]) == 2


async def test_no_k_fold_sends_each_of_k_viewers_gets_each_update_once(dashboard: Dashboard) -> None:
    """1.5 no. 2: the original's k subscriptions each relayed to all k viewers."""
    async with contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(a_client(dashboard)) for _ in range(5)]
        await until(lambda: all(viewer.received for viewer in viewers), "all are in")
        before = await dashboard.metric('repack_ws_messages_sent_total{type="task.status"}')
        for sequence in (1, 2, 3):
            await change(dashboard, sequence)
        await until(lambda: all(sequences(viewer) == [1, 2, 3] for viewer in viewers), "all have all")
        assert await dashboard.metric('repack_ws_messages_sent_total{type="task.status"}') - before == 15
    assert all(sequences(viewer) == [1, 2, 3] for viewer in viewers)


async def test_no_lost_update_between_snapshot_and_subscription(dashboard: Dashboard) -> None:
    """1.5 no. 3: the original read, accepted, subscribed and then sent what it had read: the rest was lost."""
    is_over = False

    async def keep_changing() -> int:
        sequence = 0
        while not is_over:
            sequence += 1
            await change(dashboard, sequence)
        return sequence

    changes = asyncio.create_task(keep_changing())
    async with contextlib.AsyncExitStack() as stack:
        viewers = []
        for _ in range(20):
            viewers.append(await stack.enter_async_context(a_client(dashboard)))
            await until(lambda: viewers[-1].received, "it is in")
        is_over = True
        last = await changes
        await until(lambda: all(sequences(viewer)[-1:] == [last] for viewer in viewers), "all have the last")
    for viewer in viewers:
        numbers = [message["seq"] for message in viewer.of_type("task.status")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "no hole and nothing twice"


# Specific error handling


async def test_error_handling_an_unknown_task_is_told_as_the_original_documents_and_never_tried_again(
    dashboard: Dashboard,
) -> None:
    """The original closed before accepting, so that its own client never saw its 1008."""
    async with a_client(dashboard, "nobody") as client:
        await until(lambda: client.state == "error", "it gives up")
    assert (client.attempts, client.closes) == (1, [(1008, "Task not found")])
    assert await dashboard.metric('repack_ws_rejected_total{reason="1008"}') == 1


async def test_error_handling_nonsense_changes_nothing_for_who_sent_it(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks/uid-1") as socket:
        await next_message(socket)
        for nonsense in ("", "{", "[]", "null", '{"type":"dance"}', b"\x00\xff"):
            await socket.send(nonsense)
        await socket.send('{"type":"ping"}')
        assert await next_message(socket) == {"type": "pong"}


@pytest.mark.parametrize(
    ("sent", "code"), [(["x" * 70_000], 1009), (['{"type":"ping"}'] * 100, 4013)], ids=["too-large", "too-many"]
)
async def test_error_handling_each_abuse_has_its_own_close_code_and_counter(
    dashboard: Dashboard, sent: list[str], code: int
) -> None:
    async with dashboard.socket("/ws/tasks/uid-1") as socket:
        for message in sent:
            await socket.send(message)
        assert await close_code(socket) == code

    async def is_counted() -> bool:
        return await dashboard.metric(f'repack_ws_disconnects_total{{code="{code}",initiator=') == 1

    await eventually(is_counted, f"{code} is counted")


@pytest.mark.parametrize("has_our_protocol", [True, False])
async def test_error_handling_nothing_of_a_lost_connection_goes_on_running(
    tmp_path: Path, api: FakeTaskApi, has_our_protocol: bool
) -> None:
    """1.5 no. 5: the original's three loops per socket were never cancelled together."""
    async with a_dashboard(tmp_path, api=api, has_our_protocol=has_our_protocol, **SERVER) as dashboard:
        await dashboard.http.get("/healthz")
        before = len(asyncio.all_tasks())
        for _ in range(5):
            socket = await connect(f"ws://{dashboard.address}/ws/tasks/uid-1", proxy=None)
            await next_message(socket)
            socket.transport.abort()
        await until(lambda: len(dashboard.services.hub) == 0, "all are forgotten")
        await until(lambda: len(asyncio.all_tasks()) <= before, "nothing of them runs")


# Reconnection


async def test_reconnect_finds_the_present_state_after_a_restart_of_the_server(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api, **SERVER) as dashboard:
        port = dashboard.server.port
        client = a_client(dashboard, options=Options(heartbeat_interval=0.3, silence=5, reconnect_interval=0.05))
        await client.__aenter__()
        await until(lambda: client.received, "it is in")
    api.put(changed(4))
    await until(lambda: client.attempts >= 3, "an attempt failed, and another followed")
    async with a_dashboard(tmp_path, api=api, port=port, **SERVER):
        await until(lambda: client.state == "connected", "it is back", seconds=20)
        await until(lambda: client.of_type("task.status")[-1]["data"]["status"].get("sequence") == 4, "it is current")
        await client.__aexit__()
    assert client.closes[0][0] == 1012
    assert client.attempts <= 11


async def test_reconnect_has_limits_ten_attempts_and_then_an_error(tmp_path: Path, api: FakeTaskApi) -> None:
    """1.5 no. 4: the original's ten attempts were one, as nothing cleared its flag after a failure."""
    async with a_dashboard(tmp_path, api=api) as dashboard:
        client = a_client(dashboard)
        await client.__aenter__()
        await until(lambda: client.received, "it is in")
    await until(lambda: client.state == "error", "it gives up")
    await client.__aexit__()
    assert client.attempts == 1 + 10


async def test_reconnect_happens_when_the_server_is_silent_for_the_clients_60_seconds(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    mute = Options(heartbeat_interval=1000, silence=0.3, reconnect_interval=0.05)
    async with (
        a_dashboard(tmp_path, api=api, heartbeat_interval=1000.0) as dashboard,
        a_client(dashboard, options=mute) as client,
    ):
        await until(lambda: client.attempts >= 3, "it comes back by itself")
        assert json.dumps(client.of_type("task.status")[-1]["data"]) == json.dumps(client.received[0]["data"])
