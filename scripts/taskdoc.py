"""Tables for docs/task.md, made from the CRD and the types of conditions."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from repack_contract.conditions import ConditionType
from repack_contract.schema import crd

Json = dict[str, Any]

_LIMITS = (("minimum", "≥ {}"), ("maximum", "≤ {}"), ("maxLength", "≤ {} characters"), ("maxItems", "≤ {} entries"))


def fields_table(part: str) -> str:
    """Return the Markdown table of the fields of `spec` or `status`."""
    root = _schema()["properties"][part]
    rows = ["| field | value | default | meaning |", "|---|---|---|---|"]
    for path, schema, required in _walk(root):
        default = "required" if required and part == "spec" else _default(schema)
        rows.append(f"| `{path}` | {_value(schema)} | {default} | {_cell(schema.get('description', ''))} |")
    return "\n".join(rows)


def rules_list() -> str:
    """Return the sentences of all rules that the API server enforces, as a Markdown list."""
    return "\n".join(f"- {message}" for message in _messages(_schema()))


def conditions_table() -> str:
    """Return the Markdown table of the conditions."""
    nodes = ast.walk(ast.parse(inspect.getsource(ConditionType)))
    values = [node.value for node in nodes if isinstance(node, ast.Expr)]
    _of_the_class, *sentences = [str(value.value) for value in values if isinstance(value, ast.Constant)]
    rows = [f"| `{kind.value}` | {_cell(text)} |" for kind, text in zip(ConditionType, sentences, strict=True)]
    return "\n".join(["| condition | meaning |", "|---|---|", *rows])


def _schema() -> Json:
    schema: Json = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _walk(schema: Json, before: str = "") -> Iterator[tuple[str, Json, bool]]:
    for name, field in schema.get("properties", {}).items():
        path = f"{before}{name}"
        yield path, field, name in schema.get("required", ())
        if field["type"] == "object":
            yield from _walk(field, f"{path}.")
        elif field["type"] == "array":
            yield from _walk(field["items"], f"{path}[].")


def _value(schema: Json) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = "time" if schema.get("format") == "date-time" else schema["type"]
    limits = [text.format(schema[key]) for key, text in _LIMITS if key in schema]
    return " ".join([kind, *([f"({', '.join(limits)})"] if limits else [])])


def _default(schema: Json) -> str:
    value = schema.get("default")
    if value is None or isinstance(value, dict):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _messages(schema: Json) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for field in schema.get("properties", {}).values():
        yield from _messages(field)
    if "items" in schema:
        yield from _messages(schema["items"])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
