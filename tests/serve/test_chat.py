"""The conversation over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chat.catalogues import items
from tests.language.protocol import ChatServer
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
        ({"text": "hi", "user": "u", "more": 1}, 422, "more"),
    ],
)
def test_refusals_have_the_usual_shape(service: Service, body: dict[str, Any], status: int, where: str | None) -> None:
    answer = service.request("POST", "/v1/chat", json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["where"] == where


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_generator_helps_and_one_that_is_down_is_said(start: Start, tmp_path: Path, workers: str) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    model = ChatServer()
    name = "PALATE_LANGUAGE__GENERATOR__"
    settings = {"KIND": "openai", "MODEL": '"small"', "BASE_URL": model.url, "SECONDS": "10.0"}
    service = start(
        tmp_path / "shop.palate",
        **{f"{name}{key}": value for key, value in settings.items()}, PALATE_SERVE__WORKERS=workers,
    )  # fmt: skip
    headers = {"content-type": "application/x-ndjson"}
    service.request("POST", "/v1/events", content=ndjson(events()), headers=headers)
    model.behave(say=lambda body: '{"sentences": ["no horror"]}')
    answer = service.post("/v1/chat", {"user": "ann", "text": "blorp fizzwick"}).json()
    assert (answer["ai_generated"], answer["degraded"]) == (True, [])
    assert [wish["wish"]["filter"] for wish in answer["wishes"]] == [{"genres": {"nin": ["Horror"]}}]
    model.behave("500")
    answer = service.post("/v1/chat", {"user": "ben", "text": "blorp fizzwick"}).json()
    assert (answer["ai_generated"], answer["degraded"]) == (False, ["generator_error"])
    asked = len(model.seen)
    service.post("/v1/rank", {"user": "ann", "items": ["alien"], "query": "blorp fizzwick"})
    assert len(model.seen) == asked
    assert service.stop() == 0
    model.close()


def test_a_generator_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PALATE_")}
    environ |= {"PALATE_LANGUAGE__GENERATOR__KIND": "gguf", "PALATE_LANGUAGE__GENERATOR__MODEL": "absent.gguf"}
    command = [sys.executable, "-m", "palate", "serve", "--dir", str(tmp_path / "shop.palate"), "--port", "0"]
    for workers in ("1", "2"):
        environ["PALATE_SERVE__WORKERS"] = workers
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert done.returncode != 0
        assert "absent.gguf" in done.stderr or "xllamacpp" in done.stderr
        assert "Traceback" not in done.stderr
