"""What probes and Prometheus ask for, on a port of its own: /livez, /readyz, /metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from repack_operator.metrics import Metrics


@dataclass
class Health:
    """How the operator is."""

    clock: Callable[[], float]
    silence_seconds: float
    """Without a sign of life of the API server for so long the operator is not ready."""
    synced: bool = False
    """Everything that exists was listed once."""
    watching: bool = False
    standby: bool = False
    """Another replica leads; this one is ready to take over when it hears the API server."""
    missing: tuple[str, ...] = ()
    """Rights that the operator needs and does not have."""
    obstacle: str = ""
    """What keeps the operator from listing, and what to do about it."""
    heard_at: float = float("-inf")

    def stand_by(self) -> None:
        """Another replica leads, or will."""
        self.standby, self.synced, self.watching, self.missing = True, False, False, ()

    def take_office(self) -> None:
        """This replica leads from now on."""
        self.standby = False

    def heard(self) -> None:
        """The API server told something."""
        self.heard_at = self.clock()

    @property
    def age_seconds(self) -> float:
        """Seconds since the API server last told something; 0 before it ever did."""
        return self.clock() - self.heard_at if self.heard_at > float("-inf") else 0.0

    @property
    def complaint(self) -> str:
        """Why the operator is not ready; empty when it is."""
        if self.standby:
            return self._silence if self.heard_at > float("-inf") else "the lease has not been read yet"
        if self.missing:
            return f"the operator may not {'; '.join(self.missing)}"
        if not self.synced:
            return f"tasks, Jobs and Pods have not been listed yet{self.obstacle and f': {self.obstacle}'}"
        if not self.watching:
            return "the watches are not running"
        return self._silence

    @property
    def _silence(self) -> str:
        is_silent = self.age_seconds > self.silence_seconds
        return f"nothing heard of the API server for {self.age_seconds:.0f} s" if is_silent else ""


@asynccontextmanager
async def serve_health(health: Health, metrics: Metrics, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve the three paths and yield the port."""

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # that it answers shows that the event loop turns

    async def readyz(_request: web.Request) -> web.Response:
        complaint = health.complaint
        return web.Response(status=503 if complaint else 200, text=(complaint or "ok") + "\n")

    async def series(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", series)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
