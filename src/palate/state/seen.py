"""What a person had: what the history says, and the counts of what has left it, by item.

An entry that a full history drops, or an event too old to enter it, is counted in a hash row of the person's: how
often, when last, when last hidden. Who has a history that isn't full has no such row. Both together say what was seen,
whichever of them an event stands in, so that events out of order give the same.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.state.arena import Arena
from palate.state.history import kind_at
from palate.state.rows import EMPTY, find, free_slot, give_block, hash_slot, widen
from palate.types import F64, I32, I64

HOUR_MS = 3_600_000.0
SESSION_MS = 1_800_000
"""What happens within this time is one visit."""


@kernel
def gap_of(milliseconds: int) -> int:
    """A gap between two times of the same item, 1000 ln(1 + hours); 0 for one within a session, which is none."""
    return int(np.floor(1000.0 * np.log1p(milliseconds / HOUR_MS) + 0.5)) if milliseconds >= SESSION_MS else 0


@kernel
def had(
    items: I32, words: I64, start: int, size: int, wide_kinds: I32, wide_start: int, sign: I32,
    keys: I32, count: I32, row: int, capacity: int, item: int,
) -> bool:  # fmt: skip
    """Whether there was an event of ``item`` that isn't negative. O(history), some hundred entries in 20 ns."""
    times = 0
    for at in range(start, start + size):
        times += items[at] == item
    if times > 0:
        for at in range(start, start + size):
            if items[at] == item and sign[kind_at(words, at, start, wide_kinds, wide_start)] >= 0:
                return True
    slot = find(keys, row, capacity, item)
    return slot >= 0 and count[slot] > 0


@kernel
def _prune(keys: I32, count: I32, last: I64, neg: I64, start: int, capacity: int, keep: int) -> None:
    """Keep the ``keep`` latest entries of a row; rebuild it in place."""
    entries = np.empty((capacity, 4), np.int64)
    latest = np.empty(capacity, np.int64)
    n = 0
    for s in range(start, start + capacity):
        if keys[s] != EMPTY:
            entries[n, 0], entries[n, 1], entries[n, 2], entries[n, 3] = keys[s], count[s], last[s], neg[s]
            latest[n] = -max(last[s], neg[s])
            n += 1
            keys[s] = EMPTY
    order = np.argsort(latest[:n], kind="mergesort")
    for place in range(keep):
        e = order[place]
        s = free_slot(keys, start, capacity, int(entries[e, 0]))
        keys[s], count[s], last[s], neg[s] = entries[e, 0], entries[e, 1], entries[e, 2], entries[e, 3]


