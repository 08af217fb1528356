"""Downloads that are cut, changed, endless or lied about: the whole right file, or a named error and nothing left."""

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fakes.index import Fault
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import Download, Fetcher

CONTENT = bytes(range(256)) * 20


class Counted:
    """Fetches one file and counts the bytes that it was told of."""

    def __init__(self, settings: Any, folder: Any) -> None:
        self.settings, self.target, self.bytes = settings, folder / "x.difypkg", 0

    async def get(self, url: str, *, limit: int = 1 << 20, **more: Any) -> bytes:
        def count(size: int) -> None:
            self.bytes += size

        order = Download(url=url, target=self.target, what="The plugin", limit=limit, on_bytes=count, **more)
        async with Fetcher(self.settings) as fetcher:
            await fetcher.download(order)
        return self.target.read_bytes()

    async def fails(self, url: str, reason: Reason, **more: Any) -> RepackError:
        with pytest.raises(RepackError) as caught:
            await self.get(url, **more)
        assert caught.value.reason is reason, caught.value
        assert list(self.target.parent.iterdir()) == []
        return caught.value


@pytest.fixture
def counted(tmp_path, settings):
    return Counted(settings, tmp_path)


@pytest.fixture
def url(index):
    return index.add_file("x.difypkg", CONTENT)


def ranges(index) -> list[str | None]:
    return [seen.headers.get("range") for seen in index.seen]


async def test_a_cut_file_that_did_not_change_is_continued(index, url, counted):
    index.fault("x.difypkg", Fault(cut_after=2000, headers={"ETag": '"1"'}, times=1))
    index.fault("x.difypkg", Fault(headers={"ETag": '"1"'}))
    assert await counted.get(url) == CONTENT
    assert ranges(index) == [None, "bytes=2000-"]
    assert counted.bytes == len(CONTENT)


async def test_a_cut_file_that_changed_meanwhile_is_begun_anew(index, url, counted):
    index.fault("x.difypkg", Fault(cut_after=2000, body=b"old" * 2000, headers={"ETag": '"1"'}, times=1))
    index.fault("x.difypkg", Fault(headers={"ETag": '"2"'}))
    assert await counted.get(url) == CONTENT
    assert index.seen[1].headers["if-range"] == '"1"'
    assert counted.bytes == len(CONTENT)


async def test_a_server_that_sends_another_part_is_asked_for_the_whole(index, url, counted, settings):
    counted.settings = settings.but(download_attempts=3)
    index.fault("x.difypkg", Fault(cut_after=2000, times=1))
    wrong = {"Content-Range": f"bytes 5-{len(CONTENT)}/{len(CONTENT)}"}
    index.fault("x.difypkg", Fault(status=206, body=b"x", headers=wrong, times=1))
    assert await counted.get(url) == CONTENT
    assert ranges(index) == [None, "bytes=2000-", None]
    assert counted.bytes == len(CONTENT)


async def test_a_range_that_is_not_satisfiable_is_begun_anew(index, url, counted, settings):
    counted.settings = settings.but(download_attempts=3)
    index.fault("x.difypkg", Fault(cut_after=2000, times=1))
    index.fault("x.difypkg", Fault(status=416, times=1))
    assert await counted.get(url) == CONTENT
    assert counted.bytes == len(CONTENT)


async def test_a_body_shorter_than_announced_is_no_file(index, url, counted):
    index.fault("x.difypkg", Fault(length=len(CONTENT) + 10))
    await counted.fails(url, Reason.DOWNLOAD_TIMEOUT)


async def test_a_body_longer_than_announced_ends_where_it_was_announced(index, url, counted):
    index.fault("x.difypkg", Fault(length=100))
    assert await counted.get(url) == CONTENT[:100]


async def test_a_body_without_end_stops_at_the_limit(index, url, counted):
    index.fault("x.difypkg", Fault(endless=True))
    await counted.fails(url, Reason.PACKAGE_TOO_LARGE, limit=100_000)
    assert counted.bytes < 100_000 + (1 << 20)


async def test_a_file_announced_above_the_limit_is_refused_before_a_byte_of_it(index, url, counted):
    await counted.fails(url, Reason.PACKAGE_TOO_LARGE, limit=100)
    assert counted.bytes == 0


async def test_parts_that_add_up_above_the_limit_are_refused(index, url, counted):
    index.fault("x.difypkg", Fault(cut_after=2000, length=3000, times=1))
    await counted.fails(url, Reason.PACKAGE_TOO_LARGE, limit=3000)


async def test_a_server_that_asks_for_a_long_wait_is_not_waited_for(index, url, counted):
    index.fault("x.difypkg", Fault(status=429, headers={"Retry-After": "3600"}))
    error = await counted.fails(url, Reason.RATE_LIMITED)
    assert "to wait 3600 s" in error.message
    assert len(index.seen) == 1


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_a_time_to_wait_may_be_a_date(index, url, counted, seconds):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    index.fault("x.difypkg", Fault(status=429, headers={"Retry-After": date}, times=1))
    if seconds < 0:
        assert await counted.get(url) == CONTENT, "a time that is over is no wait"
        return
    assert "to wait 3" in (await counted.fails(url, Reason.RATE_LIMITED)).message


async def test_a_short_wait_that_a_server_asks_for_is_kept(index, url, counted):
    index.fault("x.difypkg", Fault(status=429, headers={"Retry-After": "1"}, times=1))
    asked = time.monotonic()
    assert await counted.get(url) == CONTENT
    assert time.monotonic() - asked >= 1


async def test_a_server_that_forbids_is_not_asked_again(index, url, counted):
    index.fault("x.difypkg", Fault(status=403))
    error = await counted.fails(url, Reason.PLUGIN_NOT_FOUND)
    assert "upload it" in error.hint
    assert len(index.seen) == 1


async def test_headers_that_drip_are_given_up(counted):
    """Each byte comes in time; all of them never do."""
    stopping = threading.Event()

    def drip(listener: socket.socket) -> None:
        connections = []
        while not stopping.is_set():
            connection, _ = listener.accept()
            connections.append(connection)
            connection.recv(1000)
            threading.Thread(target=trickle, args=(connection,), daemon=True).start()

    def trickle(connection: socket.socket) -> None:
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000:
                try:
                    connection.send(bytes([byte]))
                except OSError:
                    return
                if stopping.wait(0.05):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        async with asyncio.timeout(20):
            await counted.fails(f"http://127.0.0.1:{listener.getsockname()[1]}/x", Reason.DOWNLOAD_TIMEOUT)
        stopping.set()
        socket.create_connection(listener.getsockname()).close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "http://", "http://[::1/x", "x.difypkg"])
async def test_what_is_no_web_address_is_said_to_be_none(counted, url):
    assert "is no web address" in (await counted.fails(url, Reason.PLUGIN_NOT_FOUND)).message
