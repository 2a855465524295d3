"""A person's rights over HTTP, and in several workers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.service import NOW, Service, Start, ndjson


@pytest.fixture(scope="module", params=["1", "2"])
def service(
    request: Any, start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]
) -> Iterator[Service]:
    path = tmp_path_factory.mktemp(f"rights{request.param}") / "shop.palate"
    service = start(path, PALATE_SERVE__WORKERS=request.param, PALATE_POLICY__EXPLORE="false")
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(world), headers=headers).status_code == 200
    yield service
    assert service.stop() == 0


def shown(service: Service, **asked: Any) -> list[str]:
    answer = service.post("/v1/recommend", {"k": 40, "seen": "keep", "policy": "greedy", **asked}).json()
    return [item["id"] for item in answer["items"]]


def ranked_like_nobody(service: Service, user: str) -> bool:
    """Whether ``user`` is shown what a stranger is, by the worker that answers one connection: workers adopt what an
    erasure leaves of everybody's counts each in its own time, and so may this one between two requests."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        body = {"k": 40, "seen": "keep", "policy": "greedy"}
        before, own, after = (
            [item["id"] for item in client.post("/v1/recommend", json=body | {"user": who}).json()["items"]]
            for who in ("nobody", user, "nobody")
        )
    return own in (before, after)


def test_a_correction_is_in_the_next_ranking(service: Service) -> None:
    assert any(name.startswith("tea") for name in shown(service, user="u1"))
    answer = service.request("PATCH", "/v1/users/u1", json={"mute": ["category:tea"], "pin": ["wine"]})
    profile = answer.json()
    assert answer.status_code == 200
    assert (profile["muted"], profile["pinned"], profile["profiling"]) == (["category:tea"], ["category:wine"], True)
    for _ in range(8):  # whichever worker answers
        found = service.post("/v1/recommend", {"user": "u1", "k": 40}).json()
        assert found["as_of"] >= profile["as_of"]
        assert not any(item["id"].startswith("tea") for item in found["items"])


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({}, 422, "mute"),
        ({"mute": "tea"}, 422, "mute"),
        ({"mute": ["tea"], "profiling": True}, 422, "profiling"),
        ({"forget": True}, 422, "forget"),
        ({"pin": ["tea", 3]}, 422, "pin[1]"),
        ("[]", 422, None),
        ("{", 400, None),
    ],
)
def test_refusals_have_the_usual_shape(service: Service, body: Any, status: int, where: str | None) -> None:
    sent = (
        {"content": body, "headers": {"content-type": "application/json"}} if isinstance(body, str) else {"json": body}
    )
    answer = service.request("PATCH", "/v1/users/u1", **sent)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["where"] == where
    assert service.request("DELETE", "/v1/users/u1", content=b"x").status_code in (400, 415, 422)


def test_who_opted_out_is_ranked_for_like_anybody(service: Service) -> None:
    assert shown(service, user="u2") != shown(service)
    assert service.request("PATCH", "/v1/users/u2", json={"profiling": False}).json()["profiling"] is False
    for _ in range(4):
        assert shown(service, user="u2") == shown(service)
    event = {"event": "interaction", "user": "u2", "item": "tea-0", "timestamp": NOW}
    answer = service.post("/v1/events", event).json()
    assert (answer["accepted"], answer["withheld"]) == (0, 1)
    assert service.post("/v1/chat", {"user": "u2", "text": "no tea"}).status_code == 409
    assert service.request("PATCH", "/v1/users/u2", json={"pin": ["tea"]}).status_code == 409


def test_an_export_is_one_object(service: Service) -> None:
    ranking = service.post("/v1/recommend", {"user": "u3"}).json()["ranking"]
    answer = service.request("GET", "/v1/users/u3/export")
    found = json.loads(answer.text)
    assert answer.headers["content-type"].startswith("application/json")
    assert list(found) == ["user", "profile", "state", "events", "decisions", "replayed"]
    assert len(found["events"]) == 20
    assert {row["event"]["user"] for row in found["events"]} == {"u3"}
    assert ranking in [decision["ranking"] for decision in found["decisions"]]
    assert {decision["subject"] for decision in found["decisions"]} == {"u3"}
    assert found["profile"]["interactions"] == found["state"]["counters"]["count"] == 20
    empty = service.request("GET", "/v1/users/nobody/export").json()
    assert (empty["events"], empty["decisions"], empty["replayed"]) == ([], [], [])
    assert empty["profile"]["known"] is False


