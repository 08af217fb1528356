"""Merge, JSON and strategic patches: pure functions from an object and a patch to the new object."""

import copy
from typing import Any

import jsonpatch
import jsonpointer

from repack_local.api.statuses import ApiError, Object, bad_request

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "conditions": "type",
    "ownerReferences": "uid",
    "secrets": "name",
}
"""Lists of the built-in kinds that are merged item by item, and the key of their items. Other lists are replaced."""

PRIMITIVE_MERGE = frozenset({"finalizers"})
"""Lists of plain values that a strategic patch unites."""


def merge(target: Any, patch: Any) -> Any:
    """Return `target` after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(target: Object, operations: Any) -> Object:
    """Return `target` after a JSON patch (RFC 6902).

    Raises:
        ApiError: 422, an operation cannot be done (a failed `test` among them); 400, it is no JSON patch.
    """
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        result = jsonpatch.apply_patch(target, operations)
    except (jsonpatch.InvalidJsonPatch, TypeError, KeyError) as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, details={}) from None
    if not isinstance(result, dict):
        raise bad_request("the patch leaves no object")
    return result


def strategic(target: Any, patch: Any) -> Any:
    """Return `target` after a strategic merge patch, with the directives that kubectl sends."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif key.startswith("$"):
            continue  # $setElementOrder: the order of items has no meaning to us
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _strategic_list(result.get(key) or [], value, key)
        else:
            result[key] = strategic(result.get(key), value)
    return result


def _strategic_list(old: list[Any], patch: list[Any], name: str) -> list[Any]:
    merge_key = MERGE_KEYS.get(name)
    if name in PRIMITIVE_MERGE:
        return [*old, *(item for item in patch if item not in old)]
    if merge_key is None or not all(isinstance(item, dict) for item in [*old, *patch]):
        return copy.deepcopy(patch)
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = list(old)
    for item in patch:
        at = next((i for i, known in enumerate(result) if known.get(merge_key) == item.get(merge_key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                result.pop(at)
        elif at is None:
            result.append(strategic({}, item))
        else:
            result[at] = strategic(result[at], item)
    return result
