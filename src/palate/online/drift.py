"""Whether a stream of numbers in [0, 1] has changed its mean: ADWIN2 (Bifet and Gavaldà 2007).

A window that grows while its parts look alike and drops the older one once they don't: for a split into n₀ older and
n₁ newer values, m = 1 / (1/n₀ + 1/n₁), means further apart than √(2 σ² ln(2/δ') / m) + 2 ln(2/δ') / (3 m) with
δ' = δ / ln n (their equation 3.1, σ² of the whole window). O(log n) memory, as an exponential histogram: at most five
buckets of each size 2ⁱ. Looked at every 32 values. Without a change the paper bounds a false cut by δ a look;
``tests/online/test_drift.py`` says what is seen.
"""

from __future__ import annotations

import math
from typing import Any

_MOST = 5
_LEAST = 32
_EVERY = 32


class Adwin:
    """The window. ``width`` values of mean ``mean`` are in it."""

    def __init__(self, delta: float = 0.002) -> None:
        self._delta = delta
        self._rows: list[list[tuple[float, float]]] = [[]]  # row i: buckets of 2ⁱ values, oldest first: sum, Σ(x − x̄)²
        self.width = 0
        self._total = 0.0
        self._spread = 0.0  # Σ(x − x̄)² over the window
        self._seen = 0

    @property
    def mean(self) -> float:
        """Of the window; 0 while it is empty."""
        return self._total / self.width if self.width else 0.0

    def add(self, value: float) -> int:
        """Take a value. 1 where the mean has risen, −1 where it has fallen, 0 else; O(log n) amortised."""
        self._insert(min(1.0, max(0.0, value)))
        self._seen += 1
        if self._seen % _EVERY or self.width < 2 * _LEAST:
            return 0
        return self._shrink()

    def state(self) -> dict[str, Any]:
        """JSON-compatible; exact."""
        return {
            "rows": self._rows, "width": self.width, "total": self._total, "spread": self._spread, "seen": self._seen,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Back from ``state``. Errors: ``KeyError``, ``TypeError``, ``ValueError``."""
        self._rows = [[(float(total), float(spread)) for total, spread in row] for row in state["rows"]] or [[]]
        self.width, self._seen = int(state["width"]), int(state["seen"])
        self._total, self._spread = float(state["total"]), float(state["spread"])

    def _insert(self, value: float) -> None:
        if self.width:
            off = value - self.mean
            self._spread += off * off * self.width / (self.width + 1)
        self.width += 1
        self._total += value
        self._rows[0].append((value, 0.0))
        for level in range(len(self._rows)):
            row = self._rows[level]
            if len(row) <= _MOST:
                break
            (a, va), (b, vb) = row[0], row[1]
            del row[:2]
            size = 1 << level
            merged = (a + b, va + vb + (a - b) ** 2 / (2 * size))
            if level + 1 == len(self._rows):
                self._rows.append([])
            self._rows[level + 1].append(merged)

    def _shrink(self) -> int:
        found = 0
        while (way := self._cut()) != 0:
            found = way
            self._drop()
        return found

    def _cut(self) -> int:
        """The way in which the newer part of some split differs from the older one, 0 for none."""
        variance = self._spread / self.width
        bound = math.log(2 * math.log(self.width) / self._delta)
        older, count = 0.0, 0
        for level in range(len(self._rows) - 1, -1, -1):
            for total, _ in self._rows[level]:
                older += total
                count += 1 << level
                newer = self.width - count
                if newer < _LEAST:
                    return 0
                if count < _LEAST:
                    continue
                m = 1.0 / (1.0 / count + 1.0 / newer)
                off = (self._total - older) / newer - older / count
                if abs(off) > math.sqrt(2.0 / m * variance * bound) + 2.0 / (3.0 * m) * bound:
                    return 1 if off > 0 else -1
        return 0

    def _drop(self) -> None:
        """The oldest bucket goes."""
        level = len(self._rows) - 1
        while not self._rows[level]:
            self._rows.pop()
            level -= 1
        total, spread = self._rows[level].pop(0)
        size, whole, n = 1 << level, self.mean, self.width
        self.width -= size
        self._total -= total
        off = total / size - whole
        # Σ(x − x̄)² of the rest: less the bucket's own, and what its mean was off
        self._spread = max(0.0, self._spread - spread - off * off * size * n / max(1, self.width))
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()
