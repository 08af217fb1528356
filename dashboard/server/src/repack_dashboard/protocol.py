"""uvicorn's WebSocket protocol, extended to be a `Sink`: finished frames go straight to the transport.

What it mends of its base (realtime.md 5.1): a slow reader delays nobody, a peer that is gone is cut off even with
unsent data, and any traffic counts as a sign of life. It relies on internals of uvicorn 0.54-0.55; `is_supported`
checks at start that they are there, and without them `QueueSink` takes over.
"""

import logging
import socket
from asyncio.transports import BaseTransport
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from repack_contract.messages import CloseCode
from repack_dashboard.backlog import Backlog
from repack_dashboard.frames import PACK_WINDOW_BITS, packed
from repack_dashboard.sinks import Line

EXTENSION = "taskws.conn"
_NEEDED = (
    "connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing", "keepalive_timeout",
    "shutdown", "run_asgi", "stop_keepalive", "send",
)  # fmt: skip
# Only frames that stand for themselves can be shared by all clients, and mixed with uncompressed ones.
_PACKING = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=PACK_WINDOW_BITS,
    client_max_window_bits=PACK_WINDOW_BITS,
    compress_settings={"memLevel": 5},
)


def is_supported() -> bool:
    """Tell whether this uvicorn has what the subclass relies on."""
    return all(callable(getattr(WebSocketsSansIOProtocol, name, None)) for name in _NEEDED)


@dataclass(frozen=True)
class Tuning:
    """What the protocol needs to know of the settings."""

    backlog_frames: int = 256
    backlog_bytes: int = 1024**2
    peer_seconds: float = 14.0
    """So long the kernel tries to deliver unacknowledged data (TCP_USER_TIMEOUT)."""
    close_seconds: float = 5.0
    """So long a client may take to read our close frame."""
    compresses: bool = False
    """Whether compression is agreed on with clients that offer it."""


