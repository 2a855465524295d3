"""The judge: validation NDCG@10 of every candidate, decision by decision, and by how much one beats another."""

from __future__ import annotations

import numpy as np

from palate.features import PRIOR, column
from palate.line import prior_model
from palate.score import Scorer
from palate.score.blend import BlendScorer
from palate.train.examples import Examples, gains_at_10
from palate.types import F64, I64, Margin

_GROUPS = 200
_RESAMPLES = 1000
_FEW = 20
_COUNT = column("user_count")


def judge(scorer: Scorer, examples: Examples) -> float:
    """Validation NDCG@10 of a scorer; a missed choice counts 0."""
    count = len(examples) + examples.missed
    return float(gains(scorer, examples).sum()) / count if count else 0.0


def gains(scorer: Scorer, examples: Examples, kept: dict[int, F64] | None = None) -> F64:
    """(g,) NDCG@10 of every group's first choice, those missed left out. kept: as in ``scores``."""
    return gains_at_10(scores(scorer, examples, {} if kept is None else kept), examples)


def scores(scorer: Scorer, examples: Examples, kept: dict[int, F64]) -> F64:
    """(n,) scores of all rows, group after group. kept: by ``id`` of scorers, so that a blend's parts score once."""
    if id(scorer) not in kept:
        if isinstance(scorer, BlendScorer):
            linear, trees = scores(scorer.linear, examples, kept), scores(scorer.trees, examples, kept)
            kept[id(scorer)] = scorer.share * linear + trees
        else:
            parts = [
                scorer.score(np.concatenate(examples.x[start : start + _GROUPS]))
                for start in range(0, len(examples.x), _GROUPS)
            ]
            kept[id(scorer)] = np.concatenate(parts) if parts else np.zeros(0)
    return kept[id(scorer)]


def scale_of(scorer: Scorer, examples: Examples) -> float:
    """The spread of the scorer's scores within a decision over that of the prior's, median of up to 500."""
    prior = prior_model().scorer
    spreads = [
        (float(scorer.score(x).std()), float(prior.score(np.ascontiguousarray(x[:, : len(PRIOR)])).std()))
        for x in examples.x[:500]
    ]
    ratios = [mine / theirs for mine, theirs in spreads if theirs > 1e-9]
    return round(float(np.median(ratios)), 6) if ratios else 1.0


def scale_for_strangers(scorer: Scorer, examples: Examples, otherwise: float) -> float:
    """``scale_of`` the decisions for people without a history, ``otherwise`` where these are fewer than ``_FEW``."""
    mine = [n for n, x in enumerate(examples.x) if x[0, _COUNT] == 0]
    return scale_of(scorer, examples.taken(mine)) if len(mine) >= _FEW else otherwise


def margin(first: F64, second: F64, missed: int = 0, seed: int = 1, people: I64 | None = None) -> Margin:
    """By how much ``first`` beats ``second``, (g,) gains of the same decisions: the mean difference, with a 95 %
    percentile interval over resampled decisions (paired bootstrap; Efron 1979).

    missed: further decisions in which both are 0. people: (g,) whose each decision is: people are drawn then, with all
    their decisions (Field and Welsh 2007). Cost: 1,000 × g additions.
    """
    difference = first - second
    count = len(difference) + missed
    if count == 0:
        return Margin(0.0, 0.0, 0.0)
    value = float(difference.sum()) / count
    if count == 1:
        return Margin(value, value, value)
    rng = np.random.default_rng(seed)
    if people is not None:
        _, code = np.unique(people, return_inverse=True)
        sums, sizes = np.bincount(code, difference), np.bincount(code).astype(np.float64)
        drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1.0 / len(sizes)), _RESAMPLES)
        low, high = np.quantile(drawn @ sums / (drawn @ sizes), (0.025, 0.975)).tolist()
        return Margin(value, float(low), float(high))
    padded = np.concatenate([difference, np.zeros(missed)])
    means = np.array([padded[rng.integers(0, count, count)].mean() for _ in range(_RESAMPLES)])
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return Margin(value, float(low), float(high))
