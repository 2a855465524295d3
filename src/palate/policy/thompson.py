"""Thompson sampling over a linear posterior: at every place, whoever is best in one world that may well be so.

Thompson, "On the Likelihood that One Unknown Probability Exceeds Another" (1933); linear, Agrawal and Goyal (2013). A
posterior has no finite number of worlds, so M of them are drawn, the same M for one belief, and each place draws one of
these (ensemble sampling: Lu and Van Roy 2017). So a propensity is exact for what is done: the share of the M worlds in
which the item is the best of those that remain. As an estimate of what Thompson's own policy would do it is unbiased
over the draw of worlds, with the standard error √(p (1 − p) / M).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.kernels import kernel
from palate.policy.diversify import check_trade_off
from palate.policy.linucb import Contexts
from palate.policy.posterior import Belief
from palate.types import F32, F64, I32, I64, Slate

PLACES = 20
"""Places that are drawn. Below, where hardly anybody looks, a slate goes on by expectation alone."""


@kernel
def outcomes(columns: F64, weights: F64, out: F64) -> None:
    """out[m, i] = Σ weights[m, f] columns[f, i], (M, n), summed in the order of f."""
    samples, d = weights.shape
    n = columns.shape[1]
    for m in range(samples):
        for i in range(n):
            out[m, i] = 0.0
        for f in range(d):
            weight = weights[m, f]
            for i in range(n):
                out[m, i] += weight * columns[f, i]


@kernel
def _draw(columns: F64, weights: F64, picks: I64, order: I64, propensity: F64) -> None:
    """Fill the first ``len(picks)`` places: order and propensity (k,). picks: which world draws each place.

    Every world's best k are found in one pass over the candidates, so that what a place costs is M look-ups, however
    sharp the belief.
    """
    samples, d = weights.shape
    n, k = columns.shape[1], len(picks)
    row, best, values = np.empty(n), np.empty((samples, k), np.int32), np.empty(k)
    for m in range(samples):
        for i in range(n):
            row[i] = 0.0
        for f in range(d):
            weight = weights[m, f]
            for i in range(n):
                row[i] += weight * columns[f, i]
        held = 0
        for i in range(n):
            value = row[i]
            if held == k and not value > values[k - 1]:
                continue
            at = held if held < k else k - 1
            while at > 0 and value > values[at - 1]:
                values[at], best[m, at] = values[at - 1], best[m, at - 1]
                at -= 1
            values[at], best[m, at] = value, i
            held = min(k, held + 1)
    taken = np.zeros(n, np.bool_)
    at_world = np.zeros(samples, np.int32)
    for place in range(k):
        for m in range(samples):
            while taken[best[m, at_world[m]]]:
                at_world[m] += 1
        world = picks[place]
        item = best[world, at_world[world]]
        count = 0
        for m in range(samples):
            count += best[m, at_world[m]] == item
        taken[item] = True
        order[place] = item
        propensity[place] = count / samples


class Thompson:
    """See the module. The item at a place is the best of those that remain in one of M worlds, each as likely.

    With diversity λ the best of a world is the one of the largest utility: (1 − λ) of the world's reward, between its
    largest and smallest, less λ times the likeness to what stands above (MMR, see ``policy.diversify``).
    """

    name = "thompson"

    def __init__(
        self, belief: Belief, contexts: Contexts, alpha: float = 0.25, samples: int = 128, diversity: float = 0.0,
        worlds: F64 | None = None,
    ) -> None:  # fmt: skip
        """alpha: α, by which the posterior's standard deviations are multiplied. samples: M. worlds: (M, d), what
        ``belief.drawn`` gives, where somebody keeps it. Errors: ``ConfigError`` for a diversity out of range."""
        self.worlds = belief.drawn(samples, alpha) if worlds is None else worlds
        self.samples = len(self.worlds)
        self.diversity = check_trade_off(diversity)
        self._mean, self._contexts = belief.mean, contexts

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``. Cost: O(M n d); diverse, O(M n) a place more."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = max(0, min(k, len(eligible)))
        order, propensity = np.zeros(size, np.int64), np.ones(size)
        penalty: F64 | None = None
        places = min(size, PLACES)
        columns = self._columns(scores, eligible)
        picks: I64 = rng.integers(self.samples, size=places)
        if self.diversity > 0.0 and similarity is not None and size:
            race = _Race(self._outcomes(columns), eligible, similarity, self.diversity)
            penalty = np.zeros(size)
            for place, world in enumerate(picks.tolist()):
                winners = race.winners()
                order[place] = winners[world]
                propensity[place] = np.count_nonzero(winners == winners[world]) / self.samples
                penalty[place] = race.take(int(winners[world]))
        elif places:
            _draw(columns, self.worlds, picks, order, propensity)
        if size > places:
            order[places:] = self._expected(columns, order[:places])[: size - places]
        return Slate(eligible[order], propensity, np.zeros(size, np.bool_), penalty)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``. Cost: O(M n) a place."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        found = np.zeros((len(order), len(scores)))
        of: I64 = np.full(len(scores), -1, np.int64)
        of[eligible] = np.arange(len(eligible))
        columns = self._columns(scores, eligible)
        diverse = self.diversity > 0.0 and similarity is not None
        race = _Race(self._outcomes(columns), eligible, similarity if diverse else None, self.diversity)
        taken: list[int] = of[order].tolist()
        for place, one in enumerate(taken):
            if place < PLACES:
                counts = np.bincount(race.winners(), minlength=len(eligible))
                found[place, eligible] = counts / self.samples
                race.take(one)
            else:
                found[place, eligible[self._expected(columns, np.array(taken[:place], np.int64))[0]]] = 1.0
        return found

    def _columns(self, scores: F64, eligible: I64) -> F64:
        """(d, m) contexts of the eligible, a component a row."""
        return np.ascontiguousarray(self._contexts(scores)[eligible].T)

    def _outcomes(self, columns: F64) -> F64:
        found = np.empty((self.samples, columns.shape[1]))
        outcomes(columns, self.worlds, found)
        return found

    def _expected(self, columns: F64, taken: I64) -> I64:
        """Those that aren't ``taken``, the largest expectation first."""
        value = np.empty((1, columns.shape[1]))
        outcomes(columns, self._mean[None], value)
        value[0, taken] = -np.inf
        return np.argsort(-value[0], kind="stable")[: columns.shape[1] - len(taken)]


