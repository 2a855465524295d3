"""The largest inner products with one vector, exactly: what a tower's vector of a person retrieves.

Vectors lie in the order of their lengths, each also in one byte a component. |q·v| ≤ |q||v| rules out blocks of short
ones, and q·v ≤ t s (b·c) + t|b||f| + |e||v| most of the others, with q = t b + e, v = s c + f, b and c whole numbers
(Cauchy, Schwarz); what is left is computed in float32. New vectors go to the end until they are many.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel, reassociating
from palate.retrieve.topk import in_order, offer
from palate.tastes import dot
from palate.types import F32, I32, Bools

Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int16]
_BLOCK = 128
_MOST = 127.0
_FINEST = 8191.0
_SCALE, _LOST, _LENGTH = range(3)


@kernel
def _code(rows: I32, vectors: F32, slot_of: I32, codes: Codes, marks: F32, most: F32) -> None:
    """Codes, and (scale, |f|, |v|), of ``rows`` into their slots; ``most`` (blocks,) grows to the longest of each."""
    for row in rows:
        slot, largest = slot_of[row], np.float32(0.0)
        for i in range(vectors.shape[1]):
            largest = max(largest, abs(vectors[row, i]))
        scale = largest / np.float32(_MOST)
        length, lost = 0.0, 0.0
        for i in range(vectors.shape[1]):
            value = vectors[row, i]
            whole = np.int8(np.rint(value / scale)) if scale > 0 else np.int8(0)
            codes[slot, i] = whole
            rest = np.float64(value) - np.float64(scale) * np.float64(whole)
            length += np.float64(value) * np.float64(value)
            lost += rest * rest
        marks[slot, _SCALE], marks[slot, _LOST], marks[slot, _LENGTH] = scale, np.sqrt(lost), np.sqrt(length)
        most[slot // _BLOCK] = max(most[slot // _BLOCK], marks[slot, _LENGTH])


@reassociating
def _whole(one: Codes, other: Words) -> int:
    total = np.int32(0)
    for i in range(len(one)):
        total = np.int32(total + np.int32(np.int32(one[i]) * np.int32(other[i])))
    return int(total)


@kernel
def _largest(
    used: int, vectors: F32, codes: Codes, marks: F32, most: F32, row_at: I32, query: F32, asked: Words,
    unit: float, lengths: tuple[float, float, float], masked: bool, alive: Bools, rows: I32, scores: F32,
) -> int:  # fmt: skip
    """The best rows into ``rows`` and ``scores`` (k,), best first; how many. unit, lengths: t, and (|q|, t|b|, |e|)."""
    count, k = 0, len(rows)
    least = -np.inf
    long, wide, rest = lengths
    for begin in range(0, used, _BLOCK):
        if count == k and long * most[begin // _BLOCK] < least:
            continue
        for slot in range(begin, min(begin + _BLOCK, used)):
            length = marks[slot, _LENGTH]
            if length == 0.0 or (count == k and long * length < least):
                continue
            reach = unit * marks[slot, _SCALE] * _whole(codes[slot], asked) + wide * marks[slot, _LOST] + rest * length
            if count == k and reach < least:
                continue
            row = row_at[slot]
            if masked and (row >= len(alive) or not alive[row]):
                continue
            count = offer(rows, scores, count, int(row), dot(vectors[row], query))
            if count == k:
                least = np.float64(scores[0]) - 1e-5 * long * length
    in_order(rows, scores, count)
    return count


class InnerIndex:
    """Rows by their inner product with a query. Under the engine's lock. Memory: d + 24 bytes a row.

    The vectors themselves are the caller's array, given to ``search`` as it was given to ``put``. Rows whose vector is
    zero are never found.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._slot_of: I32 = np.zeros(0, np.int32)
        self._reset(0)

    def _reset(self, room: int) -> None:
        self._used = self._sorted = 0
        self._codes: Codes = np.zeros((room, self.dim), np.int8)
        self._marks: F32 = np.zeros((room, 3), np.float32)
        self._most: F32 = np.zeros(room // _BLOCK + 1, np.float32)
        self._row_at: I32 = np.zeros(room, np.int32)

    def put(self, rows: I32, vectors: F32) -> None:
        """Distinct ``rows`` of ``vectors`` (n, d) are new, or others than before. Cost: O(d) a row, at times O(n)."""
        if not len(rows):
            return
        if len(self._slot_of) < len(vectors):
            more = np.full(len(vectors) - len(self._slot_of), -1, np.int32)
            self._slot_of = np.concatenate([self._slot_of, more])
        fresh = rows[self._slot_of[rows] < 0]
        if self._used + len(fresh) - self._sorted > 1024 + self._sorted // 4:
            known = self._row_at[: self._used]
            self._sort(np.concatenate([known, fresh]), vectors)
            rows = rows[np.isin(rows, known)]  # the others have just been coded
            if not len(rows):
                return
        elif len(fresh):
            self._append(fresh)
        _code(rows.astype(np.int32), vectors, self._slot_of, self._codes, self._marks, self._most)

    def _append(self, rows: I32) -> None:
        end = self._used + len(rows)
        if end > len(self._row_at):
            room = max(end, len(self._row_at) * 5 // 4, 256)
            kept = self._codes, self._marks, self._most, self._row_at
            used, in_order_to = self._used, self._sorted
            self._reset(room)
            for new, old in zip((self._codes, self._marks, self._most, self._row_at), kept, strict=True):
                new[: len(old)] = old
            self._used, self._sorted = used, in_order_to
        self._row_at[self._used : end] = rows
        self._slot_of[rows] = np.arange(self._used, end, dtype=np.int32)
        self._used = end

    def _sort(self, rows: I32, vectors: F32) -> None:
        """All of ``rows`` anew, the longest first."""
        lengths = np.einsum("nd,nd->n", vectors[rows], vectors[rows])
        ordered = rows[np.argsort(-lengths, kind="stable")].astype(np.int32)
        self._reset(len(rows) + 1024 + len(rows) // 4)
        self._row_at[: len(rows)] = ordered
        self._slot_of[ordered] = np.arange(len(rows), dtype=np.int32)
        self._used = self._sorted = len(rows)
        _code(ordered, vectors, self._slot_of, self._codes, self._marks, self._most)

    def search(self, query: F32, k: int, alive: Bools | None, vectors: F32) -> tuple[I32, F32]:
        """The ``k`` rows of ``vectors`` with the largest inner products with ``query`` (d,), best first, ties by row.

        alive: the rows allowed, None for all; rows beyond its end are not. Cost: one pass over bytes.
        """
        k = min(k, self._used)
        rows, scores = np.empty(max(k, 0), np.int32), np.empty(max(k, 0), np.float32)
        largest = float(np.max(np.abs(query))) if k > 0 else 0.0
        if k <= 0 or not largest > 0.0:
            return rows[:0], scores[:0]
        unit = largest / _FINEST
        asked = np.rint(query / np.float32(unit)).astype(np.int16)
        back = asked.astype(np.float64) * unit
        rest = query.astype(np.float64) - back
        long, wide, left = (float(np.sqrt(v @ v)) * 1.00001 for v in (query.astype(np.float64), back, rest))
        mask = np.zeros(0, np.bool_) if alive is None else alive
        count = _largest(
            self._used, vectors, self._codes, self._marks, self._most, self._row_at, query, asked, unit,
            (long, wide, left),
            alive is not None, mask, rows, scores,
        )  # fmt: skip
        return rows[:count], scores[:count]
