"""What a sequence tower reads of a history: a bounded window whose beginning depends on nothing but what is in sight.

Only entries of weight above 0 whose item has a vector are read. Of the newest ``limit`` of these the window begins at
the one with the least hash among those of age limit/2 … limit − 1 (a minimiser, Schleimer 2003), or at the oldest
where there are fewer. A new event moves every age by one and seldom the minimum: the beginning stays put for a quarter
of ``limit`` events on average, so that what was computed for the window can be continued, and whoever starts anew
starts at the same entry. Two histories that agree in their newest ``limit`` entries are read alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.kernels import kernel, reassociating
from palate.types import F32, F64, I32, I64

_SECOND = 1000
_DAY = 86_400_000
EDGES: I64 = np.array(
    [1, *(_SECOND * s for s in (2, 10, 30, 60, 120, 300, 900, 1800, 3600, 10_800, 28_800, 72_000))]
    + [_DAY * days for days in (2, 4, 10, 30, 90, 365)],
    np.int64,
)
"""Milliseconds at which the next bucket of time begins."""
BUCKETS = len(EDGES) + 1
FIRST = BUCKETS
"""The bucket of an entry that nothing in the window precedes."""
LEVELS = 3
"""Weak, plain and strong entries."""
_WEAK, _STRONG = 0.6, 1.5

NO_KEYS: I64 = np.zeros(0, np.int64)


def buckets(gaps: I64) -> I64:
    """Bucket of each gap in milliseconds, any shape; 0 for none or a negative one."""
    return np.searchsorted(EDGES, gaps, side="right").astype(np.int64)


def levels(weights: F64 | F32) -> I64:
    """0, 1 or 2 for weak, plain and strong weights, any shape."""
    return (np.asarray(weights) >= _WEAK).astype(np.int64) + (np.asarray(weights) >= _STRONG)


@kernel
def bucket(gap: Any, edges: I64) -> int:
    """Bucket of one gap."""
    low, high = 0, len(edges)
    while low < high:
        middle = (low + high) // 2
        if edges[middle] <= gap:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def level(weight: Any) -> int:
    """Level of one weight."""
    return int(weight >= _WEAK) + int(weight >= _STRONG)


@reassociating
def _print_of(vector: F32) -> float:
    """A number that changes with any component."""
    total = np.float32(0.0)
    for d in range(len(vector)):
        total += vector[d] * np.float32(d + 1)
    return float(total)


@kernel
def _mixed(a: Any, b: Any) -> Any:
    """63 bits that depend on all of both."""
    x = np.int64(a) * np.int64(0x1E3779B97F4A7C15) ^ np.int64(b)
    x ^= (x >> 29) & 0x7FFFFFFFF
    x *= np.int64(0x3F58476D1CE4E5B9)
    x ^= (x >> 32) & 0xFFFFFFFF
    x *= np.int64(0x14D049BB133111EB)
    return np.int64(x ^ ((x >> 29) & 0x7FFFFFFFF)) & np.int64(0x7FFFFFFFFFFFFFFF)


@kernel
def window(items: I32, ts: I64, weights: F64, vectors: F32, limit: int) -> tuple[I64, I64]:
    """places (n,) in the history and keys (n,) of the entries to read, oldest first, n ≤ ``limit``.

    items, ts, weights, vectors: as in ``Reading``. A key stands for an entry's item, time, level and vector.
    Cost: O(limit d).
    """
    places = np.empty(limit, np.int64)
    n = 0
    for q in range(len(items)):
        if n == limit:
            break
        if not weights[q] > 0.0:
            continue
        known = False
        for d in range(vectors.shape[1]):
            if vectors[q, d] != 0.0:
                known = True
                break
        if known:
            places[n] = q
            n += 1
    if n == limit:
        least, start = np.int64(0x7FFFFFFFFFFFFFFF), n - 1
        for age in range(n - 1, limit // 2 - 1, -1):
            own = _mixed(items[places[age]], ts[places[age]])
            if own < least:
                least, start = own, age
        n = start + 1
    ordered, keys = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        q = places[n - 1 - i]
        ordered[i] = q
        told = _mixed(items[q], ts[q]) ^ np.int64(level(weights[q]))
        keys[i] = _mixed(told, np.int64(_print_of(vectors[q]) * 1048576.0))
    return ordered, keys


@kernel
def continued(keys: I64, before: I64) -> int:
    """How many entries of the window are already in what was read ``before``: all of those, or none."""
    if len(before) > len(keys):
        return 0
    for i in range(len(before)):
        if before[i] != keys[i]:
            return 0
    return len(before)
