"""A TCP proxy with faults: what a network between a browser and the dashboard can do to them. Needs no rights."""

import contextlib
import select
import socket
import struct
import threading
import time
from enum import Enum
from types import TracebackType
from typing import Self


class Wire(Enum):
    """What the proxy does with connections."""

    PASS = "pass"
    REFUSE = "refuse"
    """New connections are closed at once."""
    BLACKHOLE = "blackhole"
    """Nothing is passed on any more, in either direction, and nothing is closed."""
    STALL = "stall"
    """Nothing of the server is passed on to the client, as if it did not read."""
    BUFFER = "buffer"
    """What comes is held back for a second and passed on in one lump, in both directions."""


class FaultProxy:
    """Listens on a loopback port and passes bytes to `target` (host, port) while it is told to."""

    def __init__(self, target: tuple[str, int], *, idle_seconds: float | None = None) -> None:
        """Make a proxy; with `idle_seconds` it closes connections on which nothing was passed for so long."""
        self._target = target
        self._idle = idle_seconds
        self._wire = Wire.PASS
        self._sockets: set[socket.socket] = set()
        self._reset: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self._limit: int | None = None
        self.was_cut = False
        """The connection that sent too much for `limit` was cut."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        with self._changed:
            self._changed.notify_all()

    @property
    def url(self) -> str:
        """Address of the proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def become(self, wire: Wire) -> None:
        """Treat connections this way from now on."""
        with self._changed:
            self._wire = wire
            self._changed.notify_all()

    def cut(self) -> None:
        """Break every open connection."""
        with self._lock:
            doomed, self._sockets = self._sockets, set()
        for each in doomed:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def limit(self, size: int) -> None:
        """Cut the next connection on which the server sends more than so many bytes, and none after it."""
        self._limit = size

    def reset(self) -> None:
        """Break every open connection as a crashed machine does: by RST, without a farewell."""
        with self._lock:
            doomed, self._sockets = self._sockets, set()
            self._reset |= doomed
        for each in doomed:
            with contextlib.suppress(OSError):  # to linger for no time at all makes `close` send RST
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for each in doomed:
            with contextlib.suppress(OSError):  # wakes the pumps, which close
                each.shutdown(socket.SHUT_RD)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._wire is Wire.REFUSE:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets |= {client, server}
            passed = [time.monotonic()]
            for source, sink, stops in (
                (client, server, {Wire.BLACKHOLE}),
                (server, client, {Wire.BLACKHOLE, Wire.STALL}),
            ):
                work = (source, sink, stops, passed)
                threading.Thread(target=self._pump, args=work, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, stops: set[Wire], passed: list[float]) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while data := self._receive(source, passed):
                sent += len(data) if Wire.STALL in stops else 0
                if self._limit is not None and sent > self._limit:
                    self._limit, self.was_cut = None, True
                    break
                with self._changed:
                    self._changed.wait_for(lambda: self._wire not in stops or self._closed)
                sink.sendall(data)
                passed[0] = time.monotonic()
        for each in (source, sink):
            with contextlib.suppress(OSError):  # wakes the other pump too; of one that is to be reset it sends nothing
                each.shutdown(socket.SHUT_RD if each in self._reset else socket.SHUT_RDWR)
            with self._lock:
                self._sockets.discard(each)
            each.close()

    def _receive(self, source: socket.socket, passed: list[float]) -> bytes:
        """Return what comes; nothing when the connection ended, or was idle for too long in both directions."""
        while self._idle is not None and not select.select([source], [], [], 0.05)[0]:
            if time.monotonic() - passed[0] > self._idle:
                return b""
        data = source.recv(65536)
        if self._wire is Wire.BUFFER:
            time.sleep(1)
            with contextlib.suppress(BlockingIOError):
                data += source.recv(2**20, socket.MSG_DONTWAIT)
        return data
