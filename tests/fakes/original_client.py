"""A client as the original application documents its own: written from its words, not from our protocol.

It knows `/ws/tasks/{task_id}`, `{"type":"ping"}` and `{"type":"pong"}`, a ping every 30 s, 60 s of silence until it
comes back, 3 s growing by half up to 30 s between attempts, 10 attempts, and no attempt after 1008 `Task not found`.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

State = Literal["connecting", "connected", "disconnected", "error", "reconnecting"]


@dataclass(frozen=True)
class Options:
    """The original's options and their defaults; all times in seconds."""

    reconnect_interval: float = 3.0
    reconnect_growth: float = 1.5
    max_reconnect_interval: float = 30.0
    max_reconnect_attempts: int = 10
    heartbeat_interval: float = 30.0
    silence: float = 60.0

    def times(self, factor: float) -> "Options":
        """Return the same manners on a faster clock."""
        return Options(
            self.reconnect_interval * factor,
            self.reconnect_growth,
            self.max_reconnect_interval * factor,
            self.max_reconnect_attempts,
            self.heartbeat_interval * factor,
            self.silence * factor,
        )


class OriginalClient:
    """One viewer of one task. Use it as an async context manager."""

    def __init__(self, base: str, task_id: str, options: Options) -> None:
        self._url = f"{base}/ws/tasks/{task_id}"
        self._options = options
        self._socket: ClientConnection | None = None
        self._work: list[asyncio.Task[None]] = []
        self._failures = 0
        self.states: list[State] = []
        self.received: list[dict[str, Any]] = []
        self.closes: list[tuple[int, str]] = []
        self.attempts = 0

    async def __aenter__(self) -> "OriginalClient":
        self._work.append(asyncio.create_task(self._live()))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    @property
    def state(self) -> State:
        """What the original shows beside a task."""
        return self.states[-1] if self.states else "disconnected"

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type, in the order in which they came."""
        return [message for message in self.received if message["type"] == kind]

    async def _live(self) -> None:
        while True:  # ends after the last attempt, after a final close, or by cancellation
            self.states.append("reconnecting" if self.attempts else "connecting")
            self.attempts += 1
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                # It is a browser's client: it has no pings of its own below its messages.
                async with connect(self._url, proxy=None, ping_interval=None) as self._socket:
                    self.states.append("connected")
                    self._failures = 0
                    await self._talk(self._socket)
            self.states.append("disconnected")
            is_over = bool(self.closes) and self.closes[-1] == (1008, "Task not found")
            if is_over or self._failures >= self._options.max_reconnect_attempts:
                self.states.append("error")
                return
            options = self._options
            pause = options.reconnect_interval * options.reconnect_growth**self._failures
            self._failures += 1
            await asyncio.sleep(min(pause, options.max_reconnect_interval))

    async def _talk(self, socket: ClientConnection) -> None:
        heartbeat = asyncio.create_task(self._beat(socket))
        try:
            while True:  # ends with the connection, or with the watchdog's patience
                async with asyncio.timeout(self._options.silence):
                    message = json.loads(await socket.recv())
                self.received.append(message)
                if message["type"] == "ping":
                    await socket.send(json.dumps({"type": "pong", "timestamp": 1}))
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                self.closes.append((closed.rcvd.code, closed.rcvd.reason))
        finally:
            heartbeat.cancel()
            await asyncio.gather(heartbeat, return_exceptions=True)

    async def _beat(self, socket: ClientConnection) -> None:
        while True:  # ends with the connection, by cancellation
            await asyncio.sleep(self._options.heartbeat_interval)
            await socket.send(json.dumps({"type": "ping", "timestamp": 1}))
