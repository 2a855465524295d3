"""What an off-policy judgement found; the same struct in Python and as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

from palate.evaluate.bootstrap import Estimate


class Remark(msgspec.Struct, frozen=True):
    """Why a judgement can't tell, or what to know about it: a word for programs, a sentence, and what it depends on."""

    code: str
    text: str


class Overlap(msgspec.Struct, frozen=True):
    """How much of the log speaks for the configuration.

    effective: rankings' worth of evidence, (Σw)² / Σw² of every place, averaged by the rewards logged there. share: of
    the rankings judged on. rewarded: the same of Σₖ w r. mean_weights: one a place; about 1 where the log covers what
    the configuration would show. clip: weights above it were cut; clipped: how many. largest: the largest weight.
    """

    effective: float
    share: float
    rewarded: float
    mean_weights: list[float]
    clip: float | None
    clipped: int
    largest: float


class Judgement(msgspec.Struct, frozen=True):
    """verdict: ``judged``, or ``can't tell`` with the reasons; then estimates are given where they exist, and must not
    be believed. variant: what of a ranking was judged. reward: what counts; window_minutes: for how long; depth: of so
    many places. decisions: in the log. judged_on: rankings; people: theirs; rewarded: with any reward. skipped:
    decisions by reason. logged: what a ranking brought as it was. estimates: what it would bring, by ips, snips, dm,
    dr, dros, with 95 % intervals over people. bernstein: half widths that hold for any distribution, of ips and dr.
    lift: dr − logged, on the same rankings. shrinkage: λ of dros. notes: what was not judged.
    """

    verdict: Literal["judged", "can't tell"]
    reasons: list[Remark]
    variant: str
    model: str
    reward: str
    window_minutes: float
    depth: int
    decisions: int
    judged_on: int = 0
    people: int = 0
    rewarded: int = 0
    skipped: dict[str, int] = {}
    logged: Estimate = Estimate(None)
    estimates: dict[str, Estimate] = {}
    bernstein: dict[str, float] = {}
    lift: Estimate = Estimate(None)
    shrinkage: float | None = None
    overlap: Overlap | None = None
    notes: list[Remark] = []
    seconds: float = 0.0
