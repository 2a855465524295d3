"""Which features speak for an item, and which entries of a history: the two strongest of each, for reasons. Compiled.

Entries never name the item itself, nor one that was hidden or disliked.
"""

from __future__ import annotations

import numpy as np

from palate.features.declared import FEATURES, NAMES, column
from palate.features.neighbours import parts
from palate.kernels import kernel
from palate.tastes import NEWEST_DECAY, dot
from palate.types import F32, F64, I32, I64

SPOKEN = 4
"""Reasons found for an item, at most."""
SIZEABLE = 1 / 3
"""Share of the strongest reason's size from which another may be said before it."""
_LEAST = 0.1
"""The share from which a second one is said at all."""
TASTES = {
    "taste_long": (0, 0.5 ** (1 / 30)),
    "taste_interest": (0, 0.5 ** (1 / 30)),
    "taste_short": (5, 0.8),
    "taste_newest": (5, -NEWEST_DECAY),
    "words_last": (1, 0.8),
}
"""Of each taste how many liked entries make it up (0: all) and how they decay, as ``liking`` takes them."""

CODES: list[str] = ["", *sorted({feature.reason for feature in FEATURES if feature.reason})]
"""The codes of reasons; features without one have the first."""
CODE_OF: I32 = np.array([CODES.index(feature.reason or "") for feature in FEATURES], np.int32)
"""(f,) the code of every feature, as its place in ``CODES``."""
_N_CODES = len(CODES)
_WINDOWS = np.array([TASTES.get(name, (-1, 0.0))[0] for name in NAMES], np.int64)
_DECAYS = np.array([TASTES.get(name, (-1, 0.0))[1] for name in NAMES], np.float64)
_BECAUSE, _TASTE, _TAG, _TRENDING, _POPULAR, _NEW, _FRIENDS = (
    CODES.index(code) for code in ("because_of", "taste", "tag", "trending", "popular", "new", "friends")
)
_POP_SHORT, _POP_ALL, _NEXT_1, _INTEREST = (
    column(name) for name in ("pop_short", "pop_all", "next_1", "taste_interest")
)
_QUERY, _MEANING = CODES.index("query"), column("query_meaning")
_MEANT = 0.3
"""Cosine from which a text is said to be close in meaning to a query."""
_RECENT = np.log1p(30.0)
"""log days up to which an item is called new."""
_SEVERAL = np.log1p(1.5)
"""``friends_had`` from which at least two people had it: what one person had is said to nobody."""


@kernel
def _holds(code: int, place: int, x: F32) -> bool:
    """Whether the value of a feature says what the words of its reason say."""
    if code == _TRENDING:
        return x[_POP_SHORT] > 0
    if code == _POPULAR:
        return x[place] > 0 and x[_POP_ALL] > 0
    if code == _FRIENDS:
        return x[place] > _SEVERAL
    if code == _QUERY and place == _MEANING:
        return x[place] >= _MEANT
    return x[place] < _RECENT if code == _NEW else x[place] > 0


@kernel
def sizes(weights: F64, x: F32, out: F64, best: I64) -> None:
    """What each code of reasons adds up to, and its strongest feature that may speak. weights, x: (≥ f,).

    out: (codes,), Σ of the ``weights`` of a code's features, those against the item too. best: (codes,), −1 for none.
    """
    out[:] = 0.0
    best[:] = -1
    for place in range(len(CODE_OF)):
        code, value = CODE_OF[place], weights[place]
        if code == 0 or value == 0.0:
            continue
        out[code] += value
        if value > 0.0 and (best[code] < 0 or value > weights[best[code]]) and _holds(int(code), int(place), x):
            best[code] = place


@kernel
def lifts(x: F32, order: I64, prior: F64, out: F64) -> None:
    """out[n, c] = min(z, 3) (|prior[c]| + .02) of candidate ``order[n]``, z its standard score among all of x (m, f);
    0 where the feature is 0. out: (k, c), zeros."""
    m, f = x.shape[0], len(prior)
    mean, scale = np.zeros(f, np.float64), np.zeros(f, np.float64)  # sums at first
    for row in range(m):
        for c in range(f):
            value = np.float64(x[row, c])
            mean[c] += value
            scale[c] += value * value
    for c in range(f):
        mean[c] /= max(1, m)
        scale[c] = np.sqrt(max(0.0, scale[c] / max(1, m) - mean[c] * mean[c])) + 1e-6
    for n in range(len(order)):
        for c in range(f):
            value = np.float64(x[order[n], c])
            if value != 0.0:
                out[n, c] = min((value - mean[c]) / scale[c], 3.0) * (abs(prior[c]) + 0.02)


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
def shared(strength: F64, weights: F64, worth: F64) -> F64:
    """(h,) what each liked entry gives to the features of going together: their ``weights`` above 0, by its share of
    each. strength: (13, h) of ``neighbours.parts``; weights: (≥ f,); worth: (h,) of the entries."""
    out = np.zeros(strength.shape[1], np.float64)
    for channel in range(strength.shape[0]):
        weight, whole = weights[_NEXT_1 + channel], 0.0
        for q in range(len(out)):
            if worth[q] > 0 and strength[channel, q] > 0:
                whole += strength[channel, q]
        if weight > 0 and whole > 0:
            for q in range(len(out)):
                if worth[q] > 0 and strength[channel, q] > 0:
                    out[q] += weight * strength[channel, q] / whole
    return out


