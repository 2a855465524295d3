"""The softmax function, safe at any magnitude."""

from __future__ import annotations

import numpy as np

from palate.types import F64


def softmax(scores: F64) -> F64:
    """wᵢ = exp(sᵢ) / Σⱼ exp(sⱼ), (n,) to (n,), positive or 0, summing to 1; empty for no scores.

    The largest score is subtracted first, which changes nothing but keeps exp from overflowing. −∞ has probability
    0; if nothing is above −∞, or something is +∞ or NaN, no distribution exists: ``ValueError``.
    """
    if scores.size == 0:
        return np.zeros(0)
    top = scores.max()
    if not np.isfinite(top):
        raise ValueError("softmax needs a finite largest score; leave non-finite scores out before.")
    with np.errstate(over="ignore"):  # −1e308 − 1e308 is −∞, whose exponential is rightly 0
        weights: F64 = np.exp(scores - top)
    return weights / weights.sum()
