"""``POST /v1/chat``: one object, or, with ``stream``, server-sent events as far as the turn has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from palate.chat.answer import ChatRequest
from palate.requests import parse_request
from palate.serve.metrics import Metrics

if TYPE_CHECKING:
    from palate.engine import Engine

_TURNS = 8
"""At a time. A turn may wait for a language model: in threads of its own it keeps none that others need."""
_encode = msgspec.json.Encoder().encode


def routes(engine: Engine, metrics: Metrics) -> Sequence[HTTPRouteHandler]:
    """The handler, bound to an engine."""
    threads = ThreadPoolExecutor(_TURNS, "chat")

    @post("/v1/chat", status_code=200)
    async def chat(request: Request[Any, Any, Any]) -> Response[bytes] | Stream:
        """One turn of a conversation: words to wishes to the next ranking."""
        asked = parse_request(await request.body(), ChatRequest)
        if not asked.stream:
            answer = await _beside(threads, engine.talk.turn, asked)
            if answer.ranking is not None:
                metrics.ranked(answer.ranking)
            return Response(_encode(answer), media_type="application/json")
        steps = engine.talk.steps(asked)
        first = await _beside(threads, next, steps)  # what goes wrong goes wrong here, and has a status of its own
        return Stream(_sent(first, steps, metrics, threads), media_type="text/event-stream")

    return [chat]


async def _beside(threads: ThreadPoolExecutor, do: Callable[..., Any], *given: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(threads, do, *given)


async def _sent(
    first: tuple[str, Any], steps: Iterator[tuple[str, Any]], metrics: Metrics, threads: ThreadPoolExecutor
) -> AsyncIterator[bytes]:
    """``event: understood``, ``event: ranking`` where there is one, ``event: done`` with the whole answer."""
    step: tuple[str, Any] | None = first
    while step is not None:
        name, value = step
        if name == "ranking":
            metrics.ranked(value)
        yield b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(value))
        step = await _beside(threads, next, steps, None)
