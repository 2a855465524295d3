"""The compiled half of ``profile``: one pass over a history gives weights, tastes, interests and tag shares."""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel, reassociating, soon
from palate.state.history import kind_at, time_of, value_at
from palate.types import F32, F64, I32, I64

SHORT = 5
"""Liked entries in the short-term taste."""
INTERESTS = 3
LONG_HALF_LIFE = 30.0
"""Half-life of the long-term taste, in history entries."""
NEWEST_DECAY = 0.8
"""A liked entry, of the cosine with the nearest of the last ``SHORT``."""
DISLIKED = 10
"""Disliked entries that count against an item."""
_SAME = 0.8
"""Cosine above which nothing of a history is far enough from its interests to be another one."""


@reassociating
def dot(a: F32, b: F32) -> float:
    """Inner product of two float32 vectors, summed in lanes."""
    total = np.float32(0.0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return float(total)


@reassociating
def dots(vector: F32, probes: F32, out: F32) -> None:
    """out[p] = vector · probes[p], four probes at a time: a vector is read from memory once."""
    n = len(probes)
    for p in range(0, n - 3, 4):
        a, b, c, d = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for i in range(len(vector)):
            value = vector[i]
            a += value * probes[p, i]
            b += value * probes[p + 1, i]
            c += value * probes[p + 2, i]
            d += value * probes[p + 3, i]
        out[p], out[p + 1], out[p + 2], out[p + 3] = a, b, c, d
    for p in range(n - n % 4, n):
        out[p] = dot(vector, probes[p])


@kernel
def _add(into: F32, vector: F32, weight: float) -> None:
    w = np.float32(weight)
    for d in range(len(into)):
        into[d] += w * vector[d]


@kernel
def _to_unit(vector: F32) -> None:
    norm = np.sqrt(dot(vector, vector))
    if norm > 1e-9:
        scale = np.float32(1.0 / norm)
        for d in range(len(vector)):
            vector[d] *= scale


@kernel
def recall(
    keys: I32, words: I64, start: int, wide_kinds: I32, wide_values: F32, wide: int, table: F64,
    rating: int, own: float, spread: float, items: I32, times: I64, kinds: I32, weights: F64,
) -> None:  # fmt: skip
    """Items, times, types and signed weights, each (h,), of the history that lies from ``start`` on, newest first.

    A weight is the type's of ``table``, a rating's by how far it lies above ``own``: 1 + ½ (v − own) / spread, in
    [.1, 2], times its type's; having watched a film counts, having loved it counts more. rating: the type's code, −1
    where ratings aren't to be told apart.
    """
    h = len(items)
    for q in range(h):
        slot = start + h - 1 - q
        kind = kind_at(words, slot, start, wide_kinds, wide)
        items[q], times[q], kinds[q] = keys[slot], time_of(words[slot]), kind
        weights[q] = table[kind]
        if kind == rating:
            value = np.float64(value_at(words, slot, start, wide_values, wide))
            if np.isfinite(value):
                weights[q] *= min(2.0, max(0.1, 1.0 + 0.5 * (value - own) / spread))


@kernel
def tastes(
    items: I32, weights: F64, text_of: I32, vectors: F32,
    out: F32, interest_of: I64, last: I32, last_at: I64, hated: I32,
) -> tuple[int, int, int]:  # fmt: skip
    """Tastes into out (5, d), zeros; ``interest_of`` (h,); the newest liked and the disliked. Returns how many.

    As ``Subject`` describes them. vectors: (t, d) unit rows. Interests: farthest-first centres over the liked entries,
    one assignment, weighted means. Cost: O(h d), about 30 µs for 60 entries of 512 components.
    """
    h = len(items)
    liked = np.empty(h, np.int64)
    n, m = 0, 0
    for q in range(h):
        interest_of[q] = -1
        text = text_of[items[q]]
        if text < 0:
            continue
        if weights[q] > 0:
            liked[n] = q
            n += 1
        elif weights[q] < 0 and m < len(hated):
            hated[m] = text
            m += 1
    recent = min(n, SHORT)
    for place in range(recent):
        last[place], last_at[place] = text_of[items[liked[place]]], liked[place]
    if n == 0:
        return 0, 0, m
    for place in range(n):
        soon(vectors, text_of[items[liked[place]]], 16)
    near = np.zeros((INTERESTS, n), np.float32)
    farthest = np.float32(0.0)
    far = 0
    for place in range(n):
        vector = vectors[text_of[items[liked[place]]]]
        _add(out[0], vector, weights[liked[place]] * 0.5 ** (liked[place] / LONG_HALF_LIFE))
        if place < SHORT:
            _add(out[1], vector, float(weights[liked[place]]) * 0.8**place)
        near[0, place] = dot(vector, vectors[last[0]])
        if place == 0 or near[0, place] < farthest:
            farthest, far = near[0, place], place
    _to_unit(out[0])
    _to_unit(out[1])
    centres = 0
    if n >= 4:
        centres = 1
        while centres < INTERESTS and farthest <= _SAME:
            centre = vectors[text_of[items[liked[far]]]]
            least, lowest = 0, np.float32(np.inf)
            for place in range(n):
                near[centres, place] = dot(vectors[text_of[items[liked[place]]]], centre)
                nearest = near[0, place]
                for c in range(1, centres + 1):
                    nearest = max(nearest, near[c, place])
                if nearest < lowest:
                    least, lowest = place, nearest
            centres += 1
            farthest, far = lowest, least
        for place in range(n):
            mine = 0
            for c in range(1, centres):
                if near[c, place] > near[mine, place]:
                    mine = c
            interest_of[liked[place]] = mine
            _add(out[2 + mine], vectors[text_of[items[liked[place]]]], float(weights[liked[place]]))
        for c in range(centres):
            _to_unit(out[2 + c])
    return 2 + centres, recent, m


@kernel
def tag_shares(items: I32, weights: F64, tags: I32, n_tags: int, short: F32, long: F32) -> None:
    """Share of each tag among the positively weighted entries, decayed an entry (long) and of the last five (short).

    tags: (n, w) codes of the items, −1 none. short, long: (n_tags,), zeros; each sums to 1 afterwards, or stays 0.
    """
    whole, recent = 0.0, 0.0
    for q in range(len(items)):
        if weights[q] <= 0:
            continue
        w = weights[q] * 0.5 ** (q / LONG_HALF_LIFE)
        for place in range(tags.shape[1]):
            code = tags[items[q], place]
            if code < 0:
                continue
            long[code] += w
            whole += w
            if q < SHORT:
                short[code] += weights[q]
                recent += weights[q]
    for code in range(n_tags):
        if whole > 0:
            long[code] /= np.float32(whole)
        if recent > 0:
            short[code] /= np.float32(recent)


@kernel
def totals_of(counts: I32, ts: I64, session: int) -> tuple[int, int]:
    """Σ counts, and how many of ``ts`` (h,), newest first, lie within ``session`` ms of the newest."""
    total = recent = 0
    for place in range(len(counts)):
        total += counts[place]
    while recent < len(ts) and ts[recent] > ts[0] - session:
        recent += 1
    return total, recent
