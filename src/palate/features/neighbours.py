"""Item-to-item strength from a history to every item that it reaches, in one pass. Compiled.

For the history entry at recency q (0 is the newest) with item h and weight w, and its pair (h → j) with
``fwd`` and ``co`` (see ``state.fold``), n the interaction counts and κ = 5 against rare items:

===========  =====================================================================
next_1       fwd / (1000 (n_h + κ)), newest positive entry only
next_5       Σ_{q<5} w .7^q fwd / (1000 (n_h + κ))
next_cos     Σ_{q<5} w .7^q fwd / (1000 √((n_h + κ)(n_j + κ)))
near_last    Σ_{q<20} w .5^q co / √((n_h + κ)(n_j + κ))
near_20      Σ_{q<20} w .9^q co / √((n_h + κ)(n_j + κ))
near_all     Σ w co / √((n_h + κ)(n_j + κ)) / √(entries)
near_max     max of the cosine, w > 0
ease         Σ w B[h, j] over the distinct items
ease_recent  Σ w .9^q B[h, j]
ease_last    Σ w .5^q B[h, j]
===========  =====================================================================

Cost: O(history × neighbours), about 100 µs for 100 entries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.kernels import kernel
from palate.state.rows import EMPTY, find
from palate.types import F32, F64, I32, I64

CHANNELS = 10
NEXT_1, NEXT_5, NEXT_COS, NEAR_LAST, NEAR_20, NEAR_ALL, NEAR_MAX, EASE, EASE_RECENT, EASE_LAST = range(CHANNELS)
KAPPA = 5.0


class Neighbours(NamedTuple):
    """EASE weights as sparse rows over catalogue rows: indptr (n+1,), indices and values (nnz,)."""

    indptr: I64
    indices: I32
    values: F32


NO_EASE = Neighbours(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@kernel
def accumulate(
    items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32,
    scratch: F64, touched: I32, mark: I32,
) -> int:  # fmt: skip
    """Fill ``scratch`` (n, 10) for every reached item; ``touched`` lists them. Returns how many.

    items (h,) newest first, weights (h,) signed. ``scratch`` and ``mark`` (n,) must be zero; ``clear`` resets them.
    """
    n = 0
    n_scratch = len(mark)
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = -1
    for q in range(len(items)):
        if weights[q] > 0:
            newest = q
            break
    for q in range(len(items)):
        h, w = items[q], weights[q]
        near = 0.9**q
        half = 0.5**q
        follow = 0.7**q
        n_h = counts[h] + KAPPA
        if h < len(starts):
            for slot in range(starts[h], starts[h] + caps[h]):
                j = keys[slot]
                if j == EMPTY or j >= n_scratch or (fwd[slot] <= 0 and co[slot] <= 0):
                    continue
                if mark[j] == 0:
                    mark[j] = 1
                    touched[n] = j
                    n += 1
                root = np.sqrt(n_h * (counts[j] + KAPPA))
                f = max(0, fwd[slot]) / 1000.0
                c = max(0, co[slot]) / root
                if q == newest:
                    scratch[j, NEXT_1] = f / n_h
                if q < 5:
                    scratch[j, NEXT_5] += w * follow * f / n_h
                    scratch[j, NEXT_COS] += w * follow * f / root
                if q < 20:
                    scratch[j, NEAR_20] += w * near * c
                    scratch[j, NEAR_LAST] += w * half * c
                scratch[j, NEAR_ALL] += w * c * scale
                if w > 0 and c > scratch[j, NEAR_MAX]:
                    scratch[j, NEAR_MAX] = c
        if h + 1 < len(e_indptr):
            repeated = False
            for earlier in range(q):
                if items[earlier] == h:
                    repeated = True
                    break
            for at in range(e_indptr[h], e_indptr[h + 1]):
                j = e_indices[at]
                if j >= n_scratch:
                    continue
                if mark[j] == 0:
                    mark[j] = 1
                    touched[n] = j
                    n += 1
                if not repeated:
                    scratch[j, EASE] += w * e_values[at]
                scratch[j, EASE_RECENT] += w * near * e_values[at]
                scratch[j, EASE_LAST] += w * half * e_values[at]
    return n


@kernel
def gather(
    rows: I32, items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32,
    mark: I32, out: F64,
) -> None:  # fmt: skip
    """What ``accumulate`` gives for ``rows`` (m,) alone, in the same order of sums: out (m, 10), zeros.

    ``mark`` (n,) must be zero, and is again afterwards. A pair row is read along where it is short, and asked for each
    candidate where it is long.
    """
    for m in range(len(rows)):
        mark[rows[m]] = m + 1
    n_marked = len(mark)
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = -1
    for q in range(len(items)):
        if weights[q] > 0:
            newest = q
            break
    slots = np.empty(len(rows), np.int64)
    places = np.empty(len(rows), np.int64)
    for q in range(len(items)):
        h, w = items[q], weights[q]
        near, half, follow = 0.9**q, 0.5**q, 0.7**q
        n_h = counts[h] + KAPPA
        found = 0
        if h < len(starts):
            if caps[h] > 3 * len(rows):
                for m in range(len(rows)):
                    slot = find(keys, int(starts[h]), int(caps[h]), int(rows[m]))
                    if slot >= 0:
                        slots[found], places[found] = slot, m
                        found += 1
            else:
                for slot in range(starts[h], starts[h] + caps[h]):
                    j = keys[slot]
                    if j == EMPTY or j >= n_marked or mark[j] == 0:
                        continue
                    slots[found], places[found] = slot, mark[j] - 1
                    found += 1
        for at in range(found):
            slot, m = slots[at], places[at]
            if fwd[slot] <= 0 and co[slot] <= 0:
                continue
            root = np.sqrt(n_h * (counts[rows[m]] + KAPPA))
            f = max(0, fwd[slot]) / 1000.0
            c = max(0, co[slot]) / root
            if q == newest:
                out[m, NEXT_1] = f / n_h
            if q < 5:
                out[m, NEXT_5] += w * follow * f / n_h
                out[m, NEXT_COS] += w * follow * f / root
            if q < 20:
                out[m, NEAR_20] += w * near * c
                out[m, NEAR_LAST] += w * half * c
            out[m, NEAR_ALL] += w * c * scale
            if w > 0 and c > out[m, NEAR_MAX]:
                out[m, NEAR_MAX] = c
        if h + 1 < len(e_indptr):
            repeated = False
            for earlier in range(q):
                if items[earlier] == h:
                    repeated = True
                    break
            for at in range(e_indptr[h], e_indptr[h + 1]):
                j = e_indices[at]
                if j >= n_marked or mark[j] == 0:
                    continue
                m = mark[j] - 1
                if not repeated:
                    out[m, EASE] += w * e_values[at]
                out[m, EASE_RECENT] += w * near * e_values[at]
                out[m, EASE_LAST] += w * half * e_values[at]
    for m in range(len(rows)):
        mark[rows[m]] = 0


@kernel
def clear(scratch: F64, touched: I32, n: int, mark: I32) -> None:
    """Zero what ``accumulate`` wrote."""
    for place in range(n):
        j = touched[place]
        mark[j] = 0
        for channel in range(CHANNELS):
            scratch[j, channel] = 0.0


@kernel
def parts(
    target: int, items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32,
) -> F64:  # fmt: skip
    """What each history entry gives to one item: (10, h), summing to ``accumulate``'s row (near_max: the maximum)."""
    out = np.zeros((CHANNELS, len(items)), np.float64)
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = -1
    best, best_at = 0.0, -1
    for q in range(len(items)):
        h, w = items[q], weights[q]
        if newest < 0 and w > 0:
            newest = q
        near, half, follow, n_h = 0.9**q, 0.5**q, 0.7**q, counts[h] + KAPPA
        slot = find(keys, int(starts[h]), int(caps[h]), target) if h < len(starts) else -1
        if slot >= 0:
            root = np.sqrt(n_h * (counts[target] + KAPPA))
            f, c = max(0, fwd[slot]) / 1000.0, max(0, co[slot]) / root
            if q == newest:
                out[NEXT_1, q] = f / n_h
            if q < 5:
                out[NEXT_5, q] = w * follow * f / n_h
                out[NEXT_COS, q] = w * follow * f / root
            if q < 20:
                out[NEAR_20, q] = w * near * c
                out[NEAR_LAST, q] = w * half * c
            out[NEAR_ALL, q] = w * c * scale
            if w > 0 and c > best:
                best, best_at = c, q
        if h + 1 < len(e_indptr):
            repeated = False
            for earlier in range(q):
                if items[earlier] == h:
                    repeated = True
            for at in range(e_indptr[h], e_indptr[h + 1]):
                if e_indices[at] == target:
                    if not repeated:
                        out[EASE, q] = w * e_values[at]
                    out[EASE_RECENT, q] = w * near * e_values[at]
                    out[EASE_LAST, q] = w * half * e_values[at]
    if best_at >= 0:
        out[NEAR_MAX, best_at] = best
    return out
