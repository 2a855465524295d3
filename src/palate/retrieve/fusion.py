"""Reciprocal rank fusion: one list of candidates out of several (Cormack, Clarke, Büttcher 2009).

score(i) = Σ over lists that hold i of 1 / (c + rank), rank from 1. It needs no calibration between retrievers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from palate.kernels import kernel
from palate.retrieve.topk import in_order, offer
from palate.types import F64, I32, I64


def fuse(lists: Mapping[str, I32], k: int, constant: float = 60.0) -> tuple[I32, F64, I64, tuple[str, ...]]:
    """The ``k`` best rows, their fused scores, which lists hold each (bit masks), and the lists' names; ties by row.

    Cost: O(total length + k log k). At most 62 lists.
    """
    filled = [(name, rows) for name, rows in lists.items() if len(rows)]
    names = tuple(name for name, _ in filled)
    if not filled or k <= 0:
        return np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64), names
    every = np.concatenate([rows for _, rows in filled])
    ends = np.cumsum([len(rows) for _, rows in filled])
    rows, scores = np.empty(min(k, len(every)), np.int32), np.empty(min(k, len(every)))
    held = np.zeros(len(rows), np.int64)
    n = _fuse(every, ends, constant, rows, scores, held)
    return rows[:n], scores[:n], held[:n], names


@kernel
def _fuse(every: I32, ends: I64, constant: float, rows: I32, scores: F64, held: I64) -> int:
    """``every``: the lists one after the other, each up to ``ends``. Returns how many were put into the outputs."""
    size = 16
    while size < 2 * len(every):
        size *= 2
    slots = np.full(size, -1, np.int64)  # open addressing: the place of a row among the distinct ones
    distinct, gains = np.empty(len(every), np.int32), np.zeros(len(every), np.float64)
    masks = np.zeros(len(every), np.int64)
    n = begin = 0
    for place in range(len(ends)):
        for at in range(begin, ends[place]):
            slot = (np.int64(every[at]) * 2654435761 >> 7) & (size - 1)
            while slots[slot] >= 0 and distinct[slots[slot]] != every[at]:
                slot = (slot + 1) & (size - 1)
            if slots[slot] < 0:
                slots[slot], distinct[n] = n, every[at]
                n += 1
            one = slots[slot]
            gains[one] += 1.0 / (constant + 1.0 + (at - begin))
            masks[one] |= np.int64(1) << place
        begin = ends[place]
    count = 0
    for one in range(n):
        count = offer(rows, scores, count, int(distinct[one]), gains[one])
    in_order(rows, scores, count)
    for place in range(count):
        slot = (np.int64(rows[place]) * 2654435761 >> 7) & (size - 1)
        while distinct[slots[slot]] != rows[place]:
            slot = (slot + 1) & (size - 1)
        held[place] = masks[slots[slot]]
    return count
