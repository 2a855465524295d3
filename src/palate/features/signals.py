"""What a model learnt beyond its neighbours, and what other people say of one person: columns and candidates of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palate.features.crowd import Crowd
from palate.features.declared import column
from palate.features.lifts import SegmentLifts
from palate.features.placed import Placed
from palate.profile import Subject
from palate.types import F32, I32

_SEGMENT = column("pop_segment")
_VOTES = column("user_knn")


@dataclass(slots=True)
class Signals:
    """Of one person at one moment. lifts, and the ``places`` of the person's segments among them; crowd: having
    followed the person; towers: having followed the catalogue."""

    lifts: SegmentLifts
    places: list[int]
    crowd: Crowd
    towers: Sequence[Placed] = ()

    def fill(self, subject: Subject, rows: I32, now: int, x: F32) -> None:
        """Its columns of the matrix ``x`` (m, f) of candidate ``rows`` (m,). O(m)."""
        lift = self.lifts.lift(self.places, rows)
        if lift is not None:
            x[:, _SEGMENT] = lift
        self.crowd.fill(rows, x[:, _VOTES])
        for placed in self.towers:
            placed.fill(subject, rows, now, x[:, column(placed.column)])

    def scored(self) -> dict[str, tuple[I32, F32]]:
        """Rows that it names, and their worth, by who names them."""
        voted = self.crowd.rows
        return {"segment": self.lifts.best(self.places), "people": (voted, self.crowd.of(voted).astype(np.float32))}
