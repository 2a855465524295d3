"""Maximal marginal relevance: what a candidate is worth, given those already chosen.

Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries"
(1998). With the trade-off λ, scores normalised to [0, 1] over the candidates, and C those chosen:

    utility(i) = (1 − λ) · normalised(i) − λ · max over c in C of similarity(i, c)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.errors import ConfigError
from palate.types import F32, F64, I64

DEPTH = 100
"""Positions that are diversified. Below, where hardly anybody looks, a slate goes on by score alone: each diversified
position costs one pass over the candidates, and a request may rank ten thousand."""


def check_trade_off(value: float) -> float:
    """λ itself. Errors: ``ConfigError`` outside [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise ConfigError(f"policy.diversity is {value}; it must be at least 0 (off) and less than 1.")
    return value


class MarginalRelevance:
    """Utilities of the eligible candidates while a slate is being chosen. Indices are into ``eligible``."""

    def __init__(self, scores: F64, eligible: I64, similarity: Callable[[int], F32] | None, trade_off: float) -> None:
        """scores: (n,), finite at the positions ``eligible`` (m,), which has at least one."""
        chosen: F64 = scores[eligible]
        low = chosen.min()
        # Halves, so that the difference of two finite scores can't overflow.
        half: float = float(chosen.max() * 0.5 - low * 0.5)
        self.spread = min(2.0 * half, 1e300) if half > 0 else 1.0
        """Largest minus smallest score: what one unit of utility is worth in score units (1 where all are equal)."""
        normalised: F64 = (chosen * 0.5 - low * 0.5) / half if half > 0 else np.zeros(len(chosen))
        self._relevance: F64 = (1.0 - trade_off) * normalised
        self._trade_off = trade_off
        self._similarity = similarity
        self._eligible = eligible
        self._closest: F64 | None = None
        self._taken: list[int] = []

    def utilities(self) -> F64:
        """Utilities (m,) given those taken, −∞ for these."""
        value = self._relevance.copy() if self._closest is None else self._relevance - self._trade_off * self._closest
        value[self._taken] = -np.inf
        return value

    def take(self, index: int) -> float:
        """Put the candidate at ``index`` on the slate; what its likeness to those above took from its utility."""
        penalty = 0.0 if self._closest is None else self._trade_off * float(self._closest[index])
        self._taken.append(index)
        if self._similarity is None:
            return penalty
        near = np.asarray(self._similarity(int(self._eligible[index])), dtype=np.float64)[self._eligible]
        near = np.clip(np.nan_to_num(near, nan=0.0), -1.0, 1.0)
        self._closest = near if self._closest is None else np.maximum(self._closest, near)
        return penalty
