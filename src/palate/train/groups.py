"""Groups of tastes: k-means of tag shares and text taste, reduced by PCA, of people with a history.

``features.groups`` says what becomes of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.catalogue import Catalogue
from palate.features import NO_GROUPS, Groups, Subject
from palate.people.select import pca
from palate.types import F64, I64

RARE = 10
"""People that a group needs, and a value of a field: of fewer nothing is said."""
_TAGS = 200
_GROUPS, _IN_A_GROUP, _AXES, _ROUNDS = 48, 20, 16, 40


def fit_groups(catalogue: Catalogue, people: list[Subject], least: int, rng: np.random.Generator) -> tuple[Groups, I64]:
    """Groups of the tastes of ``people``, ``least`` or more, and the group of each, −1 for none.

    Cost: O(people × groups) a round.
    """
    side = catalogue.side()
    if len(people) < least:
        return NO_GROUPS, np.zeros(0, np.int64)
    weight = np.zeros(side.n_tags)
    for one in people:
        weight += one.tags_long if len(one.tags_long) else 0.0
    codes = np.sort(np.argsort(-weight, kind="stable")[:_TAGS])
    codes = codes[weight[codes] > 0]
    shares = np.array([one.tags_long[codes] if len(one.tags_long) else np.zeros(len(codes)) for one in people])
    texts = np.zeros((len(people), side.vectors.shape[1]))
    first: list[F64] = []
    for n, one in enumerate(people):
        liked = one.items[one.weights > 0]
        rows = side.text_of[liked]
        rows = rows[rows >= 0]
        if len(rows):
            texts[n] = side.vectors[rows].mean(axis=0)
        first.append(_single(one, side, codes, texts[n]))
    whole: F64 = np.concatenate([shares, texts], axis=1).astype(np.float64)
    found = pca(whole, _AXES)
    if not len(found.axes):
        return NO_GROUPS, np.zeros(0, np.int64)
    points = found(whole)
    of, centres = kmeans(points, min(_GROUPS, len(people) // _IN_A_GROUP), rng)
    sizes = np.bincount(of, minlength=len(centres))
    good = np.flatnonzero(sizes >= RARE)  # of fewer people nothing is said
    kept = np.isin(of, good)
    of = np.where(kept, np.searchsorted(good, of), -1)
    centres = centres[good]
    if not len(good):
        return NO_GROUPS, of
    mean_shares, mean_texts = shares.mean(axis=0), texts.mean(axis=0)
    tags = np.array([shares[of == g].mean(axis=0) - mean_shares for g in range(len(good))])
    text = np.array([texts[of == g].mean(axis=0) - mean_texts for g in range(len(good))])
    spread = float(((points[kept] - centres[of[kept]]) ** 2).mean())
    noise = max(1e-9, float(((found(np.array(first)) - points) ** 2).mean()))
    chosen: list[int] = codes.tolist()
    names = tuple(catalogue.tags.ids[code] for code in chosen)
    groups = Groups(
        centres, tags.astype(np.float32), text.astype(np.float32), sizes[good] / sizes[good].sum(), found.axes,
        found.mean, max(spread, 1e-9), noise, names,
    )  # fmt: skip
    return groups, of


def _single(one: Subject, side: Any, codes: I64, text: F64) -> F64:
    """What the newest liked entry alone would say of a person."""
    row = int(one.items[one.weights > 0][0])
    tags = side.tags[row][side.tags[row] >= 0]
    shares = np.isin(codes, tags) / max(1, len(tags))
    place = int(side.text_of[row])
    return np.concatenate([shares, side.vectors[place].astype(np.float64) if place >= 0 else text])


def kmeans(points: F64, k: int, rng: np.random.Generator) -> tuple[I64, F64]:
    """(n,) clusters and (k, d) centres: k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's rounds."""
    centres = points[rng.integers(len(points))][None]
    nearest = ((points - centres[0]) ** 2).sum(axis=1)
    while len(centres) < k and nearest.sum() > 0:
        chosen = points[rng.choice(len(points), p=nearest / nearest.sum())]
        centres = np.concatenate([centres, chosen[None]])
        nearest = np.minimum(nearest, ((points - chosen) ** 2).sum(axis=1))
    of = np.zeros(len(points), np.int64)
    for _ in range(_ROUNDS):
        distance = (centres**2).sum(axis=1) - 2 * points @ centres.T
        fresh = distance.argmin(axis=1)
        if _ and np.array_equal(fresh, of):
            break
        of = fresh
        for cluster in np.unique(of).tolist():
            centres[cluster] = points[of == cluster].mean(axis=0)
    return of, centres
