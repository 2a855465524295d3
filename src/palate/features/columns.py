"""Compiled columns of the feature matrix: one pass over the candidates, nothing in between.

Every candidate is computed by itself, in the same order of operations whatever its company, so that adding a
candidate never moves another one's score.
"""

from __future__ import annotations

import numpy as np

from palate.features.wording import shared
from palate.kernels import kernel, soon
from palate.state.fold import DAY_MS
from palate.state.seen import place_of
from palate.state.silence import since
from palate.tastes import NEWEST_DECAY, dots
from palate.types import F32, F64, I32, I64

HALF_HOUR_MS = 1_800_000
_SHRUNK = 5.0
"""Gaps that all items' typical one counts for."""
_OWN = 2.0
"""Gaps that an item's typical one counts for beside a person's own."""
_SPREAD = 150.0
"""Standard deviation of gaps, at the least, in thousandths of ln(1 + hours)."""
USUAL = 20
"""Newest entries of a history that tell how well known its items are."""
_AHEAD = 3
"""Vectors that are on their way while one is compared."""
_CALM = 1.25
"""Interactions in a part of the week, expected and found, that a lift there begins with: about ten of all its eight."""
NEVER = 9.0
"""``idle`` of an item that nobody ever touched, log days."""


@kernel
def popularity(
    rows: I32, now: int, until: int, ends: I64, skipped: I64,
    count: I64, decayed: F64, decayed_ts: I64, half_lives: F64, first: I64, created: I64, last: I64, shown: I64,
    buckets: I32, bucket: int, totals: F64, bucket_totals: I64, n_items: int, out: F32,
) -> None:  # fmt: skip
    """pop_all, pop_short, pop_medium, pop_long, trend, age, idle, click_rate, daypart into the first nine columns.

    until: ``now`` in live time. totals, bucket_totals: the state's own.
    """
    m = len(rows)
    numbers = np.empty((m, 4), np.float64)
    times = np.empty((m, 4), np.int64)
    # Everything of the items first, in a loop so short that the processor has many of its cache misses under way.
    for at in range(m):
        row = rows[at]
        numbers[at, 0] = count[row]
        numbers[at, 1] = decayed[row, 0]
        numbers[at, 2] = decayed[row, 1]
        numbers[at, 3] = decayed[row, 2]
        times[at, 0] = decayed_ts[row]
        times[at, 1] = last[row]
        born = created[row]
        if first[row] > 0 and (born <= 0 or first[row] < born):
            born = first[row]
        times[at, 2] = born
        times[at, 3] = shown[row]
        out[at, 8] = buckets[row, bucket]
    n = max(1, n_items)
    mean = totals[1] / n + 0.5
    silence = max(0.0, until - totals[6]) / DAY_MS
    means = np.empty(3, np.float64)
    for k in range(3):
        means[k] = totals[8 + k] * np.exp2(-silence / half_lives[k]) / n + 0.05
    everybody = 0
    for place in range(len(bucket_totals)):
        everybody += bucket_totals[place]
    share = (bucket_totals[bucket] + 1.0) / (everybody + 8.0)
    for at in range(m):
        touched = numbers[at, 0]
        out[at, 0] = np.log((touched + 0.5) / mean)
        days = max(0, until - times[at, 0]) / DAY_MS
        short = np.log((numbers[at, 1] * np.exp2(-days / half_lives[0]) + 0.05) / means[0])
        long = np.log((numbers[at, 3] * np.exp2(-days / half_lives[2]) + 0.05) / means[2])
        out[at, 1] = short
        out[at, 2] = np.log((numbers[at, 2] * np.exp2(-days / half_lives[1]) + 0.05) / means[1])
        out[at, 3] = long
        out[at, 4] = short - long
        out[at, 5] = np.log1p(since(times[at, 2] if times[at, 2] > 0 else now, until, ends, skipped) / DAY_MS)
        out[at, 6] = np.log1p(since(times[at, 1], until, ends, skipped) / DAY_MS) if times[at, 1] > 0 else NEVER
        out[at, 7] = np.log((touched + 1.0) / (times[at, 3] + 10.0)) if times[at, 3] > 0 else 0.0
        # Against what was to be expected there: in a part of the week that the log has hardly seen, next to nothing.
        out[at, 8] = np.log((out[at, 8] + _CALM) / (touched * share + _CALM))


@kernel
def compressed(strengths: F64, out: F32) -> None:
    """out = arcsinh(1000 strengths): about linear in what is small, logarithmic in what is large. Both (m, 13)."""
    for m in range(strengths.shape[0]):
        for channel in range(strengths.shape[1]):
            value = strengths[m, channel]
            if value != 0.0:
                out[m, channel] = np.arcsinh(1000.0 * value)


