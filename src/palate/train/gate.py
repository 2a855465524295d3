"""For whom a language model's opinion on the order is worth asking, learnt from the decisions in which chance decided.

Where the rule let it be asked, it was with probability 1 − ``held``. A decision's gain is estimated by inverse
propensity (Horvitz and Thompson 1952): r / p where asked, −r / p where held, r being the decision's reward, the
discounted gain of what came of the shown items, about its mean. The gate asks about people with at most ``events``
events whose scores stand at most ``margin`` apart: of a few such thresholds those with the largest summed gain in every
second decision, judged in the others. A question that failed counts as asked: that is what asking is worth.

It changes the rule only where logs say so: with fewer than ``LEAST`` decisions in an arm the rule stands; where the
thresholds gain something beyond doubt (95 %) they hold; where asking everybody loses beyond doubt nobody is asked; else
the rule stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from palate.language.gate import ANYBODY, Gate
from palate.store.decision import Decision
from palate.types import F64, Bools

LEAST = 200
_EVENTS = (0, 1, 2, 3, 5, 10, 20, 50, ANYBODY)
_Z = 1.96


class Outcome(NamedTuple):
    """A logged decision in which chance decided. chance: of the arm that it was."""

    asked: bool
    chance: float
    events: int
    margin: float
    reward: float


def outcomes(live: Sequence[Decision], clicked: Mapping[str, Sequence[str]]) -> list[Outcome]:
    """Those of ``live`` in which a language model might have been asked. clicked: what came of a ranking, by its id."""
    found: list[Outcome] = []
    for one in live:
        log = one.reordered
        if log is not None and 0.0 < log.chance < 1.0:
            mine = set(clicked.get(one.ranking, ()))
            places = [place for item, place in zip(one.shown.ids, one.shown.positions, strict=True) if item in mine]
            reward = sum(1.0 / math.log2(place + 1) for place in places)
            found.append(Outcome(log.arm == "asked", log.chance, log.events, log.margin, reward))
    return found


def fit_gate(found: Sequence[Outcome], least: int = LEAST) -> Gate:
    """The gate that ``found`` speaks for; see the module. Cost: microseconds an outcome."""
    asked = np.array([one.asked for one in found], np.bool_)
    arms = int(asked.sum()), int((~asked).sum())
    if min(arms) < least:
        why = (
            f"a rule: {arms[0]} logged decisions in which it was asked and {arms[1]} in which chance held it out; "
            f"{least} of each are needed"
        )
        return Gate(why=why, asked=arms[0], held=arms[1])
    events = np.array([one.events for one in found])
    margin = np.array([one.margin for one in found])
    reward = np.array([one.reward for one in found])
    chance = np.array([one.chance for one in found])
    # About its mean a reward says the same of a difference, with less noise.
    gain: F64 = np.where(asked, 1.0, -1.0) * (reward - reward.mean()) / chance
    first: Bools = np.arange(len(found)) % 2 == 0
    best: tuple[float, int, float | None] = (-math.inf, ANYBODY, None)
    for most in reversed([one for one in _EVENTS if np.any(events <= one)]):
        for wide in (None, *np.quantile(margin, (0.75, 0.5, 0.25)).tolist()):
            total = float(gain[first & _inside(events, margin, most, wide)].sum())
            if total > best[0] + 1e-12:
                best = total, most, wide
    _, most, wide = best
    judged = _interval((gain * _inside(events, margin, most, wide))[~first])
    if judged[1] > 0.0:
        whom = "anybody" if most == ANYBODY else f"people with at most {most} events"
        narrow = "" if wide is None else f" whose scores stand at most {wide:.2f} deviations apart"
        return Gate(most, wide, "learnt", f"learnt: {whom}{narrow}", *arms, *judged)
    judged = _interval(gain)
    if judged[2] < 0.0:
        return Gate(-1, None, "shut", "shut: logs say that asking loses", *arms, *judged)
    why = "a rule: logs don't say beyond doubt what asking is worth"
    return Gate(ANYBODY, None, "rule", why, *arms, *judged)


def _inside(events: np.ndarray, margin: np.ndarray, most: int, wide: float | None) -> Bools:
    return (events <= most) & (margin <= (math.inf if wide is None else wide))


def _interval(values: F64) -> tuple[float, float, float]:
    """Mean and 95 % interval."""
    mean = float(values.mean())
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return round(mean, 6), round(mean - half, 6), round(mean + half, 6)
