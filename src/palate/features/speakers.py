"""Which entries of a history speak for an item: the two strongest, for reasons. Compiled.

They never name the item itself, nor an entry that was hidden or disliked.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.tastes import dot
from palate.types import F32, F64, I32, I64

TOP = 10
"""Features looked at for an item's reasons."""
TASTES = {
    "taste_long": (0, 0.5 ** (1 / 30)),
    "taste_interest": (0, 0.5 ** (1 / 30)),
    "taste_short": (5, 0.8),
    "taste_last": (5, 0.0),
}
"""Of each taste how many liked entries make it up (0: all) and how they decay, as ``liking`` takes them."""


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
def two_of(strength: F64, items: I32, weights: F64, target: int) -> tuple[int, int]:
    """Item rows of the entries with the largest ``strength`` (h,) that speak for ``target``: two different ones, −1
    where there are fewer."""
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
def liking(
    target: int, window: int, decay: float, interest: int,
    items: I32, weights: F64, interest_of: I64, text_of: I32, vectors: F32,
) -> F64:  # fmt: skip
    """(h,) how much each liked entry weighs in a taste that is near ``target``, which has a text.

    window: how many liked entries make up the taste (0: all). decay: per liked entry in a window, else per entry; 0:
    the taste is the nearest one of the window. interest: only entries of this interest; −1: any.
    """
    strength = np.zeros(len(items), np.float64)
    text = text_of[target]
    liked, best, nearest = 0, -1, -2.0
    for q in range(len(items)):
        mine = text_of[items[q]]
        if mine < 0 or weights[q] <= 0:
            continue
        if window > 0 and liked >= window:
            break
        near = dot(vectors[mine], vectors[text])
        if decay == 0.0:
            if near > nearest:
                best, nearest = q, near
        elif interest < 0 or interest_of[q] == interest:
            strength[q] = weights[q] * decay ** (liked if window > 0 else q) * max(0.0, near)
        liked += 1
    if best >= 0:
        strength[best] = 1.0
    return strength
