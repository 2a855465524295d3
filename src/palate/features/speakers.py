"""Which entries of a history speak for an item: compiled picks of the two strongest, for reasons.

They never name the item itself, nor an entry that was hidden or disliked.
"""

from __future__ import annotations

import numpy as np

from palate.features.columns import dot
from palate.features.neighbours import (
    EASE,
    EASE_LAST,
    EASE_RECENT,
    KAPPA,
    NEAR_20,
    NEAR_ALL,
    NEAR_LAST,
    NEAR_MAX,
    NEXT_1,
    NEXT_5,
    NEXT_COS,
)
from palate.kernels import kernel
from palate.state.rows import find
from palate.types import F32, F64, I32, I64

TOP = 10
"""Features looked at for an item's reasons."""


@kernel
def strongest(weights: F64, out: I32) -> None:
    """Places of the ``TOP`` largest positive of ``weights`` (k, f), largest first, −1 where fewer. out: (k, TOP)."""
    for row in range(weights.shape[0]):
        n = 0
        for place in range(weights.shape[1]):
            value = weights[row, place]
            if not value > 0 or (n == out.shape[1] and value <= weights[row, out[row, n - 1]]):
                continue
            if n < out.shape[1]:
                n += 1
            at = n - 1
            while at > 0 and weights[row, out[row, at - 1]] < value:
                out[row, at] = out[row, at - 1]
                at -= 1
            out[row, at] = place
        for at in range(n, out.shape[1]):
            out[row, at] = -1


@kernel
def lifts(x: F32, order: I64, prior: F64, out: F64) -> None:
    """out[n, c] = min(z, 3) (|prior[c]| + .02) of candidate ``order[n]``, z its standard score among all of x (m, f);
    0 where the feature is 0. out: (k, c), zeros."""
    m = x.shape[0]
    for c in range(len(prior)):
        total, squares = 0.0, 0.0
        for row in range(m):
            value = np.float64(x[row, c])
            total += value
            squares += value * value
        mean = total / max(1, m)
        scale = np.sqrt(max(0.0, squares / max(1, m) - mean * mean)) + 1e-6
        for n in range(len(order)):
            value = np.float64(x[order[n], c])
            if value != 0.0:
                out[n, c] = min((value - mean) / scale, 3.0) * (abs(prior[c]) + 0.02)


@kernel
def _two(strength: F64, items: I32, weights: F64, target: int) -> tuple[int, int]:
    """Item rows of the strongest entries that speak for ``target``: two different ones, −1 where fewer."""
    first, second = -1, -1
    for q in range(len(items)):
        if weights[q] <= 0 or items[q] == target or not strength[q] > 0:
            continue
        if first < 0 or strength[q] > strength[first]:
            if first < 0 or items[first] != items[q]:
                second = first
            first = q
        elif items[q] != items[first] and (second < 0 or strength[q] > strength[second]):
            second = q
    return (items[first] if first >= 0 else -1), (items[second] if second >= 0 else -1)


@kernel
def neighbours_of(
    target: int, channel: int, items: I32, weights: F64,
    keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32,
) -> tuple[int, int]:  # fmt: skip
    """The two items whose ``channel`` (see ``neighbours``) gives ``target`` most. Cost: O(history)."""
    strength = np.zeros(len(items), np.float64)
    newest = -1
    for q in range(len(items)):
        h, w = items[q], weights[q]
        if w <= 0:
            continue
        if newest < 0:
            newest = q
        if channel >= EASE:
            if h + 1 >= len(e_indptr):
                continue
            repeated = False
            if channel == EASE:
                for earlier in range(q):
                    repeated |= items[earlier] == h
            decay = 0.9**q if channel == EASE_RECENT else 0.5**q if channel == EASE_LAST else 1.0
            for at in range(e_indptr[h], e_indptr[h + 1]):
                if e_indices[at] == target and not repeated:
                    strength[q] = w * decay * e_values[at]
            continue
        if (
            h >= len(starts)
            or (channel == NEXT_1 and q != newest)
            or (channel in (NEXT_5, NEXT_COS) and q >= 5)
            or (channel in (NEAR_LAST, NEAR_20) and q >= 20)
        ):
            continue
        slot = find(keys, int(starts[h]), int(caps[h]), target)
        if slot < 0:
            continue
        n_h = counts[h] + KAPPA
        root = np.sqrt(n_h * (counts[target] + KAPPA))
        f, c = max(0, fwd[slot]) / 1000.0, max(0, co[slot]) / root
        if channel == NEXT_1:
            strength[q] = f / n_h
        elif channel == NEXT_5:
            strength[q] = w * 0.7**q * f / n_h
        elif channel == NEXT_COS:
            strength[q] = w * 0.7**q * f / root
        elif channel == NEAR_LAST:
            strength[q] = w * 0.5**q * c
        elif channel == NEAR_20:
            strength[q] = w * 0.9**q * c
        elif channel == NEAR_ALL:
            strength[q] = w * c
        elif channel == NEAR_MAX:
            strength[q] = c
    if channel == NEAR_MAX:  # a maximum comes from one entry alone
        best = -1
        for q in range(len(items)):
            if best >= 0 and strength[q] <= strength[best]:
                strength[q] = 0.0
            elif strength[q] > 0:
                if best >= 0:
                    strength[best] = 0.0
                best = q
    return _two(strength, items, weights, target)


@kernel
def alike(
    target: int, window: int, decay: float, interest: int,
    items: I32, weights: F64, interest_of: I64, text_of: I32, vectors: F32,
) -> tuple[int, int]:  # fmt: skip
    """The two liked items that weigh most in a taste that is near ``target``.

    window: how many liked entries make up the taste (0: all). decay: per liked entry in a window, else per entry; 0:
    the taste is the nearest one of the window. interest: only entries of this interest; −1: any.
    """
    strength = np.zeros(len(items), np.float64)
    text = text_of[target]
    liked, best = 0, -1
    for q in range(len(items)):
        mine = text_of[items[q]]
        if mine < 0 or weights[q] <= 0:
            continue
        if window > 0 and liked >= window:
            break
        near = dot(vectors[mine], vectors[text])
        if decay == 0.0:
            if best < 0 or near > strength[best]:
                if best >= 0:
                    strength[best] = 0.0
                best = q
                strength[q] = near
        elif interest < 0 or interest_of[q] == interest:
            strength[q] = weights[q] * decay ** (liked if window > 0 else q) * max(0.0, near)
        liked += 1
    return _two(strength, items, weights, target)
