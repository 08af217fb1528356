"""A small Marketplace over real HTTP that speaks the API of the real one (repackaging.md 1.3), faults included."""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="%s"/>'
    b"<script>document.title='icon'</script></svg>"
)
COLOURS = (b"#2970ff", b"#12b76a", b"#f79009", b"#7a5af8", b"#ee46bc")


@dataclass(frozen=True)
class Published:
    """A plugin on the Marketplace."""

    author: str
    name: str
    versions: tuple[str, ...]
    label: str = ""
    brief: str = ""
    category: str = "tool"
    installs: int = 0
    package: bytes = b""

    def body(self) -> dict[str, Any]:
        latest = self.versions[-1]
        return {
            "type": "plugin", "org": self.author, "name": self.name, "plugin_id": f"{self.author}/{self.name}",
            "label": {"en_US": self.label or self.name, "zh_Hans": self.label or self.name},
            "brief": {"en_US": self.brief, "zh_Hans": self.brief},
            "category": self.category, "install_count": self.installs, "latest_version": latest,
            "latest_package_identifier": f"{self.author}/{self.name}:{latest}@{'0' * 64}",
            "verified": self.author == "langgenius", "introduction": "", "tags": [], "badges": [],
        }  # fmt: skip


@dataclass
class FakeMarketplace:
    """Serves while it is used as a context manager. `fault` makes every answer go wrong: see `_Handler._fails`."""

    plugins: list[Published] = field(default_factory=list)
    featured: list[str] = field(default_factory=list)
    """Names of the plugins in the first collection."""
    fault: str | None = None
    asked: list[str] = field(default_factory=list)
    base: str = ""

    def __enter__(self) -> Self:
        market = self

        class Handler(_Handler):
            pass

        Handler.market = market
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.fault = None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def search(self, wish: dict[str, Any]) -> dict[str, Any]:
        words = str(wish.get("query", "")).casefold()
        found = [
            plugin
            for plugin in sorted(self.plugins, key=lambda each: -each.installs)
            if words in f"{plugin.author} {plugin.name} {plugin.label} {plugin.brief}".casefold()
            and wish.get("category") in {"", None, plugin.category}
        ]
        first = (wish["page"] - 1) * wish["page_size"]
        return {"plugins": [each.body() for each in found[first : first + wish["page_size"]]], "total": len(found)}

    def find(self, author: str, name: str) -> Published | None:
        return next((each for each in self.plugins if (each.author, each.name) == (author, name)), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    market: FakeMarketplace

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._answer(json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, body: dict[str, Any] | None) -> None:
        path = self.path.partition("?")[0]
        self.market.asked.append(f"{self.command} {path}")
        if self.market.fault is not None:
            self._fails(self.market.fault)
            return
        match path.removeprefix("/api/v1/").split("/"):
            case ["plugins", "search", "advanced"]:
                self._send_data(self.market.search(body or {}))
            case ["collections"]:
                named = [{"name": "featured", "label": {"en_US": "Featured"}}] if self.market.featured else []
                self._send_data({"collections": named, "total": len(named)})
            case ["collections", "featured", "plugins"]:
                chosen = [each.body() for each in self.market.plugins if each.name in self.market.featured]
                self._send_data({"plugins": chosen})
            case ["plugins", author, name, *rest]:
                self._about(self.market.find(author, name), rest)
            case ["pictures", number]:
                self._send(200, "image/svg+xml", ICON % COLOURS[int(number) % len(COLOURS)])
            case _:
                self._send(404, "application/json", b'{"code": 404, "msg": "not found"}')

    def _about(self, plugin: Published | None, rest: list[str]) -> None:
        if plugin is None:
            self._send(404, "application/json", b'{"code": 404, "msg": "plugin not found"}')
        elif rest == []:
            self._send_data({"plugin": plugin.body()})
        elif rest == ["versions"]:
            self._send_data({"versions": [{"version": version} for version in plugin.versions]})
        elif rest == ["icon"]:
            where = f"{self.market.base}/api/v1/pictures/{self.market.plugins.index(plugin)}"
            self._send(307, "text/plain", b"", Location=where)
        elif rest[1:] == ["download"] and rest[0] in plugin.versions:
            self._send(200, "application/octet-stream", plugin.package)
        else:
            self._send(404, "application/json", b"{}")

    def _fails(self, fault: str) -> None:
        if fault == "html":
            self._send(200, "text/html", b"<html>Sign in to the hotel's network</html>")
        elif fault == "shape":
            self._send(200, "application/json", b'["not", "what", "was", "promised"]')
        elif fault == "slow":
            deadline = time.monotonic() + 10
            while self.market.fault == "slow" and time.monotonic() < deadline:
                time.sleep(0.02)
            self.close_connection = True
        elif fault == "cut":
            self.close_connection = True
        else:
            self._send(int(fault), "text/plain", b"upstream connect error")

    def _send_data(self, data: dict[str, Any]) -> None:
        self._send(200, "application/json", json.dumps({"code": 0, "msg": "success", "data": data}).encode())

    def _send(self, status: int, kind: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
