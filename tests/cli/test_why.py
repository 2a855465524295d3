"""``palate explain`` in full, and ``palate models importance``, in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Palate
from tests.language.protocol import ChatServer

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_explain_says_groups_and_what_would_move_it(palate: Palate, shop: Path, lang: str) -> None:
    ranking = palate("recommend", "u1", "--dir", shop, "--policy", "greedy", "--json").json
    item = ranking["items"][1]["id"]
    done = palate("explain", ranking["ranking"], item, "--dir", shop, "--counterfactuals", "--lime", "--lang", lang)
    assert (done.code, done.err) == (0, "")
    again = "Ranked again with the same" if lang == "en" else "重新排序"
    assert again in done.out
    assert "LIME" in done.out
    assert ("By reason" if lang == "en" else "按原因") in done.out
    told = palate("explain", ranking["ranking"], item, "--dir", shop, "--counterfactuals", "--json").json
    changes = told["counterfactuals"]["changes"]
    lines = [line for line in done.out.splitlines() if re.search(r"^(Without|With) |^若", line)]
    assert len(lines) == len(changes)
    for line, change in zip(lines, changes, strict=True):
        assert str(change["position"]) in line
        assert bool(HAN.search(line)) == (lang == "zh")
    plain = palate("explain", ranking["ranking"], item, "--dir", shop, "--json").json
    assert "counterfactuals" not in plain
    assert plain["groups"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_importance_says_what_a_model_goes_by(palate: Palate, shop: Path, lang: str) -> None:
    palate("recommend", "u1", "--dir", shop)
    done = palate("models", "importance", "--dir", shop, "--lang", lang)
    assert (done.code, done.err) == (0, "")
    assert ("What the model goes by" if lang == "en" else "模型依据什么") in done.out
    told = palate("models", "importance", "prior", "--dir", shop, "--json").json
    assert told["version"] == "prior"
    assert palate("models", "importance", "v9999", "--dir", shop).code == 2


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_reasons_as_a_text_are_marked_as_what_they_are(palate: Palate, shop: Path, lang: str) -> None:
    ranking = palate("recommend", "u1", "--dir", shop, "--policy", "greedy", "--json").json
    told = [
        palate("explain", ranking["ranking"], one["id"], "--dir", shop, "--words", lang, "--json").json["words"]
        for one in ranking["items"][:2]
    ]
    assert {(one["language"], one["ai_generated"]) for one in told} == {(lang, False)}
    assert all(one["text"] for one in told)
    assert all(bool(HAN.search(one["text"])) == (lang == "zh") for one in told)
    item = ranking["items"][0]["id"]
    done = palate("explain", ranking["ranking"], item, "--dir", shop, "--words", lang, "--lang", lang)
    assert told[0]["text"] in done.out
    assert ("by template" if lang == "en" else "由模板写成") in done.out
    assert palate("explain", ranking["ranking"], item, "--dir", shop, "--words", "fr").code == 2
    assert "words" not in palate("explain", ranking["ranking"], item, "--dir", shop, "--json").json


def test_a_generator_words_them_and_it_is_said(
    palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch, chat_server: ChatServer
) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    for name, value in (("KIND", "openai"), ("MODEL", "m"), ("BASE_URL", chat_server.url)):
        monkeypatch.setenv(f"PALATE_LANGUAGE__GENERATOR__{name}", value)
    ranking = palate("recommend", "nobody", "--dir", shop, "--policy", "greedy", "--json").json
    words = {"popular": "It's a popular choice with everyone.", "trending": "It's trending these days."}
    chosen = next(one for one in ranking["items"] if {why["code"] for why in one["reasons"]} <= words.keys())
    said = [words[why["code"]] for why in chosen["reasons"]]
    answer = {"sentences": [{"reason": number, "words": text} for number, text in enumerate(said)]}
    chat_server.behave(say=lambda _: json.dumps(answer))
    arguments = ("explain", ranking["ranking"], chosen["id"], "--dir", shop, "--words", "en")
    told = palate(*arguments, "--json").json["words"]
    assert (told["text"], told["ai_generated"]) == (" ".join(said), True)
    assert "AI-generated" in palate(*arguments).out
