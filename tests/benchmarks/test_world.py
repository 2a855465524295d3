"""The ideal learner of ``benchmarks.world``: told when tastes change, it forgets then, and only of whom they change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.world import Ideal
from palate.types import Event
from palate.world import World, WorldSettings, play
from palate.world.rankers import Shown, Visit


class Watched(Ideal):
    """Keeps what it believed when it was told."""

    before: np.ndarray | None = None
    after: np.ndarray | None = None

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        told, believed = self._when is not None, self._belief.copy()
        shown = super().rank(visit, news)
        if told and self._when is None:
            self.before, self.after = believed, self._belief.copy()
            self.person = visit.person
        return shown


def test_told_when_it_forgets_at_the_shift_of_those_who_change_alone() -> None:
    world = World(WorldSettings(visits=600, people=12, seed=3))
    ranker = Watched(world, when=True)
    play(world, ranker)
    assert ranker.before is not None
    assert ranker.after is not None
    others = ~world.shifted
    others[ranker.person] = False  # who has just come is learnt of
    assert world.shifted.any()
    assert others.any()
    assert np.allclose(ranker.after[world.shifted], 1.0 / ranker.after.shape[1])
    np.testing.assert_array_equal(ranker.after[others], ranker.before[others])
    assert ranker.before[others].max() > 5.0 / ranker.before.shape[1], "it had learnt something"
