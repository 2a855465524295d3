"""Intervals by resampling users: events of one user are not independent, so users are drawn, with all their events."""

from __future__ import annotations

import msgspec
import numpy as np

from palate.types import F64, I64


class Estimate(msgspec.Struct, frozen=True):
    """A value with the 2.5 % and 97.5 % quantiles of its resamples; None where no interval (or value) can be given."""

    value: float | None
    low: float | None = None
    high: float | None = None


def by_user(values: F64, users: I64, resamples: int = 1000, seed: int = 1) -> list[Estimate]:
    """The mean over events of each column, with a percentile interval over users (Field & Welsh 2007).

    values: (n, m), NaN entries are left out of their column; users: (n,) any codes. With fewer than two users there is
    no interval. Cost: ``resamples`` × users × m multiplications; 1,000 × 2,500 × 10 take about 0.1 s.
    """
    if len(values) != len(users):
        raise ValueError(f"{len(values)} rows of values for {len(users)} users: give one user for each row.")
    _, code = np.unique(users, return_inverse=True)
    people = int(code.max()) + 1 if len(code) else 0
    there = ~np.isnan(values)
    sums = np.zeros((people, values.shape[1]))
    sizes = np.zeros((people, values.shape[1]))
    np.add.at(sums, code, np.where(there, values, 0.0))
    np.add.at(sizes, code, there.astype(np.float64))
    drawn = _resampled(sums, sizes, resamples, seed)
    total, size = sums.sum(axis=0), sizes.sum(axis=0)
    found: list[Estimate] = []
    for column in range(values.shape[1]):
        if size[column] == 0:
            found.append(Estimate(None))
            continue
        value = float(total[column] / size[column])
        means = drawn[:, column]
        means = means[~np.isnan(means)]
        if int((sizes[:, column] > 0).sum()) < 2 or not len(means):
            found.append(Estimate(value))
            continue
        low, high = np.quantile(means, (0.025, 0.975))
        found.append(Estimate(value, float(low), float(high)))
    return found


def _resampled(sums: F64, sizes: F64, resamples: int, seed: int) -> F64:
    """(resamples, m) means; NaN where a resample holds no event of the column."""
    people = len(sums)
    found = np.full((resamples, sums.shape[1]), np.nan)
    if people < 2:
        return found
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // people)
    for start in range(0, resamples, step):
        stop = min(resamples, start + step)
        draws = rng.integers(0, people, size=(stop - start, people))
        draws += np.arange(stop - start)[:, None] * people
        weights = np.bincount(draws.ravel(), minlength=(stop - start) * people).reshape(stop - start, people)
        total, size = weights @ sums, weights @ sizes
        np.divide(total, size, out=found[start:stop], where=size > 0)
    return found


def paired(first: F64, second: F64, users: I64, resamples: int = 1000, seed: int = 1) -> Estimate:
    """The mean of ``first − second`` over the same events, with its interval over users. first, second, users: (n,)."""
    return by_user((first - second)[:, None], users, resamples, seed)[0]
