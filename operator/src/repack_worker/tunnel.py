"""TLS inside of TLS: to a server behind a proxy that is reached by TLS itself. `ssl` wraps plain sockets only."""

import ssl
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_CHUNK = 1 << 15
_P = ParamSpec("_P")
_T = TypeVar("_T")


class TlsInTls:
    """The inner connection; has of a socket what a `Wire` uses, timeouts for each call included."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, name: str) -> None:
        self._outer, self._in, self._out = outer, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)

    def settimeout(self, seconds: float | None) -> None:
        """Set how long a call may take."""
        self._outer.settimeout(seconds)

    def do_handshake(self) -> None:
        """Make the connection."""
        self._run(self._tls.do_handshake)

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self._run(self._tls.write, data)

    def recv_into(self, room: memoryview) -> int:
        """Receive; 0 at the end, also at one that was not announced, as an `SSLSocket` has it."""
        try:
            return int(self._run(self._tls.read, len(room), room))  # given a buffer, `read` returns a count
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return 0

    def _run(self, operation: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
        until = time.monotonic() + (self._outer.gettimeout() or 0.0)
        while True:
            try:
                result = operation(*args, **words)
            except ssl.SSLWantReadError:
                self._flush()
                if time.monotonic() > until:
                    raise TimeoutError from None
                self._take()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._out.read():
            self._outer.sendall(data)

    def _take(self) -> None:
        if received := self._outer.recv(_CHUNK):
            self._in.write(received)
        else:
            self._in.write_eof()
