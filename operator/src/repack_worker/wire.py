"""One connection: what is said and heard on it, in a thread, while the event loop can end it at any moment.

`http.client` reads and writes the messages. All that is received comes through `_Received`, which knows how long a
server may keep us waiting, so nothing that drips, headers and chunks included, can hold a thread.
"""

import contextlib
import io
import select
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast

from repack_contract.errors import without_secrets
from repack_contract.reasons import Reason
from repack_worker.download import CutError
from repack_worker.patience import Patience
from repack_worker.settings import Settings
from repack_worker.tunnel import TlsInTls
from repack_worker.web_url import WebUrl

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_BUFFER = 1 << 14
_FINAL = 200


class StaleError(Exception):
    """The server had closed a connection that was used before; no byte of an answer came."""


class AbortedError(OSError):
    """The connection was ended by us."""


@dataclass(frozen=True)
class Route:
    """Where a connection leads and how; connections of one route are as good as each other."""

    scheme: str
    host: str
    port: int
    own: bool = False
    """To a server of our own, at whatever address."""
    proxy: WebUrl | None = None


class Wire:
    """A connection; `abort` may be called from another thread, all else from one at a time."""

    def __init__(
        self, sock: socket.socket, route: Route, settings: Settings, *,
        clock: Callable[[], float], authorities: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self.route, self.idle_since, self.used = route, 0.0, False
        self._socket, self._settings, self._clock, self._authorities = sock, settings, clock, authorities
        self._patience = Patience(settings, clock)
        self._stream: socket.socket | TlsInTls = sock
        self._reader = _Reader(self)
        self._seconds = -1.0
        self._is_open = self._is_aborted = self._is_finished = False

    def abort(self) -> None:
        """End the connection: whoever waits for it in a thread has an error at once."""
        self._is_aborted = True
        with contextlib.suppress(OSError):
            # Not the method of an SSLSocket, which would go on in the clear.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket; nobody may be using it."""
        self._socket.close()

    def check(self) -> None:
        """Raise `AbortedError` after `abort`."""
        if self._is_aborted:
            raise AbortedError("ended by us")

    def open(self) -> None:
        """Make what the route has beside TCP: the proxy's tunnel, TLS. Nothing on a connection that has it.

        Raises:
            CutError: the proxy or the server would not.
            SSLCertVerificationError: nobody we know vouches for the server.
        """
        if self._is_open:
            return
        route, proxy = self.route, self.route.proxy
        try:
            if proxy and proxy.scheme == "https":
                self._secure(proxy.host)
            if proxy and route.scheme == "https":
                self._tunnel(proxy)
            if route.scheme == "https":
                self._secure(route.host)
        except ssl.SSLCertVerificationError:
            raise
        except TimeoutError as error:
            seconds = self._settings.connect_timeout_seconds
            raise CutError(Reason.INDEX_UNREACHABLE, f"no connection within {seconds:.0f} s") from error
        except (OSError, HTTPException) as error:
            raise unreachable(error) from error
        self._is_open = True

    def ask(self, url: WebUrl, headers: Mapping[str, str], *, deadline: float) -> HTTPResponse:
        """Send a request and return the head of its answer, by the deadline; whoever has read that closes it.

        Raises:
            StaleError: another connection is needed.
            CutError: the answer did not come, or is none.
        """
        proxy = self.route.proxy if self.route.scheme == "http" else None
        if proxy and proxy.basic:
            headers = {**headers, "Proxy-Authorization": proxy.basic}
        self._patience.begin_head(deadline)
        self._is_finished = False
        if self.used:
            self._check_life()
        try:
            self._send("GET", str(url) if proxy else url.target, headers)
            return self._head("GET")
        except TimeoutError as error:
            raise self._silent() from error
        except (OSError, HTTPException) as error:
            if self.used and not self._patience.came_bytes:
                raise StaleError from error
            raise _cut(error) from error

    def receive_of(self, answer: HTTPResponse, room: memoryview) -> int:
        """Receive more of the body, at most once from the network; 0 at its end, which may have come early."""
        self._patience.begin_body()
        try:
            return answer.readinto1(room)
        except TimeoutError as error:
            raise self._silent() from error
        except (OSError, HTTPException) as error:
            raise _cut(error) from error

    def finish(self, answer: HTTPResponse) -> None:
        """Note that no more of the answer is wanted; one that was read to its end leaves a connection to use again."""
        is_read = answer.isclosed() if answer.length is None else answer.length == 0
        self._is_finished = is_read and not answer.will_close and not self._reader.left()

    @property
    def is_reusable(self) -> bool:
        """Tell whether a further request can be sent."""
        return self._is_finished and not self._is_aborted

    def _check_life(self) -> None:
        """Raise `StaleError` where something waits to be received: the end, or what nobody asked for."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if poll.poll(0):
            raise StaleError

    def _send(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        self._wait_at_most(self._settings.stall_seconds)
        connection = HTTPConnection("unused")
        connection.sock = self  # of which it uses `sendall` alone
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()

    def sendall(self, data: bytes) -> None:
        """Send; for `http.client`."""
        self._stream.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what is received; for `http.client`."""
        return self._reader

    def _head(self, method: str) -> HTTPResponse:
        while True:
            answer = HTTPResponse(cast(socket.socket, self), method=method)  # it uses `makefile` alone
            try:
                answer.begin()
                if answer.status >= _FINAL:
                    return answer  # others only say that one will follow (RFC 9110 15.2)
            except BaseException:
                answer.close()
                raise
            answer.close()

    def receive(self, room: memoryview) -> int:
        """Receive once; for `_Received`."""
        seconds = self._patience.seconds()
        if seconds != self._seconds:  # a system call, which a body does not need each time
            self._wait_at_most(seconds)
        count = self._stream.recv_into(room)
        self._patience.came(count)
        return count

    def _wait_at_most(self, seconds: float) -> None:
        self._stream.settimeout(seconds)
        self._seconds = seconds

    def _silent(self) -> CutError:
        return CutError(Reason.DOWNLOAD_TIMEOUT, f"nothing came for {self._settings.stall_seconds:.0f} s")

    def _tunnel(self, proxy: WebUrl) -> None:
        host = f"[{self.route.host}]" if ":" in self.route.host else self.route.host
        server = f"{host}:{self.route.port}"
        self._patience.begin_head(self._clock() + self._settings.stall_seconds)
        known = {"Proxy-Authorization": proxy.basic} if proxy.basic else {}
        self._send("CONNECT", server, {"Host": server, **known})
        with self._head("CONNECT") as answer:
            pass  # what it says is its status
        if answer.status // 100 != 2:
            said = f"the proxy {without_secrets(str(proxy))} answers {answer.status} {answer.reason[:100]}"
            raise unreachable(OSError(said))

    def _secure(self, name: str) -> None:
        context = self._authorities
        assert context is not None  # noqa: S101 - whoever makes the wire looks at its route
        tls: ssl.SSLSocket | TlsInTls
        if isinstance(self._socket, ssl.SSLSocket):
            tls = TlsInTls(self._socket, context, name)
        else:
            tls = self._socket = context.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
        self._stream = tls
        self.check()  # the socket that was ended is perhaps the one before
        self._wait_at_most(self._settings.connect_timeout_seconds)
        tls.do_handshake()
        self._reader = _Reader(self)


class _Received(io.RawIOBase):
    """What comes, not buffered; nothing does while it `rests`."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self.rests = wire, False

    def readable(self) -> bool:
        return True

    def readinto(self, room: "Buffer") -> int | None:
        return None if self.rests else self._wire.receive(memoryview(room))


class _Reader(io.BufferedReader):
    """What came; `HTTPResponse` closes it after each answer, and the next begins where that ended."""

    def __init__(self, wire: Wire) -> None:
        self._received = _Received(wire)
        super().__init__(self._received, _BUFFER)

    def close(self) -> None:
        pass

    def left(self) -> bytes:
        """Return what came already and was not read."""
        self._received.rests = True
        try:
            return self.peek(1)
        finally:
            self._received.rests = False


def unreachable(error: Exception) -> CutError:
    """Return what a failure to connect is to whoever asked."""
    return CutError(Reason.INDEX_UNREACHABLE, f"the server could not be reached: {error or type(error).__name__}")


def _cut(error: Exception) -> CutError:
    return CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut: {error or type(error).__name__}")