def test_an_export_is_lines_where_they_are_accepted(service: Service) -> None:
    service.post("/v1/recommend", {"user": "u5"})
    whole = service.request("GET", "/v1/users/u5/export").json()
    answer = service.request("GET", "/v1/users/u5/export", headers={"accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["value"] for row in rows if row["table"] in ("profile", "state")] == [whole["profile"], whole["state"]]
    events = [{"seq": row["seq"], "event": row["value"]} for row in rows if row["table"] == "events"]
    assert events == whole["events"]
    assert [row["value"] for row in rows if row["table"] == "decisions"] == whole["decisions"]
    assert len(rows) == 2 + len(whole["events"]) + len(whole["decisions"])


def test_whoever_is_erased_is_unknown_at_once_and_gone_in_the_end(service: Service) -> None:
    assert not ranked_like_nobody(service, "u4")
    service.post("/v1/recommend", {"user": "u4"})
    answer = service.request("DELETE", "/v1/users/u4")
    assert (answer.status_code, answer.json()["user"], answer.json()["state"]) == (202, "u4", "erasing")
    with httpx.Client(base_url=service.url) as client:
        assert client.get("/v1/users/u4").json()["known"] is False
    for _ in range(4):
        assert ranked_like_nobody(service, "u4")
    deadline = time.monotonic() + 60
    while (service.path / "erasing.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    found = service.request("GET", "/v1/users/u4/export").json()
    assert found["events"] == []  # rankings that somebody asked for since are of a new u4
    assert all(decision["as_of"] >= answer.json()["as_of"] for decision in found["decisions"])
    for _ in range(8):
        assert "u4" not in [row["user"] for row in service.request("GET", "/v1/users?limit=100").json()["users"]]
        assert ranked_like_nobody(service, "u4")
    again = {"event": "interaction", "id": "e4-0", "user": "u4", "item": "tea-0", "timestamp": NOW}
    assert service.post("/v1/events", again).json()["duplicates"] == 1
    assert any(name.startswith("tea") for name in shown(service))


def test_nothing_is_left_in_the_files(service: Service, tmp_path: Path) -> None:
    name = "victim-5a5a5a"
    events = [
        {"event": "interaction", "user": name, "item": "tea-0", "timestamp": NOW - n, "text": name} for n in range(5)
    ]
    assert service.post("/v1/events", events).json()["accepted"] == 5
    for _ in range(6):
        service.post("/v1/recommend", {"user": name})
    service.request("DELETE", f"/v1/users/{name}")
    deadline = time.monotonic() + 60
    while (service.path / "erasing.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    files = [one for one in service.path.rglob("*") if one.is_file()]
    assert [one.name for one in files if name.encode() in one.read_bytes()] == []


def test_somebody_without_a_name_has_the_same_rights_by_their_session(service: Service) -> None:
    events = [
        {"event": "interaction", "session": "s/1", "item": f"tea-{n}", "timestamp": NOW - n, "id": f"by-session-{n}"}
        for n in range(3)
    ]
    assert service.post("/v1/events", events).json()["accepted"] == 3
    service.post("/v1/recommend", {"session": "s/1"})
    found = service.request("GET", "/v1/sessions/s%2F1/export").json()
    assert list(found) == ["session", "profile", "state", "events", "decisions", "replayed"]
    assert found["session"] == "s/1"
    assert sorted(row["event"]["id"] for row in found["events"]) == [f"by-session-{n}" for n in range(3)]
    assert len(found["decisions"]) == 1
    lines = service.request("GET", "/v1/sessions/s%2F1/export", headers={"accept": "application/x-ndjson"})
    assert len(lines.text.splitlines()) == 2 + 3 + 1
    assert service.request("GET", "/v1/users/s%2F1/export").json()["events"] == []  # a user of that name is another
    answer = service.request("DELETE", "/v1/sessions/s%2F1")
    assert (answer.status_code, answer.json()["user"], answer.json()["state"]) == (202, "s/1", "erasing")
    deadline = time.monotonic() + 60
    while (service.path / "erasing.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for _ in range(4):
        gone = service.request("GET", "/v1/sessions/s%2F1/export").json()
        assert (gone["events"], gone["profile"]["known"]) == ([], False)
