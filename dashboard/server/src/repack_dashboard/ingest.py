"""Route: batches of the operator and of the workers, taken once and acknowledged always."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from repack_contract.events import (
    Heartbeat,
    IngestAck,
    IngestBatch,
    LinesLogged,
    OperatorBatch,
    OperatorEvent,
    ProgressReported,
    SnapshotMark,
    TaskObserved,
    TaskRemoved,
    WorkerBatch,
    WorkerEvent,
)
from repack_contract.progress import LogLine
from repack_dashboard.clock import now
from repack_dashboard.content import too_large
from repack_dashboard.notes import HeartbeatHeard, LinesKept
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services
from repack_kube.errors import KubeError

log = structlog.get_logger("repack.dashboard")

MAX_BATCH_BYTES = 32 * 1024**2
_BATCH: TypeAdapter[OperatorBatch | WorkerBatch] = TypeAdapter(IngestBatch)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [
                        {"$ref": "#/components/schemas/OperatorBatch"},
                        {"$ref": "#/components/schemas/WorkerBatch"},
                    ]
                }
            }
        },
    }
}
_LOG_BODY = {"requestBody": {"required": True, "content": {"application/x-ndjson": {}, "text/plain": {}}}}


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes for operator and workers."""
    router = APIRouter(prefix="/ingest", tags=["ingest"])
    intake = Intake(services)

    @router.post("/events", openapi_extra=_BODY)
    async def events(request: Request, sender: Annotated[Sender, Depends(guard)]) -> IngestAck:
        """Take a batch. It may be sent again until it is acknowledged: what is known already is recognised."""
        services.log.check()
        batch, unreadable = read_batch(await _read(request, MAX_BATCH_BYTES))
        services.metrics.ingest_batches.labels(batch.sender).inc()
        if unreadable:
            services.metrics.ingest_events.labels("unknown", "unreadable").inc(unreadable)
            log.warning("events that cannot be read were left out", sender=batch.sender, events=unreadable)
        if isinstance(batch, OperatorBatch):
            sender.check_operator()
            return await intake.take_operators(batch)
        return await intake.take_workers(batch, sender)

    @router.put("/logs/{uid}/{attempt}", status_code=204, openapi_extra=_LOG_BODY)
    async def take_log(
        request: Request,
        uid: str,
        attempt: Annotated[int, Path(ge=1, le=10_000)],
        sender: Annotated[Sender, Depends(guard)],
    ) -> None:
        """Take the whole log of an attempt that ended; it replaces what was spooled. NDJSON of LogLine, or text."""
        if not await services.knows(uid):
            raise not_found("task with this uid")
        services.check_sender(sender, uid, attempt)
        body = await _read(request, services.settings.max_log_bytes)
        is_text = request.headers.get("content-type", "").startswith("text/plain")
        lines = await asyncio.to_thread(_lines_of_text if is_text else _lines_of_ndjson, body)
        await services.attempts.complete(uid, attempt, lines)

    return router


