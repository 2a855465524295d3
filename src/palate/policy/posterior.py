"""What a linear bandit believes: a Gaussian over the weights θ of a context, learnt one answer at a time.

With contexts z (d,) and rewards r, each with a weight w that fades by age, the posterior is N(θ̂, v² P) with

    P = (Λ + Σ w z zᵀ)⁻¹        θ̂ = P (Λ μ + Σ w r z)

where N(μ, v² Λ⁻¹) is the prior (Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation",
2010, which has Λ = I, μ = 0; Agrawal and Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", 2013).
One answer costs O(d²): P is changed by Sherman and Morrison's formula (1950), and made anew from the sums now and then,
so that rounding can't pile up.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from palate.kernels import kernel
from palate.types import F64

STEPS = 64
"""Steps in which a half-life fades: between two of them nothing does, so that P keeps its short update."""
_ANEW = 512
"""Answers after which P is made anew from its sums."""


@kernel
def _observe(covariance: F64, squares: F64, products: F64, z: F64, weight: float, reward: float) -> None:
    """Take one answer into P (d, d), Σ w z zᵀ (d, d) and Σ w r z (d,), in place. O(d²)."""
    d = len(z)
    toward = np.empty(d)
    along = 0.0
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += covariance[i, j] * z[j]
        toward[i] = total
        along += z[i] * total
    scale = weight / (1.0 + weight * along)
    for i in range(d):
        for j in range(d):
            covariance[i, j] -= scale * (toward[i] * toward[j])
            squares[i, j] += weight * (z[i] * z[j])
        products[i] += weight * reward * z[i]


class Belief(NamedTuple):
    """A posterior at one moment; arrays that nobody changes. mean: θ̂ (d,); covariance: P (d, d); updates: answers
    learnt, which tell one belief from the next."""

    mean: F64
    covariance: F64
    updates: int

    def drawn(self, samples: int, alpha: float) -> F64:
        """(samples, d) draws of N(θ̂, α² P), the same for the same belief. O(d³ + samples d²)."""
        symmetric = (self.covariance + self.covariance.T) * 0.5
        root = np.linalg.cholesky(symmetric + np.eye(len(self.mean)) * (1e-12 * float(np.trace(symmetric))))
        noise = np.random.default_rng((self.updates, samples)).standard_normal((samples, len(self.mean)))
        return self.mean + alpha * (noise @ root.T)


class Kept(msgspec.Struct):
    """A posterior as it is written down; lists by rows."""

    precision: list[list[float]]
    prior: list[float]
    squares: list[list[float]]
    products: list[float]
    covariance: list[list[float]]
    updates: int
    since: int
    step: int


class Posterior:
    """See the module. Not thread-safe; ``belief`` is what others may hold.

    precision: Λ (d, d), symmetric and positive definite; prior: μ (d,). half_life: in ms of event time, after which an
    answer counts half; 0 for never. The prior doesn't fade: what isn't confirmed goes back to it.
    """

    def __init__(self, precision: F64, prior: F64, half_life: float = 0.0) -> None:
        self._precision = np.array(precision, np.float64)
        self._prior = np.array(prior, np.float64)
        self._half_life = half_life
        d = len(prior)
        self._squares, self._products = np.zeros((d, d)), np.zeros(d)
        self._covariance = np.zeros((d, d))
        self.updates = self._since = self._step = 0
        self._belief: Belief | None = None
        self._anew()

    @property
    def dimensions(self) -> int:
        """d."""
        return len(self._prior)

    def observe(self, z: F64, reward: float, timestamp: int, share: float = 1.0) -> None:
        """Learn that context ``z`` (d,) brought ``reward`` at ``timestamp`` (ms). share: of an answer, in (0, 1], that
        this counts for. O(d²)."""
        weight = share * self._weight(timestamp)
        _observe(self._covariance, self._squares, self._products, z, weight, reward)
        self.updates += 1
        self._since += 1
        self._belief = None
        if self._since >= _ANEW:
            self._anew()

    def credit(self, z: F64, more: float, timestamp: int) -> None:
        """What was learnt at ``timestamp`` brought ``more`` than was known then: the sums of rewards change alone."""
        self._products += self._weight(timestamp) * more * z
        self.updates += 1
        self._belief = None

    def advance(self, now: int) -> None:
        """Let what was learnt fade up to event time ``now`` (ms); never back."""
        if not self._half_life:
            return
        step = int(now * STEPS // self._half_life)
        if step <= self._step:
            return
        if self.updates:
            left = 2.0 ** (-(step - self._step) / STEPS)
            self._squares *= left
            self._products *= left
            self._anew()
        self._step = step

    def belief(self) -> Belief:
        """What is believed now. O(d²) after a change."""
        if self._belief is None:
            mean = self._covariance @ (self._precision @ self._prior + self._products)
            self._belief = Belief(mean, self._covariance.copy(), self.updates)
        return self._belief

    def handed_on(self, kept: int, precision: F64, prior: F64) -> Posterior:
        """A posterior for contexts that share the first ``kept`` components with these, and mean others by the rest.

        Of those the belief goes on as prior: its marginal, whose precision is the inverse of the block of P. The rest
        begins as ``precision`` (d, d) and ``prior`` (d,) say.
        """
        mine = self.belief()
        made, mean = np.array(precision, np.float64), np.array(prior, np.float64)
        block = np.linalg.inv(mine.covariance[:kept, :kept])
        made[:kept, :kept] = (block + block.T) * 0.5
        made[:kept, kept:] = made[kept:, :kept] = 0.0
        mean[:kept] = mine.mean[:kept]
        found = Posterior(made, mean, self._half_life)
        found._step = self._step
        return found

    def keep(self) -> Kept:
        """Everything, for ``restored``."""
        return Kept(
            self._precision.tolist(), self._prior.tolist(), self._squares.tolist(), self._products.tolist(),
            self._covariance.tolist(), self.updates, self._since, self._step,
        )  # fmt: skip

    @classmethod
    def restored(cls, kept: Kept, half_life: float) -> Posterior:
        """The posterior that ``kept`` was made of, to the bit. Errors: ``ValueError`` where the arrays don't fit."""
        d = len(kept.prior)
        matrices = [np.array(one, np.float64) for one in (kept.precision, kept.squares, kept.covariance)]
        if any(one.shape != (d, d) for one in matrices) or len(kept.products) != d:
            raise ValueError("a posterior's arrays don't fit together")
        made = cls(matrices[0], np.array(kept.prior), half_life)
        made._squares, made._covariance = matrices[1], matrices[2]
        made._products = np.array(kept.products, np.float64)
        made.updates, made._since, made._step = kept.updates, kept.since, kept.step
        return made

    def _weight(self, timestamp: int) -> float:
        """What an answer of ``timestamp`` counts now, beside one of now."""
        if not self._half_life:
            return 1.0
        return 2.0 ** (min(0, int(timestamp * STEPS // self._half_life) - self._step) / STEPS)

    def _anew(self) -> None:
        found = np.linalg.inv(self._precision + self._squares)
        self._covariance = (found + found.T) * 0.5
        self._since = 0
        self._belief = None
