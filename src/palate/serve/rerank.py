"""``POST /v1/rerank`` and ``POST /v2/rerank``: the shapes of Cohere's and Jina's rerank calls.

``/v1`` answers both dialects at once: Jina's ``model``, ``object`` and ``usage``, Cohere's ``id`` and ``meta``;
documents come back unless ``return_documents`` is false, as Jina has it. ``/v2`` answers as Cohere's second version:
``id``, ``results``, ``meta``; documents only where asked for. Errors have the wire's own shape: the clients of both go
by the status.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from palate.documents import Placed, Reranked, RerankRequest
from palate.errors import Overloaded
from palate.requests import parse_request

if TYPE_CHECKING:
    from palate.engine import Engine

_AT_A_TIME = 2
"""Requests that are encoded at a time, in threads of their own: encoding takes as many cores as it gets."""
_WAITING = 32
_UNIT = 100
"""Documents of a search unit, as Cohere counts them."""
_encode = msgspec.json.Encoder().encode


class Version(msgspec.Struct):
    """Of the dialect."""

    version: str


class Units(msgspec.Struct):
    """What Cohere would bill: a unit is a query with up to a hundred documents. Palate bills nothing."""

    search_units: int


class Meta(msgspec.Struct, omit_defaults=True):
    """warnings: what was asked for and had no effect."""

    api_version: Version
    billed_units: Units
    warnings: list[str] = []


class Usage(msgspec.Struct):
    """Words that were read, as Palate counts them."""

    total_tokens: int
    prompt_tokens: int


class RerankAnswer(msgspec.Struct):
    """Cohere's answer, second version. ``results`` are the best first; ``index`` counts the documents as sent."""

    id: str
    results: list[Placed]
    meta: Meta


class RerankAnswerV1(RerankAnswer):
    """Cohere's first version and Jina's at once."""

    model: str
    usage: Usage
    object: str = "list"


def routes(engine: Engine) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""
    threads = ThreadPoolExecutor(_AT_A_TIME, "rerank")
    waiting = [0]

    async def ranked(request: Request[Any, Any, Any], documents: bool) -> tuple[Reranked, int]:
        asked = parse_request(await request.body(), RerankRequest)
        if asked.return_documents is None:
            asked.return_documents = documents
        if waiting[0] >= _WAITING:
            raise Overloaded("Too many documents wait to be encoded: send these again in a while.", 1.0)
        waiting[0] += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(threads, engine.documents.rank, asked)
        finally:
            waiting[0] -= 1
        return found, -(-len(asked.documents) // _UNIT)

    @post("/v1/rerank", status_code=200)
    async def first(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Order documents by a query, for a person where one is named: Jina's shape, and Cohere's first version."""
        found, units = await ranked(request, True)
        usage = Usage(found.words, found.words)
        meta = Meta(Version("1"), Units(units), found.notes)
        answer = RerankAnswerV1(str(uuid.uuid4()), found.results, meta, found.model, usage)
        return Response(_encode(answer), media_type="application/json")

    @post("/v2/rerank", status_code=200)
    async def second(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Order documents by a query, for a person where one is named: the shape of Cohere's second version."""
        found, units = await ranked(request, False)
        answer = RerankAnswer(str(uuid.uuid4()), found.results, Meta(Version("2"), Units(units), found.notes))
        return Response(_encode(answer), media_type="application/json")

    return [first, second]
