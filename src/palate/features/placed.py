"""Towers of a served model over the rows of a state: where every item lies, and where a person does."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from palate.kernels import kernel, soon
from palate.profile import Subject
from palate.state.state import Names
from palate.tastes import dot
from palate.towers import Reading, Tower
from palate.types import F32, F64, I32, I64, Bools

_MEMORIES = 2048
_ATTRIBUTED = 20
"""Newest entries of a history that are left out one at a time, to see what each of them gives."""
_CHUNK = 8192


@runtime_checkable
class Attributing(Protocol):
    """A tower that can say exactly what each entry of a history gives to a product."""

    def parts(self, history: Reading, target: F32) -> F64:
        """(h,) parts that add up to the product of the person with ``target`` (d,)."""
        ...


class Index(Protocol):
    """Finds the rows with the largest inner products (``retrieve.inner``)."""

    def put(self, rows: I32, vectors: F32) -> None:
        """Distinct ``rows`` of ``vectors`` are new, or others than before."""
        ...

    def search(self, query: F32, k: int, alive: Bools | None, vectors: F32) -> tuple[I32, F32]:
        """The ``k`` best allowed rows, best first."""
        ...


class Texts(Protocol):
    """Text vectors of items that change: as ``retrieve.vector.VectorIndex`` has them."""

    @property
    def changes(self) -> int: ...
    @property
    def text_of(self) -> I32: ...
    @property
    def stamps(self) -> I64: ...
    @property
    def vectors(self) -> F32: ...


@kernel
def products(rows: I32, vectors: F32, person: F32, logarithmic: bool, out: F32) -> None:
    """out[m] = vectors[rows[m]] · person, or arcsinh(1000 of it). out (m,) may be a column."""
    for m in range(len(rows)):  # all of them are on their way before the first is needed
        soon(vectors, rows[m], 4)
    for m in range(len(rows)):
        value = dot(vectors[rows[m]], person)
        out[m] = np.arcsinh(1000.0 * value) if logarithmic else value


class Placed:
    """One tower bound to the rows of a state. Under the engine's lock once it serves.

    column: the feature that it makes; ids: the items that training met, with their vectors (n, d). Everything else is
    placed by its text, as soon as that has a vector. Memory: 4 d bytes an item, and the index's.
    """

    def __init__(self, column: str, tower: Tower, ids: Sequence[str], items: F32, names: Names, index: Index) -> None:
        self.column = column
        self.tower = tower
        self.vectors: F32 = np.zeros((0, tower.dim), np.float32)
        self._index = index
        self._own: Bools = np.zeros(0, np.bool_)
        self._names = names
        self._n = 0
        self._seen = -1
        self._memories: OrderedDict[int, object] = OrderedDict()
        rows = np.fromiter((names.get(name) for name in ids), np.int64, len(ids))
        known = np.flatnonzero(rows >= 0)
        self._grow(int(rows.max(initial=-1)) + 1)
        self.vectors[rows[known]] = items[known]
        self._own[rows[known]] = True
        self._index.put(rows[known].astype(np.int32), self.vectors)
        # Of a state that lags behind the log that was learnt from (a follower's, one of another moment).
        self._missing = {ids[place]: items[place] for place in np.flatnonzero(rows < 0).tolist()}

    def _grow(self, n: int) -> None:
        room = len(self.vectors)
        if n > room:
            size = max(n, room + room // 4, 64)
            vectors, own = np.zeros((size, self.tower.dim), np.float32), np.zeros(size, np.bool_)
            vectors[:room], own[:room] = self.vectors, self._own
            self.vectors, self._own = vectors, own

    def follow(self, texts: Texts, n: int) -> None:
        """Place what is new, or has another text, of the first ``n`` items. Nothing where nothing is."""
        changes = texts.changes  # read first: what changes meanwhile is placed again the next time
        if changes == self._seen and n <= self._n:
            return
        self._grow(n)
        if self._missing:
            self._found(n)
        stamps, text_of = texts.stamps, texts.text_of
        moved = np.flatnonzero(stamps[:n] > self._seen).astype(np.int32)
        moved = moved[~self._own[moved]]
        vectors = texts.vectors
        for start in range(0, len(moved), _CHUNK):
            rows = moved[start : start + _CHUNK]
            of = text_of[rows]
            text = np.where(of[:, None] >= 0, vectors[np.maximum(of, 0)], np.float32(0.0)) if len(vectors) else None
            self.vectors[rows] = 0.0 if text is None else self.tower.place(text.astype(np.float32, copy=False))
        self._index.put(moved, self.vectors)
        self._n, self._seen = n, changes

    def _found(self, n: int) -> None:
        """Items that training met and the state has only now."""
        for row in range(self._n, n):
            vector = self._missing.pop(self._names.ids[row], None)
            if vector is not None:
                self.vectors[row], self._own[row] = vector, True
                self._index.put(np.array([row], np.int32), self.vectors)

    def reading(self, subject: Subject, now: int) -> Reading:
        """The history of ``subject`` for the tower. now: what ``moment`` gives."""
        return Reading(subject.items, self.vectors[subject.items], subject.weights, subject.ts, now)

    def person(self, subject: Subject, now: int) -> F32 | None:
        """The vector (d,) of ``subject``; None where nothing is known of them. Kept with the subject."""
        if not len(subject.items):
            return None
        then = moment(int(subject.ts[0]), now)
        kept = cast("tuple[int, int, F32] | None", subject.extra.get(self.column))
        key = (id(self), then)
        if kept is not None and kept[:2] == key:
            return kept[2]
        vector, memory = self.tower.read(self.reading(subject, then), self._memories.get(subject.row))
        if memory is not None and subject.row >= 0:
            self._memories[subject.row] = memory
            self._memories.move_to_end(subject.row)
            if len(self._memories) > _MEMORIES:
                self._memories.popitem(last=False)
        subject.extra[self.column] = (*key, vector)
        return vector

    def fill(self, subject: Subject, rows: I32, now: int, out: F32) -> None:
        """The feature of ``rows`` (m,) into ``out`` (m,), which is left as it is for nobody."""
        person = self.person(subject, now)
        if person is not None:
            products(rows, self.vectors, person, self.column == "factors", out)

    def nearest(self, subject: Subject, now: int, k: int, allowed: Bools | None) -> I32:
        """The ``k`` allowed rows with the largest products, best first."""
        person = self.person(subject, now)
        if person is None:
            return np.zeros(0, np.int32)
        return self._index.search(person, k, allowed, self.vectors)[0]

    def parts(self, subject: Subject, row: int) -> F64:
        """(h,) what each history entry gives to item ``row``: exact where the tower can say so, otherwise by how much
        the product falls without it, of the newest twenty."""
        out = np.zeros(len(subject.items), np.float64)
        if not len(subject.items) or row >= len(self.vectors):
            return out
        now, target = int(subject.ts[0]), self.vectors[row]
        whole = self.reading(subject, now)
        if isinstance(self.tower, Attributing):
            return self.tower.parts(whole, target)
        product = float(self.tower.read(whole)[0] @ target)
        for place in range(min(len(out), _ATTRIBUTED)):
            items, vectors, weights, ts = (np.delete(part, place, axis=0) for part in whole[:4])
            without = Reading(items, vectors, weights, ts, now)
            out[place] = product - float(self.tower.read(without)[0] @ target)
        return out

    def warm(self) -> None:
        """Compile what a request needs."""
        one: Any = np.zeros(1, np.int32)
        self._grow(1)
        reading = Reading(one, self.vectors[one] + np.float32(0.1), np.ones(1), np.zeros(1, np.int64), 0)
        vector, _ = self.tower.read(reading)
        products(one, self.vectors, vector, False, np.zeros((1, 2), np.float32)[:, 0])
        products(one, self.vectors, vector, False, np.zeros((2, 2), np.float32)[:, 0])
        for allowed in (None, np.ones(1, np.bool_)):
            self._index.search(vector + np.float32(1.0), 1, allowed, self.vectors)


def moment(newest: int, now: int) -> int:
    """``now`` by steps that grow with the time since ``newest`` (ms): a fifth of it, so that what is read from a
    history holds for a while, and is a function of the history and this alone."""
    gap = max(0, now - newest) // 1000
    if gap < 1:
        return newest
    return newest + int(1000 * 2.0 ** (math.floor(4.0 * math.log2(gap)) / 4.0))
