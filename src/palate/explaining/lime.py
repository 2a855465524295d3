"""LIME (Ribeiro, Singh and Guestrin 2016): a linear model of any scorer, near one row.

For scorers whose contributions aren't exact, or to hold exact ones against. Rows near x are made by taking some of its
features from a row of the background at random; a ridge regression of their scores on their features, weighted by how
much of x they kept, gives a slope a feature, and with it slope · (x − mean of the background) as its contribution. It
says how well it fits: of a linear scorer it gives the exact contributions against the background's mean row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from palate.types import F32, F64, Contribution

SAMPLES = 2_000
WIDTH = 0.75
"""Of the kernel exp(−d² / width²), d the share of features that were taken from the background."""
RIDGE = 1e-6
"""Of the squared slopes of standardised features, a sample."""
_SMALLEST = 1e-12


class Local(msgspec.Struct):
    """base + Σ contributions is what the linear model gives to the row; score: the scorer's own. fit: its weighted R²
    on the rows that it was fitted on. rows: how many these were; background: how many they were mixed from."""

    base: float
    score: float
    contributions: list[Contribution]
    fit: float
    rows: int
    background: int


def lime(
    score: Callable[[F32], F64], x: F32, background: F32, names: Sequence[str], seed: int, samples: int = SAMPLES
) -> Local:
    """Explain ``score`` at ``x`` (f,) by a linear model over mixtures with ``background`` (n, f).

    The same seed gives the same answer. Missing values count as the background's mean. Cost: ``samples`` scores, and
    O(samples · f²).
    """
    rng = np.random.default_rng(seed)
    n, f = background.shape
    kept = rng.random((samples, f)) < rng.random((samples, 1))
    kept[0] = True
    mixed = np.where(kept, x[None], background[rng.integers(0, n, samples)]).astype(np.float32)
    y = score(mixed)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(background)
        mean: F64 = np.where(known, background, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    z = np.where(np.isfinite(mixed), mixed, mean) - mean
    scale = z.std(axis=0)
    free = np.flatnonzero((scale > 1e-9) & (np.abs(z).max(axis=0) > 1e-9))
    changed = 1.0 - kept[:, free].mean(axis=1) if len(free) else np.zeros(samples)
    good = np.isfinite(y)
    weight = np.where(good, np.exp(-(changed**2) / WIDTH**2), 0.0)
    weight /= max(weight.sum(), _SMALLEST)
    y = np.where(good, y, 0.0)
    design = z[:, free] / scale[free]
    centre, middle = weight @ design, float(weight @ y)
    left, right = design - centre, y - middle
    gram = (left * weight[:, None]).T @ left + RIDGE * np.eye(len(free))
    slopes = np.zeros(0)
    if len(free):
        slopes = np.asarray(np.linalg.solve(gram, left.T @ (weight * right)), np.float64)
    told: F64 = np.asarray(left @ slopes, np.float64)
    spread = float(weight @ right**2)
    fit = 1.0 - float(weight @ (right - told) ** 2) / spread if spread > _SMALLEST else 1.0
    mine = np.where(np.isfinite(x), x, mean) - mean
    parts = np.zeros(f)
    parts[free] = slopes / scale[free] * mine[free]
    base = middle - float(centre @ slopes)  # of the mean row of the background
    order: list[int] = np.argsort(-np.abs(parts), kind="stable").tolist()
    terms = [
        Contribution(names[at], float(x[at]) if np.isfinite(x[at]) else None, float(parts[at]))
        for at in order
        if abs(parts[at]) > _SMALLEST
    ]
    return Local(base, float(y[0]), terms, round(fit, 6), samples, n)
