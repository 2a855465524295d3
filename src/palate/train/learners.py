"""The learners of Palate's own blend: a listwise linear model, LambdaMART, and the best single feature.

Linear: softmax over a decision's candidates, cross-entropy with the chosen one (ListNet's top-one loss, Cao 2007),
L2, L-BFGS. Trees: LambdaMART (Burges 2010) through LightGBM, numeric splits, as many as validation wants. Both take
an offset a row, the log of how likely it was to be looked at (``train.examination``), which no score contains later,
and a weight a decision (``Examples.weights``).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import scipy.optimize

from palate.config import TrainSettings
from palate.features import PRIOR
from palate.kernels import kernel
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
from palate.train.examples import Examples
from palate.types import F32, F64

L2 = 1e-3
_NARROW = 0.05
"""Standard deviation below which a column counts as if it had this one. Of logs, cosines and counts, one that hardly
moved in training would otherwise get a slope so steep that the first value of another size decides every ranking."""
_AROUND = 10
"""Rounds before and after one that its validation is averaged with. That of a single round is so noisy that stopping
where it last rose ended a third of the forests before their twentieth tree, while the average went on rising."""
_TIES = 1e-6
"""What the prior weighs beside the best single feature."""


def fit_linear(examples: Examples, names: tuple[str, ...], offset: F64 | None = None) -> LinearScorer:
    """Cross-entropy of the chosen candidate among its group. offset: (n,) added to the scores of all rows, or None.

    Cost: about 60 passes over the rows.
    """
    x, labels, sizes = examples.stacked()
    mean, scale = x_scale(x)
    z = standardised(x, mean, scale)
    starts = np.cumsum(sizes) - sizes
    worth = examples.worth()
    of_row = np.repeat(worth, sizes)
    weight = of_row * labels / np.repeat(np.maximum(1, np.add.reduceat(labels, starts)), sizes)
    groups = float(worth.sum())

    def loss(w: F64) -> tuple[float, F64]:
        s = (z @ w.astype(np.float32)).astype(np.float64)
        if offset is not None:
            s += offset
        s -= np.repeat(np.maximum.reduceat(s, starts), sizes)
        e = np.exp(s)
        total = np.add.reduceat(e, starts)
        p = of_row * e / np.repeat(total, sizes)
        value = (float(worth @ np.log(total)) - (weight * s).sum()) / groups + L2 * float(w @ w)
        gradient = ((p - weight).astype(np.float32) @ z).astype(np.float64) / groups + 2 * L2 * w
        return value, gradient

    optimise: Any = scipy.optimize
    found: Any = optimise.minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    weights: F64 = np.asarray(found.x, np.float64)
    return LinearScorer(names, weights, mean.astype(np.float64), scale.astype(np.float64))


def x_scale(x: F32) -> tuple[F32, F32]:
    """(f,) mean and standard deviation of the columns, a missing value counted as 0, at least ``_NARROW``; 1 for a
    constant column."""
    filled = np.nan_to_num(x.astype(np.float32), nan=0.0)
    mean, scale = filled.mean(axis=0), filled.std(axis=0)
    return mean, np.where(scale > 1e-6, np.maximum(scale, _NARROW), 1.0).astype(np.float32)


def standardised(x: F32, mean: F32, scale: F32) -> F32:
    """(n, f) rows over the scale, a missing value counted as 0."""
    return (np.nan_to_num(x.astype(np.float32), nan=0.0) - mean) / scale


def fit_trees(
    examples: Examples,
    valid: Examples | None,
    names: tuple[str, ...],
    settings: TrainSettings,
    trees: int,
    offset: F64 | None = None,
) -> tuple[TreeScorer, int]:
    """LambdaMART; with ``valid`` it keeps as many of the ``trees`` as are best there, on average over rounds nearby.

    Returns the scorer and how many trees it has. offset: as above.
    """
    import lightgbm

    from palate.score.convert import from_lightgbm

    x, labels, sizes = examples.stacked()
    worth = examples.worth()
    weight = None if np.all(worth == 1.0) else np.repeat(worth, sizes)
    data = lightgbm.Dataset(x, label=labels, weight=weight, group=sizes, init_score=offset, feature_name=list(names))
    parameters: dict[str, Any] = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "lambdarank_truncation_level": 20,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        # A leaf of a thousandth of the rows: chosen items are few, and smaller leaves learn their noise.
        "min_data_in_leaf": max(5, min(200, len(x) // 1000)),
        "feature_fraction": 0.5,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "seed": settings.seed,
        "deterministic": True,
        "force_col_wise": True,
        # Half the cores: the others serve, and threads that wait for one another in turns are slower than one alone.
        "num_threads": max(1, (os.cpu_count() or 1) // 2),
        "verbosity": -1,
    }
    callbacks: list[Any] = []
    sets: list[Any] = []
    said: dict[str, Any] = {}
    if valid is not None:
        vx, vl, vs = valid.stacked()
        sets = [lightgbm.Dataset(vx, label=vl, group=vs, reference=data, feature_name=list(names))]
        callbacks = [lightgbm.record_evaluation(said)]
    booster: Any = lightgbm.train(parameters, data, num_boost_round=trees, valid_sets=sets, callbacks=callbacks)
    if said:
        booster.best_iteration = _best_round(np.array(said["valid_0"]["ndcg@10"]))
    return from_lightgbm(booster, names), int(booster.best_iteration or booster.num_trees())


def _best_round(metric: F64) -> int:
    """The round, from 1, around which ``metric`` (r,) is greatest on average; the earliest of equals."""
    sums = np.concatenate([[0.0], np.cumsum(metric)])
    at = np.arange(len(metric))
    low, high = np.maximum(0, at - _AROUND), np.minimum(len(metric), at + _AROUND + 1)
    return 1 + int(np.argmax(np.round((sums[high] - sums[low]) / (high - low), 9)))


def best_single(examples: Examples, names: tuple[str, ...]) -> tuple[LinearScorer, str]:
    """The column that alone, upwards or downwards, ranks ``examples`` best, and its name, ``-`` before a downward one.

    By NDCG@10 as ``examples.gains_at_10`` has it; missing values count as 0. The scorer breaks its ties by the prior: a
    column of the history says nothing to who has none. Cost: one pass over the rows.
    """
    gains: F64 = np.zeros((2, len(names)))
    for x, chosen in zip(examples.x, examples.chosen, strict=True):
        _column_gains(np.nan_to_num(x, nan=0.0), int(chosen[0]), gains)
    side, place = np.unravel_index(int(np.argmax(gains)), gains.shape)
    weights = np.concatenate([_TIES * PRIOR, np.zeros(len(names) - len(PRIOR))])
    weights[place] += -1.0 if side else 1.0
    return LinearScorer(names, weights), ("-" if side else "") + names[place]


@kernel
def _column_gains(x: F32, first: int, gains: F64) -> None:
    """Add the NDCG@10 of row ``first`` by each column to gains[0], and by its negative to gains[1]."""
    more = np.zeros(x.shape[1], np.int64)
    same = np.zeros(x.shape[1], np.int64)
    for row in range(x.shape[0]):
        for c in range(x.shape[1]):
            more[c] += x[row, c] > x[first, c]
            same[c] += x[row, c] == x[first, c]
    for c in range(x.shape[1]):
        tied = 0.5 * (same[c] - 1)
        up = 1.0 + more[c] + tied
        down = 1.0 + (x.shape[0] - more[c] - same[c]) + tied
        gains[0, c] += 1.0 / np.log2(1.0 + up) if up <= 10 else 0.0
        gains[1, c] += 1.0 / np.log2(1.0 + down) if down <= 10 else 0.0
