"""List, then watch, as one endless stream that heals itself.

A broken connection is resumed from the last version seen (bookmarks keep that version young). Where the server no
longer keeps it (410), everything is listed again and compared with what was known: objects that vanished meanwhile
are reported as `Gone` with `ghost=True`. kopf's own watch does not do that (operator.md 3.4).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from repack_kube.client import Cluster
from repack_kube.errors import ForbiddenError, GoneError, KubeError
from repack_kube.resources import EVERYWHERE, Object, ObjectList, Resource, Scope, uid_of

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 3.0, 5.0)
"""Waits after failures in a row; the last is repeated, so that a long outage costs at most so much at its end."""


@dataclass(frozen=True)
class Seen:
    """An object as it is now: new, changed or listed."""

    object: Object


@dataclass(frozen=True)
class Gone:
    """An object that no longer exists, as last seen."""

    object: Object
    ghost: bool = False
    """Found by comparison: the deletion itself was missed."""


@dataclass(frozen=True)
class Synced:
    """What was listed has been reported whole: nothing else exists at this moment."""

    resource_version: str


@dataclass(frozen=True)
class Alive:
    """The stream is alive and nothing changed (a bookmark, or a watch that was resumed)."""


@dataclass(frozen=True)
class Interrupted:
    """The API server cannot be reached or refused; it is tried again."""

    error: KubeError


Change = Seen | Gone | Synced | Alive | Interrupted


async def observe(
    cluster: Cluster,
    resource: Resource,
    scope: Scope = EVERYWHERE,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Change]:
    """Yield every object, then `Synced`, then every change for ever. The consumer ends it by cancelling.

    Each object is reported at least once per change; a change may be reported twice, in order.
    """
    tracker = _Tracker()
    failures = 0
    while True:  # endless by contract; every turn waits for the server or for a back-off
        try:
            if tracker.version is None:
                for change in tracker.compare(await cluster.list(resource, scope)):
                    yield change
            async with cluster.watch(resource, scope, resource_version=tracker.version or "") as events:
                yield Alive()
                async for event in events:
                    failures = 0
                    yield tracker.note(event.type, event.object)
        except GoneError:
            tracker.version = None
        except KubeError as error:
            failures += 1
            yield Interrupted(error)
            patience = 1 if not isinstance(error, ForbiddenError) else 6  # rights are mended by people: ask rarely
            await sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1] * patience)


class _Tracker:
    """What is known to exist, so that a list can be compared with it. Keeps names only, not objects."""

    def __init__(self) -> None:
        self.version: str | None = None
        self._known: dict[str, Object] = {}

    def note(self, kind: str, body: Object) -> Change:
        metadata = body.get("metadata", {})
        self.version = str(metadata.get("resourceVersion") or self.version or "")
        if kind == "BOOKMARK":
            return Alive()
        if kind == "DELETED":
            self._known.pop(uid_of(body), None)
            return Gone(body)
        self._remember(body)
        return Seen(body)

    def compare(self, listed: ObjectList) -> list[Change]:
        uids = {uid_of(body) for body in listed.items}
        vanished = [Gone(body, ghost=True) for uid, body in self._known.items() if uid not in uids]
        self._known.clear()
        for body in listed.items:
            self._remember(body)
        self.version = listed.resource_version
        return [*vanished, *(Seen(body) for body in listed.items), Synced(listed.resource_version)]

    def _remember(self, body: Object) -> None:
        metadata = body.get("metadata", {})
        kept = {key: metadata[key] for key in ("uid", "namespace", "name", "labels") if key in metadata}
        self._known[uid_of(body)] = {"metadata": kept}
