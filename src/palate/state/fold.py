"""The fold: interactions, one after the other, into histories, counters and pairs. Compiled, O(window) an event.

For every interaction of subject *u* with item *i* at time *t*:

* the pair (u, i) counts it (``ui_*``): how often, when last, when last hidden;
* the item's counters take it: all-time count, three exponentially decayed counts (forward in live time, see
  ``silence``, so that late events add exactly what they would have added in order), first and last time, time-of-day
  bucket;
* the history of u takes it at its place by (timestamp, id key), and the pairs of neighbouring history entries are
  re-derived: for every earlier entry j at most ``window`` places before i, ``fwd[j → i] += 1000 // lag`` and
  ``co[j, i] += 1``. An entry that arrives late moves later ones one place apart; their pairs are corrected.

Counts are integers, so the result does not depend on arrival order; decayed counts agree to rounding.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.state.rows import EMPTY, MIN_CLASS, find, free_slot, give_block, hash_slot, take_block, widen
from palate.types import F32, F64, I32, I64

MAX_WINDOW = 64
LAG_UNIT = 1000
BUCKETS = 8
DAY_MS = 86_400_000.0


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

    The rows lie far apart in memory: what is needed of all of them is touched first, so that the processor fetches
    it at once and not one after the other.
    """
    slots = np.empty(MAX_WINDOW, np.int64)
    firsts = np.empty(MAX_WINDOW, np.int32)
    for x in range(len(before)):
        slots[x] = starts[before[x]] + hash_slot(i, max(1, int(caps[before[x]])))
    for x in range(len(before)):
        firsts[x] = keys[slots[x]]
    for x in range(len(before)):
        a = before[x]
        if a != i:
            slot = slots[x]
            if firsts[x] != i or caps[a] == 0:
                slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, a, i, limit)
            fwd[slot] += LAG_UNIT // (x + 1)
            co[slot] += 1
    start, capacity = starts[i], caps[i]
    for x in range(len(before)):
        slots[x] = start + hash_slot(int(before[x]), max(1, capacity))
    for x in range(len(before)):
        firsts[x] = keys[slots[x]]
    for x in range(len(before)):
        a = before[x]
        if a != i:
            slot = slots[x]
            if firsts[x] != a or keys[slot] != a or capacity == 0 or caps[i] != capacity:
                slot = _pair_slot(meta, keys, fwd, co, starts, caps, sizes, i, a, limit)
            co[slot] += 1


@kernel
def _ui_slot(
    meta: I64, keys: I32, count: I32, last: I64, neg: I64, starts: I64, caps: I32, sizes: I32, u: int, key: int,
    limit: int,
) -> int:  # fmt: skip
    """Arena position of ``key`` in the seen row of ``u``, inserted where missing; a full row forgets its older half."""
    slot = find(keys, starts[u], caps[u], key)
    if slot >= 0:
        return slot
    crowded = sizes[u] >= limit
    if crowded or (sizes[u] + 1) * 4 > caps[u] * 3:
        n = 0
        capacity = caps[u]
        old_keys = np.empty(capacity, np.int32)
        old_count = np.empty(capacity, np.int32)
        old_last = np.empty(capacity, np.int64)
        old_neg = np.empty(capacity, np.int64)
        when = np.empty(capacity, np.float64)
        start = starts[u]
        for s in range(start, start + capacity):
            if keys[s] != EMPTY:
                old_keys[n], old_count[n], old_last[n], old_neg[n] = keys[s], count[s], last[s], neg[s]
                when[n] = -np.float64(max(last[s], neg[s]))
                n += 1
                keys[s] = EMPTY
        kept = n
        if crowded:
            kept = limit // 2
            order = np.argsort(when[:n], kind="mergesort")
        else:
            old_start, old_cap = widen(meta, keys, starts, caps, u)
            if old_cap > 0:
                give_block(meta, keys, old_start, old_cap)
            order = np.arange(n)
        for place in range(kept):
            e = order[place]
            s = free_slot(keys, starts[u], caps[u], int(old_keys[e]))
            keys[s], count[s], last[s], neg[s] = old_keys[e], old_count[e], old_last[e], old_neg[e]
        sizes[u] = kept
    slot = free_slot(keys, starts[u], caps[u], key)
    keys[slot] = key
    count[slot] = 0
    last[slot] = 0
    neg[slot] = 0
    sizes[u] += 1
    return slot


