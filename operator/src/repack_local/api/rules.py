"""The CEL rules of a schema (`x-kubernetes-validations`), evaluated by cel-python.

Rules that name `oldSelf` are transition rules: they hold only where both the old and the new value exist. Map lists
are sorted by their keys first, because the API server compares them without regard to order and cel-python with it.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import celpy
from celpy.adapter import json_to_cel

from repack_local.api.statuses import Cause, Object

_ENVIRONMENT = celpy.Environment()
"""One for all schemas: it remembers nothing, and making one raises the recursion limit of the whole process."""
_REMEMBERED = 4096
"""How many (rule, value, old value) are remembered: most writes leave most of an object as it was."""


@dataclass(frozen=True)
class _Rule:
    expression: str
    message: str
    program: celpy.Runner
    transition: bool
    fields: frozenset[str] | None
    """Fields of `self` that the expression names, None where it uses the whole value."""

    def sees(self, value: Any) -> Any:
        """Return the part of a value that the rule depends on: the less it is, the more often it is remembered."""
        if self.fields is None or not isinstance(value, dict):
            return value
        return {key: inner for key, inner in value.items() if key in self.fields}


@dataclass(frozen=True)
class _Node:
    """A place in the schema that has rules, or has such a place below it."""

    rules: tuple[_Rule, ...]
    properties: dict[str, "_Node"]
    items: "_Node | None"
    additional: "_Node | None"
    list_keys: tuple[str, ...]


class Rules:
    """All rules of a schema, compiled once."""

    def __init__(self, definition: Object) -> None:
        self._definition = definition
        self._root = _node(definition)
        self._known: OrderedDict[tuple[str, str, str | None], str | None] = OrderedDict()

    def broken(self, obj: Object, *, old: Object | None) -> list[Cause]:
        """Return a cause for each rule that the object breaks."""
        if self._root is None:
            return []
        new_sorted = _sorted(_visible(obj), self._definition)
        old_sorted = None if old is None else _sorted(_visible(old), self._definition)
        return list(self._walk(self._root, new_sorted, old_sorted, ""))

    def _walk(self, node: _Node, new: Any, old: Any, path: str) -> Iterator[Cause]:
        if node.rules:
            yield from self._check(node, new, old, path)
        if isinstance(new, dict):
            before = old if isinstance(old, dict) else {}
            for key, child in node.properties.items():
                if new.get(key) is not None:
                    yield from self._walk(child, new[key], before.get(key), f"{path}.{key}" if path else key)
            if node.additional:
                for key in new.keys() - node.properties.keys():
                    yield from self._walk(node.additional, new[key], before.get(key), f"{path}[{key}]")
        elif isinstance(new, list) and node.items:
            for index, item in enumerate(new):
                match = _partner(item, old, node.list_keys)
                yield from self._walk(node.items, item, match, f"{path}[{index}]")

    def _check(self, node: _Node, new: Any, old: Any, path: str) -> Iterator[Cause]:
        for rule in node.rules:
            if rule.transition and old is None:
                continue
            seen, seen_before = rule.sees(new), rule.sees(old) if rule.transition else None
            key = (rule.expression, _canonical(seen), _canonical(seen_before) if rule.transition else None)
            if key not in self._known:
                self._known[key] = _evaluate(rule, seen, seen_before)
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            message = self._known[key]
            if message is not None:
                shown = "" if isinstance(new, dict | list) else f"{_canonical(new)}: "
                yield Cause(path or "<nil>", f"Invalid value: {shown}{message}")


def _evaluate(rule: _Rule, new: Any, old: Any) -> str | None:
    """Return None where the rule holds, else what to say."""
    try:
        activation = {"self": json_to_cel(new)}
        if rule.transition:
            activation["oldSelf"] = json_to_cel(old)
        holds = rule.program.evaluate(activation)
    except (celpy.CELEvalError, ValueError) as error:  # a ValueError tells of a number that CEL cannot hold
        return f"rule: {rule.expression}: {error}"
    return None if holds else rule.message


def _node(schema: Object) -> _Node | None:
    rules = tuple(_compiled(entry) for entry in schema.get("x-kubernetes-validations") or [])
    properties = {
        key: node for key, inner in (schema.get("properties") or {}).items() if (node := _node(inner)) is not None
    }
    items = _node(schema["items"]) if isinstance(schema.get("items"), dict) else None
    inner = schema.get("additionalProperties")
    additional = _node(inner) if isinstance(inner, dict) else None
    if not rules and not properties and items is None and additional is None:
        return None
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if is_map_list(schema) else ()
    return _Node(rules, properties, items, additional, keys)


def _compiled(entry: Object) -> _Rule:
    expression = entry["rule"]
    message = entry.get("message") or f"failed rule: {expression}"
    program = _ENVIRONMENT.program(_ENVIRONMENT.compile(expression))
    bare = re.search(r"\b(self|oldSelf)\b(?!\.[A-Za-z_])", expression)
    fields = None if bare else frozenset(re.findall(r"\b(?:self|oldSelf)\.([A-Za-z_]\w*)", expression))
    return _Rule(expression, message, program, "oldSelf" in expression, fields)


def is_map_list(schema: Object) -> bool:
    """Say whether a schema is that of a list whose items are known by keys."""
    return schema.get("x-kubernetes-list-type") == "map"


def _partner(item: Any, old: Any, keys: tuple[str, ...]) -> Any:
    """Return the old item that transition rules of an item compare with: only map lists have one."""
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return None
    return next((known for known in old if all(known.get(key) == item.get(key) for key in keys)), None)


def _visible(obj: Object) -> Object:
    """Return the object as rules of the root see it: of metadata only the names."""
    metadata = obj.get("metadata") or {}
    return obj | {"metadata": {key: metadata[key] for key in ("name", "generateName") if key in metadata}}


def _sorted(value: Any, schema: Object) -> Any:
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        return {key: _sorted(inner, properties.get(key) or {}) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_sorted(item, schema.get("items") or {}) for item in value]
        if is_map_list(schema):
            keys = schema["x-kubernetes-list-map-keys"]
            items.sort(key=lambda item: [str(item.get(key)) for key in keys] if isinstance(item, dict) else [])
        elif schema.get("x-kubernetes-list-type") == "set":
            items.sort(key=_canonical)
        return items
    return value


def _canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
