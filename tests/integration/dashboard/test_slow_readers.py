"""One client that does not read harms nobody else, and learns why it was closed (realtime.md 5.1)."""

import asyncio
import contextlib
import socket as sockets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_dashboard.frames import text_frame
from repack_dashboard.protocol import TaskWebSocket
from running_dashboard import (
    Dashboard,
    a_dashboard,
    close_code,
    from_operator,
    from_worker,
    messages,
    observed,
    progressed,
    until,
)

LARGE = "x" * 4000


def large_task(sequence: int) -> dict[str, object]:
    """Return a task of about 64 KB, so that few events fill every buffer on the way."""
    labels = {f"label-{n}": LARGE for n in range(16)}
    return a_task_object(status={"sequence": sequence, "phase": "Running"}, metadata={"labels": labels})


def open_sockets(dashboard: Dashboard) -> int:
    """Return how many WebSockets the server itself still has."""
    return sum(isinstance(connection, TaskWebSocket) for connection in dashboard.server.server_state.connections)


@contextlib.asynccontextmanager
async def a_stalled_reader(dashboard: Dashboard, path: str) -> AsyncIterator[sockets.socket]:
    """Connect a client whose kernel takes little and whose program takes nothing."""
    host, _, port = dashboard.address.partition(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {dashboard.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(raw, request.encode())
    await until(lambda: len(dashboard.services.hub) > 0, "the stalled reader is in")
    try:
        yield raw
    finally:
        raw.close()


async def test_a_stalled_reader_delays_nobody_and_is_closed_as_a_slow_consumer(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard, contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(a_stalled_reader(dashboard, "/ws/tasks?v=1"))
        readers = [await stack.enter_async_context(dashboard.socket("/ws/tasks?v=1")) for _ in range(10)]
        for reader in readers:
            await messages(reader, 2)

        async def send() -> None:
            for sequence in range(1, 201):
                await dashboard.ingest(from_operator(observed(large_task(sequence)), batch=sequence))

        began = time.monotonic()
        received = [asyncio.create_task(messages(reader, 200)) for reader in readers]
        await send()
        for result in await asyncio.gather(*received):
            assert [event["data"]["status"]["sequence"] for event in result] == list(range(1, 201))
        assert time.monotonic() - began < 45
        assert await dashboard.metric("repack_ws_slow_consumers_total") == 1
        await until(lambda: len(dashboard.services.hub) == 10, "the stalled reader is gone")
        assert await dashboard.metric('repack_ws_disconnects_total{code="4008",initiator="server"}') == 1
        # Its line is cut too, although it never takes what the kernel holds for it.
        await until(lambda: open_sockets(dashboard) == 10, "the stalled reader's line is cut", seconds=9)


class Tally(asyncio.Protocol):
    """A client that reads everything and keeps only how much it was, and its end."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._request = (
            f"GET /ws/tasks/uid-1?v=1 HTTP/1.1\r\nHost: {dashboard.address}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        self.tail = b""
        self.size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        self.tail = (self.tail + data)[-100:]


async def test_one_stalled_reader_among_five_hundred_delays_none_of_them(tmp_path: Path, api: FakeTaskApi) -> None:
    """While the stalled one has frames waiting and is not closed yet, all others have everything already."""
    options = {"heartbeat_interval": 1000.0, "backlog_bytes": 100_000}
    async with a_dashboard(tmp_path, api=api, **options) as dashboard, contextlib.AsyncExitStack() as stack:
        (listener,) = dashboard.server.servers[0].sockets
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 16_384)  # less to fill until the stall is felt
        await stack.enter_async_context(a_stalled_reader(dashboard, "/ws/tasks/uid-1?v=1"))
        (stalled,) = dashboard.services.hub.clients
        loop, (host, _, port) = asyncio.get_running_loop(), dashboard.address.partition(":")
        readers = [(await loop.create_connection(lambda: Tally(dashboard), host, int(port)))[1] for _ in range(499)]
        await until(lambda: len(dashboard.services.hub) == 500, "all are in")
        hub, number = dashboard.services.hub, 0

        async def tell() -> bytes:
            nonlocal number
            number += 1
            mark = b'"mark":%d}' % number
            hub.tell("task:uid-1", text_frame(b'{"type":"test","data":"%s",%s' % (b"x" * 16_000, mark)), kind="test")
            await until(lambda: all(reader.tail.endswith(mark) for reader in readers), "all others have it", seconds=20)
            return mark

        await tell()
        for reader in readers:
            reader.size = 0  # each hello has a name of its own
        while not stalled.sink.waiting:
            await tell()
        while stalled.close_code is None:
            assert stalled.sink.waiting
            await tell()
        assert len({reader.size for reader in readers}) == 1, "all others have the same"
        assert stalled.close_code == 4008
        for reader in readers:
            reader.transport.close()


async def test_the_server_ends_although_a_stalled_reader_holds_back_its_data(tmp_path: Path, api: FakeTaskApi) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with a_dashboard(tmp_path, api=api) as dashboard:
            await stack.enter_async_context(a_stalled_reader(dashboard, "/ws/tasks?v=1"))
            (client,) = dashboard.services.hub.clients
            sequence = 0
            while not client.sink.waiting:
                sequence += 1
                await dashboard.ingest(from_operator(observed(large_task(sequence)), batch=sequence))
            ending = time.monotonic()
        assert time.monotonic() - ending < 8


async def test_a_slow_reader_that_reads_again_finds_code_4008_behind_what_it_got(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with (
        a_dashboard(tmp_path, api=api, backlog_frames=4) as dashboard,
        dashboard.socket("/ws/tasks?v=1", max_queue=1) as reader,
    ):
        await messages(reader, 2)
        for sequence in range(1, 400):
            await dashboard.ingest(from_operator(observed(large_task(sequence)), batch=sequence))
            if await dashboard.metric("repack_ws_slow_consumers_total"):
                break
        assert await close_code(reader) == 4008


async def test_progress_that_waits_for_a_slow_reader_is_replaced_by_newer_and_leaves_no_hole(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with (
        a_dashboard(tmp_path, api=api, backlog_frames=40) as dashboard,
        dashboard.socket("/ws/tasks?v=1", max_queue=1) as reader,
    ):
        hello, snapshot = await messages(reader, 2)
        (client,) = dashboard.services.hub.clients
        sequence = 0
        while not client.sink.waiting:
            sequence += 1
            await dashboard.ingest(from_operator(observed(large_task(sequence)), batch=sequence))
        for tick in range(1, 301):  # many more than the backlog would hold
            await dashboard.ingest(from_worker("uid-1", progressed(tick), batch=tick))
        position, last = hello["seq"], None
        while last is None or last["type"] != "task.progress" or last["data"]["tick"] < 300:
            (last,) = await messages(reader, 1)
            assert last["gseq"] == position + 1 + last.get("coalesced", 0)
            position = last["gseq"]
    assert position == snapshot["gseq"] + sequence + 300


async def test_a_peer_that_went_silent_is_given_up_even_with_unsent_data(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, heartbeat_interval=0.5, heartbeat_timeout=2.5) as dashboard,
        a_stalled_reader(dashboard, "/ws/tasks?v=1"),
    ):
        (client,) = dashboard.services.hub.clients
        sequence = 0
        while not client.sink.waiting:
            sequence += 1
            await dashboard.ingest(from_operator(observed(large_task(sequence)), batch=sequence))
        await until(lambda: len(dashboard.services.hub) == 0, "the silent peer is gone", seconds=5)
        assert await dashboard.metric('repack_ws_disconnects_total{code="4001",initiator="server"}') == 1


def test_a_line_that_breaks_in_the_very_moment_of_a_fan_out_costs_nobody_else_a_message(tmp_path: Path) -> None:
    """Between the loss of a connection and its route's noticing, uvloop's transports raise when they are written to."""
    api = FakeTaskApi()
    api.put(a_task_object())

    async def scenario() -> None:
        async with a_dashboard(tmp_path, api=api, tick_seconds=0) as dashboard, contextlib.AsyncExitStack() as stack:
            readers = [await stack.enter_async_context(dashboard.socket("/ws/tasks?v=1")) for _ in range(3)]
            for reader in readers:
                await messages(reader, 2)
            first = next(iter(dashboard.services.hub.clients)).sink
            assert isinstance(first, TaskWebSocket)
            loop, tell = asyncio.get_running_loop(), dashboard.services.hub.tell
            first.transport.abort()  # its loss is the loop's next business, ours comes right after it
            loop.call_soon(lambda: tell("tasks", text_frame(b'{"type":"told"}'), kind="test"))
            for reader in readers[1:]:
                assert (await messages(reader, 1))[0]["type"] == "told"

    uvloop.run(scenario())
