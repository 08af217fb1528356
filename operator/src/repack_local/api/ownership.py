"""Garbage: what belongs to a removed object goes after it, a namespace goes when it is empty, old events expire.

As in a real cluster this runs after the write that causes it, not within it.
"""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import structlog

from repack_local.api.kinds import CRDS, EVENTS, NAMESPACES, Key, Resource
from repack_local.api.objects import Deletion, Objects
from repack_local.api.statuses import ApiError, Object
from repack_local.api.watching import Change

log = structlog.get_logger()

EVENT_LIFETIME = timedelta(hours=1)
HOUSEKEEPING_SECONDS = 60.0

Place = tuple[Key, str, str]
"""Kind, namespace, name."""


class GarbageCollector:
    """Follows all writes and removes what has lost its owner."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._dependents: dict[str, set[Place]] = defaultdict(set)
        self._living: set[str] = set()
        self._todo: asyncio.Queue[tuple[str, Place]] = asyncio.Queue()
        for resource in objects.registry:
            for entry in objects.storage.entries(resource.key):
                self._note(resource.key, entry.obj)
        objects.storage.listen(self._follow)

    def _note(self, key: Key, obj: Object) -> None:
        meta = obj["metadata"]
        place = (key, meta.get("namespace", ""), meta["name"])
        self._living.add(meta["uid"])
        for reference in meta.get("ownerReferences") or []:
            self._dependents[reference["uid"]].add(place)
        if meta.get("ownerReferences"):
            self._todo.put_nowait(("orphaned?", place))
        if "deletionTimestamp" in meta:
            self._todo.put_nowait(("deleted", place))

    def _follow(self, change: Change) -> None:
        if change.type != "DELETED":
            self._note(change.key, change.new.obj)
            return
        meta = change.new.obj["metadata"]
        place = (change.key, meta.get("namespace", ""), meta["name"])
        self._living.discard(meta["uid"])
        for dependent in self._dependents.pop(meta["uid"], ()):
            self._todo.put_nowait(("orphaned?", dependent))
        for reference in meta.get("ownerReferences") or []:
            self._dependents.get(reference["uid"], set()).discard(place)
            self._recheck_owner(reference, meta.get("namespace", ""))
        if meta.get("namespace"):
            self._todo.put_nowait(("deleted", (NAMESPACES.key, "", meta["namespace"])))
        self._todo.put_nowait(("deleted", (CRDS.key, "", f"{change.key[1]}.{change.key[0]}")))

    def _recheck_owner(self, reference: Object, namespace: str) -> None:
        group, _, version = reference.get("apiVersion", "").rpartition("/")
        for resource in self._objects.registry:
            if (resource.group, resource.version, resource.kind) == (group, version, reference.get("kind")):
                place = (resource.key, namespace if resource.namespaced else "", reference["name"])
                self._todo.put_nowait(("deleted", place))

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._housekeeping())
            while True:  # ends by cancellation
                what, place = await self._todo.get()
                try:
                    self._handle(what, place)
                except ApiError:
                    continue  # it changed or went meanwhile; that write brings it here again
                except Exception:
                    log.exception("the garbage collector failed", what=what, place=place)
                if self._todo.qsize() % 100 == 0:
                    await asyncio.sleep(0)

    def _handle(self, what: str, place: Place) -> None:
        key, namespace, name = place
        entry = self._objects.storage.get(key, namespace, name)
        resource = self._objects.registry.by_key(key)
        if entry is None or resource is None:
            return
        if what == "orphaned?":
            self._collect(resource, place, entry.obj)
        elif "deletionTimestamp" in entry.obj["metadata"]:
            self._finish(resource, place, entry.obj)

    def _collect(self, resource: Resource, place: Place, obj: Object) -> None:
        """Delete an object that has owners, none of which is alive."""
        owners = obj["metadata"].get("ownerReferences") or []
        alive = [reference for reference in owners if reference["uid"] in self._living]
        if not owners or len(alive) == len(owners):
            return
        if alive:
            new = obj | {"metadata": obj["metadata"] | {"ownerReferences": alive}}
            self._objects.replace(resource, place[1:], new)
            return
        preconditions = {"uid": obj["metadata"]["uid"]}
        if "deletionTimestamp" not in obj["metadata"]:
            self._objects.delete(resource, place[1:], Deletion(propagation="Background", preconditions=preconditions))

    def _finish(self, resource: Resource, place: Place, obj: Object) -> None:
        """Go on with an object that is marked for deletion: its dependents or its contents first."""
        finalizers = obj["metadata"].get("finalizers") or []
        if resource is NAMESPACES:
            self._empty_namespace(place[2])
        elif resource is CRDS:
            self._empty_kind(obj)
        elif "orphan" in finalizers:
            self._disown(obj["metadata"]["uid"])
            self._release(resource, place, obj, "orphan")
        elif "foregroundDeletion" in finalizers and self._dependents_are_gone(obj["metadata"]["uid"]):
            self._release(resource, place, obj, "foregroundDeletion")

    def _release(self, resource: Resource, place: Place, obj: Object, finalizer: str) -> None:
        left = [name for name in obj["metadata"].get("finalizers") or [] if name != finalizer]
        self._objects.replace(resource, place[1:], obj | {"metadata": obj["metadata"] | {"finalizers": left}})

    def _dependents_are_gone(self, uid: str) -> bool:
        """Delete the dependents; those that block their owner's deletion are waited for."""
        waiting = False
        for key, namespace, name in list(self._dependents.get(uid, ())):
            entry = self._objects.storage.get(key, namespace, name)
            resource = self._objects.registry.by_key(key)
            if entry is None or resource is None:
                continue
            if "deletionTimestamp" not in entry.obj["metadata"]:
                self._objects.delete(resource, (namespace, name), Deletion(propagation="Foreground"))
            references = entry.obj["metadata"].get("ownerReferences") or []
            blocks = any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in references)
            waiting |= blocks and self._objects.storage.get(key, namespace, name) is not None
        return not waiting

    def _disown(self, uid: str) -> None:
        for key, namespace, name in list(self._dependents.pop(uid, ())):
            entry = self._objects.storage.get(key, namespace, name)
            resource = self._objects.registry.by_key(key)
            if entry is None or resource is None:
                continue
            owners = [ref for ref in entry.obj["metadata"].get("ownerReferences") or [] if ref["uid"] != uid]
            meta = entry.obj["metadata"] | {"ownerReferences": owners}
            if not owners:
                del meta["ownerReferences"]
            self._objects.replace(resource, (namespace, name), entry.obj | {"metadata": meta})

    def _empty_namespace(self, namespace: str) -> None:
        left = False
        for resource in self._objects.registry:
            if not resource.namespaced:
                continue
            for entry in self._objects.storage.entries(resource.key, namespace):
                left |= not self._delete_now(resource, entry.obj)
        space = self._objects.storage.get(NAMESPACES.key, "", namespace)
        if not left and space is not None:
            self._objects.storage.remove(NAMESPACES.key, space)

    def _empty_kind(self, crd: Object) -> None:
        resource = self._objects.registry.by_key((crd["spec"]["group"], crd["spec"]["names"]["plural"]))
        entries = self._objects.storage.entries(resource.key) if resource else []
        left = [entry for entry in entries if resource and not self._delete_now(resource, entry.obj)]
        known = self._objects.storage.get(CRDS.key, "", crd["metadata"]["name"])
        if not left and known is not None:
            self._objects.storage.remove(CRDS.key, known)

    def _delete_now(self, resource: Resource, obj: Object) -> bool:
        """Delete an object; say whether it is gone already."""
        meta = obj["metadata"]
        place = (meta.get("namespace", ""), meta["name"])
        if "deletionTimestamp" not in meta:
            self._objects.delete(resource, place, Deletion(propagation="Background"))
        return self._objects.storage.get(resource.key, *place) is None

    async def _housekeeping(self) -> None:
        while True:  # ends by cancellation
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            self.expire_events(datetime.now(UTC) - EVENT_LIFETIME)

    def expire_events(self, before: datetime) -> None:
        """Remove events that were last seen before a time."""
        for entry in self._objects.storage.entries(EVENTS.key):
            obj = entry.obj
            seen = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"]["creationTimestamp"]
            if datetime.fromisoformat(seen) < before:
                self._objects.storage.remove(EVENTS.key, entry)
