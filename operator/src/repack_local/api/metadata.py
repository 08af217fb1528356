"""What the server alone decides of `metadata`: names, uid, times, generation, and what of it an update may change."""

import re
import secrets
from collections.abc import Iterable
from typing import Any

from repack_local.api.kinds import Resource
from repack_local.api.statuses import ApiError, Cause, Object, bad_request, conflict, invalid

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_RANDOM = "bcdfghjklmnpqrstvwxz2456789"

_SERVER_OWNED = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
)


def random_suffix() -> str:
    """Return five characters, as generated names end."""
    return "".join(secrets.choice(_RANDOM) for _ in range(5))


def generated_name(base: str) -> str:
    """Return a name that begins with `base`, cut so that it stays a valid one."""
    return base[:58] + random_suffix()


def check_kind(resource: Resource, body: Any) -> Object:
    """Return the body with its apiVersion and kind.

    Raises:
        ApiError: 400 or 422, it is no object of this resource.
    """
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: it is no JSON object")
    kind, version = body.get("kind"), body.get("apiVersion")
    if not kind and resource.schema is not None:
        why = f"(must be of type {resource.kind}): Object 'Kind' is missing"
        raise bad_request(f"the object provided is unrecognized {why}")
    if version and version != resource.api_version:
        why = f"({version}) does not match the expected API version ({resource.api_version})"
        raise bad_request(f"the API version in the data {why}")
    if kind and kind != resource.kind:
        cause = Cause("kind", f'Invalid value: "{kind}": must be {resource.kind}')
        raise invalid(resource.group, kind, (body.get("metadata") or {}).get("name", ""), [cause])
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request("metadata is no JSON object")
    return {"apiVersion": resource.api_version, "kind": resource.kind} | body | {"metadata": dict(metadata or {})}


def check_namespace(resource: Resource, metadata: Object, namespace: str) -> None:
    """Write the namespace of the request into `metadata`.

    Raises:
        ApiError: 400, the object names another one.
    """
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    if metadata.get("namespace") not in {None, "", namespace}:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = namespace


def problems(resource: Resource, metadata: Object) -> list[Cause]:
    """Return what is wrong with names and labels."""
    return [*_name_problems(resource, metadata), *_label_problems(metadata)]


def _name_problems(resource: Resource, metadata: Object) -> Iterable[Cause]:
    name = metadata.get("name") or ""
    if not name:
        yield Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
        return
    is_label = resource.kind == "Namespace"
    pattern = _LABEL if is_label else _SUBDOMAIN
    if not re.fullmatch(pattern, name):
        allowed = "'-'" if is_label else "'-' or '.'"
        example = "'my-name',  or '123-abc'" if is_label else "'example.com'"
        what = "label" if is_label else "subdomain"
        message = (
            f'Invalid value: "{name}": a lowercase RFC 1123 {what} must consist of lower case alphanumeric characters'
            f"{'' if is_label else ','} {'or ' if is_label else ''}{allowed}, and must start and end with an "
            f"alphanumeric character (e.g. {example}, regex used for validation is '{pattern}')"
        )
        yield Cause("metadata.name", message)
    if len(name) > (63 if is_label else 253):
        yield Cause("metadata.name", f'Invalid value: "{name}": must be no more than 253 characters')


def _label_problems(metadata: Object) -> Iterable[Cause]:
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str):
            raise bad_request(f"metadata.labels: the value of {key} is no string")
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            message = (
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue', "
                "or 'my_value', or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
            yield Cause("metadata.labels", message)


def born(metadata: Object, *, uid: str, now: str, resource: Resource) -> Object:
    """Return the metadata of a new object: what only the server writes is written by the server."""
    kept = {key: value for key, value in metadata.items() if key not in (*_SERVER_OWNED, "resourceVersion")}
    result = kept | {"uid": uid, "creationTimestamp": now}
    return result | {"generation": 1} if resource.generation else result


def carried(new: Object, old: Object) -> Object:
    """Return the metadata of an update: what only the server writes stays as it was."""
    kept = {key: value for key, value in new.items() if key not in _SERVER_OWNED}
    owned = {key: old[key] for key in (*_SERVER_OWNED, "resourceVersion", "name", "namespace") if key in old}
    if "managedFields" in old and "managedFields" not in kept:
        owned["managedFields"] = old["managedFields"]
    return kept | owned


def check_version(resource: Resource, new: Object, old: Object, *, required: bool) -> None:
    """Compare the resource version and uid that an update carries with what is stored.

    Raises:
        ApiError: 409, it was made from another state or another object; 422, it says none though it must.
    """
    name, version = old["name"], new.get("resourceVersion")
    if not version and required:
        cause = Cause("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise invalid(resource.group, resource.kind, name, [cause])
    if version and version != old["resourceVersion"]:
        raise conflict(resource.group, resource.plural, name)
    if new.get("uid") and new["uid"] != old["uid"]:
        why = f"Precondition failed: UID in precondition: {new['uid']}, UID in object meta: {old['uid']}"
        raise conflict(resource.group, resource.plural, name, why)


def check_preconditions(resource: Resource, preconditions: Object | None, metadata: Object) -> None:
    """Compare the preconditions of a deletion with what is stored.

    Raises:
        ApiError: 409, it is another object or another state of it.
    """
    wanted_uid = (preconditions or {}).get("uid")
    wanted_version = (preconditions or {}).get("resourceVersion")
    name = metadata["name"]
    if wanted_uid and wanted_uid != metadata["uid"]:
        why = (
            f"the UID in the precondition ({wanted_uid}) does not match the UID in record ({metadata['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(resource.group, resource.kind, name, why)
    if wanted_version and wanted_version != metadata["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({wanted_version}) does not match the ResourceVersion in record "
            f"({metadata['resourceVersion']}). The object might have been modified"
        )
        raise conflict(resource.group, resource.kind, name, why)


def spec_of(obj: Object, resource: Resource) -> Object:
    """Return the part of an object whose changes count in `metadata.generation`."""
    if resource.schema is None:
        return {"spec": obj.get("spec")}
    left_out = {"metadata", "status"} if resource.has_status else {"metadata"}
    return {key: value for key, value in obj.items() if key not in left_out}


def created_with_version() -> ApiError:
    """Say that a new object must not bring a resource version."""
    return ApiError(500, "", "resourceVersion should not be set on objects to be created")
