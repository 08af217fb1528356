"""uvicorn, set up for many long-lived WebSockets, and a shutdown that lets nobody fall."""

import contextlib
import gc
import logging
import socket
from collections.abc import Awaitable, Callable

import structlog
import uvicorn
from fastapi import FastAPI

from repack_dashboard.protocol import TaskWebSocket, Tuning, is_supported
from repack_dashboard.settings import Settings

log = structlog.get_logger("repack.dashboard")


class Server(uvicorn.Server):
    """Drains before uvicorn closes everything: the lifespan would be told too late (realtime.md 0.1)."""

    def __init__(self, config: uvicorn.Config, *, drain: Callable[[], Awaitable[None]], owns_process: bool) -> None:
        super().__init__(config)
        self._drain = drain
        self._owns_process = owns_process

    @property
    def port(self) -> int:
        """The port that is listened on; another than the configured one where that is 0."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets=sockets)
        if self.started:
            if self._owns_process:
                # What was loaded stays. With thousands of connections every collection would walk through all of it.
                gc.collect()
                gc.freeze()
            log.info("the dashboard listens", address=f"http://{_shown(self.config.host)}:{self.port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that we are not ready, send the clients away one by one, then take no more connections and end.

        Meanwhile we still listen: the probe sees why we are not ready, and what operator and workers send in still
        reaches the clients that wait for their turn.
        """
        if not self.force_exit:
            with contextlib.suppress(Exception):  # whatever goes wrong in it, we end
                await self._drain()
        await super().shutdown(sockets=sockets)


def make_server(
    app: FastAPI, settings: Settings, *, drain: Callable[[], Awaitable[None]], owns_process: bool = False
) -> Server:
    """Return the server for an application; one that owns its process may tune its memory management."""
    tuning = Tuning(
        backlog_frames=settings.backlog_frames,
        backlog_bytes=settings.backlog_bytes,
        peer_seconds=max(1.0, settings.heartbeat_timeout - 1),
        compresses=settings.compress,
    )
    logging.getLogger("uvicorn.error").addFilter(_without_traceback_of_text)
    if not is_supported():
        log.warning("this uvicorn is not the one that the fast path was made for", version=uvicorn.__version__)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws=TaskWebSocket.tuned(tuning) if is_supported() else "websockets-sansio",
        http="httptools",
        loop="auto",  # uvloop where it is installed
        lifespan="on",
        ws_ping_interval=settings.heartbeat_interval,
        ws_ping_timeout=max(0.1, settings.heartbeat_timeout - 2),
        ws_max_size=65536,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        backlog=4096,
        access_log=False,
        proxy_headers=False,  # it would believe every process of this machine; `doors.client_address` asks the settings
        log_config=None,
        server_header=False,
    )
    return Server(config, drain=drain, owns_process=owns_process)


def _without_traceback_of_text(record: logging.LogRecord) -> bool:
    """Make one line of what uvicorn says of a text that is no UTF-8: any client can send one."""
    if record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError):
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    return True


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
