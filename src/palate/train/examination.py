"""Position bias: how likely each place of an answer is to be looked at, told apart from how good what stood there is.

A click needs that the item was looked at and that it suited (the examination hypothesis; Richardson 2007, Craswell
2008): P(click) = θ[position] · relevance(x). Given that something of a list was clicked, it is item j with
P(j) ∝ θ[position j] · exp(w·x_j), a conditional logit in which log θ stands as an offset. Both are fitted at once, as
regression EM does (Wang 2018), by maximum likelihood, without an experiment; what identifies θ are items that stood
in different places with like features, which exploration slots and Plackett–Luce slates provide. Learners then take
log θ as an offset of each row (``learners``), so that a click at the top speaks for an item only by what the place
doesn't explain, in trees as in the linear model: the additive form of unbiased LambdaMART (Hu 2019).

Only answers that somebody saw have a bias; replayed decisions showed nothing to anybody.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize

from palate.train.examples import Examples
from palate.train.learners import L2, standardised, x_scale
from palate.types import F64, I64

POSITIONS = 20
"""Places told apart; those behind share the last one's examination."""
ENOUGH = 100
"""Lists with a click from which on anything is believed of positions."""
_PRIOR = 4.0
"""Clicks at a position that speak for no bias, as a ridge on log θ, so that places seldom clicked stay near 1."""


def no_bias() -> F64:
    """(1,) every place is looked at alike."""
    return np.ones(1)


def examination(examples: Examples) -> F64:
    """(p + 1,) θ of each position relative to the first: [0] of what was a candidate and not shown, [1] = 1, and
    [p] of all from there on; (1,) ones where fewer than ``ENOUGH`` lists with positions have a click.

    Cost: some 60 passes over the rows with positions.
    """
    live = examples.taken([n for n in range(len(examples)) if examples.placed(n) is not None])
    if len(live) < ENOUGH:
        return no_bias()
    x, labels, sizes = live.stacked()
    z = standardised(x, *x_scale(x))
    given = np.concatenate([positions for positions in live.positions if positions is not None])
    places: I64 = np.minimum(given, POSITIONS)
    count = int(places.max()) + 1
    free = np.flatnonzero(np.bincount(places, minlength=count) * (np.arange(count) != 1))
    column = np.full(count, -1, np.int64)
    column[free] = np.arange(len(free))
    own = column[places]
    placed = np.flatnonzero(own >= 0)
    starts = np.cumsum(sizes) - sizes
    weight = labels / np.repeat(np.maximum(1, np.add.reduceat(labels, starts)), sizes)
    groups, f = len(sizes), z.shape[1]

    def loss(v: F64) -> tuple[float, F64]:
        w, b = v[:f], v[f:]
        s = (z @ w.astype(np.float32)).astype(np.float64)
        s[placed] += b[own[placed]]
        s -= np.repeat(np.maximum.reduceat(s, starts), sizes)
        e = np.exp(s)
        total = np.add.reduceat(e, starts)
        wrong = e / np.repeat(total, sizes) - weight
        value = (np.log(total).sum() - (weight * s).sum()) / groups
        value += L2 * float(w @ w) + 0.5 * _PRIOR / groups * float(b @ b)
        gradient = np.empty(len(v))
        gradient[:f] = (wrong.astype(np.float32) @ z).astype(np.float64) / groups + 2 * L2 * w
        by_place = np.bincount(own[placed], wrong[placed], len(b))
        gradient[f:] = (by_place + _PRIOR * b) / groups
        return value, gradient

    optimise: Any = scipy.optimize
    found: Any = optimise.minimize(
        loss, np.zeros(f + len(free), np.float64), jac=True, method="L-BFGS-B", options={"maxiter": 200}
    )
    logs = np.zeros(count)
    logs[free] = np.asarray(found.x, np.float64)[f:]
    return np.exp(np.clip(logs, -12.0, 12.0))
