"""Learning a ``RatingModel``: a Gibbs sampler, some of whose turns are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.errors import InvalidInput
from palate.ratings import gibbs
from palate.ratings.model import ARRAYS, Array, RatingModel
from palate.types import F64, I64

FACTORS = 16
WARM_UP = 20
DRAWS = 40
THIN = 3
"""Turns of the sampler for each draw that is kept: neighbours in the chain are too alike to be worth keeping."""

Progress = Callable[[int, int], None]


def fit(
    users: I64,
    items: I64,
    ratings: F64,
    n_users: int,
    n_items: int,
    factors: int = FACTORS,
    draws: int = DRAWS,
    seed: int = 1,
    progress: Progress | None = None,
) -> RatingModel:
    """Learn from n ratings: (n,) rows of users and items, (n,) values; of a pair there should be one.

    Deterministic by ``seed``. Cost: (WARM_UP + THIN · draws) · (2 n k² + (users + items) k³) multiplications: 100,000
    ratings take about 3 s. Errors: ``InvalidInput`` without ratings, or for rows and values that can't be.
    """
    values = np.asarray(ratings, np.float64)
    if not len(values):
        raise InvalidInput("There are no ratings to learn from.")
    if not len(users) == len(items) == len(values) or not np.isfinite(values).all():
        raise InvalidInput("Give a user, an item and a finite value for every rating.")
    if min(users.min(), items.min()) < 0 or users.max() >= n_users or items.max() >= n_items:
        raise InvalidInput(f"A rating names a user row beyond {n_users - 1} or an item row beyond {n_items - 1}.")
    chance, average = np.random.default_rng(seed), float(values.mean())
    left = values - average
    people = gibbs.side(users, items, left, n_users, factors, chance)
    things = gibbs.side(items, users, left, n_items, factors, chance)
    alpha = 1.0 / max(1e-6, float(left.var()))
    kept: list[dict[str, Array]] = []
    total = WARM_UP + THIN * draws
    for turn in range(total):
        for mine, other in ((people, things), (things, people)):
            gibbs.redistribute(mine, chance)
            gibbs.redraw(mine, other, alpha, chance)
        fitted = people.bias[users] + things.bias[items]
        fitted += np.einsum("nk,nk->n", people.factors[users], things.factors[items])
        error = float(np.sum((left - fitted) ** 2))
        alpha = float(chance.gamma(0.5 * (1 + len(left)), 2.0 / (1.0 + error)))
        if turn >= WARM_UP and (turn - WARM_UP) % THIN == THIN - 1:
            kept.append(_drawn("user", people) | _drawn("item", things) | {"alpha": np.array(alpha)})
        if progress is not None:
            progress(turn + 1, total)
    scale = np.array([average, float(values.min()), float(values.max())])
    return RatingModel(scale, **{name: np.stack([one[name] for one in kept]) for name in ARRAYS if name != "scale"})


def _drawn(name: str, side: gibbs.Side) -> dict[str, Array]:
    return {
        f"{name}_factors": side.factors.astype(np.float32),
        f"{name}_bias": side.bias.astype(np.float32),
        f"{name}_mean": side.mean.copy(),
        f"{name}_precision": side.precision.copy(),
        f"{name}_bias_precision": np.array(side.bias_precision),
    }
