"""The only door to the Kubernetes API: a few verbs over plain dicts, and their implementation on the official client.

The official client's models are left out on purpose: dict in, dict out costs half the CPU (operator.md 5), and what a
newer API server adds to an object survives a replace.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, Self, cast

from repack_kube.access import Access
from repack_kube.errors import GoneError, UnavailableError, error_from_status
from repack_kube.resources import (
    EVERYWHERE,
    PODS,
    Object,
    ObjectList,
    Propagation,
    Resource,
    Scope,
    Subresource,
    WatchEvent,
    key_of,
)
from repack_kube.throttle import Bucket
from repack_kube.transport import Observer, Request, Transport

MERGE_PATCH = "application/merge-patch+json"
PAGE_SIZE = 500
WATCH_SECONDS = 300
"""So long a watch may last before the server ends it and we resume."""
SILENCE_SECONDS = 90.0
"""A watch without even a bookmark for so long is dead: the API server sends one each minute."""


class Cluster(Protocol):
    """A Kubernetes API. All methods raise `KubeError` (see `repack_kube.errors`)."""

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        """Return one object."""
        ...

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        """Return all objects of the scope, read page by page."""
        ...

    def pages(self, resource: Resource, scope: Scope = EVERYWHERE) -> AsyncIterator[ObjectList]:
        """Yield the objects of the scope page by page."""
        ...

    def watch(
        self, resource: Resource, scope: Scope = EVERYWHERE, *, resource_version: str
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """Open the stream of changes after `resource_version`; it ends when the server ends it."""
        ...

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create the object in the namespace that it names and return it as stored."""
        ...

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Replace the object of that name; with a `resourceVersion` in it only that very version."""
        ...

    async def patch(
        self, resource: Resource, name: str, body: Object, *, namespace: str, subresource: Subresource | None = None
    ) -> Object:
        """Merge `body` (RFC 7386) into the object; with `metadata.resourceVersion` in it only into that version."""
        ...

    async def patch_status(self, resource: Resource, name: str, body: Object, *, namespace: str) -> Object:
        """As `patch`, of the status subresource."""
        ...

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """Delete the object; with `uid` only that very one (else `ConflictError`)."""
        ...

    async def pod_log(self, name: str, *, namespace: str, tail_lines: int | None = None) -> str:
        """Return the log of a Pod's only container."""
        ...


class KubeCluster:
    """The API server that an `Access` leads to. Use it as an async context manager.

    Args:
        access: where it is and who we are.
        qps: calls per second, on average.
        burst: calls at once.
        timeout_seconds: longest time for one call.
        silence_seconds: longest silence of a watch.
        observer: told of every call.
    """

    def __init__(
        self,
        access: Access,
        *,
        qps: float = 50.0,
        burst: int = 100,
        timeout_seconds: float = 30.0,
        silence_seconds: float = SILENCE_SECONDS,
        observer: Observer | None = None,
    ) -> None:
        self._transport = Transport(
            access, bucket=Bucket(rate=qps, burst=burst), timeout_seconds=timeout_seconds, observer=observer
        )
        self._silence_seconds = silence_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    def write_only_while(self, may: Callable[[], bool]) -> None:
        """Raise `FencedError` in place of a write while `may` says no; it is asked immediately before each one."""
        self._transport.fence = may

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        """Return one object."""
        path = resource.path(namespace=namespace, name=name)
        return await self._json(Request("get", resource.plural, "GET", path))

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        """Return all objects of the scope, read page by page; from the start again where the pages grew too old."""
        try:
            return await self._whole(resource, scope)
        except GoneError:
            return await self._whole(resource, scope)

    async def _whole(self, resource: Resource, scope: Scope) -> ObjectList:
        items: list[Object] = []
        version = ""
        async for page in self.pages(resource, scope):
            items += page.items
            version = page.resource_version
        return ObjectList(items, version)

    async def pages(self, resource: Resource, scope: Scope = EVERYWHERE) -> AsyncIterator[ObjectList]:
        """Yield the objects of the scope page by page, so that never all of them need be in memory.

        Raises:
            GoneError: the pages grew too old while they were read; begin anew.
        """
        query = scope.query() | {"limit": str(PAGE_SIZE)}
        path = resource.path(namespace=scope.namespace)
        while True:  # ends: every page but the last names the next one
            page = await self._json(Request("list", resource.plural, "GET", path, query))
            metadata = page.get("metadata") or {}
            yield ObjectList(page.get("items") or [], str(metadata.get("resourceVersion", "")))
            if not metadata.get("continue"):
                return
            query = query | {"continue": metadata["continue"]}

    def watch(
        self, resource: Resource, scope: Scope = EVERYWHERE, *, resource_version: str
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """Open the stream of changes after `resource_version`; it ends when the server ends it."""
        query = scope.query() | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        path = resource.path(namespace=scope.namespace)
        return self._watch(Request("watch", resource.plural, "GET", path, query))

    @asynccontextmanager
    async def _watch(self, request: Request) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        async with self._transport.stream(request, silence_seconds=self._silence_seconds) as lines:
            yield _events(lines)

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create the object in the namespace that it names and return it as stored."""
        namespace, _ = key_of(body)
        return await self._json(
            Request("create", resource.plural, "POST", resource.path(namespace=namespace), body=body)
        )

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Replace the object of that name; with a `resourceVersion` in it only that very version."""
        namespace, name = key_of(body)
        path = resource.path(namespace=namespace, name=name)
        return await self._json(Request("replace", resource.plural, "PUT", path, body=body))

    async def patch(
        self, resource: Resource, name: str, body: Object, *, namespace: str, subresource: Subresource | None = None
    ) -> Object:
        """Merge `body` (RFC 7386) into the object; with `metadata.resourceVersion` in it only into that version."""
        path = resource.path(namespace=namespace, name=name, sub=subresource)
        what = f"{resource.plural}/{subresource}" if subresource else resource.plural
        return await self._json(Request("patch", what, "PATCH", path, body=body, content_type=MERGE_PATCH))

    async def patch_status(self, resource: Resource, name: str, body: Object, *, namespace: str) -> Object:
        """As `patch`, of the status subresource."""
        return await self.patch(resource, name, body, namespace=namespace, subresource="status")

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        """Delete the object; with `uid` only that very one (else `ConflictError`)."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        path = resource.path(namespace=namespace, name=name)
        await self._transport.call(Request("delete", resource.plural, "DELETE", path, body=options))

    async def pod_log(self, name: str, *, namespace: str, tail_lines: int | None = None) -> str:
        """Return the log of a Pod's only container."""
        query = {} if tail_lines is None else {"tailLines": str(tail_lines)}
        path = PODS.path(namespace=namespace, name=name, sub="log")
        return (await self._transport.call(Request("log", PODS.plural, "GET", path, query))).decode(errors="replace")

    async def _json(self, request: Request) -> Object:
        return _parsed(await self._transport.call(request))


async def _events(lines: AsyncIterator[bytes]) -> AsyncIterator[WatchEvent]:
    async for line in lines:
        message = _parsed(line)
        body = cast("Object", message.get("object") or {})
        if message.get("type") == "ERROR":
            raise error_from_status(int(body.get("code") or 500), body)
        yield WatchEvent(message["type"], body)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise UnavailableError(f"the API server answered with something that is not JSON: {data[:200]!r}") from error
    if not isinstance(value, dict):
        raise UnavailableError("the API server answered with JSON that is no object")
    return value
