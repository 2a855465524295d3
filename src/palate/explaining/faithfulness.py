"""Whether reasons are what moves an item: take away the strongest group of its features, and see.

The top reason of an item is the group with the largest contribution in its favour. Its features are set to those of
other candidates of the background, and so are, for comparison, those of another group in its favour, drawn by chance.
A true reason moves the item further.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from palate.explaining.groups import group_of
from palate.explaining.rows import Case
from palate.line import Model, contributions, total_score
from palate.types import F32, F64, I64

_BACKGROUND = 8
"""Rows that stand for the background of an item; its scores are averaged over them."""
_DRAWS = 1_000


class Faithfulness(msgspec.Struct):
    """Means over ``items``: how far the score and the place of an item move without its top reason, and without another
    one; difference of the score's moves with its 95 % interval, bootstrap over people. won: share of the items that the
    top reason moved further, half for as far."""

    items: int
    people: int
    top_score: float
    other_score: float
    difference: float
    low: float
    high: float
    top_places: float
    other_places: float
    won: float


def faithfulness(model: Model, cases: Sequence[Case], seed: int = 1, most: int = 2_000) -> Faithfulness | None:
    """Of the first item by ``model`` of each of at most ``most`` cases; None where none has two groups in its favour.

    Cost: some 20 scorings of a row a case.
    """
    rng = np.random.default_rng(seed)
    columns: dict[str, list[int]] = {}
    for place, name in enumerate(model.scorer.features):
        columns.setdefault(group_of(name), []).append(place)
    groups = list(columns.values())
    order: list[int] = rng.permutation(len(cases))[:most].tolist()
    pool = np.concatenate([cases[n].x for n in order]) if order else np.zeros((0, 0), np.float32)
    moves: list[tuple[float, float, float, float]] = []
    people: list[str] = []
    for n in order:
        found = _one(model, cases[n], groups, pool, rng)
        if found is not None:
            moves.append(found)
            people.append(cases[n].subject)
    if not moves:
        return None
    table = np.array(moves)
    low, high = _interval(table[:, 0] - table[:, 1], people, rng)
    top, other, top_places, other_places = table.mean(axis=0).tolist()
    ahead, even = table[:, 0] > table[:, 1], table[:, 0] == table[:, 1]
    return Faithfulness(
        len(table), len(set(people)), top, other, top - other, low, high, top_places, other_places,
        float(ahead.mean() + 0.5 * even.mean()),
    )  # fmt: skip


def _one(
    model: Model, case: Case, groups: list[list[int]], pool: F32, rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """|moves| of the score without the top group and another one, and of the place without them."""
    scores = total_score(model, case.x, case.query)
    if len(scores) < 2 or not np.isfinite(scores).all():
        return None
    at = int(np.argmax(scores))
    terms = contributions(model, case.x[[at]], case.query)[0][0]
    sums = np.array([terms[group].sum() for group in groups])
    top = int(np.argmax(sums))
    others: I64 = np.flatnonzero(sums > 1e-12)
    others = others[others != top]
    if sums[top] <= 0 or not len(others):
        return None
    rows = pool[rng.integers(0, len(pool), _BACKGROUND)]
    out: list[float] = []
    for group in (top, int(rng.choice(others))):
        changed = np.tile(case.x[at], (_BACKGROUND, 1))
        changed[:, groups[group]] = rows[:, groups[group]]
        out.append(float(total_score(model, changed, case.query).mean()))
    rest = np.delete(scores, at)
    places = [float(np.count_nonzero(rest > value)) for value in out]
    return abs(out[0] - scores[at]), abs(out[1] - scores[at]), places[0], places[1]


def _interval(values: F64, people: list[str], rng: np.random.Generator) -> tuple[float, float]:
    """95 % of the mean, drawing people with replacement."""
    _, of = np.unique(people, return_inverse=True)
    sums, counts = np.bincount(of, values), np.bincount(of).astype(np.float64)
    drawn = rng.integers(0, len(sums), (_DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return low, high
