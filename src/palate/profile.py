"""``Subject``: one person as ranking sees them, derived from history and item vectors at the moment of asking.

Nothing here is stored: tastes are functions of the state and the vectors, so that they can never disagree with it.
Cost: about 60 µs for 60 history entries of 512-d vectors; the engine keeps recent ones in a bounded cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from palate.config import Settings
from palate.state import State
from palate.state.seen import SESSION_MS, own_gaps, seen_of
from palate.tastes import DISLIKED, INTERESTS, SHORT, recall, tag_shares, totals_of
from palate.tastes import tastes as tastes_of
from palate.types import F32, F64, I32, I64, Bools

Ratings = tuple[int, float, float]
"""How many ratings, their sum, and that of their squares."""
_NO_RATING = (-1, 0.0, 1.0)
_NO_MORE: Ratings = (0, 0.0, 0.0)
_NO_ROWS: I32 = np.zeros(0, np.int32)
_NO_PLACES: I64 = np.zeros(0, np.int64)
_NO_TAGS: F32 = np.zeros(0, np.float32)


@dataclass(slots=True)
class Subject:
    """items, ts, weights: (h,) newest first; weights signed, about 1 for a plain view.

    tastes: (q, d) unit rows: long-term, short-term, then up to three interests; ``interest_of`` (h,) int64 names the
    interest of every entry, −1 for none. last: (≤5,) text rows of the newest liked entries, at history places
    ``last_at``; disliked: (≤10,) text rows. tags_long, tags_short: (n_tags,) shares that sum to 1, or empty.
    session: how many entries lie within half an hour before the newest, that one included.
    seen…: (s,) items had, how often, when last, when last hidden; ``seen_at``: the hash table of their places;
    gaps, gaps_sum: (s,) how many gaps lie between the times of each in the history, and their sum (``seen.gap_of``).
    """

    row: int
    items: I32
    ts: I64
    kinds: I32
    weights: F64
    count: int
    repeats: float
    tastes: F32
    interest_of: I64
    last: I32
    last_at: I64
    disliked: I32
    tags_long: F32
    tags_short: F32
    seen_at: I32
    seen: I32
    seen_count: I32
    seen_last: I64
    seen_neg: I64
    gaps: I32
    gaps_sum: I64
    seen_total: int = 0
    session: int = 0
    extra: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def cold(self) -> bool:
        """No interaction known."""
        return self.count == 0


def weight_table(settings: Settings, names: list[str]) -> F64:
    """(n,) weight of each interaction type."""
    return np.array([settings.weight(name) for name in names] or [1.0], np.float64)


def _rating(state: State, user: int, more: Ratings = _NO_MORE) -> tuple[int, float, float]:
    """The code of ratings, the user's mean shrunk to everybody's by five ratings, everybody's standard deviation.

    more: ratings of the user's that count beside those of the state (below 0: that don't)."""
    code = state.types.get("rating")
    if code < 0 or user < 0 or user >= len(state.user_columns["ratings"]):
        return _NO_RATING
    n, total, squares = state.totals[3:6].tolist()
    n, total, squares = n + more[0], total + more[1], squares + more[2]
    if n <= 1:
        return _NO_RATING
    mean = total / n
    spread = max(1e-6, max(0.0, squares / n - mean * mean) ** 0.5)
    own = float(state.user_columns["rating_sum"][user]) + more[1]
    return code, (own + 5 * mean) / (int(state.user_columns["ratings"][user]) + more[0] + 5), spread


def subject_of_row(state: State, user: int, vectors: F32, text_of: I32, tags: I32, n_tags: int, table: F64) -> Subject:
    """The subject of user row ``user`` (−1: nobody). vectors (t, d), text_of (n,), tags (n, w) as in ``ItemSide``;
    table: ``weight_table`` of the state's types."""
    history, wide = state.history, state.wide
    start, stop = history.span(user)
    h = stop - start
    items, kinds = np.empty(h, np.int32), np.empty(h, np.int32)
    ts, weights = np.empty(h, np.int64), np.empty(h, np.float64)
    recall(
        history.keys, history.columns["word"], start, wide.keys, wide.columns["value"], wide.span(user)[0], table,
        *_rating(state, user), items, ts, kinds, weights,
    )  # fmt: skip
    known = user >= 0 and user < len(state.user_columns["count"])
    count = int(state.user_columns["count"][user]) if known else 0
    left = seen_of(state.seen, user, items, ts, kinds, table)
    return _made(user, items, ts, kinds, weights, count, left, vectors, text_of, tags, n_tags, table)


