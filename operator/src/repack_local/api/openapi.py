"""OpenAPI 3 of what is served: enough for `kubectl apply` (which asks what a PATCH may carry) and `kubectl explain`.

Built-in kinds are described as open objects: kubectl has their real shape compiled in.
"""

import hashlib
import json
from typing import Any

from repack_local.api.kinds import Registry, Resource
from repack_local.api.statuses import Object, no_such_path

_OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_QUERY = {
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "put": ("dryRun", "fieldManager", "fieldValidation"),
    "post": ("dryRun", "fieldManager", "fieldValidation"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
    "get": (),
}
_ACTIONS = {"patch": "patch", "put": "put", "post": "post", "delete": "delete", "get": "get"}


def answer(registry: Registry, parts: list[str]) -> Object:
    """Return the document of a path below /openapi/v3.

    Raises:
        ApiError: 404.
    """
    match parts:
        case []:
            return index(registry)
        case ["api", version]:
            return document(registry, "", version)
        case ["apis", group, version]:
            return document(registry, group, version)
        case _:
            raise no_such_path()


def index(registry: Registry) -> Object:
    """Return where the documents of the groups are (`/openapi/v3`)."""
    paths: dict[str, Object] = {}
    for name, versions in registry.groups().items():
        for version in versions:
            path = f"apis/{name}/{version}" if name else f"api/{version}"
            digest = hashlib.sha256(json.dumps(document(registry, name, version)).encode()).hexdigest()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(registry: Registry, group: str, version: str) -> Object:
    """Return the document of one version of a group.

    Raises:
        ApiError: 404.
    """
    resources = registry.groups().get(group, {}).get(version)
    if resources is None:
        raise no_such_path()
    schemas: dict[str, Any] = {_META: _OPEN | {"description": "Standard object's metadata."}}
    paths: dict[str, Any] = {}
    for resource in resources:
        schemas[_schema_name(resource)] = _schema(resource)
        paths |= _paths(resource)
    return {
        "openapi": "3.0.0",
        "info": {"title": "dify-repack embedded Kubernetes API", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schema_name(resource: Resource) -> str:
    reverse = ".".join(reversed(resource.group.split("."))) or "core"
    return f"{reverse}.{resource.version}.{resource.kind}"


def _kind(resource: Resource) -> Object:
    return {"group": resource.group, "kind": resource.kind, "version": resource.version}


def _schema(resource: Resource) -> Object:
    known = {"x-kubernetes-group-version-kind": [_kind(resource)]}
    if resource.schema is None:
        return _OPEN | {"description": f"{resource.kind} of the embedded API."} | known
    definition = resource.schema.definition
    properties = dict(definition["properties"])
    properties |= {
        "apiVersion": {"type": "string", "description": "The group and version of the object."},
        "kind": {"type": "string", "description": "What the object is."},
        "metadata": {
            "description": "Standard object's metadata.",
            "allOf": [{"$ref": f"#/components/schemas/{_META}"}],
            "default": {},
        },
    }
    return definition | {"properties": properties} | known


def _paths(resource: Resource) -> dict[str, Any]:
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    space = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{base}{space}/{resource.plural}"
    if resource.virtual:
        return {collection: {"post": _operation(resource, "post")}}
    one = {verb: _operation(resource, verb) for verb in ("get", "put", "patch", "delete")}
    return {
        collection: {"get": _operation(resource, "list"), "post": _operation(resource, "post")},
        collection + "/{name}": one,
    }


def _operation(resource: Resource, verb: str) -> Object:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_schema_name(resource)}"}}}
    return {
        "operationId": f"{verb}{resource.kind}",
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in _QUERY.get(verb, ())
        ],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": _kind(resource),
    }