class _Race:
    """Who is best in every world while a slate is filled. Indices are into ``eligible``."""

    def __init__(self, values: F64, eligible: I64, similarity: Callable[[int], F32] | None, trade_off: float) -> None:
        """values: (M, m), which are written over."""
        self._eligible, self._similarity, self._trade_off = eligible, similarity, trade_off
        if similarity is not None and values.size:
            low = values.min(axis=1, keepdims=True)
            spread = values.max(axis=1, keepdims=True) - low
            values = (1.0 - trade_off) * ((values - low) / np.where(spread > 0.0, spread, 1.0))
        self._values = values
        self._closest: F64 | None = None

    def winners(self) -> I32:
        """(M,) the best of those that remain in each world."""
        value = self._values if self._closest is None else self._values - self._trade_off * self._closest
        return value.argmax(axis=1).astype(np.int32)

    def take(self, index: int) -> float:
        """Put it on the slate; what its likeness to those above took from its utility."""
        penalty = 0.0 if self._closest is None else self._trade_off * float(self._closest[index])
        self._values[:, index] = -np.inf
        if self._similarity is not None:
            near = np.asarray(self._similarity(int(self._eligible[index])), np.float64)[self._eligible]
            near = np.clip(np.nan_to_num(near, nan=0.0), -1.0, 1.0)
            self._closest = near if self._closest is None else np.maximum(self._closest, near)
        return penalty
