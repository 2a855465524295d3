"""Logistic regression that follows what changes: a Gaussian belief in its weights, updated label by label.

Dynamic logistic regression (McCormick, Raftery, Madigan and Burd 2012): one Newton step of the posterior a label, which
is O(d²). It forgets towards its prior, never towards nothing, so that directions of which nothing is heard stay bounded
(stabilised forgetting, Kulhavý and Zarrop 1993): precision and precision-weighted mean are mixed with the prior's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.kernels import kernel
from palate.types import F64

_EVERY = 32
"""Lessons between two acts of forgetting, which cost O(d³)."""


_LEAST = 1e-6
"""Probabilities are cut to within this of 0 and 1 where their log is taken."""


@kernel
def _learn(mean: F64, spread: F64, x: F64, y: F64, weight: F64, loss: F64) -> None:
    """The log loss (n,) of each row at the mean as it was before all of them; then one Newton step a row, in order.
    mean: (d,); spread: (d, d), the covariance; x: (n, d') of which the first d columns count; y, weight: (n,)."""
    d = len(mean)
    towards = np.empty(d, np.float64)
    for row in range(len(x)):
        u = 0.0
        for i in range(d):
            u += mean[i] * x[row, i]
        p = 1.0 / (1.0 + np.exp(-min(30.0, max(-30.0, u))))
        p = min(1.0 - _LEAST, max(_LEAST, p))
        loss[row] = -np.log(p) if y[row] > 0.5 else -np.log(1.0 - p)
    for row in range(len(x)):
        u = 0.0
        for i in range(d):
            u += mean[i] * x[row, i]
        p = 1.0 / (1.0 + np.exp(-min(30.0, max(-30.0, u))))
        width = 0.0
        for i in range(d):
            total = 0.0
            for j in range(d):
                total += spread[i, j] * x[row, j]
            towards[i] = total
            width += total * x[row, i]
        known = weight[row] * p * (1.0 - p)
        shrink = 1.0 / (1.0 + known * width)
        step = weight[row] * (y[row] - p) * shrink
        for i in range(d):
            mean[i] += step * towards[i]
            for j in range(d):
                spread[i, j] -= known * shrink * towards[i] * towards[j]


class Logistic:
    """P(y = 1 | x) = σ(w · x), w ~ N(mean, spread). Not thread-safe."""

    def __init__(self, mean: F64, variance: F64, half_life: float) -> None:
        """mean, variance: (d,) of the prior, independent. half_life: lessons after which one counts half."""
        self._mean0, self._precision0 = mean.copy(), np.diag(1.0 / variance)
        self.mean: F64 = mean.copy()
        self.spread: F64 = np.diag(variance.astype(np.float64))
        self._half_life = half_life
        self._lessons = 0

    def learn(self, x: F64, y: F64, weight: F64, haste: float = 1.0) -> F64:
        """Labels y (n,) in {0, 1} of rows x, each worth ``weight`` (n,); x may have more columns than this has weights.
        Returns the log loss (n,) of each, predicted before any was learnt. haste: forget so many times faster."""
        loss: F64 = np.empty(len(y))
        _learn(self.mean, self.spread, x, y, weight, loss)
        self._lessons += 1
        if self._lessons % _EVERY == 0:
            self.forget(0.5 ** (_EVERY * haste / self._half_life))
        return loss

    def forget(self, share: float) -> None:
        """Keep ``share`` of what was learnt, and take the rest from the prior. O(d³)."""
        precision = np.linalg.inv(self.spread)
        mixed = share * precision + (1.0 - share) * self._precision0
        towards = share * (precision @ self.mean) + (1.0 - share) * (self._precision0 @ self._mean0)
        spread: F64 = np.linalg.inv(mixed).astype(np.float64)
        self.spread = (spread + spread.T) / 2.0
        self.mean = self.spread @ towards

    def state(self) -> dict[str, Any]:
        """Everything learnt, JSON-compatible; exact."""
        return {"mean": self.mean.tolist(), "spread": self.spread.tolist(), "lessons": self._lessons}

    def restore(self, state: dict[str, Any]) -> None:
        """Back from ``state``. Errors: ``KeyError``, ``ValueError`` for another shape."""
        mean, spread = np.array(state["mean"], np.float64), np.array(state["spread"], np.float64)
        if mean.shape != self.mean.shape or spread.shape != self.spread.shape or not np.isfinite(spread).all():
            raise ValueError("another shape")
        self.mean, self.spread, self._lessons = mean, spread, int(state["lessons"])
