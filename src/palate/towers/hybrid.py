"""A hybrid factorisation: items by their ids and their texts, people by what they had (after Kula 2015, Koren 2008).

An item's vector is [what it offers (k) | what having it says (k) | bias]; where both are one, the second part is left
out. A person is the mean of what the latest distinct items of the history say, each fading by how many came since.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.kernels import reassociating
from palate.towers import Reading
from palate.types import F32, F64, I32

LATEST = 50
"""Distinct items of a history that are read."""
LEAST = 1e-3
"""What is left of an entry's weight when it, and all before it, no longer count."""


@reassociating
def shares_of(items: I32, vectors: F32, weights: F64, decay: float, begin: int, end: int, out: F64) -> None:
    """out (h,): the share of each entry of a history, newest first; they sum to 1 where any counts, else 0.

    An item counts by its newest entry of a weight above 0, if columns ``begin:end`` of its vector aren't all zero.
    """
    used = np.empty(LATEST, np.int32)
    size, total, strength = 0, 0.0, 1.0
    for at in range(len(items)):
        out[at] = 0.0
        if size == LATEST or strength < LEAST or not weights[at] > 0.0:
            continue
        again = False
        for place in range(size):
            if used[place] == items[at]:
                again = True
                break
        if again:
            continue
        known = False
        for c in range(begin, end):
            if vectors[at, c] != 0.0:
                known = True
                break
        if known:
            used[size] = items[at]
            size += 1
            out[at] = strength * weights[at]
            total += out[at]
            strength *= decay
    if total > 0.0:
        for at in range(len(items)):
            out[at] /= total


def unit_parts(vectors: F32, factors: int) -> F32:
    """(n, dim) vectors whose parts of ``factors`` components have length 1, or 0 as before; the bias stays."""
    made = np.array(vectors, np.float32)
    for begin in range(0, made.shape[1] - 1, factors):
        part = made[:, begin : begin + factors]
        length = np.sqrt(np.einsum("ij,ij->i", part, part))
        part /= np.where(length > 0, length, np.float32(1.0))[:, None]
    return made


class HybridTower:
    """See the module. text_map (t, dim), offset (dim,): what a text says of an item's vector; factors: k;
    tied: whether what an item offers and what having it says are one vector; decay: of one item more, in (0, 1];
    unit: whether the parts have length 1, so that a rare item stands as good a chance as one often met."""

    kind = "hybrid"

    def __init__(self, text_map: F32, offset: F32, factors: int, tied: bool, decay: float, unit: bool = False) -> None:
        self._map = np.ascontiguousarray(text_map, np.float32)
        self._offset = np.ascontiguousarray(offset, np.float32)
        self._factors, self._tied, self._decay = int(factors), bool(tied), float(decay)
        self._unit = bool(unit)
        self._begin = 0 if tied else self._factors

    @property
    def dim(self) -> int:
        return len(self._offset)

    def place(self, text: F32) -> F32:
        """The vectors that texts alone speak for; zeros for an item without text."""
        placed = np.asarray(text @ self._map + self._offset, np.float32)
        if self._unit:
            placed = unit_parts(placed, self._factors)
        placed[~text.any(axis=1)] = 0.0
        return placed

    def read(self, history: Reading, memory: object = None) -> tuple[F32, object]:
        """Nothing is remembered: at most ``LATEST`` items are read, some microseconds."""
        person = np.zeros(self.dim, np.float32)
        if len(history.items):
            shares = self._shares(history)
            place = slice(self._begin, self._begin + self._factors)
            person[: self._factors] = shares.astype(np.float32) @ history.vectors[:, place]
            person[-1] = 1.0
        return person, None

    def parts(self, history: Reading, target: F32) -> F64:
        """(h,) what each entry gives to the product of the person with ``target`` (dim,); its bias is the rest."""
        said = history.vectors[:, self._begin : self._begin + self._factors] @ target[: self._factors]
        return self._shares(history) * said.astype(np.float64)

    def _shares(self, history: Reading) -> F64:
        shares = np.zeros(len(history.items), np.float64)
        end = self._begin + self._factors
        shares_of(history.items, history.vectors, history.weights, self._decay, self._begin, end, shares)
        return shares

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"text_map": self._map, "offset": self._offset}

    def meta(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "factors": self._factors, "tied": self._tied, "decay": self._decay, "unit": self._unit,
        }  # fmt: skip

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> HybridTower:
        """The tower that ``arrays`` and ``meta`` came from. Errors: ``CorruptArtefact``."""
        text_map, offset = arrays.get("text_map"), arrays.get("offset")
        factors, tied, decay, unit = (meta.get(name) for name in ("factors", "tied", "decay", "unit"))
        if (
            text_map is None or offset is None or text_map.ndim != 2 or text_map.dtype != np.float32
            or offset.dtype != np.float32 or not isinstance(factors, int) or not isinstance(tied, bool) or factors < 1
            or not isinstance(decay, int | float) or not 0 < decay <= 1 or not isinstance(unit, bool)
            or offset.shape != ((1 if tied else 2) * factors + 1,) or text_map.shape[1] != len(offset)
        ):  # fmt: skip
            raise CorruptArtefact("The arrays of the hybrid tower contradict its settings; train the model again.")
        return cls(text_map, offset, factors, tied, float(decay), unit)