@kernel
def _slot(
    meta: I64, keys: I32, count: I32, last: I64, neg: I64, starts: I64, caps: I32, sizes: I32, u: int, key: int,
    limit: int,
) -> int:  # fmt: skip
    """Arena position of ``key`` in the row of ``u``, inserted where missing; a full row forgets its older half."""
    slot = find(keys, int(starts[u]), int(caps[u]), key)
    if slot >= 0:
        return slot
    if sizes[u] >= limit:
        _prune(keys, count, last, neg, int(starts[u]), int(caps[u]), limit // 2)
        sizes[u] = limit // 2
    elif (sizes[u] + 1) * 4 > caps[u] * 3:
        old_start, old_cap = widen(meta, keys, starts, caps, u)
        for old in range(old_start, old_start + old_cap):
            if keys[old] != EMPTY:
                s = free_slot(keys, int(starts[u]), int(caps[u]), int(keys[old]))
                keys[s], count[s], last[s], neg[s] = keys[old], count[old], last[old], neg[old]
        if old_cap > 0:
            give_block(meta, keys, old_start, old_cap)
    slot = free_slot(keys, int(starts[u]), int(caps[u]), key)
    keys[slot] = key
    count[slot] = 0
    last[slot] = 0
    neg[slot] = 0
    sizes[u] += 1
    return slot


@kernel
def spill(
    meta: I64, keys: I32, count: I32, last: I64, neg: I64, starts: I64, caps: I32, sizes: I32,
    u: int, item: int, when: int, positive: bool, limit: int,
) -> None:  # fmt: skip
    """Count an event of ``u`` that the history has no place for. limit: items that the row may have, 0 for none."""
    if limit == 0:
        return
    slot = _slot(meta, keys, count, last, neg, starts, caps, sizes, u, item, limit)
    if positive:
        count[slot] += 1
        last[slot] = max(last[slot], when)
    else:
        neg[slot] = max(neg[slot], when)


@kernel
def place_of(seen: I32, at: I32, item: int) -> int:
    """The place of ``item`` in ``seen``, −1 where it isn't there. at: of ``seen_of``. O(1) expected."""
    slot = hash_slot(item, len(at))
    while at[slot] >= 0 and seen[at[slot]] != item:
        slot = (slot + 1) & (len(at) - 1)
    return int(at[slot])


@kernel
def own_gaps(
    items: I32, times: I64, kinds: I32, weights: F64, seen: I32, at: I32, lasts: I64, count: I32, total: I64
) -> None:
    """How many gaps (``gap_of``) there are between a person's times of each item seen, and their sum. O(history).

    items, times, kinds: (h,) newest first; weights: by type. count, total: (s,), zeros; lasts: (s,), room.
    """
    lasts[:] = 0
    for q in range(len(items) - 1, -1, -1):
        if weights[kinds[q]] < 0:
            continue
        place = place_of(seen, at, items[q])
        if place < 0:
            continue
        gap = gap_of(times[q] - lasts[place]) if lasts[place] > 0 else 0
        if gap > 0:
            count[place] += 1
            total[place] += gap
        lasts[place] = times[q]


@kernel
def _taken(seen: I32, counts: I32, lasts: I64, negs: I64, at: I32, n: int, item: int) -> int:
    """The place of ``item``, which is ``n``, the next one, where it is new."""
    slot = hash_slot(item, len(at))
    while at[slot] >= 0 and seen[at[slot]] != item:
        slot = (slot + 1) & (len(at) - 1)
    if at[slot] < 0:
        at[slot] = n
        seen[n], counts[n], lasts[n], negs[n] = item, 0, 0, 0
    return int(at[slot])


@kernel
def _gather(
    items: I32, times: I64, kinds: I32, weights: F64,
    keys: I32, count: I32, last: I64, neg: I64, row: int, capacity: int,
    at: I32, seen: I32, counts: I32, lasts: I64, negs: I64,
) -> int:  # fmt: skip
    """Items that somebody had, how often, when last and when last hidden (0 never); how many there are.

    items, times, kinds: (h,) the history; weights: by type, of which the sign counts. keys…: what has left it, in the
    hash row that lies at [row, row + capacity). seen…: room for all of both; at: for more, a power of two. Both as
    they come.
    """
    n = 0
    for slot in range(len(at)):
        at[slot] = -1
    for entry in range(len(items)):
        place = _taken(seen, counts, lasts, negs, at, n, int(items[entry]))
        n += place == n
        if weights[kinds[entry]] >= 0:
            counts[place] += 1
            lasts[place] = max(lasts[place], times[entry])
        else:
            negs[place] = max(negs[place], times[entry])
    for slot in range(row, row + capacity):
        if keys[slot] != EMPTY:
            place = _taken(seen, counts, lasts, negs, at, n, int(keys[slot]))
            n += place == n
            counts[place] += count[slot]
            lasts[place] = max(lasts[place], last[slot])
            negs[place] = max(negs[place], neg[slot])
    return n


def seen_of(rows: Arena, user: int, items: I32, times: I64, kinds: I32, weights: F64) -> tuple[I32, I32, I32, I64, I64]:
    """A hash table of places for ``place_of``; and of these places items, how often, when last and when last hidden.

    rows: what has left the histories. items, times, kinds: (h,) the history; weights: by type. Times in ms, 0 never.
    """
    block, size = (0, 0), 0
    if 0 <= user < len(rows.start):
        block, size = (int(rows.start[user]), int(rows.cap[user])), int(rows.size[user])
    room = len(items) + size
    at = np.empty(2 << room.bit_length(), np.int32)
    seen, counts = np.empty(room, np.int32), np.empty(room, np.int32)
    lasts, negs = np.empty(room, np.int64), np.empty(room, np.int64)
    left = rows.columns
    n = _gather(
        items, times, kinds, weights, rows.keys, left["count"], left["last"], left["neg"], *block,
        at, seen, counts, lasts, negs,
    )  # fmt: skip
    return at, seen[:n], counts[:n], lasts[:n], negs[:n]
