"""Reciprocal rank fusion: one list of candidates out of several (Cormack, Clarke, Büttcher 2009).

score(i) = Σ over lists that hold i of 1 / (c + rank), rank from 1. It needs no calibration between retrievers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from palate.types import F64, I32, I64


def fuse(lists: Mapping[str, I32], k: int, constant: float = 60.0) -> tuple[I32, F64, I64, tuple[str, ...]]:
    """The ``k`` best rows, their fused scores, which lists hold each (bit masks), and the lists' names; ties by row.

    Cost: O(total length log total length). At most 62 lists.
    """
    filled = [(name, rows) for name, rows in lists.items() if len(rows)]
    names = tuple(name for name, _ in filled)
    if not filled:
        return np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int64), names
    rows, inverse = np.unique(np.concatenate([rows for _, rows in filled]), return_inverse=True)
    gains = np.concatenate([1.0 / (constant + 1.0 + np.arange(len(rows))) for _, rows in filled])
    scores = np.bincount(inverse, gains, minlength=len(rows)).astype(np.float64)
    held = np.zeros(len(rows), np.int64)
    at = 0
    for place, (_, found) in enumerate(filled):
        held[inverse[at : at + len(found)]] |= 1 << place
        at += len(found)
    order = np.lexsort((rows, -scores))[:k]
    return rows[order].astype(np.int32), scores[order], held[order], names