class Wire(ServerProtocol):
    """The protocol of `websockets`, which takes a close in the middle of a message for a fault of the client.

    It is none: a control frame may come between the frames of a message (RFC 6455, 5.4), and a client that leaves need
    not finish its sentence. Autobahn's case 7.1.5 wants its code echoed.
    """

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; with a close, forget the message that will not be finished."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class TaskWebSocket(WebSocketsSansIOProtocol):
    """One client's connection."""

    tuning: ClassVar[Tuning] = Tuning()
    _packs = False
    """Whether the client agreed to compressed frames of which each stands for itself."""
    _backlog: Backlog | None = None
    _is_paused = False
    _coalesced = 0
    _heard = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.line = Line()
        self.conn = Wire(
            extensions=[_PACKING] if self.tuning.compresses else [],
            max_size=self.config.ws_max_size,
            logger=logging.getLogger("uvicorn.error"),
        )

    @classmethod
    def tuned(cls, tuning: Tuning) -> "type[TaskWebSocket]":
        """Return the class with other tuning, as uvicorn takes classes and no arguments."""
        return type(cls.__name__, (cls,), {"tuning": tuning})

    # What the rest of the dashboard calls (Sink)

    @property
    def heard_at(self) -> float | None:
        """When the last bytes came in."""
        return self._heard

    @property
    def waiting(self) -> int:
        """Frames that the transport would not take yet."""
        return len(self._backlog) if self._backlog is not None else 0

    @property
    def coalesced(self) -> int:
        """Frames left out so far."""
        return self._coalesced + (self._backlog.coalesced if self._backlog is not None else 0)

    def offer(self, frame: bytes, *, key: str | None = None) -> bool:
        """Write the frame, or queue it while the client does not read."""
        if self._is_ending:
            return True  # its route will notice
        if not self._is_paused:
            self.transport.write(packed(frame) if self._packs else frame)
            return True
        return self._queue().add(frame, key=key)

    def burst(self, frames: list[bytes]) -> None:
        """Write a replay or a snapshot."""
        if self._is_ending:
            return
        if self._is_paused:
            self._queue().add_burst(frames)
        else:
            self._write_all(frames)

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind what the transport holds already, and cut the line when no answer comes."""
        self._close(code, reason, seconds=self.tuning.close_seconds)

    # What uvicorn and the event loop call

    async def run_asgi(self) -> None:
        """Hand this connection to the application."""
        self.scope["extensions"][EXTENSION] = {"conn": self}
        await super().run_asgi()
        self._open_line()

    async def send(self, message: ASGISendEvent) -> None:
        """Take what the application sends; it opens the connection, and may close it."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            del self.request, self.response  # the handshake's headers, which nobody needs any more
            self._packs = any(
                isinstance(agreed, PerMessageDeflate) and agreed.local_max_window_bits >= PACK_WINDOW_BITS
                for agreed in self.conn.extensions
            )
        self._open_line()

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin; and tell the kernel how long a silent peer is worth retries."""
        super().connection_made(transport)
        self._heard = self.loop.time()
        sock = transport.get_extra_info("socket")
        if (
            sock is not None
            and sock.family in {socket.AF_INET, socket.AF_INET6}
            and hasattr(socket, "TCP_USER_TIMEOUT")
        ):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.tuning.peer_seconds * 1000))

    def data_received(self, data: bytes) -> None:
        """Take bytes; whatever they are, the peer lives."""
        self._heard = self.loop.time()
        super().data_received(data)
        if self.conn.state is not State.OPEN:
            self._close_line()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._close_line()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Queue from now on: the client does not read as fast as we write."""
        super().pause_writing()
        self._is_paused = True
        self._close_line()

    def resume_writing(self) -> None:
        """Write what was queued."""
        super().resume_writing()
        self._is_paused = False
        if self._backlog is not None and not self._is_ending:
            backlog, self._backlog = self._backlog, None
            self._coalesced += backlog.coalesced
            self._write_all(backlog.take())
        self._open_line()

    def keepalive_timeout(self) -> None:
        """Close with 4001 when nothing at all was heard; a missing pong alone is no reason."""
        interval, timeout = self.ping_interval or 0.0, self.ping_timeout or 0.0
        due = self._heard + interval + timeout
        if self.loop.time() < due:
            self.pong_timer = self.loop.call_at(due, self.keepalive_timeout)
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        self._close(CloseCode.SILENT, "nothing heard", seconds=1.0)

    def shutdown(self) -> None:
        """End with 1012, and do not wait for a peer that does not read."""
        self._close_line()
        super().shutdown()
        self.loop.call_later(2.0, self._abort)

    @property
    def _is_ending(self) -> bool:
        """Tell whether nothing may be written now. Of a lost line only the transport knows; uvloop's raises then."""
        return self.conn.state is not State.OPEN or self.transport.is_closing()

    def _open_line(self) -> None:
        """Let a fan-out write to the transport itself, while the connection is open and the client keeps up.

        Nothing is checked then, so whatever ends or pauses the connection closes the line again.
        """
        self._close_line()
        if self._is_ending or self._is_paused:
            return
        if self._packs:
            self.line.write_packed = self.transport.write
        else:
            self.line.write = self.transport.write

    def _close_line(self) -> None:
        self.line.write = self.line.write_packed = None

    def _write_all(self, frames: list[bytes]) -> None:
        self.transport.writelines([packed(frame) for frame in frames] if self._packs else frames)

    def _close(self, code: int, reason: str, *, seconds: float) -> None:
        if self._is_ending:
            return
        self._close_line()
        if self._backlog is not None:
            self._coalesced += self._backlog.coalesced
            self._backlog = None
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        # With a close timer uvicorn keeps the transport open for the peer's answer, and closes it on that.
        self.close_timer = self.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        self.close_timer = None
        self.transport.abort()

    def _queue(self) -> Backlog:
        if self._backlog is None:
            self._backlog = Backlog(max_frames=self.tuning.backlog_frames, max_bytes=self.tuning.backlog_bytes)
        return self._backlog


def connection_of(scope: "dict[str, object]") -> TaskWebSocket | None:
    """Return the connection behind an ASGI scope, where our protocol serves it."""
    extensions = scope.get("extensions")
    found = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    return found["conn"] if isinstance(found, dict) else None
