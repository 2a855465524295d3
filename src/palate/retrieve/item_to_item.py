"""Retrieval of what the history leads to: items reached through pairs, EASE, or the user's own past."""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.retrieve.topk import best, top_k
from palate.types import F32, F64, I32, I64, Bools


class ItemToItem:
    """rows: (m,) distinct items reached; strengths: (m,), only positive ones are retrieved."""

    def __init__(self, rows: I32, strengths: F64) -> None:
        self.rows = rows
        self.strengths = strengths

    def __call__(self, k: int, alive: Bools | None) -> tuple[I32, F32]:
        """See ``Retriever``. Cost: O(m)."""
        keep = self.strengths > 0
        if alive is not None:
            keep &= self.rows < len(alive)
            keep[keep] = alive[self.rows[keep]]
        return top_k(self.rows[keep], self.strengths[keep].astype(np.float32), k)


class Reached:
    """``ItemToItem`` for several strengths at once: each is the sum of two columns, or one (−1 for the other).

    rows: (m,) distinct items; strengths: (m, c); columns: (l, 2). One pass whatever the number of lists.
    """

    def __init__(self, rows: I32, strengths: F64, columns: I64) -> None:
        self.rows = rows
        self.strengths = strengths
        self.columns = columns

    def __call__(self, k: int, alive: Bools) -> list[I32]:
        """For each of ``columns`` the rows that ``ItemToItem`` gives."""
        lists = len(self.columns)
        rows, scores = np.empty((lists, k), np.int32), np.empty((lists, k), np.float32)
        counts = np.zeros(lists, np.int64)
        if k > 0:
            _reached(self.rows, self.strengths, self.columns, alive, rows, scores, counts)
        return [rows[n, :count] for n, count in enumerate(counts.tolist())]


@kernel
def _reached(rows: I32, strengths: F64, columns: I64, alive: Bools, found: I32, scores: F32, counts: I64) -> None:
    """The best of each list into ``found`` and ``scores`` (l, k), how many into ``counts`` (l,)."""
    lists, k = found.shape
    names, values = np.empty((lists, len(rows)), np.int32), np.empty((lists, len(rows)), np.float32)
    held = np.zeros(lists, np.int64)
    for m in range(len(rows)):
        row = rows[m]
        if row >= len(alive) or not alive[row]:
            continue
        for place in range(lists):
            value = strengths[m, columns[place, 0]]
            if columns[place, 1] >= 0:
                value += strengths[m, columns[place, 1]]
            if value > 0:
                names[place, held[place]], values[place, held[place]] = row, value
                held[place] += 1
    for place in range(lists):
        n = held[place]
        counts[place] = min(k, n)
        if n > 0:
            best(names[place, :n], values[place, :n], found[place, : min(k, n)], scores[place, : min(k, n)])
