"""How well ratings are predicted: k folds, beside the mean and the biases, with intervals over people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from palate.errors import InvalidInput
from palate.evaluate.bootstrap import Estimate, by_user
from palate.ratings import fit
from palate.types import F64, I32, I64

if TYPE_CHECKING:
    from palate.evaluate import Progress

_ITEM_DAMPING, _USER_DAMPING = 10.0, 15.0
"""Made-up average ratings beside the real ones (Koren 2010, doi:10.1145/1644873.1644874)."""
_SURE = 1.96


class Events(Protocol):
    """Interactions as columns; ``datasets.dataset.Events`` says what each holds."""

    user: I32
    item: I32
    type: I32
    value: F64
    users: list[str]
    items: list[str]
    types: list[str]

    def order(self) -> I64: ...


class RatingRow(msgspec.Struct, frozen=True):
    """One predictor. rmse, mae: over all ratings, each predicted when it was held back; within: the share of ratings
    inside the 95 % interval that was predicted for each, None where none was; seconds: of learning, a fold."""

    system: str
    rmse: Estimate
    mae: Estimate
    within: float | None
    seconds: float


class RatingResult(msgspec.Struct, frozen=True):
    """What ``judge_ratings`` found. low, high: the least and the most that anybody gave."""

    data: str
    folds: int
    seed: int
    ratings: int
    users: int
    items: int
    low: float
    high: float
    systems: list[RatingRow]


def ratings_of(events: Events) -> tuple[I64, I64, F64]:
    """Users (n,), items (n,) and values (n,) of the ratings; of a pair that was rated twice, the last one.

    A rating is an event of the type ``rating`` with a value; where there are none of the type, any with a value.
    """
    order = events.order()
    valued = ~np.isnan(events.value[order]) & (events.user[order] >= 0)
    if "rating" in events.types:
        valued &= events.type[order] == events.types.index("rating")
    order = order[valued][::-1]
    pairs = events.user[order].astype(np.int64) * len(events.items) + events.item[order]
    _, last = np.unique(pairs, return_index=True)
    chosen = order[np.sort(last)][::-1]
    return events.user[chosen].astype(np.int64), events.item[chosen].astype(np.int64), events.value[chosen]


def folds_of(count: int, folds: int, seed: int) -> list[I64]:
    """``count`` positions in ``folds`` random parts, by ``seed``."""
    return np.array_split(np.random.default_rng(seed).permutation(count), folds)


def judge_ratings(
    events: Events, name: str, folds: int = 5, seed: int = 1, progress: Progress | None = None
) -> RatingResult:
    """Every rating is predicted once, by what was learnt from the other folds.

    Errors: ``InvalidInput`` with fewer than 100 ratings, or one value alone. Cost: seconds for 100,000 ratings.
    """
    users, items, values = ratings_of(events)
    if len(values) < 100 or np.ptp(values) == 0.0:
        raise InvalidInput(
            f"{name} has {len(values)} ratings with a value, too few to judge by: ratings are events of type 'rating' "
            "with a value, 100 of them or more, and not all the same.",
            "data",
        )
    n_users, n_items = len(events.users), len(events.items)
    errors = {system: np.empty(len(values)) for system in ("mean", "biases", "palate")}
    seconds = dict.fromkeys(errors, 0.0)
    inside = np.empty(len(values), np.bool_)
    parts = folds_of(len(values), folds, seed)
    for number, test in enumerate(parts):
        train = np.setdiff1d(np.arange(len(values)), test)
        u, i, r = users[train], items[train], values[train]
        errors["mean"][test] = r.mean() - values[test]
        begun = time.perf_counter()
        errors["biases"][test] = _biases(u, i, r, n_users, n_items, users[test], items[test]) - values[test]
        seconds["biases"] += time.perf_counter() - begun
        begun = time.perf_counter()

        def told(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress("fit", number * total + done, folds * total)

        model = fit(u, i, r, n_users, n_items, seed=seed, progress=told)
        seconds["palate"] += time.perf_counter() - begun
        found, spread = model.predict(_known(users[test], u), _known(items[test], i))
        errors["palate"][test] = found - values[test]
        inside[test] = np.abs(errors["palate"][test]) <= _SURE * spread
    both = np.stack([part for error in errors.values() for part in (error**2, np.abs(error))], axis=1)
    estimates = by_user(both, users, seed=seed)
    rows = [
        RatingRow(
            system, _root(estimates[2 * place]), estimates[2 * place + 1],
            round(float(inside.mean()), 4) if system == "palate" else None, round(seconds[system] / folds, 3),
        )
        for place, system in enumerate(errors)
    ]  # fmt: skip
    return RatingResult(
        name, folds, seed, len(values), len(np.unique(users)), len(np.unique(items)),
        float(values.min()), float(values.max()), rows,
    )  # fmt: skip


def _biases(u: I64, i: I64, r: F64, n_users: int, n_items: int, users: I64, items: I64) -> F64:
    """The mean, what an item is better than that, and what a user gives more than that."""
    left = r - r.mean()
    of_item = np.bincount(i, left, n_items) / (np.bincount(i, minlength=n_items) + _ITEM_DAMPING)
    of_user = np.bincount(u, left - of_item[i], n_users) / (np.bincount(u, minlength=n_users) + _USER_DAMPING)
    return np.clip(r.mean() + of_item[items] + of_user[users], r.min(), r.max())


def _known(rows: I64, among: I64) -> I64:
    """``rows``, −1 where one isn't ``among`` what was learnt from."""
    return np.where(np.isin(rows, among), rows, -1)


def _root(squared: Estimate) -> Estimate:
    def root(value: float | None) -> float | None:
        return None if value is None else float(np.sqrt(value))

    return Estimate(root(squared.value), root(squared.low), root(squared.high))
