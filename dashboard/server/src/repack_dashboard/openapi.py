"""The OpenAPI document, WebSocket messages included: `python -m repack_dashboard.openapi [FILE]` writes it.

The page's types are made from it, so it says exactly what goes over the line: what is None is left out, and
everything else that we answer is always there, also where the model has a default.
"""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from repack_contract.events import OperatorBatch, WorkerBatch
from repack_contract.messages import ClientMessage, ServerMessage
from repack_contract.progress import LogLine, Progress
from repack_contract.views import Problem

Json = dict[str, Any]
_REF = "#/components/schemas/{model}"


def document(app: FastAPI) -> Json:
    """Return the document of an application."""
    result = get_openapi(
        title="dify-repack",
        version=app.version,
        description="Repackages Dify plugins for closed networks. Errors are RFC 9457 problem+json (`Problem`). "
        "The messages of the WebSocket (`/ws/tasks`, `/ws/tasks/{uid}`) are `ServerMessage` and `ClientMessage`.",
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas: Json = result.setdefault("components", {}).setdefault("schemas", {})
    messages: dict[str, Any] = {"ServerMessage": ServerMessage, "ClientMessage": ClientMessage}
    for name, kind in messages.items():
        _add(schemas, name, TypeAdapter(kind).json_schema(ref_template=_REF))
    for model in (Problem, Progress, LogLine, OperatorBatch, WorkerBatch):
        _add(schemas, model.__name__, model.model_json_schema(ref_template=_REF))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    _use_problems(result["paths"])
    sent = _reachable(schemas, _sent_by_browsers(result["paths"]) | {"ClientMessage"})
    for name, schema in schemas.items():
        _require_what_is_always_there(schema, is_sent=name in sent)
    return dict(_sorted(result))


def _add(schemas: Json, name: str, schema: Json) -> None:
    for inner, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(inner, definition)
    schemas[name] = schema


def _use_problems(paths: Json) -> None:
    """Say of every operation that its errors are problems, in place of FastAPI's own shape of errors."""
    problem = {"$ref": _REF.format(model="Problem")}
    answer = {"description": "It cannot be done.", "content": {"application/problem+json": {"schema": problem}}}
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = answer


def _sent_by_browsers(paths: Json) -> set[str]:
    bodies = [
        operation.get("requestBody", {})
        for path, operations in paths.items()
        if "/ingest/" not in path
        for operation in operations.values()
    ]
    return _references(bodies)


def _reachable(schemas: Json, names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _references(schemas.get(name, {})) - found
    return found


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(item) for item in value))
    return set()


def _require_what_is_always_there(schema: Json, *, is_sent: bool) -> None:
    """Name the properties that are always there: of what browsers send those without a default, and what is fixed."""
    properties: Json = schema.get("properties", {})
    own = set(schema.get("required", []))
    always = [
        name
        for name, part in properties.items()
        if name in own or "const" in part or not (is_sent or _may_be_null(part))
    ]
    if always:
        schema["required"] = sorted(always)


def _may_be_null(part: Json) -> bool:
    return any(option.get("type") == "null" for option in part.get("anyOf", ())) or part.get("type") == "null"


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def text() -> str:
    """Return the document as the file that is committed; it depends on nothing but the code."""
    from repack_dashboard.app import bare_app  # noqa: PLC0415 - the app itself shows the document

    return json.dumps(document(bare_app()), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document to the file named, or to the terminal."""
    if arguments:
        Path(arguments[0]).write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
