"""What people wrote of items, as features: how good it is, of late, and on what this person writes about.

Nothing is computed where no text has said anything of any item.
"""

from __future__ import annotations

import numpy as np

from palate.state import State
from palate.state.opinions import UNIT, recent
from palate.types import F32, I32

TEXTS = 3
"""Texts from which on what they say of an item is said to others."""
MENTIONS = 2
_PRIOR = 5.0
"""Texts that everybody's mean counts for."""
_PRIOR_LATELY = 3.0
_PRIOR_ASPECT = 2.0


def fill(state: State, user: int, rows: I32, now: int, out: F32) -> None:
    """said, said_lately, said_own into ``out`` (m, 3), zeros, of candidate ``rows`` (m,) for user row ``user`` (−1:
    nobody) at ``now`` (ms). O(m), and for who wrote something O(m · aspects).

    The first two are means of sentiments, shrunk to the mean of all texts, less that mean. The third is what others
    say of the aspects that this person writes about: Σ their share of the person's mentions · (good − bad) / (all + 2)
    of the item's, after the explicit factors of Zhang et al. (2014).
    """
    said = state.said_of
    places = said.places(rows)
    told = np.flatnonzero(places >= 0)
    if not len(told) or not said.texts:
        return
    at, c = places[told], said.columns
    mean = said.total / UNIT / said.texts
    texts = c["texts"][at]
    out[told, 0] = (c["sum"][at] / UNIT + _PRIOR * mean) / (texts + _PRIOR) - mean
    lately = recent(c, at, state.silences.live(now), said.half_life)
    out[told, 1] = (lately[:, 1] + _PRIOR_LATELY * mean) / (lately[:, 0] + _PRIOR_LATELY) - mean
    mine = state.said_by.of(user)
    if mine is not None:
        cares = (mine.good + mine.bad).astype(np.float64)
        good, bad = c["good"][at].astype(np.float64), c["bad"][at]
        out[told, 2] = (good - bad) / (good + bad + _PRIOR_ASPECT) @ (cares / (cares.sum() + _PRIOR_ASPECT))


def praised(state: State, row: int) -> list[int]:
    """Aspects of item ``row`` that at least ``MENTIONS`` texts and four of five speak well of, the most mentioned
    first; empty where fewer than ``TEXTS`` texts say anything."""
    found = state.said_of.of(row)
    if found is None or found.texts < TEXTS:
        return []
    good, bad = found.good.tolist(), found.bad.tolist()
    places = [n for n in range(len(good)) if good[n] >= MENTIONS and good[n] >= 4 * bad[n]]
    return sorted(places, key=lambda n: (-good[n], n))


def good(state: State, row: int) -> bool:
    """Whether ``TEXTS`` texts or more say of item ``row`` more good than bad."""
    found = state.said_of.of(row)
    return found is not None and found.texts >= TEXTS and found.mean > 0
