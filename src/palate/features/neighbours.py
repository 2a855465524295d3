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
linar        Σ_{q<20} w .8^q L[h, j], L of the closed-form sequence model (``train.linar``)
linar_last   Σ_{q<20} w .5^q L[h, j]
near_session Σ_{q<s} w co / √((n_h + κ)(n_j + κ)) / √s, s entries of the newest session
===========  =====================================================================

Cost: O(history × neighbours), about 100 µs for 100 entries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.kernels import kernel, soon
from palate.state.rows import EMPTY, find
from palate.types import F32, F64, I32, I64

CHANNELS = 13
NEXT_1, NEXT_5, NEXT_COS, NEAR_LAST, NEAR_20, NEAR_ALL, NEAR_MAX = range(7)
EASE, EASE_RECENT, EASE_LAST, LINAR, LINAR_LAST, NEAR_SESSION = range(7, CHANNELS)
KAPPA = 5.0
LINAR_ENTRIES = 20
"""Newest history entries that ``linar`` looks at, in training and serving alike."""
LINAR_DECAY = 0.8
"""Of ``linar``, an entry."""
_MAYBE = 8192


_NO_ROWS: I64 = np.zeros(1, np.int64)
_NO_INDICES: I32 = np.zeros(0, np.int32)
_NO_VALUES: F32 = np.zeros(0, np.float32)


class Neighbours(NamedTuple):
    """Fitted weights as sparse rows over catalogue rows: indptr (n+1,), indices and values (nnz,).

    The first three are EASE's, those that begin with ``next`` the linear sequence model's.
    """

    indptr: I64
    indices: I32
    values: F32
    next_indptr: I64 = _NO_ROWS
    next_indices: I32 = _NO_INDICES
    next_values: F32 = _NO_VALUES


