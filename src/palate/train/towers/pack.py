"""Towers in artefacts: by item id, bound to a state's rows when loaded, as EASE neighbours are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from palate.errors import CorruptArtefact
from palate.features import NAMES, Placed
from palate.retrieve.inner import InnerIndex
from palate.retrieve.vector import VectorIndex
from palate.state.state import Names
from palate.towers import Tower
from palate.towers.load import load_tower
from palate.types import F32, Bools

Arrays = Mapping[str, np.ndarray[Any, Any]]
_IDS = "towers.ids"


class Fitted(NamedTuple):
    """A tower that was trained for a column of the features, vectors (n_items, d) of the items, how long it took, and
    the settings that it was fitted with."""

    column: str
    tower: Tower
    items: F32
    seconds: float = 0.0
    settings: Mapping[str, Any] = MappingProxyType({})


def pack_towers(fitted: Sequence[Fitted], ids: Sequence[str], met: Bools) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays of an artefact, and what its manifest says of each tower. met: (n_items,) items with interactions; the
    others are placed by their text wherever the artefact is loaded."""
    if not fitted:
        return {}, {}
    rows = np.flatnonzero(met)
    names = "\0".join([ids[row] for row in rows.tolist()]).encode()
    arrays: dict[str, Any] = {_IDS: np.frombuffer(names, np.uint8).copy()}
    told: dict[str, Any] = {}
    for column, tower, items, seconds, settings in fitted:
        arrays[f"tower.{column}.items"] = items[rows]
        arrays |= {f"tower.{column}.own.{name}": array for name, array in tower.arrays().items()}
        told[column] = {
            "kind": tower.kind,
            "dim": tower.dim,
            "meta": tower.meta(),
            "seconds": round(seconds, 3),
            "settings": dict(settings),
        }
    return arrays, told


def bind_towers(arrays: Arrays, told: Mapping[str, Any], names: Names, texts: VectorIndex) -> tuple[Placed, ...]:
    """The towers over the rows of ``names``, with every item placed that has a text vector by now.

    Errors: ``CorruptArtefact`` where the arrays contradict one another, or make a feature that isn't declared.
    """
    if not told:
        return ()
    blob = arrays[_IDS].tobytes() if _IDS in arrays else b""
    ids = blob.decode("utf-8", "replace").split("\0") if blob else []
    placed: list[Placed] = []
    for column, entry in told.items():
        items = arrays.get(f"tower.{column}.items")
        begin = f"tower.{column}.own."
        own = {name.removeprefix(begin): array for name, array in arrays.items() if name.startswith(begin)}
        if column not in NAMES or items is None:
            raise CorruptArtefact(f"The model lacks the arrays of its tower {column!r}; train it again.")
        tower = load_tower(str(entry.get("kind")), own, entry.get("meta", {}))
        if items.shape != (len(ids), tower.dim) or items.dtype != np.float32:
            raise CorruptArtefact(f"The items of the tower {column!r} don't fit it; train the model again.")
        placed.append(place(column, tower, ids, items, names, texts))
    return tuple(placed)


def place(column: str, tower: Tower, ids: Sequence[str], items: F32, names: Names, texts: VectorIndex) -> Placed:
    """One tower over the rows of ``names``. items: (len(ids), d)."""
    one = Placed(column, tower, ids, items, names, InnerIndex(tower.dim))
    one.follow(texts, len(names))
    return one


def place_all(
    fitted: Sequence[Fitted], ids: Sequence[str], met: Bools, names: Names, texts: VectorIndex
) -> tuple[Placed, ...]:
    """``fitted`` as they would be loaded from an artefact."""
    rows = np.flatnonzero(met)
    known = [ids[row] for row in rows.tolist()]
    return tuple(place(one.column, one.tower, known, one.items[rows], names, texts) for one in fitted)
