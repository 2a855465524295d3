"""The systems that always stand beside: random, popular, recent popular, item-kNN and EASE (``ease.py``).

Each learns from every event before the one it ranks for, and chooses its hyper-parameters on the validation window
with the same measure (NDCG@10), separately for ``seen=drop`` and ``seen=keep``. Only events of a type with a weight
above 0 are learnt. Nothing here loops over items in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from palate.evaluate import Progress, Query
from palate.evaluate.metrics import by_rank, rank_and_top
from palate.evaluate.protocol import query_at, removed
from palate.evaluate.stream import EventStream, Histories, before
from palate.kernels import kernel
from palate.types import F32, I32, I64

TUNE_EVENTS = 500
DAY = 86_400_000.0
LEAST_WEIGHT = 1e-6
"""Items of a history that weigh less than this beside its latest are left out."""


class Baseline(Protocol):
    """A system with variants to choose from. ``score`` gives one row of (query.size,) for each variant asked for."""

    name: str
    variants: Sequence[dict[str, Any]]
    shared: str | None
    """A key of the variants that must be the same for ``drop`` and ``keep``, because each value of it is dear."""

    def begin(self, stream: EventStream, histories: Histories, stop: int) -> None:
        """Forget everything, then learn the events before ``stop``."""
        ...

    def settle(self, chosen: Sequence[int], train: int, stop: int) -> None:
        """Variants that will be asked for from now on; events up to ``stop`` are known, the test window begins."""
        ...

    def feed(self, stop: int) -> None: ...

    def score(self, query: Query, chosen: Sequence[int]) -> F32: ...

    def notes(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


class Tuned:
    """A ``System`` that chooses among the variants of a baseline on the validation window, successively."""

    def __init__(self, baseline: Baseline, seed: int = 1) -> None:
        self.name = baseline.name
        self.chosen: dict[str, int] = {"drop": 0, "keep": 0}
        self.valid: dict[str, list[float]] = {}
        self._baseline = baseline
        self._seed = seed
        self._memo: tuple[tuple[int, int, int], tuple[int, ...], F32] | None = None

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """See ``System``. Cost: as many rankings as ``TUNE_EVENTS`` in each ``seen``, for every variant."""
        histories = Histories(stream)
        self._memo = None
        many = len(self._baseline.variants)
        self._baseline.begin(stream, histories, train if many > 1 else stop)
        if many > 1:
            self._choose(stream, histories, train, stop, progress)
            self._baseline.feed(stop)
        self._baseline.settle(sorted(set(self.chosen.values())), train, stop)

    def _choose(self, stream: EventStream, histories: Histories, train: int, stop: int, progress: Progress) -> None:
        past = before(stream)
        window = np.arange(train, stop)
        able = (stream.positive & past.known)[window]
        order = np.random.default_rng(self._seed).permutation(len(window))
        window = window[order[able[order]]]
        fresh = window[~past.repeat[window]]
        picked = {"drop": set(fresh[:TUNE_EVENTS].tolist()), "keep": set(window[:TUNE_EVENTS].tolist())}
        variants = list(range(len(self._baseline.variants)))
        found: dict[str, list[list[float]]] = {"drop": [], "keep": []}
        union = sorted(picked["drop"] | picked["keep"])
        for index, position in enumerate(union):
            self._baseline.feed(position)
            rows = self._baseline.score(query_at(stream, position, "keep"), variants)
            for mode in ("drop", "keep"):
                if position not in picked[mode]:
                    continue
                out = removed(stream, histories, query_at(stream, position, mode))
                target = int(stream.items[position])
                ranks = [rank_and_top(row, out, target, 1)[0] for row in rows]
                found[mode].append(by_rank(np.array(ranks), 10)["ndcg"].tolist())
            if index % 50 == 0:
                progress(f"{self.name}: choosing", index, len(union))
        self.valid = {mode: np.mean(values, axis=0).tolist() for mode, values in found.items() if values}
        self.chosen |= choose(self._baseline.variants, self.valid, self._baseline.shared)

    def feed(self, stop: int) -> None:
        self._baseline.feed(stop)

    def score(self, query: Query) -> F32:
        asked = tuple(sorted(set(self.chosen.values())))
        key = (query.position, query.user, query.size)
        if self._memo is None or self._memo[0] != key:
            self._memo = (key, asked, self._baseline.score(query, asked))
        return self._memo[2][asked.index(self.chosen[query.seen])]

    def notes(self) -> dict[str, Any]:
        found = self._baseline.notes()
        for mode, values in self.valid.items():
            variant = self._baseline.variants[self.chosen[mode]]
            found[mode] = variant | {"valid_ndcg": round(values[self.chosen[mode]], 5)}
        return found

    def close(self) -> None:
        self._memo = None
        self._baseline.close()


def choose(variants: Sequence[dict[str, Any]], valid: dict[str, list[float]], shared: str | None) -> dict[str, int]:
    """The best variant of each ``seen``; with ``shared``, among those with the value of it whose bests sum highest."""
    groups: dict[Any, list[int]] = {}
    for index, variant in enumerate(variants):
        groups.setdefault(variant[shared] if shared is not None else None, []).append(index)
    best = [{mode: max(group, key=values.__getitem__) for mode, values in valid.items()} for group in groups.values()]
    return max(best, key=lambda picked: sum(valid[mode][index] for mode, index in picked.items()))


class Random:
    """A uniform order, drawn anew for every event from the seed and the position."""

    name = "random"

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        pass

    def feed(self, stop: int) -> None:
        pass

    def score(self, query: Query) -> F32:
        return np.random.default_rng((self._seed, query.position)).random(query.size, dtype=np.float32)

    def notes(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


class Popular:
    """Counts of events, decayed by ``half_lives`` (days; 0: all time), as of the last event."""

    def __init__(self, name: str, half_lives: Sequence[float]) -> None:
        self.name = name
        self.shared: str | None = None
        self.variants: Sequence[dict[str, Any]] = [{"half_life_days": days} for days in half_lives]
        self._half_lives = half_lives

    def begin(self, stream: EventStream, histories: Histories, stop: int) -> None:
        self._stream = stream
        self._counts = np.zeros((len(self._half_lives), len(stream.item_ids)))
        self._at = 0
        self.feed(stop)

    def settle(self, chosen: Sequence[int], train: int, stop: int) -> None:
        pass

    def feed(self, stop: int) -> None:
        if stop <= self._at:
            return
        stream = self._stream
        part = slice(self._at, stop)
        good = stream.positive[part]
        items, times = stream.items[part][good], stream.times[part][good]
        last = int(stream.times[stop - 1])
        passed = (last - int(stream.times[max(self._at - 1, 0)])) / DAY
        for row, days in enumerate(self._half_lives):
            if days:
                counts = self._counts[row]
                if passed > 0:
                    counts *= 2.0 ** (-passed / days)
                    counts[counts < 1e-200] = 0.0  # denormals are slow
                np.add.at(counts, items, np.exp2((times - last) / (DAY * days)))
            else:
                np.add.at(self._counts[row], items, 1.0)
        self._at = stop

    def score(self, query: Query, chosen: Sequence[int]) -> F32:
        # float64 on purpose: old counts differ in the tail, and a float32 would tie or flush them.
        return cast(F32, self._counts[list(chosen), : query.size])

    def notes(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


class Incidence:
    """Who had what: distinct (user, item) pairs of positive events in order of their first time, by user and by item.

    The layout is made for the whole stream at once; ``users``/``items`` fill counts say how much of it is known.
    """

    def __init__(self, stream: EventStream) -> None:
        where = np.flatnonzero(stream.positive)
        keys = stream.users[where].astype(np.int64) * len(stream.item_ids) + stream.items[where]
        _, first = np.unique(keys, return_index=True)
        first = np.sort(where[first])
        self.position = first.astype(np.int64)
        self.user = stream.users[first]
        self.item = stream.items[first]
        self.item_start, self.by_item = _grouped(self.item, self.user, len(stream.item_ids))
        self.user_start, self.by_user = _grouped(self.user, self.item, len(stream.user_ids))
        self.item_fill = np.zeros(len(stream.item_ids), dtype=np.int32)
        self.user_fill = np.zeros(len(stream.user_ids), dtype=np.int32)
        self._at = 0

    def feed(self, stop: int) -> None:
        """Know the pairs of the events before ``stop``."""
        end = int(np.searchsorted(self.position, stop))
        if end > self._at:
            np.add.at(self.item_fill, self.item[self._at : end], 1)
            np.add.at(self.user_fill, self.user[self._at : end], 1)
            self._at = end


def _grouped(keys: I32, values: I32, size: int) -> tuple[I64, I32]:
    order = np.argsort(keys, kind="stable")
    return np.searchsorted(keys[order], np.arange(size + 1)).astype(np.int64), values[order]


class ItemKnn:
    """Cosine co-occurrence over the full user histories: cos(i, j) = n_ij / √(n_i n_j), n counting users (Sarwar 2001).

    The score of i is the sum over the user's latest ``HISTORY`` distinct items j of decay^age · cos(i, j), where i is
    among the ``neighbours`` nearest of j (0: all). ``itself``: whether j counts as its own neighbour, which only
    matters where seen items are kept. Exact and as of the last event: co-occurrences are counted at each query from
    the incidence, so there is no matrix and no limit on items. Cost of a query: the sum, over the history's items and
    the users who had them, of those users' distinct items.
    """

    name = "item_knn"
    HISTORY = 50

    def __init__(
        self,
        decays: Sequence[float] = (0.5, 0.7, 0.9, 1.0),
        neighbours: Sequence[int] = (100, 0),
        history: int = HISTORY,
    ) -> None:
        self.shared: str | None = None
        self.variants: Sequence[dict[str, Any]] = [
            {"decay": decay, "neighbours": near, "itself": itself}
            for near in neighbours
            for decay in decays
            for itself in (False, True)
        ]
        self._history = history

    def begin(self, stream: EventStream, histories: Histories, stop: int) -> None:
        self._histories = histories
        self._pairs = Incidence(stream)
        self._pairs.feed(stop)
        self._counts = np.zeros(len(stream.item_ids), dtype=np.int32)

    def settle(self, chosen: Sequence[int], train: int, stop: int) -> None:
        pass

    def feed(self, stop: int) -> None:
        self._pairs.feed(stop)

    def score(self, query: Query, chosen: Sequence[int]) -> F32:
        variants = [self.variants[index] for index in chosen]
        recent = self._histories.latest(query.user, query.position, self._history)
        age = np.arange(len(recent))
        weights = np.stack([v["decay"] ** age for v in variants]).astype(np.float32)
        recent = recent[: int((weights.max(axis=0) >= LEAST_WEIGHT).sum())]
        near = np.array([v["neighbours"] for v in variants], dtype=np.int64)
        itself = np.array([v["itself"] for v in variants], dtype=np.bool_)
        out = np.zeros((len(variants), query.size), dtype=np.float32)
        p = self._pairs
        _knn(
            recent, weights, near, itself, p.item_start, p.by_item, p.item_fill, p.user_start, p.by_user, p.user_fill,
            self._counts, out,
        )  # fmt: skip
        return out

    def notes(self) -> dict[str, Any]:
        return {"history": f"the latest {self._history} distinct items of the user", "matrix": "exact, every item"}

    def close(self) -> None:
        pass


@kernel
def _knn(
    recent: I32,
    weights: F32,
    near: I64,
    itself: Any,
    item_start: I64,
    by_item: I32,
    item_fill: I32,
    user_start: I64,
    by_user: I32,
    user_fill: I32,
    counts: I32,
    out: F32,
) -> None:
    """``counts`` is a workspace of zeros, and is left so."""
    touched = np.empty(len(counts), dtype=np.int32)
    cosines = np.empty(len(counts), dtype=np.float32)
    for age in range(len(recent)):
        j = recent[age]
        size = 0
        for at in range(item_start[j], item_start[j] + item_fill[j]):
            user = by_item[at]
            for other in range(user_start[user], user_start[user] + user_fill[user]):
                i = by_user[other]
                if counts[i] == 0:
                    touched[size] = i
                    size += 1
                counts[i] += 1
        for at in range(size):
            i = touched[at]
            cosines[at] = counts[i] / np.sqrt(np.float64(item_fill[i]) * item_fill[j])
            counts[i] = 0
        least, last = np.float32(-1.0), -1
        for variant in range(len(near)):
            if near[variant] != last:  # the same for neighbouring variants, and dear
                last = near[variant]
                # The item itself is always the nearest, so it takes one of the places.
                keep = last + 1
                least = np.float32(-1.0)
                if last > 0 and size > keep:
                    least = np.partition(cosines[:size], size - keep)[size - keep]
            weight = weights[variant, age]
            for at in range(size):
                i = touched[at]
                if cosines[at] >= least and (i != j or itself[variant]):
                    out[variant, i] += weight * cosines[at]
