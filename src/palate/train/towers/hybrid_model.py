"""What a hybrid factorisation learns by: the events by person, the features of items, and Adagrad on both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.towers.hybrid import unit_parts
from palate.train.towers import Interactions
from palate.train.towers.hybrid_kernels import WARP, adagrad, block, gather, ranks, read_people, scatter
from palate.types import F32, F64, I32, I64, Bools

TRIES = 30
"""Negatives that WARP draws before it lets an event go."""
COMPONENTS = 128
_SAMPLE = 20_000
_CHUNK = 1 << 17
_START = 1e-2


class Choice(NamedTuple):
    """Hyper-parameters. loss: BPR or WARP; tied: one vector an item, not two; decay: of a history, per item; recency:
    the first event is drawn 2^recency times less often than the last; drop: how often an item goes without its id."""

    loss: int = WARP
    factors: int = 64
    tied: bool = True
    decay: float = 0.5
    recency: float = 4.0
    drop: float = 0.3
    rate: float = 0.1


class Manner(NamedTuple):
    """How what was learnt is read: decay of a history; unit: parts of length 1; bias: what biases are multiplied by."""

    decay: float
    unit: bool = False
    bias: float = 1.0


class Log:
    """The first ``stop`` events sorted by person, then time; ``place_of`` says where each stands. had…: the distinct
    items of each person, ascending, with the place of the first time; fresh (m,): whether it was the first time."""

    def __init__(self, data: Interactions, stop: int) -> None:
        users = data.users[:stop].astype(np.int64)
        self.order: I64 = np.argsort(users, kind="stable").astype(np.int64)
        sorted_users = users[self.order]
        self.owner: I32 = sorted_users.astype(np.int32)
        self.items: I32 = data.items[:stop][self.order].astype(np.int32)
        self.weights: F32 = data.weights[:stop][self.order].astype(np.float32)
        people = int(users.max()) + 1 if stop else 0
        self.starts: I64 = np.searchsorted(sorted_users, sorted_users).astype(np.int64)
        self.place_of: I64 = np.empty(stop, np.int64)
        self.place_of[self.order] = np.arange(stop)
        pairs, first = np.unique(sorted_users * data.n_items + self.items, return_index=True)
        self.had: I32 = (pairs % data.n_items).astype(np.int32)
        self.had_first: I64 = first.astype(np.int64)
        self.had_start: I64 = np.searchsorted(pairs // data.n_items, np.arange(people + 1)).astype(np.int64)
        self.fresh: Bools = np.zeros(stop, np.bool_)
        self.fresh[first] = True

    def __len__(self) -> int:
        return len(self.items)


class Features(NamedTuple):
    """text (n, p + 1): principal components of texts and a 1, zeros where there is none; axes (t, p) and
    offset (p,): text · axes + offset gives them. indptr, codes, shares: the tags of each item."""

    text: F32
    axes: F32
    offset: F32
    indptr: I64
    codes: I32
    shares: F32
    n_tags: int


def describe(data: Interactions) -> Features:
    """PCA of the texts, half whitened, with a mean square length of 1, and the tags. Cost: O(n t p).

    Half: standard deviations become their square roots, so that noise in a small catalogue stays small.
    """
    indptr = np.zeros(data.n_items + 1, np.int64)
    given = data.tags >= 0
    count = given.sum(axis=1)
    np.cumsum(count, out=indptr[1:])
    rows, places = np.nonzero(given)
    tags = (indptr, data.tags[rows, places].astype(np.int32), (1.0 / count[rows]).astype(np.float32), data.n_tags)
    some = np.flatnonzero(data.text.any(axis=1))
    width = min(COMPONENTS, data.text.shape[1], max(0, len(some) - 1))
    if not width:
        empty = np.zeros((data.text.shape[1], 0), np.float32)
        return Features(np.zeros((data.n_items, 0), np.float32), empty, np.zeros(0, np.float32), *tags)
    sample = data.text[some[:: max(1, len(some) // _SAMPLE)]].astype(np.float64)
    mean = sample.mean(axis=0)
    values, vectors = np.linalg.eigh((sample - mean).T @ (sample - mean) / len(sample))
    values, vectors = values[::-1][:width], vectors[:, ::-1][:, :width]
    kept = values > values[0] * 1e-6
    values, vectors = values[kept], vectors[:, kept]
    vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))] < 0, -1.0, 1.0)
    # The variance of a component that is divided by the fourth root of its variance is the square root of it.
    axes = (vectors / (values**0.25 * (values**0.5).sum() ** 0.5)).astype(np.float32)
    offset = (-(mean @ axes)).astype(np.float32)
    text = np.zeros((data.n_items, axes.shape[1] + 1), np.float32)
    text[some, :-1] = data.text[some] @ axes + offset
    text[some, -1] = 1.0
    return Features(text, axes, offset, *tags)


class _Side:
    """Parameters of one vector an item: of ids, tags and text; ``whole`` (n, width) with all, ``told`` from text."""

    def __init__(self, features: Features, width: int, met: I32, biased: bool, rng: np.random.Generator) -> None:
        n, p = features.text.shape
        k = width - 1 if biased else width
        self._features = features
        sizes = {"ids": n, "tags": features.n_tags, "text": p}
        self._values = {name: np.zeros((size, width), np.float32) for name, size in sizes.items()}
        self._values["ids"][met, :k] = (rng.random((len(met), k), np.float32) - 0.5) / np.float32(k**0.5)
        self._values["text"][:, :k] = (rng.random((p, k), np.float32) - 0.5) / np.float32(k**0.5)
        self._squares = {name: np.full_like(value, _START) for name, value in self._values.items()}
        self.own, self.all = np.zeros((n, width), np.float32), np.zeros((n, width), np.float32)
        self._tags, self._marked = np.zeros((features.n_tags, width), np.float32), np.zeros(features.n_tags, np.bool_)
        self._every = np.ones(p, np.bool_)
        self.touched: Bools = np.zeros(n, np.bool_)
        self.refresh()

    @property
    def text_map(self) -> F32:
        return self._values["text"]

    def refresh(self) -> None:
        f, values = self._features, self._values
        self.told: F32 = np.ascontiguousarray(f.text @ values["text"], np.float32)
        self.whole: F32 = self.told + values["ids"]
        if f.n_tags:
            gather(f.indptr, f.codes, f.shares, values["tags"], self.whole)

    def learn(self, rate: float) -> None:
        """One step of Adagrad with what the block left, which is forgotten."""
        f, values, squares = self._features, self._values, self._squares
        if f.n_tags:
            scatter(f.indptr, f.codes, f.shares, self.own, self.touched, self._tags, self._marked)
            adagrad(values["tags"], squares["tags"], self._tags, self._marked, rate)
            self._marked[:] = False
        adagrad(values["ids"], squares["ids"], self.own, self.touched, rate)
        rows = np.flatnonzero(self.touched)
        if f.text.shape[1]:
            slope = np.ascontiguousarray(f.text[rows].T @ self.all[rows])
            adagrad(values["text"], squares["text"], slope, self._every, rate)
        self.all[rows] = 0.0
        self.touched[:] = False
        self.refresh()


class Learner:
    """A factorisation being learnt from ``log``."""

    def __init__(self, features: Features, log: Log, choice: Choice, seed: int) -> None:
        n = len(features.text)
        self.choice = choice
        self._features, self._log = features, log
        self.met: I32 = np.unique(log.items).astype(np.int32)
        self._rng = np.random.default_rng(seed)
        self._state = np.array([seed], np.uint64)
        self._stamp = np.full(n, -1, np.int64)
        self._out = _Side(features, choice.factors + 1, self.met, True, self._rng)
        self._in = self._out if choice.tied else _Side(features, choice.factors, self.met, False, self._rng)
        # Larger blocks for larger catalogues: each ends with work for every item.
        self._size = max(256, min(8192, n // 16))
        age = 1.0 - (log.order + 1) / max(1, len(log))
        self._reach: F64 = np.cumsum(np.exp2(-choice.recency * age))

    def run(self, steps: int) -> float:
        """Learn from so many events, drawn by how new they are; the mean loss."""
        m, done, loss = len(self._log), 0, 0.0
        while done < steps and m:
            count = min(steps - done, _CHUNK)
            at: F64 = (np.arange(count) + self._rng.random(count)) / count * float(self._reach[-1])
            places = np.minimum(np.searchsorted(self._reach, at), m - 1)
            self._rng.shuffle(places)
            for begin in range(0, count, self._size):
                loss += self._block(places[begin : begin + self._size])
            done += count
        return loss / max(1, steps)

    def _block(self, places: I64) -> float:
        log, c, out, said = self._log, self.choice, self._out, self._in
        # Tied: rows of the one vector less its bias, whose gradients add up in the same place.
        loss = block(
            places, log.items, log.weights, log.starts, log.owner, log.had, log.had_start, self.met, out.whole,
            out.told, said.whole, said.told, out.own, out.all, said.own, said.all, out.touched, said.touched,
            c.factors, c.loss, TRIES, c.decay, c.drop, self._stamp, self._state,
        )  # fmt: skip
        out.learn(c.rate)
        if not c.tied:
            said.learn(c.rate)
        return float(loss)

    def vectors(self, manner: Manner) -> F32:
        """(n, dim) item vectors as ``HybridTower`` has them; of items that weren't met, what their texts say."""
        made = self._vectors()
        made[:, -1] *= np.float32(manner.bias)
        return unit_parts(made, self.choice.factors) if manner.unit else made

    def _vectors(self) -> F32:
        known = np.zeros((len(self._stamp), 1), np.bool_)
        known[self.met] = True
        out = np.where(known, self._out.whole, self._out.told)
        if self.choice.tied:
            return out
        said = np.where(known, self._in.whole, self._in.told)
        return np.concatenate([out[:, :-1], said, out[:, -1:]], axis=1)

    def placing(self, manner: Manner) -> tuple[F32, F32]:
        """The tower's ``text_map`` and ``offset``."""
        out = self._out.text_map
        full = out if self.choice.tied else np.concatenate([out[:, :-1], self._in.text_map, out[:, -1:]], axis=1)
        full = np.concatenate([full[:, :-1], full[:, -1:] * np.float32(manner.bias)], axis=1)
        f = self._features
        offset: F32 = np.zeros(int(full.shape[1]), np.float32)
        if not len(full):
            return np.zeros((f.axes.shape[0], len(offset)), np.float32), offset
        np.add(f.offset @ full[:-1], full[-1], out=offset)
        return f.axes @ full[:-1], offset

    def ranks(self, log: Log, places: I64, allowed: Bools, manner: Manner) -> F64:
        """(b,) mid-ranks of the events at ``places`` of ``log`` among ``allowed`` items that are new to the person."""
        c, vectors = self.choice, self.vectors(manner)
        said = np.ascontiguousarray(vectors[:, : c.factors] if c.tied else vectors[:, c.factors : -1])
        offered, bias = np.ascontiguousarray(vectors[:, : c.factors]), vectors[:, -1]
        found: F64 = np.empty(len(places), np.float64)
        for begin in range(0, len(places), 256):
            part = places[begin : begin + 256]
            people = np.zeros((len(part), c.factors), np.float32)
            read_people(part, log.items, log.weights, log.starts, said, manner.decay, self._stamp, people)
            ranks(
                people @ offered.T + bias, log.items[part], log.owner[part], part, log.had, log.had_first,
                log.had_start, allowed, found[begin : begin + 256],
            )  # fmt: skip
        return found
