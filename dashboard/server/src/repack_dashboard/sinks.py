"""Where frames go: one client's connection, to which nobody ever waits to write.

Under uvicorn the connection itself is the sink (`protocol.py`). Under anything else (a test client, another server)
`QueueSink` stands in, with the same bounds and one writing task.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from repack_dashboard.backlog import Backlog
from repack_dashboard.frames import payload_of


@dataclass(eq=False, slots=True)
class Line:
    """The short way to one client: the connection opens and closes it, a fan-out only looks.

    It is an object of its own because a fan-out to thousands waits for memory: this is all that it has to touch.
    """

    write: Callable[[bytes], None] | None = None
    """Writes finished frames at once and unchecked while the client keeps up; None: use the sink's `offer`."""
    write_packed: Callable[[bytes], None] | None = None
    """The same, instead of `write`, where the client agreed to compressed frames (`frames.packed`)."""


class Sink(Protocol):
    """One client's connection."""

    @property
    def line(self) -> "Line":
        """The short way to this client, the same object for the whole connection."""
        ...

    @property
    def heard_at(self) -> float | None:
        """When anything came from the client (the loop's clock); None where that cannot be known."""
        ...

    @property
    def waiting(self) -> int:
        """Frames that wait for the client to read."""
        ...

    @property
    def coalesced(self) -> int:
        """Frames that were left out for newer ones, so far."""
        ...

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        """Write the frame, or queue it; False when the client is too slow. Never waits, never raises."""
        ...

    def burst(self, frames: list[bytes]) -> None:
        """Write a replay or a snapshot; it counts towards no bound."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Close with a code; what waits is dropped, and a client that does not answer is cut off."""
        ...


class QueueSink:
    """A sink over any ASGI WebSocket: a bounded backlog and one task that writes it."""

    CLOSE_SECONDS = 2.0
    """So long a write may still take after `close`."""

    def __init__(self, socket: WebSocket, backlog: Backlog) -> None:
        self.line = Line()
        self._socket = socket
        self._backlog = backlog
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._writer: asyncio.Task[None] | None = None

    @property
    def heard_at(self) -> float | None:
        """Unknown: protocol pongs are not seen here, so the server's own keepalive decides."""
        return None

    @property
    def waiting(self) -> int:
        """Frames not yet written."""
        return len(self._backlog)

    @property
    def coalesced(self) -> int:
        """Frames left out so far."""
        return self._backlog.coalesced

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """End the writing task."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        """Queue a frame."""
        taken = self._closing is not None or self._backlog.add(frame, key=key)
        self._wake.set()
        return taken

    def burst(self, frames: list[bytes]) -> None:
        """Queue a replay or a snapshot."""
        self._backlog.add_burst(frames)
        self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close after the write that is under way, or cut it off."""
        if self._closing is None:
            self._closing = (code, reason)
            self._backlog.clear()
            self._wake.set()
            if self._writer is not None:
                asyncio.get_running_loop().call_later(self.CLOSE_SECONDS, self._writer.cancel)

    async def _write(self) -> None:
        try:
            while self._closing is None:
                await self._wake.wait()
                self._wake.clear()
                for frame in self._backlog.take():
                    await self._socket.send_text(payload_of(frame).decode())
            await self._socket.close(*self._closing)
        except (RuntimeError, WebSocketDisconnect, OSError):
            return  # the client went away; the receiving side notices it by itself
