"""Create, read, update, patch and delete, as the API server does them: the one door to the stored objects.

Everything is synchronous: in one event loop each call is one transaction.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from repack_local.api import applying, defaults, metadata, patching
from repack_local.api.kinds import CRDS, EVENTS, NAMESPACES, Registry, Resource, custom_resources
from repack_local.api.statuses import (
    ApiError,
    Cause,
    Object,
    already_exists,
    bad_request,
    forbidden,
    invalid,
    method_not_allowed,
    not_found,
    success,
)
from repack_local.api.storage import Storage
from repack_local.api.watching import Change, Entry

Clock = Callable[[], datetime]


@dataclass
class Write:
    """How a write is to be done; `warnings` collects what the client should be told."""

    dry_run: bool = False
    field_validation: str = "Warn"
    field_manager: str = ""
    force: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Deletion:
    """How a deletion is to be done."""

    grace_seconds: int | None = None
    propagation: str | None = None
    preconditions: Object | None = None
    dry_run: bool = False


def timestamp(moment: datetime) -> str:
    """Return a time as metadata and status have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """The objects and the rules of writing them.

    Args:
        storage: where they are kept.
        clock: gives the time that metadata records.
    """

    def __init__(self, storage: Storage, *, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.storage = storage
        self.registry = Registry()
        self._clock = clock
        for entry in storage.entries(CRDS.key):
            self._serve(entry.obj)
        storage.listen(self._follow_definitions)

    def now(self) -> str:
        """Return the time as metadata records it."""
        return timestamp(self._clock())

    def get(self, resource: Resource, namespace: str, name: str) -> Entry:
        """Return an object.

        Raises:
            ApiError: 404.
        """
        entry = self.storage.get(resource.key, namespace, name)
        if entry is None:
            raise not_found(resource.group, resource.plural, name)
        return entry

    def create(self, resource: Resource, namespace: str, body: Any, write: Write | None = None) -> Entry:
        """Create an object and return it as it is stored.

        Raises:
            ApiError: 400, 404 (no such namespace), 409 or 422.
        """
        write = write or Write()
        obj = metadata.check_kind(resource, body)
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise metadata.created_with_version()
        metadata.check_namespace(resource, meta, namespace)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = metadata.generated_name(meta["generateName"])
        name = meta.get("name") or ""
        obj["metadata"] = metadata.born(meta, uid=str(uuid.uuid4()), now=self.now(), resource=resource)
        if resource.has_status:
            obj.pop("status", None)
        obj = self._completed(resource, obj, None, write)
        self._check_space(resource, namespace, name)
        if self.storage.get(resource.key, namespace, name) is not None:
            raise already_exists(resource.group, resource.plural, name)
        if write.dry_run:
            return Entry.of(obj)
        return self.storage.put(resource.key, obj, old=None)

    def replace(
        self,
        resource: Resource,
        place: tuple[str, str],
        body: Any,
        *,
        subresource: str = "",
        write: Write | None = None,
    ) -> Entry:
        """Replace an object (PUT) at `place` (namespace, name).

        Raises:
            ApiError: 400, 404, 409 or 422.
        """
        namespace, name = place
        obj = metadata.check_kind(resource, body)
        meta = obj["metadata"]
        if meta.get("name") != name:
            why = f"({meta.get('name', '')}) does not match the name on the URL ({name})"
            raise bad_request(f"the name of the object {why}")
        metadata.check_namespace(resource, meta, namespace)
        entry = self.get(resource, namespace, name)
        return self._update(
            resource, entry, obj, subresource=subresource, write=write or Write(), needs_version=resource.needs_version
        )

    def patch(
        self,
        resource: Resource,
        place: tuple[str, str],
        patch: Any,
        *,
        media_type: str,
        subresource: str = "",
        write: Write | None = None,
    ) -> tuple[Entry, bool]:
        """Patch an object; return it, and whether an apply created it.

        Raises:
            ApiError: 400, 404, 409, 415 or 422.
        """
        namespace, name = place
        write = write or Write()
        if media_type == patching.APPLY:
            return self._apply(resource, place, patch, subresource=subresource, write=write)
        entry = self.get(resource, namespace, name)
        if media_type == patching.JSON:
            new = patching.json_patch(entry.obj, patch)
        elif not isinstance(patch, dict):
            raise bad_request("error decoding patch: it is no JSON object")
        elif media_type == patching.MERGE:
            new = patching.merge(entry.obj, patch)
        else:
            new = patching.strategic(entry.obj, patch)
        new = metadata.check_kind(resource, new)
        if new["metadata"].get("name") != name:
            cause = Cause("metadata.name", f'Invalid value: "{new["metadata"].get("name")}": field is immutable')
            raise invalid(resource.group, resource.kind, name, [cause])
        return self._update(resource, entry, new, subresource=subresource, write=write), False

    def _apply(
        self, resource: Resource, place: tuple[str, str], config: Any, *, subresource: str, write: Write
    ) -> tuple[Entry, bool]:
        namespace, name = place
        if not write.field_manager:
            cause = Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
            raise invalid("meta.k8s.io", "PatchOptions", "", [cause])
        config = metadata.check_kind(resource, config)
        config["metadata"].setdefault("name", name)
        if config["metadata"].pop("managedFields", None):
            raise bad_request("metadata.managedFields must be nil")
        metadata.check_namespace(resource, config["metadata"], namespace)
        entry = self.storage.get(resource.key, namespace, name)
        new = applying.apply(
            entry.obj if entry else None,
            config,
            manager=write.field_manager,
            force=write.force,
            keys=_list_keys(resource),
            now=self.now(),
        )
        if entry is not None:
            new["metadata"].pop("resourceVersion", None)
            if config["metadata"].get("resourceVersion"):
                new["metadata"]["resourceVersion"] = config["metadata"]["resourceVersion"]
            return self._update(resource, entry, new, subresource=subresource, write=write), False
        if subresource:
            raise not_found(resource.group, resource.plural, name)
        return self.create(resource, namespace, new, write), True

    def delete(self, resource: Resource, place: tuple[str, str], how: Deletion | None = None) -> Object:
        """Delete an object, or mark it where finalizers or a running process hold it; return the answer's body.

        Raises:
            ApiError: 404, or 409 where a precondition does not hold.
        """
        namespace, name = place
        how = how or Deletion()
        entry = self.get(resource, namespace, name)
        meta = entry.obj["metadata"]
        metadata.check_preconditions(resource, how.preconditions, meta)
        if resource is NAMESPACES and name in {"default", "kube-system", "kube-public"}:
            raise forbidden("", "namespaces", name, "this namespace may not be deleted")
        held = list(meta.get("finalizers") or [])
        if resource.key == ("batch", "jobs") and how.propagation is None:
            how = Deletion(how.grace_seconds, "Orphan", how.preconditions, how.dry_run)
        for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
            if how.propagation == policy and finalizer not in held:
                held.append(finalizer)
        grace = _grace_seconds(resource, entry.obj, how.grace_seconds)
        contents_first = resource.key in {NAMESPACES.key, CRDS.key}
        answer = success(resource.group, resource.plural, name, uid=meta["uid"])
        if not held and grace == 0 and not contents_first:
            if not how.dry_run:
                self.storage.remove(resource.key, entry)
            return entry.obj if resource.kind == "Pod" else answer
        marked = self._marked(resource, entry.obj, held, grace)
        if not how.dry_run and marked != entry.obj:
            return self.storage.put(resource.key, marked, old=entry).obj
        return marked

    def _marked(self, resource: Resource, obj: Object, finalizers: list[str], grace: int) -> Object:
        meta = dict(obj["metadata"])
        if finalizers:
            meta["finalizers"] = finalizers
        if "deletionTimestamp" not in meta:
            due = datetime.fromtimestamp(self._clock().timestamp() + grace, UTC)
            meta |= {"deletionTimestamp": timestamp(due), "deletionGracePeriodSeconds": grace}
            if resource.generation:
                meta["generation"] += 1
        elif grace < meta.get("deletionGracePeriodSeconds", 0):
            meta["deletionGracePeriodSeconds"] = grace
        result = obj | {"metadata": meta}
        if resource is NAMESPACES:
            result["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        return result

    def _update(
        self,
        resource: Resource,
        entry: Entry,
        new: Object,
        *,
        subresource: str,
        write: Write,
        needs_version: bool = False,
    ) -> Entry:
        old = entry.obj
        metadata.check_version(resource, new["metadata"], old["metadata"], required=needs_version)
        if subresource and subresource not in resource.subresources:
            raise method_not_allowed()
        new = _isolated(resource, new, old, subresource)
        new["metadata"] = metadata.carried(new["metadata"], old["metadata"])
        new = self._completed(resource, new, old, write)
        if resource.generation and metadata.spec_of(new, resource) != metadata.spec_of(old, resource):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if new == old:
            return entry
        if write.dry_run:
            return Entry.of(new)
        if _is_released(new):
            return self.storage.remove(resource.key, entry, last=new)
        return self.storage.put(resource.key, new, old=entry)

    def _completed(self, resource: Resource, obj: Object, old: Object | None, write: Write) -> Object:
        """Return the object pruned, with defaults, and found to be right."""
        causes = metadata.problems(resource, obj["metadata"])
        if resource.schema is None:
            if not causes:
                obj = defaults.complete(resource.kind, obj)
                causes = defaults.problems(resource.kind, obj, old)
        else:
            obj, unknown = resource.schema.prune(obj)
            _report_unknown(resource, unknown, write)
            obj = resource.schema.fill_in(obj)
            causes += resource.schema.problems(obj, old=old)
        if resource is CRDS and not causes:
            causes = _uncompilable(obj)
        if causes:
            raise invalid(resource.group, resource.kind, obj["metadata"].get("name", ""), causes)
        return obj

    def _check_space(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        space = self.storage.get(NAMESPACES.key, "", namespace)
        if space is None:
            raise not_found("", "namespaces", namespace)
        if "deletionTimestamp" in space.obj["metadata"] and resource is not EVENTS:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(resource.group, resource.plural, name, why)

    def _follow_definitions(self, change: Change) -> None:
        if change.key != CRDS.key:
            return
        self.registry.drop_crd((change.old or change.new).obj)
        if change.type != "DELETED":
            self._serve(change.new.obj)

    def _serve(self, crd: Object) -> None:
        for resource in custom_resources(crd):
            self.registry.add(resource)
            if resource.schema is not None:
                self.storage.amend(resource.key, resource.schema.fill_in)


def _isolated(resource: Resource, new: Object, old: Object, subresource: str) -> Object:
    """Return the update without what its door may not change: status by the object, all but status by `/status`."""
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key != "status"}
        meta = old["metadata"]
        if "managedFields" in new["metadata"]:
            meta = meta | {"managedFields": new["metadata"]["managedFields"]}
        return kept | ({"status": new["status"]} if new.get("status") is not None else {}) | {"metadata": meta}
    if not resource.has_status:
        return dict(new)
    kept = {key: value for key, value in new.items() if key != "status"}
    return kept | ({"status": old["status"]} if "status" in old else {})


def _is_released(obj: Object) -> bool:
    meta = obj["metadata"]
    return (
        "deletionTimestamp" in meta
        and not meta.get("finalizers")
        and meta.get("deletionGracePeriodSeconds", 0) == 0
        and obj["kind"] not in {"Namespace", "CustomResourceDefinition"}
    )


def _grace_seconds(resource: Resource, obj: Object, wanted: int | None) -> int:
    """Return how long a deletion waits: only a Pod whose process may still run does."""
    if resource.kind != "Pod":
        return 0
    over = (obj.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    if over or not obj["spec"].get("nodeName"):
        return 0
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30)) if wanted is None else wanted


def _report_unknown(resource: Resource, unknown: list[str], write: Write) -> None:
    if not unknown or write.field_validation == "Ignore":
        return
    texts = [f'unknown field "{path}"' for path in sorted(unknown)]
    if write.field_validation == "Strict":
        what = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        raise bad_request(f"{what}: strict decoding error: {', '.join(texts)}")
    write.warnings.extend(texts)


def _uncompilable(crd: Object) -> list[Cause]:
    try:
        custom_resources(crd)
    except Exception as error:
        return [Cause("spec.versions", f"Invalid value: the schema cannot be used: {error}")]
    return []


def _list_keys(resource: Resource) -> applying.MapKeys:
    def keys(path: tuple[str, ...]) -> tuple[str, ...]:
        if path == ("metadata", "ownerReferences"):
            return ("uid",)
        if resource.schema is not None:
            return resource.schema.list_keys(path)
        key = patching.MERGE_KEYS.get(path[-1]) if path else None
        return (key,) if key else ()

    return keys


__all__ = ["ApiError", "Deletion", "Objects", "Write", "timestamp"]
