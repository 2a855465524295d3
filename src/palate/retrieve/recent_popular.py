"""Retrieval of what is popular now, or ever: the highest exponentially decayed interaction counts, or plain ones.

Decay moves no item past another: c · 2^(−(now − t)/h) is c · 2^(t/h) times the same for all, so that ``log₂ c + t/h``
orders them at any moment. The best few thousand are kept between requests, in this order, and only what somebody
touched since is moved.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.retrieve.topk import in_order, offer
from palate.state import State
from palate.state.fold import DAY_MS
from palate.types import F32, F64, I32, I64, Bools

KEPT = 4096
_FEW = 256
_NOTHING: Bools = np.zeros(0, np.bool_)


class RecentPopular:
    """The order by the decayed count of one half-life. column: of ``state.half_lives``, None for what all time had.
    Under the engine's lock."""

    def __init__(self, state: State, column: int | None) -> None:
        self.state = state
        self.column = column or 0
        self._counted = column is None
        self._per_day = 0.0 if column is None else 1.0 / (DAY_MS * float(state.half_lives[column]))
        self._rows: I32 = np.zeros(2 * KEPT, np.int32)
        self._keys: F64 = np.zeros(2 * KEPT)
        self._count = 0
        self._border = np.inf  # every item that isn't kept has a smaller key, or was touched since
        self._at = -1

    def __call__(self, k: int, alive: Bools | None) -> tuple[I32, F32]:
        """See ``Retriever``. Items nobody touched are never retrieved.

        Cost: what k and the mask make it look at, of the kept; O(n) where most of these aren't allowed.
        """
        self._catch_up()
        rows, keys = np.empty(k, np.int32), np.empty(k)
        masked, mask = alive is not None, _NOTHING if alive is None else alive
        n = _first(self._rows, self._keys, self._count, self._border, masked, mask, rows, keys) if k > 0 else 0
        if n < k and not np.isneginf(self._border):  # few of the kept ones are allowed: look at all
            n = self._among_all(rows, keys, masked, mask)
        rows, keys = rows[:n], keys[:n]
        return rows, (keys - (keys[0] if n else 0.0)).astype(np.float32)

    def _counts(self) -> tuple[F64 | I64, I64]:
        """(n, columns) counts and (n,) when these were."""
        item = self.state.item_columns
        return item["count"][:, None] if self._counted else item["decayed"], item["decayed_ts"]

    def _among_all(self, rows: I32, keys: F64, masked: bool, alive: Bools) -> int:
        counts, times = self._counts()
        return _best_keys(
            self.state.n_items, counts, times, self.column, self._per_day, masked, alive, rows, keys
        )  # fmt: skip

    def _catch_up(self) -> None:
        touched, at = self.state.touched_since(self._at)
        self._at = at
        if touched is not None and not touched:
            return
        if touched is None or len(touched) > _FEW or self._count + len(touched) > len(self._rows):
            self._count = self._among_all(self._rows[:KEPT], self._keys[:KEPT], False, _NOTHING)
            self._border = float(self._keys[KEPT - 1]) if self._count == KEPT else -np.inf
            return
        counts, times = self._counts()
        rows = np.fromiter(touched, np.int32, len(touched))
        self._count = _move(
            rows, counts, times, self.column, self._per_day, self._rows, self._keys, self._count
        )  # fmt: skip


@kernel
def _key(row: int, decayed: F64 | I64, decayed_ts: I64, column: int, per_day: float) -> float:
    return np.log2(decayed[row, column]) + decayed_ts[row] * per_day


@kernel
def _first(kept: I32, keys: F64, count: int, border: float, masked: bool, alive: Bools, rows: I32, found: F64) -> int:
    """The first allowed of the ``count`` kept ones that aren't below ``border``; how many, at most ``len(rows)``."""
    n = 0
    for place in range(count):
        row = kept[place]
        if n == len(rows) or keys[place] < border:
            break
        if not masked or (row < len(alive) and alive[row]):
            rows[n], found[n] = row, keys[place]
            n += 1
    return n


@kernel
def _best_keys(
    n: int,
    decayed: F64 | I64,
    decayed_ts: I64,
    column: int,
    per_day: float,
    masked: bool,
    alive: Bools,
    rows: I32,
    keys: F64,
) -> int:
    """The items with the largest keys, in order; how many, at most ``len(rows)``."""
    count = 0
    for row in range(min(n, len(alive)) if masked else n):
        if decayed[row, column] > 0.0 and (not masked or alive[row]):
            count = offer(rows, keys, count, row, _key(row, decayed, decayed_ts, column, per_day))
    in_order(rows, keys, count)
    return count


@kernel
def _move(
    touched: I32, decayed: F64 | I64, decayed_ts: I64, column: int, per_day: float, rows: I32, keys: F64, count: int
) -> int:
    """Put every touched item to its place among the ``count`` kept ones; how many there are then."""
    for row in touched:
        at = 0
        while at < count and rows[at] != row:
            at += 1
        if at < count:
            rows[at : count - 1] = rows[at + 1 : count]
            keys[at : count - 1] = keys[at + 1 : count]
            count -= 1
        if not decayed[row, column] > 0.0:
            continue
        key = _key(int(row), decayed, decayed_ts, column, per_day)
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if keys[middle] > key or (keys[middle] == key and rows[middle] < row):
                low = middle + 1
            else:
                high = middle
        for place in range(count, low, -1):
            rows[place], keys[place] = rows[place - 1], keys[place - 1]
        rows[low], keys[low] = row, key
        count += 1
    return count
