"""EASE neighbours in artefacts: by item id, so that they outlive row numbers, bound to a state's rows when loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.features import NO_EASE, Neighbours
from palate.state.state import Names

Arrays = Mapping[str, np.ndarray[Any, Any]]


def pack_neighbours(neighbours: Neighbours, ids: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of an artefact: the sparse rows, and the ids (UTF-8, joined by NUL, which no id holds)."""
    names = "\0".join(ids).encode()
    return {
        "ease.indptr": neighbours.indptr,
        "ease.indices": neighbours.indices,
        "ease.values": neighbours.values,
        "ease.ids": np.frombuffer(names, np.uint8).copy(),
    }


def bind_neighbours(arrays: Arrays, names: Names) -> Neighbours:
    """The same rows, numbered as ``names`` numbers items; items that it doesn't know are left out.

    Errors: ``CorruptArtefact`` where the arrays contradict one another.
    """
    if "ease.ids" not in arrays:
        return NO_EASE
    indptr, indices = arrays["ease.indptr"], arrays["ease.indices"]
    values, blob = arrays["ease.values"], arrays["ease.ids"].tobytes()
    ids = blob.decode("utf-8", "replace").split("\0") if blob else []
    if (
        len(indptr) != len(ids) + 1
        or len(indices) != len(values)
        or indptr[0] != 0
        or indptr[-1] != len(indices)
        or (np.diff(indptr) < 0).any()
        or (len(indices) and not (indices.min() >= 0 and indices.max() < len(ids)))
    ):
        raise CorruptArtefact("The EASE arrays of the model contradict one another; train it again.")
    row_of = np.array([names.get(name) for name in ids], np.int64)
    owner = np.repeat(row_of, np.diff(indptr))
    target = row_of[indices]
    known = (owner >= 0) & (target >= 0)
    n = len(names)  # once: items may be added meanwhile
    owner, target, weight = owner[known], target[known], values[known]
    order = np.argsort(owner, kind="stable")
    bound = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=n), out=bound[1:])
    return Neighbours(bound, target[order].astype(np.int32), weight[order].astype(np.float32))
