"""One connection at a time: who is taken for dead and who is not, what is compressed, when the short way is closed."""

import asyncio
import contextlib
import json
import os
import shutil
import socket as sockets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from builders import a_task, a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_contract.messages import CloseCode
from repack_dashboard.background import drain
from repack_dashboard.protocol import TaskWebSocket
from requirements import require
from running_dashboard import Dashboard, a_dashboard, close_code, from_operator, messages, next_message, observed, until

REQUEST = (
    "GET /ws/tasks?v=1 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SHORT = {"heartbeat_interval": 0.5, "heartbeat_timeout": 2.5}


@contextlib.asynccontextmanager
async def a_silent_peer(dashboard: Dashboard) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect a client that says nothing by itself; gives both ways of its connection."""
    host, _, port = dashboard.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(REQUEST.format(host=dashboard.address).encode())
    await reader.readuntil(b"\r\n\r\n")
    await until(lambda: len(dashboard.services.hub) == 1, "the peer is in")
    try:
        yield reader, writer
    finally:
        writer.close()


def only_connection(dashboard: Dashboard) -> TaskWebSocket:
    (client,) = dashboard.services.hub.clients
    assert isinstance(client.sink, TaskWebSocket)
    return client.sink


async def test_a_peer_of_which_nothing_is_heard_is_closed_with_4001_and_its_line_cut(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api, **SHORT) as dashboard, a_silent_peer(dashboard) as (reader, _):
        began = time.monotonic()
        received = await reader.read()
        assert 0.5 < time.monotonic() - began < sum(SHORT.values()) + 1
        assert CloseCode.SILENT.to_bytes(2, "big") + b"nothing heard" in received
        await until(lambda: len(dashboard.services.hub) == 0, "it is forgotten")


async def test_a_client_that_only_answers_pings_stays(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, heartbeat_interval=0.2, heartbeat_timeout=2.3) as dashboard,
        dashboard.socket("/ws/tasks?v=1", ping_interval=None) as socket,
    ):
        await messages(socket, 2)
        began = only_connection(dashboard).heard_at or 0.0
        await until(lambda: (only_connection(dashboard).heard_at or 0.0) > began + 3, "it was heard for 3 s")
        assert len(dashboard.services.hub) == 1


async def test_a_client_that_talks_and_never_pongs_stays_until_it_falls_silent(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with (
        a_dashboard(tmp_path, api=api, heartbeat_interval=0.3, heartbeat_timeout=2.3) as dashboard,
        a_silent_peer(dashboard) as (reader, writer),
    ):
        (client,) = dashboard.services.hub.clients
        line = only_connection(dashboard).transport
        until_then = time.monotonic() + 2.5  # three times what a silent one would get
        while time.monotonic() < until_then:
            writer.write(b'\x81\x8f\x00\x00\x00\x00{"type":"ping"}')  # masked with nothing
            await asyncio.sleep(0.1)
        assert (client.close_code, line.is_closing()) == (None, False)
        last = only_connection(dashboard).heard_at or 0.0
        received = await reader.read()
        assert CloseCode.SILENT.to_bytes(2, "big") + b"nothing heard" in received
        assert asyncio.get_running_loop().time() - last >= 0.6


async def test_a_slow_answer_about_a_clients_token_does_not_stop_us_from_hearing_it(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    """A server that does not receive while it works kills a healthy client with 1011 (realtime.md 5.1)."""
    cluster = ReviewingApi(api)
    cluster.tokens = {"root": Known("root")}
    cluster.allow("root", "list", namespace="*")
    settings = {"auth_mode": "kubernetes", "heartbeat_interval": 0.3, "heartbeat_timeout": 2.3}
    async with (
        a_dashboard(tmp_path, api=cluster, **settings) as dashboard,
        dashboard.socket("/ws/tasks?v=1", additional_headers={"Authorization": "Bearer root"}) as socket,
    ):
        await messages(socket, 2)
        never = asyncio.Event()
        cluster.create = lambda _resource, _body: never.wait()  # type: ignore[method-assign]
        for number in range(4):  # as many questions that nobody answers
            await socket.send(json.dumps({"type": "auth", "token": f"token-{number}"}))
        pongs, until_then = 0, time.monotonic() + 2.5  # far longer than a silent client would get
        while time.monotonic() < until_then:
            await socket.send(json.dumps({"type": "ping", "id": 1}))
            assert (await next_message(socket)) == {"type": "pong", "id": 1}
            pongs += 1
            await asyncio.sleep(0.1)
        assert pongs > 10
        assert len(dashboard.services.hub) == 1


async def test_the_kernel_knows_how_long_a_peer_without_answers_is_worth_retries(
    dashboard: Dashboard,
) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        sock = only_connection(dashboard).transport.get_extra_info("socket")
        assert sock.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT) == 14_000


async def test_the_short_way_is_open_only_while_the_connection_is(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        ended = only_connection(dashboard)
        assert ended.line.write is not None
        ended.pause_writing()
        assert ended.line.write is None
        ended.resume_writing()
        assert ended.line.write is not None
    await until(lambda: ended.line.write is None, "the client's own close closes it")
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        ended = only_connection(dashboard)
        ended.close(CloseCode.SLOW_CONSUMER)
        assert ended.line.write is None
        assert ended.offer(b"a frame")  # nobody is blamed for what comes after the end
        assert await close_code(socket) == CloseCode.SLOW_CONSUMER
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        ended = only_connection(dashboard)
        socket.transport.abort()
        await until(lambda: ended.line.write is None, "a broken line closes it")


async def test_clients_that_offer_compression_read_large_and_small_messages_alike(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with (
        a_dashboard(tmp_path, api=api, compress=True) as dashboard,
        dashboard.socket("/ws/tasks?v=1", compression="deflate") as packing,
        dashboard.socket("/ws/tasks?v=1", compression=None) as plain,
        dashboard.socket("/ws/tasks?v=1", compression=None, extensions=[small_window()]) as small,
    ):
        agreed = packing.response.headers["Sec-WebSocket-Extensions"]
        assert "server_no_context_takeover" in agreed
        assert "client_no_context_takeover" in agreed
        for sequence in range(1, 6):
            labels = {"label": "x" * 3000} if sequence % 2 else {}
            body = a_task_object(status={"sequence": sequence, "phase": "Running"}, metadata={"labels": labels})
            await dashboard.ingest(from_operator(observed(body), batch=sequence))
            if sequence == 3:
                await packing.send('{"type":"ping","id":7}')  # its own messages are compressed too
        read = [[m for m in await messages(socket, 7 + (socket is packing)) if m["type"] == "task.status"]
                for socket in (packing, plain, small)]  # fmt: skip
        assert read[0] == read[1] == read[2]
        assert [message["data"]["status"]["sequence"] for message in read[0]] == [1, 2, 3, 4, 5]
        ways = [(c.sink.line.write is None, c.sink.line.write_packed is None) for c in dashboard.services.hub.clients]
        # A window smaller than ours would not hold our frames: that client gets uncompressed ones.
        assert ways == [(True, False), (False, True), (False, True)]


def small_window() -> ClientPerMessageDeflateFactory:
    return ClientPerMessageDeflateFactory(server_max_window_bits=9)


async def test_without_the_setting_nothing_is_compressed(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1", compression="deflate") as socket:
        await messages(socket, 2)
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


async def test_while_clients_are_sent_away_new_ones_are_refused_and_the_probe_says_why(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard, contextlib.AsyncExitStack() as stack:
        open_ones = [await stack.enter_async_context(dashboard.socket("/ws/tasks?v=1")) for _ in range(20)]
        for socket in open_ones:
            await messages(socket, 2)
        dashboard.services.hub.spread = lambda clients, window: [(0.5, c) for c in clients]  # type: ignore[method-assign]
        dashboard.server.should_exit = True
        assert (await next_message(open_ones[0]))["type"] == "goaway"
        async with httpx.AsyncClient(trust_env=False) as http:  # over a new connection, as a probe comes
            unready = await http.get(f"http://{dashboard.address}/readyz")
        assert (unready.status_code, unready.json()["reasons"]) == (503, ["draining"])
        late = await stack.enter_async_context(dashboard.socket("/ws/tasks?v=1"))
        assert await close_code(late) == CloseCode.RESTART
        for socket in open_ones:
            assert await close_code(socket) == CloseCode.RESTART


async def test_a_drain_takes_its_window_and_goes_on_delivering_meanwhile(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard, dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        dashboard.services.hub.spread = lambda clients, window: [(0.5, c) for c in clients]  # type: ignore[method-assign]
        draining = asyncio.create_task(drain(dashboard.services))
        assert (await next_message(socket))["type"] == "goaway"
        await dashboard.ingest(from_operator(observed(a_task_object(status={"sequence": 1, "phase": "Running"}))))
        assert (await next_message(socket))["type"] == "task.status"
        assert await close_code(socket) == CloseCode.RESTART
        await draining


@contextlib.contextmanager
def a_network() -> Iterator[tuple[str, str]]:
    """Make a network namespace behind a cable; gives our address on the cable and the namespace's name."""
    name = f"t{os.getpid() % 100_000}"
    ours, theirs = f"{name}a", f"{name}b"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    require(made.returncode == 0, "this test pulls a cable: run it as root with the right to make network namespaces")
    try:
        for command in (
            f"ip link add {ours} type veth peer name {theirs} netns {name}",
            f"ip addr add 198.51.100.1/30 dev {ours}",
            f"ip link set {ours} up",
            f"ip -n {name} addr add 198.51.100.2/30 dev {theirs}",
            f"ip -n {name} link set {theirs} up",
        ):
            subprocess.run(command.split(), check=True)
        yield "198.51.100.1", name
    finally:
        subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=False)


