"""The interface's description as a page that needs no script and nothing from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

STYLE = """:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 0 auto; padding: 1rem }
h2 { margin-top: 2.5rem; border-bottom: 1px solid }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
summary { cursor: pointer; padding: .3rem 0 }
summary b { display: inline-block; min-width: 3.5rem }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884 }
pre { overflow: auto; padding: .5rem; border: 1px solid #8884 }
"""


def description_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page_of(request.app.openapi()))

    @router.get("/static/docs.css")
    async def style() -> Response:
        return Response(STYLE, media_type="text/css")

    return router


def page_of(description: dict[str, Any]) -> str:
    """A description of OpenAPI as HTML."""
    groups: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["more"])[0]
            groups.setdefault(tag, []).append(_operation(description, method, path, operation))
    parts = [f"<h2>{escape(tag)}</h2>{''.join(held)}" for tag, held in groups.items()]
    title = escape(description["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="static/docs.css"></head><body><h1>{title}</h1>'
        f"<p>{escape(description['info'].get('description', ''))}</p>"
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(parts)}</body></html>"
    )


def _operation(description: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    name = f"<b>{method.upper()}</b> <code>{escape(path)}</code>"
    text = escape(operation.get("description", operation.get("summary", "")))
    parts = [f"<details><summary>{name} — {text}</summary>"]
    fields = [
        (each["name"], each["schema"], each.get("required", False), "")
        for each in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        schema = _resolved(description, next(iter(body.values()))["schema"])
        needed = schema.get("required", [])
        for field, inner in schema.get("properties", {}).items():
            fields.append((field, inner, field in needed, inner.get("description", "")))
        parts.append(f"<p>Body: <code>{escape(', '.join(body))}</code></p>")
    if fields:
        parts.append("<table><tr><th>field</th><th>type</th><th>meaning</th></tr>")
        for field, schema, is_needed, meaning in fields:
            kind = _kind(description, schema) + (", needed" if is_needed else "")
            default = schema.get("default")
            shown = "" if default is None else f" Default: {default!r}."
            parts.append(
                f"<tr><td><code>{escape(field)}</code></td><td>{escape(kind)}</td>"
                f"<td>{escape(str(meaning) + shown)}</td></tr>"
            )
        parts.append("</table>")
    answers = operation.get("responses", {})
    shown = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{escape(each.get('description', ''))}</td></tr>"
        for status, each in sorted(answers.items())
    )
    return "".join([*parts, f"<table><tr><th>status</th><th>when</th></tr>{shown}</table></details>"])


def _resolved(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    while "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(description: dict[str, Any], schema: dict[str, Any]) -> str:
    """A schema in words."""
    if "anyOf" in schema:
        kinds = [_kind(description, each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"list of {_kind(description, schema.get('items', {}))}"
    return str(schema.get("type", "any"))
