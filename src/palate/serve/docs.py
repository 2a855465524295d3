"""``/openapi.json`` and ``/docs``: the document, and a page of it that needs no network and no script."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
  background: Canvas; color: CanvasText }
details { border: 1px solid color-mix(in srgb, CanvasText 20%, Canvas); border-radius: .5rem; margin: .4rem 0;
  padding: .4rem .8rem }
summary { cursor: pointer } code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { overflow-x: auto; padding: .6rem; background: color-mix(in srgb, CanvasText 6%, Canvas) }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
.method { display: inline-block; min-width: 3.5rem; font-weight: 600 }
"""
_REF = "#/components/schemas/"


def routes(document: Callable[[], dict[str, Any]]) -> Sequence[HTTPRouteHandler]:
    """The handlers; ``document`` gives the finished OpenAPI document."""

    @get("/openapi.json")
    async def openapi_json() -> Response[bytes]:
        """The OpenAPI document."""
        return Response(msgspec.json.encode(document()), media_type="application/json")

    @get("/docs")
    async def docs_page() -> Response[bytes]:
        """The OpenAPI document as a page."""
        return Response(render(document()).encode(), media_type="text/html")

    return [openapi_json, docs_page]


def render(document: dict[str, Any]) -> str:
    """The document as one HTML page."""
    info = document["info"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    groups = "".join(f"<h2>{_text(tag)}</h2>{''.join(found)}" for tag, found in by_tag.items())
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{_text(info["title"])} API</title>'
        f"<style>{_STYLE}</style></head><body><h1>{_text(info['title'])} {_text(info['version'])}</h1>"
        f"<p>{_text(info['summary'])} {_text(info['description'])}</p>"
        f'<p><a href="/openapi.json">openapi.json</a></p>{groups}<h2>Schemas</h2>{schemas}</body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{_text(p['name'])}</code></td><td>{_text(p['in'])}</td><td>{_type(p['schema'])}</td></tr>"
        for p in operation["parameters"]
    )
    body = "".join(
        f"<tr><td><code>{_text(media)}</code></td><td>body</td><td>{_type(content['schema'])}</td></tr>"
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    answers = "".join(
        f"<tr><td>{status}</td><td>{_text(answer['description'])}</td><td>{_content(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<details id="{_text(operation["operationId"])}"><summary><span class="method">{method.upper()}</span> '
        f"<code>{_text(path)}</code> {_text(operation['summary'])}</summary>"
        f"<table>{parameters}{body}</table><table>{answers}</table></details>"
    )


def _content(answer: dict[str, Any]) -> str:
    return ", ".join(
        _type(content["schema"]) if "schema" in content else f"<code>{_text(media)}</code>"
        for media, content in answer.get("content", {}).items()
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        f"<tr><td><code>{_text(key)}</code></td><td>{_type(inner)}</td>"
        f"<td>{'required' if key in required else _default(inner)}</td></tr>"
        for key, inner in schema.get("properties", {}).items()
    )
    description = _text(schema.get("description", "")).replace("``", "")
    return (
        f'<details id="schema-{_text(name)}"><summary><code>{_text(name)}</code> {description}</summary>'
        f"<table>{rows}</table></details>"
    )


def _default(schema: dict[str, Any]) -> str:
    return f"default {_text(msgspec.json.encode(schema['default']).decode())}" if "default" in schema else ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = _text(schema["$ref"].removeprefix(_REF))
        return f'<a href="#schema-{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(inner) for inner in schema[key])
    if "enum" in schema:
        return " | ".join(f"<code>{_text(msgspec.json.encode(value).decode())}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    limits = [f"{key} {schema[key]}" for key in ("minLength", "maxLength", "minimum", "maximum") if key in schema]
    return _text(" ".join([str(schema.get("type", "any")), *limits]))


def _text(value: object) -> str:
    return html.escape(str(value))
