"""What a configuration would really earn on the rankings that another one logged: the truth for off-policy estimates.

A play of an engine (or a service) leaves decisions in its directory. Each names person, moment and candidates, so that
the world knows what any slate of them is worth; clicks may also be drawn again, as often as wanted, for how often an
interval covers the truth. Where people tire (``repeat`` below 1) what is worth what depends on the past, and this is
refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from palate.config import Settings
from palate.errors import InvalidInput
from palate.evaluate.logged import Case, cases, keys_of, read_outcomes
from palate.evaluate.replay import Target
from palate.store import open_decisions, open_store
from palate.types import F64, I64
from palate.world.rankers import Numbers
from palate.world.truth import World

_WINDOW_MS = 3_600_000


@dataclass(frozen=True)
class Contexts:
    """Logged rankings, n of them, drawn whole. cases: as off-policy estimates take them; attraction: of each, (m,) α of
    its candidates, in their order; people: (n,)."""

    world: World
    cases: Sequence[Case]
    attraction: Sequence[F64]
    people: I64

    def truth(self, target: Target, draws: int = 100, seed: int = 1) -> F64:
        """(n,) clicks expected of each ranking if ``target`` ranked it: exactly for each slate, averaged over
        ``draws`` slates of its policy. Cost: some 30 µs a slate."""
        rng = np.random.default_rng([seed, 8])
        found = np.zeros(len(self.cases))
        for at, (case, scores, alpha) in enumerate(
            zip(self.cases, target.scores(list(self.cases)), self.attraction, strict=True)
        ):
            policy, k = target.policy(case.kind, case), len(case.order)
            drawn = [self.world.worth(alpha[policy.choose(scores, k, rng).order]) for _ in range(draws)]
            found[at] = np.mean(drawn)
        return found

    def again(self, logging: Target, which: I64, seed: int) -> list[Case]:
        """The rankings ``which``, drawn anew by ``logging``, with new clicks: another log of the same contexts."""
        rng = np.random.default_rng([seed, 9])
        places: list[int] = which.tolist()
        chosen = [self.cases[at] for at in places]
        found: list[Case] = []
        for case, scores, at in zip(chosen, logging.scores(chosen), places, strict=True):
            slate = logging.policy(case.kind, case).choose(scores, len(case.order), rng)
            alpha = self.attraction[at][slate.order] * self.world.examination[: len(slate.order)]
            clicks = (rng.random(len(alpha)) < alpha).astype(np.float64)
            found.append(replace(case, order=slate.order, logged=slate.propensity, rewards=clicks))
        return found


def contexts_of(directory: Path, settings: Settings, world: World) -> Contexts:
    """The logged decisions of a directory in which ``world`` was played. settings: that it was played with.

    Only decisions that were drawn whole and kept all candidates are taken (``decisions.sample`` = 1).
    Errors: ``InvalidInput`` where there are none, or the world's people tire of what they had.
    """
    if world.settings.repeat < 1.0:
        raise InvalidInput("What a ranking is worth depends on the past in this world: play one whose repeat is 1.")
    log = open_decisions(directory / "decisions", settings.decisions, read_only=True)
    store = open_store(directory / "events.db", read_only=True)
    try:
        outcomes = read_outcomes(store, settings, "click", _WINDOW_MS)
        numbers, keys = Numbers(world), keys_of(settings, settings)
        found: list[Case] = []
        alphas: list[F64] = []
        people: list[int] = []
        for decision in log.read():
            for case in cases([decision], outcomes, "cascade", keys, Counter()):
                ids = [*decision.shown.ids, *(decision.unshown.ids if decision.unshown else [])]
                person = numbers.of(decision.subject or "")
                items = np.array([numbers.of(name) for name in ids], np.int64)[None, :]
                found.append(case)
                people.append(person)
                alphas.append(world.attraction(np.array([person]), items, np.array([decision.timestamp]))[0])
    finally:
        store.close()
        log.close()
    if not found:
        raise InvalidInput(
            f"{directory} holds no decision that was drawn whole and kept all its candidates: play it with "
            "policy.rank = 'plackett_luce' and decisions.sample = 1."
        )
    return Contexts(world, found, alphas, np.array(people, np.int64))
