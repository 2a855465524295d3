"""The directions in which a catalogue's vectors differ most, how many of them a scan looks at, and kinds of vectors.

The eigenvectors of Σ x xᵀ, largest first: of all projections to m components this one leaves the least behind. The
kinds are centres of k-means (Lloyd 1982): a scan goes through its rows kind by kind. Nothing depends on either but
speed: a search proves what it leaves out, whatever the projection and the order (see ``codes``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from palate.types import F32

SAMPLE = 16_384
"""Vectors that a projection is learnt from."""
MARKS = 12
"""Bytes that are kept beside the codes of a tail, in the same lines of a cache."""

_GRAIN = 32
_LINE = 64
_MOST = 512
_NEAR_LEAVES = 0.31
_HEAD_LEAVES = 0.2
_TAIL_LEAVES = 0.06
"""Shares of the squared length that may be left behind by the components of the first, second and third look."""
_KINDS = 256
_KIND_COMPONENTS = 64
_KIND_OF = 64
"""Vectors of the sample for each kind, on average."""
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Projection:
    """matrix: (dim, head + tail) with orthonormal columns, those beyond ``dim`` zero. near < head: multiples of 32,
    the components of the first look, and of the first two. tail: those of the third; 12 less than a multiple of 64, so
    that it fills lines of a cache with what is kept beside it. kinds: (components, kinds), centres in the first of the
    components, those of a kind below one another."""

    matrix: F32
    near: int
    head: int
    tail: int
    kinds: F32


def learn(vectors: F32) -> Projection:
    """The projection for (n, dim) ``vectors``. Cost for 16,384: .3 s for 256 components, .6 s for 512; no lock."""
    dim = vectors.shape[1]
    with threadpool_limits(1, "blas"):  # several threads would spin beside the event loop
        second = (vectors.T @ vectors).astype(np.float64)
        values, directions = np.linalg.eigh(second)
        values, directions = np.maximum(values[::-1], 0.0), directions[:, ::-1].astype(np.float32)
        kinds = _kinds(vectors @ directions[:, :_KIND_COMPONENTS])
    left = 1.0 - np.cumsum(values) / max(float(values.sum()), 1e-30)

    def width(share: float) -> int:
        components = min(int(np.searchsorted(-left, -share)) + 1, _MOST)
        return -(-components // _GRAIN) * _GRAIN

    near = width(_NEAR_LEAVES)
    head = max(width(_HEAD_LEAVES), near + _GRAIN)
    tail = max(-(-(width(_TAIL_LEAVES) - head) // _LINE), 2) * _LINE - MARKS
    matrix = np.zeros((dim, head + tail), np.float32)
    kept = min(dim, head + tail)
    matrix[:, :kept] = directions[:, :kept]
    return Projection(matrix, near, head, tail, kinds)


def _kinds(points: F32) -> F32:
    """(components, kinds) centres of (n, components) ``points``, by k-means from a sample of them."""
    n = max(1, min(_KINDS, len(points) // _KIND_OF))
    centres = points[np.random.default_rng(len(points)).choice(len(points), n, replace=False)]
    for _ in range(_ROUNDS):
        lengths = 0.5 * np.einsum("kc,kc->k", centres, centres)
        kind = np.argmax(points @ centres.T - lengths, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, kind, points)
        sizes = np.bincount(kind, minlength=n)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres).astype(np.float32)
    return np.ascontiguousarray(centres.T)
