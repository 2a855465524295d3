"""One turn of the Gibbs sampler: everybody's factors given the others', and how all of them are distributed.

Model: r = μ + b_u + b_i + p_u·q_i + ε, ε ~ N(0, 1/α); p_u ~ N(m, Λ⁻¹) with a normal-Wishart prior, b_u ~ N(0, 1/λ)
with a gamma prior; items likewise. Every conditional is known in closed form (Salakhutdinov and Mnih 2008, §3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from palate.kernels import kernel
from palate.types import F64, I64

_STRENGTH = 2.0
"""How many made-up rows the prior of a mean counts as."""


@dataclass(slots=True)
class Side:
    """Users or items: their ratings by row, and what is believed of them now.

    start: (n + 1,); others, ratings: (m,) by row. factors: (n, k); bias: (n,). mean: (k,), precision: (k, k) and
    bias_precision: how factors and biases are distributed.
    """

    start: I64
    others: I64
    ratings: F64
    factors: F64
    bias: F64
    mean: F64
    precision: F64
    bias_precision: float = 1.0


def side(rows: I64, others: I64, ratings: F64, n: int, k: int, chance: np.random.Generator) -> Side:
    """Ratings of ``n`` rows by row, and a first guess of their factors."""
    order = np.argsort(rows, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return Side(
        start, others[order].astype(np.int64), ratings[order].astype(np.float64),
        0.1 * chance.normal(size=(n, k)), np.zeros(n), np.zeros(k), np.eye(k),
    )  # fmt: skip


def redistribute(mine: Side, chance: np.random.Generator) -> None:
    """Draw how the factors and biases of a side are distributed, given them."""
    x = mine.factors
    n, k = len(mine.bias), len(mine.mean)
    centre = x.mean(axis=0) if n else np.zeros(k)
    spread = (x - centre).T @ (x - centre) + np.eye(k) + n * _STRENGTH / (_STRENGTH + n) * np.outer(centre, centre)
    scale = np.linalg.cholesky(_symmetric(_inverse(spread)))
    # Wishart by Bartlett (1933): chi on the diagonal, normal below it.
    root = np.tril(chance.normal(size=(k, k)), -1) + np.diag(np.sqrt(chance.chisquare(k + n - np.arange(k))))
    mine.precision = _symmetric((scale @ root) @ (scale @ root).T)
    covariance = _inverse((_STRENGTH + n) * mine.precision)
    mine.mean = n / (_STRENGTH + n) * centre + np.linalg.cholesky(_symmetric(covariance)) @ chance.normal(size=k)
    mine.bias_precision = float(chance.gamma(0.5 * (1 + n), 2.0 / (1.0 + mine.bias @ mine.bias)))


def redraw(mine: Side, other: Side, alpha: float, chance: np.random.Generator) -> None:
    """Draw every row's factors and bias, given those of the other side."""
    noise = chance.normal(size=(len(mine.factors), mine.factors.shape[1] + 1))
    solve(
        mine.start, mine.others, mine.ratings, other.factors, other.bias, mine.mean, mine.precision,
        mine.bias_precision, alpha, noise, mine.factors, mine.bias,
    )  # fmt: skip


@kernel
def solve(
    start: I64, others: I64, ratings: F64, factors: F64, bias: F64, mean: F64, precision: F64, bias_precision: float,
    alpha: float, noise: F64, out: F64, out_bias: F64,
) -> None:  # fmt: skip
    """Factors and bias of each row from its ratings of ``others``, with (n, k + 1) ``noise`` of unit variance: a draw
    of their posterior; with zeros, its mean. Cost: k² a rating and k³ a row."""
    k = len(mean)
    a, b = np.empty((k + 1, k + 1)), np.empty(k + 1)
    pull = np.zeros(k)
    for i in range(k):
        for j in range(k):
            pull[i] += precision[i, j] * mean[j]
    for row in range(len(start) - 1):
        for i in range(k):
            for j in range(k):
                a[i, j] = precision[i, j]
            a[k, i] = 0.0
            b[i] = pull[i]
        a[k, k], b[k] = bias_precision, 0.0
        for place in range(start[row], start[row + 1]):
            other = factors[others[place]]
            left = ratings[place] - bias[others[place]]
            for i in range(k):
                weighed = alpha * other[i]
                for j in range(i + 1):
                    a[i, j] += weighed * other[j]
                a[k, i] += weighed
                b[i] += weighed * left
            a[k, k] += alpha
            b[k] += alpha * left
        _cholesky(a)
        for i in range(k + 1):
            for j in range(i):
                b[i] -= a[i, j] * b[j]
            b[i] /= a[i, i]
        for i in range(k + 1):
            b[i] += noise[row, i]
        for i in range(k, -1, -1):
            for j in range(i + 1, k + 1):
                b[i] -= a[j, i] * b[j]
            b[i] /= a[i, i]
        for i in range(k):
            out[row, i] = b[i]
        out_bias[row] = b[k]


@kernel
def _cholesky(a: F64) -> None:
    """The lower factor in place; only the lower half is read."""
    for i in range(len(a)):
        for j in range(i + 1):
            total = a[i, j]
            for m in range(j):
                total -= a[i, m] * a[j, m]
            a[i, j] = np.sqrt(total) if i == j else total / a[j, j]


def _inverse(matrix: F64) -> F64:
    return cast(F64, np.linalg.inv(matrix))


def _symmetric(matrix: F64) -> F64:
    return (matrix + matrix.T) / 2.0
