"""The log's own time, in which long silences are short.

Whoever imports a history of years ago and then goes live has a log with a hole in it: nobody was recording. Measured
by the wall clock, the first live event would make all popularity of the past worth nothing and every visit ancient.
So a silence of more than ``LONG`` between interactions counts as ``SHORT`` wherever something decays or ages. Shorter
ones are people's own and count in full. Times that are shown, filtered or sorted by stay what they are.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from palate.kernels import kernel
from palate.types import I64

LONG = 30 * 86_400_000
"""Silence, in ms, from which the log is taken to have a hole."""
SHORT = 86_400_000
"""What such a silence counts as, in ms."""


@kernel
def since(ts: int, until: int, ends: I64, skipped: I64) -> int:
    """Live milliseconds from ``ts`` to the live time ``until``, at least 0. ends, skipped: of ``Silences.arrays``."""
    if len(ends):
        place = np.searchsorted(ends, ts, side="right")
        live = ts - skipped[place]
        if place < len(ends):
            live = min(live, ends[place] - skipped[place + 1])
        ts = live
    return max(0, until - ts)


@kernel
def _since(ts: I64, until: int, ends: I64, skipped: I64, out: I64) -> None:
    for place in range(len(ts)):
        out[place] = since(int(ts[place]), until, ends, skipped)


class Silences:
    """Where the log was silent. ``ends``: when it was heard again, ascending; ``skipped``: ms left out up to there."""

    def __init__(self) -> None:
        self.newest = 0
        self.ends: list[int] = []
        self.skipped: list[int] = []

    def heard(self, times: list[int]) -> list[int]:
        """Interactions happened at ``times`` (ms), in this order: their live times. A hole is noticed when it ends."""
        if times and self.newest and max(times) - self.newest <= LONG:
            before = self.skipped[-1] if self.ends else 0
            if not self.ends or min(times) >= self.ends[-1]:
                self.newest = max(self.newest, *times)
                return [ts - before for ts in times] if before else times
        return [self._heard(ts) for ts in times]

    def _heard(self, ts: int) -> int:
        if ts > self.newest:
            if self.newest and ts - self.newest > LONG:
                skipped = self.skipped[-1] if self.skipped else 0
                self.ends.append(ts)
                self.skipped.append(skipped + ts - self.newest - SHORT)
            self.newest = ts
        return self.live(ts)

    def live(self, ts: int) -> int:
        """Live time of ``ts`` (ms): what passed without the holes before it; the one since the newest event too."""
        if self.newest and ts - self.newest > LONG:
            ts = self.newest + SHORT
        if not self.ends:
            return ts
        place = bisect_right(self.ends, ts)
        before = self.skipped[place - 1] if place else 0
        if place < len(self.ends):  # a late event from inside the hole comes before its end
            return min(ts - before, self.ends[place] - self.skipped[place])
        return ts - before

    def since(self, ts: I64, now: int) -> I64:
        """Milliseconds of live time from every ``ts`` (n,) to ``now``, at least 0."""
        out = np.empty(len(ts), np.int64)
        _since(ts, *self.arrays(now), out)
        return out

    def arrays(self, now: int) -> tuple[int, I64, I64]:
        """For kernels: live time of ``now``, ends (n,), and skipped (n + 1,) with a leading 0."""
        return self.live(now), np.array(self.ends, np.int64), np.array([0, *self.skipped], np.int64)

    def array(self) -> I64:
        """(1 + 2 n,) newest, ends, skipped: for the snapshot."""
        return np.array([self.newest, *self.ends, *self.skipped], np.int64)

    def restore(self, array: I64) -> None:
        """The inverse of ``array``."""
        values: list[int] = array.tolist()
        n = (len(values) - 1) // 2
        self.newest, self.ends, self.skipped = values[0], values[1 : 1 + n], values[1 + n :]
