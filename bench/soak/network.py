"""The network between clients and server: passes bytes, and breaks lines at random in the ways that lines break."""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

FAULTS = ["cut", "reset", "blackhole", "stall", "half"]
"""Closed; reset; silent in both directions until it is reset; not read from the server for a while; reset after half
of what was to be passed on, so in the middle of a frame."""


@dataclass(eq=False)
class Line:
    """One connection of a client, and ours to the server for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    fault: str = ""
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Break both ends as a crashed machine does."""
        for end in (self.client, self.server):
            sock = end.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class Network:
    """A TCP proxy before `port`. Use it as an async context manager."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self._target = port
        self._rng = rng
        self._lines: set[Line] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.is_refusing = False
        self.faults: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.heal()
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where the clients connect."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def heal(self) -> None:
        """Let everything through again; lines that were silent end."""
        self.is_refusing = False
        for line in list(self._lines):
            if line.fault == "blackhole":
                line.reset()
            line.fault = ""
            line.flows.set()

    async def misbehave(self) -> None:
        """Break something about every 0.3 s until it is cancelled; every half a minute, all lines at once."""
        loop, storm = asyncio.get_running_loop(), asyncio.get_running_loop().time() + 10
        while True:  # until it is cancelled
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))
            if loop.time() > storm:
                storm = loop.time() + self._rng.uniform(20, 40)
                self.faults["all at once"] += 1
                self.is_refusing = True
                for line in list(self._lines):
                    line.reset()
                loop.call_later(self._rng.uniform(0.2, 3), self._accept_again)
            elif self._lines:
                self._break(self._rng.choice(list(self._lines)), self._rng.choice(FAULTS))

    def _accept_again(self) -> None:
        self.is_refusing = False

    def _break(self, line: Line, fault: str) -> None:
        if line.fault:
            return
        self.faults[fault] += 1
        line.fault = fault
        loop = asyncio.get_running_loop()
        if fault == "cut":
            line.client.close()
        elif fault == "reset":
            line.reset()
        elif fault == "blackhole":
            line.flows.clear()
            loop.call_later(self._rng.uniform(3, 12), line.reset)
        elif fault == "stall":
            line.flows.clear()
            loop.call_later(self._rng.uniform(1, 15), self._resume, line)

    def _resume(self, line: Line) -> None:
        if line.fault == "stall":
            line.fault = ""
        line.flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            return
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)  # so that a stall is felt by the server
        sock.setblocking(False)  # noqa: FBT003
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._target))
            server_reader, server = await asyncio.open_connection(sock=sock, limit=16384)
        except OSError:
            sock.close()
            writer.transport.abort()
            return
        line = Line(writer, server)
        line.flows.set()
        self._lines.add(line)
        for source, sink, is_stalled in ((reader, server, False), (server_reader, writer, True)):
            task = asyncio.create_task(self._pass(line, source, sink, is_stalled=is_stalled))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _pass(
        self, line: Line, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_stalled: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(16384):
                if line.fault == "blackhole" or (is_stalled and line.fault == "stall"):
                    await line.flows.wait()
                if line.fault == "half" and is_stalled:
                    sink.write(data[: max(1, len(data) // 2)])
                    await asyncio.sleep(0)
                    line.reset()
                    break
                sink.write(data)
                await sink.drain()
        line.flows.set()
        self._lines.discard(line)
        for end in (line.client, line.server):
            end.close()
