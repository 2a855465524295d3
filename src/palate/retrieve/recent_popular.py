"""Retrieval of what is popular now: the highest exponentially decayed interaction counts."""

from __future__ import annotations

import numpy as np

from palate.retrieve.topk import top_k
from palate.types import F32, F64, I32, Bools


class RecentPopular:
    """counts: (n,) decayed counts at the moment of the request; items nobody touched are never retrieved."""

    def __init__(self, counts: F64) -> None:
        self.counts = counts

    def __call__(self, k: int, alive: Bools | None) -> tuple[I32, F32]:
        """See ``Retriever``. Cost: O(n)."""
        positive = self.counts > 0
        if alive is not None:
            shared = min(len(alive), len(positive))
            positive[:shared] &= alive[:shared]
            positive[shared:] = False
        rows = np.flatnonzero(positive).astype(np.int32)
        return top_k(rows, self.counts[rows].astype(np.float32), k)
