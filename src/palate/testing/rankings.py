"""A world of rankings and clicks whose value under any policy is known: for tests of what judges policies on a log.

People come with candidates of random features; a logging policy draws a slate by their scores; they look from the top
and stop after a click with a certain chance (the cascade model; Craswell 2008), and click on what they look at as its
features deserve. What another policy earns in the same world is counted by letting it rank, as often as wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from palate.evaluate.logged import Case
from palate.features import NAMES
from palate.policy import Policy
from palate.types import F32, F64, I64

COLUMNS = tuple(NAMES.index(name) for name in ("pop_short", "taste_long", "next_1"))
"""What clicks depend on; the other features are 0."""


@dataclass(frozen=True)
class RankingWorld:
    """candidates of every request, places shown, by how much the features move clicks, how likely a click ends it."""

    candidates: int = 8
    places: int = 3
    pull: tuple[float, float, float] = (0.6, 0.8, 0.4)
    level: float = -2.0
    leave: float = 0.5

    def features(self, rng: np.random.Generator) -> F32:
        """(n, f) of one request's candidates."""
        x = np.zeros((self.candidates, len(NAMES)), np.float32)
        x[:, COLUMNS] = rng.random((self.candidates, len(COLUMNS))) * 2.0
        return x

    def deserves(self, x: F32) -> F64:
        """(n,) chance of a click on each when looked at; it isn't linear."""
        s = x[:, COLUMNS].astype(np.float64) @ np.array(self.pull) + self.level
        return 1.0 / (1.0 + np.exp(-s))

    def clicks(self, x: F32, order: I64, rng: np.random.Generator) -> F64:
        """(k,) 1 where there was a click."""
        found = np.zeros(len(order))
        for place, chance in enumerate(self.deserves(x)[order].tolist()):
            if rng.random() < chance:
                found[place] = 1.0
                if rng.random() < self.leave:
                    break
        return found

    def worth(self, x: F32, order: I64) -> float:
        """Clicks expected of a slate, exactly."""
        looked, total = 1.0, 0.0
        for chance in self.deserves(x)[order].tolist():
            total += looked * chance
            looked *= 1.0 - self.leave * chance
        return total

    def value(self, policy: Policy, score: Callable[[F32], F64], rankings: int, seed: int) -> float:
        """Clicks a ranking under ``policy`` with ``score`` (x to scores), averaged over ``rankings`` requests."""
        rng = np.random.default_rng(seed)
        total = 0.0
        for _ in range(rankings):
            x = self.features(rng)
            total += self.worth(x, policy.choose(score(x), self.places, rng).order)
        return total / rankings

    def log(
        self, policy: Policy, score: Callable[[F32], F64], rankings: int, seed: int, people: int = 0
    ) -> Iterator[Case]:
        """Logged decisions of ``policy``, of ``people`` persons, or of somebody else each time."""
        rng = np.random.default_rng(seed)
        for number in range(rankings):
            x = self.features(rng)
            slate = policy.choose(score(x), self.places, rng)
            who = int(rng.integers(people)) if people else number
            clicks = self.clicks(x, slate.order, rng)
            yield Case(
                f"{seed:08x}{number:024x}", f"u{who}", "recommend", False, {}, x, slate.order, slate.propensity, clicks
            )
