"""The built page: files of one folder, `index.html` for every other address, and the headers that guard them."""

import base64
import gzip
import hashlib
import mimetypes
import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repack_dashboard.problems import ProblemError

_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
# Vite puts a hash of the content into the names of what it builds there: such a file never changes. Elsewhere, as in
# `client/`, names are for people and stay, so browsers ask each time whether the file is still the same.
_HASHED = re.compile(r"^assets/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
# What the system's table of types may not know, or takes for something else (`.ts` is a video to some).
_TYPES = {".js": "text/javascript", ".ts": "text/plain"}
_NOT_PAGES = ("api/", "ws/", "docs", "openapi.json", "metrics", "healthz", "readyz", "assets/", "client/")

_COMPRESSIBLE = frozenset({".js", ".css", ".svg", ".html", ".ts", ".json"})
_WORTH_BYTES = 1024
"""Smaller files grow by the header that says they are compressed."""

_ABSENT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>dify-repack</title>
<body style="font-family:system-ui;margin:3rem;max-width:40rem;line-height:1.5">
<h1>The page is not built yet</h1>
<p>Run <code>make setup</code> in the project folder and start again. The server itself works:
<a href="/docs">its interface</a>, <a href="/api/v1/tasks">the tasks</a>.</p>
<p lang="zh-CN">页面尚未构建。请在项目目录运行 <code>make setup</code>，然后重新启动。</p>
</body></html>
"""


def content_security_policy(index: bytes) -> str:
    """Return the policy for a page: everything from here alone, and of inline scripts those that it came with."""
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(index)]
    scripts = " ".join(["'self'", *(f"'sha256-{value}'" for value in hashes)])
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class GuardHeaders:
    """ASGI middleware: headers of every HTTP answer that tell browsers what not to do."""

    def __init__(self, app: ASGIApp, *, policy: str) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")  # every answer is true for a moment only
            await send(message)

        await self._app(scope, receive, guarded)


def index_of(folder: Path) -> bytes:
    """Return the page's first file, or a page that says how to build it."""
    index = folder / "index.html"
    return index.read_bytes() if index.is_file() else _ABSENT.encode()


def compressed(path: Path) -> bytes | None:
    """Return a file of the build in gzip, once for all visits; None of what is small already."""
    if path.suffix not in _COMPRESSIBLE or path.stat().st_size < _WORTH_BYTES:
        return None
    return gzip.compress(path.read_bytes(), compresslevel=9, mtime=0)


def routes(folder: Path, index: bytes) -> APIRouter:
    """Return the routes of the page; they match everything, so they come last."""
    router = APIRouter(include_in_schema=False)
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    squeezed = {name: small for name, path in files.items() if (small := compressed(path)) is not None}

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    async def page(request: Request, path: str) -> Response:
        """Return a file of the build, or the page: which address shows what is the page's own affair."""
        found = files.get(path)  # a name among those that exist, never a path made of what was asked
        if found is not None and path != "index.html":
            kept = "public, max-age=31536000, immutable" if _HASHED.search(path) else "no-cache"
            kind = _TYPES.get(found.suffix) or mimetypes.guess_type(found.name)[0]
            headers = {"Cache-Control": kept}
            small = squeezed.get(path)
            if small is None:
                return FileResponse(found, headers=headers, media_type=kind)
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in request.headers.get("accept-encoding", ""):
                return Response(small, headers=headers | {"Content-Encoding": "gzip"}, media_type=kind)
            return FileResponse(found, headers=headers, media_type=kind)
        if path.startswith(_NOT_PAGES):
            raise ProblemError(404, f"There is nothing at {request.url.path}.", hint="See /docs.")
        return HTMLResponse(index, headers={"Cache-Control": "no-cache"})

    return router
