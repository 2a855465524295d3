"""Normalisation and selection of a person's features: robust z-scores, quantile bins, information gain, PCA.

Small and exact on purpose: they run over thousands of people and hundreds of columns, in training only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.types import F64, I64

_MAD = 1.4826
"""What makes a median absolute deviation a standard deviation under a normal distribution."""
_LARGEST = 5.0


class Scale(NamedTuple):
    """centre, spread: (p,) medians and robust standard deviations, 1 where a column doesn't vary."""

    centre: F64
    spread: F64

    def __call__(self, x: F64) -> F64:
        """Robust z-scores of x (n, p), cut at ±5; what is missing is 0, the median."""
        z = (x - self.centre) / self.spread
        return np.clip(np.nan_to_num(z, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST), -_LARGEST, _LARGEST)


def robust(x: F64) -> Scale:
    """Medians and 1.4826 · median absolute deviations of the columns of x (n, p), NaN left out; where more than half of
    a column is one value, its standard deviation."""
    if not len(x):
        return Scale(np.zeros(x.shape[1]), np.ones(x.shape[1]))
    there = np.where(np.isnan(x).all(axis=0), 0.0, x)
    centre = np.nanmedian(there, axis=0)
    spread = _MAD * np.nanmedian(np.abs(there - centre), axis=0)
    spread = np.where(spread > 1e-9, spread, np.nanstd(there, axis=0))
    return Scale(centre, np.where(spread > 1e-9, spread, 1.0))


def quantile_edges(values: F64, bins: int) -> F64:
    """At most ``bins`` − 1 distinct edges that cut ``values`` into bins of about equal size; NaN left out.

    A value lies in bin ``searchsorted(edges, value, side="right")``.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(0)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    return edges[edges > known.min()]


def bins_of(values: F64, edges: F64) -> I64:
    """(n,) bins of ``values``; what is missing has one of its own, the last."""
    found = np.searchsorted(edges, values, side="right").astype(np.int64)
    return np.where(np.isnan(values), len(edges) + 1, found)


def information_gain(feature: I64, label: I64) -> float:
    """I(feature; label) in nats, of two codings (n,): Σ p(a, b) log (p(a, b) / p(a) p(b))."""
    n = len(feature)
    if n == 0:
        return 0.0
    _, a = np.unique(feature, return_inverse=True)
    _, b = np.unique(label, return_inverse=True)
    wide = int(b.max()) + 1
    joint = np.bincount(a * wide + b, minlength=(int(a.max()) + 1) * wide).reshape(-1, wide) / n
    pairs = joint > 0
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return max(0.0, float((joint[pairs] * np.log(joint[pairs] / independent[pairs])).sum()))


def gain_above_chance(feature: I64, label: I64) -> float:
    """``information_gain`` less what independent codings of this size would show, (|a| − 1)(|b| − 1) / 2n nats
    (Miller 1955); at least 0."""
    a, b = len(np.unique(feature)), len(np.unique(label))
    return max(0.0, information_gain(feature, label) - (a - 1) * (b - 1) / (2 * max(1, len(feature))))


def select(x: F64, label: I64, most: int, bins: int = 5) -> I64:
    """Columns of x (n, p) that tell of ``label`` (n,) more than chance, at most ``most``, the best first."""
    gains = np.array([gain_above_chance(bins_of(column, quantile_edges(column, bins)), label) for column in x.T])
    order = np.argsort(-gains, kind="stable")[:most]
    return order[gains[order] > 0].astype(np.int64)


class Pca(NamedTuple):
    """mean (d,); axes (k, d), orthonormal rows, those of the largest variance first."""

    mean: F64
    axes: F64

    def __call__(self, x: F64) -> F64:
        """(n, k) coordinates of x (n, d)."""
        return (x - self.mean) @ self.axes.T


def pca(x: F64, k: int) -> Pca:
    """The ``k`` principal axes of x (n, d), or as many as it has; each one's largest component is positive, so that
    equal data give equal signs."""
    mean = x.mean(axis=0) if len(x) else np.zeros(x.shape[1])
    if len(x) < 2:
        return Pca(mean, np.zeros((0, x.shape[1])))
    _, size, axes = np.linalg.svd(x - mean, full_matrices=False)
    axes = axes[:k][size[:k] > 1e-9 * max(float(size[0]), 1e-12)]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), largest])
    return Pca(mean, axes * signs[:, None])
