"""LIME: exact of a linear scorer, near the exact contributions of trees, says how well it fits, repeatable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.explaining.lime import lime
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.testing.world import make_world
from palate.types import F32
from tests.engines import SMALL, filled, ids

NAMES = tuple(f"f{n}" for n in range(8))


def background(seed: int = 3) -> F32:
    return np.random.default_rng(seed).normal(size=(200, len(NAMES))).astype(np.float32)


def parts(found: Any) -> Any:
    at = {one.feature: one.contribution for one in found.contributions}
    return np.array([at.get(name, 0.0) for name in NAMES])


def test_of_a_linear_scorer_it_is_exact() -> None:
    rng = np.random.default_rng(5)
    x = background()
    scorer = LinearScorer(NAMES, rng.normal(size=8), x.mean(axis=0), x.std(axis=0))
    for row in x[:5]:
        found = lime(scorer.score, row, x, NAMES, 1)
        exact, base = scorer.contributions(row[None])
        np.testing.assert_allclose(parts(found), exact[0], atol=1e-4)
        assert found.base == pytest.approx(float(base[0]), abs=1e-4)
        assert found.fit > 0.9999
        assert found.base + sum(one.contribution for one in found.contributions) == pytest.approx(found.score, abs=1e-3)


def test_the_same_seed_gives_the_same_and_another_one_nearly() -> None:
    x = background()
    scorer = LinearScorer(NAMES, np.arange(8.0))

    def bent(rows: F32) -> Any:
        return scorer.score(rows) + np.sin(rows[:, 0])

    assert lime(bent, x[0], x, NAMES, 7) == lime(bent, x[0], x, NAMES, 7)
    one, other = (lime(bent, x[0], x, NAMES, seed) for seed in (7, 8))
    assert one != other
    np.testing.assert_allclose(parts(one), parts(other), atol=0.2)


def test_a_scorer_that_bends_is_told_to_fit_less() -> None:
    x = background()
    fit = [lime(lambda rows, k=k: np.sin(k * rows[:, 0]), x[0], x, NAMES, 1).fit for k in (0.1, 3.0)]
    assert fit[0] > 0.95 > 0.6 > fit[1]


def test_missing_values_and_constant_columns_are_no_trouble() -> None:
    x = background()
    x[:, 2] = 1.0
    x[::3, 4] = np.nan
    row = x[0].copy()
    row[5] = np.nan
    scorer = LinearScorer(NAMES, np.ones(8))
    found = lime(scorer.score, row, x, NAMES, 1)
    assert np.isfinite(parts(found)).all()
    assert parts(found)[2] == 0.0


@pytest.fixture(scope="module")
def trees() -> Scorer:
    import lightgbm

    from palate.score.convert import from_lightgbm

    x = np.random.default_rng(1).normal(size=(3000, 8)).astype(np.float32)
    y = 2 * x[:, 0] + np.maximum(x[:, 1], 0) - x[:, 2] * (x[:, 3] > 0)
    data = lightgbm.Dataset(x, label=y)
    booster = lightgbm.train({"num_leaves": 15, "verbosity": -1, "num_threads": 1, "seed": 1}, data, 60)
    return from_lightgbm(booster, NAMES)


def test_it_is_near_the_exact_contributions_of_trees(trees: Scorer) -> None:
    x = background()
    alike: list[float] = []
    for row in x[:20]:
        found = lime(trees.score, row, x, NAMES, 1)
        exact = trees.contributions(row[None])[0][0]
        alike.append(float(np.corrcoef(parts(found), exact)[0, 1]))
        assert found.fit > 0.5
    assert np.median(alike) > 0.9


def test_an_engine_gives_it_beside_the_exact_ones() -> None:
    with filled(make_world(people=12, per_genre=6, interactions=400), train=SMALL) as engine:
        ranking = engine.recommend("p0", 5)
        told = engine.explain(ranking.ranking, ids(ranking)[0], local=True)
        assert told.local is not None
        assert told.local.score == pytest.approx(told.score, rel=1e-6)
        assert told.local.fit > 0.99  # the prior is linear
        assert told.local.background >= 20
