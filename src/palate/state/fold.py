"""The fold: interactions, one after the other, into histories, counters and pairs. Compiled, O(window) an event.

For every interaction of subject *u* with item *i* at time *t*:

* the item's counters take it: all-time count, three exponentially decayed counts (forward in live time, see
  ``silence``, so that late events add exactly what they would have added in order), first and last time, time-of-day
  bucket;
* where u had i before, the item's gaps between two times of one person take those beside it (``_changed_gaps``);
* the history of u takes it at its place by (timestamp, id key), and the pairs of neighbouring history entries are
  re-derived: for every earlier entry j at most ``window`` places before i, ``fwd[j → i] += 1000 // lag`` and
  ``co[j, i] += 1``. An entry that arrives late moves later ones one place apart; their pairs are corrected;
* what a full history has no place for, the oldest entry or the event itself, goes to the counts of what u had before
  (``seen``).

Counts are integers, so the result does not depend on arrival order; decayed counts agree to rounding.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel, soon
from palate.state.history import insert, kind_at, time_of
from palate.state.rows import EMPTY, MIN_BLOCK, find, free_slot, give_block, hash_slot, widen
from palate.state.seen import gap_of, had, spill
from palate.types import F32, F64, I32, I64, U32

MAX_WINDOW = 64
LAG_UNIT = 1000
BUCKETS = 8
DAY_MS = 86_400_000.0
CROWD = 24
"""People remembered of an item."""


@kernel
def bucket_of(ts: int) -> int:
    """Six-hour part of the day (UTC), weekdays 0–3, weekend 4–7. 1970-01-01 was a Thursday."""
    hour = (ts // 3_600_000) % 24
    weekday = (ts // 86_400_000 + 3) % 7
    return hour // 6 + (4 if weekday >= 5 else 0)


@kernel
def _kth_largest(values: I64, k: int) -> int:
    """The k-th largest of ``values`` (k from 1), which are overwritten.

    O(n) expected (quickselect, Hoare 1961), without branches that a processor would have to guess.
    """
    n = len(values)
    more, less = np.empty(n, np.int64), np.empty(n, np.int64)
    while True:
        pivot = values[n // 2]
        above = below = 0
        for e in range(n):
            value = values[e]
            more[above] = less[below] = value
            above += value > pivot
            below += value < pivot
        if k <= above:
            n = above
            values[:n] = more[:n]
        elif k <= n - below:
            return pivot
        else:
            k -= n - below
            n = below
            values[:n] = less[:n]


@kernel
def _prune_pairs(keys: I32, fwd: I32, co: I32, start: int, capacity: int, keep: int) -> int:
    """Keep the ``keep`` strongest entries of a full row (by co, then fwd, then smaller id); rebuild it in place."""
    entries = np.empty((capacity + 1, 3), np.int32)
    strengths = np.empty(capacity + 1, np.int64)
    n = 0
    for slot in range(start, start + capacity):
        entries[n, 0], entries[n, 1], entries[n, 2] = keys[slot], fwd[slot], co[slot]
        strengths[n] = (np.int64(co[slot]) << 32) + fwd[slot]
        n += keys[slot] != EMPTY
        keys[slot] = EMPTY
    keep = min(keep, n)
    weakest = _kth_largest(strengths[:n].copy(), keep)
    equal = np.empty(n + 1, np.int64)
    stronger = ties = 0
    for e in range(n):
        equal[ties] = -entries[e, 0]
        ties += strengths[e] == weakest
        stronger += strengths[e] > weakest
    last = -_kth_largest(equal[:ties], keep - stronger)
    kept = 0
    for e in range(n):
        entries[kept, 0], entries[kept, 1], entries[kept, 2] = entries[e, 0], entries[e, 1], entries[e, 2]
        kept += (strengths[e] > weakest) | ((strengths[e] == weakest) & (entries[e, 0] <= last))
    for e in range(keep):
        slot = free_slot(keys, start, capacity, int(entries[e, 0]))
        keys[slot], fwd[slot], co[slot] = entries[e, 0], entries[e, 1], entries[e, 2]
    return keep


@kernel
def _pair_slot(
    meta: I64, keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, sizes: I32, r: int, key: int, limit: int
) -> int:
    """Arena position of ``key`` in pair row ``r``, inserted with zeros where missing."""
    start, capacity = starts[r], caps[r]
    slot = hash_slot(key, capacity)
    while capacity > 0 and keys[start + slot] != EMPTY:
        if keys[start + slot] == key:
            return start + slot
        slot = (slot + 1) & (capacity - 1)
    slot += start
    if sizes[r] >= limit:
        sizes[r] = _prune_pairs(keys, fwd, co, start, capacity, limit // 2)
        slot = free_slot(keys, start, capacity, key)
    elif (sizes[r] + 1) * 4 > capacity * 3:
        old_start, old_cap = widen(meta, keys, starts, caps, r)
        start, capacity = starts[r], caps[r]
        for old in range(old_start, old_start + old_cap):
            if keys[old] != EMPTY:
                new = free_slot(keys, start, capacity, keys[old])
                keys[new], fwd[new], co[new] = keys[old], fwd[old], co[old]
        if old_cap > 0:
            give_block(meta, keys, old_start, old_cap)
        slot = free_slot(keys, start, capacity, key)
    keys[slot] = key
    fwd[slot] = 0
    co[slot] = 0
    sizes[r] += 1
    return slot


@kernel
def _add_pair(
    meta: I64, keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, sizes: I32,
    a: int, b: int, forward: int, both: int, limit: int,
) -> None:  # fmt: skip
    """``fwd[a → b] += forward``, ``co[a, b] += both`` and ``co[b, a] += both``."""
    if a == b:
        return
    slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, a, b, limit)
    fwd[slot] += forward
    co[slot] += both
    if both != 0:
        slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, b, a, limit)
        co[slot] += both


@kernel
def _add_followed(
    meta: I64, keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, sizes: I32, before: I32, i: int, limit: int
) -> None:
    """``_add_pair`` of each of ``before`` (nearest first) and ``i``, which follows them.

    The rows lie far apart in memory: all that is needed of them is asked for first, so that it comes at once and not
    one after the other. Most pairs are there already, and found without a call, whose arguments cost more.
    """
    n = len(before)
    for x in range(n):
        soon(starts, before[x], 1)
        soon(caps, before[x], 1)
    for x in range(n):
        slot = starts[i] + hash_slot(int(before[x]), max(1, int(caps[i])))
        soon(keys, slot, 1)
        soon(co, slot, 1)
    for x in range(n):
        slot = starts[before[x]] + hash_slot(i, max(1, int(caps[before[x]])))
        soon(keys, slot, 1)
        soon(fwd, slot, 1)
        soon(co, slot, 1)
    for x in range(n):
        a = before[x]
        if a != i:
            slot = find(keys, int(starts[a]), int(caps[a]), i)
            if slot < 0:
                slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, a, i, limit)
            fwd[slot] += LAG_UNIT // (x + 1)
            co[slot] += 1
    for x in range(n):
        a = before[x]
        if a != i:
            slot = find(keys, int(starts[i]), int(caps[i]), int(a))
            if slot < 0:
                slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, i, a, limit)
            co[slot] += 1


@kernel
def _changed_gaps(
    items: I32, words: I64, row: int, size: int, at: int, sign: I32, kinds: I32, wide: int, left: int,
    gaps: I64, totals: F64,
) -> None:  # fmt: skip
    """The entry at arena position ``at`` stands between two times of its item, whose gap parts in two.

    row, size: of the history. left: when the item was last had of what has left the history, 0 never. gaps: (3,) of the
    item, how many, their sum and that of their squares, in units of ``gap_of``; they are whole numbers, so that what is
    taken away is what was added, in any order. totals: of all items.
    """
    item, now = items[at], time_of(int(words[at]))
    earlier, later = left, 0
    for s in range(at - 1, row - 1, -1):
        if items[s] == item and sign[kind_at(words, s, row, kinds, wide)] >= 0:
            earlier = time_of(int(words[s]))
            break
    for s in range(at + 1, row + size):
        if items[s] == item and sign[kind_at(words, s, row, kinds, wide)] >= 0:
            later = time_of(int(words[s]))
            break
    for step in range(3):
        one = 1
        if step == 0 and earlier > 0:
            gap = gap_of(now - earlier)
        elif step == 1 and later > 0:
            gap = gap_of(later - now)
        elif step == 2 and earlier > 0 and later > 0:
            gap, one = gap_of(later - earlier), -1
        else:
            continue
        if gap > 0:
            gaps[0] += one
            gaps[1] += one * gap
            gaps[2] += one * gap * gap
            totals[11] += one
            totals[12] += one * gap
            totals[13] += one * gap * gap


@kernel
def remember(crowd: I64, user: int, ts: int) -> None:
    """Among the ``CROWD`` who had an item last, (CROWD,) words of a time in seconds and the user's row + 1, 0 for none.

    Everybody stands there once, at their latest time; so the same people do, in whatever order their events came.
    """
    who = user + 1
    word = (max(0, min(ts // 1000, (1 << 31) - 1)) << 32) | who
    oldest = 0
    for place in range(len(crowd)):
        if crowd[place] & ((1 << 32) - 1) == who:
            crowd[place] = max(crowd[place], word)
            return
        if crowd[place] < crowd[oldest]:
            oldest = place
    crowd[oldest] = max(crowd[oldest], word)


@kernel
def fold(
    # the batch: (6, n) users, items, times, live times, tie keys, types; (n,)
    batch: I64, values: F32, begin: int,
    # per type: sign of its weight (+1, 0, −1) and whether it is a rating
    sign: I32, rating: I32,
    # bounds and half-lives in days (3,)
    window: int, history: int, seen_limit: int, pair_limit: int, half_lives: F64,
    # users
    u_count: I64, u_last: I64, u_rsum: F64, u_rn: I64,
    # items; decayed (n, 3) at decayed_ts (n,), buckets (n, 8), gaps (n, 3), crowd (n, CROWD)
    i_count: I64, i_first: I64, i_last: I64, decayed: F64, decayed_ts: I64, buckets: I32, gaps: I64, crowd: I64,
    # totals (8 + 8,) float64: see State.TOTALS; bucket totals (8,)
    totals: F64, bucket_totals: I64,
    # what has left the histories, by user and item
    s_meta: I64, s_keys: I32, s_count: I32, s_last: I64, s_neg: I64, s_start: I64, s_cap: I32, s_size: I32,
    # pair rows
    p_meta: I64, p_keys: I32, p_fwd: I32, p_co: I32, p_start: I64, p_cap: I32, p_size: I32,
    # histories, and the types and values too wide for them
    h_meta: I64, h_item: I32, h_tie: U32, h_word: I64, h_start: I64, h_cap: I32, h_size: I32,
    w_meta: I64, w_kind: I32, w_value: F32, w_start: I64, w_cap: I32, w_size: I32,
) -> int:  # fmt: skip
    """Fold events ``begin:`` of the batch; returns the index of the first one not folded (n when all are).

    It stops early where an arena might not have room for the next event; the caller grows and calls again.
    """
    before = np.empty(MAX_WINDOW, np.int32)
    after = np.empty(MAX_WINDOW, np.int32)
    pair_cap = MIN_BLOCK
    while pair_cap * 3 < pair_limit * 4:
        pair_cap *= 2
    pair_room = (2 * window + 2) * 4 * pair_cap
    for e in range(begin, len(values)):
        u, i, t, lived, tie, kind = batch[0, e], batch[1, e], batch[2, e], batch[3, e], batch[4, e], batch[5, e]
        value = values[e]
        block = 2 * max(h_cap[u], 8)
        if s_meta[0] + 2 * max(s_cap[u], 8) > len(s_keys) or p_meta[0] + pair_room > len(p_keys):
            return e
        if h_meta[0] + block > len(h_item) or w_meta[0] + block > len(w_kind):
            return e

        positive, again = sign[kind] >= 0, False
        u_count[u] += 1
        u_last[u] = max(u_last[u], t)
        totals[0] += 1
        if rating[kind] != 0 and not np.isnan(value):
            u_rsum[u] += value
            u_rn[u] += 1
            totals[3] += 1
            totals[4] += value
            totals[5] += value * value
        if positive:
            totals[1] += 1
            again = had(
                h_item, h_word, int(h_start[u]), int(h_size[u]), w_kind, int(w_start[u]), sign,
                s_keys, s_count, int(s_start[u]), int(s_cap[u]), i,
            )  # fmt: skip
            totals[2] += again
            i_count[i] += 1
            i_first[i] = t if i_first[i] == 0 else min(i_first[i], t)
            i_last[i] = max(i_last[i], t)
            days = (lived - decayed_ts[i]) / DAY_MS
            for h in range(3):
                if days >= 0:
                    decayed[i, h] = decayed[i, h] * 2.0 ** (-days / half_lives[h]) + 1.0
                else:
                    decayed[i, h] += 2.0 ** (days / half_lives[h])
            decayed_ts[i] = max(decayed_ts[i], lived)
            days = (lived - totals[6]) / DAY_MS
            for h in range(3):
                if days >= 0:
                    totals[8 + h] = totals[8 + h] * 2.0 ** (-days / half_lives[h]) + 1.0
                else:
                    totals[8 + h] += 2.0 ** (days / half_lives[h])
            totals[6] = max(totals[6], lived)
            b = bucket_of(t)
            buckets[i, b] += 1
            remember(crowd[i], u, t)
            bucket_totals[b] += 1

        full, oldest = h_size[u] >= history, int(h_start[u])
        left, when, liked = i, t, positive
        if full:
            left, when = h_item[oldest], time_of(int(h_word[oldest]))
            liked = sign[kind_at(h_word, oldest, oldest, w_kind, int(w_start[u]))] >= 0
        place = insert(
            h_meta, h_item, h_tie, h_word, h_start, h_cap, h_size, w_meta, w_kind, w_value, w_start, w_cap, w_size,
            u, i, t, tie, kind, value, history,
        )  # fmt: skip
        if place < 0:
            left, when, liked = i, t, positive
        if full:
            spill(
                s_meta,
                s_keys,
                s_count,
                s_last,
                s_neg,
                s_start,
                s_cap,
                s_size,
                u,
                int(left),
                when,
                bool(liked),
                seen_limit,
            )
        if place < 0 or not positive:
            continue
        row, wide = int(h_start[u]), int(w_start[u])
        if again:
            slot = find(s_keys, int(s_start[u]), int(s_cap[u]), i)
            gone = int(s_last[slot]) if slot >= 0 and s_count[slot] > 0 else 0
            _changed_gaps(h_item, h_word, row, int(h_size[u]), place, sign, w_kind, wide, gone, gaps[i], totals)
        nb = 0
        s = place - 1
        while s >= row and nb < window:
            if sign[kind_at(h_word, s, row, w_kind, wide)] >= 0:
                before[nb] = h_item[s]
                nb += 1
            s -= 1
        na = 0
        s = place + 1
        end = row + h_size[u]
        while s < end and na < window:
            if sign[kind_at(h_word, s, row, w_kind, wide)] >= 0:
                after[na] = h_item[s]
                na += 1
            s += 1
        _add_followed(p_meta, p_keys, p_fwd, p_co, p_start, p_cap, p_size, before[:nb], i, pair_limit)
        for y in range(na):
            _add_pair(
                p_meta, p_keys, p_fwd, p_co, p_start, p_cap, p_size, i, after[y], LAG_UNIT // (y + 1), 1, pair_limit
            )  # fmt: skip
            for x in range(nb):
                lag = x + y + 1
                if lag > window:
                    break
                moved = (LAG_UNIT // (lag + 1) if lag + 1 <= window else 0) - LAG_UNIT // lag
                lost = 0 if lag + 1 <= window else -1
                _add_pair(
                    p_meta, p_keys, p_fwd, p_co, p_start, p_cap, p_size, before[x], after[y], moved, lost, pair_limit
                )  # fmt: skip
    return len(values)
