"""An API server of which a test writes every answer: for faults that a well-behaved server does not show on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Answer:
    """One answer: JSON, text, or lines of a stream.

    `hang` keeps a stream open after its lines; `drop` cuts the connection without an answer.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lines: Sequence[Any] | None = None
    hang: bool = False
    drop: bool = False
    text: str | None = None


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class ScriptedApi:
    """Gives its answers one after the other, and notes what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._answers: list[Answer | Callable[[Asked], Answer]] = []

    def will_answer(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self._answers.extend(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            json.loads(data) if data else None,
            {key.lower(): value for key, value in request.headers.items()},
        )
        self.asked.append(asked)
        if not self._answers:
            await asyncio.Event().wait()  # nothing more in the script: hang until the server is stopped
        answer = self._answers.pop(0)
        answer = answer(asked) if callable(answer) else answer
        if answer.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if answer.lines is None:
            text = answer.text if answer.text is not None else json.dumps(answer.body or {})
            return web.Response(status=answer.status, text=text, headers=answer.headers)
        response = web.StreamResponse()
        await response.prepare(request)
        for line in answer.lines:
            await response.write(json.dumps(line).encode() + b"\n")
        if answer.hang:
            await asyncio.Event().wait()
        return response


@asynccontextmanager
async def scripted_api() -> AsyncIterator[ScriptedApi]:
    """Serve a `ScriptedApi` on a loopback port."""
    api = ScriptedApi()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()


def refusal(code: int, reason: str, message: str = "no", **details: Any) -> Answer:
    """The `Status` object of a refusal."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return Answer(status=code, body=body | ({"details": details} if details else {}))
