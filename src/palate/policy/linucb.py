"""The best first by what may well be so: the expected reward, and α standard deviations of its uncertainty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.kernels import kernel
from palate.policy.greedy import ExploreSlot, Greedy
from palate.policy.posterior import Belief
from palate.types import F32, F64, I64, Slate

Contexts = Callable[[F64], F64]
"""From scores (n,) to contexts (n, d) of the candidates; rows of those without a finite score don't matter."""


@kernel
def upper_bounds(z: F64, mean: F64, covariance: F64, alpha: float, out: F64) -> None:
    """out[i] = θ̂·zᵢ + α √(zᵢᵀ P zᵢ), (n,). O(n d²)."""
    n, d = z.shape
    toward = np.empty(d)
    for i in range(n):
        for a in range(d):
            toward[a] = 0.0
        for b in range(d):  # row by row, so that each pass is one run through memory
            value = z[i, b]
            for a in range(d):
                toward[a] += value * covariance[b, a]
        expected, variance = 0.0, 0.0
        for a in range(d):
            expected += mean[a] * z[i, a]
            variance += toward[a] * z[i, a]
        out[i] = expected + alpha * np.sqrt(max(0.0, variance))


class LinUCB:
    """LinUCB with one θ for everybody (Li et al. 2010): ranks by θ̂·z + α √(zᵀPz), ties as the candidates stand.

    Nothing is left to chance, so that propensities are 1, but at a slot of exploration, as ``Greedy`` has it; with
    diversity λ the bounds are what MMR weighs.
    """

    name = "linucb"

    def __init__(
        self,
        belief: Belief,
        contexts: Contexts,
        alpha: float = 0.25,
        explore: ExploreSlot | None = None,
        diversity: float = 0.0,
    ) -> None:
        """alpha: α ≥ 0. Errors: ``ConfigError`` for a diversity out of range."""
        self.alpha = alpha
        self._belief, self._contexts = belief, contexts
        self._order = Greedy(explore, diversity)
        self.explore = explore
        self.diversity = diversity

    def bounds(self, scores: F64) -> F64:
        """(n,) what candidates are ranked by; NaN where a score isn't finite."""
        found = np.empty(len(scores))
        upper_bounds(self._contexts(scores), self._belief.mean, self._belief.covariance, self.alpha, found)
        found[~np.isfinite(scores)] = np.nan
        return found

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``; only a slot uses ``rng``. Cost: O(n d² + k log k); diverse, O(n) a position."""
        return self._order.choose(self.bounds(scores), k, rng, similarity)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``."""
        return self._order.chances(self.bounds(scores), order, similarity)
