"""Towers: people and items as vectors of one space; their inner product says how well an item suits a person.

``Tower`` is the contract (``palate.testing.tower.TowerContract`` is its executable form). A tower is trained elsewhere
(``palate.train``) and serves without what trained it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from palate.types import F32, F64, I32, I64


class Reading(NamedTuple):
    """One history, newest first, as in ``palate.profile.Subject``, and this tower's vectors of its items.

    items (h,) rows; vectors (h, d), zeros for an item that the tower knows nothing of; weights (h,) signed, about 1
    for a plain view; ts (h,) milliseconds, now: the moment of asking.
    """

    items: I32
    vectors: F32
    weights: F64
    ts: I64
    now: int


class Tower(Protocol):
    """Immutable after construction. Vectors of the items that training met are kept by whoever holds the tower."""

    @property
    def kind(self) -> str:
        """The word by which artefacts know the class."""
        ...

    @property
    def dim(self) -> int:
        """Width d of all vectors."""
        ...

    def place(self, text: F32) -> F32:
        """(n, d) vectors of items that training never met, from their text vectors (n, t); zeros where it can't say."""
        ...

    def read(self, history: Reading, memory: object = None) -> tuple[F32, object]:
        """The person's vector (d,), zeros for an empty history, and what to give as ``memory`` the next time.

        memory: what an earlier call for the same person returned, or None. It only saves work: the vector is the same
        to 1e-5 without it, and whatever it doesn't fit is read anew. Cost: O(1) for one event more, O(h d²) anew.
        """
        ...

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything numeric but the items' vectors, for the artefact."""
        ...

    def meta(self) -> dict[str, Any]:
        """Everything else, JSON-compatible; with ``arrays`` it makes an equal tower again."""
        ...
