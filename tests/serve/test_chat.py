"""The conversation over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chat.catalogues import items
from tests.serve.service import Service, Start, ndjson


def events() -> list[dict[str, Any]]:
    return [{"event": "item", "item": one["item"], "fields": one["fields"]} for one in items("films")]


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Service:
    service = start(tmp_path_factory.mktemp("chat") / "shop.palate")
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(events()), headers=headers).status_code == 200
    return service


def test_one_turn_is_one_object(service: Service) -> None:
    body = {"user": "ann", "text": "no horror, under two hours", "k": 3}
    answer = service.request("POST", "/v1/chat", json=body).json()
    assert [wish["wish"]["filter"] for wish in answer["wishes"]] == [
        {"genres": {"nin": ["Horror"]}}, {"runtime": {"lt": 120}},
    ]  # fmt: skip
    assert len(answer["ranking"]["items"]) == 3
    profile = service.request("GET", "/v1/users/ann").json()
    assert [wish["said"] for wish in profile["wishes"]] == ["no horror", "under two hours"]


def test_a_stream_says_what_was_understood_before_the_ranking(service: Service) -> None:
    body = {"session": "s", "text": "少点恐怖片", "stream": True}
    answer = service.request("POST", "/v1/chat", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = [dict(line.split(": ", 1) for line in block.split("\n")) for block in answer.text.strip().split("\n\n")]
    assert [one["event"] for one in found] == ["understood", "ranking", "done"]
    done = json.loads(found[2]["data"])
    assert done["language"] == "zh"
    assert done["ranking"] == json.loads(found[1]["data"])


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"text": "hi"}, 422, "user"),
        ({"text": "", "user": "u", "stream": True}, 422, "text"),
        ({"text": 3, "user": "u"}, 422, "text"),
        ({"text": "hi", "user": "u", "more": 1}, 422, None),
    ],
)
def test_refusals_have_the_usual_shape(service: Service, body: dict[str, Any], status: int, where: str | None) -> None:
    answer = service.request("POST", "/v1/chat", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["where"] == where
