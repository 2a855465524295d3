"""A quick judgement of encoders on a directory's own events: does what people took before point to what they took next?

Of people with items in the last part of the log that are new to them: the mean vector of the up to ten items they took
before against the vector of the next one, beside nine items of about its popularity, so that nothing but the text can
tell them apart. The area under the curve is .5 for chance, hit@1 is .1. It judges texts alone: a ranking uses more.
Whether vectors tell classes of items apart is judged on the catalogue too: titles alone, the commonest tags of the
field with most tagged items, nearest class mean in two folds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.evaluate.bootstrap import Estimate, by_user
from palate.train.history import History
from palate.types import F32, F64, I32, I64

NEGATIVES = 9
_TAKEN = 10
_FEWEST_TAKEN = 3
_HELD_OUT = 0.2
_NEAR = 40
_TITLES = 240
_CLASSES = 12
_PER_CLASS = 5


class Probe(NamedTuple):
    """texts: distinct, in the order of the questions, so that a part of them answers the first questions.

    taken: rows of ``texts`` a question; asked: (q, 10), the next item first; users: (q,). titles, labels: of items with
    a class, empty where there are too few."""

    texts: list[str]
    taken: list[I32]
    asked: I32
    users: I64
    titles: list[str]
    labels: I64


def draw(history: History, catalogue: Catalogue, questions: int = 400, seed: int = 1) -> Probe:
    """Up to ``questions`` of as many people, seeded. Cost: 10 µs an interaction."""
    users, items = history.users, history.items
    split = int(len(items) * (1.0 - _HELD_OUT))
    counts = Counter(items[:split])
    texts = {item: catalogue.text(row) for item in counts if (row := catalogue.state.items.get(item)) >= 0}
    ranked = sorted((item for item in counts if texts.get(item)), key=lambda item: (-counts[item], item))
    place = {item: number for number, item in enumerate(ranked)}
    before: dict[int, dict[str, None]] = {}
    found: list[tuple[int, list[str], str]] = []
    done: set[int] = set()
    for number, (user, item) in enumerate(zip(users.tolist(), items, strict=True)):
        taken = before.setdefault(user, {})
        if number >= split and user not in done and item in place and item not in taken:
            known = [one for one in taken if one in place][-_TAKEN:]
            if len(known) >= _FEWEST_TAKEN:
                found.append((user, known, item))
                done.add(user)
        taken.pop(item, None)
        taken[item] = None
    chance = np.random.default_rng(seed)
    order: list[int] = chance.permutation(len(found)).tolist()
    rows: dict[str, int] = {}
    taken_rows: list[I32] = []
    asked: list[list[int]] = []
    people: list[int] = []
    for number in order:
        user, known, item = found[number]
        near = _near(ranked, place[item], before[user])
        if len(asked) == questions or len(near) < NEGATIVES:
            continue
        chosen: list[int] = chance.choice(len(near), NEGATIVES, replace=False).tolist()
        taken_rows.append(np.array([rows.setdefault(texts[one], len(rows)) for one in known], np.int32))
        others = [item, *(near[one] for one in chosen)]
        asked.append([rows.setdefault(texts[one], len(rows)) for one in others])
        people.append(user)
    titles, labels = _classes(catalogue, chance)
    return Probe(
        list(rows), taken_rows, np.array(asked, np.int32).reshape(-1, 1 + NEGATIVES), np.array(people, np.int64),
        titles, labels,
    )  # fmt: skip


def _near(ranked: Sequence[str], at: int, had: dict[str, None]) -> list[str]:
    """Items about as popular as that at a place, which a person never had."""
    low = max(0, min(at - _NEAR // 2, len(ranked) - _NEAR - 1))
    return [item for item in ranked[low : low + _NEAR + 1] if item != ranked[at] and item not in had]


def _classes(catalogue: Catalogue, chance: np.random.Generator) -> tuple[list[str], I64]:
    """Titles of items, and the first tag of each of the field that says most."""
    state, found = catalogue.state, dict[str, dict[str, list[int]]]()
    for row in range(state.n_items):
        if not state.alive[row]:
            continue
        fields: set[str] = set()
        for tag in catalogue.tags_of(row):
            field, _, value = tag.partition(":")
            if field not in fields:
                fields.add(field)
                found.setdefault(field, {}).setdefault(value, []).append(row)
    best: list[list[int]] = []
    for values in found.values():
        many = [rows for rows in values.values() if len(rows) >= _PER_CLASS]
        classes = sorted(many, key=len, reverse=True)[:_CLASSES]
        if len(classes) >= 2 and sum(map(len, classes)) > sum(map(len, best)):
            best = classes
    pairs = [(row, label) for label, rows in enumerate(best) for row in rows]
    kept: list[int] = chance.permutation(len(pairs))[:_TITLES].tolist()
    titles = [catalogue.title(pairs[one][0]) for one in kept]
    return titles, np.array([pairs[one][1] for one in kept], np.int64)


class Judged(NamedTuple):
    """auc, hit, classified: a value a question (or title); NaN where it wasn't asked."""

    auc: F64
    hit: F64
    classified: F64


def judge(probe: Probe, vectors: F32, titles: F32) -> Judged:
    """vectors: (t, d) of the first t texts; questions that need more of them aren't asked. titles: of all titles."""
    n = len(probe.taken)
    auc, hit = np.full(n, np.nan), np.full(n, np.nan)
    for place in range(n):
        taken, asked = probe.taken[place], probe.asked[place]
        if max(int(taken.max()), int(asked.max())) >= len(vectors):
            continue
        scores = vectors[asked] @ vectors[taken].mean(axis=0)
        below, equal = scores[1:] < scores[0], scores[1:] == scores[0]
        auc[place] = (below + 0.5 * equal).mean()
        hit[place] = 1.0 / (1 + int(equal.sum())) if bool((below | equal).all()) else 0.0
    return Judged(auc, hit, _classified(titles, probe.labels))


def _classified(vectors: F32, labels: I64) -> F64:
    """(n,) 1 where the nearest mean of the other half's classes is the item's own."""
    out = np.full(len(labels), np.nan)
    if len(vectors) != len(labels) or len(labels) < 4 * _PER_CLASS:
        return out
    half = np.arange(len(labels)) % 2
    for side in (0, 1):
        taught = np.unique(labels[half != side])
        means = np.stack([vectors[(half != side) & (labels == one)].mean(axis=0) for one in taught])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        out[half == side] = taught[(vectors[half == side] @ means.T).argmax(axis=1)] == labels[half == side]
    return out


def majority(labels: I64) -> float | None:
    """The accuracy of always naming the commonest class."""
    return float(np.bincount(labels).max() / len(labels)) if len(labels) else None


def estimate(values: F64, users: I64) -> Estimate:
    """The mean with its interval over users; values that are NaN are left out."""
    there = ~np.isnan(values)
    return by_user(values[there][:, None], users[there])[0] if there.any() else Estimate(None)