def pull(network: str) -> None:
    """Pull the cable: what is sent from now on is lost without a word, in both directions."""
    subprocess.run(["ip", "-n", network, "link", "set", f"{network}b", "down"], check=True)


@pytest.mark.parametrize("has_unsent_data", [False, True])
async def test_a_peer_behind_a_pulled_cable_is_given_up_in_time(
    tmp_path: Path, api: FakeTaskApi, has_unsent_data: bool
) -> None:
    require(shutil.which("ip"), "this test pulls a cable: apt-get install iproute2")
    program = "import socket,sys,time; s=socket.create_connection((sys.argv[1], int(sys.argv[2]))); \
s.sendall(sys.argv[3].encode()); time.sleep(60)"
    with a_network() as (host, network):
        async with a_dashboard(tmp_path, api=api, host=host, **SHORT) as dashboard:
            port = str(dashboard.server.port)
            peer = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", network, sys.executable, "-c", program, host, port, REQUEST.format(host=host)
            )
            try:
                await until(lambda: len(dashboard.services.hub) == 1, "the peer is in")
                pull(network)
                if has_unsent_data:
                    await dashboard.services.board.observe(a_task(status={"sequence": 1, "phase": "Running"}))
                bound = sum(SHORT.values()) + 1  # a second for a busy machine
                await until(lambda: not dashboard.server.server_state.connections, "its line is cut", seconds=bound)
                assert len(dashboard.services.hub) == 0
            finally:
                peer.kill()
                await peer.wait()
