"""A dashboard's ingest endpoint that keeps what it was told and can lose answers, refuse, and start anew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter

from repack_contract.events import IngestAck, IngestBatch, OperatorBatch, ProgressDigest, SnapshotMark, TaskObserved

_BATCH: TypeAdapter[Any] = TypeAdapter(IngestBatch)


class FakeIngest:
    def __init__(self) -> None:
        self.url = ""
        self.instance = "first"
        self.batches: list[OperatorBatch] = []
        self.tokens: list[str] = []
        self.lose_answers = 0
        self.refuse_with: list[int] = []
        self.progress: list[ProgressDigest] = []
        self.results: dict[tuple[str, int], dict[str, Any]] = {}
        """What attempts (uid, number) left beside their packages."""

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.refuse_with:
            return web.Response(status=self.refuse_with.pop(0), text="no")
        batch = _BATCH.validate_json(await request.read())
        self.batches.append(batch)
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.close()
        ack = IngestAck(instance=self.instance, batch=batch.batch)
        if any(event.kind == "heartbeat" for event in batch.events):
            ack = ack.model_copy(update={"progress": self.progress})
        return web.json_response(ack.wire())

    async def find_result(self, request: web.Request) -> web.Response:
        found = self.results.get((request.match_info["uid"], int(request.match_info["attempt"])))
        return web.json_response(found) if found is not None else web.Response(status=404, text="{}")

    @property
    def events(self) -> list[Any]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def tasks(self) -> list[tuple[str, str | None]]:
        """(uid, phase) of every task that was told, in order."""
        return [(e.task.metadata.uid, e.task.phase) for e in self.events if isinstance(e, TaskObserved)]

    @property
    def marks(self) -> list[SnapshotMark]:
        return [event for event in self.events if isinstance(event, SnapshotMark)]


@asynccontextmanager
async def fake_ingest() -> AsyncIterator[FakeIngest]:
    """Serve it on a loopback port."""
    ingest = FakeIngest()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/api/v1/ingest/events", ingest.handle)
    app.router.add_get("/api/v1/ingest/results/{uid}/{attempt}", ingest.find_result)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ingest.url = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield ingest
    finally:
        await runner.cleanup()
