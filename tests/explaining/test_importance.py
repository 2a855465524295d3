"""What a model goes by: importance, dependence, the tree that stands for it, and what was taken up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.errors import NotFound
from palate.explaining.importance import ModelExplanation, confusion, dependence, gains_of
from palate.explaining.rows import Case
from palate.explaining.surrogate import fit_surrogate
from palate.features import NAMES, column
from palate.line import Model, prior_model
from palate.score.linear import LinearScorer
from palate.testing.world import make_world
from palate.types import Interaction
from tests.engines import HASHING, SMALL, filled, ids

WORLD = make_world(people=15, per_genre=6, interactions=500)


@pytest.fixture(scope="module")
def asked() -> Iterator[Engine]:
    with filled(WORLD, decisions={"sample": 1.0}) as engine:
        for n in range(30):
            ranking = engine.recommend(f"p{n % 15}", 5, seen="keep")
            engine.ingest(
                [Interaction(user=f"p{n % 15}", item=ids(ranking)[n % 3], ranking=ranking.ranking, type="click")]
            )
        yield engine


@pytest.fixture(scope="module")
def told(asked: Engine) -> ModelExplanation:
    return asked.importance()


def test_importance_is_the_mean_size_of_contributions(told: ModelExplanation) -> None:
    assert (told.version, told.kind, told.source, told.decisions) == ("prior", "linear", "live", 30)
    assert sum(one.share for one in told.features) == pytest.approx(1.0)
    assert sum(one.share for one in told.groups) == pytest.approx(1.0)
    sizes = [one.importance for one in told.features]
    assert sizes == sorted(sizes, reverse=True)
    assert {one.feature for one in told.features} == set(NAMES)
    assert "query_words" not in {one.feature for one in told.features if one.importance > 0}, "nobody asked anything"


def test_the_dependence_of_a_linear_scorer_is_a_line(told: ModelExplanation) -> None:
    weights = dict(zip(NAMES, prior_model().scorer.arrays()["weights"].tolist(), strict=True))
    curves = [one for one in told.features if one.curve]
    assert len(curves) == 12
    for one in curves:
        for part in one.curve:
            assert part.contribution == pytest.approx(weights[one.feature] * part.value, rel=1e-3, abs=1e-6)
            assert part.low - 1e-9 <= part.high
        assert sum(part.rows for part in one.curve) + one.missing == told.rows
        values = [part.value for part in one.curve]
        assert values == sorted(values)


def test_bins_keep_equal_values_together_and_leave_missing_ones_out() -> None:
    values = np.array([0.0] * 90 + [1.0] * 10 + [np.nan] * 5, np.float32)
    bins = dependence(values, np.where(values == 1.0, 2.0, 0.5).astype(np.float64))
    assert [(part.value, part.contribution, part.rows) for part in bins] == [(0.0, 0.5, 90), (1.0, 2.0, 10)]
    assert dependence(np.full(3, np.nan, np.float32), np.zeros(3)) == []


def test_the_confusion_counts_what_was_taken_up(told: ModelExplanation, asked: Engine) -> None:
    found = told.confusion
    assert found is not None
    assert found.first_taken + found.below_taken == 30
    assert found.first_taken == 30, "only what was shown was clicked"
    assert found.first_left == 30 * 5 - 30
    assert found.recall == 1.0
    assert found.precision == pytest.approx(30 / 150)


def test_the_confusion_by_hand() -> None:
    model = Model("m", LinearScorer(("a",), [1.0]), queries=True)
    x = np.array([[3.0], [2.0], [1.0]], np.float32)
    full = np.zeros((3, len(NAMES)), np.float32)
    full[:, 0:1] = x
    model = Model("m", LinearScorer(NAMES, [1.0] + [0.0] * (len(NAMES) - 1)), queries=True)
    cases = [
        Case(full, False, "u", 1, True, np.array([True, False, False])),
        Case(full, False, "v", 1, True, np.array([False, True, True])),
        Case(full, False, "w", 1, False, np.array([False, True, True])),
        Case(full, False, "x", 1, True, np.zeros(3, np.bool_)),
    ]
    found = confusion(model, cases)
    assert found is not None
    assert (found.decisions, found.first_taken, found.first_left, found.below_taken, found.below_left) == (
        2,
        1,
        1,
        2,
        2,
    )
    assert confusion(model, cases[2:]) is None


def test_a_surrogate_finds_the_rule_that_made_the_scores() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(900, 5)).astype(np.float32)
    x[::7, 3] = np.nan
    scores = np.where(x[:, 1] <= 0.3, 0.0, np.where(x[:, 4] > 0.0, 5.0, 2.0))
    found = fit_surrogate(x, scores, [f"f{n}" for n in range(5)], 2)
    assert found is not None
    assert found.fidelity > 0.95
    assert found.depth == 2
    best = found.rules[0]
    assert best.score == pytest.approx(5.0, abs=0.1)
    assert {(one.feature, one.sign) for one in best.conditions} == {("f1", ">"), ("f4", ">")}
    assert sum(rule.rows for rule in found.rules) == found.rows == 600
    noise = fit_surrogate(x, rng.normal(size=900), [f"f{n}" for n in range(5)])
    assert noise is not None
    assert noise.fidelity < 0.2
    assert fit_surrogate(x[:30], scores[:30], [f"f{n}" for n in range(5)]) is None


def test_a_surrogate_of_the_prior_is_believed_as_far_as_it_says(told: ModelExplanation) -> None:
    assert told.surrogate is not None
    assert 0.2 < told.surrogate.fidelity <= 1.0
    assert all(len(rule.conditions) <= 8 for rule in told.surrogate.rules)
    assert {one.feature for rule in told.surrogate.rules for one in rule.conditions} <= set(NAMES)


def test_gains_are_of_the_scorer_alone() -> None:
    scorer = LinearScorer(("a", "b"), [1.0, 3.0])
    np.testing.assert_allclose(gains_of(scorer), [0.1, 0.9])
    assert gains_of(LinearScorer(("a", "b"), [0.0, 0.0])).tolist() == [0.0, 0.0]


def test_trees_gain_by_the_features_that_they_split_on() -> None:
    import lightgbm

    from palate.score.convert import from_lightgbm

    x = np.random.default_rng(1).normal(size=(2000, 4)).astype(np.float32)
    data = lightgbm.Dataset(x, label=3 * x[:, 2] + 0.5 * x[:, 0])
    booster = lightgbm.train({"num_leaves": 7, "verbosity": -1, "num_threads": 1, "seed": 1}, data, 30)
    gains = gains_of(from_lightgbm(booster, ("a", "b", "c", "d")))
    assert gains[2] > 0.8 > 0.2 > gains[0] > gains[1]
    assert gains.sum() == pytest.approx(1.0)


def test_a_trained_model_is_explained_by_its_replay_where_nothing_was_asked(tmp_path: Path) -> None:
    settings = {"language": HASHING, "train": SMALL, "decisions": {"sample": 1.0}, "policy": {"explore": False}}
    with palate.open(tmp_path / "shop.palate", **settings) as engine:
        assert engine.importance().source == "none"
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        report = engine.train()
        told = engine.importance(report.version)
        assert told.source == "replay"
        assert told.version == report.version
        assert told.rows > 500
        assert told.confusion is not None
        assert told.confusion.decisions > 20
        assert engine.importance("prior").version == "prior"
        with pytest.raises(NotFound, match="no model 'v9999'"):
            engine.importance("v9999")


def test_what_is_off_has_no_importance() -> None:
    with filled(WORLD, features={"off": ("popularity",)}) as engine:
        engine.recommend("p0", 5)
        told = engine.importance()
        assert all(one.importance == one.gain == 0 for one in told.features if one.group == "popularity")
        assert "popularity" not in {one.group for one in told.groups}
        assert column("pop_all") == 0
