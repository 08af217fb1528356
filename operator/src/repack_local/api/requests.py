"""A request taken apart: which resource it is about, and what its query and body say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from repack_local.api import protobuf
from repack_local.api.kinds import Registry, Resource
from repack_local.api.objects import Deletion, Write
from repack_local.api.patching import APPLY, JSON, MERGE, STRATEGIC
from repack_local.api.selecting import Predicate, field_selector, label_selector
from repack_local.api.statuses import ApiError, Cause, bad_request, invalid, no_such_path

Query = Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """What a path names. `namespace` is None for all namespaces and "" for cluster-wide kinds; `name` "" for lists."""

    resource: Resource
    namespace: str | None
    name: str = ""
    subresource: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of the object."""
        return (self.namespace or "", self.name)


def target(registry: Registry, path: str) -> Target:
    """Return what a path below /api or /apis names.

    Raises:
        ApiError: 404, nothing is served there.
    """
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) >= 3 and (group or rest[2] not in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    resource = registry.find(group, version, rest[0])
    if len(rest) > 3 or resource.namespaced < (namespace is not None):
        raise no_such_path()
    name, subresource = [*rest[1:], "", ""][:2]
    if subresource and subresource not in resource.subresources:
        raise no_such_path()
    if resource.namespaced and name and namespace is None:
        raise no_such_path()
    return Target(resource, namespace if resource.namespaced else "", name, subresource)


def predicate(resource: Resource, query: Query) -> Predicate:
    """Return what the label and field selectors of a query select.

    Raises:
        ApiError: 400, a selector is wrong.
    """
    labels = label_selector(query.get("labelSelector"))
    fields = field_selector(query.get("fieldSelector"), fields=resource.selectable)
    return lambda obj: labels(obj) and fields(obj)


def is_true(query: Query, name: str) -> bool:
    """Say whether a switch of the query is on: true, True, 1, t."""
    return query.get(name, "").lower() in {"1", "t", "true"}


def number(query: Query, name: str) -> int | None:
    """Return a number of the query, None where it is absent.

    Raises:
        ApiError: 400, it is none.
    """
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'{name}: strconv.ParseInt: parsing "{text}": invalid syntax') from None


def write_options(query: Query) -> Write:
    """Return how a write is to be done.

    Raises:
        ApiError: 422, an option has a value that is not known.
    """
    validation = query.get("fieldValidation") or "Warn"
    if validation not in {"Ignore", "Warn", "Strict"}:
        message = f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        cause = Cause("fieldValidation", message, "FieldValueNotSupported")
        raise invalid("meta.k8s.io", "CreateOptions", "", [cause])
    return Write(
        dry_run=_dry_run([query["dryRun"]] if query.get("dryRun") else []),
        field_validation=validation,
        field_manager=query.get("fieldManager", ""),
        force=is_true(query, "force"),
    )


def _dry_run(values: Any) -> bool:
    if any(value != "All" for value in values or []):
        message = f'Unsupported value: {json.dumps(values)}: supported values: "All"'
        raise invalid("meta.k8s.io", "Options", "", [Cause("dryRun", message, "FieldValueNotSupported")])
    return bool(values)


def deletion(query: Query, body: Any) -> Deletion:
    """Return how a deletion is to be done: the body's options, or the query's.

    Raises:
        ApiError: 400 or 422, an option is wrong.
    """
    options = body if isinstance(body, dict) else {}
    propagation = options.get("propagationPolicy") or query.get("propagationPolicy")
    if propagation not in {None, "Background", "Foreground", "Orphan"}:
        message = f'Unsupported value: "{propagation}": supported values: "Background", "Foreground", "Orphan"'
        cause = Cause("propagationPolicy", message, "FieldValueNotSupported")
        raise invalid("meta.k8s.io", "DeleteOptions", "", [cause])
    grace = options.get("gracePeriodSeconds")
    dry = options.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
    return Deletion(
        number(query, "gracePeriodSeconds") if grace is None else int(grace),
        propagation,
        options.get("preconditions"),
        dry_run=_dry_run(dry),
    )


class _Loader(yaml.SafeLoader):
    """YAML as the API reads it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_body(content: bytes, media_type: str, *, kind: str) -> Any:
    """Return the body of a write, JSON or YAML.

    Raises:
        ApiError: 400, it cannot be read; 415, the type is not known.
    """
    if "protobuf" in media_type:
        return protobuf.decode(content)
    if "cbor" in media_type:
        raise unsupported("application/json, application/yaml")
    try:
        if "yaml" in media_type and not content.lstrip().startswith(b"{"):
            return yaml.load(content, Loader=_Loader)  # noqa: S506 - a safe loader
        return json.loads(content)
    except (ValueError, yaml.YAMLError) as error:
        shown = content[:200].decode(errors="replace")
        message = f"the object provided is unrecognized (must be of type {kind}): json parse error: {error} ({shown})"
        raise bad_request(message) from None


def patch_type(resource: Resource, content_type: str) -> str:
    """Return the media type of a patch.

    Raises:
        ApiError: 415, the resource does not take it.
    """
    accepted = [JSON, MERGE, APPLY] if resource.schema is not None else [JSON, MERGE, STRATEGIC, APPLY]
    if content_type not in accepted:
        raise unsupported(", ".join(accepted))
    return content_type


def unsupported(accepted: str) -> ApiError:
    """Say which media types are taken."""
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)
