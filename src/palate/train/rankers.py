"""Rankers of scikit-learn as back ends of training: fitted there, converted to Palate's own scorers, never pickled.

``forest``: random forest (Breiman 2001) on chosen or not; the score is its probability. ``boosting``: gradient-boosted
histogram trees (Friedman 2001) with log loss, its raw prediction. ``logistic``: logistic regression on chosen or not.
``svm``: linear RankSVM (Joachims 2002), squared hinge on differences between the chosen and other candidates. The first
three judge each candidate by itself; clicks at places that are seldom looked at count more (inverse propensity; Wang
2016), and what nobody was shown doesn't count. Forests and boosted trees become ``TreeScorer``, the others
``LinearScorer``, whose score lacks only the intercept, which no order depends on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from palate.config import TrainSettings
from palate.errors import MissingExtra
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.score.tree_kernels import LEFT
from palate.score.trees import INFINITE, Forest, TreeScorer
from palate.train.examples import Examples
from palate.train.learners import L2, standardised, x_scale
from palate.types import F32, F64, I64

BACK_ENDS = ("forest", "boosting", "logistic", "svm")
_FOREST = 200
"""Trees of a random forest, at most."""
_LEAVES = 64
_NEGATIVES = 20
"""Candidates that each chosen one is compared with in RankSVM."""
_MOST_WEIGHT = 10.0
"""Of a click at a place that is hardly looked at: a bound on the variance of inverse propensities."""


def fit_ranker(name: str, examples: Examples, names: tuple[str, ...], settings: TrainSettings, examined: F64) -> Scorer:
    """The back end ``name`` fitted on ``examples``. examined: of positions, as ``examination`` gives them.

    Errors: ``MissingExtra`` where scikit-learn isn't installed. Cost: seconds to a minute for half a million rows.
    """
    try:
        import sklearn  # noqa: F401  # pyright: ignore
    except ImportError:
        raise MissingExtra("scikit-learn", "tune", f"train.ranker = {name!r}") from None
    return _FITS[name](examples, names, settings, examined)


def _weighted(examples: Examples, examined: F64) -> tuple[F32, I64, F64]:
    """Rows, labels, and weights by inverse propensity; rows that nobody was shown are left out of lists shown."""
    x, labels, sizes = examples.stacked()
    weight = np.ones(len(x))
    if len(examined) > 1:
        worth = np.minimum(1.0 / examined, _MOST_WEIGHT)
        starts = np.cumsum(sizes) - sizes
        for n, start in enumerate(starts.tolist()):
            positions = examples.placed(n)
            if positions is not None:
                rows = slice(start, start + len(positions))
                clicked = worth[np.minimum(positions, len(worth) - 1)]
                weight[rows] = np.where(positions == 0, 0.0, np.where(labels[rows] > 0, clicked, 1.0))
    kept = weight > 0
    return x[kept], labels[kept], weight[kept]


def _forest(examples: Examples, names: tuple[str, ...], settings: TrainSettings, examined: F64) -> Scorer:
    from sklearn.ensemble import RandomForestClassifier

    x, labels, weight = _weighted(examples, examined)
    model: Any = RandomForestClassifier(
        n_estimators=min(settings.trees, _FOREST),
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=max(1, min(200, len(x) // 2000)),
        max_samples=min(1.0, max(0.1, 100_000 / len(x))),
        n_jobs=_jobs(),
        random_state=settings.seed,
    )
    return forest_of(model.fit(x, labels, weight), names)


def _boosting(examples: Examples, names: tuple[str, ...], settings: TrainSettings, examined: F64) -> Scorer:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, labels, weight = _weighted(examples, examined)
    model: Any = HistGradientBoostingClassifier(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=max(5, min(200, len(x) // 1000)),
        l2_regularization=5.0,
        max_features=0.5,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=settings.seed,
    )
    return boosted_of(model.fit(x, labels, weight), names, len(x))


def _logistic(examples: Examples, names: tuple[str, ...], settings: TrainSettings, examined: F64) -> Scorer:
    from sklearn.linear_model import LogisticRegression

    x, labels, weight = _weighted(examples, examined)
    mean, scale = x_scale(x)
    z = standardised(x, mean, scale).astype(np.float64)
    model: Any = LogisticRegression(C=0.5 / (L2 * max(1, int(labels.sum()))), max_iter=200)
    _quietly(lambda: model.fit(z, labels, weight))
    return LinearScorer(names, model.coef_[0], mean.astype(np.float64), scale.astype(np.float64))


def _svm(examples: Examples, names: tuple[str, ...], settings: TrainSettings, examined: F64) -> Scorer:
    from sklearn.svm import LinearSVC

    x, _, _ = examples.stacked()
    mean, scale = x_scale(x)
    rng = np.random.default_rng(settings.seed)
    worth = np.minimum(1.0 / examined, _MOST_WEIGHT)
    rows: list[F32] = []
    weights: list[F64] = []
    for n, (group, chosen) in enumerate(zip(examples.x, examples.chosen, strict=True)):
        positions = examples.placed(n)
        others = np.ones(len(group), np.bool_)
        others[chosen] = False
        if positions is not None and len(examined) > 1:
            others &= positions > 0
        pool = np.flatnonzero(others)
        z = standardised(group, mean, scale)
        for one in chosen.tolist():
            drawn = pool if len(pool) <= _NEGATIVES else rng.choice(pool, _NEGATIVES, replace=False)
            weight = 1.0
            if positions is not None and len(examined) > 1:
                weight = float(worth[min(int(positions[one]), len(worth) - 1)])
            rows.append(z[one] - z[drawn])
            weights.append(np.full(len(drawn), weight))
    pairs, weight = np.concatenate(rows).astype(np.float64), np.concatenate(weights)
    sign = np.where(np.arange(len(pairs)) % 2, -1, 1)  # both classes, or there would be nothing to tell apart
    _primal: Any = False
    model: Any = LinearSVC(
        C=0.5 / (L2 * len(pairs)), fit_intercept=False, dual=_primal, random_state=settings.seed, max_iter=2000
    )
    _quietly(lambda: model.fit(pairs * sign[:, None], sign, weight))
    return LinearScorer(names, model.coef_[0], mean.astype(np.float64), scale.astype(np.float64))


_FITS: dict[str, Callable[[Examples, tuple[str, ...], TrainSettings, F64], Scorer]] = {
    "forest": _forest,
    "boosting": _boosting,
    "logistic": _logistic,
    "svm": _svm,
}


def _quietly(fit: Callable[[], object]) -> None:
    """A solver that stops at its bound is as far as it got, which the validation judges."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit()


