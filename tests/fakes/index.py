"""A small package index and file server with faults, and a builder of tiny wheels: real HTTP, no network.

with FakeIndex() as index:
    index.add(a_wheel("tiny", "1.0"))
    index.fault("tiny-1.0", Fault(status=429, headers={"Retry-After": "0"}, times=1))
"""

import base64
import hashlib
import io
import json
import re
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class WheelFile:
    """A wheel, or any other file to serve."""

    filename: str
    content: bytes

    @property
    def name(self) -> str:
        return re.sub(r"[-_.]+", "-", self.filename.split("-")[0]).lower()

    @property
    def version(self) -> str:
        return self.filename.removesuffix(".tar.gz").split("-")[1]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def a_wheel(
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    source: str = "",
    padding: int = 0,
    metadata: tuple[str, ...] = (),
    files: dict[str, bytes] | None = None,
) -> WheelFile:
    """Return an installable wheel with one module of its own name; `metadata` are more lines, `files` more files."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *metadata]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        **(files or {}),
        f"{module}/__init__.py": source.encode() + b"\n",
        f"{info}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if padding:
        files[f"{module}/padding.bin"] = hashlib.sha256(name.encode()).digest() * (padding // 32 + 1)
    record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    return WheelFile(filename=f"{module}-{version}-{tag}.whl", content=buffer.getvalue())


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@dataclass
class Fault:
    """What goes wrong, for the first `times` requests."""

    status: int | None = None
    """Answer with this status."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Answer with these bytes in place of the right ones."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    drip_seconds: float | None = None
    """Send one byte in so many seconds."""
    length: int | None = None
    """Announce so many bytes, whatever comes."""
    endless: bool = False
    """Send the body again and again, with no length announced."""
    hang_up: bool = False
    """Close the connection without an answer."""
    times: int = 1_000_000


@dataclass(frozen=True)
class Seen:
    """One request that came."""

    path: str
    headers: dict[str, str]


class FakeIndex:
    """`url` is the simple index; files lie below `/packages/`, plain files (plugins) below `/files/`."""

    def __init__(self) -> None:
        self.wheels: dict[str, WheelFile] = {}
        self.files: dict[str, bytes] = {}
        self.seen: list[Seen] = []
        self.needs_authorization: str | None = None
        """The value of `Authorization` without which nobody gets an answer."""
        self.speaks_html = False
        """Answer with the older form of an index page (PEP 503)."""
        self._faults: list[tuple[str, Fault]] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.sent_bytes = 0
        """Of files, so far."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.index = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop answering; further connections are refused."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.base}/simple"

    def add(self, *wheels: WheelFile) -> None:
        for wheel in wheels:
            self.wheels[wheel.filename] = wheel

    def add_file(self, name: str, content: bytes) -> str:
        """Serve a file and return its address."""
        self.files[name] = content
        return f"{self.base}/files/{name}"

    def fault(self, part_of_path: str, fault: Fault) -> None:
        self._faults.append((part_of_path, fault))

    def file_url(self, wheel: WheelFile) -> str:
        return f"{self.base}/packages/{wheel.sha256[:2]}/{wheel.filename}"

    def asked_for(self, part_of_path: str) -> list[Seen]:
        return [seen for seen in self.seen if part_of_path in seen.path]

    def take_fault(self, path: str) -> Fault | None:
        with self.lock:
            for part, fault in self._faults:
                if part in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, path: str) -> tuple[str, bytes] | None:
        if path.startswith("/files/") and path.removeprefix("/files/") in self.files:
            return "application/octet-stream", self.files[path.removeprefix("/files/")]
        if path.startswith("/packages/") and (wheel := self.wheels.get(path.rpartition("/")[2])):
            return "application/octet-stream", wheel.content
        if path.startswith("/simple/"):
            return self._project(path.removeprefix("/simple/").strip("/"))
        return None

    def _project(self, name: str) -> tuple[str, bytes] | None:
        wheels = [wheel for wheel in self.wheels.values() if wheel.name == name]
        if not wheels:
            return None
        files: list[dict[str, Any]] = [
            {"filename": wheel.filename, "url": self.file_url(wheel), "size": len(wheel.content),
             "hashes": {"sha256": wheel.sha256}, "upload-time": "2026-01-01T00:00:00Z"}
            for wheel in wheels
        ]  # fmt: skip
        if self.speaks_html:
            links = (
                f'<a href="{file["url"]}#sha256={file["hashes"]["sha256"]}">{file["filename"]}</a>' for file in files
            )
            return "text/html", f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>".encode()
        versions = sorted({wheel.version for wheel in wheels})
        page = {"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": files}
        return _JSON, json.dumps(page).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.server.index.seen.append(
            Seen(path=self.path, headers={key.lower(): value for key, value in self.headers.items()})
        )
        fault = self.server.index.take_fault(self.path) or Fault()
        if fault.hang_up:
            self.close_connection = True
            return
        needed = self.server.index.needs_authorization
        if needed and self.headers.get("Authorization") != needed:
            fault = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="tests"'})
        answer = self.server.index.answer(self.path.partition("?")[0])
        status = fault.status or (200 if answer else 404)
        kind, body = answer or ("text/plain", b"not here")
        body = fault.body if fault.body is not None else body
        if status != 200:
            body = fault.body or b""
        self._send(status, kind=kind, body=body, fault=fault)

    def _send(self, status: int, *, kind: str, body: bytes, fault: Fault) -> None:
        current = fault.headers.get("ETag")
        changed = self.headers.get("If-Range", current) != current
        wanted = self._wanted_range(len(body)) if status == 200 and not changed else None
        self.send_response(206 if wanted else status)
        if wanted:
            self.send_header("Content-Range", f"bytes {wanted[0]}-{wanted[1]}/{len(body)}")
            body = body[wanted[0] : wanted[1] + 1]
        for name, value in {"Content-Type": kind, "Accept-Ranges": "bytes", **fault.headers}.items():
            self.send_header(name, value)
        if fault.endless:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body) if fault.length is None else fault.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.path.startswith("/packages/"):
            with self.server.index.lock:
                self.server.index.sent_bytes += len(body)
        self._write(body, fault)

    def _wanted_range(self, size: int) -> tuple[int, int] | None:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not match:
            return None
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size - 1
        return int(first), min(int(last or size - 1), size - 1)

    def _write(self, body: bytes, fault: Fault) -> None:
        try:
            if fault.drip_seconds is not None:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    if self.server.index.stopping.wait(fault.drip_seconds):
                        return
            elif fault.endless:
                while not self.server.index.stopping.is_set():
                    self.wfile.write(body)
            elif fault.cut_after is not None:
                self.wfile.write(body[: fault.cut_after])
                self.close_connection = True
            else:
                self.wfile.write(body)
                self.close_connection = fault.length is not None or self.close_connection
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Of 5, the default, twelve connections at once overflow: the kernel asks again after a whole second."""
    index: FakeIndex


def wait_until(condition: Any, *, what: str, seconds: float = 10.0) -> None:
    """Wait for a condition with a deadline; say what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.01)