@kernel
def again(
    rows: I32, until: int, ends: I64, skipped: I64,
    seen: I32, at: I32, count: I32, last: I64, total: float, own: I32, own_sum: I64, gaps: I64, totals: F64, out: F32,
) -> None:  # fmt: skip
    """again_count, again_share, again_day, again_month, again_gap, again_due, again_late. out: (m, 7), zeros.

    seen, at, count, last, total, own, own_sum: of the ``Subject``. gaps, totals: of the state. The gap since this
    person had the item is held against a normal distribution of ln(1 + hours) between two times of one person, as in
    the aggregate time distribution of Bhagat (2018): all items' mean shrinks the item's (as much as five gaps would),
    the item's shrinks the person's own (two). again_late: by how many standard deviations it lies above, in [−4, 4];
    again_due: the density over its maximum.
    """
    everybody = max(1.0, totals[11])
    mean = totals[12] / everybody
    square = totals[13] / everybody
    for m in range(len(rows)):
        place = place_of(seen, at, rows[m])
        if place < 0 or count[place] <= 0:
            continue
        days = since(int(last[place]), until, ends, skipped) / DAY_MS
        out[m, 0] = np.log1p(np.float64(count[place]))
        out[m, 1] = count[place] / max(1.0, total)
        out[m, 2] = 2.0 ** (-days)
        out[m, 3] = 2.0 ** (-days / 30.0)
        out[m, 4] = np.log1p(days * 24.0)
        if totals[11] == 0.0:
            continue
        item = gaps[rows[m]]
        typical = (item[1] + _SHRUNK * mean) / (item[0] + _SHRUNK)
        variance = max((item[2] + _SHRUNK * square) / (item[0] + _SHRUNK) - typical * typical, _SPREAD * _SPREAD)
        mine = (own_sum[place] + _OWN * typical) / (own[place] + _OWN)
        late = (1000.0 * np.log1p(days * 24.0) - mine) / np.sqrt(variance)
        out[m, 5] = np.exp(-0.5 * late * late)
        out[m, 6] = min(4.0, max(-4.0, late))


@kernel
def content(
    rows: I32, text_of: I32, vectors: F32, codes: I32, frequency: I32, written: int,
    tastes: F32, last: I32, disliked: I32, out: F32,
) -> None:  # fmt: skip
    """taste_long, taste_short, taste_interest, taste_newest, dislike, words_last, words_newest. out: (m, 7), zeros.

    tastes, last, disliked: of the ``Subject``; the long-term taste stands for the interests where there are none.
    codes, frequency, written: of the ``Wording``.
    """
    n, recent, dim = len(tastes), len(last) if len(tastes) else 0, vectors.shape[1]
    probes = np.empty((n + recent + len(disliked), dim), np.float32)
    probes[:n] = tastes
    fading = np.empty(recent, np.float32)
    for place in range(recent):
        probes[n + place] = vectors[last[place]]
        fading[place] = NEWEST_DECAY**place
    for place in range(len(disliked)):
        probes[n + recent + place] = vectors[disliked[place]]
    texts = np.empty(len(rows), np.int64)
    for m in range(len(rows)):
        texts[m] = text_of[rows[m]]
    if len(last):
        shared(texts, codes, frequency, written, last, NEWEST_DECAY, out[:, 5:7])
    near = np.empty(len(probes), np.float32)
    for m in range(min(_AHEAD, len(rows))):
        soon(vectors, max(0, texts[m]), 16)
    for m in range(len(rows)):
        if m + _AHEAD < len(rows):
            soon(vectors, max(0, texts[m + _AHEAD]), 16)
        if texts[m] < 0:
            continue
        dots(vectors[texts[m]], probes, near)
        if n:
            out[m, 0] = near[0]
            out[m, 1] = near[1]
            best = max(near[0], near[1]) if n == 2 else near[2]
            for place in range(3, n):
                best = max(best, near[place])
            out[m, 2] = best
            if recent:
                best = near[n]
                for place in range(n + 1, n + recent):
                    best = max(best, near[place] * fading[place - n])
                out[m, 3] = best
        for place in range(n + recent, len(probes)):
            out[m, 4] = max(out[m, 4], near[place])


@kernel
def _usual(items: I32, weights: F64, count: I64, everybody: float, n_items: int) -> float:
    """Mean log lift (as pop_all) of the ``USUAL`` newest entries of positive weight; NaN where there are none."""
    mean = everybody / max(1, n_items) + 0.5
    total, n, q = 0.0, 0, 0
    while q < len(items) and n < USUAL:
        if weights[q] > 0:
            total += np.log((count[items[q]] + 0.5) / mean)
            n += 1
        q += 1
    return float(total / n) if n else np.nan


@kernel
def person(
    ts: I64, now: int, count: float, repeats: float, idle: float, hour: float, weekday: float,
    items: I32, weights: F64, counts: I64, everybody: float, n_items: int, popular: F32, out: F32,
) -> None:  # fmt: skip
    """user_count, repeats, user_idle, session, user_fame, fame_gap, hour, weekday: but for fame_gap the same for every
    candidate. out: (m, 8), zeros.

    ts, items, weights: (h,) newest first; the session's length is how many lie within half an hour. idle: hours of
    live time. counts, everybody, n_items: of the state's items. popular: (m,) pop_all.
    """
    fame = _usual(items, weights, counts, everybody, n_items)
    recent = 0
    while recent < len(ts) and ts[recent] > now - HALF_HOUR_MS:
        recent += 1
    length, known, away = np.log1p(np.float64(recent)), np.log1p(count), np.log1p(idle)
    for m in range(len(out)):
        out[m, 0], out[m, 1], out[m, 2], out[m, 3], out[m, 6], out[m, 7] = known, repeats, away, length, hour, weekday
        if np.isfinite(fame):
            out[m, 4], out[m, 5] = fame, abs(popular[m] - fame)


@kernel
def tags(rows: I32, tags_of: I32, long: F32, short: F32, out: F32) -> None:
    """tags_long, tags_short: what the candidate's tags weigh in the profile. out: (m, 2), zeros."""
    mine = np.empty((len(rows), tags_of.shape[1]), np.int32)
    for m in range(len(rows)):
        mine[m] = tags_of[rows[m]]
    for m in range(len(rows)):
        for place in range(tags_of.shape[1]):
            code = mine[m, place]
            if code >= 0:
                out[m, 0] += long[code]
                out[m, 1] += short[code]
