"""RFC 6455 against our protocol class, frame by frame, from a client that can say anything.

The most telling of Autobahn's 243 cases (numbers in the ids); `make autobahn` runs them all, see docs/autobahn.md.
"""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from typing import Self

import pytest
import pytest_asyncio

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from running_dashboard import Dashboard, a_dashboard

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
QUESTION, ANSWER = b'{"type":"ping","id":7}', b'{"type":"pong","id":7}'


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """Return a client's frame, right or wrong."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    length = len(data)
    flag = masked << 7
    if length < 126:
        head += bytes([flag | length])
    elif length < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", length)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Raw:
    """A connection whose bytes are ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, dashboard: Dashboard) -> Self:
        host, _, port = dashboard.address.partition(":")
        raw = cls(*await asyncio.open_connection(host, int(port)))
        raw.send(
            f"GET /ws/tasks/uid-1 HTTP/1.1\r\nHost: {dashboard.address}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await raw._reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, "the accept key of the RFC's own example"
        opcode, _ = await raw.frame()
        assert opcode == TEXT
        return raw

    def send(self, *data: bytes) -> None:
        self._writer.write(b"".join(data))

    async def drip(self, data: bytes) -> None:
        """Send byte by byte, as a slow line would."""
        for byte in data:
            self._writer.write(bytes([byte]))
            await self._writer.drain()

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame of the server: never masked, never in parts, with no reserved bit."""
        async with asyncio.timeout(5):
            first, second = await self._reader.readexactly(2)
            assert first & 0xF0 == 0x80
            length = second
            if length == 126:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
            return first & 0x0F, await self._reader.readexactly(length)

    async def closed_with(self) -> tuple[int | None, list[tuple[int, bytes]]]:
        """Return the code of the server's close, and what came before it; the line must end after it."""
        before = []
        while True:
            opcode, data = await self.frame()
            if opcode == CLOSE:
                break
            before.append((opcode, data))
        async with asyncio.timeout(5):
            assert await self._reader.read() == b""
        self._writer.close()
        return (struct.unpack("!H", data[:2])[0] if data else None), before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dashboard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dashboard]:
    """One for all: whatever a client does ends that client."""
    api = FakeTaskApi()
    api.put(a_task_object())
    async with a_dashboard(tmp_path_factory.mktemp("dashboard"), api=api) as running:
        yield running


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param([frame(TEXT, QUESTION)], id="1.1 a text"),
        pytest.param([frame(BINARY, QUESTION)], id="1.2 bytes"),
        pytest.param([frame(TEXT, b'{"id":7,"type":"ping","x":"' + b"y" * 60_000 + b'"}')], id="1.1.6 a long text"),
        pytest.param([frame(TEXT, QUESTION[:5], fin=False), frame(CONT, QUESTION[5:])], id="5.3 in two parts"),
        pytest.param(
            [frame(TEXT, fin=False), frame(CONT, QUESTION, fin=False), frame(CONT)], id="6.1 with empty parts"
        ),
        pytest.param([frame(PONG, b"nobody asked"), frame(TEXT, QUESTION)], id="2.7 after a pong of its own"),
    ],
)
async def test_a_message_is_understood_however_it_is_cut(dashboard: Dashboard, sent: list[bytes]) -> None:
    raw = await Raw.open(dashboard)
    raw.send(*sent)
    assert await raw.frame() == (TEXT, ANSWER)
    await raw.drip(b"".join(sent[:1]) if len(sent) == 1 and len(sent[0]) < 100 else frame(TEXT, QUESTION))
    assert await raw.frame() == (TEXT, ANSWER)
    raw.send(closing(1000))
    assert await raw.closed_with() == (1000, [])


