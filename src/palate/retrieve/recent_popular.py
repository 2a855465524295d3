"""Retrieval of what is popular now: the highest exponentially decayed interaction counts.

Decay moves no item past another: c · 2^(−(now − t)/h) is c · 2^(t/h) times the same for all, so that ``log₂ c + t/h``
orders them at any moment. The best few thousand are kept between requests, and only what somebody touched since is
looked at again.
"""

from __future__ import annotations

import numpy as np

from palate.retrieve.topk import kth_largest, top_k
from palate.state import State
from palate.state.fold import DAY_MS
from palate.types import F32, F64, I32, Bools

KEPT = 4096
_FEW = 256


class RecentPopular:
    """The order by the decayed count of one half-life. column: of ``state.half_lives``. Under the engine's lock."""

    def __init__(self, state: State, column: int) -> None:
        self.state = state
        self.column = column
        self._rows: I32 = np.zeros(0, np.int32)
        self._keys: F64 = np.zeros(0)
        self._border = np.inf  # every item that isn't kept has a smaller key, or was touched since
        self._at = -1

    def __call__(self, k: int, alive: Bools | None) -> tuple[I32, F32]:
        """See ``Retriever``. Items nobody touched are never retrieved. Cost: O(kept); O(n) where many were touched."""
        self._catch_up()
        rows, keys = self._allowed(self._rows, self._keys, alive)
        rows, keys = top_k(rows, keys, k)
        short = len(rows) < k or keys[-1] < self._border
        if short and not np.isneginf(self._border):  # few of the kept ones are allowed: look at all
            every = np.arange(self.state.n_items, dtype=np.int32)
            rows, keys = top_k(*self._allowed(every, self._key(every), alive), k)
        return rows, (keys - (keys[0] if len(keys) else 0.0)).astype(np.float32)

    def _allowed(self, rows: I32, keys: F64, alive: Bools | None) -> tuple[I32, F64]:
        keep = keys > -np.inf
        if alive is not None:
            keep &= rows < len(alive)
            keep[keep] = alive[rows[keep]]
        return rows[keep], keys[keep]

    def _key(self, rows: I32) -> F64:
        item = self.state.item_columns
        with np.errstate(divide="ignore"):
            counts = np.log2(item["decayed"][rows, self.column])
        return counts + item["decayed_ts"][rows] / (DAY_MS * float(self.state.half_lives[self.column]))

    def _catch_up(self) -> None:
        touched, at = self.state.touched_since(self._at)
        self._at = at
        if touched is not None and not touched:
            return
        if touched is None or len(touched) > _FEW:
            every = np.arange(self.state.n_items, dtype=np.int32)
            keys = self._key(every)
            self._border = float(kth_largest(keys, KEPT)) if len(keys) > KEPT else -np.inf
            kept = keys >= self._border
            self._rows, self._keys = every[kept], keys[kept]
            return
        rows = np.array(sorted(touched), np.int32)
        others = ~np.isin(self._rows, rows)
        self._rows = np.concatenate([self._rows[others], rows])
        self._keys = np.concatenate([self._keys[others], self._key(rows)])
        if len(self._rows) > 2 * KEPT:
            self._at = -1
