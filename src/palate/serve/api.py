"""Every route that isn't hot: users, items, explanations, models, training, status, evaluation, health, metrics.

Ids in paths are one percent-encoded segment, decoded once, so that any opaque id works.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from palate import __version__
from palate.config import Limits
from palate.errors import Conflict, CorruptArtefact, InvalidInput, MalformedBody, NotFound
from palate.feedback.summary import AspectOpinion
from palate.online.kept import OnlineStatus
from palate.serve.metrics import Latency, Metrics
from palate.types import Counts, FieldValue, ModelInfo
from palate.wire import check_id

if TYPE_CHECKING:
    from palate.engine import Engine

_encode = msgspec.json.Encoder().encode
_MAX_USERS = 1000


class UserRow(msgspec.Struct):
    """A user and the number of interactions known of them."""

    user: str
    interactions: int


class UserList(msgspec.Struct):
    """Users whose id starts with a prefix, the most active first."""

    users: list[UserRow]


class ItemView(msgspec.Struct):
    """An item of the catalogue; ``opinions``: what texts say of it, by aspect."""

    item: str
    title: str
    fields: dict[str, FieldValue]
    opinions: list[AspectOpinion] = []


class ModelList(msgspec.Struct):
    """All ranking artefacts, in order of creation; and what is learnt while one serves."""

    models: list[ModelInfo]
    online: OnlineStatus = msgspec.field(default_factory=OnlineStatus)


class Training(msgspec.Struct):
    """``idle``, ``running`` or ``failed: …``."""

    training: str


class Status(msgspec.Struct):
    """The service at a glance. ``model`` is the version that answers (``prior`` until one is trained).
    ``reencoding``: how the change to another encoder stands: ``idle``, ``encoding 12,000 of 20,000``, ``training``,
    ``waiting for …``, ``done`` or ``failed: …``."""

    version: str
    ready: bool
    uptime_seconds: float
    scene: str | None
    counts: Counts
    latency: dict[str, Latency]
    queue_events: int
    training: str
    reencoding: str
    model: str
    models: list[ModelInfo]


class Health(msgspec.Struct):
    """``ok``, or why not."""

    status: str


def routes(engine: Engine, metrics: Metrics, ready: Callable[[], bool]) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""
    return [*_reading(engine), *_models(engine), *_service(engine, metrics, ready)]


def _reading(engine: Engine) -> Sequence[HTTPRouteHandler]:
    limits = engine.settings.limits

    @get("/v1/users")
    async def users(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Users whose id starts with `prefix`, the most active first."""
        query = query_of(request, ("prefix", "limit"))
        limit = _whole_number(query.get("limit", "50"), "limit", _MAX_USERS)
        rows = await asyncio.to_thread(engine.users, query.get("prefix", ""), limit)
        return reply(UserList([UserRow(user, count) for user, count in rows]))

    @get("/v1/users/{user:str}")
    async def user(request: Request[Any, Any, Any]) -> Response[bytes]:
        """What is believed of a user; `known` is false for one that no event names."""
        return reply(engine.user(segment(request, "user", limits)))

    @get("/v1/items/{item:str}")
    async def item(request: Request[Any, Any, Any]) -> Response[bytes]:
        """An item of the catalogue and its fields."""
        name = segment(request, "item", limits)
        fields = engine.item(name)
        return reply(ItemView(name, engine.title(name), fields, engine.opinions(name)))

    @get("/v1/explain/{ranking:str}/{item:str}")
    async def explain(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Why an item stood where it stood: contributions that add up to its score; `words`: reasons worded."""
        ranking, name = segment(request, "ranking", limits), segment(request, "item", limits)
        query = query_of(request, ("words", "counterfactuals", "lime"))
        changes, local = (_flag(query, one) for one in ("counterfactuals", "lime"))
        return reply(await asyncio.to_thread(engine.explain, ranking, name, query.get("words", ""), changes, local))

    @get("/v1/evaluation")
    async def evaluation(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The latest evaluation report."""
        report = None if engine.path is None else Path(engine.path) / "evaluation" / "latest.json"
        if report is None or not report.is_file():
            raise NotFound("No evaluation has been run on this directory yet: run `palate evaluate`.")
        return Response(await asyncio.to_thread(report.read_bytes), media_type="application/json")

    return [users, user, item, explain, evaluation]


def _models(engine: Engine) -> Sequence[HTTPRouteHandler]:
    limits = engine.settings.limits

    @get("/v1/models")
    async def models(request: Request[Any, Any, Any]) -> Response[bytes]:
        """All ranking artefacts and which one answers."""
        return reply(ModelList(await asyncio.to_thread(engine.models), engine.online.status))

    @get("/v1/models/{version:str}/importance")
    async def importance(request: Request[Any, Any, Any]) -> Response[bytes]:
        """What a model goes by, over logged decisions."""
        return reply(await asyncio.to_thread(engine.importance, segment(request, "version", limits)))

    @post("/v1/models/{version:str}/activate", status_code=200)
    async def activate(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Let a ranking artefact answer from now on; the former one stays for a roll back."""
        no_body(await request.body())
        version = segment(request, "version", limits)
        try:
            return reply(await asyncio.to_thread(engine.activate, version))
        except CorruptArtefact as error:
            raise Conflict(f"{error.message} The former model goes on answering.", error.where) from None

    @post("/v1/models/rollback", status_code=200)
    async def rollback(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Let the model answer that answered before this one."""
        no_body(await request.body())
        try:
            return reply(await asyncio.to_thread(engine.rollback))
        except CorruptArtefact as error:
            raise Conflict(f"{error.message} The present model goes on answering.", error.where) from None

    @post("/v1/train", status_code=202)
    async def train(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Train in the background; the best blend on the validation window is swapped in, unless it is worse."""
        no_body(await request.body())
        if engine.training == "running":
            raise Conflict("A training is running already; GET /v1/status says when it has ended.")
        await asyncio.to_thread(engine.train_in_background)
        return reply(Training(engine.training), 202)

    return [models, importance, activate, rollback, train]


def _service(engine: Engine, metrics: Metrics, ready: Callable[[], bool]) -> Sequence[HTTPRouteHandler]:
    @get("/v1/status")
    async def status(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Counts, latencies, models and training at a glance."""
        known = await asyncio.to_thread(engine.models)
        return reply(
            Status(
                version=__version__,
                ready=ready(),
                uptime_seconds=round(time.time() - metrics.started, 3),
                scene=engine.settings.scene,
                counts=engine.counts(),
                latency={name: histogram.latency() for name, histogram in metrics.latency.items()},
                queue_events=metrics.queue,
                training=engine.training,
                reencoding=engine.reencoding.state,
                model=engine.model,
                models=known,
            )
        )

    @get("/metrics")
    async def prometheus(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Counters, histograms and gauges in Prometheus' text format."""
        page = metrics.render(engine).encode()
        return Response(page, media_type="text/plain; version=0.0.4")

    @get("/livez")
    async def livez() -> Response[bytes]:
        """The process answers."""
        return reply(Health("ok"))

    @get("/readyz")
    async def readyz() -> Response[bytes]:
        """Whether traffic should be sent here; 503 while starting and from the first moment of a shutdown."""
        return reply(Health("ok")) if ready() else reply(Health("starting or shutting down"), 503)

    return [status, prometheus, livez, readyz]


def reply(value: msgspec.Struct, status: int = 200) -> Response[bytes]:
    return Response(_encode(value), status_code=status, media_type="application/json")


def segment(request: Request[Any, Any, Any], name: str, limits: Limits) -> str:
    """An id of the path, decoded once. Errors: ``MalformedBody`` for broken UTF-8, ``InvalidInput`` for a bad id."""
    try:
        value = unquote_to_bytes(request.path_params[name]).decode()
    except UnicodeDecodeError:
        raise MalformedBody(f"The {name} in the path is not valid UTF-8.", name) from None
    check_id(value, name, limits)
    return value


def query_of(request: Request[Any, Any, Any], allowed: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=16
        )
    except ValueError:
        raise MalformedBody("The query string can't be read: percent-encode it as UTF-8.", "query") from None
    for name, _ in pairs:
        if name not in allowed:
            raise InvalidInput(f"The query parameter {name[:80]!r} is unknown; use {' or '.join(allowed)}.", name[:80])
    return dict(pairs)


def _whole_number(text: str, where: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidInput(f"{where} is {text[:40]!r}; it must be a whole number from 1 to {most}.", where)
    return int(text)


def _flag(query: dict[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise InvalidInput(f"{name} is {value[:40]!r}; use true or false.", name)
    return value == "true"


def no_body(body: bytes) -> None:
    if body.strip() not in (b"", b"{}"):
        raise InvalidInput("This request takes no body.")
