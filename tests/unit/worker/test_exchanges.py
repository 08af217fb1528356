"""Exchanges with servers byte by byte: connections used again, answers of every kind, ends that come from us."""

import asyncio
import contextlib
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from fakes.index import FakeIndex, wait_until
from fakes.scripted_server import CLOSE, KEEP_SILENT, ScriptedServer, an_answer
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import Download, Fetcher

SILENCE_SECONDS = 30


@pytest.fixture
def settings(settings):
    return settings.but(download_attempts=1)


def an_order(url: str, tmp_path, **more: object) -> Download:
    return Download(url=url, target=tmp_path / "file", what="The plugin", limit=1 << 20, **more)  # type: ignore[arg-type]


async def got(server: ScriptedServer, settings, tmp_path, *, times: int = 1, **more: object) -> list[bytes]:
    """Fetch the server's file so often, with one fetcher."""
    contents = []
    async with Fetcher(settings) as fetcher:
        for _ in range(times):
            await fetcher.download(an_order(f"{server.base}/x", tmp_path, **more))
            contents.append((tmp_path / "file").read_bytes())
    return contents


async def failed(server: ScriptedServer, settings, tmp_path, **more: object) -> RepackError:
    with pytest.raises(RepackError) as caught:
        await got(server, settings, tmp_path, **more)
    assert list(tmp_path.iterdir()) == []
    return caught.value


async def test_a_connection_is_used_again(settings, tmp_path):
    with ScriptedServer(an_answer(b"one"), an_answer(b"two")) as server:
        assert await got(server, settings, tmp_path, times=2) == [b"one", b"two"]
    assert server.connections == 1


@pytest.mark.parametrize("closed", ["after the answer", "after the question"])
async def test_a_used_connection_that_the_server_closed_is_replaced_without_an_attempt(settings, tmp_path, closed):
    first = an_answer(b"one", *(["Keep-Alive: timeout=0"] if closed == "after the question" else []))
    with ScriptedServer(first, CLOSE, an_answer(b"two")) as server:
        async with Fetcher(settings) as fetcher:
            await fetcher.download(an_order(f"{server.base}/x", tmp_path))
            if closed == "after the answer":
                server._answers.pop(0)
                for connection in server._open:
                    connection.shutdown(2)
            await fetcher.download(an_order(f"{server.base}/x", tmp_path))
    assert (tmp_path / "file").read_bytes() == b"two"
    assert server.connections == 2


async def test_a_server_that_closes_a_new_connection_has_cut_the_transfer(settings, tmp_path):
    with ScriptedServer(CLOSE) as server:
        assert (await failed(server, settings, tmp_path)).reason is Reason.DOWNLOAD_TIMEOUT
    assert server.connections == 1


async def test_what_a_server_sends_after_its_answer_is_no_part_of_the_next(settings, tmp_path):
    more = an_answer(b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
    with ScriptedServer(more, an_answer(b"two")) as server:
        assert await got(server, settings, tmp_path, times=2) == [b"one", b"two"]
    assert server.connections == 2


async def test_an_answer_that_says_close_ends_its_connection(settings, tmp_path):
    with ScriptedServer(an_answer(b"one", "Connection: close"), an_answer(b"two")) as server:
        assert await got(server, settings, tmp_path, times=2) == [b"one", b"two"]
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\nthe body",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe body",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + an_answer(b"the body"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nthe \r\n4;x=y\r\nbody\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nthe body\r\n0\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 8\r\nContent-Length: 8\r\n\r\nthe body",
    ],
    ids=["1.0", "until the end", "hints", "chunks", "chunks and a length", "lengths that agree"],
)
async def test_an_answer_of_every_kind_is_read(settings, tmp_path, answer):
    with ScriptedServer(answer) as server:
        assert await got(server, settings, tmp_path, times=2) == [b"the body"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\nthe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n8\r\nthe body\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnumber\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n8\r\nthe body\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 3\r\n\r\nthe body",
        b"HTTP/1.1 200 OK\r\nContent-Length: -8\r\n\r\nthe body",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nthe body",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=[
        "a chunk is cut", "the last chunk is missing", "a chunk of no size", "an unknown encoding", "two lengths",
        "a negative length", "cut", "too many headers", "a long header", "another protocol",
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_or_that_was_cut_is_no_file(settings, tmp_path, answer):
    with ScriptedServer(answer) as server:
        error = await failed(server, settings, tmp_path)
    assert error.reason is Reason.DOWNLOAD_TIMEOUT
    assert "the transfer was cut" in error.message


async def test_what_came_of_a_cut_chunked_answer_is_not_fetched_again(settings, tmp_path):
    cut = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nETag: "1"\r\n\r\n4\r\nthe \r\n4\r\nbo'
    rest = an_answer(b"dy", "Content-Range: bytes 6-7/8", status="206 Partial Content")
    told: list[int] = []
    with ScriptedServer(cut, rest) as server:
        twice = settings.but(download_attempts=2)
        assert await got(server, twice, tmp_path, on_bytes=told.append) == [b"the body"]
    assert b"range: bytes=6-\r\n" in server.requests[1].lower()
    assert sum(told) == 8


async def test_chunks_whose_sizes_drip_are_given_up(settings, tmp_path):
    """Each byte of the endless extension comes in time; a whole line of it never does."""
    stopping = threading.Event()

    class Dripping(ScriptedServer):
        def _serve(self, connection) -> None:
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;")
                while not stopping.wait(0.05):
                    connection.sendall(b"x")

    with Dripping() as server:
        async with asyncio.timeout(20):
            error = await failed(server, settings, tmp_path)
        stopping.set()
    assert "bytes came within" in error.message


async def until(condition: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_until, condition, what="what was asked for")


def downloading() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("download")]


