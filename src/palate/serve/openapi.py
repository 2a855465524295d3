"""The OpenAPI 3.1 document: schemas of the very structs that are decoded and encoded, for every route.

Operations are declared in one table; routes that a plugin of the service adds (the dashboard's pages) are taken from
the router, so that nothing served is missing.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from palate import __version__
from palate.chat.answer import ChatAnswer, ChatRequest
from palate.config import Limits, Settings
from palate.documents import RerankRequest
from palate.erasure import Forgotten
from palate.experiment import Experiment
from palate.experiment.report import ExperimentReport
from palate.explaining.importance import ModelExplanation
from palate.explaining.item import ItemExplanation
from palate.explaining.transparency import Transparency
from palate.rights import Correction
from palate.serve.api import Health, ItemView, ModelList, Status, Training, UserList
from palate.serve.dashboard import ItemCards, ItemQuery
from palate.serve.experiments import Assignment, ExperimentList
from palate.serve.hot import RefusedEvents
from palate.serve.login import Login, Session
from palate.serve.operation import Operation
from palate.serve.rerank import RerankAnswer, RerankAnswerV1
from palate.serve.rights import SessionExport, UserExport
from palate.serve.security import COOKIE, ErrorBody
from palate.serve.worth import WINDOW, WorthReport
from palate.settings_policy import POLICIES
from palate.types import Event, IngestResult, ModelInfo, Ranking, RankRequest, RecommendRequest, UserProfile

_REASONS = {
    200: "The answer.",
    201: "Begun.",
    202: "Accepted; the work goes on in the background.",
    304: "Not changed since the ETag that was sent.",
    303: "See the page that Location names.",
    400: "The body, a path or a query can't be read.",
    401: "No key or session, or an unknown one.",
    403: "The Host, the Origin or the kind of session is not allowed here.",
    404: "There is no such thing.",
    409: "The present state does not allow it.",
    410: "The decision has expired.",
    413: "A body or a text is over its limit.",
    415: "The body is neither JSON nor NDJSON.",
    422: "A value breaks the rules; `where` names it.",
    429: "Too much waits for the disk; try again after Retry-After seconds.",
    503: "Not now: the disk refuses to write, or the service is starting or closing.",
}
_COMMON = (401, 403)
_POSTED = (400, 413, 415)
_LAST: dict[int, Any] = {200: dict[str, Any] | None}
_KEPT = (400, 422, 503)
_ERASED = {202: Forgotten}, (*_POSTED, 409, 422, 429, 503)
_REF = "#/components/schemas/{name}"


def operations() -> dict[tuple[str, str], Operation]:
    """The table: (method, path) → operation."""
    return {
        ("post", "/v1/events"): Operation(
            "Send events: one, an array, or NDJSON. Answered once they are durable and in the state; good events are "
            "kept when others are rejected.",
            "events",
            {200: IngestResult, 413: RefusedEvents, 422: RefusedEvents},
            (*_POSTED, 422, 429, 503),
            Event,
            batch=True,
        ),
        ("post", "/v1/rank"): Operation(
            "Rank the candidates you send for one person, now.",
            "ranking",
            {200: Ranking},
            (*_POSTED, 422, 503),
            RankRequest,
        ),
        ("post", "/v1/recommend"): Operation(
            "Retrieve candidates from the catalogue, then rank them.",
            "ranking",
            {200: Ranking},
            (*_POSTED, 422, 503),
            RecommendRequest,
        ),
        ("post", "/v1/chat"): Operation(
            "One turn of a conversation: words become wishes that this answer and the next rankings obey. With "
            "`stream`, server-sent events: understood, ranking, done.",
            "ranking",
            {200: ChatAnswer},
            (*_POSTED, 422, 429, 503),
            ChatRequest,
        ),
        ("post", "/v1/rerank"): Operation(
            "Order documents by a query, for a person where one is named, as Jina's and Cohere's first clients ask.",
            "ranking",
            {200: RerankAnswerV1},
            (*_POSTED, 422, 429, 503),
            RerankRequest,
        ),
        ("post", "/v2/rerank"): Operation(
            "Order documents by a query, for a person where one is named, as Cohere's second client asks.",
            "ranking",
            {200: RerankAnswer},
            (*_POSTED, 422, 429, 503),
            RerankRequest,
        ),
        ("get", "/v1/explain/{ranking}/{item}"): Operation(
            "Why an item stood where it stood: contributions that add up to its score, and by group. With `words`, the "
            "reasons as a text of that language, by a language model where one is configured and says nothing else; "
            "with `counterfactuals`, where it would stand had the person not done what it owes most to, or done one "
            "thing more, ranked for real; with `lime`, a linear model near it.",
            "ranking",
            {200: ItemExplanation},
            (400, 404, 410, 422),
            query={
                "words": {"type": "string", "enum": ["en", "zh"]},
                "counterfactuals": {"type": "boolean", "default": False},
                "lime": {"type": "boolean", "default": False},
            },
        ),
        ("get", "/v1/experiments"): Operation(
            "All experiments, those that have ended included.", "experiments", {200: ExperimentList}
        ),
        ("post", "/v1/experiments"): Operation(
            "Start an experiment: its arms rank for the people who take part, each for some or both interleaved.",
            "experiments",
            {201: Experiment},
            (*_POSTED, 404, 409, 422, 503),
            Experiment,
        ),
        ("get", "/v1/experiments/{name}"): Operation(
            "How an experiment stands: people, means, differences and guardrails with intervals that always hold.",
            "experiments",
            {200: ExperimentReport},
            (400, 404, 422),
        ),
        ("post", "/v1/experiments/{name}/stop"): Operation(
            "Rank everybody as before; what people did until then, and within their horizon, still counts.",
            "experiments",
            {200: Experiment},
            (400, 404, 409, 422, 503),
        ),
        ("get", "/v1/experiments/{name}/assignment"): Operation(
            "The arm of a user or session, for what is shown beside a ranking.",
            "experiments",
            {200: Assignment},
            (400, 404, 422),
            query={"user": {"type": "string"}, "session": {"type": "string"}},
        ),
        ("get", "/v1/users"): Operation(
            "Users whose id starts with a prefix, the most active first.",
            "users and items",
            {200: UserList},
            (400, 422),
            query={"prefix": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 1000}},
        ),
        ("get", "/v1/users/{user}"): Operation(
            "What is believed of a user; `known` is false for one that no event names.",
            "users and items",
            {200: UserProfile},
            (400, 422),
        ),
        ("patch", "/v1/users/{user}"): Operation(
            "Correct a profile: mute or pin tags and words, opt out of profiling or in again. The next ranking obeys.",
            "users and items",
            {200: UserProfile},
            (*_POSTED, 409, 422, 429, 503),
            Correction,
        ),
        ("delete", "/v1/users/{user}"): Operation(
            "Make a user unknown from now on, and erase them in the background.", "users and items", *_ERASED
        ),
        ("get", "/v1/users/{user}/export"): Operation(
            "Everything kept of a user: an object, or NDJSON if accepted.", "users and items", {200: UserExport}, _KEPT
        ),
        ("delete", "/v1/sessions/{session}"): Operation(
            "Make an anonymous session unknown, and erase it in the background.", "users and items", *_ERASED
        ),
        ("get", "/v1/sessions/{session}/export"): Operation(
            "Everything kept of an anonymous session, likewise.",
            "users and items",
            {200: SessionExport},
            (400, 422, 503),
        ),
        ("get", "/v1/items/{item}"): Operation(
            "An item of the catalogue and its fields.", "users and items", {200: ItemView}, (400, 404, 422)
        ),
        ("get", "/v1/models"): Operation("Ranking artefacts, and what is learnt online.", "models", {200: ModelList}),
        ("get", "/v1/models/{version}/importance"): Operation(
            "What a model goes by, over logged decisions: importance and dependence of features, a tree that stands "
            "for it, and how often what it puts first is taken up. A second or two.",
            "models",
            {200: ModelExplanation},
            (400, 404, 422),
        ),
        ("get", "/v1/language/report"): Operation(
            "What each language part gains and costs, by the logs.", "models", {200: WorthReport}, (422,), query=WINDOW
        ),
        ("get", "/v1/transparency"): Operation(
            "What this service goes by, as it is configured and running: main parameters, data used and not, who else "
            "has a say, how long things are kept, and how each is changed.",
            "service",
            {200: Transparency},
        ),
        ("get", "/transparency"): Operation(
            "The same as a page, in English or Chinese.",
            "service",
            {200: "text/html"},
            (422,),
            query={"lang": {"type": "string", "enum": ["en", "zh"]}},
            name="get_transparency_page",
        ),
        ("post", "/v1/models/{version}/activate"): Operation(
            "Let a ranking artefact answer from now on.", "models", {200: ModelInfo}, (*_POSTED, 404, 409, 422)
        ),
        ("post", "/v1/models/rollback"): Operation(
            "Let the model answer that answered before this one.", "models", {200: ModelInfo}, (*_POSTED, 404, 409, 422)
        ),
        ("post", "/v1/train"): Operation(
            "Train in the background; the best blend on the validation window is swapped in, unless it is worse than "
            "the model that serves on choices that neither learnt from (`against` of the model).",
            "models",
            {202: Training},
            (*_POSTED, 409, 422),
        ),
        ("get", "/v1/status"): Operation("The service at a glance.", "service", {200: Status}),
        ("get", "/v1/evaluation"): Operation(
            "The latest evaluation report, as `palate evaluate` wrote it.", "service", {200: dict[str, Any]}, (404,)
        ),
        ("get", "/metrics"): Operation("Metrics in Prometheus' text format.", "service", {200: "text/plain"}),
        ("get", "/livez"): Operation("The process answers.", "service", {200: Health}, open=True),
        ("get", "/readyz"): Operation(
            "Whether traffic should be sent here.", "service", {200: Health, 503: Health}, open=True
        ),
        ("post", "/login"): Operation(
            "Trade an API key for the dashboard's session cookie.",
            "dashboard",
            {200: Session, 303: None},
            (*_POSTED, 409, 422),
            Login,
            open=True,
        ),
        ("get", "/login"): Operation(
            "The page to sign in to the dashboard.", "dashboard", {200: "text/html", 303: None}, open=True
        ),
        ("get", "/"): Operation("The dashboard.", "dashboard", {200: "text/html", 303: None}),
        ("get", "/static/{name}"): Operation(
            "A file of the dashboard.", "dashboard", {200: "*/*", 304: None}, (404,), open=True
        ),
        ("get", "/favicon.ico"): Operation("The dashboard's mark.", "dashboard", {200: "image/svg+xml"}, open=True),
        ("post", "/dashboard/items"): Operation(
            "Titles and tags of items, for the dashboard.", "dashboard", {200: ItemCards}, (*_POSTED, 422), ItemQuery
        ),
        ("get", "/dashboard/evaluation"): Operation("The last evaluation, or null.", "dashboard", _LAST),
        ("get", "/dashboard/replay"): Operation("The last `palate replay`, or null.", "dashboard", _LAST),
        ("post", "/logout"): Operation("End the dashboard's session.", "dashboard", {200: Session}, _POSTED),
        ("get", "/docs"): Operation("This document as a page.", "service", {200: "text/html"}),
        ("get", "/openapi.json"): Operation("This document.", "service", {200: dict[str, Any]}),
    }


def build(app: Litestar, settings: Settings) -> dict[str, Any]:
    """The document of a service: the table, and every other route of ``app``."""
    table = operations()
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} & set(route.methods):
                table.setdefault((method.lower(), route.path_format), _page(route, method))
    structs = _structs(table)
    schemas, components = msgspec.json.schema_components(structs, ref_template=_REF)
    found = dict(zip(structs, schemas, strict=True))
    _tighten(components, settings.limits)
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in table.items():
        paths.setdefault(path, {})[method] = _describe(method, path, operation, found, settings.limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Palate",
            "version": __version__,
            "summary": "Real-time personalised ranking that understands language.",
            "description": "Ids in paths are one percent-encoded segment. Timestamps are Unix milliseconds, UTC; "
            "events may carry ISO-8601 instead. Unknown keys are errors.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"key": []}, {"session": []}] if settings.serve.keys else [],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _structs(table: dict[tuple[str, str], Operation]) -> list[Any]:
    found: dict[Any, None] = {ErrorBody: None}
    for operation in table.values():
        for kind in (operation.request, *operation.answers.values()):
            if kind is not None and not isinstance(kind, str):
                found[kind] = None
    return list(found)


def _page(route: HTTPRoute, method: str) -> Operation:
    """A route that isn't in the table: its handler's own words."""
    handler = next(handler for handler in route.route_handlers if method in handler.http_methods)
    text = (getattr(handler.fn, "__doc__", None) or f"A page of the dashboard: {route.path_format}").strip()
    media = str(getattr(handler.media_type, "value", handler.media_type) or "text/html").split(";")[0]
    return Operation(text.split("\n")[0], "dashboard", {200: media}, (404,))


def _describe(method: str, path: str, operation: Operation, schemas: dict[Any, Any], limits: Limits) -> dict[str, Any]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    words = [part.strip("{}") for part in path.strip("/").removeprefix("v1/").split("/")]
    described: dict[str, Any] = {
        "operationId": operation.name or "_".join([method, *(word.replace(".", "_") or "home" for word in words)]),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *({"name": n, "in": "path", "required": True, "schema": _id(limits)} for n in names),
            *({"name": n, "in": "query", "schema": schema} for n, schema in operation.query.items()),
        ],
        "responses": {},
    }
    if operation.request is not None:
        described["requestBody"] = {"required": True, "content": _request(operation, schemas, limits)}
    if operation.open:
        described["security"] = []
    error = {"application/json": {"schema": schemas[ErrorBody]}}
    errors = operation.errors if path in ("/livez", "/readyz") else (*_COMMON, *operation.errors)
    responses = {status: _response(status, error) for status in errors}
    for status, kind in operation.answers.items():
        content: dict[str, Any] | None = _json(schemas[kind]) if not isinstance(kind, str | None) else None
        if isinstance(kind, str):
            content = {kind: {}}
        if status in responses:
            content = _json({"anyOf": [schemas[kind], schemas[ErrorBody]]})
        responses[status] = _response(status, content)
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return described


def _request(operation: Operation, schemas: dict[Any, Any], limits: Limits) -> dict[str, Any]:
    schema = schemas[operation.request]
    if not operation.batch:
        return _json(schema)
    many = {"type": "array", "items": schema, "minItems": 1, "maxItems": limits.batch_events}
    line = {"type": "string", "description": "One event a line.", "contentMediaType": "application/x-ndjson"}
    return {**_json({"anyOf": [schema, many]}), "application/x-ndjson": {"schema": line}}


def _response(status: int, content: dict[str, Any] | None) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _REASONS[status]}
    if content is not None:
        described["content"] = content
    if status in (429, 503):
        described["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return described


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _id(limits: Limits) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": limits.id_bytes}


def _tighten(components: dict[str, Any], limits: Limits) -> None:
    """What the types can't say and ``wire`` checks: sizes of ids, lists and k."""
    for name in ("RankRequest", "RecommendRequest"):
        properties = components[name]["properties"]
        properties["k"] = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": limits.k}, {"type": "null"}]}
        properties["k"]["default"] = None
        properties["policy"] = {"enum": [*POLICIES, None], "default": None}
        properties["exclude"]["maxItems"] = limits.candidates
    components["RankRequest"]["properties"]["items"] |= {"minItems": 1, "maxItems": limits.candidates}
    properties = components["RerankRequest"]["properties"]
    properties["documents"] |= {"minItems": 1, "maxItems": limits.candidates}
    properties["top_n"] = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None}
    properties["taste"] |= {"minimum": 0, "maximum": 1}
    for name in ("Item", "User", "Impression", "Interaction", "Candidate"):
        for key in ("item", "user", "id"):
            schema = components[name]["properties"].get(key)
            if schema is not None and schema.get("type") == "string":
                schema |= _id(limits)
    for name in ("Item", "User", "Candidate"):
        components[name]["properties"]["fields"]["maxProperties"] = limits.fields
