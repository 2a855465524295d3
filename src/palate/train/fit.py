"""Fitting the blend: a listwise linear model and LambdaMART, judged on a later window; the best of them ships.

Linear: softmax over a decision's candidates, cross-entropy with the chosen one (ListNet's top-one loss, Cao 2007),
L2, L-BFGS. Trees: LambdaMART (Burges 2010) through LightGBM, numeric splits, early stopping on validation. Blend:
their sum, with one of three shares of the linear part.
The prior blend always takes part: training never ships something worse than no training.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from palate.config import TrainSettings
from palate.features import NAMES, PRIOR
from palate.score import Scorer
from palate.score.blend import BlendScorer
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
from palate.train.examples import Examples, ndcg_at_10
from palate.train.history import Progress
from palate.types import F32, F64, I64

L2 = 1e-3
SHARES = (0.25, 0.5, 1.0)
"""Weights of the linear part that a blend is tried with."""


@dataclass(slots=True)
class Fitted:
    """The winner, its kind, the validation NDCG@10 of every candidate, and the winner's."""

    scorer: Scorer
    kind: str
    metrics: dict[str, float]
    best: float


def fit_linear(examples: Examples, names: tuple[str, ...]) -> LinearScorer:
    """Cross-entropy of the chosen candidate among its group. Cost: about 60 passes over the rows."""
    x, labels, sizes = examples.stacked()
    filled = np.nan_to_num(x.astype(np.float32), nan=0.0)
    mean, scale = filled.mean(axis=0), filled.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    z = (filled - mean) / scale
    starts = np.cumsum(sizes) - sizes
    weight = labels / np.repeat(np.maximum(1, np.add.reduceat(labels, starts)), sizes)
    groups = len(sizes)

    def loss(w: F64) -> tuple[float, F64]:
        s = (z @ w.astype(np.float32)).astype(np.float64)
        s -= np.repeat(np.maximum.reduceat(s, starts), sizes)
        e = np.exp(s)
        total = np.add.reduceat(e, starts)
        p = e / np.repeat(total, sizes)
        value = (np.log(total).sum() - (weight * s).sum()) / groups + L2 * float(w @ w)
        gradient = ((p - weight).astype(np.float32) @ z).astype(np.float64) / groups + 2 * L2 * w
        return value, gradient

    optimise: Any = scipy.optimize
    found: Any = optimise.minimize(loss, np.zeros(z.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    weights: F64 = np.asarray(found.x, np.float64)
    return LinearScorer(names, weights, mean.astype(np.float64), scale.astype(np.float64))


def fit_trees(
    examples: Examples, valid: Examples | None, names: tuple[str, ...], settings: TrainSettings, trees: int
) -> tuple[TreeScorer, int]:
    """LambdaMART; with ``valid`` it stops early. Returns the scorer and how many trees it has."""
    import lightgbm

    from palate.score.convert import from_lightgbm

    x, labels, sizes = examples.stacked()
    data: Any = lightgbm.Dataset(x, label=labels, group=sizes, feature_name=list(names), free_raw_data=True)
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
    if valid is not None:
        vx, vl, vs = valid.stacked()
        sets = [lightgbm.Dataset(vx, label=vl, group=vs, reference=data, feature_name=list(names))]
        callbacks = [lightgbm.early_stopping(30, verbose=False)]
    booster: Any = lightgbm.train(parameters, data, num_boost_round=trees, valid_sets=sets, callbacks=callbacks)
    return from_lightgbm(booster, names), int(booster.best_iteration or booster.num_trees())


def fit(
    train: Examples,
    valid: Examples,
    context: tuple[str, ...],
    settings: TrainSettings,
    progress: Progress | None = None,
    late: Examples | None = None,
) -> Fitted:
    """Fit all on ``train``, compare on ``valid``, refit the winner on both and on ``late``.

    late: examples of the validation window that may not be judged on; they only join the refit.
    """
    names = NAMES + context
    say = progress or _silent
    prior: Scorer = LinearScorer(names, np.concatenate([PRIOR, np.zeros(len(context))]))
    scorers: dict[str, Scorer] = {"prior": prior}
    shares: dict[str, float] = {}
    count = 0
    say("fit", 0, 4)
    if len(train) >= 20:
        linear = fit_linear(train, names)
        scorers["linear"] = linear
        say("fit", 1, 4)
        if len(train) >= 100 and len(valid) >= 20:
            trees, count = fit_trees(train, _thinned(valid, settings), names, settings, settings.trees)
            scorers["trees"] = trees
            for share in SHARES:
                name = f"blend_{share:g}"
                shares[name] = share
                scorers[name] = BlendScorer(linear, trees, share)
    say("fit", 2, 4)
    metrics = {name: judge(scorer, valid) for name, scorer in scorers.items()}
    order = list(scorers)
    best = max(order, key=lambda name: (metrics[name], -order.index(name)))
    say("fit", 3, 4)
    late = late or Examples()
    both = Examples(train.x + late.x + valid.x, train.chosen + late.chosen + valid.chosen)
    scorer = prior
    if best != "prior":
        thin = _thinned(both, settings)
        linear = fit_linear(thin, names)
        scorer = linear
        if best != "linear":
            trees, _ = fit_trees(thin, None, names, settings, max(10, count))
            scorer = trees if best == "trees" else BlendScorer(linear, trees, shares[best])
    say("fit", 4, 4)
    return Fitted(scorer, scorer.kind if best != "prior" else "prior", metrics, metrics[best])


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def judge(scorer: Scorer, examples: Examples) -> float:
    """Validation NDCG@10 of a scorer."""
    return ndcg_at_10([scorer.score(x) for x in examples.x], examples)


def _thinned(examples: Examples, settings: TrainSettings) -> Examples:
    """Groups cut to about ``train.candidates`` rows, drawn evenly, the chosen ones kept."""
    out = Examples()
    rng = np.random.default_rng(settings.seed)
    for x, chosen in zip(examples.x, examples.chosen, strict=True):
        if len(x) <= settings.candidates:
            keep: I64 = np.arange(len(x))
        else:
            keep = np.union1d(rng.permutation(len(x))[: settings.candidates], chosen)
        rows: F32 = x[keep]
        out.x.append(rows)
        out.chosen.append(np.searchsorted(keep, chosen).astype(np.int64))
    return out
