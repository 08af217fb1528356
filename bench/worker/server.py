"""The index's server: one thread a connection and `sendfile`, in a process of its own, so that it is no bottleneck.

It answers as the public index does in what decides about caching: pages with an ETag that must be asked about again,
files that never change. A line can be imitated: a pause before each answer, and one rate for all connections.
"""

import contextlib
import hashlib
import multiprocessing
import os
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

_PIECE = 128 << 10


@dataclass(frozen=True)
class Line:
    """What lies between a server and its clients."""

    pause_seconds: float = 0.0
    """Before each answer: one round trip."""
    bytes_per_second: float = 0.0
    """Of all connections together; 0 is as fast as it goes."""

    @property
    def label(self) -> str:
        """In words."""
        if not self.pause_seconds:
            return "loopback"
        return f"{self.pause_seconds * 1000:.0f} ms, {self.bytes_per_second * 8 / 1e6:.0f} Mbit/s"


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 256

    def __init__(self, root: Path, line: Line) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root, self.line, self.sent, self.lock, self.free_at = root, line, 0, threading.Lock(), 0.0

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients go when they have what they want."""

    def wait_for(self, size: int) -> None:
        """Wait until the line has carried so many bytes more."""
        if not self.line.bytes_per_second:
            return
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + size / self.line.bytes_per_second
            until = self.free_at
        time.sleep(max(0.0, until - time.monotonic()))


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        """Answer requests until the client goes."""
        while head := self._head():
            path = urlsplit(head[0].split(" ")[1]).path  # a proxy may hand on the whole address (RFC 9112 3.2.2)
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            time.sleep(self.server.line.pause_seconds)
            self._answer(path.strip("/"), fields)

    def _head(self) -> list[str]:
        lines: list[str] = []
        while (line := self.rfile.readline(65536).decode("latin-1")) not in {"\r\n", ""}:
            lines.append(line.rstrip())
        return lines

    def _answer(self, path: str, fields: dict[str, str]) -> None:
        is_page = path.startswith("simple/")
        file = self.server.root / (f"{path}/index.json.gz" if is_page else path)
        if ".." in path or not file.is_file():
            self._send("404 Not Found", {"Content-Length": "0"})
            return
        size = file.stat().st_size
        headers = {"Content-Length": str(size), "Accept-Ranges": "bytes"}
        if not is_page:
            headers |= {"Content-Type": "application/octet-stream", "ETag": f'"{file.parent.name}"',
                        "Cache-Control": "max-age=365000000, immutable, public"}  # fmt: skip
            self._send_file(file, headers, size, fields.get("range", ""))
            return
        tag = f'"{hashlib.sha256(path.encode()).hexdigest()[:16]}"'
        headers |= {"Content-Type": "application/vnd.pypi.simple.v1+json", "Content-Encoding": "gzip", "ETag": tag,
                    "Cache-Control": "max-age=600, public", "Vary": "Accept, Accept-Encoding"}  # fmt: skip
        if fields.get("if-none-match") == tag:
            self._send("304 Not Modified", headers | {"Content-Length": "0"})
        else:
            self._send_file(file, headers, size, "")

    def _send(self, status: str, headers: dict[str, str], flags: int = 0) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.connection.sendall("\r\n".join(lines).encode(), flags)

    def _send_file(self, file: Path, headers: dict[str, str], size: int, wanted: str) -> None:
        at, end, status = 0, size, "200 OK"
        if match := re.fullmatch(r"bytes=(\d*)-(\d*)", wanted):
            first, last = match.groups()
            at = int(first) if first else max(0, size - int(last))
            end = min(int(last) + 1, size) if first and last else size
            status = "206 Partial Content"
            headers |= {"Content-Range": f"bytes {at}-{end - 1}/{size}", "Content-Length": str(end - at)}
        self._send(status, headers, socket.MSG_MORE)
        with self.server.lock:
            self.server.sent += end - at if file.suffix == ".whl" else 0
        with file.open("rb") as source:
            while at < end:
                piece = min(_PIECE if self.server.line.bytes_per_second else 8 << 20, end - at)
                self.server.wait_for(piece)
                at += os.sendfile(self.connection.fileno(), source.fileno(), at, piece)


def _serve(root: Path, line: Line, channel: Connection) -> None:
    with _Server(root, line) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        channel.send(f"http://127.0.0.1:{server.server_address[1]}")
        with contextlib.suppress(EOFError):
            while channel.recv() == "bytes":
                channel.send(server.sent)
        server.shutdown()


class Index:
    """A server that runs."""

    def __init__(self, base: str, channel: Connection) -> None:
        self.base, self._channel = base, channel

    @property
    def url(self) -> str:
        """Address of the simple index."""
        return f"{self.base}/simple"

    def served_bytes(self) -> int:
        """Return the bytes of wheels that were asked for so far."""
        self._channel.send("bytes")
        return int(self._channel.recv())


@contextmanager
def serving(root: Path, line: Line = Line()) -> Iterator[Index]:
    """Serve a folder until the end of the block."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(root, line, theirs), daemon=True)
    process.start()
    try:
        yield Index(ours.recv(), ours)
    finally:
        ours.send("end")
        process.join(timeout=5)
        process.terminate()
