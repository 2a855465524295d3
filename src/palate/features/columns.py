"""Compiled columns of the feature matrix: one pass over the candidates, nothing in between.

Every candidate is computed by itself, in the same order of operations whatever its company, so that adding a
candidate never moves another one's score.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.state.fold import DAY_MS
from palate.state.rows import find
from palate.state.silence import since
from palate.tastes import dot
from palate.types import F32, F64, I32, I64

_NEVER = 9.0
"""``idle`` of an item that nobody ever touched, log days."""


@kernel
def popularity(
    rows: I32, now: int, until: int, ends: I64, skipped: I64,
    count: I64, decayed: F64, decayed_ts: I64, half_lives: F64, first: I64, created: I64, last: I64, shown: I64,
    buckets: I32, bucket: int, mean: float, means: F64, share: float, out: F32,
) -> None:  # fmt: skip
    """pop_all, pop_short, pop_medium, pop_long, trend, age, idle, click_rate, daypart into the first nine columns.

    until: ``now`` in live time. mean: interactions an item; means (3,) decayed ones. share: of the part of the week.
    """
    for m in range(len(rows)):
        row = rows[m]
        n = np.float64(count[row])
        out[m, 0] = np.log((n + 0.5) / (mean + 0.5))
        days = max(0, until - decayed_ts[row]) / DAY_MS
        short = np.log((decayed[row, 0] * 2.0 ** (-days / half_lives[0]) + 0.05) / (means[0] + 0.05))
        long = np.log((decayed[row, 2] * 2.0 ** (-days / half_lives[2]) + 0.05) / (means[2] + 0.05))
        out[m, 1] = short
        out[m, 2] = np.log((decayed[row, 1] * 2.0 ** (-days / half_lives[1]) + 0.05) / (means[1] + 0.05))
        out[m, 3] = long
        out[m, 4] = short - long
        born = created[row]
        if first[row] > 0 and (born <= 0 or first[row] < born):
            born = first[row]
        out[m, 5] = np.log1p(since(int(born) if born > 0 else now, until, ends, skipped) / DAY_MS)
        out[m, 6] = np.log1p(since(int(last[row]), until, ends, skipped) / DAY_MS) if last[row] > 0 else _NEVER
        out[m, 7] = np.log((n + 1.0) / (shown[row] + 10.0)) if shown[row] > 0 else 0.0
        out[m, 8] = np.log((buckets[row, bucket] + 10.0 * share) / ((n + 10.0) * share))


@kernel
def again(
    rows: I32, until: int, ends: I64, skipped: I64,
    keys: I32, count: I32, last: I64, start: int, cap: int, total: float, out: F32,
) -> None:  # fmt: skip
    """again_count, again_share, again_day, again_month, again_gap of every candidate. out: (m, 5), zeros."""
    for m in range(len(rows)):
        slot = find(keys, start, cap, rows[m])
        if slot < 0 or count[slot] <= 0:
            continue
        days = since(int(last[slot]), until, ends, skipped) / DAY_MS
        out[m, 0] = np.log1p(np.float64(count[slot]))
        out[m, 1] = count[slot] / max(1.0, total)
        out[m, 2] = 2.0 ** (-days)
        out[m, 3] = 2.0 ** (-days / 30.0)
        out[m, 4] = np.log1p(days * 24.0)


@kernel
def content(rows: I32, text_of: I32, vectors: F32, tastes: F32, last: I32, disliked: I32, out: F32) -> None:
    """taste_long, taste_short, taste_interest, taste_last, dislike. out: (m, 5), zeros.

    tastes, last, disliked: of the ``Subject``; the long-term taste stands for the interests where there are none.
    """
    for m in range(len(rows)):
        text = text_of[rows[m]]
        if text < 0:
            continue
        vector = vectors[text]
        n = len(tastes)
        if n:
            out[m, 0] = dot(vector, tastes[0])
            out[m, 1] = dot(vector, tastes[1])
            best = max(out[m, 0], out[m, 1]) if n == 2 else np.float32(-2.0)
            for place in range(2, n):
                best = max(best, dot(vector, tastes[place]))
            out[m, 2] = best
            best = np.float32(-2.0)
            for place in range(len(last)):
                best = max(best, dot(vector, vectors[last[place]]))
            if len(last):
                out[m, 3] = best
        for place in range(len(disliked)):
            out[m, 4] = max(out[m, 4], dot(vector, vectors[disliked[place]]))


@kernel
def tags(rows: I32, tags_of: I32, long: F32, short: F32, out: F32) -> None:
    """tags_long, tags_short: what the candidate's tags weigh in the profile. out: (m, 2), zeros."""
    for m in range(len(rows)):
        for place in range(tags_of.shape[1]):
            code = tags_of[rows[m], place]
            if code >= 0:
                out[m, 0] += long[code]
                out[m, 1] += short[code]
