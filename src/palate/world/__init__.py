"""A simulated platform whose truth is known: to play rankers in, and to hold what they learn and estimate against it.

``WorldSettings`` says what it is made of, ``World`` is its truth, ``play`` plays a ``Ranker`` in it and returns a
``Played``, of which ``measure.measured`` makes regret, adaptation and exposure with intervals. Serving never imports
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from palate.types import Event
from palate.world.play import Play, Played, play
from palate.world.rankers import InProcess, Popular, Reference, Shown, Visit, at_random, best_possible
from palate.world.settings import WorldSettings
from palate.world.truth import World

__all__ = [
    "InProcess",
    "Play",
    "Played",
    "Popular",
    "Ranker",
    "Reference",
    "Shown",
    "Visit",
    "World",
    "WorldSettings",
    "at_random",
    "best_possible",
    "play",
]


class Ranker(Protocol):
    """What can be played: it hears what happened, and ranks."""

    name: str

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        """Learn from ``news``, all events since the visit before in the order in which they are reported (people and
        items when they come, impressions, clicks, purchases, ratings, hidings), then answer ``visit``: at most
        ``visit.k`` of its candidates, each once."""
        ...

    def end(self, news: Sequence[Event]) -> None:
        """What happened after the last visit."""
        ...
