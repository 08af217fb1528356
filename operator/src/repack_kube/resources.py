"""The kinds of objects we touch, and the paths at which the API server keeps them."""

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from repack_contract.naming import GROUP, KIND, PLURAL, VERSION

Object = dict[str, Any]
"""A Kubernetes object as the API server writes it."""

Subresource = Literal["status"]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True)
class Resource:
    """A kind of namespaced object."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What stands in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """Return the path of the collection (in all namespaces when None), of one object or of its subresource."""
        root = f"/apis/{self.group}" if self.group else "/api"
        parts = [root, self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        if sub is not None:
            parts.append(sub)
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


TASKS = Resource(GROUP, VERSION, KIND, PLURAL)
JOBS = Resource("batch", "v1", "Job", "jobs")
PODS = Resource("", "v1", "Pod", "pods")
EVENTS = Resource("", "v1", "Event", "events")
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")


@dataclass(frozen=True)
class Scope:
    """Which objects of a kind a list or a watch is about; all of them by default."""

    namespace: str | None = None
    """All namespaces when None."""
    labels: str | None = None
    """A label selector, such as `dify-repack.io/task` (the label exists)."""
    fields: str | None = None
    """A field selector, such as `status.phase=Running`."""

    def query(self) -> dict[str, str]:
        """Return the selectors as query parameters."""
        pairs = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {key: value for key, value in pairs.items() if value}


EVERYWHERE = Scope()


@dataclass(frozen=True)
class ObjectList:
    """All objects of a scope at one moment."""

    items: list[Object]
    resource_version: str
    """From here a watch goes on without a gap."""


WatchType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True)
class WatchEvent:
    """One message of a watch stream."""

    type: WatchType
    object: Object

    @property
    def resource_version(self) -> str:
        """From here the watch can be resumed."""
        return str(self.object.get("metadata", {}).get("resourceVersion", ""))


def uid_of(body: Object) -> str:
    """Return `metadata.uid`."""
    return str(body.get("metadata", {}).get("uid", ""))


def key_of(body: Object) -> tuple[str, str]:
    """Return (namespace, name)."""
    metadata = body.get("metadata", {})
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