class Intake:
    """Sorts the events of batches to where they belong."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._board = services.board
        self._last_ack: tuple[str, IngestAck] | None = None

    async def take_operators(self, batch: OperatorBatch) -> IngestAck:
        """Take a batch of the operator. One that was taken already is answered as it was the first time."""
        if self._last_ack is not None:
            instance, ack = self._last_ack
            if instance == batch.instance and ack.batch == batch.batch:
                return ack
        accepted = 0
        for event in batch.events:
            is_news = await self._take(event, batch)
            self._count(event.kind, is_news=is_news)
            accepted += is_news
        has_heartbeat = any(isinstance(event, Heartbeat) for event in batch.events)
        ack = IngestAck(
            instance=self._services.instance,
            batch=batch.batch,
            accepted=accepted,
            duplicates=len(batch.events) - accepted,
            progress=self._board.take_digests() if has_heartbeat else [],
        )
        self._last_ack = (batch.instance, ack)
        return ack

    async def take_workers(self, batch: WorkerBatch, sender: Sender) -> IngestAck:
        """Take a batch of a worker. Its task may be newer than our list, which is read again then.

        Raises:
            ProblemError: 503, the cluster cannot be asked whether the task exists: send it again; 403, it is not the
                sender's own.
        """
        accepted = 0
        if await self._is_known(batch.uid):
            self._services.check_sender(sender, batch.uid, batch.attempt)
            for event in batch.events:
                is_news = await self._take_work(event, batch)
                self._count(event.kind, is_news=is_news)
                accepted += is_news
        # The batch of a task that is gone is acknowledged too: sending it again would not bring the task back.
        return IngestAck(
            instance=self._services.instance,
            batch=batch.batch,
            accepted=accepted,
            duplicates=len(batch.events) - accepted,
        )

    async def _is_known(self, uid: str) -> bool:
        try:
            return await self._services.knows(uid)
        except KubeError as error:
            raise ProblemError(
                503, f"The task is not known yet, and the cluster cannot be asked: {error.message}",
                hint="Send the batch again.", headers={"Retry-After": "2"},
            ) from error  # fmt: skip

    async def _take(self, event: OperatorEvent, batch: OperatorBatch) -> bool:
        match event:
            case TaskObserved(task=task):
                return await self._board.observe(task)
            case TaskRemoved(uid=uid):
                return await self._board.remove(uid)
            case SnapshotMark(uids=uids):
                return await self._compare(frozenset(uids))
            case Heartbeat():
                return await self._heard(event, batch)

    async def _compare(self, uids: frozenset[str]) -> bool:
        """Where the operator's tasks are not ours, ask the cluster: a mark may be older than what we just created."""
        if uids == frozenset(self._board.store.uids):
            return False
        try:
            await self._services.relist.refresh()
        except KubeError:
            return False  # the periodic list will see it
        return True

    async def _heard(self, heartbeat: Heartbeat, batch: OperatorBatch) -> bool:
        note = HeartbeatHeard(heartbeat=heartbeat, instance=batch.instance, epoch=batch.epoch, at=now())
        await self._services.log.tell(note)
        return True

    async def _take_work(self, event: WorkerEvent, batch: WorkerBatch) -> bool:
        match event:
            case ProgressReported(progress=progress):
                # What the sender may speak of was judged by the batch: no progress in it is of another attempt.
                return progress.attempt == batch.attempt and await self._board.report(batch.uid, progress)
            case LinesLogged(lines=lines):
                return await self._log(batch, lines)

    async def _log(self, batch: WorkerBatch, lines: Sequence[LogLine]) -> bool:
        news = await self._services.attempts.append(batch.uid, batch.attempt, lines)
        view = self._board.store.get(batch.uid)
        if not news or view is None:
            return False
        self._services.metrics.log_lines.inc(len(news))
        note = LinesKept.model_construct(
            kind="lines",
            uid=batch.uid,
            namespace=view.namespace,
            name=view.name,
            attempt=batch.attempt,
            lines=tuple(news),
            size=self._services.attempts.size(batch.uid, batch.attempt),
        )
        await self._services.log.tell(note)
        return True

    def _count(self, kind: str, *, is_news: bool) -> None:
        self._services.metrics.ingest_events.labels(kind, "accepted" if is_news else "duplicate").inc()


def read_batch(body: bytes) -> tuple[OperatorBatch | WorkerBatch, int]:
    """Return a batch, and how many of its events cannot be read: those must not hold up the others.

    Of a newer sender what we understand is taken: unknown fields are ignored, unknown kinds left out.

    Raises:
        RequestValidationError: this is no batch.
    """
    try:
        return _BATCH.validate_json(body, extra="ignore"), 0
    except ValidationError as error:
        places = [part["loc"] for part in error.errors(include_url=False, include_context=False)]
        bad = {place[2] for place in places if len(place) > 2 and place[1] == "events" and isinstance(place[2], int)}
        if not bad or any(len(place) < 3 or place[2] not in bad for place in places):
            raise RequestValidationError(error.errors(include_url=False)) from error
    batch = json.loads(body)
    batch["events"] = [event for number, event in enumerate(batch["events"]) if number not in bad]
    return _BATCH.validate_python(batch, extra="ignore"), len(bad)


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def _lines_of_ndjson(body: bytes) -> list[LogLine]:
    try:
        return [LogLine.model_validate_json(line) for line in body.splitlines() if line.strip()]
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error


def _lines_of_text(body: bytes) -> list[LogLine]:
    at = now()
    texts = body.decode(errors="replace").splitlines()
    return [LogLine(n=number, ts=at, text=text[:8192]) for number, text in enumerate(texts, start=1)]
