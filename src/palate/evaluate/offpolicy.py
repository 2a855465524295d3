"""Off-policy estimators: what a policy would have earned on rankings that another one drew and logged.

A logged ranking i has K places with rewards r[i, k], and the chance that the logging policy had of the item at place k
given those above it, p[i, k]; t[i, k] is the chance that the policy to be judged gives it. Importance weights are
their products from the top: with w[i, k] = Πⱼ≤ₖ t[i, j] / p[i, j], Σₖ w[i, k] r[i, k] is unbiased where what comes of
an item depends on those above it and not on those below (cascade; McInerney, Brost, Chandar, Mehrotra and Carterette,
"Counterfactual Evaluation of Slate Recommendations with Sequential Reward Interactions", 2020). ``slate_weights``
assume nothing and vary much more. With K = 1 both are the contextual bandit's.

Every estimator gives one value a ranking, (n,), whose mean is the estimate: paired differences and intervals follow.
Pure functions of arrays; cost O(n K).
"""

from __future__ import annotations

import numpy as np

from palate.types import F64

SHRINKAGE = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, np.inf)
"""λ that ``best_shrinkage`` tries."""


def cascade_weights(target: F64, logged: F64) -> F64:
    """(n, K) importance of every place: products of ``target / logged`` from the top. logged: in (0, 1]."""
    return np.cumprod(target / logged, axis=1, dtype=np.float64)


def slate_weights(target: F64, logged: F64) -> F64:
    """(n, K) importance of the whole slate, at every place the same: exact whatever acts on what, and high variance."""
    ratio = target / logged
    return np.repeat(np.prod(ratio, axis=1, keepdims=True), ratio.shape[1], axis=1)


def clipped(weights: F64, most: float) -> F64:
    """Weights cut to ``most``: less variance, and a bias towards too little (Ionides, "Truncated Importance Sampling",
    2008, takes √n)."""
    return np.minimum(weights, most)


def ips(rewards: F64, weights: F64) -> F64:
    """Inverse propensity scoring: Σₖ w r (Horvitz and Thompson 1952; RIPS for several places). (n, K) each."""
    return (weights * rewards).sum(axis=1)


def snips(rewards: F64, weights: F64) -> F64:
    """Self-normalised: Σₖ w r / w̄ₖ (Swaminathan and Joachims 2015). Bounded by the rewards, slightly biased; 0 at
    places where all weights are 0."""
    mean = weights.mean(axis=0)
    return (weights * rewards / np.where(mean > 0.0, mean, 1.0)).sum(axis=1)


def snips_linear(rewards: F64, weights: F64) -> F64:
    """``snips`` as a mean of independent values, for intervals: vₖ + w (r − vₖ) / w̄ₖ, summed (delta method; Owen 2013,
    "Monte Carlo theory, methods and examples", 9.2)."""
    mean = weights.mean(axis=0)
    safe = np.where(mean > 0.0, mean, 1.0)
    value = (weights * rewards).mean(axis=0) / safe
    return (value + weights * (rewards - value) / safe).sum(axis=1)


def dm(base: F64) -> F64:
    """Direct method: what a reward model expects of the policy, (n,) as given. No better than its model."""
    return base


def dr(base: F64, errors: F64, weights: F64) -> F64:
    """Doubly robust: base + Σₖ w e (Dudík, Langford and Li 2011; for rankings Kiyohara et al., "Doubly Robust
    Off-Policy Evaluation for Ranking Policies under the Cascade Behavior Model", 2022).

    base: (n,) what the model expects of the whole ranking. errors: (n, K) by how much every place surprised it:
    r[k] + V(after k) − Q(k); at K = 1, r − q̂(x, a).
    """
    return base + (weights * errors).sum(axis=1)


def shrunk(weights: F64, shrinkage: float) -> F64:
    """λ w / (w² + λ): optimistic shrinkage (Su, Dimakopoulou, Krishnamurthy and Dudík, "Doubly Robust
    Evaluation with Shrinkage", 2020). λ = 0 leaves the direct method, λ = ∞ the doubly robust one."""
    if shrinkage < 0.0:
        raise ValueError(f"The shrinkage λ is {shrinkage}; it must be at least 0.")
    return weights if np.isinf(shrinkage) else shrinkage * weights / (weights**2 + shrinkage)


def dros(base: F64, errors: F64, weights: F64, shrinkage: float) -> F64:
    """Doubly robust with optimistic shrinkage of the weights; see ``dr`` and ``shrunk``."""
    return dr(base, errors, shrunk(weights, shrinkage))


def best_shrinkage(errors: F64, weights: F64, base: F64) -> float:
    """The λ of ``SHRINKAGE`` with the smallest estimated mean squared error: variance / n, and the squared bias that
    the weights taken away amount to, with one standard error added (Su et al. 2020, section 5)."""
    n = len(base)

    def error(shrinkage: float) -> float:
        values = dros(base, errors, weights, shrinkage)
        lost = ((weights - shrunk(weights, shrinkage)) * errors).sum(axis=1)
        bias = abs(float(lost.mean())) + float(lost.std()) / np.sqrt(n)
        return float(values.var()) / n + bias**2

    return min(SHRINKAGE, key=error)


def effective_size(weights: F64) -> float:
    """(Σ w)² / Σ w², (n,): so many rankings drawn by the policy itself would say as much (Kish 1965); 0 for none."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


def bernstein(values: F64, confidence: float = 0.95) -> float:
    """Half the width of the empirical Bernstein interval around the mean of independent ``values`` (n,):
    √(2 V ln(4/δ) / n) + 7 R ln(4/δ) / (3 (n − 1)) (Maurer and Pontil, "Empirical Bernstein Bounds", 2009).

    R is the range seen. Holds for any distribution within that range, not only for many values; ∞ for fewer than two.
    """
    n = len(values)
    if n < 2:
        return float("inf")
    log = np.log(4.0 / (1.0 - confidence))
    spread = float(values.max() - values.min())
    return float(np.sqrt(2.0 * values.var(ddof=1) * log / n) + 7.0 * spread * log / (3.0 * (n - 1)))
