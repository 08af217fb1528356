"""Whom a token belongs to and what that user may do, as the API server judges it: TokenReview, SubjectAccessReview."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from repack_kube.resources import Object, Resource

TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
OWN_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)

_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_SERVICE_ACCOUNT = "system:serviceaccount:"


class Creates(Protocol):
    """The one verb that reviews need."""

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object and return the API server's answer."""
        ...


@dataclass(frozen=True)
class Identity:
    """A user as the API server knows it; hashable, so that answers about it can be kept."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def namespace(self) -> str | None:
        """The namespace of a service account; None of anybody else."""
        if not self.username.startswith(_SERVICE_ACCOUNT):
            return None
        return self.username.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]

    @property
    def pod(self) -> tuple[str, str] | None:
        """Name and uid of the Pod that a projected token is bound to; None of any other token."""
        extra = dict(self.extra)
        name, uid = extra.get(_POD_NAME, ()), extra.get(_POD_UID, ())
        return (name[0], uid[0]) if name and uid else None


async def review_token(api: Creates, token: str, *, audiences: Sequence[str] = ()) -> Identity | None:
    """Return whom a token belongs to; None when it is not valid, or not for one of the audiences.

    Args:
        api: the API server.
        token: as the user showed it.
        audiences: whom the token must be made for; that of the API server itself when empty.

    Raises:
        KubeError: the API server cannot be asked.
    """
    spec: Object = {"token": token} | ({"audiences": list(audiences)} if audiences else {})
    answer = await api.create(TOKEN_REVIEWS, _review(TOKEN_REVIEWS, spec))
    status = answer.get("status") or {}
    if status.get("authenticated") is not True:
        return None
    # A server that knows nothing of audiences answers without any: then the token was not made for us.
    if audiences and not set(audiences) & set(status.get("audiences") or ()):
        return None
    user = status.get("user") or {}
    extra = tuple(sorted((key, tuple(values)) for key, values in (user.get("extra") or {}).items()))
    return Identity(str(user.get("username", "")), str(user.get("uid", "")), tuple(user.get("groups") or ()), extra)


async def review_access(api: Creates, who: Identity, *, verb: str, resource: Resource, namespace: str | None) -> bool:
    """Tell whether a user may do something to a kind of object in a namespace (None: in all of them).

    Raises:
        KubeError: the API server cannot be asked.
    """
    wish = {"verb": verb, "group": resource.group, "version": resource.version, "resource": resource.plural}
    spec: Object = {
        "user": who.username,
        "uid": who.uid,
        "groups": list(who.groups),
        "extra": {key: list(values) for key, values in who.extra},
        "resourceAttributes": wish | ({"namespace": namespace} if namespace else {}),
    }
    answer = await api.create(ACCESS_REVIEWS, _review(ACCESS_REVIEWS, spec))
    return (answer.get("status") or {}).get("allowed") is True


@dataclass(frozen=True)
class Right:
    """To do something to a kind of object, or to a subresource of it."""

    verb: str
    resource: Resource
    subresource: str = ""

    def __str__(self) -> str:
        of = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        return f"{self.verb} {of}" + (f" ({self.resource.group})" if self.resource.group else "")


async def review_own_right(api: Creates, right: Right, *, namespace: str | None) -> bool:
    """Tell whether we have a right in a namespace (None: in all of them); everybody may ask that of himself.

    Raises:
        KubeError: the API server cannot be asked.
    """
    kind = right.resource
    wish = {"verb": right.verb, "group": kind.group, "version": kind.version, "resource": kind.plural}
    wish |= {"subresource": right.subresource} if right.subresource else {}
    spec: Object = {"resourceAttributes": wish | ({"namespace": namespace} if namespace else {})}
    answer = await api.create(OWN_REVIEWS, _review(OWN_REVIEWS, spec))
    return (answer.get("status") or {}).get("allowed") is True


def _review(kind: Resource, spec: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "spec": spec}
