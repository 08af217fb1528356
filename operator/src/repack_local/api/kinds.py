"""The resources that are served: the built-in ones, and those that CustomResourceDefinitions add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from repack_local.api.schema import Schema
from repack_local.api.statuses import Object, no_such_path

Key = tuple[str, str]
"""(group, plural): what objects are stored under."""

_META_FIELDS = {"metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace")}


@dataclass(frozen=True)
class Column:
    """A printer column of a CustomResourceDefinition."""

    name: str
    type: str
    json_path: str
    priority: int = 0
    description: str = ""
    format: str = ""


@dataclass(frozen=True)
class Resource:
    """One resource: its names, what it can do, and for custom ones the schema."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    generation: bool = False
    """Whether changes of the spec are counted in `metadata.generation`."""
    needs_version: bool = False
    """Whether a PUT must carry `metadata.resourceVersion`."""
    singular: str = ""
    list_kind: str = ""
    columns: tuple[Column, ...] = ()
    schema: Schema | None = None
    """Of custom resources; built-in ones are stored as they come."""
    virtual: bool = False
    """Answered at once and never stored (reviews)."""

    @property
    def key(self) -> Key:
        """What its objects are stored under."""
        return (self.group, self.plural)

    @property
    def api_version(self) -> str:
        """As in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def has_status(self) -> bool:
        """Whether status is written through a subresource of its own."""
        return "status" in self.subresources

    @property
    def selectable(self) -> Mapping[str, tuple[str, ...]]:
        """Field selectors: label to path."""
        return {**_META_FIELDS, **self.fields}

    @property
    def list_name(self) -> str:
        """The kind of a list."""
        return self.list_kind or f"{self.kind}List"

    @property
    def singular_name(self) -> str:
        """As kubectl takes it."""
        return self.singular or self.kind.lower()

    @property
    def verbs(self) -> list[str]:
        """What can be done with it."""
        if self.virtual:
            return ["create"]
        return ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def _paths(*labels: str) -> dict[str, tuple[str, ...]]:
    return {label: tuple(label.split(".")) for label in labels}


_EVENT_FIELDS = _paths(
    *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
    "reason",
    "reportingComponent",
    "type",
) | {"source": ("source", "component")}

NAMESPACES = Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False, short_names=("ns",), subresources=("status", "finalize"),
    fields=_paths("status.phase"),
)  # fmt: skip
PODS = Resource(
    "", "v1", "pods", "Pod", short_names=("po",), categories=("all",), subresources=("log", "status"), generation=True,
    fields=_paths("status.phase", "status.podIP", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName"),
)  # fmt: skip
EVENTS = Resource("", "v1", "events", "Event", short_names=("ev",), fields=_EVENT_FIELDS)
JOBS = Resource(
    "batch", "v1", "jobs", "Job", categories=("all",), subresources=("status",), generation=True,
    fields={"status.successful": ("status", "succeeded")},
)  # fmt: skip
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", needs_version=True)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), subresources=("status",), generation=True,
    needs_version=True,
)  # fmt: skip

BUILT_IN = (
    NAMESPACES,
    PODS,
    EVENTS,
    Resource("", "v1", "secrets", "Secret", fields=_paths("type")),
    Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", short_names=("sa",)),
    JOBS,
    LEASES,
    CRDS,
    *(
        Resource("authorization.k8s.io", "v1", plural, kind, namespaced=False, virtual=True)
        for plural, kind in (
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("subjectaccessreviews", "SubjectAccessReview"),
        )
    ),
    *(
        Resource("authentication.k8s.io", "v1", plural, kind, namespaced=False, virtual=True)
        for plural, kind in (("selfsubjectreviews", "SelfSubjectReview"), ("tokenreviews", "TokenReview"))
    ),
)


class Registry:
    """What is served now, by (group, version, plural)."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, str, str], Resource] = {}
        for resource in BUILT_IN:
            self.add(resource)

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._resources.values()))

    def add(self, resource: Resource) -> None:
        """Serve a resource from now on."""
        self._resources[resource.group, resource.version, resource.plural] = resource

    def drop_crd(self, crd: Object) -> list[Resource]:
        """Serve the resources of a CustomResourceDefinition no longer; return what they were."""
        key = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        gone = [resource for resource in self if resource.key == key]
        for resource in gone:
            del self._resources[resource.group, resource.version, resource.plural]
        return gone

    def find(self, group: str, version: str, plural: str) -> Resource:
        """Return the resource of a path.

        Raises:
            ApiError: 404, nothing of that name is served.
        """
        try:
            return self._resources[group, version, plural]
        except KeyError:
            raise no_such_path() from None

    def by_key(self, key: Key) -> Resource | None:
        """Return the resource whose objects are stored under `key`."""
        return next((resource for resource in self._resources.values() if resource.key == key), None)

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """Return what is served, by group and version."""
        result: dict[str, dict[str, list[Resource]]] = {}
        for resource in self:
            result.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        return result


def custom_resources(crd: Object) -> list[Resource]:
    """Return what a CustomResourceDefinition serves: its storage version.

    Raises:
        celpy.CELParseError: a rule of it cannot be compiled.
    """
    spec = crd["spec"]
    names = spec["names"]
    result = []
    for version in spec["versions"]:
        if not (version.get("served") and version.get("storage")):
            continue
        columns = version.get("additionalPrinterColumns") or [
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        ]
        paths = [entry["jsonPath"].lstrip(".") for entry in version.get("selectableFields") or []]
        result.append(
            Resource(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                namespaced=spec["scope"] == "Namespaced",
                short_names=tuple(names.get("shortNames") or ()),
                categories=tuple(names.get("categories") or ()),
                subresources=("status",) if "status" in (version.get("subresources") or {}) else (),
                fields=_paths(*paths),
                generation=True,
                needs_version=True,
                singular=names.get("singular") or names["kind"].lower(),
                list_kind=names.get("listKind") or f"{names['kind']}List",
                columns=tuple(_column(entry) for entry in columns),
                schema=Schema(version["schema"]["openAPIV3Schema"]),
            )
        )
    return result


def _column(entry: Object) -> Column:
    return Column(
        entry["name"],
        entry["type"],
        entry["jsonPath"],
        entry.get("priority", 0),
        entry.get("description", ""),
        entry.get("format", ""),
    )
