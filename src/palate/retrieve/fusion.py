"""Reciprocal rank fusion: one list of candidates out of several (Cormack, Clarke, Büttcher 2009).

score(i) = Σ over lists that hold i of 1 / (c + rank), rank from 1. It needs no calibration between retrievers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from palate.types import F64, I32


def fuse(lists: Mapping[str, I32], k: int, constant: float = 60.0) -> tuple[I32, F64, list[tuple[str, ...]]]:
    """The ``k`` best rows, their fused scores, and the names of the lists that hold each, ties by row.

    Cost: O(total length log total length).
    """
    filled = [(name, rows) for name, rows in lists.items() if len(rows)]
    if not filled:
        return np.zeros(0, np.int32), np.zeros(0), []
    rows, inverse = np.unique(np.concatenate([rows for _, rows in filled]), return_inverse=True)
    gains = np.concatenate([1.0 / (constant + 1.0 + np.arange(len(rows))) for _, rows in filled])
    scores = np.bincount(inverse, gains, minlength=len(rows)).astype(np.float64)
    bits = np.concatenate([np.full(len(rows), 1 << place, np.int64) for place, (_, rows) in enumerate(filled)])
    held = np.bincount(inverse, bits, minlength=len(rows)).astype(np.int64)
    order = np.lexsort((rows, -scores))[:k]
    names = [name for name, _ in filled]
    by_mask = {
        mask: tuple(name for place, name in enumerate(names) if mask >> place & 1)
        for mask in np.unique(held[order]).tolist()
    }
    return rows[order].astype(np.int32), scores[order], [by_mask[mask] for mask in held[order].tolist()]
