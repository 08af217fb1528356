"""A dashboard's ingest endpoint over real HTTP: takes batches, artifacts and logs, gives uploads, and can misbehave."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "ingest-token-of-the-test"


class FakeDashboard:
    """What a worker sees of the dashboard."""

    def __init__(self, port: int = 0) -> None:
        self.uploads: dict[str, bytes] = {}
        self.artifacts: dict[str, bytes] = {}
        self.companions: dict[str, bytes] = {}
        self.wheels: dict[str, bytes] = {}
        self.memory: dict[str, bytes] = {}
        """What workers remember for each other, by `plans/<key>` and `builds/<key>`."""
        self.forgets: int | None = None
        """The status of every answer about what workers remember, where it fails."""
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.refuse_artifacts: list[int] = []
        """Statuses to answer the next uploads of artifacts with."""
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.ingest = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stages_seen(self) -> list[str]:
        stages = [event["progress"].get("stage") for event in self.events if event["kind"] == "progress"]
        return list(dict.fromkeys(stage for stage in stages if stage))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def do_GET(self) -> None:
        if self.server.ingest.forgets and "/memory/" in self.path:
            self._answer(self.server.ingest.forgets, b"{}")
            return
        name = self.path.rpartition("/")[2]
        if "/memory/" in self.path:
            name = self.path.partition("/memory/")[2]
            kept = self.server.ingest.memory
            content = kept.get(name)
            if self._authorized():
                self._answer(200 if content is not None else 404, content or b"{}")
            return
        kept = self.server.ingest.wheels if "/wheels/" in self.path else self.server.ingest.uploads
        content = kept.get(name)
        if self._authorized():
            self._answer(200 if content is not None else 404, content or b"{}")

    def do_POST(self) -> None:
        body = self._body()
        if self._authorized():
            batch = json.loads(body)
            self.server.ingest.events += batch["events"]
            self._answer(200, json.dumps({"instance": "one", "batch": batch["batch"]}).encode())

    def do_PUT(self) -> None:
        body, ingest = self._body(), self.server.ingest
        if not self._authorized():
            return
        if (kept := self._kept(body)) is not None:
            self._answer(kept, b"")
            return
        if ingest.refuse_artifacts:
            self._answer(ingest.refuse_artifacts.pop(0), b'{"detail": "not now"}')
            return
        sha256 = hashlib.sha256(body).hexdigest()
        assert self.headers["X-Content-SHA256"] == sha256
        ingest.artifacts[self.path] = body
        answer = {"uri": f"/api/v1/artifacts/{self.path.rpartition('/')[2]}", "sha256": sha256, "sizeBytes": len(body)}
        self._answer(201, json.dumps(answer).encode())

    def _kept(self, body: bytes) -> int | None:
        """Keep what is no artifact and return the status to answer with."""
        ingest, name = self.server.ingest, self.path.rpartition("/")[2]
        if "/logs/" in self.path:
            ingest.logs[self.path] = [json.loads(line) for line in body.decode().splitlines()]
        elif "/memory/" in self.path:
            if ingest.forgets:
                return ingest.forgets
            ingest.memory[self.path.partition("/memory/")[2]] = body
        elif "/companions/" in self.path or "/wheels/" in self.path:
            kept = ingest.wheels if "/wheels/" in self.path else ingest.companions
            kept[name] = body
        elif "/results/" in self.path:
            ingest.results[self.path] = json.loads(body)
        else:
            return None
        return 204

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _authorized(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._answer(401, b'{"detail": "no credential"}')
        return False

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    ingest: FakeDashboard
