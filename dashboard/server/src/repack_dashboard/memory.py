"""What workers remember for each other: plans, and which wheel came of which source. Kept apart by namespace.

Such an entry is believed, unlike a wheel, whose name is the hash of its content. A worker that was taken over could
write a wrong one: so an entry is read in the namespace only from which it was written, as the API server names it.
Where all share one token (`ingest_auth` token) there is one scope.
"""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response

from repack_dashboard.artifacts import MEDIA_TYPE
from repack_dashboard.files import receive
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.senders import IngestGuard, Sender
from repack_dashboard.services import Services
from repack_dashboard.wheels import check_worker

MAX_ENTRY_BYTES = 2 << 20
"""A plan of a thousand wheels has 400 kB."""
MAX_SCOPE_BYTES = 64 << 20
"""Of one namespace; the least recently used entries go first."""
MAX_AGE_SECONDS = 30 * 86_400
"""Unused for so long, an entry goes; so those of a namespace that is gone do not stay for ever."""
SHARED = "shared"
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_BODY = {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "The entry."}}
Key = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$")]


class Kind(StrEnum):
    """What is remembered."""

    PLANS = "plans"
    BUILDS = "builds"


def scope_of(sender: Sender) -> str:
    """Return the folder of those who may read what this sender writes.

    Raises:
        ProblemError: 403 for a sender of no namespace, which is the operator.
    """
    if sender.work is None:
        return SHARED
    if not _NAMESPACE.fullmatch(sender.work.namespace):
        raise ProblemError(403, "Only workers remember plans and builds.", hint="Use the token of a worker.")
    return f"ns-{sender.work.namespace}"


class Memory:
    """A folder of small entries: `memory/<scope>/<kind>/<key>`."""

    def __init__(self, root: Path, *, max_scope_bytes: int = MAX_SCOPE_BYTES) -> None:
        self._folder, self._incoming, self._max_bytes = root / "memory", root / "incoming", max_scope_bytes
        self._sweeping = asyncio.Lock()

    def find(self, scope: str, kind: Kind, key: str) -> bytes | None:
        """Return an entry, which counts as used now."""
        path, now = self._folder / scope / kind.value / key, time.time_ns()
        try:
            content = path.read_bytes()
            os.utime(path, ns=(now, now))
        except OSError:
            return None
        return content

    async def take(self, chunks: AsyncIterator[bytes], *, scope: str, kind: Kind, key: str) -> None:
        """Keep an entry in place of the one that had its key; raise `PackageTooLarge` or `DiskFull`."""
        received = await receive(chunks, incoming=self._incoming, max_bytes=MAX_ENTRY_BYTES)
        try:
            received.publish(self._folder / scope / kind.value / key)
        finally:
            received.discard()
        async with self._sweeping:
            await asyncio.to_thread(self._sweep, scope)

    def _sweep(self, scope: str) -> None:
        """Throw out what was not used for long, of all scopes, and of this one what is above its size."""
        facts = []
        for entry in self._folder.glob("*/*/*"):
            with contextlib.suppress(OSError):
                facts.append((entry.stat(), entry))
        kept = sum(fact.st_size for fact, entry in facts if entry.parts[-3] == scope)
        oldest = time.time() - MAX_AGE_SECONDS
        for fact, entry in sorted(facts, key=lambda one: one[0].st_mtime_ns):
            own = entry.parts[-3] == scope
            if fact.st_mtime < oldest or (own and kept > self._max_bytes):
                entry.unlink(missing_ok=True)
                kept -= fact.st_size if own else 0


def routes(services: Services, guard: IngestGuard) -> APIRouter:
    """Return the routes of what workers remember; nothing is kept where the wheel cache is off."""
    router = APIRouter(tags=["packages"])
    memory = Memory(services.settings.data_dir)

    @router.get("/memory/{kind}/{key}", response_class=Response, responses=_FILE)
    async def recall(kind: Kind, key: Key, sender: Annotated[Sender, Depends(guard)]) -> Response:
        """Return what a worker of the same namespace remembered. It checks the entry itself."""
        check_worker(services, sender)
        content = await asyncio.to_thread(memory.find, scope_of(sender), kind, key)
        if content is None:
            raise not_found("entry under this key")
        return Response(content, media_type=MEDIA_TYPE)

    @router.put("/memory/{kind}/{key}", status_code=204, openapi_extra=_BODY)
    async def remember(request: Request, kind: Kind, key: Key, sender: Annotated[Sender, Depends(guard)]) -> None:
        """Keep an entry for the workers of the same namespace."""
        check_worker(services, sender)
        scope = scope_of(sender)
        if services.wheels.is_on:
            await memory.take(request.stream(), scope=scope, kind=kind, key=key)

    return router
