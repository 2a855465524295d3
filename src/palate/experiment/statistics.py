"""The arithmetic of experiments. One may look as often as one likes: intervals hold at all times together.

Units are people, each counted once, with what they did in a time of equal length: they are independent, and come one
after the other, which is what the sequences below ask for.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from palate.types import F64, I64

FEWEST = 50
"""People an arm, below which nothing is said: the sequences are right for many."""
_PRIOR = 1_000.0
"""People's worth of belief in the declared weights, of ``sample_ratio``."""


class Difference(NamedTuple):
    """Of two means: value, bounds of the confidence sequence, and the p-value that holds at any time."""

    value: float
    low: float
    high: float
    p: float


def mixture(alpha: float, people: float) -> float:
    """ρ² of the normal mixture whose sequence is narrowest at ``people`` (Waudby-Smith et al. 2021, B.2)."""
    return (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / people


def radius(n: int, variance: float, alpha: float, rho2: float) -> float:
    """Half the width at ``n`` of a 1 − ``alpha`` confidence sequence for a mean, units of variance ``variance``.

    √(σ² · 2(nρ² + 1) / (n²ρ²) · ln(√(nρ² + 1) / α)): asymptotic confidence sequence, Waudby-Smith, Arbour, Sinha,
    Kennedy and Ramdas 2021, Theorem 2.2.
    """
    grown = n * rho2 + 1
    return math.sqrt(variance * 2 * grown / (n * n * rho2) * math.log(math.sqrt(grown) / alpha))


def p_value(n: int, variance: float, value: float, rho2: float) -> float:
    """The smallest α whose sequence leaves out 0: holds whenever one stops. 1 where nothing varies nor differs."""
    if variance <= 0:
        return 0.0 if value else 1.0
    grown = n * rho2 + 1
    exponent = n * n * rho2 * value * value / (2 * variance * grown)
    return min(1.0, math.sqrt(grown) * math.exp(-min(exponent, 700.0)))


def difference(control: F64, arm: F64, alpha: float, people: float) -> Difference | None:
    """Mean of ``arm`` (m,) minus mean of ``control`` (n,); None while either has fewer than ``FEWEST``.

    As the mean of one stream of people who each count y/π in one arm and −y/π in the other, whose variance is
    v₁/π₁ + v₀/π₀ once the arms' means are taken off.
    """
    few, many = len(control), len(arm)
    if min(few, many) < FEWEST:
        return None
    total = few + many
    variance = float(control.var(ddof=1)) * total / few + float(arm.var(ddof=1)) * total / many
    value = float(arm.mean() - control.mean())
    rho2 = mixture(alpha, people)
    half = radius(total, variance, alpha, rho2) if variance > 0 else 0.0
    return Difference(value, value - half, value + half, p_value(total, variance, value, rho2))


def adjusted(outcome: F64, before: F64) -> F64:
    """CUPED (Deng et al. 2013): (n,) outcomes less what the same measure before the experiment foretells of them.

    θ = cov / var over everybody, whatever their arm, so that the arms' difference keeps its meaning. As it was where
    nothing varied before.
    """
    off = before - before.mean()
    spread = float((off * off).mean())
    if len(outcome) < 2 or spread <= 0:
        return outcome
    theta = float((off * (outcome - outcome.mean())).mean()) / spread
    return outcome - theta * off


def ratio(above: F64, below: F64) -> F64:
    """(n,) one number a person whose mean is Σabove / Σbelow and whose variance is that of the ratio (delta method,
    Deng et al. 2018). Errors: ``ValueError`` where ``below`` sums to nothing."""
    total = float(below.sum())
    if total <= 0:
        raise ValueError("a ratio needs something below the line")
    rate = float(above.sum()) / total
    return rate + (above - rate * below) / (total / len(below))


def sample_ratio(counts: I64, weights: F64) -> float:
    """Whether people came to the arms as declared: a p-value that holds at any time (Lindon and Malek 2020).

    One over the Bayes factor of a Dirichlet prior around ``weights`` (m,) against the weights themselves, for
    ``counts`` (m,). Small means that the assignment or the log is broken.
    """
    shares = weights / weights.sum()
    prior = _PRIOR * shares
    seen = int(counts.sum())
    log_mixed = math.lgamma(_PRIOR) - math.lgamma(_PRIOR + seen)
    for count, own in zip(counts.tolist(), prior.tolist(), strict=True):
        log_mixed += math.lgamma(own + count) - math.lgamma(own)
    log_plain = float(np.sum(counts * np.log(shares)))
    return math.exp(min(0.0, log_plain - log_mixed))
