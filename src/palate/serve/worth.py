"""``/v1/language/report``: what each language part gains beside what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from palate.errors import InvalidInput
from palate.evaluate.worth import WorthReport, report
from palate.serve.api import query_of, reply

if TYPE_CHECKING:
    from palate.engine import Engine

_MOST = 100_000.0
WINDOW: dict[str, Any] = {"window": {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST}}
"""The query, for the OpenAPI document."""


def routes(engine: Engine) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""

    @get("/v1/language/report")
    async def worth(request: Request[Any, Any, Any]) -> Response[bytes]:
        """What each language part gains, from the logs, beside what it costs."""
        text = query_of(request, ("window",)).get("window", "60")
        try:
            minutes = float(text)
        except ValueError:
            minutes = 0.0
        if not 0.0 < minutes <= _MOST:
            raise InvalidInput(f"window is {text[:20]!r}; give minutes, up to {_MOST:,.0f}.", "window")
        return reply(await asyncio.to_thread(_report, engine, minutes))

    return [worth]


def _report(engine: Engine, minutes: float) -> WorthReport:
    log = engine.parts.decisions.log
    if log is not None:
        log.flush()
    return report(engine, () if log is None else log.read(), minutes)