def _jobs() -> int:
    """Half the cores: the others serve."""
    return max(1, (os.cpu_count() or 1) // 2)


# ------------------------------------------------------------------------------------- conversion


def forest_of(model: Any, names: tuple[str, ...]) -> TreeScorer:
    """The scorer equal to ``predict_proba(x)[:, 1]`` of a fitted ``RandomForestClassifier`` of two classes."""
    trees: list[dict[str, Any]] = []
    members: list[Any] = list(model.estimators_)
    for member in members:
        tree = member.tree_
        leaf = np.asarray(tree.children_left) < 0
        values: F64 = np.asarray(tree.value, np.float64)[:, 0, :]
        share = values[:, 1] / values.sum(axis=1) if values.shape[1] > 1 else np.full(len(values), _only(member))
        trees.append(
            {
                "feature": np.where(leaf, -1, tree.feature),
                # Infinite where what is missing is told from everything else.
                "threshold": np.where(leaf, 0.0, np.clip(tree.threshold, -INFINITE, INFINITE)),
                "rule": np.where(leaf, 0, np.asarray(tree.missing_go_to_left) * LEFT),
                "left": np.asarray(tree.children_left),
                "right": np.asarray(tree.children_right),
                "value": np.where(leaf, share / len(members), 0.0),
                "cover": np.asarray(tree.weighted_n_node_samples),
            }
        )
    return _scorer(trees, names)


def _only(member: Any) -> float:
    """What a tree says that saw one class alone."""
    return float(member.classes_[0])


def boosted_of(model: Any, names: tuple[str, ...], rows: int) -> TreeScorer:
    """The scorer equal to ``decision_function`` of a fitted ``HistGradientBoostingClassifier`` without categories.

    rows: how many it was fitted on. What it begins with, the log-odds of all, is a tree of one leaf.
    """
    start = float(np.ravel(model._baseline_prediction)[0])
    trees: list[dict[str, Any]] = [_leaf(start, rows)]
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(np.bool_)
        trees.append(
            {
                "feature": np.where(leaf, -1, nodes["feature_idx"]),
                "threshold": np.where(leaf, 0.0, np.clip(nodes["num_threshold"], -INFINITE, INFINITE)),
                "rule": np.where(leaf, 0, nodes["missing_go_to_left"] * LEFT),
                "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
                "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
                "value": np.where(leaf, nodes["value"], 0.0),
                "cover": nodes["count"].astype(np.float64),
            }
        )
    return _scorer(trees, names)


def _leaf(value: float, cover: float) -> dict[str, Any]:
    return {
        "feature": np.array([-1]), "threshold": np.zeros(1), "rule": np.zeros(1), "left": np.array([-1]),
        "right": np.array([-1]), "value": np.array([value]), "cover": np.array([float(cover)]),
    }  # fmt: skip


def _scorer(trees: list[dict[str, Any]], names: tuple[str, ...]) -> TreeScorer:
    """Trees with nodes numbered from 0 each, a parent before its children, as one forest."""
    sizes = np.array([len(tree["feature"]) for tree in trees], np.int64)
    offset = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    kinds: dict[str, Any] = {"feature": np.int32, "threshold": np.float64, "rule": np.uint8, "value": np.float64}
    arrays: dict[str, Any] = {
        name: np.concatenate([tree[name] for tree in trees]).astype(kind) for name, kind in kinds.items()
    }
    for side in ("left", "right"):
        arrays[side] = np.concatenate(
            [np.where(tree[side] < 0, -1, tree[side] + start) for tree, start in zip(trees, offset, strict=False)]
        ).astype(np.int32)
    arrays["cover"] = np.concatenate([tree["cover"] for tree in trees]).astype(np.float64)
    arrays["offset"] = offset.astype(np.int32)
    arrays["category_start"] = np.zeros(len(arrays["feature"]) + 1, np.int32)
    arrays["category"] = np.zeros(0, np.int32)
    return TreeScorer(names, Forest.load(arrays, len(names)))
