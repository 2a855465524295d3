"""Vectors in one byte a component, with a proven bound on what that costs: a quarter of the memory to scan.

With x = x̂ + e and q = q̂ + f (the codes, and what rounding took): q·x − q̂·x̂ = q·e + f·x̂, so that
``|q·x − q̂·x̂| ≤ ‖q‖·‖e‖ + ‖f‖·‖x̂‖`` (Cauchy–Schwarz). Rows whose upper bound is below the k-th lower bound can't be
among the best k; the few that are left are computed exactly. The bound is about .008 for unit rows of 512.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.types import F32, I32

_LEVELS = 127
_QUERY_LEVELS = 2047
_SLACK = 1e-4
"""Above the rounding of a float32 dot product of a few thousand components."""

Codes = npt.NDArray[np.int8]


@dataclass(slots=True)
class Coded:
    """Rows with their codes. vectors: (n, dim); codes: (n, dim); scale, error (‖e‖), reach (‖x̂‖): (n,)."""

    vectors: F32
    codes: Codes
    scale: F32
    error: F32
    reach: F32

    @classmethod
    def empty(cls, n: int, dim: int) -> Coded:
        """Room for ``n`` rows, all zero."""
        return cls(
            np.zeros((n, dim), np.float32),
            np.zeros((n, dim), np.int8),
            np.zeros(n, np.float32),
            np.zeros(n, np.float32),
            np.zeros(n, np.float32),
        )

    def put(self, rows: slice | I32, vectors: F32) -> None:
        """Sets ``rows`` to (n, dim) ``vectors``."""
        scale = np.abs(vectors).max(axis=1, initial=0.0) / np.float32(_LEVELS)
        codes = np.rint(vectors / np.where(scale > 0.0, scale, np.float32(1.0))[:, None])
        rounded = codes * scale[:, None]
        self.vectors[rows] = vectors
        self.codes[rows] = codes
        self.scale[rows] = scale
        self.error[rows] = np.linalg.norm(vectors - rounded, axis=1)
        self.reach[rows] = np.linalg.norm(rounded, axis=1)

    def first(self, n: int) -> Coded:
        """The first ``n`` rows, as views."""
        return Coded(self.vectors[:n], self.codes[:n], self.scale[:n], self.error[:n], self.reach[:n])

    def grown(self, n: int, used: int) -> Coded:
        """Room for ``n`` rows, the first ``used`` of them as here."""
        wider = Coded.empty(n, self.vectors.shape[1])
        wider.vectors[:used] = self.vectors[:used]
        wider.codes[:used] = self.codes[:used]
        wider.scale[:used] = self.scale[:used]
        wider.error[:used] = self.error[:used]
        wider.reach[:used] = self.reach[:used]
        return wider

    def bounds(self, queries: F32) -> tuple[F32, F32]:
        """(q, n) lower and (q, n) upper bounds of the dot products with (q, dim) ``queries``.

        Cost: about 0.3 ms a query for 20,000 rows of 512 components.
        """
        dim = queries.shape[1]
        levels = min(_QUERY_LEVELS, (2**31 - 1) // (_LEVELS * dim))
        scale = np.abs(queries).max(axis=1, initial=0.0) / np.float32(levels)
        codes = np.rint(queries / np.where(scale > 0.0, scale, np.float32(1.0))[:, None])
        lost = np.linalg.norm(queries - codes * scale[:, None], axis=1)[:, None]
        length = np.linalg.norm(queries, axis=1)[:, None]
        dots = np.empty((len(queries), len(self.codes)), np.int32)
        _scan(self.codes, codes.astype(np.int16), dots)
        lower = dots.astype(np.float32)
        lower *= scale[:, None]
        lower *= self.scale
        margin = length * (self.error + np.float32(_SLACK) * (self.reach + self.error)) + lost * self.reach
        upper = lower + margin
        lower -= margin
        return lower, upper


@kernel
def _scan(codes: Codes, queries: npt.NDArray[np.int16], dots: I32) -> None:
    """dots[q, t] = codes[t] · queries[q]. Sums of integers may be reordered, which lets the compiler vectorise them."""
    for t in range(codes.shape[0]):
        row = codes[t]
        for q in range(queries.shape[0]):
            query = queries[q]
            total = np.int32(0)
            for i in range(codes.shape[1]):
                total = np.int32(total + np.int32(np.int32(row[i]) * np.int32(query[i])))
            dots[q, t] = total
