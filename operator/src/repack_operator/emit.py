"""Tells the dashboard what happened to tasks: HTTP batches, sent again until they are acknowledged.

The status in the cluster is the true outbox; this is its copy for one dashboard. Of each task the latest state waits
to be sent, so that the memory is bounded by the number of tasks. A dashboard that is new (its instance id changed)
is sent everything, and at the end a mark: what is not named there is gone.
"""

import asyncio
import json
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import structlog
from pydantic import ValidationError

from repack_contract.events import (
    HEARTBEAT_SECONDS,
    MAX_BATCH_EVENTS,
    Heartbeat,
    IngestAck,
    ProgressDigest,
    QueuePlace,
    SnapshotMark,
    TaskRemoved,
)
from repack_kube.resources import Object, key_of, uid_of
from repack_operator.metrics import Metrics

log = structlog.get_logger()

INGEST_PATH = "/api/v1/ingest/events"
_LINGER_SECONDS = 0.05
"""So long a batch waits for company."""
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 10.0
_TIMEOUT_SECONDS = 10.0
_NOT_FOR_GOOD = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that pass: credentials rotate, and a dashboard that starts may not know its paths yet."""


class Outbox:
    """What the dashboard has not acknowledged yet."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._waiting: dict[str, bytes] = {}
        """The last event of each task, as JSON."""
        self._all: dict[str, None] = {}
        """Uids of tasks to be told once more; they are looked up when their turn has come."""
        self._mark_due = False
        self.ready = asyncio.Event()
        """Set while there is something to send."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._all)

    def seen(self, body: Object) -> None:
        """A task exists, in this state."""
        self._put(uid_of(body), self._event(body))

    def removed(self, body: Object) -> None:
        """A task is gone."""
        namespace, name = key_of(body)
        gone = TaskRemoved(uid=uid_of(body), namespace=namespace, name=name, ts=self._now())
        self._put(uid_of(body), gone.wire())

    def everything(self, uids: Iterable[str]) -> None:
        """Send every task, and then the mark that these are all."""
        self._all = dict.fromkeys(uids)
        self._mark_due = True
        self.ready.set()

    def take(self, tasks: "Tasks", *, room: int) -> list[dict[str, Any]]:
        """Return the next events, at most `room`, the mark among them when nothing else waits."""
        uids = list(self._waiting)[:room]
        events = [json.loads(self._waiting.pop(uid)) for uid in uids]
        for uid in uids:
            self._all.pop(uid, None)
        while self._all and len(events) < room:
            uid, _ = self._all.popitem()
            body = tasks.find(uid)
            if body is not None:
                events.append(self._event(body))
        if self._mark_due and not len(self) and len(events) < room:
            self._mark_due = False
            events.append(SnapshotMark(uids=list(tasks.uids()), ts=self._now()).wire())
        if not len(self) and not self._mark_due:
            self.ready.clear()
        return events

    def _event(self, body: Object) -> dict[str, Any]:
        return {"kind": "task", "task": _without_noise(body), "ts": self._now().isoformat()}

    def _put(self, uid: str, event: dict[str, Any]) -> None:
        self._waiting[uid] = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        self.ready.set()


def _without_noise(body: Object) -> Object:
    """Return the task without the fields that only the API server needs."""
    dropped = ("managedFields", "ownerReferences", "finalizers")
    metadata = {key: value for key, value in body["metadata"].items() if key not in dropped}
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {k: v for k, v in annotations.items() if not k.startswith("kubectl.kubernetes.io/")}
    return body | {"metadata": metadata}


@dataclass(frozen=True)
class Pulse:
    """What a heartbeat tells."""

    leader: bool
    queue_depth: int
    running: int
    slots: int
    watch_age_seconds: float
    api_errors: int = 0
    lag_seconds: float = 0.0
    queue: Sequence[QueuePlace] = ()


@dataclass(frozen=True)
class Tasks:
    """All tasks that exist: their uids, and each by its uid."""

    uids: Callable[[], Collection[str]]
    find: Callable[[str], Object | None]


@dataclass(frozen=True)
class Source:
    """Where the emitter gets what it sends, and whom it tells what came back."""

    outbox: Outbox
    tasks: Tasks
    pulse: Callable[[], Pulse]
    progress: Callable[[list[ProgressDigest]], None]


@dataclass(frozen=True)
class Dashboard:
    """The receiver."""

    url: str
    """Base URL."""
    token_file: Path | None = None
    """File with the Bearer token, read for every batch because projected tokens rotate."""


@dataclass(frozen=True)
class Sender:
    """Who sends."""

    instance: str
    """Random per process; the dashboard tells senders apart by it."""
    epoch: int = 0
    """`leaseTransitions` of the leader election; 0 without one."""


class _RefusedError(Exception):
    """The dashboard will never take this batch."""


class Emitter:
    """Sends what is in the outbox to one dashboard, for ever."""

    def __init__(
        self, dashboard: Dashboard, source: Source, metrics: Metrics, *, sender: Sender, now: Callable[[], datetime]
    ) -> None:
        self._url = dashboard.url.rstrip("/") + INGEST_PATH
        self._token_file = dashboard.token_file
        self._source = source
        self._metrics = metrics
        self._sender = sender
        self._now = now
        self._batch = 0
        self._dashboard: str | None = None
        self._beat_due_at = 0.0
        self._in_flight: list[dict[str, Any]] = []
        """What was sent and not acknowledged yet; told once more at the end of the process."""

    async def run(self) -> None:
        """Send for ever; ends by cancellation."""
        # A client of our own address book: no proxy of the environment, and no trust in its certificates' names.
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:  # ends by cancellation; every turn waits for an event or for the next heartbeat
                await self._wait()
                await self._deliver(client, self._next_events())

    async def flush(self, *, seconds: float) -> None:
        """Send what waits now, for at most so long; for the end of the process."""
        try:
            async with asyncio.timeout(seconds), httpx.AsyncClient(timeout=seconds, trust_env=False) as client:
                await self._deliver(client, self._in_flight)
                while len(self._source.outbox):  # bounded by the timeout
                    await self._deliver(client, self._source.outbox.take(self._source.tasks, room=MAX_BATCH_EVENTS))
        except TimeoutError:
            log.info("the dashboard is away; it will be told everything by the next operator")

    async def _wait(self) -> None:
        patience = max(self._beat_due_at - monotonic(), 0)
        try:
            async with asyncio.timeout(patience):
                await self._source.outbox.ready.wait()
            await asyncio.sleep(_LINGER_SECONDS)
        except TimeoutError:
            return

    def _next_events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        if self._beat_due_at <= monotonic():
            self._beat_due_at = monotonic() + HEARTBEAT_SECONDS
            pulse = self._source.pulse()
            events.append(Heartbeat(ts=self._now(), **vars(pulse) | {"queue": list(pulse.queue)}).wire())
        # The first batch to a dashboard is a heartbeat alone: its answer tells whether it must be sent everything.
        if self._dashboard is not None or not events:
            events += self._source.outbox.take(self._source.tasks, room=MAX_BATCH_EVENTS - len(events))
        return events

    async def _deliver(self, client: httpx.AsyncClient, events: list[dict[str, Any]]) -> None:
        """Send one batch until it is acknowledged or refused for good."""
        if not events:
            return
        self._batch += 1
        self._in_flight = events
        batch = {"sender": "operator", **vars(self._sender), "batch": self._batch, "events": events}
        content, started, backoff = json.dumps(batch), monotonic(), _FIRST_BACKOFF
        try:
            while (ack := await self._post(client, content)) is None:  # or by cancellation
                self._metrics.emit_resent.inc()
                await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
        except _RefusedError as error:
            self._in_flight = []
            self._metrics.emit_refused.inc()
            log.error("the dashboard refused a batch for good", answer=str(error))
            return
        self._in_flight = []
        self._metrics.emit_lag.observe(monotonic() - started)
        self._metrics.emit_sent.inc(len(events))
        self._acknowledged(ack)

    async def _post(self, client: httpx.AsyncClient, content: str) -> IngestAck | None:
        """Return the acknowledgement, None where it is worth to ask again."""
        try:
            answer = await client.post(self._url, content=content, headers=self._headers())
            if answer.is_success:
                return IngestAck.model_validate_json(answer.content)
        except (httpx.HTTPError, OSError, ValidationError) as error:
            log.debug("the dashboard did not answer", error=repr(error))
            return None
        if 400 <= answer.status_code < 500 and answer.status_code not in _NOT_FOR_GOOD:
            raise _RefusedError(f"HTTP {answer.status_code}: {answer.text[:300]}")
        log.warning("the dashboard refused a batch for now", status=answer.status_code, answer=answer.text[:300])
        return None

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
        return headers

    def _acknowledged(self, ack: IngestAck) -> None:
        if ack.instance != self._dashboard:
            log.info("a dashboard was found; it is sent every task", dashboard=ack.instance)
            self._dashboard = ack.instance
            self._source.outbox.everything(self._source.tasks.uids())
        if ack.progress:
            self._source.progress(ack.progress)