@pytest.mark.parametrize("begun", [KEEP_SILENT, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe"])
async def test_a_cancelled_download_ends_its_thread_at_once_and_leaves_nothing(settings, tmp_path, begun):
    patient = settings.but(stall_seconds=SILENCE_SECONDS)
    with ScriptedServer(begun) as server:
        async with Fetcher(patient) as fetcher:
            task = asyncio.create_task(fetcher.download(an_order(f"{server.base}/x", tmp_path)))
            await until(lambda: server.requests and (begun == KEEP_SILENT or list(tmp_path.iterdir())))
            cancelled = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert list(tmp_path.iterdir()) == []
        assert time.monotonic() - cancelled < SILENCE_SECONDS / 3
    assert downloading() == []


async def test_a_fetcher_that_is_closed_ends_what_still_waits(settings, tmp_path):
    patient = settings.but(stall_seconds=SILENCE_SECONDS)
    with ScriptedServer(KEEP_SILENT) as server:
        async with Fetcher(patient) as fetcher:
            task = asyncio.create_task(fetcher.download(an_order(f"{server.base}/x", tmp_path)))
            await until(lambda: server.requests)
            closed = time.monotonic()
        assert time.monotonic() - closed < SILENCE_SECONDS / 3
        with pytest.raises(RepackError):
            await task
    assert downloading() == []


async def test_a_hundred_files_come_right_over_as_many_connections_as_are_allowed(settings, tmp_path):
    contents = {f"{at}": hashlib.sha256(b"%d" % at).digest() * (1 + at * 97) for at in range(100)}
    with FakeIndex() as index:
        accepted = []
        accept = index._server.get_request
        index._server.get_request = lambda: accepted.append(1) or accept()  # type: ignore[method-assign]
        async with Fetcher(settings) as fetcher, asyncio.TaskGroup() as group:
            for name, content in contents.items():
                order = Download(
                    url=index.add_file(name, content), target=tmp_path / name, what=name, limit=len(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                )  # fmt: skip
                group.create_task(fetcher.download(order))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    assert len(accepted) <= settings.connections


async def test_a_redirect_to_the_same_server_keeps_credentials_and_one_to_another_drops_them(settings, tmp_path):
    with ScriptedServer(an_answer(b"there")) as other:
        there = an_answer(b"", f"Location: {other.base}/y", status="302 Found")
        with ScriptedServer(an_answer(b"moved", "Location: /b", status="301 Moved"), there) as server:
            known = {"Authorization": "Bearer secret", "Cookie": "secret"}
            assert await got(server, settings, tmp_path, headers=known) == [b"there"]
    first, second = (request.lower() for request in server.requests)
    assert b"bearer secret" in first
    assert b"cookie: secret" in first
    assert second.startswith(b"get /b http/1.1")
    assert b"bearer secret" in second
    assert b"cookie" not in second
    assert b"secret" not in other.requests[0].lower()
    assert f"host: 127.0.0.1:{other.port}".encode() in other.requests[0].lower()
    assert server.connections == 1, "the redirect's body is read for it"


@pytest.mark.parametrize("location", ["ftp://example.org/x", "http://[::1", "http:///", "//a b/"])
async def test_a_redirect_to_what_is_no_web_address_is_named(settings, tmp_path, location):
    with ScriptedServer(an_answer(b"", f"Location: {location}", status="302 Found")) as server:
        error = await failed(server, settings, tmp_path)
    assert error.reason in {Reason.PLUGIN_NOT_FOUND, Reason.INDEX_UNREACHABLE}
    assert "redirect" in error.message


async def test_user_and_password_in_an_address_are_sent_as_basic(settings, tmp_path):
    with ScriptedServer(an_answer(b"x")) as server:
        async with Fetcher(settings) as fetcher:
            order = an_order(f"http://me:p%40ss@127.0.0.1:{server.port}/a b?q=ü#part", tmp_path)
            await fetcher.download(order)
    lines = server.requests[0].decode().lower().split("\r\n")
    assert lines[0] == "get /a%20b?q=%c3%bc http/1.1"
    assert "authorization: basic bwu6cebzcw==" in lines
    assert "accept-encoding: identity" in lines
    assert f"host: 127.0.0.1:{server.port}" in lines


@pytest.mark.parametrize("token", ["secret\r\nX-Injected: yes", "secret\n", "sécret"])
async def test_a_token_that_no_header_can_have_is_neither_sent_nor_told(settings, tmp_path, token):
    with ScriptedServer(an_answer(b"x")) as server:
        error = await failed(server, settings, tmp_path, headers={"Authorization": f"Bearer {token}"})
    assert server.connections == 0
    assert "authorization" in error.message
    assert "cret" not in error.message


def test_a_download_imports_no_httpx(tmp_path):
    script = (
        "import asyncio, sys\nfrom pathlib import Path\n"
        "from repack_worker.fetch import Download, Fetcher\nfrom repack_worker.settings import Settings\n"
        "async def main():\n"
        "    async with Fetcher(Settings(allow_private_addresses=True)) as fetcher:\n"
        "        await fetcher.download(Download(sys.argv[1], Path(sys.argv[2]), 'x', 100))\n"
        "asyncio.run(main())\nprint({'httpx', 'httpcore', 'certifi', 'anyio'} & set(sys.modules))\n"
    )
    with FakeIndex() as index:
        argv = [sys.executable, "-c", script, index.add_file("x", b"content"), str(tmp_path / "x")]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert (tmp_path / "x").read_bytes() == b"content"
