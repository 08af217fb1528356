"""Server-side apply: what a manager no longer names it gives up, what another manager holds it must not change unasked.

Only appliers own fields here: a field that came by create, update or patch is taken without conflict.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from repack_local.api.statuses import ApiError, Object

Path = tuple[str, ...]
MapKeys = Callable[[Path], tuple[str, ...]]
"""Gives the keys of a map list at a path of field names, () where the list is replaced as a whole."""

_UNOWNED = {"apiVersion", "kind", "metadata/name", "metadata/namespace"}


def apply(old: Object | None, config: Object, *, manager: str, force: bool, keys: MapKeys, now: str) -> Object:
    """Return the object after `manager` applied `config`.

    Raises:
        ApiError: 409, another applier holds a field with another value and `force` is false.
    """
    entries = [dict(entry) for entry in (old or {}).get("metadata", {}).get("managedFields") or []]
    mine = next((entry for entry in entries if _is_applier(entry) and entry["manager"] == manager), None)
    fields = _fields(config, (), keys)
    _refuse_conflicts(old or {}, config, entries, manager=manager, force=force, fields=fields)
    result = _remove(old or {}, mine["fieldsV1"] if mine else {}, fields, entries, manager)
    result = _merge(result, config, (), keys)
    others = [entry for entry in entries if entry is not mine]
    entry = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": config.get("apiVersion"),
        "time": mine["time"] if mine and mine["fieldsV1"] == fields else now,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    metadata = {key: value for key, value in result.get("metadata", {}).items() if key != "managedFields"}
    merged: Object = result | {"metadata": metadata | {"managedFields": [*others, entry]}}
    return merged


def _is_applier(entry: Object) -> bool:
    return entry.get("operation") == "Apply" and entry.get("fieldsType") == "FieldsV1"


def _item_key(item: Object, keys: tuple[str, ...]) -> str:
    return "k:" + json.dumps({key: item.get(key) for key in keys}, separators=(",", ":"), sort_keys=True)


def _fields(value: Any, path: Path, keys: MapKeys) -> Object:
    """Return the set of fields in the form of `fieldsV1`."""
    result: Object = {}
    if isinstance(value, dict):
        for name, inner in value.items():
            if "/".join((*path, name)) in _UNOWNED:
                continue
            fields = _fields(inner, (*path, name), keys)
            if fields or (*path, name) != ("metadata",):
                result[f"f:{name}"] = fields
    elif isinstance(value, list) and (names := keys(path)):
        for item in value:
            result[_item_key(item, names)] = {".": {}} | _fields(item, path, keys)
    return result


def _leaves(fields: Object, prefix: Path = ()) -> Iterator[Path]:
    for name, inner in fields.items():
        if inner:
            yield from _leaves(inner, (*prefix, name))
        else:
            yield (*prefix, name)


def _get(value: Any, path: Path) -> Any:
    for step in path:
        if step == ".":
            return ...
        if step.startswith("f:") and isinstance(value, dict):
            value = value.get(step[2:], ...)
        elif step.startswith("k:") and isinstance(value, list):
            wanted = json.loads(step[2:])
            value = next((item for item in value if all(item.get(k) == v for k, v in wanted.items())), ...)
        else:
            return ...
    return value


def _refuse_conflicts(
    old: Object, config: Object, entries: list[Object], *, manager: str, force: bool, fields: Object
) -> None:
    leaves = set(_leaves(fields))
    for entry in entries:
        if not _is_applier(entry) or entry["manager"] == manager:
            continue
        shared = leaves & set(_leaves(entry["fieldsV1"]))
        clash = sorted(path for path in shared if path[-1] != "." and _get(old, path) != _get(config, path))
        if not clash:
            continue
        if force:
            entry["fieldsV1"] = _without(entry["fieldsV1"], clash)
            continue
        named = [_dotted(path) for path in clash]
        plural = "conflict" if len(named) == 1 else "conflicts"
        message = f'Apply failed with {len(named)} {plural}: {plural} with "{entry["manager"]}": ' + ", ".join(named)
        causes = [
            {"reason": "FieldManagerConflict", "message": f'conflict with "{entry["manager"]}"', "field": name}
            for name in named
        ]
        raise ApiError(409, "Conflict", message, details={"causes": causes})


def _dotted(path: Path) -> str:
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[{step[2:]}]" for step in path)


def _without(fields: Object, paths: list[Path]) -> Object:
    result: Object = {}
    for name, inner in fields.items():
        below = [path[1:] for path in paths if path[0] == name]
        if any(not path for path in below):
            continue
        result[name] = _without(inner, below) if below else inner
    return result


def _remove(old: Object, mine: Object, fields: Object, entries: list[Object], manager: str) -> Object:
    """Return `old` without the fields that `manager` applied before, names no longer and shares with nobody."""
    held = {path for e in entries if _is_applier(e) and e["manager"] != manager for path in _leaves(e["fieldsV1"])}
    gone = set(_leaves(mine)) - set(_leaves(fields)) - held
    result = json.loads(json.dumps(old))
    for path in sorted(gone, key=lambda path: (path[-1] != ".", -len(path))):  # whole items before their fields
        *way, last = path[:-1] if path[-1] == "." else path
        parent = _get(result, tuple(way))
        if last.startswith("f:") and isinstance(parent, dict):
            parent.pop(last[2:], None)
        elif last.startswith("k:") and isinstance(parent, list):
            wanted = json.loads(last[2:])
            parent[:] = [item for item in parent if any(item.get(k) != v for k, v in wanted.items())]
    return dict(result)


def _merge(target: Any, config: Any, path: Path, keys: MapKeys) -> Any:
    if isinstance(config, dict):
        result = dict(target) if isinstance(target, dict) else {}
        for name, value in config.items():
            result[name] = _merge(result.get(name), value, (*path, name), keys)
        return result
    names = keys(path) if isinstance(config, list) else ()
    if not names:
        return config
    merged = list(target) if isinstance(target, list) else []
    for item in config:
        wanted = _item_key(item, names)
        at = next((i for i, known in enumerate(merged) if _item_key(known, names) == wanted), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = _merge(merged[at], item, path, keys)
    return merged
