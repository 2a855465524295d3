"""The best k of many, the same way everywhere: by score, then by row."""

from __future__ import annotations

import numpy as np

from palate.types import F32, I32


def top_k(rows: I32, scores: F32, k: int) -> tuple[I32, F32]:
    """The ``k`` best of (rows, scores), both (n,), best first, ties by the smaller row. Cost: O(n + k log k)."""
    if k <= 0:
        return rows[:0], scores[:0]
    if k < len(scores):
        # A partition alone would pick any of those that tie at the border.
        border = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= border)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
