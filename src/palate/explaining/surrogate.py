"""A small regression tree that stands for a scorer: rules a person can read, and how far to believe them.

CART (Breiman et al. 1984): each split is the one that leaves the least squared error, of every threshold between two
neighbouring values. Missing values go where the column's median would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from palate.types import F32, F64, I64

DEPTH = 4
_HELD = 3
"""Every third row is held out, and says how well the tree stands for the scorer."""
_LEAST = 10
"""Rows of a leaf, at the least."""


class Condition(msgspec.Struct):
    """``feature`` at most ``threshold``, or above it."""

    feature: str
    sign: Literal["<=", ">"]
    threshold: float


class Rule(msgspec.Struct):
    """Whatever meets all conditions gets about ``score``; rows: how many of those that the tree was fitted on do."""

    conditions: list[Condition]
    score: float
    rows: int


class Surrogate(msgspec.Struct):
    """fidelity: R² of the tree's scores against the scorer's on rows held out; 1 says the same, 0 no more than the
    mean. rules: of the leaves, the best score first."""

    depth: int
    fidelity: float
    rows: int
    rules: list[Rule]


def fit_surrogate(x: F32, scores: F64, names: Sequence[str], depth: int = DEPTH) -> Surrogate | None:
    """The tree for ``scores`` (n,) of rows (n, f), of at most ``depth``; None with fewer than 60 rows.

    Cost: O(2^depth · f · n log n), about half a second for 2,000 rows of 60 features.
    """
    if len(x) < 20 * _HELD or not np.isfinite(scores).all():
        return None
    filled = np.where(np.isfinite(x), x, _medians(x)).astype(np.float64)
    held = np.arange(len(x)) % _HELD == _HELD - 1
    rules: list[tuple[Rule, list[tuple[int, bool, float]]]] = []
    _grow(filled[~held], scores[~held], np.arange(int((~held).sum())), depth, [], names, rules)
    told = np.zeros(int(held.sum()))
    for rule, path in rules:
        inside = np.ones(len(told), np.bool_)
        for column, left, threshold in path:
            inside &= (filled[held][:, column] <= threshold) == left
        told[inside] = rule.score
    truth = scores[held]
    spread = float(((truth - truth.mean()) ** 2).sum())
    fidelity = 1.0 - float(((truth - told) ** 2).sum()) / spread if spread > 0 else 1.0
    deep = max(len(path) for _, path in rules)
    best = sorted((rule for rule, _ in rules), key=lambda rule: -rule.score)
    return Surrogate(deep, round(fidelity, 4), int((~held).sum()), best)


def _medians(x: F32) -> F64:
    out = np.zeros(x.shape[1])
    for column in range(x.shape[1]):
        known = x[np.isfinite(x[:, column]), column]
        out[column] = float(np.median(known)) if len(known) else 0.0
    return out


def _grow(
    x: F64, y: F64, rows: I64, depth: int, path: list[tuple[int, bool, float]], names: Sequence[str],
    out: list[tuple[Rule, list[tuple[int, bool, float]]]],
) -> None:  # fmt: skip
    least = max(_LEAST, len(x) // 50)
    split = _split(x[rows], y[rows], least) if depth and len(rows) >= 2 * least else None
    if split is None:
        out.append((Rule(_conditions(path, names), float(y[rows].mean()), len(rows)), path))
        return
    column, threshold = split
    left = x[rows, column] <= threshold
    for side, mine in ((True, rows[left]), (False, rows[~left])):
        _grow(x, y, mine, depth - 1, [*path, (column, side, threshold)], names, out)


def _split(x: F64, y: F64, least: int) -> tuple[int, float] | None:
    """The column and threshold that leave the least squared error; None where none leaves less."""
    n, best, found = len(y), 1e-12 * max(1.0, float(y @ y)), None
    total = float(y.sum())
    for column in range(x.shape[1]):
        order = np.argsort(x[:, column], kind="stable")
        values, sums = x[order, column], np.cumsum(y[order])[:-1]
        left = np.arange(1, n)
        gain = sums**2 / left + (total - sums) ** 2 / (n - left) - total**2 / n
        gain[(values[1:] <= values[:-1]) | (left < least) | (n - left < least)] = 0.0
        at = int(np.argmax(gain))
        if gain[at] > best:
            best, found = float(gain[at]), (column, float((values[at] + values[at + 1]) / 2))
    return found


def _conditions(path: list[tuple[int, bool, float]], names: Sequence[str]) -> list[Condition]:
    """The tests of a path, of several on one side of one feature the narrowest, in the order in which they came."""
    kept: dict[tuple[int, bool], float] = {}
    for column, left, threshold in path:
        before = kept.get((column, left), threshold)
        kept[column, left] = min(before, threshold) if left else max(before, threshold)
    return [Condition(names[column], "<=" if left else ">", threshold) for (column, left), threshold in kept.items()]
