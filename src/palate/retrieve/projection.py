"""The directions in which a catalogue's vectors differ most, and how many of them a scan should look at.

The eigenvectors of Σ x xᵀ, largest first: of all projections to m components this one leaves the least behind. Nothing
depends on how well it fits but speed: a search proves what it leaves out, whatever the projection (see ``codes``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from palate.types import F32

SAMPLE = 16_384
"""Vectors that a projection is learnt from."""

_GRAIN = 32
_LINE = 64
MARKS = 12
"""Bytes that are kept beside the codes of a tail, in the same lines of a cache."""
_MOST = 512
_HEAD_LEAVES = 0.2
_TAIL_LEAVES = 0.06
"""Shares of the squared length that may be left behind by the components of the first and of the second look."""


@dataclass(frozen=True, slots=True)
class Projection:
    """matrix: (dim, head + tail) with orthonormal columns, those beyond ``dim`` zero. head: a multiple of 32; tail: 12
    less than a multiple of 64, so that it fills lines of a cache with what is kept beside it."""

    matrix: F32
    head: int
    tail: int


def learn(vectors: F32) -> Projection:
    """The projection for (n, dim) ``vectors``. Cost for 16,384: .1 s for 256 components, .4 s for 512; no lock."""
    dim = vectors.shape[1]
    with threadpool_limits(1, "blas"):  # several threads would spin beside the event loop
        second = (vectors.T @ vectors).astype(np.float64)
        values, directions = np.linalg.eigh(second)
    values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1]
    left = 1.0 - np.cumsum(values) / max(float(values.sum()), 1e-30)

    def width(share: float) -> int:
        return min(int(np.searchsorted(-left, -share)) + 1, _MOST)

    head = -(-width(_HEAD_LEAVES) // _GRAIN) * _GRAIN
    tail = max(-(-(width(_TAIL_LEAVES) - head) // _LINE), 2) * _LINE - MARKS
    matrix = np.zeros((dim, head + tail), np.float32)
    kept = min(dim, head + tail)
    matrix[:, :kept] = directions[:, :kept]
    return Projection(matrix, head, tail)
