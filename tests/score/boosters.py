"""Random LightGBM boosters, and what a scorer converted from one must hold."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from palate.score.convert import from_lightgbm
from palate.score.trees import TreeScorer
from palate.types import F32, F64


def data(seed: int, rows: int, features: int, missing: float, grid: bool) -> tuple[F32, F64]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    if grid:  # values that fall on thresholds
        x = np.round(x * 2.0)
    y = x[:, 0] + np.sin(3 * x[:, -1]) * x[:, features // 2] + rng.normal(size=rows) * 0.1
    x[rng.random(x.shape) < missing] = np.nan
    return x.astype(np.float32), y


def booster(x: F32, y: F64, trees: int, **params: Any) -> lightgbm.Booster:
    settled: dict[str, Any] = {
        "objective": "regression",
        "num_threads": 1,
        "verbose": -1,
        "min_data_in_leaf": 2,
        "seed": 1,
        "deterministic": True,
    }
    settled |= params
    group = [len(x) // 10] * 10 if settled["objective"] == "lambdarank" else None
    return lightgbm.train(settled, lightgbm.Dataset(x, y, group=group), trees)


def awkward(x: F32, model: TreeScorer) -> F32:
    """Rows of the data, of missing and infinite values, and of the thresholds and their float32 neighbours."""
    rng = np.random.default_rng(0)
    thresholds = model.forest.threshold[model.forest.feature >= 0]
    with np.errstate(over="ignore"):
        near = np.concatenate([thresholds, [0.0, -0.0, 1e-40, np.inf, -np.inf, np.nan]]).astype(np.float32)
    around = np.concatenate([near, np.nextafter(near, np.float32(9)), np.nextafter(near, np.float32(-9))])
    return np.concatenate([x, rng.choice(around, size=(120, x.shape[1])), np.full((1, x.shape[1]), np.nan)]).astype(
        np.float32
    )


def check_against_lightgbm(trained: lightgbm.Booster, x: F32, contributions: int = 40) -> None:
    model = from_lightgbm(trained)
    rows = awkward(x, model)
    theirs = np.asarray(trained.predict(rows, raw_score=True, num_threads=1))
    np.testing.assert_allclose(model.score(rows), theirs, rtol=1e-12, atol=1e-12)
    walked = np.concatenate([model.score(rows[i : i + 1]) for i in range(len(rows))])
    np.testing.assert_array_equal(walked, model.score(rows))
    few = rows[-contributions:]
    expected = np.asarray(trained.predict(few, pred_contrib=True, num_threads=1))
    ours, base = model.contributions(few)
    np.testing.assert_allclose(ours, expected[:, :-1], rtol=1e-5, atol=1e-9)
    alone = np.concatenate([model.contributions(few[i : i + 1])[0] for i in range(len(few))])
    np.testing.assert_array_equal(alone, ours)
    np.testing.assert_allclose(base, expected[:, -1], rtol=1e-9, atol=1e-12)
    assert model.base == base[0]
    np.testing.assert_allclose(base + ours.sum(axis=1), model.score(few), rtol=1e-9, atol=1e-9)