@kernel
def _history_place(
    meta: I64, items: I32, ts: I64, key: I64, kind: I32, value: F32, starts: I64, caps: I32, sizes: I32, u: int,
    when: int, tie: int, bound: int,
) -> int:  # fmt: skip
    """Make room in the sorted history of ``u``; arena position, or −1 where older than all of a full history."""
    n = sizes[u]
    start = starts[u]
    place = n
    while place > 0:
        before = start + place - 1
        if ts[before] < when or (ts[before] == when and key[before] <= tie):
            break
        place -= 1
    if n >= bound:
        if place == 0:
            return -1
        for s in range(start, start + place - 1):
            items[s], ts[s], key[s], kind[s], value[s] = items[s + 1], ts[s + 1], key[s + 1], kind[s + 1], value[s + 1]
        return start + place - 1
    if n >= caps[u]:
        size_class = MIN_CLASS
        while (1 << size_class) < n + 1:
            size_class += 1
        fresh = take_block(meta, items, size_class)
        for s in range(n):
            items[fresh + s], ts[fresh + s], key[fresh + s] = items[start + s], ts[start + s], key[start + s]
            kind[fresh + s], value[fresh + s] = kind[start + s], value[start + s]
        if caps[u] > 0:
            give_block(meta, items, start, caps[u])
        starts[u] = fresh
        caps[u] = 1 << size_class
        start = fresh
    for s in range(start + n, start + place, -1):
        items[s], ts[s], key[s], kind[s], value[s] = items[s - 1], ts[s - 1], key[s - 1], kind[s - 1], value[s - 1]
    sizes[u] = n + 1
    return start + place


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
    # items; decayed (n, 3) at decayed_ts (n,), buckets (n, 8)
    i_count: I64, i_first: I64, i_last: I64, decayed: F64, decayed_ts: I64, buckets: I32,
    # totals (8 + 8,) float64: see State.TOTALS; bucket totals (8,)
    totals: F64, bucket_totals: I64,
    # user × item rows
    ui_meta: I64, ui_keys: I32, ui_count: I32, ui_last: I64, ui_neg: I64, ui_start: I64, ui_cap: I32, ui_size: I32,
    # pair rows
    p_meta: I64, p_keys: I32, p_fwd: I32, p_co: I32, p_start: I64, p_cap: I32, p_size: I32,
    # histories
    h_meta: I64, h_item: I32, h_ts: I64, h_key: I64, h_kind: I32, h_value: F32, h_start: I64, h_cap: I32, h_size: I32,
) -> int:  # fmt: skip
    """Fold events ``begin:`` of the batch; returns the index of the first one not folded (n when all are).

    It stops early where an arena might not have room for the next event; the caller grows and calls again.
    """
    before = np.empty(MAX_WINDOW, np.int32)
    after = np.empty(MAX_WINDOW, np.int32)
    pair_cap = MIN_CLASS
    while (1 << pair_cap) * 3 < pair_limit * 4:
        pair_cap += 1
    pair_room = (2 * window + 2) * 4 << pair_cap
    for e in range(begin, len(values)):
        u, i, t, lived, tie, kind = batch[0, e], batch[1, e], batch[2, e], batch[3, e], batch[4, e], batch[5, e]
        value = values[e]
        if ui_meta[0] + 2 * max(ui_cap[u], 8) > len(ui_keys) or h_meta[0] + 2 * max(h_cap[u], 8) > len(h_item):
            return e
        if p_meta[0] + pair_room > len(p_keys):
            return e

        positive = sign[kind] >= 0
        slot = _ui_slot(
            ui_meta, ui_keys, ui_count, ui_last, ui_neg, ui_start, ui_cap, ui_size, u, i, seen_limit
        )  # fmt: skip
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
            if ui_count[slot] > 0:
                totals[2] += 1
            ui_count[slot] += 1
            ui_last[slot] = max(ui_last[slot], t)
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
            bucket_totals[b] += 1
        else:
            ui_neg[slot] = max(ui_neg[slot], t)

        place = _history_place(
            h_meta, h_item, h_ts, h_key, h_kind, h_value, h_start, h_cap, h_size, u, t, tie, history
        )  # fmt: skip
        if place < 0:
            continue
        h_item[place], h_ts[place], h_key[place], h_kind[place], h_value[place] = i, t, tie, kind, value
        if not positive:
            continue
        nb = 0
        s = place - 1
        while s >= h_start[u] and nb < window:
            if sign[h_kind[s]] >= 0:
                before[nb] = h_item[s]
                nb += 1
            s -= 1
        na = 0
        s = place + 1
        end = h_start[u] + h_size[u]
        while s < end and na < window:
            if sign[h_kind[s]] >= 0:
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
                gone = 0 if lag + 1 <= window else -1
                _add_pair(
                    p_meta, p_keys, p_fwd, p_co, p_start, p_cap, p_size, before[x], after[y], moved, gone, pair_limit
                )  # fmt: skip
    return len(values)
