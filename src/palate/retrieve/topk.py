"""The best k of many, the same way everywhere: by score, then by row."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from palate.kernels import kernel
from palate.types import F32, F64, I32

S = TypeVar("S", F32, F64)
_HEAP = 512
"""Up to so many a heap beats a partition: all but a few of the values are only compared with its root."""


@kernel
def _kth(values: F32 | F64, k: int) -> float:
    """The k-th largest by a heap of the largest k. 0 < k ≤ n."""
    heap = values[:k].copy()
    heap.sort()
    for place in range(k, len(values)):
        value = values[place]
        if not value > heap[0]:
            continue
        at = 0
        while True:
            child = 2 * at + 1
            if child >= k:
                break
            if child + 1 < k and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= value:
                break
            heap[at] = heap[child]
            at = child
        heap[at] = value
    return heap[0]


def kth_largest(values: F32 | F64, k: int) -> float:
    """The ``k``-th largest of (n,) values without NaN, 0 < k ≤ n. Cost: O(n)."""
    if k <= _HEAP and 4 * k < len(values):
        return _kth(values, k)
    return np.partition(values, len(values) - k)[len(values) - k]


def top_k(rows: I32, scores: S, k: int) -> tuple[I32, S]:
    """The ``k`` best of (rows, scores), both (n,), best first, ties by the smaller row. Cost: O(n + k log k)."""
    if k <= 0:
        return rows[:0], scores[:0]
    if k < len(scores):
        # The k-th alone would pick any of those that tie at the border.
        kept = np.flatnonzero(scores >= kth_largest(scores, k))
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
