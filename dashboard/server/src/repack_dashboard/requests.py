"""What is asked of every HTTP request before its route: does it come from a page of ours, under a name of ours."""

import time

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from repack_dashboard import problems
from repack_dashboard.auth import SAFE_METHODS, is_known_host, is_own_page
from repack_dashboard.problems import ProblemError
from repack_dashboard.services import Services

MAX_BODY_BYTES = 1024**2
"""Largest body of a request that is no file; a spec takes a few kilobytes."""
_STREAMED = ("/api/v1/uploads", "/api/v1/ingest/")
_UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestGuard:
    """ASGI middleware: refuses what other pages send through a user's browser, and counts answers."""

    def __init__(self, app: ASGIApp, *, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, _limited(scope, receive), counted)
            else:
                await problems.response(refusal, Request(scope))(scope, receive, counted)
        finally:
            metrics = self._services.metrics
            metrics.requests.labels(_bounded(scope["method"]), str(status)).inc()
            metrics.request_seconds.observe(time.monotonic() - began)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        headers, settings = Headers(scope=scope), self._services.settings
        host, origin = headers.get("host"), headers.get("origin")
        if not is_known_host(host, allowed=settings.allowed_hosts):
            hint = "Add it to REPACK_DASHBOARD_ALLOWED_HOSTS."
            return ProblemError(403, "This server does not answer under this host name.", hint=hint)
        if scope["method"] in SAFE_METHODS or is_own_page(origin, host=host, allowed=settings.allowed_origins):
            return None
        hint = "Add its origin to REPACK_DASHBOARD_ALLOWED_ORIGINS."
        return ProblemError(403, "A page of another site may not change anything here.", hint=hint)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Bound the body where a route would read it whole into memory; those of files have limits of their own."""
    if scope["path"].startswith(_STREAMED):
        return receive
    left = MAX_BODY_BYTES

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise ProblemError(413, f"The request is larger than {MAX_BODY_BYTES} bytes.", hint="Send less at once.")
        return message

    return bounded


def _bounded(method: str) -> str:
    return method if method in {"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"} else "other"
