"""Vectors in one byte a component and in few components, with a proven bound on what that costs.

A ``Projection`` (orthonormal columns) splits x and q into *head*, *tail* and a rest: q·x = q_h·x_h + q_t·x_t + q_r·x_r.
Head and tail are kept as codes: with x_h = x̂_h + e and q_h = q̂_h + f, |q_h·x_h − q̂_h·x̂_h| ≤ ‖q_h‖·‖e‖ + ‖f‖·‖x̂_h‖,
and of what isn't looked at, |q_r·x_r| ≤ ‖q_r‖·‖x_r‖ (Cauchy–Schwarz). So a search that looks at the heads alone knows
of almost all rows that they can't be among the best, at the tails of the others as well of almost all of these, and
computes the rest exactly (``scan``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.retrieve.lanes import LIMIT, QUERIES, ROWS, STEP
from palate.retrieve.projection import MARKS, Projection
from palate.types import F32, F64, I32

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int16]

SLACK = 1e-4
"""Above the rounding of float32 dot products of a few thousand components, as a share of the lengths."""
_LEFT = 1e-5
"""Above the rounding of a squared length that is left after others were taken off."""
_OFFSET = 128


@dataclass(slots=True)
class Coded:
    """Codes of ``capacity`` rows (a multiple of 16). head: (capacity / 16, steps, 64) as ``lanes.passing`` reads them;
    head_scale: what one of its code is worth, head_rest: a bound of the length of what is left beside it, (capacity,).
    tail: (capacity, 64·m) int8: codes, then three float32: scale of the head, scale of the tail, a bound of the length
    of what is left beside both; ``marks`` is the same memory as float32. Whatever a row is asked for lies together.
    bounds: (3,) the largest ‖e‖ / scale of a head and of a tail, and the largest length of a row."""

    projection: Projection
    head: Bytes
    head_scale: F32
    head_rest: F32
    tail: Codes
    bounds: F64

    @classmethod
    def empty(cls, projection: Projection, rows: int) -> Coded:
        """Room for at least ``rows`` rows."""
        blocks = -(-rows // ROWS)
        n = blocks * ROWS
        return cls(
            projection,
            _aligned((blocks, projection.head // STEP, ROWS * STEP)),
            np.zeros(n, np.float32),
            np.zeros(n, np.float32),
            _aligned((n, projection.tail + MARKS)).view(np.int8),
            np.zeros(3, np.float64),
        )

    @property
    def capacity(self) -> int:
        """Rows there is room for."""
        return len(self.head_scale)

    @property
    def marks(self) -> F32:
        """(capacity, 16·m) float32: the memory of ``tail``."""
        return self.tail.view(np.float32)

    def put(self, rows: I32, vectors: F32) -> None:
        """Codes (n, dim) ``vectors`` at ``rows`` (n,). Cost: about 3 µs a row of 256 components."""
        _encode(
            rows, vectors, self.projection.matrix, self.projection.head, self.head, self.head_scale, self.head_rest,
            self.tail, self.marks, self.bounds,
        )  # fmt: skip

    def grown(self, rows: int) -> Coded:
        """The same with room for at least ``rows`` rows."""
        wider = Coded.empty(self.projection, rows)
        wider.head[: len(self.head)] = self.head
        wider.head_scale[: self.capacity] = self.head_scale
        wider.head_rest[: self.capacity] = self.head_rest
        wider.tail[: self.capacity] = self.tail
        wider.bounds[:] = self.bounds
        return wider

    def ask(self, queries: F32) -> Asked:
        """(q, dim) ``queries`` of unit length (at most four) as codes, with their part of the bounds."""
        n, head = len(queries), self.projection.head
        asked = Asked(
            np.zeros((head // STEP, QUERIES), np.int32),
            np.zeros((QUERIES, 5), np.float32),
            np.zeros((n, self.tail.shape[1]), np.int16),
            np.zeros((n, 3), np.float32),
            np.zeros((n, 2), np.float32),
        )
        _ask(
            queries, self.projection.matrix, head, self.bounds, asked.head.view(np.int8), asked.constants, asked.tail,
            asked.weights, asked.slack,
        )  # fmt: skip
        return asked


@dataclass(slots=True, frozen=True)
class Asked:
    """Up to four queries as ``scan`` needs them. head: (steps, 4) int32 and constants: (4, 5), see ``lanes.passing``;
    tail: (q, 64·m) int16, zero where a row has its marks; weights: (q, 3) of a product of tails, of their scale, of
    what is left beside them; slack: (q, 2) what the query's own codes may have lost, of the head and of both."""

    head: I32
    constants: F32
    tail: Words
    weights: F32
    slack: F32


