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


@kernel
def _worse(score: float, row: int, other_score: float, other_row: int) -> bool:
    return score < other_score or (score == other_score and row > other_row)


@kernel
def _sink(rows: I32, scores: F32 | F64, n: int, at: int, row: int, score: float) -> None:
    """Put (row, score) in the place of ``at``, or below it, in a heap of ``n`` whose worst is at 0."""
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and _worse(
            float(scores[child + 1]), int(rows[child + 1]), float(scores[child]), int(rows[child])
        ):
            child += 1
        if not _worse(float(scores[child]), int(rows[child]), score, row):
            break
        rows[at], scores[at] = rows[child], scores[child]
        at = child
    rows[at], scores[at] = row, score


@kernel
def best(rows: I32, scores: F32 | F64, best_rows: I32, best_scores: F32 | F64) -> None:
    """The best of (rows, scores) in order, into ``best_rows`` and ``best_scores``, which have room for at most as many
    as there are; see ``top_k``."""
    k = len(best_rows)
    best_rows[:], best_scores[:] = rows[:k], scores[:k]
    for at in range(k // 2 - 1, -1, -1):
        _sink(best_rows, best_scores, k, at, int(best_rows[at]), float(best_scores[at]))
    for place in range(k, len(rows)):
        if _worse(float(best_scores[0]), int(best_rows[0]), float(scores[place]), int(rows[place])):
            _sink(best_rows, best_scores, k, 0, int(rows[place]), float(scores[place]))
    for end in range(k - 1, 0, -1):  # the worst goes last
        row, score = int(best_rows[end]), float(best_scores[end])
        best_rows[end], best_scores[end] = best_rows[0], best_scores[0]
        _sink(best_rows, best_scores, end, 0, row, score)


def top_k(rows: I32, scores: S, k: int) -> tuple[I32, S]:
    """The ``k`` best of (rows, scores), both (n,), best first, ties by the smaller row. Cost: O(n + k log k).

    No row twice, no NaN."""
    k = max(0, min(k, len(rows)))
    best_rows, best_scores = np.empty(k, np.int32), np.empty_like(scores, shape=k)
    if k:
        best(rows, scores, best_rows, best_scores)
    return best_rows, best_scores