async def test_a_ping_is_answered_with_its_bytes_also_in_the_middle_of_a_message(dashboard: Dashboard) -> None:
    """2.1 to 2.11, 5.6 to 5.8."""
    raw = await Raw.open(dashboard)
    for payload in (b"", b"\x00\xff\xfe", b"x" * 125):
        raw.send(frame(PING, payload))
        assert await raw.frame() == (PONG, payload)
    raw.send(frame(TEXT, QUESTION[:3], fin=False), frame(PING, b"between"), frame(CONT, QUESTION[3:]))
    assert [await raw.frame() for _ in range(2)] == [(PONG, b"between"), (TEXT, ANSWER)]
    raw.send(closing(1000))
    await raw.closed_with()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param([frame(PING, b"x" * 126)], 1002, id="2.5 a ping above 125 bytes"),
        pytest.param([frame(TEXT, b"x", reserved=4)], 1002, id="3.2 a reserved bit"),
        pytest.param([frame(PING, b"x", reserved=1)], 1002, id="3.5 a reserved bit in a ping"),
        pytest.param([frame(3)], 1002, id="4.1 a reserved opcode"),
        pytest.param([frame(11)], 1002, id="4.2 a reserved control opcode"),
        pytest.param([frame(PING, b"x", fin=False)], 1002, id="5.1 a ping in parts"),
        pytest.param([frame(CONT, b"x")], 1002, id="5.9 a part of nothing"),
        pytest.param([frame(TEXT, b"x", fin=False), frame(TEXT, b"y")], 1002, id="5.18 a message within a message"),
        pytest.param([frame(TEXT, b"\xce\xba\xed\xa0\x80")], 1007, id="6.3 half a surrogate"),
        pytest.param(
            [frame(TEXT, b"\xce\xba", fin=False), frame(CONT, b"\xff")], 1007, id="6.4 no UTF-8 in the second part"
        ),
        pytest.param([frame(CLOSE, b"x")], 1002, id="7.3.2 a code of one byte"),
        pytest.param([closing(1000, b"x" * 124)], 1002, id="7.3.6 a reason that is too long"),
        pytest.param([closing(1000, b"\xed\xa0\x80")], 1007, id="7.5.1 a reason that is no UTF-8"),
        pytest.param([closing(999)], 1002, id="7.9.2 a code that does not exist"),
        pytest.param([closing(1005)], 1002, id="7.9.5 a code that is never sent"),
        pytest.param([closing(2999)], 1002, id="7.9.13 a code of nobody"),
        pytest.param([frame(TEXT, QUESTION, masked=False)], 1002, id="5.1 of the RFC: a frame without a mask"),
    ],
)
async def test_each_fault_of_a_client_ends_with_the_code_that_the_standard_names(
    dashboard: Dashboard, sent: list[bytes], code: int
) -> None:
    raw = await Raw.open(dashboard)
    raw.send(*sent)
    assert await raw.closed_with() == (code, [])


async def test_a_text_that_is_no_utf8_is_one_line_in_the_log_and_no_traceback(
    dashboard: Dashboard, caplog: pytest.LogCaptureFixture
) -> None:
    raw = await Raw.open(dashboard)
    raw.send(frame(TEXT, b"\xff"))
    assert (await raw.closed_with())[0] == 1007
    said = [record for record in caplog.records if record.name == "uvicorn.error" and "UTF-8" in record.message]
    assert [(record.levelname, record.exc_info) for record in said] == [("WARNING", None)]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param([frame(CLOSE)], None, id="7.3.1 without a code"),
        pytest.param([closing(1000, b"bye")], 1000, id="7.3.4 with a reason"),
        pytest.param([closing(3000)], 3000, id="7.7.10 a library's code"),
        pytest.param([closing(4999)], 4999, id="7.7.13 an application's code"),
        pytest.param([closing(1000), closing(1001)], 1000, id="7.1.2 twice"),
        pytest.param([closing(1000), frame(PING, b"late")], 1000, id="7.1.3 and a ping after it"),
        pytest.param(
            [frame(TEXT, b"half a", fin=False), closing(1000), frame(CONT, b" sentence")], 1000, id="7.1.5 mid-message"
        ),
    ],
)
async def test_a_client_that_leaves_gets_its_own_code_back_and_nothing_after(
    dashboard: Dashboard, sent: list[bytes], code: int | None
) -> None:
    raw = await Raw.open(dashboard)
    raw.send(*sent)
    assert await raw.closed_with() == (code, [])
