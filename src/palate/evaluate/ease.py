"""EASE as a baseline of the successive protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from scipy.linalg import lapack as _untyped_lapack  # pyright: ignore[reportUnknownVariableType]

from palate.evaluate import Query
from palate.evaluate.baselines import Incidence
from palate.evaluate.stream import EventStream, Histories
from palate.kernels import kernel
from palate.types import F32, I32, I64

_lapack = cast(Any, _untyped_lapack)


class Ease:
    """Closed-form item-item regression (Steck 2019): B = I − P·diag(P)⁻¹, P = (XᵀX + λI)⁻¹, score = x·B.

    X is the binary matrix of who had what, over the ``items`` most frequent items as of each fit; x the user's whole
    current history, each item weighted by decay^age (1: Steck's binary x). It is fitted before the test window and
    ``REFITS`` times across it; every event is folded into x at once. Items outside stand last, together. A seen item
    is scored through its neighbours alone, since the diagonal of B is zero. λ is one for both ``seen``, and is chosen
    on a fit of ``TUNE_ITEMS``. Cost: items³ multiplications a fit: 20 s on one core at 10,000 items, 4.5 s at the 6,000
    of the default. NDCG@10 at 10,000 / 6,000: MovieTweetings .0636 / .0637, grocery .0180 / .0173 (drop).
    """

    name = "ease"
    REFITS = 5
    TUNE_ITEMS = 5_000

    def __init__(
        self,
        items: int = 6_000,
        lambdas: Sequence[float] = (50.0, 200.0, 1000.0),
        decays: Sequence[float] = (0.5, 0.7, 0.9, 1.0),
    ) -> None:
        self.shared: str | None = "lambda"
        self.variants: Sequence[dict[str, Any]] = [
            {"lambda": strength, "decay": decay} for strength in lambdas for decay in decays
        ]
        self._lambdas = list(lambdas)
        self._most = items
        self._fits = 0

    def begin(self, stream: EventStream, histories: Histories, stop: int) -> None:
        self._stream, self._histories = stream, histories
        self._pairs = Incidence(stream)
        self._refits: list[int] = []
        self._pairs.feed(stop)
        self._fit(self._lambdas, min(self._most, self.TUNE_ITEMS))

    def settle(self, chosen: Sequence[int], train: int, stop: int) -> None:
        self._used = sorted({float(self.variants[index]["lambda"]) for index in chosen})
        end = len(self._stream)
        self._refits = [stop + (end - stop) * part // (self.REFITS + 1) for part in range(1, self.REFITS + 1)]
        self._fits = 0
        self._fit(self._used, self._most)

    def feed(self, stop: int) -> None:
        while self._refits and self._refits[0] <= stop:
            self._pairs.feed(self._refits.pop(0))
            self._fit(self._used, self._most)
        self._pairs.feed(stop)

    def _fit(self, lambdas: Sequence[float], most: int) -> None:
        p = self._pairs
        self._weights: dict[float, F32] = {}  # the former ones go before the new take their memory
        frequent = np.argsort(-p.item_fill, kind="stable")[:most]
        self._items = frequent[p.item_fill[frequent] > 0].astype(np.int32)
        self._place = np.full(len(p.item_fill), -1, dtype=np.int32)
        self._place[self._items] = np.arange(len(self._items), dtype=np.int32)
        gram = np.zeros((len(self._items), len(self._items)), dtype=np.float32)
        _gram(p.user_start, p.by_user, p.user_fill, self._place, gram)
        for index, strength in enumerate(lambdas):
            self._weights[strength] = item_weights(gram if index == len(lambdas) - 1 else gram.copy(), strength)
        self._fits += 1

    def score(self, query: Query, chosen: Sequence[int]) -> F32:
        recent = self._histories.latest(query.user, query.position)
        place = self._place[recent]
        age = np.flatnonzero(place >= 0)
        place = place[age]
        out = np.full((len(chosen), query.size), -np.inf, dtype=np.float32)
        for row, index in enumerate(chosen):
            variant = self.variants[index]
            found = fold_in(self._weights[float(variant["lambda"])], place, variant["decay"] ** age)
            out[row, self._items] = found
        return out

    def notes(self) -> dict[str, Any]:
        return {
            "items": f"the {len(self._items)} most frequent of {len(self._place)} (at most {self._most})",
            "lambda_chosen_with_items": min(self._most, self.TUNE_ITEMS),
            "fits": self._fits,
            "history": "every distinct item of the user, folded in at once",
        }

    def close(self) -> None:
        self._weights.clear()


def fold_in(weights: F32, place: I64 | I32, strengths: Any) -> F32:
    """Σ strength · row of ``weights``. weights: (m, m); place: (h,) rows; strengths: (h,). Returns (m,)."""
    out = np.zeros(len(weights), dtype=np.float32)
    _fold_in(weights, place.astype(np.int64), np.asarray(strengths, dtype=np.float32), out)
    return out


@kernel
def _fold_in(weights: F32, place: I64, strengths: F32, out: F32) -> None:
    for at in range(len(place)):
        strength = strengths[at]
        if strength > 1e-6:
            row = weights[place[at]]
            for column in range(len(out)):
                out[column] += strength * row[column]


def item_weights(gram: F32, strength: float) -> F32:
    """EASE's B of XᵀX, in place of ``gram``'s memory. gram: (m, m) float32, C order, is overwritten.

    Its transpose is what LAPACK sees; the matrix is symmetric, so that changes nothing.
    """
    size = len(gram)
    gram[np.arange(size), np.arange(size)] += np.float32(strength)
    factor, failed = _lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        factor, failed = _lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ArithmeticError(f"EASE with lambda {strength} has no inverse in float32: use a larger lambda.")
    inverse = cast(F32, factor.T)
    _finish(inverse)
    return inverse


@kernel
def _finish(inverse: F32) -> None:
    """Upper triangle of P (C order) → B, in place: B_ij = −P_ij / P_jj, zero diagonal."""
    size = len(inverse)
    diagonal = np.empty(size, dtype=np.float32)
    for i in range(size):
        diagonal[i] = inverse[i, i]
    # In tiles: the lower triangle is written column by column, which misses the cache at every step otherwise.
    for top in range(0, size, 64):
        for left in range(top, size, 64):
            for i in range(top, min(top + 64, size)):
                for j in range(max(left, i + 1), min(left + 64, size)):
                    value = inverse[i, j]
                    inverse[j, i] = -value / diagonal[i]
                    inverse[i, j] = -value / diagonal[j]
    for i in range(size):
        inverse[i, i] = np.float32(0.0)


@kernel
def _gram(user_start: I64, by_user: I32, user_fill: I32, place: I32, gram: F32) -> None:
    """Adds XᵀX over the placed items."""
    own = np.empty(len(place), dtype=np.int32)
    for user in range(len(user_fill)):
        size = 0
        for at in range(user_start[user], user_start[user] + user_fill[user]):
            where = place[by_user[at]]
            if where >= 0:
                own[size] = where
                size += 1
        for a in range(size):
            row = gram[own[a]]
            for b in range(size):
                row[own[b]] += np.float32(1.0)
