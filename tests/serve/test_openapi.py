"""The OpenAPI document against the running service: complete, and every documented path answers as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

import palate
from palate.config import load
from palate.serve import create_app
from tests.serve.service import Service, Start, ndjson

BODIES: dict[str, Any] = {
    "/v1/events": {"event": "interaction", "user": "u1", "item": "tea-0", "text": "good"},
    "/v1/rank": {"user": "u1", "items": ["tea-0", {"id": "wine-1", "fields": {"price": 2.0}}, "no"], "explain": True},
    "/v1/recommend": {"user": "u1", "k": 5, "query": "tea", "context": {"device": "phone"}, "explain": True},
    "/v1/chat": {"user": "u1", "text": "no tea", "k": 3},
    "/login": {"key": "x"},
    "/dashboard/items": {"ids": ["tea-0", "nothing"]},
    "/v1/train": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    service = start(tmp_path_factory.mktemp("openapi") / "shop.palate")
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(world), headers=headers).status_code == 200
    return service


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    return service.request("GET", "/openapi.json").json()


def test_every_served_route_is_documented_and_no_other(document: dict[str, Any], tmp_path: Path) -> None:
    with palate.open(tmp_path / "shop.palate", language={"encoder": "hashing"}) as engine:
        app = create_app(engine, load(None, environ={}))
    served = {
        (method.lower(), route.path_format)
        for route in app.litestar.routes
        for method in getattr(route, "methods", ())
        if method not in ("OPTIONS", "HEAD")
    }
    served |= {("post", path) for path in app.hot.handlers}
    assert {(method, path) for path, methods in document["paths"].items() for method in methods} == served


def test_the_document_is_sound(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    known = set(document["components"]["schemas"])
    assert references(document) <= known
    assert {"RankRequest", "RecommendRequest", "Interaction", "Item", "User", "Impression", "Ranking"} <= known


def test_every_documented_path_answers_as_documented(service: Service, document: dict[str, Any]) -> None:
    """``/v1/train`` is last, so that nothing trains beside the others."""
    for path, methods in sorted(document["paths"].items(), key=lambda pair: pair[0] == "/v1/train"):
        for method, operation in methods.items():
            check(service, document, method, path, operation)


def check(service: Service, document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> None:
    body: dict[str, Any] = {"json": BODIES[path]} if method == "post" and path in BODIES else {}
    if body:
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            validate(document, schema, body["json"])
    answer = service.request(method.upper(), fill(service, path), **body)
    place = f"{method} {path} → {answer.status_code} {answer.text[:300]}"
    assert str(answer.status_code) in operation["responses"], place
    assert answer.status_code < 500, place
    content = operation["responses"][str(answer.status_code)].get("content", {})
    media = answer.headers.get("content-type", "").split(";")[0]
    if content:
        assert media in content or "*/*" in content, place
    if media == "application/json" and "schema" in content.get(media, {}):
        validate(document, content[media]["schema"], answer.json())


def fill(service: Service, path: str) -> str:
    if path == "/v1/explain/{ranking}/{item}":
        ranking = service.post("/v1/rank", BODIES["/v1/rank"]).json()["ranking"]
        return f"/v1/explain/{ranking}/tea-0"
    values = {"{user}": "u1", "{item}": "tea-0", "{version}": "v0001", "{name}": "page.css"}
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def references(value: Any) -> set[str]:
    """Names of all schemas that a document refers to."""
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(references(inner) for inner in value))
    return set()


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/recommend", "/v1/events"])
def test_errors_have_the_documented_shape(service: Service, document: dict[str, Any], path: str) -> None:
    for body, status in (({"nothing": 1}, 422), ([], 422)):
        answer = service.post(path, body)
        assert answer.status_code == status
        content = document["paths"][path]["post"]["responses"][str(status)]["content"]["application/json"]
        validate(document, content["schema"], answer.json())
        validate(document, {"$ref": "#/components/schemas/ErrorBody"}, answer.json())


def test_the_page_needs_no_network_and_names_every_path(service: Service, document: dict[str, Any]) -> None:
    page = service.request("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    assert [path for path in document["paths"] if f"<code>{path}</code>" not in page.text] == []


def test_metrics_are_in_prometheus_format(service: Service) -> None:
    text = service.request("GET", "/metrics").text
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {
        "palate_requests_total", "palate_request_seconds", "palate_events_total", "palate_log_position",
        "palate_non_finite_total", "palate_clamped_total", "palate_queue_events", "palate_model_info", "palate_ready",
    } <= names  # fmt: skip
    assert 'palate_model_info{version="' in text
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            float(value)
            assert name.split("{")[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") in names
