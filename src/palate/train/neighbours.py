"""Fitted neighbours in artefacts: by item id, so that they outlive row numbers, bound to a state's rows when loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.features import NO_EASE, Neighbours
from palate.state.state import Names
from palate.types import F32, I32, I64

Arrays = Mapping[str, np.ndarray[Any, Any]]


def pack_neighbours(neighbours: Neighbours, ids: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of an artefact: the sparse rows, and the ids (UTF-8, joined by NUL, which no id holds)."""
    names = "\0".join(ids).encode()
    return {
        "ease.indptr": neighbours.indptr,
        "ease.indices": neighbours.indices,
        "ease.values": neighbours.values,
        "linar.indptr": neighbours.next_indptr,
        "linar.indices": neighbours.next_indices,
        "linar.values": neighbours.next_values,
        "ease.ids": np.frombuffer(names, np.uint8).copy(),
    }


def bind_neighbours(arrays: Arrays, names: Names) -> Neighbours:
    """The same rows, numbered as ``names`` numbers items; items that it doesn't know are left out.

    Errors: ``CorruptArtefact`` where the arrays contradict one another.
    """
    if "ease.ids" not in arrays:
        return NO_EASE
    blob = arrays["ease.ids"].tobytes()
    ids = blob.decode("utf-8", "replace").split("\0") if blob else []
    row_of = np.array([names.get(name) for name in ids], np.int64)
    n = len(names)  # once: items may be added meanwhile
    ease = _bound(arrays, "ease", row_of, n)
    if "linar.indptr" not in arrays or len(arrays["linar.indptr"]) == 1:  # of a version that had none
        return Neighbours(*ease)
    return Neighbours(*ease, *_bound(arrays, "linar", row_of, n))


def _bound(arrays: Arrays, model: str, row_of: I64, n: int) -> tuple[I64, I32, F32]:
    """The sparse rows of one model over ``n`` rows; row_of: those of the artefact's ids, −1 unknown."""
    try:
        indptr, indices, values = (arrays[f"{model}.{name}"] for name in ("indptr", "indices", "values"))
    except KeyError:
        raise _contradiction(model) from None
    if (
        len(indptr) != len(row_of) + 1
        or len(indices) != len(values)
        or indptr[0] != 0
        or indptr[-1] != len(indices)
        or (np.diff(indptr) < 0).any()
        or (len(indices) and not (indices.min() >= 0 and indices.max() < len(row_of)))
    ):
        raise _contradiction(model)
    owner = np.repeat(row_of, np.diff(indptr))
    target = row_of[indices]
    known = (owner >= 0) & (target >= 0)
    owner, target, weight = owner[known], target[known], values[known]
    order = np.argsort(owner, kind="stable")
    bound = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(owner, minlength=n), out=bound[1:])
    return bound, target[order].astype(np.int32), weight[order].astype(np.float32)


def _contradiction(model: str) -> CorruptArtefact:
    name = {"ease": "EASE", "linar": "linear sequence model's"}[model]
    return CorruptArtefact(f"The {name} arrays of the model contradict one another; train it again.")
