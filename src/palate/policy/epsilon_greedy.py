"""The best first, but at every place, with a small chance, anybody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.errors import ConfigError
from palate.policy.diversify import DEPTH, MarginalRelevance, check_trade_off
from palate.policy.greedy import top
from palate.types import F32, F64, I64, Slate


class EpsilonGreedy:
    """Place by place: with probability 1 − ε the best of those that remain, else one of them, drawn uniformly.

    With m candidates left the best has the propensity 1 − ε + ε / m, any other ε / m: each can appear everywhere, so
    that the log can judge any policy, at the price of long odds (Sutton and Barto 2018, 2.2). With diversity λ the best
    is the one of MMR's largest utility, given those above. Items that stand before better ones are labelled explored.
    """

    name = "epsilon_greedy"

    def __init__(self, epsilon: float = 0.1, diversity: float = 0.0) -> None:
        """epsilon: ε in (0, 1]. diversity: λ in [0, 1), 0 is off. Errors: ``ConfigError`` out of these ranges."""
        if not 0.0 < epsilon <= 1.0:
            raise ConfigError(f"policy.epsilon is {epsilon}; it must be above 0 and at most 1.")
        self.epsilon = epsilon
        self.diversity = check_trade_off(diversity)

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``. Cost: O(n + k log k), and O(n) an explored place; diverse, O(n) a position."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = max(0, min(k, len(eligible)))
        order: I64 = np.zeros(size, np.int64)
        propensity, explored = np.zeros(size), np.zeros(size, np.bool_)
        strays: list[bool] = (rng.random(size) < self.epsilon).tolist()
        best = _Best(scores, eligible, size, similarity, self.diversity)
        for place, stray in enumerate(strays):
            first, remain = best.first(), len(eligible) - place
            at = first
            if stray:
                left = best.left()
                at = int(left[rng.integers(len(left))])
            propensity[place] = self.epsilon / remain + (1.0 - self.epsilon) * (at == first)
            explored[place] = at != first
            order[place] = eligible[at]
            best.take(at)
            if at != first and best.penalty is not None:
                best.penalty[place] = 0.0  # chance put it there, whatever it is like
        return Slate(order, propensity, explored, best.penalty)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = len(order)
        found = np.zeros((size, len(scores)))
        best = _Best(scores, eligible, size, similarity, self.diversity)
        of: I64 = np.full(len(scores), -1, np.int64)
        of[eligible] = np.arange(len(eligible))
        for place, at in enumerate(of[order].tolist()):
            found[place, eligible] = self.epsilon / (len(eligible) - place)
            found[place, order[:place]] = 0.0
            found[place, eligible[best.first()]] += 1.0 - self.epsilon
            best.take(at)
        return found


class _Best:
    """The best of those that remain while a slate of ``size`` is filled. Indices are into ``eligible``."""

    def __init__(
        self, scores: F64, eligible: I64, size: int, similarity: Callable[[int], F32] | None, trade_off: float
    ) -> None:
        self._scores: F64 = scores[eligible]
        self._free = np.ones(len(eligible), np.bool_)
        self._relevance: MarginalRelevance | None = None
        self.penalty: F64 | None = None
        self._taken = 0
        if trade_off > 0.0 and similarity is not None and size > 0:
            self._relevance = MarginalRelevance(scores, eligible, similarity, trade_off)
            self.penalty = np.zeros(size)
        self._order: list[int] = top(self._scores, size).tolist()
        self._next = 0

    def first(self) -> int:
        if self._relevance is not None and self._taken < DEPTH:
            return int(self._relevance.utilities().argmax())
        while not self._free[self._order[self._next]]:
            self._next += 1
        return self._order[self._next]

    def left(self) -> I64:
        return np.flatnonzero(self._free)

    def take(self, at: int) -> None:
        if self._relevance is not None and self._taken < DEPTH:
            assert self.penalty is not None
            self.penalty[self._taken] = self._relevance.take(at)
        self._free[at] = False
        self._taken += 1
