"""EASE: embarrassingly shallow autoencoder (Steck 2019), kept as sparse neighbours that serve in microseconds.

With X the binary user × item matrix and G = XᵀX:  P = (G + λI)⁻¹,  B = I − P · diag(1 / diag P),  diag B = 0.
The weight B[h, j] says how much having h speaks for j once all other items are accounted for. With a half-life, an
entry of X is √w for an interaction of weight w = .5^(age / half-life), so that what goes together now counts most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from palate.features import Neighbours
from palate.kernels import kernel
from palate.types import F32, I32, I64

NEIGHBOURS = 100
HALF_LIFE = 0.5
"""In training, of what an interaction counts, as a share of the log."""
_TILE = 64


def fit_ease(
    users: I32, items: I32, n_items: int, limit: int = 6000, strength: float = 500.0, half_life: float = 0.0
) -> Neighbours:
    """EASE over the ``limit`` most frequent of ``n_items`` items; each keeps its ``NEIGHBOURS`` largest |weights|.

    users, items: (n,) codes of interactions; their order matters only with a half_life, a share of n: then it is that
    of time, and of several by the same user the newest counts. strength: λ. Cost: O(limit³), about 10 s for 6,000 on
    two cores and 8·limit² bytes; nothing for fewer than two items.
    """
    counts = np.bincount(items, minlength=n_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(limit, n_items)])
    kept = kept[counts[kept] > 0]
    if len(kept) < 2:
        return Neighbours(np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    code = np.full(n_items, -1, np.int64)
    code[kept] = np.arange(len(kept))
    inside = np.flatnonzero(code[items] >= 0)
    pair = users[inside].astype(np.int64) * len(kept) + code[items[inside]]
    _, newest = np.unique(pair[::-1], return_index=True)
    inside = inside[len(inside) - 1 - newest]
    entries = np.sqrt(weights_of(len(items), half_life))[inside]
    import scipy.linalg  # training alone needs them: a service starts without
    import scipy.sparse

    matrix: Any = scipy.sparse.csr_matrix(
        (entries, (users[inside], code[items[inside]])), shape=(int(users.max()) + 1, len(kept))
    )
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


def weights_of(n: int, half_life: float) -> F32:
    """(n,) what interactions in time order count, half of the next at a distance of ``half_life`` · n; 0 for 1 each."""
    if half_life <= 0:
        return np.ones(n, np.float32)
    return (0.5 ** ((n - 1 - np.arange(n)) / (half_life * n))).astype(np.float32)


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
