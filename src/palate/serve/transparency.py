"""``/transparency``: what the service goes by, as a page in English or Chinese; ``/v1/transparency`` the same as JSON.

The page needs no script. It says what ``explaining.transparency`` says, and nothing of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from palate.errors import InvalidInput
from palate.serve.api import query_of, reply
from palate.serve.dashboard import CSP

if TYPE_CHECKING:
    from palate.engine import Engine

_TEMPLATES = Path(__file__).parent / "dashboard" / "templates"


def routes(engine: Engine) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""
    page = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True).get_template("transparency.html")

    @get("/v1/transparency")
    async def told() -> Response[bytes]:
        """What this service goes by."""
        return reply(await asyncio.to_thread(engine.transparency))

    @get("/transparency")
    async def shown(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The same as a page."""
        lang = query_of(request, ("lang",)).get("lang") or _preferred(request)
        if lang not in ("en", "zh"):
            raise InvalidInput(f"lang is {lang[:20]!r}; use en or zh.", "lang")
        found = await asyncio.to_thread(engine.transparency)
        headers = {"content-security-policy": CSP, "cache-control": "no-store", "x-frame-options": "DENY"}
        trained = f"{datetime.fromtimestamp(found.model.created / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        text = page.render(found=found, lang=lang, trained=trained if found.model.created else "")
        return Response(text.encode(), media_type="text/html", headers=headers)

    return [told, shown]


def _preferred(request: Request[Any, Any, Any]) -> str:
    """The language that the reader's browser asks for first."""
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"
