"""Reporting to the dashboard: batches by HTTP, acknowledged, sent again until they are; never in the pipeline's way.

Progress is coalesced (only the newest is sent), lines are numbered and kept until acknowledged. The dashboard's
instance id is in every acknowledgement: a new one means a dashboard without memory, which gets the last lines again.
"""

import asyncio
import contextlib
from collections import deque
from pathlib import Path

import httpx
from pydantic import ValidationError

from repack_contract import progress as models
from repack_contract.edges import as_model
from repack_contract.events import (
    MAX_BATCH_EVENTS,
    MAX_BATCH_LINES,
    IngestAck,
    LinesLogged,
    ProgressReported,
    WorkerBatch,
    WorkerEvent,
)
from repack_contract.values import LogLine, Progress
from repack_worker.authorization import authorization

INTERVAL_SECONDS = 0.25
"""Four reports a second are as live as an eye needs."""
KEPT_LINES = 1000
_MAX_WAITING_LINES = 20_000
_LONGEST_PAUSE_SECONDS = 5.0
_TIMEOUT_SECONDS = 10.0


class IngestReporter:
    """A listener that sends what it hears; `run` is the task that sends. `close` waits, but not for ever."""

    def __init__(
        self, client: httpx.AsyncClient, *, uid: str, attempt: int, token_file: Path | None,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:  # fmt: skip
        """Report to the dashboard that is the client's base URL."""
        self._client, self._uid, self._attempt, self._token_file = client, uid, attempt, token_file
        self._interval = interval_seconds
        self._progress: Progress | None = None
        self._waiting: deque[LogLine] = deque(maxlen=_MAX_WAITING_LINES)
        self._sent: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._instance: str | None = None
        self._batch = 1
        self._closing = asyncio.Event()

    def progress(self, progress: Progress) -> None:
        """Take the newest progress."""
        self._progress = progress

    def log(self, line: LogLine) -> None:
        """Take a line; when the dashboard is away for very long the oldest ones are let go."""
        self._waiting.append(line)

    async def run(self) -> None:
        """Send what there is, at the interval; slower while the dashboard does not answer. Ends after `close`."""
        pause = self._interval
        while not (self._closing.is_set() and self._is_idle):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            if self._closing.is_set():
                pause = self._interval
            ok = self._is_idle or await self._send()
            pause = self._interval if ok else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            if self._closing.is_set() and not ok:
                await asyncio.sleep(min(pause, 1.0))

    def close(self) -> None:
        """Ask `run` to send the rest and to end; bound the wait for it with a timeout."""
        self._closing.set()

    @property
    def _is_idle(self) -> bool:
        return self._progress is None and not self._waiting

    async def _send(self) -> bool:
        """Send one batch; put everything back when it was not acknowledged."""
        progress, self._progress = self._progress, None
        lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH_LINES))]
        ack = await self._post(_events(progress, lines))
        if ack is None:
            self._waiting.extendleft(reversed(lines))
            self._progress = self._progress or progress
            return False
        self._sent.extend(lines)
        self._batch += 1
        if self._instance not in (None, ack.instance):
            self._waiting.extendleft(reversed(self._sent))
            self._sent.clear()
            self._progress = self._progress or progress
        self._instance = ack.instance
        return True

    async def _post(self, events: list[WorkerEvent]) -> IngestAck | None:
        batch = WorkerBatch(uid=self._uid, attempt=self._attempt, batch=self._batch, events=events[:MAX_BATCH_EVENTS])
        try:
            response = await self._client.post(
                "/api/v1/ingest/events",
                content=batch.model_dump_json(by_alias=True),
                headers={**authorization(self._token_file), "Content-Type": "application/json"},
                timeout=_TIMEOUT_SECONDS,
            )
            response.raise_for_status()
            return IngestAck.model_validate_json(response.content)
        except (httpx.HTTPError, OSError, ValidationError):
            return None


def _events(progress: Progress | None, lines: list[LogLine]) -> list[WorkerEvent]:
    events: list[WorkerEvent] = []
    if lines:
        events.append(LinesLogged(lines=[as_model(line, models.LogLine) for line in lines]))
    if progress:
        events.append(ProgressReported(progress=as_model(progress, models.Progress)))
    return events
