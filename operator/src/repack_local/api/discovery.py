"""What the API says about itself: groups, versions, resources, and its version."""

from repack_local.api.kinds import Registry, Resource
from repack_local.api.statuses import Object, no_such_path

VERSION: Object = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0+dify-repack",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
"""The features that are served are those of this version; clients choose their ways by it."""

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def aggregated(registry: Registry, *, core: bool) -> Object:
    """Return everything in one document, as kubectl asks for it first."""
    items = []
    for group, versions in registry.groups().items():
        if (group == "") != core:
            continue
        listed = [
            {"version": version, "resources": [_described(r) for r in resources], "freshness": "Current"}
            for version, resources in versions.items()
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _described(resource: Resource) -> Object:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    result: Object = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        result["shortNames"] = list(resource.short_names)
    if resource.categories:
        result["categories"] = list(resource.categories)
    if resource.subresources:
        result["subresources"] = [
            {"subresource": name, "responseKind": kind, "verbs": _subresource_verbs(name)}
            for name in resource.subresources
        ]
    return result


def _subresource_verbs(name: str) -> list[str]:
    return ["get"] if name == "log" else ["get", "patch", "update"]


def answer(registry: Registry, parts: list[str]) -> Object | None:
    """Return the classic document of a path, None where the path is that of objects.

    Raises:
        ApiError: 404, there is no such group or version.
    """
    match parts:
        case ["api"]:
            return core_versions()
        case ["apis"]:
            return group_list(registry)
        case ["apis", name]:
            return group(registry, name)
        case ["api", version]:
            return resource_list(registry, "", version)
        case ["apis", name, version]:
            return resource_list(registry, name, version)
        case _:
            return None


def core_versions() -> Object:
    """Return the versions of the core group (`/api`)."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list(registry: Registry) -> Object:
    """Return the named groups (`/apis`)."""
    groups = [_group(group, versions) for group, versions in registry.groups().items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Object:
    """Return one group (`/apis/GROUP`).

    Raises:
        ApiError: 404.
    """
    versions = registry.groups().get(name)
    if not name or versions is None:
        raise no_such_path()
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name, versions)


def _group(name: str, versions: dict[str, list[Resource]]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def resource_list(registry: Registry, name: str, version: str) -> Object:
    """Return the resources of a version of a group.

    Raises:
        ApiError: 404.
    """
    resources = registry.groups().get(name, {}).get(version)
    if resources is None:
        raise no_such_path()
    listed: list[Object] = []
    for resource in resources:
        entry: Object = {
            "name": resource.plural,
            "singularName": resource.singular_name,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs,
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        listed.extend(
            {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": _subresource_verbs(name),
            }
            for name in resource.subresources
        )
    group_version = f"{name}/{version}" if name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}
