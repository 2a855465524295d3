"""The hot routes, straight on ASGI: one decode, the engine, one encode.

An event is acknowledged once it is durable and folded into the state, so that the very next ranking reflects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from palate.errors import InvalidInput, MalformedBody, PalateError, TooLarge
from palate.requests import parse_request
from palate.serve.gate import Gate
from palate.serve.mailbox import Mailbox
from palate.serve.metrics import Metrics
from palate.serve.security import ErrorBody, ErrorDetail
from palate.types import Event, IngestResult, RankRequest, RecommendRequest, Rejected
from palate.wire import decode_events

if TYPE_CHECKING:
    from palate.engine import Engine

_encode = msgspec.json.Encoder().encode
_THREAD_BYTES = 256 * 1024
"""Bodies above this are decoded beside the event loop, so that one import doesn't hold up everybody's rankings."""

Reply = tuple[int, bytes]
Handler = Callable[[bytes, bool], Awaitable[Reply]]


class RefusedEvents(ErrorBody, kw_only=True):
    """The answer to ``POST /v1/events`` when no event is good: the first sentence, and every event's own."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected]
    seq: int


class Hot:
    """``POST /v1/events``, ``/v1/rank`` and ``/v1/recommend``. ``handlers`` maps a path to (name, handler)."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self.engine = engine
        self.metrics = metrics
        self.limits = engine.settings.limits
        self.gate = Gate()
        self.at_once = engine.reranking is None
        """Whether a ranking is answered without ever waiting."""
        self._mailbox: Mailbox[IngestResult] = Mailbox()
        self.handlers: dict[str, tuple[str, Handler]] = {
            "/v1/events": ("events", self.events),
            "/v1/rank": ("rank", self.rank),
            "/v1/recommend": ("recommend", self.recommend),
        }

    async def rank(self, body: bytes, ndjson: bool) -> Reply:
        """``rank_now`` as a handler; where a language model may be asked about the order, nobody waits for it but who
        asked."""
        return self.rank_now(body) if self.at_once else await self._in_time(body, RankRequest, "rank")

    def rank_now(self, body: bytes) -> Reply:
        """Rank the caller's candidates; the engine checks what the types can't say.

        Errors: ``MalformedBody``, ``InvalidInput``, ``TooLarge``, ``Overloaded``.
        """
        self.gate.enter()
        start = perf_counter()
        ranking = self.engine.answer(parse_request(body, RankRequest))
        answer = _encode(ranking)
        self.metrics.ranked(ranking)
        self.metrics.latency["rank"].observe(perf_counter() - start)
        return 200, answer

    async def recommend(self, body: bytes, ndjson: bool) -> Reply:
        """``recommend_now`` as a handler, like ``rank``."""
        return self.recommend_now(body) if self.at_once else await self._in_time(body, RecommendRequest, "recommend")

    def recommend_now(self, body: bytes) -> Reply:
        """Retrieve, then rank. Errors as ``rank_now``."""
        self.gate.enter()
        start = perf_counter()
        ranking = self.engine.answer(parse_request(body, RecommendRequest))
        answer = _encode(ranking)
        self.metrics.ranked(ranking)
        self.metrics.latency["recommend"].observe(perf_counter() - start)
        return 200, answer

    async def _in_time(self, body: bytes, kind: type[RecommendRequest], name: str) -> Reply:
        self.gate.enter()
        start = perf_counter()
        ranking = await self.engine.answer_in_time(parse_request(body, kind))
        self.metrics.ranked(ranking)
        self.metrics.latency[name].observe(perf_counter() - start)
        return 200, _encode(ranking)

    async def events(self, body: bytes, ndjson: bool) -> Reply:
        """Accept events; the answer comes once they are durable and in the state.

        Errors: ``MalformedBody``, ``InvalidInput`` and ``TooLarge`` where no event is good, ``Overloaded``,
        ``Unavailable``.
        """
        self.gate.enter_events()
        start = perf_counter()
        if len(body) > _THREAD_BYTES:
            good, bad, oversize = await asyncio.to_thread(decode_events, body, self.limits, ndjson)
        else:
            good, bad, oversize = decode_events(body, self.limits, ndjson)
        if good:
            result = await self._submit(good, bad)
            result.rejected.sort(key=_index)
        else:
            _check_utf8(body)
            result = IngestResult(0, 0, bad, self.engine.state.seq)
        self.metrics.ingested(result)
        self.metrics.latency["events"].observe(perf_counter() - start)
        if result.accepted or result.duplicates or result.withheld:
            return 200, _encode(result)
        return _refuse(result, oversize)

    async def _submit(self, good: list[tuple[int, Event]], bad: list[Rejected]) -> IngestResult:
        count = len(good)
        since = self.gate.wait()
        self.metrics.waits(count)
        try:
            return await self._mailbox.outcome(lambda settle: self.engine.offer(good, bad, settle))
        finally:
            self.metrics.waits(-count)
            self.gate.done(since)


def _refuse(result: IngestResult, oversize: bool) -> Reply:
    kind: type[PalateError] = TooLarge if oversize else InvalidInput
    count = len(result.rejected)
    if not count:
        raise InvalidInput("The array is empty: send at least one event.")
    first = result.rejected[0]
    message = first.error if count == 1 else f"None of the {count} events is good. The first: {first.error}"
    detail = ErrorDetail(kind.code, message, f"[{first.index}]")
    return kind.status, _encode(RefusedEvents(error=detail, rejected=result.rejected, seq=result.seq))


def _index(entry: Rejected) -> int:
    return entry.index


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(
            f"The body is not valid UTF-8: byte {body[error.start]:#04x} at position {error.start}."
        ) from None
