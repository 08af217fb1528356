"""A server of our own whose every byte a test writes: what no decent server says, and what a proxy does.

with ScriptedServer(b"HTTP/1.0 200 OK\\r\\n\\r\\nthe body") as server: ...
"""

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

CLOSE = b""
"""An answer: none, the connection ends."""
KEEP_SILENT = b"silence"
"""An answer: none, and the connection stays."""


def an_answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer after which the connection stays."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class ScriptedServer:
    """Gives the answers in their order, the last one again and again; one without a length ends the connection.

    As a proxy it makes the tunnels that are asked for, to whatever address.
    """

    def __init__(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> None:
        self._answers, self._tls = list(answers), tls
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    @property
    def base(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for each in (self._listener, *self._open):
                _end(each)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._open.append(connection)
            with connection:
                while request := _head(connection):
                    with self._lock:
                        self.requests.append(request)
                        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    if request.startswith(b"CONNECT ") and answer.startswith(b"HTTP/1.1 200"):
                        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        _relay(connection, request.split()[1].decode())
                        return
                    if answer == KEEP_SILENT:
                        continue
                    connection.sendall(answer)
                    if b"Content-Length:" not in answer and b"chunked" not in answer:
                        return
                    if b"Connection: close" in answer:
                        return


def _head(connection: socket.socket) -> bytes:
    read = b""
    while not read.endswith(b"\r\n\r\n"):
        if not (more := connection.recv(4096)):
            return b""
        read += more
    return read


def _relay(here: socket.socket, server: str) -> None:
    host, _, port = server.rpartition(":")
    with socket.create_connection((host, int(port))) as there:
        back = threading.Thread(target=_pass, args=(there, here), daemon=True)
        back.start()
        _pass(here, there)
        back.join()


def _pass(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        _end(each)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(each, socket.SHUT_RDWR)
