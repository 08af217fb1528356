"""A structural schema at work: unknown fields pruned, defaults filled in, values checked, the CEL rules evaluated.

The order is the API server's: prune, fill in defaults, validate; rules only when the structure is right.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from jsonschema import Draft4Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from repack_local.api.rules import Rules, is_map_list
from repack_local.api.statuses import Cause, Object

_ROOT_PROPERTIES = frozenset({"apiVersion", "kind", "metadata"})

_formats = FormatChecker(formats=())


@_formats.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.match(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}", value):
        return False
    try:
        datetime.fromisoformat(value.upper().replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


@_formats.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@_formats.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


class Schema:
    """The schema of one version of a custom resource.

    Args:
        definition: `openAPIV3Schema` of the CustomResourceDefinition.

    Raises:
        celpy.CELParseError: a rule cannot be compiled.
    """

    def __init__(self, definition: Object) -> None:
        self.definition = definition
        self._rules = Rules(definition)
        self._validator = Draft4Validator(definition, format_checker=_formats)

    def prune(self, obj: Object) -> tuple[Object, list[str]]:
        """Return the object without the fields that the schema does not know, and their paths."""
        unknown: list[str] = []
        root = {key: value for key, value in obj.items() if key not in _ROOT_PROPERTIES}
        pruned = _prune(root, self.definition, "", unknown)
        return {key: obj[key] for key in obj if key in _ROOT_PROPERTIES} | pruned, unknown

    def fill_in(self, obj: Object) -> Object:
        """Return the object with the defaults of the schema."""
        filled = _fill_in({k: v for k, v in obj.items() if k not in _ROOT_PROPERTIES}, self.definition)
        result: Object = {key: obj[key] for key in obj if key in _ROOT_PROPERTIES} | filled
        return result

    def problems(self, obj: Object, *, old: Object | None) -> list[Cause]:
        """Return what is wrong with the object; `old` is what it replaces."""
        found = [cause for error in self._validator.iter_errors(obj) for cause in _causes(error)]
        found += _duplicates(obj, self.definition, "")
        if any(cause.reason != "FieldValueDuplicate" for cause in found):
            return [*found, RULES_NOT_CHECKED]
        return [*found, *self._rules.broken(obj, old=old)]

    def list_keys(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Return the keys of the map list at a path of field names, () where it is none."""
        node: Any = self.definition
        for step in path:
            node = node.get("items", node).get("properties", {}).get(step, {})
        return tuple(node["x-kubernetes-list-map-keys"]) if is_map_list(node) else ()


RULES_NOT_CHECKED = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def _prune(value: Any, schema: Object, path: str, unknown: list[str]) -> Any:
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [_prune(item, items, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    if not isinstance(value, dict) or "properties" not in schema:
        inner = schema.get("additionalProperties")
        if isinstance(value, dict) and isinstance(inner, dict):
            return {key: _prune(item, inner, _join(path, key), unknown) for key, item in value.items()}
        if isinstance(value, dict) and value and schema.get("type") == "object" and not _keeps_unknown(schema, inner):
            unknown.extend(_join(path, key) for key in value)
            return {}
        return value
    result = {}
    for key, item in value.items():
        if key in schema["properties"]:
            result[key] = _prune(item, schema["properties"][key], _join(path, key), unknown)
        elif _keeps_unknown(schema, None):
            result[key] = item
        else:
            unknown.append(_join(path, key))
    return result


def _keeps_unknown(schema: Object, additional: Any) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields") or additional)


def _fill_in(value: Any, schema: Object) -> Any:
    if isinstance(value, list) and "items" in schema:
        return [_fill_in(item, schema["items"]) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    properties = schema.get("properties") or {}
    for key, inner in value.items():
        known = properties.get(key, {})
        if inner is None and "default" in known and not known.get("nullable"):
            continue  # a null where a default stands is taken as absent
        result[key] = _fill_in(inner, known)
    for key, known in properties.items():
        if key not in result and "default" in known:
            result[key] = _fill_in(json.loads(json.dumps(known["default"])), known)
    return result


def _duplicates(value: Any, schema: Object, path: str) -> Iterator[Cause]:
    if isinstance(value, dict):
        for key, inner in (schema.get("properties") or {}).items():
            if key in value:
                yield from _duplicates(value[key], inner, _join(path, key))
    elif isinstance(value, list):
        keys = schema.get("x-kubernetes-list-map-keys") if is_map_list(schema) else None
        unique = keys is not None or schema.get("x-kubernetes-list-type") == "set"
        seen: set[str] = set()
        for index, item in enumerate(value):
            identity = {key: item.get(key) for key in keys} if keys and isinstance(item, dict) else item
            text = _go(identity)
            if unique and text in seen:
                yield Cause(f"{path}[{index}]", f"Duplicate value: {text}", "FieldValueDuplicate")
            seen.add(text)
            yield from _duplicates(item, schema.get("items") or {}, f"{path}[{index}]")


def _causes(error: ValidationError) -> Iterator[Cause]:
    """Put an error of jsonschema into the API server's words."""
    path = _dotted(error.absolute_path)
    kind = str(error.validator)
    limit: Any = error.validator_value
    value: Any = error.instance
    if kind == "required":
        for name in limit:
            if name not in value and f"'{name}' is" in error.message:
                yield Cause(_join(path, name), "Required value", "FieldValueRequired")
    elif kind == "enum":
        supported = ", ".join(_go(item) for item in limit)
        message = f"Unsupported value: {_go(value)}: supported values: {supported}"
        yield Cause(path, message, "FieldValueNotSupported")
    elif kind == "type":
        name = json.dumps(_type_name(value))
        yield Cause(
            path, f"Invalid value: {name}: {path} in body must be of type {limit}: {name}", "FieldValueTypeInvalid"
        )
    else:
        shown = len(value) if kind in {"minItems", "maxItems"} else value
        text = _WORDS.get(kind, "is not valid ({limit})").format(limit=limit)
        yield Cause(
            path, f"Invalid value: {_go(shown)}: {path} in body {text}", _REASONS.get(kind, "FieldValueInvalid")
        )


_WORDS = {
    "minItems": "should have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minimum": "should be greater than or equal to {limit}",
    "maximum": "should be less than or equal to {limit}",
    "pattern": "should match '{limit}'",
    "minLength": "should be at least {limit} chars long",
    "maxLength": "may not be more than {limit} bytes",
    "format": "must be of type {limit}",
}

_REASONS = {"maxItems": "FieldValueTooMany", "maxLength": "FieldValueTooLong"}


def _type_name(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _go(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for step in path:
        text = f"{text}[{step}]" if isinstance(step, int) else _join(text, step)
    return text
