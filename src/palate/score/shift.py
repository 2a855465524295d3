"""A bounded correction of scores, linear in a few features, learnt while the model serves (``palate.online``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.types import F32, F64, I64

WIDEST = 5.0
"""Deviations from a feature's mean beyond which it counts as that far off."""


def standardised(x: F32, columns: I64, mean: F64, scale: F64) -> F64:
    """(n, d) features ``columns`` of rows (n, f) in deviations from their mean; a missing value counts as the mean."""
    part = x[:, columns].astype(np.float64)
    return np.clip(np.where(np.isfinite(part), (part - mean) / scale, 0.0), -WIDEST, WIDEST)


@dataclass(frozen=True, slots=True)
class Shift:
    """shift(x) = Σᵢ wᵢ (xᵢ − meanᵢ) / scaleᵢ, no further from 0 than ``cap``. version: of the model whose scores it
    corrects. All arrays are (d,); weights and cap are in units of that model's scores."""

    version: str
    columns: I64
    mean: F64
    scale: F64
    weights: F64
    cap: float

    def of(self, x: F32) -> F64:
        """(n,) shifts of rows (n, f), each of its own row alone. About 10 µs for a hundred rows."""
        terms = standardised(x, self.columns, self.mean, self.scale) * self.weights
        return np.clip(terms.sum(axis=1), -self.cap, self.cap)
