"""Explanations over HTTP: counterfactuals, what a model goes by, and what the service says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.serve.service import Service, Start, ndjson


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    service = start(tmp_path_factory.mktemp("explaining") / "shop.palate")
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(world), headers=headers).status_code == 200
    return service


def test_an_explanation_is_as_full_as_it_is_asked_to_be(service: Service) -> None:
    ranking = service.post("/v1/recommend", {"user": "u1", "k": 5, "seen": "keep", "policy": "greedy"}).json()
    path = f"/v1/explain/{ranking['ranking']}/{ranking['items'][1]['id']}"
    plain = service.request("GET", path).json()
    assert "counterfactuals" not in plain
    assert "local" not in plain
    assert plain["base"] + sum(one["contribution"] for one in plain["groups"]) == pytest.approx(plain["score"])
    full = service.request("GET", f"{path}?counterfactuals=true&lime=true&words=zh").json()
    assert full["counterfactuals"]["position"] == 2
    assert full["counterfactuals"]["changes"]
    assert full["counterfactuals"]["fixed"]
    assert full["local"]["fit"] > 0.5
    assert full["words"]["language"] == "zh"
    wrong = service.request("GET", f"{path}?counterfactuals=yes")
    assert wrong.status_code == 422
    assert wrong.json()["error"]["where"] == "counterfactuals"


def test_what_a_model_goes_by(service: Service) -> None:
    found = service.request("GET", "/v1/models/prior/importance").json()
    assert found["version"] == "prior"
    assert found["source"] == "live"
    assert sum(one["share"] for one in found["groups"]) == pytest.approx(1.0)
    assert service.request("GET", "/v1/models/v9999/importance").status_code == 404


def test_the_page_says_what_the_json_says_in_both_languages(service: Service) -> None:
    told = service.request("GET", "/v1/transparency").json()
    pages = {lang: service.request("GET", f"/transparency?lang={lang}") for lang in ("en", "zh")}
    for lang, page in pages.items():
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "<script" not in page.text
        key = "text" if lang == "en" else "chinese"
        for part in ("data", "influences", "retention", "choices"):
            for one in told[part]:
                first = re.split(r"[&<>\"']", one[key])[0]
                assert first in page.text, one
        for one in told["parameters"]:
            assert one["name" if lang == "en" else "chinese"] in page.text
    assert pages["zh"].text.startswith('<!doctype html>\n<html lang="zh-CN">')
    assert service.request("GET", "/transparency", headers={"accept-language": "zh-CN,zh"}).text == pages["zh"].text
    assert service.request("GET", "/transparency").text == pages["en"].text
    assert service.request("GET", "/transparency?lang=fr").status_code == 422


def test_what_is_off_is_off_on_the_page(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    path = tmp_path / "off.palate"
    path.mkdir()
    (path / "palate.toml").write_text('[features]\noff = ["tags"]\n[language]\nfeedback = false\n')
    service = start(path)
    page = service.request("GET", "/transparency").text
    assert "Tags of items don" in page
    assert "reviews and comments isn" in page


def test_what_language_is_worth(service: Service) -> None:
    told = service.request("GET", "/v1/language/report?window=30").json()
    parts = ["rerank", "teacher", "chat", "words", "items", "people", "encoder"]
    assert [one["part"] for one in told["parts"]] == parts
    assert told["window_minutes"] == 30.0
    assert told["parts"][0]["why"] == ["It is off (language.rerank.enabled)."]
    for wrong in ("0", "x", "nan", "1e9"):
        assert service.request("GET", f"/v1/language/report?window={wrong}").status_code == 422
