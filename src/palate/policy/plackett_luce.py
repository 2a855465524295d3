"""Slates drawn position by position from a softmax over the candidates that remain.

Plackett, "The Analysis of Permutations" (1975). Every candidate can appear at every position and every propensity is
known exactly, which is what counterfactual evaluation needs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.errors import ConfigError
from palate.policy.diversify import DEPTH, MarginalRelevance, check_trade_off
from palate.policy.softmax import softmax
from palate.types import F32, F64, I64, Slate


class PlackettLuce:
    """Draws the next item i of those that remain with probability exp(uᵢ / T) / Σⱼ exp(uⱼ / T).

    u is the score. With diversity λ it is MMR's utility, given the items above, times the spread of the scores: in
    score units, so that T means the same for every λ and λ → 0 gives the plain draw back. The propensity is that
    very probability.
    """

    name = "plackett_luce"

    def __init__(self, temperature: float = 1.0, diversity: float = 0.0) -> None:
        """temperature: T, positive; towards 0 the draw becomes greedy. diversity: λ in [0, 1), 0 is off.

        Errors: ``ConfigError`` out of these ranges.
        """
        if not 0.0 < temperature < np.inf:
            raise ConfigError(f"policy.temperature is {temperature}; it must be positive and finite.")
        self.temperature = temperature
        self.diversity = check_trade_off(diversity)

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``. Cost: O(n log n); diverse, O(n) a position."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = max(0, min(k, len(eligible)))
        order: I64 = np.zeros(0, dtype=np.int64)
        propensity: F64 = np.zeros(0)
        rest = eligible
        penalty: F64 | None = None
        if self.diversity > 0.0 and similarity is not None and size > 0:
            head, propensity, taken = self._diverse(scores, eligible, min(size, DEPTH), rng, similarity)
            penalty = np.pad(taken, (0, size - len(taken)))
            order, rest = eligible[head], np.delete(eligible, head)
        if len(order) < size:
            tail, chances = self._plain(scores[rest], size - len(order), rng)
            order, propensity = np.concatenate([order, rest[tail]]), np.concatenate([propensity, chances])
        return Slate(order, propensity, np.zeros(size, dtype=np.bool_), penalty)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = len(order)
        found = np.zeros((size, len(scores)))
        if not size:
            return found
        of: I64 = np.full(len(scores), -1, np.int64)
        of[eligible] = np.arange(len(eligible))
        at: list[int] = of[order].tolist()
        with np.errstate(over="ignore"):
            u: F64 = np.maximum((scores[eligible] - scores[eligible].max()) / self.temperature, -1e300)
        left = np.tile(u, (size, 1))
        if self.diversity > 0.0 and similarity is not None:
            relevance = MarginalRelevance(scores, eligible, similarity, self.diversity)
            for place in range(min(size, DEPTH)):
                utility = relevance.utilities()
                with np.errstate(over="ignore"):
                    left[place] = np.maximum((utility - utility.max()) * relevance.spread / self.temperature, -1e300)
                relevance.take(at[place])
        for place in range(1, size):
            left[place:, at[place - 1]] = -np.inf
        left -= left.max(axis=1, keepdims=True)
        np.exp(left, out=left)
        left /= left.sum(axis=1, keepdims=True)
        found[:, eligible] = left
        return found

    def _plain(self, scores: F64, size: int, rng: np.random.Generator) -> tuple[I64, F64]:
        """All draws at once: sorting by u / T + Gumbel noise is the sequential draw (Yellott 1977)."""
        with np.errstate(over="ignore"):
            u: F64 = np.maximum((scores - scores.max()) / self.temperature, -1e300)
        noise: F64 = rng.gumbel(size=u.shape)
        # The sum as two floats (Knuth's TwoSum): beside a huge |u| the noise would else be rounded away, and
        # candidates that the propensities call equally likely would come in a fixed order.
        high = u + noise
        back = high - u
        low = (u - (high - back)) + (noise - back)
        drawn: I64 = np.lexsort((-low, -high))
        chosen = drawn[:size]
        return chosen, _chances(u[drawn], size)

    def _diverse(
        self, scores: F64, eligible: I64, size: int, rng: np.random.Generator, similarity: Callable[[int], F32]
    ) -> tuple[list[int], F64, F64]:
        relevance = MarginalRelevance(scores, eligible, similarity, self.diversity)
        order: list[int] = []
        propensity: F64 = np.empty(size)
        penalty: F64 = np.empty(size)
        for place in range(size):
            utility = relevance.utilities()
            with np.errstate(over="ignore"):
                weights = softmax((utility - utility.max()) * relevance.spread / self.temperature)
            upto = np.cumsum(weights)
            drawn = int(upto.searchsorted(rng.random() * float(upto[-1]), side="right"))
            if drawn == len(upto):  # the product may round up to the total
                drawn = int(np.flatnonzero(weights)[-1])
            penalty[place] = relevance.take(drawn)
            order.append(drawn)
            propensity[place] = weights[drawn]
        return order, propensity, penalty


def _chances(u: F64, size: int) -> F64:
    """exp(uⱼ) / Σᵢ≥ⱼ exp(uᵢ) for the first ``size`` (at least 1) of the utilities ``u`` in drawn order.

    From the last place to the first by differences, which stay exact where the utilities themselves are huge:
    Σᵢ≥ⱼ exp(uᵢ − uⱼ) = 1 + exp(uⱼ₊₁ − uⱼ) · Σᵢ>ⱼ exp(uᵢ − uⱼ₊₁). None can overflow: Gumbel noise spans about 40.
    """
    chances = np.empty(size)
    total = float(np.exp(u[size - 1 :] - u[size - 1]).sum())
    chances[size - 1] = 1.0 / total
    steps: list[float] = np.exp(np.diff(u[:size])).tolist()
    for place in range(size - 2, -1, -1):
        total = 1.0 + steps[place] * total
        chances[place] = 1.0 / total
    return chances
