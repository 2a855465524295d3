"""Arbitrary bytes, paths, headers and JSON: never a 5xx, always JSON in the wire's shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import palate
from palate.serve import create_app
from palate.serve.app import PalateApp

HOT = ["/v1/events", "/v1/rank", "/v1/recommend", "/v1/rerank", "/v2/rerank"]
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.sampled_from(
    ["event", "item", "user", "session", "items", "id", "fields", "timestamp", "type", "value", "text", "ranking", "k",
     "query", "context", "filter", "exclude", "seen", "policy", "explain", "interaction", "impression", "eq", "and",
     "not", "tea-0", "u1", "keep", "greedy", "2026-01-31", "", "\0", "é", "茶", "deleted"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(), st.integers(-3, 3), st.just(10**30), st.floats(allow_nan=False, allow_infinity=False)
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS, st.text(max_size=8))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
EVENTS = st.fixed_dictionaries(
    {"event": st.sampled_from(["item", "user", "impression", "interaction"])},
    optional={
        "item": WORDS, "user": WORDS, "items": st.lists(WORDS, max_size=3), "value": SCALARS, "timestamp": SCALARS,
        "fields": st.dictionaries(WORDS, SCALARS, max_size=3), "deleted": st.booleans(), "text": SCALARS,
    },
)  # fmt: skip
REQUESTS = st.fixed_dictionaries(
    {"items": st.lists(WORDS, min_size=1, max_size=4, unique=True)},
    optional={
        "user": WORDS, "k": st.one_of(st.integers(1, 5), SCALARS), "query": st.text(max_size=20),
        "explain": st.booleans(),
        "context": st.dictionaries(WORDS, SCALARS, max_size=3), "exclude": st.lists(WORDS, max_size=3),
        "filter": st.dictionaries(WORDS, VALUES, max_size=3), "seen": st.sampled_from(["auto", "drop", "keep"]),
        "policy": st.sampled_from(["greedy", "plackett_luce", "epsilon_greedy", "linucb", "thompson", "x"]),
    },
)  # fmt: skip
DOCUMENTS = st.fixed_dictionaries(
    {
        "query": st.text(max_size=20),
        "documents": st.lists(
            st.one_of(st.text(max_size=20), st.dictionaries(st.sampled_from(["id", "text", "x"]), VALUES, max_size=3)),
            max_size=4,
        ),
    },
    optional={
        "top_n": st.one_of(st.integers(-2, 5), SCALARS), "return_documents": SCALARS, "user": WORDS, "session": WORDS,
        "rank_fields": st.lists(st.sampled_from(["text", "x", "id", "\0", ""]), max_size=3), "taste": SCALARS,
        "explain": st.booleans(), "model": SCALARS, "priority": SCALARS, "truncation": SCALARS,
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Iterator[PalateApp]:
    path = tmp_path_factory.mktemp("fuzz") / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(world)
        yield create_app(engine, engine.settings)


def ask(app: PalateApp, method: str, path: bytes, body: bytes = b"", query: bytes = b"", **headers: bytes) -> int:
    """One request straight into the application; the answer is checked for its shape."""
    sent: list[Any] = []
    head = {b"host": b"localhost", b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    head |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": list(head.items()),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    status = int(sent[0]["status"])
    content = b"".join(message.get("body", b"") for message in sent[1:])
    assert status < 500, (method, path, body[:2000], content)
    if status >= 400 and method != "HEAD":
        assert set(json.loads(content)["error"]) == {"code", "message", "where"}
    return status


@FEW
@given(path=st.sampled_from(HOT), body=st.binary(max_size=200))
def test_any_bytes(app: PalateApp, path: str, body: bytes) -> None:
    assert ask(app, "POST", path.encode(), body) >= 400


@FEW
@given(path=st.sampled_from(HOT), value=VALUES)
def test_any_json(app: PalateApp, path: str, value: Any) -> None:
    ask(app, "POST", path.encode(), json.dumps(value).encode())


@FEW
@given(events=st.lists(EVENTS, max_size=3), lines=st.booleans())
def test_events_nearly_right(app: PalateApp, events: list[Any], lines: bool) -> None:
    if lines:
        body = b"\n".join(json.dumps(event).encode() for event in events)
        ask(app, "POST", b"/v1/events", body, content_type=b"application/x-ndjson")
    else:
        ask(app, "POST", b"/v1/events", json.dumps(events).encode())


@FEW
@given(request=REQUESTS)
def test_requests_nearly_right(app: PalateApp, request: dict[str, Any]) -> None:
    ask(app, "POST", b"/v1/rank", json.dumps(request).encode())
    ask(app, "POST", b"/v1/recommend", json.dumps({k: v for k, v in request.items() if k != "items"}).encode())


@FEW
@given(request=DOCUMENTS, path=st.sampled_from([b"/v1/rerank", b"/v2/rerank"]))
def test_documents_nearly_right(app: PalateApp, request: dict[str, Any], path: bytes) -> None:
    ask(app, "POST", path, json.dumps(request).encode())


@FEW
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]),
    start=st.sampled_from(
        ["/", "/v1/users/", "/v1/items/", "/v1/explain/", "/v1/models/", "/static/", "/docs", "/v1/"]
    ),
    rest=st.text(st.sampled_from("ab/%0f2.:;=&+~ "), max_size=20),
    query=st.text(st.sampled_from("prefixlmt=&%fF0+1"), max_size=20),
)
def test_any_path(app: PalateApp, method: str, start: str, rest: str, query: str) -> None:
    ask(app, method, (start + rest).encode(), query=query.encode())


@FEW
@given(name=st.sampled_from(["host", "origin", "authorization", "cookie", "content_type", "content_length", "accept",
                             "content_encoding", "sec_fetch_site", "x_api_key"]),
       value=st.binary(max_size=40))  # fmt: skip
def test_any_header(app: PalateApp, name: str, value: bytes) -> None:
    for method, path in (("POST", b"/v1/rank"), ("GET", b"/v1/models"), ("POST", b"/login"), ("GET", b"/")):
        ask(app, method, path, b'{"items":["tea-0"]}' if method == "POST" else b"", **{name: value})
