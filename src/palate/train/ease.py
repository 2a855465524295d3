"""EASE: embarrassingly shallow autoencoder (Steck 2019), kept as sparse neighbours that serve in microseconds.

With X the binary user × item matrix and G = XᵀX:  P = (G + λI)⁻¹,  B = I − P · diag(1 / diag P),  diag B = 0.
The weight B[h, j] says how much having h speaks for j once all other items are accounted for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse

from palate.features import Neighbours
from palate.kernels import kernel
from palate.types import F32, I32, I64

NEIGHBOURS = 100
_TILE = 64


def fit_ease(users: I32, items: I32, n_items: int, limit: int = 6000, strength: float = 500.0) -> Neighbours:
    """EASE over the ``limit`` most frequent of ``n_items`` items; each keeps its ``NEIGHBOURS`` largest |weights|.

    users, items: (n,) codes of interactions, in any order. strength: λ. Cost: O(limit³), about 10 s for 6,000 on two
    cores and 8·limit² bytes; nothing for fewer than two items.
    """
    counts = np.bincount(items, minlength=n_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(limit, n_items)])
    kept = kept[counts[kept] > 0]
    if len(kept) < 2:
        return Neighbours(np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    code = np.full(n_items, -1, np.int64)
    code[kept] = np.arange(len(kept))
    inside = code[items] >= 0
    ones = np.ones(int(inside.sum()), np.float32)
    matrix: Any = scipy.sparse.csr_matrix(
        (ones, (users[inside], code[items[inside]])), shape=(int(users.max()) + 1, len(kept))
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    gram: F32 = np.asarray((matrix.T @ matrix).todense(), np.float32)
    gram[np.diag_indices_from(gram)] += strength
    lapack: Any = scipy.linalg.lapack
    factor = lapack.spotrf(gram, lower=0, overwrite_a=True)[0]
    inverse: F32 = lapack.spotri(factor, lower=0, overwrite_c=True)[0].T  # LAPACK's order of memory, by rows
    _mirror(inverse)
    diagonal: F32 = np.diag(inverse).copy()

    def row(h: int) -> F32:
        found: F32 = -inverse[h] / diagonal  # B[h, j] = −P[h, j] / P[j, j]
        found[h] = 0.0
        return found

    return Neighbours(*prune(row, kept.astype(np.int64), n_items))


@kernel
def _mirror(square: F32) -> None:
    """Put what lies below the diagonal above it as well, tile by tile, so that neither side is read across memory."""
    n = len(square)
    for top in range(0, n, _TILE):
        for left in range(top, n, _TILE):
            for row in range(top, min(top + _TILE, n)):
                for column in range(max(left, row + 1), min(left + _TILE, n)):
                    square[row, column] = square[column, row]


def prune(row: Callable[[int], F32], kept: I64, n_items: int) -> tuple[I64, I32, F32]:
    """The ``NEIGHBOURS`` largest |weights| of every item ``kept``, as sparse rows: indptr, indices, values.

    row: the weights of one of them to all ``kept``, by its place there.
    """
    size = len(kept)
    width = min(NEIGHBOURS, size - 1)
    indptr = np.zeros(n_items + 1, np.int64)
    indptr[kept + 1] = width
    np.cumsum(indptr, out=indptr)
    indices = np.zeros(size * width, np.int32)
    values = np.zeros(size * width, np.float32)
    for h in range(size):
        weights = row(h)
        best = np.argpartition(-np.abs(weights), width - 1)[:width]
        best.sort()
        indices[h * width : (h + 1) * width] = kept[best]
        values[h * width : (h + 1) * width] = weights[best]
    return indptr, indices, values
