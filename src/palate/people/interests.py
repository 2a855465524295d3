"""Interest tags: what a history says of each tag, how long that lasts, and where it is going.

A tag's weight decays in live time (days) with a half-life of its own: twice the mean gap between the occasions on which
the person came back to it, kept between the short and the long half-life of the settings; a tag met once has the short
one. An interest that is renewed every three weeks is not forgotten after a week of silence, one that was a fancy of a
day is. The trend compares a tag's share at the short with that at the long half-life.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from palate.types import F64, I32, I64

RISING = 1.5
"""Odds of the short-term share over the long-term ones from which a tag rises; below the inverse it falls."""
EVIDENCE = 3
"""Entries that a trend needs."""


Trend = Literal["rising", "falling", "steady"]


class Interests(NamedTuple):
    """For each tag with a positive entry, (t,), heaviest first: code; weight, shares that sum to 1; half_life in days;
    short, long: shares at the short and long half-life; evidence: how many entries; since, last: ms, first and newest.
    """

    code: I32
    weight: F64
    half_life: F64
    short: F64
    long: F64
    evidence: I64
    since: I64
    last: I64

    def trend(self, place: int) -> Trend:
        """``rising``, ``falling`` or ``steady``; also steady with fewer than ``EVIDENCE`` entries."""
        if self.evidence[place] < EVIDENCE:
            return "steady"
        ratio = _odds(self.short[place]) / _odds(self.long[place])
        return "rising" if ratio >= RISING else "falling" if ratio <= 1 / RISING else "steady"


def _odds(share: float) -> float:
    return (share + 1e-6) / (1 - share + 1e-6)


def interests(items: I32, weights: F64, ts: I64, days: F64, tags: I32, short: float, long: float) -> Interests:
    """What a history (h,), newest first, says of tags. days: age of every entry in live days; tags: (n, w) codes of
    items, −1 none; short, long: half-lives in days. Cost: O(h w)."""
    liked = np.flatnonzero(weights > 0)
    mine = tags[items[liked]] if len(liked) else np.zeros((0, 1), np.int32)
    entry, place = np.nonzero(mine >= 0)
    code, of = np.unique(mine[entry, place], return_inverse=True)
    at = liked[entry]
    n = len(code)
    evidence = np.bincount(of, minlength=n)
    youngest, oldest = np.full(n, np.inf), np.zeros(n)
    np.minimum.at(youngest, of, days[at])
    np.maximum.at(oldest, of, days[at])
    since, last = np.full(n, np.iinfo(np.int64).max), np.zeros(n, np.int64)
    np.minimum.at(since, of, ts[at])
    np.maximum.at(last, of, ts[at])
    gap = (oldest - youngest) / np.maximum(1, evidence - 1)
    half_life = np.where(evidence > 1, np.clip(2 * gap, min(short, long), max(short, long)), short)
    found = [_shares(of, weights[at], days[at], lives, n) for lives in (half_life[of], short, long)]
    order = np.argsort(-found[0], kind="stable")
    return Interests(
        code[order].astype(np.int32), found[0][order], half_life[order], found[1][order], found[2][order],
        evidence[order].astype(np.int64), since[order], last[order],
    )  # fmt: skip


def _shares(of: I64, weights: F64, days: F64, half_life: F64 | float, n: int) -> F64:
    """(n,) decayed weight of each tag over their sum. Ages count from the newest, which leaves shares as they are and
    keeps those of somebody long away from vanishing."""
    age = days - (days.min() if len(days) else 0.0)
    total = np.bincount(of, weights * np.exp2(-age / half_life), n).astype(np.float64)
    whole = total.sum()
    return total / whole if whole > 0 else total
