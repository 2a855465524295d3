"""Kernels of the hybrid factorisation: one block of BPR or WARP steps, and Adagrad on what it left.

A block reads vectors that stand still and adds up gradients per item; they are applied to ids and features after it.
One thread and one generator: the same arguments give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.kernels import kernel, reassociating
from palate.towers.hybrid import LATEST, LEAST
from palate.types import F32, I32, I64, U64, Bools

BPR, WARP = 0, 1


@kernel
def draw(state: U64) -> Any:
    """The next 64 bits of SplitMix64 (Steele 2014); ``state`` (1,) moves on."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def chance(state: U64) -> Any:
    """Uniform in [0, 1)."""
    return np.float64(draw(state) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def latest(items: I32, weights: F32, start: Any, stop: Any, decay: float, stamp: I64, rows: I32, shares: F32) -> int:
    """Distinct items of places ``stop − 1`` down to ``start``, newest first, as a tower reads them; how many.

    shares: decay^age · weight, scaled to sum 1. stamp (n,): a workspace of −1, and left so.
    """
    size, total, strength = 0, 0.0, 1.0
    at = stop - 1
    while at >= start and size < len(rows) and strength >= LEAST:
        item = items[at]
        if stamp[item] < 0:
            stamp[item] = 1
            rows[size] = item
            shares[size] = strength * weights[at]
            total += shares[size]
            size += 1
            strength *= decay
        at -= 1
    for place in range(size):
        stamp[rows[place]] = -1
        shares[place] /= total
    return size


@kernel
def _had(sorted_items: I32, start: Any, stop: Any, item: Any) -> bool:
    """Whether ``item`` is in the ascending ``sorted_items[start:stop]``."""
    low, high = start, stop
    while low < high:
        middle = (low + high) // 2
        if sorted_items[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low < stop and sorted_items[low] == item


@reassociating
def block(
    places: I64, items: I32, weights: F32, starts: I64, owner: I32, had: I32, had_start: I64, pool: I32,
    out_whole: F32, out_told: F32, in_whole: F32, in_told: F32, own_out: F32, all_out: F32, own_in: F32, all_in: F32,
    touched_out: Bools, touched_in: Bools, k: int, loss: int, tries: int, decay: float, drop: float, stamp: I64,
    state: U64,
) -> float:  # fmt: skip
    """Gradients of one block; returns the sum of its losses.

    places (b,): events, as places of ``items`` (m,), which are sorted by person and time; starts (m,): where each
    event's person begins; had: each person's items, ascending, from ``had_start[owner]``. pool: negatives are drawn
    from it. out_… (n, k + 1), in_… (n, ≥ k): item vectors with ids (whole) and without (told by features alone).
    own_…, all_…: gradients for ids and for features. An item goes without its id with probability ``drop``.
    """
    rows, shares = np.empty(LATEST, np.int32), np.empty(LATEST, np.float32)
    bare = np.empty(LATEST, np.bool_)
    person, change = np.empty(k, np.float32), np.empty(k, np.float32)
    total = 0.0
    for step in range(len(places)):
        place = places[step]
        target, who = items[place], owner[place]
        size = latest(items, weights, starts[place], place, decay, stamp, rows, shares)
        person[:] = np.float32(0.0)
        for at in range(size):
            bare[at] = drop > 0 and chance(state) < drop
            vector = in_told[rows[at]] if bare[at] else in_whole[rows[at]]
            for c in range(k):
                person[c] += shares[at] * vector[c]
        bare_target = drop > 0 and chance(state) < drop
        up = out_told[target] if bare_target else out_whole[target]
        good = up[k]
        for c in range(k):
            good += person[c] * up[c]
        strength, bare_other, other = 0.0, False, -1
        for trial in range(tries if loss == WARP else 1):
            other = pool[draw(state) % np.uint64(len(pool))]
            if other == target or _had(had, had_start[who], had_start[who + 1], other):
                continue
            bare_other = drop > 0 and chance(state) < drop
            down = out_told[other] if bare_other else out_whole[other]
            bad = down[k]
            for c in range(k):
                bad += person[c] * down[c]
            if loss == BPR:
                margin = np.float64(good - bad)
                strength = 1.0 / (1.0 + np.exp(margin))
                total += weights[place] * np.log1p(np.exp(-abs(margin))) + weights[place] * max(0.0, -margin)
                break
            if bad > good - np.float32(1.0):
                strength = np.log(max(1.0, np.floor((len(pool) - 1) / (trial + 1))))
                total += weights[place] * strength * (1.0 - good + bad)
                break
        if strength == 0.0:
            continue
        force = np.float32(strength * weights[place])
        down = out_told[other] if bare_other else out_whole[other]
        for c in range(k):
            change[c] = force * (down[c] - up[c])
        for sign in range(2):
            row = target if sign == 0 else other
            push = -force if sign == 0 else force
            into = all_out[row]
            for c in range(k):
                into[c] += push * person[c]
            into[k] += push
            if not (bare_target if sign == 0 else bare_other):
                into = own_out[row]
                for c in range(k):
                    into[c] += push * person[c]
                into[k] += push
            touched_out[row] = True
        for at in range(size):
            row = rows[at]
            into = all_in[row]
            for c in range(k):
                into[c] += shares[at] * change[c]
            if not bare[at]:
                into = own_in[row]
                for c in range(k):
                    into[c] += shares[at] * change[c]
            touched_in[row] = True
    return total


@kernel
def adagrad(values: F32, squares: F32, gradient: F32, touched: Bools, rate: float) -> None:
    """Adagrad (Duchi 2011) on the touched rows; the gradient is zeroed."""
    for row in range(len(values)):
        if touched[row]:
            for c in range(values.shape[1]):
                g = gradient[row, c]
                squares[row, c] += g * g
                values[row, c] -= np.float32(rate) * g / np.sqrt(squares[row, c])
                gradient[row, c] = np.float32(0.0)


@kernel
def gather(indptr: I64, codes: I32, shares: F32, vectors: F32, out: F32) -> None:
    """out[row] += Σ share · vectors[code] over the sparse features of each row."""
    for row in range(len(indptr) - 1):
        into = out[row]
        for at in range(indptr[row], indptr[row + 1]):
            vector = vectors[codes[at]]
            for c in range(out.shape[1]):
                into[c] += shares[at] * vector[c]


@kernel
def scatter(indptr: I64, codes: I32, shares: F32, gradient: F32, touched: Bools, out: F32, marked: Bools) -> None:
    """The transpose of ``gather``, of touched rows; ``marked``: the features it reached."""
    for row in range(len(indptr) - 1):
        if touched[row]:
            for at in range(indptr[row], indptr[row + 1]):
                into = out[codes[at]]
                marked[codes[at]] = True
                for c in range(out.shape[1]):
                    into[c] += shares[at] * gradient[row, c]


@kernel
def read_people(
    places: I64, items: I32, weights: F32, starts: I64, vectors: F32, decay: float, stamp: I64, out: F32
) -> None:
    """out (b, k): the person's vector just before each event."""
    rows, shares = np.empty(LATEST, np.int32), np.empty(LATEST, np.float32)
    for step in range(len(places)):
        size = latest(items, weights, starts[places[step]], places[step], decay, stamp, rows, shares)
        for at in range(size):
            for c in range(out.shape[1]):
                out[step, c] += shares[at] * vectors[rows[at], c]


@kernel
def ranks(
    scores: F32, targets: I32, whose: I32, first: I64, had: I32, had_first: I64, had_start: I64, allowed: Bools,
    out: Any,
) -> None:  # fmt: skip
    """out (b,): the mid-rank of each target among ``allowed`` items that its person hadn't met by then.

    had_first: when (place) the person first had each item of ``had``; first (b,): the place of the event.
    """
    for row in range(len(targets)):
        mine = scores[row, targets[row]]
        above, level = 0, 0
        for item in range(scores.shape[1]):
            if allowed[item] and item != targets[row]:
                above += scores[row, item] > mine
                level += scores[row, item] == mine
        for at in range(had_start[whose[row]], had_start[whose[row] + 1]):
            item = had[at]
            if item != targets[row] and allowed[item] and had_first[at] < first[row]:
                above -= scores[row, item] > mine
                level -= scores[row, item] == mine
        out[row] = 1 + above + 0.5 * level
