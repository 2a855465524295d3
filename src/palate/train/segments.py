"""Which fields of users tell what they choose, and how much: segments with lifts, fitted in one pass over the log.

For each field the mutual information of its segments and the items chosen, by pairs of a user and an item, is held
against that of the same users with their values shuffled: what is left is the information gain, and the ``FIELDS``
with the most take part. A lift is log((n + κ) / (N p + κ)): n users of the segment chose the item, N p would if they
chose as everybody does, and κ shrinks what few have chosen to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.features.lifts import NO_LIFTS, SegmentField, SegmentLifts
from palate.state.state import Names
from palate.types import F64, I32, I64, FieldValue

FIELDS = 3
"""Fields that take part, at the most."""
MOST = 24
"""Segments of a field, at the most: the largest."""
LEAST = 20
"""Users of a segment, at the least."""
RANGES = 5
"""Ranges of a field of numbers that has more than ``MOST`` different ones."""
KAPPA = 10.0
_SHUFFLES = 3
_ASKED = 200
"""Fields looked at, at the most."""


def fit_segments(
    users: I32, items: I32, n_items: int, fields: Sequence[Mapping[str, FieldValue]], limit: int, seed: int = 1
) -> SegmentLifts:
    """Segments over the ``limit`` most frequent of ``n_items`` items; rows are the codes ``items`` uses.

    users, items: (n,) codes of interactions; fields: those of each user code. Cost: O(n) a field.
    """
    counts = np.bincount(items, minlength=n_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(limit, n_items)]).astype(np.int32)
    kept = kept[counts[kept] > 0]
    names = _names(fields)
    if len(kept) < 2 or not names:
        return NO_LIFTS
    code = np.full(n_items, -1, np.int64)
    code[kept] = np.arange(len(kept))
    inside = code[items] >= 0
    import scipy.sparse  # training alone needs it: a service starts without

    had: Any = scipy.sparse.csr_matrix(
        (np.ones(int(inside.sum())), (users[inside], code[items[inside]])), shape=(len(fields), len(kept))
    )
    had.sum_duplicates()
    had.data[:] = 1.0
    found: list[tuple[float, SegmentField, F64]] = []
    for name in names:
        field = _field(name, [one.get(name) for one in fields])
        if field is None:
            continue
        place = np.array([field.place(one.get(name)) for one in fields], np.int64)
        table = _table(place, had)
        rng = np.random.default_rng(seed)
        chance = [_information(_table(_shuffled(place, rng), had)) for _ in range(_SHUFFLES)]
        gain = _information(table) - max(chance)
        if gain > 0:
            found.append((gain, field, table))
    found.sort(key=lambda one: (-one[0], one[1].name))
    share = np.asarray(had.sum(axis=0)).ravel()
    share /= max(1.0, share.sum())
    chosen: list[SegmentField] = []
    lifts: list[F64] = []
    for _, field, table in found[:FIELDS]:
        chosen.append(SegmentField(field.name, sum(map(len, lifts)), field.texts, field.edges))
        lifts.append(np.log((table + KAPPA) / (table.sum(axis=1, keepdims=True) * share + KAPPA)))
    if not chosen:
        return NO_LIFTS
    return SegmentLifts(
        tuple(chosen),
        np.concatenate(lifts).astype(np.float32),
        np.log(share + 1e-9).astype(np.float32),
        kept,
        code.astype(np.int32),
    )


def _names(fields: Sequence[Mapping[str, FieldValue]]) -> list[str]:
    """Fields that enough users have, in order."""
    having: dict[str, int] = {}
    for one in fields:
        for name, value in one.items():
            if isinstance(value, str | int | float):
                having[name] = having.get(name, 0) + 1
    return sorted(name for name, n in having.items() if n >= 2 * LEAST)[:_ASKED]


def _field(name: str, values: Sequence[FieldValue | None]) -> SegmentField | None:
    """The segments of one field, or None where there are fewer than two."""
    numbers = [float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) > len(values) // 2 and len(set(numbers)) > MOST:
        edges = sorted({float(one) for one in np.quantile(numbers, np.arange(1, RANGES) / RANGES)})
        return SegmentField(name, 0, (), tuple(edges)) if edges else None
    sizes: dict[str, int] = {}
    for one in values:
        if isinstance(one, str | int | float):
            text = f"{one:g}" if isinstance(one, int | float) and not isinstance(one, bool) else str(one)
            sizes[text] = sizes.get(text, 0) + 1
    large = sorted((text for text, n in sizes.items() if n >= LEAST), key=lambda text: (-sizes[text], text))
    return SegmentField(name, 0, tuple(large[:MOST])) if len(large) > 1 else None


def _table(place: I64, had: Any) -> F64:
    """(s, c) users of each segment who chose each item."""
    known = np.flatnonzero(place >= 0)
    ones = np.ones(len(known))
    import scipy.sparse

    segment: Any = scipy.sparse.csr_matrix((ones, (place[known], known)), shape=(int(place.max()) + 1, len(place)))
    return np.asarray((segment @ had).todense(), np.float64)


def _shuffled(place: I64, rng: np.random.Generator) -> I64:
    known = np.flatnonzero(place >= 0)
    out = place.copy()
    out[known] = place[rng.permutation(known)]
    return out


def _information(table: F64) -> float:
    """Mutual information of the rows and columns of a table of counts, in nats."""
    p = table / max(1.0, table.sum())
    expected = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    some = p > 0
    return float((p[some] * np.log(p[some] / expected[some])).sum())


# ------------------------------------------------------------------------------- artefacts


def pack_segments(segments: SegmentLifts) -> tuple[dict[str, np.ndarray[Any, Any]], list[dict[str, Any]]]:
    """Arrays of an artefact, and what its manifest says of the fields. Items are places among ``ease.ids``."""
    if not segments.fields:
        return {}, []
    arrays = {
        "segments.lifts": segments.lifts,
        "segments.popular": segments.popular,
        "segments.items": segments.items,
    }
    return arrays, [
        {"name": one.name, "first": one.first, "texts": list(one.texts), "edges": list(one.edges)}
        for one in segments.fields
    ]


def bind_segments(
    arrays: Mapping[str, np.ndarray[Any, Any]], fields: Sequence[Mapping[str, Any]], names: Names
) -> SegmentLifts:
    """The same segments over the rows of ``names``. Errors: ``CorruptArtefact`` where arrays and fields disagree."""
    if not fields:
        return NO_LIFTS
    try:
        lifts, popular, items = (arrays[f"segments.{name}"] for name in ("lifts", "popular", "items"))
        blob = arrays["ease.ids"].tobytes()
        told = tuple(
            SegmentField(str(one["name"]), int(one["first"]), tuple(one["texts"]), tuple(one["edges"]))
            for one in fields
        )
        sizes = [len(one.texts) or len(one.edges) + 1 for one in told]
        ids = blob.decode("utf-8", "replace").split("\0") if blob else []
        sound = lifts.shape == (sum(sizes), len(items)) and popular.shape == items.shape and items.ndim == 1
        sound = sound and [one.first for one in told] == [sum(sizes[:n]) for n in range(len(sizes))]
        sound = sound and (not len(items) or bool(items.min() >= 0 and items.max() < len(ids)))
    except (KeyError, TypeError, ValueError):
        sound = False
        lifts = popular = items = np.zeros(0, np.int32)
        told, ids = (), list[str]()
    if not sound:
        raise CorruptArtefact("The segment arrays of the model contradict one another; train it again.")
    places: list[int] = items.tolist()
    rows = np.array([names.get(ids[place]) for place in places], np.int64)
    known = np.flatnonzero(rows >= 0)
    column_of = np.full(len(names), -1, np.int32)
    column_of[rows[known]] = np.arange(len(known))
    return SegmentLifts(
        told, np.ascontiguousarray(lifts[:, known], np.float32), popular[known].astype(np.float32),
        rows[known].astype(np.int32), column_of,
    )  # fmt: skip