@dataclass(slots=True)
class Past:
    """A history in full, newest first, each (h,), values NaN where none; count: interactions in all; ratings: those
    that it has beside the state's."""

    items: I32
    ts: I64
    kinds: I32
    values: F32
    count: int
    ratings: Ratings = _NO_MORE

    def without(self, gone: Bools, rating: int) -> Past:
        """The history without the entries ``gone`` (h,). rating: the type's code."""
        told = gone & (self.kinds == rating) & ~np.isnan(self.values)
        kept, lost = ~gone, self.values[told].astype(np.float64)
        n, total, squares = self.ratings
        ratings = n - len(lost), total - float(lost.sum()), squares - float(lost @ lost)
        count = self.count - int(gone.sum())
        return Past(self.items[kept], self.ts[kept], self.kinds[kept], self.values[kept], count, ratings)

    def followed_by(self, item: int, ts: int, kind: int, value: float, rating: int) -> Past:
        """The history with one event more, newer than all others."""
        n, total, squares = self.ratings
        if kind == rating and not np.isnan(value):
            n, total, squares = n + 1, total + value, squares + value * value
        return Past(
            np.concatenate([np.array([item], np.int32), self.items]),
            np.concatenate([np.array([ts], np.int64), self.ts]),
            np.concatenate([np.array([kind], np.int32), self.kinds]),
            np.concatenate([np.array([value], np.float32), self.values]),
            self.count + 1,
            (n, total, squares),
        )


def past_of(state: State, user: int) -> Past:
    """The history of a user row (−1: nobody)."""
    items, ts, kinds, values = state.history_of(user)
    known = user >= 0 and user < len(state.user_columns["count"])
    count = int(state.user_columns["count"][user]) if known else 0
    return Past(items[::-1].copy(), ts[::-1].copy(), kinds[::-1].copy(), values[::-1].copy(), count)


def subject_of_past(
    state: State, user: int, past: Past, vectors: F32, text_of: I32, tags: I32, n_tags: int, table: F64
) -> Subject:
    """``subject_of_row`` as it were if ``past`` were the history of ``user``; nothing of the state changes.

    table: ``weight_table``, which may know more types than the state. What lies beyond ``state.history`` entries is
    known to have been had, and no more.
    """
    code, own, spread = _rating(state, user, past.ratings)
    bound = state.settings.state.history
    weights = table[past.kinds]
    if code >= 0:
        rated = (past.kinds == code) & np.isfinite(past.values)
        graded = 1.0 + 0.5 * (past.values[rated].astype(np.float64) - own) / spread
        weights[rated] *= np.minimum(2.0, np.maximum(0.1, graded))
    left = seen_of(state.seen, user, past.items, past.ts, past.kinds, table)
    parts = (past.items[:bound], past.ts[:bound], past.kinds[:bound], weights[:bound])
    return _made(user, *parts, past.count, left, vectors, text_of, tags, n_tags, table)


def _made(
    user: int, items: I32, ts: I64, kinds: I32, weights: F64, count: int, left: tuple[I32, I32, I32, I64, I64],
    vectors: F32, text_of: I32, tags: I32, n_tags: int, table: F64,
) -> Subject:  # fmt: skip
    """A subject of a history, newest first. left: of ``seen_of``."""
    h = len(items)
    seen_at, seen, seen_count, seen_last, seen_neg = left
    gaps, gaps_sum = np.zeros(len(seen), np.int32), np.zeros(len(seen), np.int64)
    own_gaps(items, ts, kinds, table, seen, seen_at, np.empty(len(seen), np.int64), gaps, gaps_sum)
    total, session = totals_of(seen_count, ts, SESSION_MS)
    repeats = 1.0 - len(seen) / total if total else 0.0
    short, long = _NO_TAGS, _NO_TAGS
    if h and n_tags:
        short, long = np.zeros(n_tags, np.float32), np.zeros(n_tags, np.float32)
        tag_shares(items, weights, tags, n_tags, short, long)
    interest_of = np.empty(h, np.int64)
    last, last_at, disliked = _NO_ROWS, _NO_PLACES, _NO_ROWS
    if h and len(vectors):
        out = np.zeros((2 + INTERESTS, vectors.shape[1]), np.float32)
        last, last_at, disliked = np.empty(SHORT, np.int32), np.empty(SHORT, np.int64), np.empty(DISLIKED, np.int32)
        q, newest, hated = tastes_of(items, weights, text_of, vectors, out, interest_of, last, last_at, disliked)
        tastes, disliked, last, last_at = out[:q], disliked[:hated], last[:newest], last_at[:newest]
    else:
        tastes = np.zeros((0, vectors.shape[1]), np.float32)
        interest_of.fill(-1)
    return Subject(
        user, items, ts, kinds, weights, count, max(0.0, repeats), tastes, interest_of, last, last_at, disliked,
        long, short, seen_at, seen, seen_count, seen_last, seen_neg, gaps, gaps_sum, total, session,
    )  # fmt: skip
