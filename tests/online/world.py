"""Rankings whose truth is known: people take up what the score and, it may be, a feature speak for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from palate.config import Settings
from palate.features import NAMES
from palate.online.learner import Learner
from palate.online.lists import Lists, Shown
from palate.settings_online import OnlineSettings
from palate.store.decision import Decision, pack
from palate.store.decision import Shown as Logged
from palate.train.replay import feature_key
from palate.types import F64, Interaction

FEATURES = ("pop_short", "taste_long")
COLUMNS = np.array([NAMES.index(name) for name in FEATURES])
K = 8
MINUTE = 60_000
START = 1_700_000_000_000


def settings(**online: object) -> Settings:
    given = {"correct": "auto", "features": FEATURES, "half_life": 2_000.0, "judged": 500, **online}
    return Settings(online=OnlineSettings(**given))  # pyright: ignore[reportArgumentType]


def decision(
    number: int, scores: F64, x: F64, user: str = "u", model: str = "v0001", online: list[float] | None = None
) -> Decision:
    """Ranking ``rN``, a minute after the one before, of items ``iN-0`` on; x: (k, 2) the features."""
    rows = np.zeros((len(scores), len(NAMES)), np.float32)
    rows[:, COLUMNS] = x
    ids = [f"i{number}-{place}" for place in range(len(scores))]
    shown = Logged(ids, scores.tolist(), list(range(1, len(ids) + 1)), [1.0] * len(ids), [False] * len(ids), pack(rows))
    return Decision(
        ranking=f"r{number}", timestamp=START + number * MINUTE, as_of=0, subject=user, model=model,
        features=feature_key(), shown=shown, online=online or [],
    )  # fmt: skip


def did(number: int, place: int, user: str = "u", kind: str = "click", **more: object) -> Interaction:
    return Interaction(item=f"i{number}-{place}", user=user, type=kind, ranking=f"r{number}", **more)  # pyright: ignore[reportArgumentType]


class World:
    """Plays rankings through ``Lists`` into a ``Learner``. ``truth``: what a standard deviation of each feature adds in
    log odds, beside 1 for one of the score, −2 for everything and −0.3 a logarithm of the place."""

    def __init__(self, seed: int, **online: object) -> None:
        self.settings = settings(**online)
        self.learner = Learner("v0001", COLUMNS, self.settings.online)
        self.lists = Lists(self.settings, COLUMNS, feature_key(), self.learner.learn, self._settled)
        self.alarms: list[int] = []
        self.settled: list[Shown] = []
        self._rng = np.random.default_rng(seed)
        self._number = 0

    def _settled(self, shown: Shown) -> None:
        self.settled.append(shown)
        if self.learner.settled(shown):
            self.alarms.append(self._number)

    def play(self, rankings: int, truth: tuple[float, float], base: float = -2.0) -> Iterator[int]:
        """Rank, and answer, so many times; gives the number of each."""
        for _ in range(rankings):
            self._number += 1
            scores = np.sort(self._rng.normal(size=K))[::-1].copy()
            x = self._rng.normal(size=(K, 2))
            odds = base + scores + x @ np.array(truth) - 0.3 * np.log(np.arange(1, K + 1))
            self.lists.decision(decision(self._number, scores, x))
            for place in np.flatnonzero(self._rng.random(K) < 1 / (1 + np.exp(-odds))).tolist():
                self.lists.event(did(self._number, place), "u")
            yield self._number
