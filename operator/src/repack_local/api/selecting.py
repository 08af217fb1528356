"""Label and field selectors: text to a predicate over objects, with the server's messages where the text is wrong."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from repack_local.api.statuses import ApiError, Object, bad_request

Predicate = Callable[[Object], bool]

_SET = re.compile(r"^\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s!=,()]+)\s*$")
_COMMA = re.compile(r",(?![^()]*\))")


def everything(_: Object) -> bool:
    """Select every object."""
    return True


def label_selector(text: str | None) -> Predicate:
    """Return the predicate of a label selector: equality, sets and existence.

    Raises:
        ApiError: 400, the text is no selector.
    """
    if not text or not text.strip():
        return everything
    requirements = [_requirement(part) for part in _COMMA.split(text)]

    def matches(obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(requirement(labels) for requirement in requirements)

    return matches


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(text):
        key, operator, listed = match.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.match(text):
        key, operator, value = match.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.match(text):
        negated, key = match.groups()
        return lambda labels: (key in labels) != bool(negated)
    raise _unparsable(text)


def _unparsable(text: str) -> ApiError:
    return bad_request(f"unable to parse requirement: {text!r} is not a label selector requirement")


def field_selector(text: str | None, *, fields: Mapping[str, tuple[str, ...]]) -> Predicate:
    """Return the predicate of a field selector over `fields` (label: path in the object).

    Raises:
        ApiError: 400, the field cannot be selected by, or the text is no selector.
    """
    if not text or not text.strip():
        return everything
    terms = [_term(part, fields) for part in text.split(",")]
    return lambda obj: all(term(obj) for term in terms)


def _term(text: str, fields: Mapping[str, tuple[str, ...]]) -> Predicate:
    match = re.match(r"^\s*([^\s!=]+)\s*(==|=|!=)\s*(.*?)\s*$", text)
    if match is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    field, operator, wanted = match.groups()
    if field not in fields:
        raise bad_request(f"field label not supported: {field}")
    path = fields[field]
    if operator == "!=":
        return lambda obj: as_text(value_at(obj, path)) != wanted
    return lambda obj: as_text(value_at(obj, path)) == wanted


def value_at(obj: Any, path: tuple[str, ...]) -> Any:
    """Return what lies at `path`, None where the way ends before."""
    for step in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(step)
    return obj


def as_text(value: Any) -> str:
    """Return a field's value as selectors compare it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def single_name(text: str | None) -> str | None:
    """Return the name when the selector asks for exactly one object by `metadata.name`, for a quick lookup."""
    match = re.fullmatch(r"metadata\.name==?([^,=!]+)", text or "")
    return match.group(1) if match else None
