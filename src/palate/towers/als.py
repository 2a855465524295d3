"""Matrix factorisation of implicit feedback (Hu, Koren, Volinsky 2008), R = U·Vᵀ: whoever has a history is folded in.

With confidences c of a history and the factors v of its items, a person is the minimiser u of
Σ c (1 − u·v)² + a Σ over all items (u·v)² + λ|u|², which is (a VᵀV + λI + Σ c v vᵀ) u = Σ c v. Items are kept as
w = L⁻¹v with LLᵀ = a VᵀV + λI: then x = Lᵀu solves (I + Σ c w wᵀ) x = Σ c w, and x·w = u·v.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.kernels import reassociating
from palate.towers import Reading
from palate.types import F32, F64

_PRECISE = np.float32(1e-12)
"""Squared relative residual at which the solution is as good as float32 makes it."""
_LEAST = 1e-3
"""What is left of a weight where an entry of a history counts no more."""


@reassociating
def advance(size: np.float32, image: F32, step: F32, residual: F32, out: F32) -> np.float32:
    """One step of conjugate gradients (Hestenes and Stiefel 1952): out (d,) goes along ``step``, whose ``image`` by the
    matrix is given; residual and step become the next ones. size: |residual|², > 0; what it is after is returned."""
    curve = np.float32(0.0)
    for i in range(len(step)):
        curve += step[i] * image[i]
    far, after = size / curve, np.float32(0.0)
    for i in range(len(step)):
        out[i] += far * step[i]
        residual[i] -= far * image[i]
        after += residual[i] * residual[i]
    turn = after / size
    for i in range(len(step)):
        step[i] = residual[i] + turn * step[i]
    return after


@reassociating
def solve(vectors: F32, confidence: F32, right: F32, out: F32) -> None:
    """out (d,) = (I + Σ confidence v vᵀ)⁻¹ right, by conjugate gradients. vectors (h, d), confidence (h,) ≥ 0.

    Cost: O(h d) a step, about ten steps: the matrix is the identity and h directions more.
    """
    h, d = vectors.shape
    residual, step, image = right.copy(), right.copy(), np.empty(d, np.float32)
    size = np.float32(0.0)
    for i in range(d):
        out[i] = np.float32(0.0)
        size += residual[i] * residual[i]
    least = size * _PRECISE
    for _ in range(2 * d):
        if size <= least:
            break
        for i in range(d):
            image[i] = step[i]
        for q in range(h):
            along = np.float32(0.0)
            for i in range(d):
                along += vectors[q, i] * step[i]
            along *= confidence[q]
            for i in range(d):
                image[i] += along * vectors[q, i]
        size = advance(size, image, step, residual, out)


@reassociating
def _fold(vectors: F32, weights: F64, fading: float, out: F32) -> None:
    """The person of a history, newest first, into out (d,)."""
    h, d = vectors.shape
    confidence, right, used = np.empty(h, np.float32), np.zeros(d, np.float32), 0
    for q in range(h):
        faded = (1.0 + q) ** -fading
        if faded < _LEAST:
            break
        used += 1
        weight = weights[q] * faded
        confidence[q] = abs(weight)
        if weight > 0.0:
            for i in range(d):
                right[i] += np.float32(weight) * vectors[q, i]
    solve(vectors[:used], confidence[:used], right, out)


class AlsTower:
    """See the module. text_map (t, d): from a text vector to an item's vector. fading: the confidence of an entry is
    its weight times (1 + q)^−fading, q entries after it; a power leaves more to what was long ago than halving does.

    A disliked entry (weight below 0) is one whose product is to be 0. What was long ago counts by how many entries
    came since, not by the calendar, so that nobody fades while away.
    """

    kind = "als"

    def __init__(self, text_map: F32, fading: float) -> None:
        self._map = np.ascontiguousarray(text_map, np.float32)
        self._fading = float(fading)

    @property
    def dim(self) -> int:
        return int(self._map.shape[1])

    def place(self, text: F32) -> F32:
        """Where the map puts texts: what a ridge regression expects of the factors of an item with such a text."""
        return np.asarray(text @ self._map, np.float32)

    def confidences(self, weights: F64) -> F64:
        """(h,) signed confidence of each entry of a history, newest first."""
        faded: F64 = np.asarray((1.0 + np.arange(len(weights))) ** -self._fading, np.float64)
        faded[faded < _LEAST] = 0.0
        return weights * faded

    def read(self, history: Reading, memory: object = None) -> tuple[F32, object]:
        """Nothing is remembered: folding in anew costs some ten microseconds."""
        out = np.zeros(self.dim, np.float32)
        if len(history.items):
            _fold(history.vectors, history.weights, self._fading, out)
        return out, None

    def parts(self, history: Reading, target: F32) -> F64:
        """(h,) what each entry gives to the product of the person with ``target`` (d,); they add up to it.

        c w · y with (I + Σ c w wᵀ) y = target: the person is linear in what the entries ask for.
        """
        signed = self.confidences(history.weights)
        toward = np.zeros(self.dim, np.float32)
        vectors = np.ascontiguousarray(history.vectors, np.float32)
        solve(vectors, np.abs(signed).astype(np.float32), np.ascontiguousarray(target, np.float32), toward)
        return np.maximum(signed, 0.0) * (vectors @ toward).astype(np.float64)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"text_map": self._map}

    def meta(self) -> dict[str, Any]:
        return {"kind": self.kind, "fading": self._fading}

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> AlsTower:
        """The tower that ``arrays`` and ``meta`` came from. Errors: ``CorruptArtefact``."""
        text_map, fading = arrays.get("text_map"), meta.get("fading")
        if (
            text_map is None
            or text_map.ndim != 2
            or text_map.dtype != np.float32
            or not isinstance(fading, int | float)
        ):
            raise CorruptArtefact("The factors of the model lack their map or their settings; train it again.")
        return cls(text_map, float(fading))