NO_EASE = Neighbours(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@kernel
def _add_pair(
    into: F64, r: int, q: int, newest: int, w: float, decayed: tuple[float, float, float, float], n_h: float, n_j: int,
    forward: int, both: int, scale: float,
) -> None:  # fmt: skip
    """Add to row ``r`` what the history entry ``q`` gives to an item with ``n_j`` interactions through their pair.

    decayed: ``_decayed`` of the entry.
    """
    near, half, follow, now = decayed
    root = np.sqrt(n_h * (n_j + KAPPA))
    f, c = max(0, forward) / 1000.0, max(0, both) / root
    if q == newest:
        into[r, NEXT_1] = f / n_h
    if q < 5:
        into[r, NEXT_5] += follow * f / n_h
        into[r, NEXT_COS] += follow * f / root
    if q < 20:
        into[r, NEAR_20] += near * c
        into[r, NEAR_LAST] += half * c
    into[r, NEAR_ALL] += w * c * scale
    into[r, NEAR_SESSION] += now * c
    if w > 0 and c > into[r, NEAR_MAX]:
        into[r, NEAR_MAX] = c


@kernel
def _add_ease(
    into: F64, r: int, w: float, decayed: tuple[float, float, float, float], value: float, repeated: bool
) -> None:
    """Add to row ``r`` what a history entry gives to an item through its EASE weight."""
    near, half, _, _ = decayed
    if not repeated:
        into[r, EASE] += w * value
    into[r, EASE_RECENT] += near * value
    into[r, EASE_LAST] += half * value


@kernel
def _decayed(w: float, q: int, session: int) -> tuple[float, float, float, float]:
    """The weight of entry ``q`` decayed by .9, .5 and .7 an entry; and its part in a session of so many entries."""
    return w * 0.9**q, w * 0.5**q, w * 0.7**q, w / np.sqrt(session) if q < session else 0.0


@kernel
def _newest(weights: F64) -> int:
    """Place of the newest positive entry, −1 where there is none."""
    for q in range(len(weights)):
        if weights[q] > 0:
            return q
    return -1


@kernel
def _repeated(items: I32, q: int) -> bool:
    """Whether a newer entry has the same item."""
    earlier = 0
    while earlier < q and items[earlier] != items[q]:
        earlier += 1
    return earlier < q


@kernel
def clear(rows: I32, n: int, strengths: F64, mark: I32) -> None:
    """Zero what ``accumulate`` wrote."""
    for place in range(n):
        mark[rows[place]] = 0
    strengths[:n] = 0.0


@kernel
def accumulate(
    items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32, l_indptr: I64, l_indices: I32, l_values: F32, session: int,
    rows: I32, strengths: F64, mark: I32,
) -> int:  # fmt: skip
    """Every reached item into ``rows`` (m,), what it gets into ``strengths`` (m, 13), zeros. Returns how many, −1 where
    there are more than ``rows`` has room for.

    items (h,) newest first, weights (h,) signed. ``mark`` (n,) must be zero: it gets the place of each item in
    ``rows``, from 1 on; ``clear`` resets it and ``strengths``.
    """
    n = 0
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = _newest(weights)
    for q in range(len(items)):
        h, w = items[q], weights[q]
        decayed = _decayed(w, q, session)
        n_h = float(counts[h]) + KAPPA
        first = starts[h] if h < len(starts) else 0
        pairs = caps[h] if h < len(starts) else 0
        e_first = e_indptr[h] if h + 1 < len(e_indptr) else 0
        near = e_indptr[h + 1] - e_first if h + 1 < len(e_indptr) else 0
        l_first = l_indptr[h] if q < LINAR_ENTRIES and h + 1 < len(l_indptr) else 0
        follows = l_indptr[h + 1] - l_first if q < LINAR_ENTRIES and h + 1 < len(l_indptr) else 0
        if n + pairs + near + follows > len(rows):
            clear(rows, n, strengths, mark)
            return -1
        for slot in range(first, first + pairs):  # what each needs is asked for before it is waited for
            j = keys[slot]
            if j != EMPTY and j < len(mark):
                soon(mark, j, 1)
                soon(counts, j, 1)
        for at in range(e_first, e_first + near):
            if e_indices[at] < len(mark):
                soon(mark, e_indices[at], 1)
        for at in range(l_first, l_first + follows):
            if l_indices[at] < len(mark):
                soon(mark, l_indices[at], 1)
        for slot in range(first, first + pairs):
            j = keys[slot]
            if j == EMPTY or j >= len(mark) or (fwd[slot] <= 0 and co[slot] <= 0):
                continue
            if mark[j] == 0:
                rows[n] = j
                n += 1
                mark[j] = n
            _add_pair(
                strengths, int(mark[j]) - 1, q, newest, w, decayed, n_h, int(counts[j]), fwd[slot], co[slot], scale
            )
        repeated = bool(near > 0) and _repeated(items, q)
        for at in range(e_first, e_first + near):
            j = e_indices[at]
            if j >= len(mark):
                continue
            if mark[j] == 0:
                rows[n] = j
                n += 1
                mark[j] = n
            _add_ease(strengths, int(mark[j]) - 1, w, decayed, e_values[at], repeated)
        worth = w * LINAR_DECAY**q
        for at in range(l_first, l_first + follows):
            j = l_indices[at]
            if j >= len(mark):
                continue
            if mark[j] == 0:
                rows[n] = j
                n += 1
                mark[j] = n
            strengths[mark[j] - 1, LINAR] += worth * l_values[at]
            strengths[mark[j] - 1, LINAR_LAST] += decayed[1] * l_values[at]
    return n


@kernel
def taken(rows: I32, strengths: F64, mark: I32) -> F64:
    """(m, 13) strengths of ``rows`` after ``accumulate``, zeros where they weren't reached."""
    out = np.zeros((len(rows), CHANNELS), np.float64)
    for m in range(len(rows)):
        if mark[rows[m]] > 0:
            out[m] = strengths[mark[rows[m]] - 1]
    return out


@kernel
def gather(
    rows: I32, items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32, l_indptr: I64, l_indices: I32, l_values: F32, session: int,
    mark: I32, out: F64,
) -> None:  # fmt: skip
    """What ``accumulate`` gives for ``rows`` (m,) alone, in the same order of sums: out (m, 13), zeros.

    ``mark`` (n,) must be zero, and is again afterwards. A pair row is read along where it is short, and asked for each
    candidate where it is long. What ``maybe`` doesn't know isn't among the rows: it fits the nearest cache, ``mark``
    doesn't.
    """
    maybe = np.zeros(_MAYBE, np.uint8)
    touched = np.empty(len(rows), np.int64)
    for m in range(len(rows)):
        mark[rows[m]] = m + 1
        maybe[rows[m] & (_MAYBE - 1)] = 1
        touched[m] = counts[rows[m]]
    n_marked = len(mark)
    for q in range(len(items)):  # what is read along is on its way before the first of it is needed
        h = items[q]
        soon(counts, h, 1)
        if h < len(starts):
            soon(keys, starts[h], 4)
        if h + 1 < len(e_indptr):
            soon(e_indices, e_indptr[h], 2)
        if q < LINAR_ENTRIES and h + 1 < len(l_indptr):
            soon(l_indices, l_indptr[h], 2)
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = _newest(weights)
    for q in range(len(items)):
        h, w = items[q], weights[q]
        decayed = _decayed(w, q, session)
        n_h = float(counts[h]) + KAPPA
        if h < len(starts):
            first = int(starts[h])
            if caps[h] > 8 * len(rows):
                for m in range(len(rows)):
                    slot = find(keys, first, int(caps[h]), int(rows[m]))
                    if slot >= 0:
                        _add_pair(out, m, q, newest, w, decayed, n_h, int(touched[m]), fwd[slot], co[slot], scale)
            else:
                for block in range(first, first + caps[h], 4):  # capacities are multiples of four
                    if not (
                        maybe[keys[block] & (_MAYBE - 1)] | maybe[keys[block + 1] & (_MAYBE - 1)]
                        | maybe[keys[block + 2] & (_MAYBE - 1)] | maybe[keys[block + 3] & (_MAYBE - 1)]
                    ):  # fmt: skip
                        continue
                    for slot in range(block, block + 4):
                        j = keys[slot]
                        if maybe[j & (_MAYBE - 1)] == 0 or j == EMPTY or j >= n_marked or mark[j] == 0:
                            continue
                        m = int(mark[j]) - 1
                        _add_pair(out, m, q, newest, w, decayed, n_h, int(touched[m]), fwd[slot], co[slot], scale)
        if h + 1 < len(e_indptr):
            repeated = _repeated(items, q)
            for at in range(e_indptr[h], e_indptr[h + 1]):
                j = e_indices[at]
                if maybe[j & (_MAYBE - 1)] != 0 and j < n_marked and mark[j] != 0:
                    _add_ease(out, int(mark[j]) - 1, w, decayed, e_values[at], repeated)
        if q < LINAR_ENTRIES and h + 1 < len(l_indptr):
            worth = w * LINAR_DECAY**q
            for at in range(l_indptr[h], l_indptr[h + 1]):
                j = l_indices[at]
                if maybe[j & (_MAYBE - 1)] != 0 and j < n_marked and mark[j] != 0:
                    out[mark[j] - 1, LINAR] += worth * l_values[at]
                    out[mark[j] - 1, LINAR_LAST] += decayed[1] * l_values[at]
    for m in range(len(rows)):
        mark[rows[m]] = 0


@kernel
def parts(
    target: int, items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32, l_indptr: I64, l_indices: I32, l_values: F32, session: int,
) -> F64:  # fmt: skip
    """What each history entry gives to one item: (13, h), summing to ``accumulate``'s row (near_max: the maximum)."""
    out = np.zeros((len(items), CHANNELS), np.float64)
    scale = 1.0 / np.sqrt(max(1, len(items)))
    newest = _newest(weights)
    best = -1
    for q in range(len(items)):
        h, w = items[q], weights[q]
        decayed = _decayed(w, q, session)
        slot = find(keys, int(starts[h]), int(caps[h]), target) if h < len(starts) else -1
        if slot >= 0:
            _add_pair(
                out, q, q, newest, w, decayed, float(counts[h]) + KAPPA, int(counts[target]), fwd[slot], co[slot], scale
            )
            if best < 0 or out[q, NEAR_MAX] > out[best, NEAR_MAX]:
                if best >= 0:
                    out[best, NEAR_MAX] = 0.0
                best = q
            else:
                out[q, NEAR_MAX] = 0.0
        if h + 1 < len(e_indptr):
            repeated = _repeated(items, q)
            for at in range(e_indptr[h], e_indptr[h + 1]):
                if e_indices[at] == target:
                    _add_ease(out, q, w, decayed, e_values[at], repeated)
        if q < LINAR_ENTRIES and h + 1 < len(l_indptr):
            for at in range(l_indptr[h], l_indptr[h + 1]):
                if l_indices[at] == target:
                    out[q, LINAR] += w * LINAR_DECAY**q * l_values[at]
                    out[q, LINAR_LAST] += decayed[1] * l_values[at]
    return np.ascontiguousarray(out.T)
