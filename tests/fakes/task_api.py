"""RepackageTasks in memory, with the verbs of `repack_kube.client.Cluster` that the dashboard uses."""

import copy
import itertools
from typing import Any

from repack_kube.errors import ConflictError, ExistsError, KubeError, NotFoundError
from repack_kube.resources import EVERYWHERE, Object, ObjectList, Resource, Scope, uid_of


class FakeTaskApi:
    """Stores objects as the API server would: uid, generation, resourceVersion. `broken` makes every call fail."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.broken: KubeError | None = None
        self.lists = 0
        self._versions = itertools.count(100)
        self._uids = itertools.count(1)

    def put(self, body: Object) -> Object:
        """Store an object as it is, as if somebody else had written it."""
        metadata = body["metadata"]
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[metadata["namespace"], metadata["name"]] = copy.deepcopy(body)
        return body

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        self._check()
        self.lists += 1
        items = [copy.deepcopy(body) for (ns, _), body in self.objects.items() if scope.namespace in {None, ns}]
        return ObjectList(items, str(next(self._versions)))

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        self._check()
        return copy.deepcopy(self._find(name, namespace))

    async def create(self, resource: Resource, body: Object) -> Object:
        self._check()
        body = copy.deepcopy(body)
        metadata = body["metadata"]
        if (metadata["namespace"], metadata["name"]) in self.objects:
            raise ExistsError(f"repackagetasks {metadata['name']!r} already exists", status=409, reason="AlreadyExists")
        metadata |= {
            "uid": f"uid-{next(self._uids)}-made",
            "generation": 1,
            "creationTimestamp": "2026-11-23T06:00:00Z",
        }
        return self.put(body)

    async def patch(self, resource: Resource, name: str, body: Object, *, namespace: str, **_: Any) -> Object:
        self._check()
        found = self._find(name, namespace)
        if body.get("metadata", {}).get("uid", uid_of(found)) != uid_of(found):
            raise ConflictError("Precondition failed: UID in precondition", status=409, reason="Conflict")
        found["spec"] |= body.get("spec", {})
        found["metadata"]["generation"] += 1
        return self.put(copy.deepcopy(found))

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str | None = None, **_: Any) -> None:
        self._check()
        found = self._find(name, namespace)
        if uid not in {None, uid_of(found)}:
            raise ConflictError("Precondition failed: UID in precondition", status=409, reason="Conflict")
        del self.objects[namespace, name]

    def _find(self, name: str, namespace: str) -> Object:
        if (namespace, name) not in self.objects:
            raise NotFoundError(f"repackagetasks {name!r} not found", status=404, reason="NotFound")
        return self.objects[namespace, name]

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken
