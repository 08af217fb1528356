"""A cluster's judgement of tokens and rights, before any other API: what a real API server answers to reviews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repack_kube.errors import NotFoundError, UnavailableError
from repack_kube.resources import PODS, TASKS, Object, ObjectList, Resource, Scope
from repack_kube.reviews import ACCESS_REVIEWS, TOKEN_REVIEWS

API_SERVER = "https://kubernetes.default.svc"
"""The audience of tokens that are made for the API server itself."""


@dataclass(frozen=True)
class Known:
    """Whom a token belongs to."""

    username: str
    audiences: Sequence[str] = (API_SERVER,)
    extra: Mapping[str, list[str]] = field(default_factory=dict)


class ReviewingApi:
    """Answers reviews by `tokens` and `rights`, Pods by `pods`, and leaves the rest to another API.

    A right is (user name, verb, namespace); the namespace `*` is all of them, asked for as such.
    """

    def __init__(self, behind: Any) -> None:
        self.behind = behind
        self.tokens: dict[str, Known] = {}
        self.rights: set[tuple[str, str, str]] = set()
        self.pods: dict[tuple[str, str], Object] = {}
        self.asked: list[Object] = []
        self.is_broken = False

    def allow(self, username: str, *verbs: str, namespace: str) -> None:
        """Give a user verbs on tasks in a namespace."""
        self.rights |= {(username, verb, namespace) for verb in verbs}

    async def create(self, resource: Resource, body: Object) -> Object:
        if resource not in {TOKEN_REVIEWS, ACCESS_REVIEWS}:
            return dict(await self.behind.create(resource, body))
        self.asked.append(body)
        if self.is_broken:
            raise UnavailableError("connection refused")
        assert body["kind"] == resource.kind
        spec = body["spec"]
        return {"status": self._token(spec) if resource is TOKEN_REVIEWS else self._access(spec)}

    def _token(self, spec: Object) -> Object:
        known = self.tokens.get(spec["token"])
        shared = [name for name in spec.get("audiences", [API_SERVER]) if known is not None and name in known.audiences]
        if known is None or not shared:
            return {"user": {}, "error": "invalid bearer token"}
        user = {"username": known.username, "groups": ["system:authenticated"], "extra": dict(known.extra)}
        return {"authenticated": True, "user": user, "audiences": shared}

    def _access(self, spec: Object) -> Object:
        wish = spec["resourceAttributes"]
        assert (wish["group"], wish["resource"]) == (TASKS.group, TASKS.plural)
        place = wish.get("namespace", "*")
        wanted = {(spec["user"], wish["verb"], place), (spec["user"], wish["verb"], "*")}
        return {"allowed": bool(wanted & self.rights)}

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        if resource is not PODS:
            return dict(await self.behind.get(resource, name, namespace=namespace))
        if (namespace, name) not in self.pods:
            raise NotFoundError(f"pods {name!r} not found", status=404, reason="NotFound")
        return self.pods[namespace, name]

    async def list(self, resource: Resource, scope: Scope = Scope()) -> ObjectList:  # noqa: B008 - it is frozen
        found: ObjectList = await self.behind.list(resource, scope)
        return found

    async def patch(self, resource: Resource, name: str, body: Object, *, namespace: str) -> Object:
        return dict(await self.behind.patch(resource, name, body, namespace=namespace))

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str | None = None) -> None:
        await self.behind.delete(resource, name, namespace=namespace, uid=uid)
