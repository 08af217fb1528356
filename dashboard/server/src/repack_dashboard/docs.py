"""The page `/docs`: the interface as plain HTML, made here because a closed network reaches no other place."""

from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}
h2{margin-top:2.5rem;border-bottom:1px solid #8884}code{font-family:ui-monospace,monospace}
details{margin:.6rem 0;padding:.4rem .8rem;border:1px solid #8884;border-radius:6px}summary{cursor:pointer}
table{border-collapse:collapse}td{padding:.15rem .8rem .15rem 0;vertical-align:top}
.method{display:inline-block;min-width:4.5rem;font-weight:700}.note{opacity:.75}
"""


def page(document: Json) -> str:
    """Return the page for an OpenAPI document."""
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(document["info"]["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info'].get('description', ''))}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"<h2>Requests</h2>{''.join(_operation(*operation) for operation in operations)}"
        f"<h2>Shapes</h2>{''.join(_shape(name, schemas[name]) for name in sorted(schemas))}</body></html>"
    )


def _operation(path: str, method: str, operation: Json) -> str:
    rows = "".join(
        _row(f"{item['name']} ({item['in']})", _kind(item.get("schema", {})), item.get("description", ""))
        for item in operation.get("parameters", [])
    )
    answers = "".join(
        _row(status, _content(answer), answer.get("description", ""))
        for status, answer in operation.get("responses", {}).items()
    )
    body = _row("body", _content(operation["requestBody"]), "") if "requestBody" in operation else ""
    return (
        f'<details><summary><span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code></summary>'
        f"<p>{escape(operation.get('description', ''))}</p><table>{rows}{body}{answers}</table></details>"
    )


def _shape(name: str, schema: Json) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        _row(f"{field}{'' if field in required else '?'}", _kind(part), part.get("description", ""))
        for field, part in schema.get("properties", {}).items()
    )
    summary = f"<summary><code>{escape(name)}</code></summary><p>{escape(schema.get('description', ''))}</p>"
    return f'<details id="{escape(name)}">{summary}<p>{_kind(schema)}</p><table>{rows}</table></details>'


def _row(name: str, kind: str, text: str) -> str:
    return f'<tr><td><code>{escape(name)}</code></td><td>{kind}</td><td class="note">{escape(text)}</td></tr>'


def _content(holder: Json) -> str:
    return " ".join(
        f"<code>{escape(media)}</code> {_kind(content.get('schema', {}))}"
        for media, content in holder.get("content", {}).items()
    )


def _kind(schema: Json) -> str:
    """Return the type of a value, with links to the shapes that it is made of."""
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " | ".join(_kind(option) for option in schema[key])
    if "const" in schema:
        return f"<code>{escape(repr(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("type") or "anything"))