@kernel
def liking(
    target: int, window: int, decay: float, interest: int,
    items: I32, weights: F64, interest_of: I64, text_of: I32, vectors: F32,
) -> F64:  # fmt: skip
    """(h,) how much each liked entry weighs in a taste that is near ``target``, which has a text.

    window: how many liked entries make up the taste (0: all). decay: per liked entry in a window, else per entry;
    below 0: the taste is the nearest one of the window, whose cosines fade by −decay. interest: only entries of this
    interest; −1: any.
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
        if decay < 0.0:
            near *= (-decay) ** liked
            if near > nearest:
                best, nearest = q, near
        elif interest < 0 or interest_of[q] == interest:
            strength[q] = weights[q] * decay ** (liked if window > 0 else q) * max(0.0, near)
        liked += 1
    if best >= 0:
        strength[best] = 1.0
    return strength


@kernel
def _two_tags(tags: I32, liked: F32) -> tuple[int, int]:
    """The two of an item's ``tags`` that weigh most in a profile, −1 where there are fewer."""
    first, second = -1, -1
    for place in range(len(tags)):
        code = tags[place]
        if code < 0 or code >= len(liked) or not liked[code] > 0 or code == first:
            continue
        if first < 0 or liked[code] > liked[first] or (liked[code] == liked[first] and code < first):
            first, second = code, first
        elif second < 0 or liked[code] > liked[second] or (liked[code] == liked[second] and code < second):
            second = code
    return first, second


@kernel
def speak(
    rows: I32, weights: F64, x: F32, items: I32, worth: F64, interest_of: I64, tastes: F32, tags_long: F32,
    text_of: I32, vectors: F32, tags: I32, keys: I32, fwd: I32, co: I32, starts: I64, caps: I32, counts: I64,
    e_indptr: I64, e_indices: I32, e_values: F32, l_indptr: I64, l_indices: I32, l_values: F32, session: int, out: I32,
) -> None:  # fmt: skip
    """The features that speak for each of ``rows`` (k,), and who or what they name. out: (k, SPOKEN, 4).

    weights: (k, ≥ f) of the features ``x`` (k, ≥ f). A code is as large as the ``weights`` of its features together
    (``sizes``), and speaks once, by its strongest feature whose value says what its words say: nothing is "popular"
    for being less unpopular than others. Largest first: two, and of the others those that are ``SIZEABLE``. out[n, r]:
    the feature, −1 for none; two history rows, or two tags, −1 where there are fewer; and 1 where it is sizeable, else
    0. items, worth: of the history.
    """
    size, best = np.empty(_N_CODES, np.float64), np.empty(_N_CODES, np.int64)
    out[:] = -1
    for n in range(len(rows)):
        sizes(weights[n], x[n], size, best)
        said, whole = 0, 0.0
        while said < SPOKEN:
            code = 0
            for other in range(1, _N_CODES):
                if best[other] >= 0 and size[other] > (size[code] if code else 0.0):
                    code = other
            if code == 0:
                break
            share = size[code] / whole if said else 1.0
            if share < (_LEAST if said < 2 else SIZEABLE):
                break
            place = best[code]
            best[code] = -1
            first, second = -1, -1
            if code in (_TAG, _NEW):
                first, second = _two_tags(tags[rows[n]], tags_long)
            elif code == _BECAUSE:
                strength = parts(
                    rows[n], items, worth, keys, fwd, co, starts, caps, counts, e_indptr, e_indices, e_values,
                    l_indptr, l_indices, l_values, session,
                )  # fmt: skip
                first, second = two_of(shared(strength, weights[n], worth), items, worth, rows[n])
            elif code == _TASTE:
                text = text_of[rows[n]]
                if text < 0:
                    continue
                interest = -1
                if place == _INTEREST and len(tastes) > 2:
                    interest, nearest = 0, dot(vectors[text], tastes[2])
                    for q in range(3, len(tastes)):
                        near = dot(vectors[text], tastes[q])
                        if near > nearest:
                            interest, nearest = q - 2, near
                liked = liking(
                    rows[n],
                    int(_WINDOWS[place]),
                    float(_DECAYS[place]),
                    interest,
                    items,
                    worth,
                    interest_of,
                    text_of,
                    vectors,
                )
                first, second = two_of(liked, items, worth, rows[n])
            if first < 0 and code in (_TAG, _BECAUSE, _TASTE):
                continue
            if said == 0:
                whole = size[code]
            out[n, said, 0], out[n, said, 1], out[n, said, 2] = place, first, second
            out[n, said, 3] = 1 if share >= SIZEABLE else 0
            said += 1