def _aligned(shape: tuple[int, ...]) -> Bytes:
    """Zeroed bytes that begin at a multiple of 64, so that rows of 64 lie in one cache line each."""
    size = math.prod(shape)
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].reshape(shape)


@kernel
def _turn(vector: F32, matrix: F32, turned: F32) -> float:
    """turned = vector · matrix; returns the squared length of the vector."""
    turned[:] = 0.0
    whole = 0.0
    for d in range(len(vector)):
        x = vector[d]
        whole += np.float64(x) * x
        column = matrix[d]
        for i in range(len(turned)):
            turned[i] += x * column[i]
    return whole


@kernel
def _code(values: F32, levels: int, codes: Words) -> tuple[float, float, float]:
    """Values as whole numbers of at most ``levels``: what one is worth, the squared length lost, that of the values."""
    most = np.float32(0.0)
    for i in range(len(values)):
        most = max(most, abs(values[i]))
    worth = most / np.float32(levels)
    inverse = np.float32(1.0) / worth if worth > 0 else np.float32(0.0)
    lost = whole = 0.0
    for i in range(len(values)):
        code = np.rint(values[i] * inverse)
        codes[i] = np.int16(code)
        gone = np.float64(values[i]) - np.float64(code) * worth
        lost += gone * gone
        whole += np.float64(values[i]) * values[i]
    return float(worth), lost, whole


@kernel
def _encode(
    rows: I32, vectors: F32, matrix: F32, n_head: int, head: Bytes, head_scale: F32, head_rest: F32, tail: Codes,
    marks: F32, bounds: F64,
) -> None:  # fmt: skip
    """Project and code ``vectors`` (n, dim) at ``rows`` (n,); ``bounds`` grow."""
    width = matrix.shape[1]
    turned, codes = np.empty(width, np.float32), np.empty(width, np.int16)
    last = marks.shape[1] - 3
    for n in range(len(rows)):
        t = rows[n]
        whole = _turn(vectors[n], matrix, turned)
        bounds[2] = max(bounds[2], np.sqrt(whole))
        scale, lost, of_head = _code(turned[:n_head], 127, codes[:n_head])
        if scale > 0:
            bounds[0] = max(bounds[0], np.sqrt(lost) / scale)
        for i in range(n_head):
            head[t // ROWS, i // STEP, STEP * (t % ROWS) + i % STEP] = np.uint8(codes[i] + _OFFSET)
        head_scale[t], marks[t, last] = scale, scale
        head_rest[t] = np.sqrt(max(0.0, whole - of_head) + _LEFT * whole)
        scale, lost, of_tail = _code(turned[n_head:], 127, codes[n_head:])
        if scale > 0:
            bounds[1] = max(bounds[1], np.sqrt(lost) / scale)
        for i in range(n_head, width):
            tail[t, i - n_head] = np.int8(codes[i])
        marks[t, last + 1] = scale
        marks[t, last + 2] = np.sqrt(max(0.0, whole - of_head - of_tail) + _LEFT * whole)


@kernel
def _ask(
    queries: F32, matrix: F32, n_head: int, bounds: F64, head: Codes, constants: F32, tail: Words, weights: F32,
    slack: F32,
) -> None:  # fmt: skip
    """``Coded.ask``. head: (steps, 16) int8; everything zero."""
    width = matrix.shape[1]
    turned, codes = np.empty(width, np.float32), np.empty(width, np.int16)
    constants[:, LIMIT] = np.inf
    for q in range(len(queries)):
        whole = _turn(queries[q], matrix, turned)
        worth, lost, of_head = _code(turned[:n_head], 127, codes[:n_head])
        total = 0
        for i in range(n_head):
            head[i // STEP, STEP * q + i % STEP] = np.int8(codes[i])
            total += codes[i]
        constants[q, 0] = _OFFSET * total
        constants[q, 1] = worth
        constants[q, 2] = bounds[0] * np.sqrt(of_head)
        constants[q, 3] = np.sqrt(max(0.0, whole - of_head) + _LEFT)
        # ‖x̂‖ ≤ ‖x‖ + ‖e‖, and ‖e‖ is a small share of ‖x‖; the slack covers rounding here and in the exact products.
        slack[q, 0] = (SLACK + 1.1 * np.sqrt(lost)) * bounds[2]
        worth, lost, of_tail = _code(turned[n_head:], 32_767, codes[n_head:])
        for i in range(n_head, width):
            tail[q, i - n_head] = codes[i]
        weights[q, 0] = worth
        weights[q, 1] = bounds[1] * np.sqrt(of_tail)
        weights[q, 2] = np.sqrt(max(0.0, whole - of_head - of_tail) + _LEFT)
        slack[q, 1] = slack[q, 0] + 1.1 * np.sqrt(lost) * bounds[2]
