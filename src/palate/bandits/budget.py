"""How much may be explored, and what is owed to new items.

Slots of exploration have two bounds a day (UTC, event time): a share of the places shown so far, and a number, which
becomes available evenly over the day. Both hold at every moment, restarts included: a process that begins at noon has
half of the day's number. Several processes have equal parts of it.
"""

from __future__ import annotations

import numpy as np

from palate.settings_policy import PolicySettings
from palate.state import State
from palate.types import F64, I32, I64

DAY_MS = 86_400_000
LANE = 20
"""New items that a request may have among its candidates beside those that were retrieved."""
_LOOK = 64
"""Requests until new items are looked for again where none came."""
_FIT = 2.0
"""The best-scored of those owed is so many times e likelier to be drawn than the worst."""


class Budget:
    """What slots may take. processes: how many share ``explore_day``."""

    def __init__(self, settings: PolicySettings, processes: int = 1) -> None:
        self._share = settings.explore_share
        self._number = settings.explore_day / processes if settings.explore_day else None
        self._day: int = -1
        self._begun = 0.0
        self._latest = 0
        self.shown = self.spent = 0
        """Places shown, and slots of exploration, in the day of the latest request."""

    def may(self, now: int, places: int) -> bool:
        """Whether a slate of ``places`` at event time ``now`` (ms) may have a slot of exploration."""
        self._turn(now)
        # A share of float arithmetic must not cost a slot that the exact one would give: 0.1 · 30 is 3.
        within = self.spent + 1 <= self._share * (self.shown + places) + 1e-9
        if self._number is None:
            return within
        return within and self.spent + 1 <= self._number * (self._elapsed() - self._begun) + 1e-9

    def note(self, now: int, places: int, slots: int) -> None:
        """A slate was shown."""
        self._turn(now)
        self.shown += places
        self.spent += slots

    def _elapsed(self) -> float:
        return (self._latest % DAY_MS) / DAY_MS

    def _turn(self, now: int) -> None:
        first = self._day < 0
        self._latest = max(self._latest, now)  # time that goes back neither gives anything nor begins a day again
        day = self._latest // DAY_MS
        if day != self._day:
            self._day, self.shown, self.spent = day, 0, 0
            self._begun = self._elapsed() if first else 0.0


class Floor:
    """Who is owed impressions: items that came within ``new_days`` and were shown less than ``new_floor`` times.

    Shown is what impressions of the log say, or what this process placed, whichever is more. Under the engine's lock.
    """

    def __init__(self, settings: PolicySettings) -> None:
        self._least, self._period = settings.new_floor, int(settings.new_days * DAY_MS)
        self._state: State | None = None
        self._seen = (-1, 0)
        self._asked = 0
        self._rows: I32 = np.zeros(0, np.int32)
        self._placed: I64 = np.zeros(0, np.int64)

    def lane(self, state: State, now: int) -> I32:
        """At most ``LANE`` rows that are owed the most at event time ``now``."""
        self._look(state, now)
        if not len(self._rows):
            return self._rows
        deficit = self._deficit(state, now)
        first = np.argsort(-deficit, kind="stable")[:LANE]
        return self._rows[first[deficit[first] > 0]]

    def weights(self, rows: I32, scores: F64, state: State, now: int) -> F64:
        """(n,) how much the candidates ``rows`` count in the slot's draw: what each is owed, the more the better it
        suits by its score; 0 for those that are owed nothing."""
        found = np.zeros(len(rows))
        if not len(self._rows):
            return found
        at = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
        mine = np.flatnonzero((self._rows[at] == rows) & np.isfinite(scores))
        owed = self._deficit(state, now)[at[mine]]
        mine, owed = mine[owed > 0], owed[owed > 0]
        if len(mine):
            half = scores[mine] * 0.5
            spread = float(half.max() - half.min())
            fit = (half - half.min()) / spread if spread > 0.0 else np.zeros(len(mine))
            found[mine] = owed * np.exp(_FIT * fit)
        return found

    def note(self, rows: I32) -> None:
        """Items ``rows`` were placed on a slate, each once."""
        if len(self._rows):
            at = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            self._placed[at[self._rows[at] == rows]] += 1

    def _deficit(self, state: State, now: int) -> I64:
        created = state.item_columns["created"][self._rows]
        shown = np.maximum(state.item_columns["shown"][self._rows], self._placed)
        owed = np.maximum(0, self._least - shown)
        owed[(created <= now - self._period) | ~state.item_columns["alive"][self._rows]] = 0
        return owed

    def _look(self, state: State, now: int) -> None:
        self._asked += 1
        if state is self._state and state.n_items == self._seen[0] and self._asked - self._seen[1] < _LOOK:
            return
        created = state.item("created")
        rows = np.flatnonzero((created > now - self._period) & (state.item("shown") < self._least)).astype(np.int32)
        placed = np.zeros(len(rows), np.int64)
        if state is self._state and len(self._rows):  # rows of another state mean others
            at = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            known = self._rows[at] == rows
            placed[known] = self._placed[at[known]]
        self._rows, self._placed, self._state = rows, placed, state
        self._seen = state.n_items, self._asked
