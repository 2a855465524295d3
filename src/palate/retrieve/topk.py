"""The best k of many, the same way everywhere: by score, then by row."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from palate.kernels import kernel
from palate.types import F32, F64, I32

S = TypeVar("S", F32, F64)
_BUCKETS = 256
_FEW = 64
"""Up to so many, buckets cost more than they save."""


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
def offer(rows: I32, scores: F32 | F64, count: int, row: int, score: float) -> int:
    """Keep the best of what is offered in a heap that has room for ``len(rows)`` ≥ 1 and holds ``count``; how many it
    holds then. No row may be offered twice. ``in_order`` puts them in order."""
    if count == len(rows):
        if _worse(float(scores[0]), int(rows[0]), score, row):
            _sink(rows, scores, count, 0, row, score)
        return count
    at = count
    while at > 0:
        above = (at - 1) // 2
        if not _worse(score, row, float(scores[above]), int(rows[above])):
            break
        rows[at], scores[at] = rows[above], scores[above]
        at = above
    rows[at], scores[at] = row, score
    return count + 1


@kernel
def in_order(rows: I32, scores: F32 | F64, count: int) -> None:
    """The first ``count``, a heap made by ``offer``, from the best to the worst."""
    for end in range(count - 1, 0, -1):
        row, score = int(rows[end]), float(scores[end])
        rows[end], scores[end] = rows[0], scores[0]
        _sink(rows, scores, end, 0, row, score)


@kernel
def best(rows: I32, scores: F32 | F64, best_rows: I32, best_scores: F32 | F64) -> None:
    """``top_k`` into ``best_rows`` and ``best_scores``, which have room for at least one and at most all.

    Where there are many, their scores are counted into buckets first: only what lies in those of the best is sorted.
    """
    n, k = len(rows), len(best_rows)
    low = high = float(scores[0])
    for place in range(n):
        low, high = min(low, float(scores[place])), max(high, float(scores[place]))
    count = 0
    if n <= max(2 * k, _FEW) or not 1e-280 < high - low < 1e300:
        for place in range(n):
            count = offer(best_rows, best_scores, count, int(rows[place]), float(scores[place]))
        in_order(best_rows, best_scores, count)
        return
    per = (_BUCKETS - 0.5) / (high - low)
    sizes = np.zeros(_BUCKETS, np.int64)
    for place in range(n):
        sizes[int((float(scores[place]) - low) * per)] += 1
    border, above = _BUCKETS - 1, sizes[_BUCKETS - 1]
    while above < k:
        border -= 1
        above += sizes[border]
    for place in range(n):
        if int((float(scores[place]) - low) * per) >= border:
            count = offer(best_rows, best_scores, count, int(rows[place]), float(scores[place]))
    in_order(best_rows, best_scores, count)


def top_k(rows: I32, scores: S, k: int) -> tuple[I32, S]:
    """The ``k`` best of (rows, scores), both (n,), best first, ties by the smaller row. Cost: O(n + k log k).

    No row twice; every score is finite."""
    k = max(0, min(k, len(rows)))
    best_rows, best_scores = np.empty(k, np.int32), np.empty_like(scores, shape=k)
    if k:
        best(rows, scores, best_rows, best_scores)
    return best_rows, best_scores
