"""``Reach``: where one history leads to, through pairs and EASE; what retrieval of it and its features are made of."""

from __future__ import annotations

import numpy as np

from palate.features.neighbours import CHANNELS, NO_EASE, Neighbours, accumulate, clear, taken
from palate.profile import Subject
from palate.state import State
from palate.types import F64, I32

_ROOM = 4096


class Reach:
    """Scratch memory for one history at a time: 4 bytes an item, and 108 an item reached. Under the engine's lock.

    After ``follow``: ``rows`` (m,) the distinct items reached, ``strengths`` (m, 13) as in ``neighbours``; views that
    are good until the next call.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._mark: I32 = np.zeros(0, np.int32)
        self._rows: I32 = np.zeros(_ROOM, np.int32)
        self._strengths: F64 = np.zeros((_ROOM, CHANNELS), np.float64)
        self._n = 0

    def follow(self, subject: Subject, ease: Neighbours = NO_EASE) -> None:
        """Find what the history of ``subject`` reaches. Cost: O(history × neighbours)."""
        state, pairs = self.state, self.state.pairs
        clear(self._rows, self._n, self._strengths, self._mark)
        if len(self._mark) < state.n_items:
            self._mark = np.zeros(max(state.n_items, 2 * len(self._mark), 256), np.int32)
        while True:
            self._n = accumulate(
                subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
                pairs.cap, state.item_columns["count"], *ease, subject.session,
                self._rows, self._strengths, self._mark,
            )  # fmt: skip
            if self._n >= 0:
                return
            self._rows = np.zeros(2 * len(self._rows), np.int32)
            self._strengths = np.zeros((len(self._rows), CHANNELS), np.float64)

    @property
    def rows(self) -> I32:
        return self._rows[: self._n]

    @property
    def strengths(self) -> F64:
        return self._strengths[: self._n]

    def of(self, rows: I32) -> F64:
        """(m, 13) strengths of any ``rows``, zeros where they weren't reached."""
        return taken(rows, self._strengths, self._mark)
