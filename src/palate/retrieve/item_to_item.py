"""Retrieval of what the history leads to: items reached through pairs, EASE, or the user's own past."""

from __future__ import annotations

import numpy as np

from palate.retrieve.topk import top_k
from palate.types import F32, F64, I32, Bools


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
