"""Vectors in one byte a component and in few components, with a proven bound on what that costs.

A ``Projection`` (orthonormal columns) splits x and q into *near*, *far*, *tail* and a rest; near and far are the
*head*: q·x = q_h·x_h + q_t·x_t + q_r·x_r. Head and tail are kept as codes: with x_h = x̂_h + e and q_h = q̂_h + f,
|q_h·x_h − q̂_h·x̂_h| ≤ ‖q_h‖·‖e‖ + ‖f‖·‖x̂_h‖, and of what isn't looked at, |q_r·x_r| ≤ ‖q_r‖·‖x_r‖ (Cauchy–Schwarz). So a
search that looks at the near components alone knows of most blocks of rows that none of them can be among the best, at
the far ones of almost all other rows, at the tails of almost all that are left, and computes the rest exactly
(``scan``). Rows lie in *slots*, kind by kind, so that what passes lies together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.retrieve.lanes import LIMIT, QUERIES, ROWS, STEP
from palate.retrieve.projection import MARKS, Projection
from palate.types import F32, F64, I32, I64

Bytes = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int8]
Words = npt.NDArray[np.int16]

SLACK = 1e-4
"""Above the rounding of float32 dot products of a few thousand components, as a share of the lengths."""
_LEFT = 1e-5
"""Above the rounding of a squared length that is left after others were taken off."""
_OFFSET = 128
_MANY = 1024
"""Rows from which an order pays."""


@dataclass(slots=True)
class Coded:
    """Codes of rows, each in a slot of its own. near, far: (slots / 16, steps, 64) as ``lanes.passing`` reads them;
    scale: what one of these codes is worth; near_rest, head_rest: bounds of the length of what is left beside the near
    components, and beside both; (slots,). tail: (slots, 64·m) int8: codes, then three float32: scale of the head, scale
    of the tail, a bound of the length of what is left; ``marks`` is the same memory as float32. row_at: (slots,) and
    slot_of: (rows,), −1 where there is none; used: slots taken. starts: (kinds + 1,) the slots of each kind, those that
    came later aside; empty where nothing is in order. bounds: (4,) the largest ‖e‖ / scale of near components, of a
    head, of a tail, and the largest length of a row."""

    projection: Projection
    near: Bytes
    far: Bytes
    scale: F32
    near_rest: F32
    head_rest: F32
    tail: Codes
    row_at: I32
    slot_of: I32
    starts: I64
    bounds: F64
    used: int = 0

    @classmethod
    def empty(cls, projection: Projection, rows: int) -> Coded:
        """Room for at least ``rows`` rows."""
        blocks = -(-rows // ROWS)
        n = blocks * ROWS
        return cls(
            projection,
            _aligned((blocks, projection.near // STEP, ROWS * STEP)),
            _aligned((blocks, (projection.head - projection.near) // STEP, ROWS * STEP)),
            *(np.zeros(n, np.float32) for _ in range(3)),
            tail=_aligned((n, projection.tail + MARKS)).view(np.int8),
            row_at=np.full(n, -1, np.int32),
            slot_of=np.full(n, -1, np.int32),
            starts=np.zeros(0, np.int64),
            bounds=np.zeros(4, np.float64),
        )

    @property
    def capacity(self) -> int:
        """Rows there is room for."""
        return len(self.scale)

    @property
    def marks(self) -> F32:
        """(slots, 16·m) float32: the memory of ``tail``."""
        return self.tail.view(np.float32)

    def put(self, rows: I32, vectors: F32) -> None:
        """Codes (n, dim) ``vectors`` of distinct ``rows`` (n,). Many at once, where there are none yet, go into order.

        Cost: about 3 µs a row of 256 components, 5 µs in order."""
        slots = self.slot_of[rows]
        new = np.flatnonzero(slots < 0)
        if not self.used and len(new) == len(rows) >= _MANY:
            kind = np.empty(len(rows), np.int64)
            _sort(vectors, self.projection.matrix[:, : len(self.projection.kinds)], self.projection.kinds, kind)
            order = np.argsort(kind, kind="stable")
            kinds = np.arange(self.projection.kinds.shape[1] + 1, dtype=np.int64)
            self.starts = np.searchsorted(kind[order], kinds)
            new = new[order]
        slots[new] = np.arange(self.used, self.used + len(new), dtype=np.int32)
        self.used += len(new)
        self.slot_of[rows], self.row_at[slots] = slots, rows
        _encode(
            slots, vectors, self.projection.matrix, self.projection.near, self.projection.head, self.near, self.far,
            self.scale, self.near_rest, self.head_rest, self.tail, self.marks, self.bounds,
        )  # fmt: skip

    def grown(self, rows: int) -> Coded:
        """The same with room for at least ``rows`` rows."""
        wider = Coded.empty(self.projection, rows)
        for name in ("near", "far", "scale", "near_rest", "head_rest", "tail", "row_at", "slot_of"):
            mine = getattr(self, name)
            getattr(wider, name)[: len(mine)] = mine
        wider.starts, wider.used = self.starts, self.used
        wider.bounds[:] = self.bounds
        return wider

    def ask(self, queries: F32) -> Asked:
        """(q, dim) ``queries`` of unit length (at most four) as codes, with their part of the bounds."""
        n, near, head = len(queries), self.projection.near, self.projection.head
        asked = Asked(
            np.zeros((near // STEP, QUERIES), np.int32),
            np.zeros((QUERIES, 5), np.float32),
            np.zeros(((head - near) // STEP, QUERIES), np.int32),
            np.zeros((QUERIES, 5), np.float32),
            np.zeros((n, self.tail.shape[1]), np.int16),
            np.zeros((n, 3), np.float32),
            np.zeros((n, 2), np.float32),
            np.zeros((n, self.projection.kinds.shape[1]), np.float32),
        )
        _ask(
            queries, self.projection.matrix, near, head, self.projection.kinds, self.bounds,
            asked.near.view(np.int8), asked.near_constants, asked.far.view(np.int8), asked.far_constants, asked.tail,
            asked.weights, asked.slack, asked.kinds,
        )  # fmt: skip
        return asked


@dataclass(slots=True, frozen=True)
class Asked:
    """Up to four queries as ``scan`` needs them. near, far: (steps, 4) int32 and their constants (4, 5), see
    ``lanes.passing``; tail: (q, 64·m) int16, zero where a row has its marks; weights: (q, 3) of a product of tails, of
    their scale, of what is left beside them; slack: (q, 2) what the query's own codes may have lost, of the head and of
    both; kinds: (q, kinds) products with the centres of the kinds."""

    near: I32
    near_constants: F32
    far: I32
    far_constants: F32
    tail: Words
    weights: F32
    slack: F32
    kinds: F32


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
def _code(values: F32, levels: int, codes: Words) -> float:
    """Values as whole numbers of at most ``levels``; returns what one is worth."""
    most = np.float32(0.0)
    for i in range(len(values)):
        most = max(most, abs(values[i]))
    worth = most / np.float32(levels)
    inverse = np.float32(1.0) / worth if worth > 0 else np.float32(0.0)
    for i in range(len(values)):
        codes[i] = np.int16(np.rint(values[i] * inverse))
    return float(worth)


@kernel
def _lengths(values: F32, codes: Words, worth: float) -> tuple[float, float]:
    """The squared length of ``values``, and of what their codes have lost."""
    lost = whole = 0.0
    for i in range(len(values)):
        gone = np.float64(values[i]) - np.float64(codes[i]) * worth
        lost += gone * gone
        whole += np.float64(values[i]) * values[i]
    return whole, lost


@kernel
def _sort(vectors: F32, matrix: F32, kinds: F32, kind: I64) -> None:
    """The kind of each of (n, dim) ``vectors``: that of the nearest centre."""
    components, n_kinds = kinds.shape
    turned, worth, lengths = (
        np.empty(components, np.float32),
        np.empty(n_kinds, np.float32),
        np.zeros(n_kinds, np.float32),
    )
    for c in range(components):
        for k in range(n_kinds):
            lengths[k] += np.float32(0.5) * kinds[c, k] * kinds[c, k]
    for n in range(len(vectors)):
        _turn(vectors[n], matrix, turned)
        worth[:] = -lengths
        for c in range(components):
            for k in range(n_kinds):
                worth[k] += turned[c] * kinds[c, k]
        kind[n] = np.argmax(worth)


@kernel
def _encode(
    slots: I32, vectors: F32, matrix: F32, n_near: int, n_head: int, near: Bytes, far: Bytes, scales: F32,
    near_rest: F32, head_rest: F32, tail: Codes, marks: F32, bounds: F64,
) -> None:  # fmt: skip
    """Project and code ``vectors`` (n, dim) in ``slots`` (n,); ``bounds`` grow."""
    width = matrix.shape[1]
    turned, codes = np.empty(width, np.float32), np.empty(width, np.int16)
    last = marks.shape[1] - 3
    for n in range(len(slots)):
        t = slots[n]
        whole = _turn(vectors[n], matrix, turned)
        bounds[3] = max(bounds[3], np.sqrt(whole))
        scale = _code(turned[:n_head], 127, codes[:n_head])
        of_near, near_lost = _lengths(turned[:n_near], codes[:n_near], scale)
        of_head, lost = _lengths(turned[:n_head], codes[:n_head], scale)
        if scale > 0:
            bounds[0] = max(bounds[0], np.sqrt(near_lost) / scale)
            bounds[1] = max(bounds[1], np.sqrt(lost) / scale)
        for i in range(n_near):
            near[t // ROWS, i // STEP, STEP * (t % ROWS) + i % STEP] = np.uint8(codes[i] + _OFFSET)
        for i in range(n_near, n_head):
            at = i - n_near
            far[t // ROWS, at // STEP, STEP * (t % ROWS) + at % STEP] = np.uint8(codes[i] + _OFFSET)
        scales[t], marks[t, last] = scale, scale
        near_rest[t] = np.sqrt(max(0.0, whole - of_near) + _LEFT * whole)
        head_rest[t] = np.sqrt(max(0.0, whole - of_head) + _LEFT * whole)
        scale = _code(turned[n_head:], 127, codes[n_head:])
        of_tail, lost = _lengths(turned[n_head:], codes[n_head:], scale)
        if scale > 0:
            bounds[2] = max(bounds[2], np.sqrt(lost) / scale)
        for i in range(n_head, width):
            tail[t, i - n_head] = np.int8(codes[i])
        marks[t, last + 1] = scale
        marks[t, last + 2] = np.sqrt(max(0.0, whole - of_head - of_tail) + _LEFT * whole)


@kernel
def _ask(
    queries: F32, matrix: F32, n_near: int, n_head: int, centres: F32, bounds: F64, near: Codes, near_constants: F32,
    far: Codes, far_constants: F32, tail: Words, weights: F32, slack: F32, kinds: F32,
) -> None:  # fmt: skip
    """``Coded.ask``. near, far: (steps, 16) int8; everything zero."""
    width = matrix.shape[1]
    turned, codes = np.empty(width, np.float32), np.empty(width, np.int16)
    near_constants[:, LIMIT] = np.inf
    far_constants[:, LIMIT] = np.inf
    for q in range(len(queries)):
        whole = _turn(queries[q], matrix, turned)
        for c in range(centres.shape[0]):
            for k in range(centres.shape[1]):
                kinds[q, k] += turned[c] * centres[c, k]
        worth = _code(turned[:n_head], 127, codes[:n_head])
        of_near, _ = _lengths(turned[:n_near], codes[:n_near], worth)
        of_head, lost = _lengths(turned[:n_head], codes[:n_head], worth)
        near_total = far_total = 0
        for i in range(n_near):
            near[i // STEP, STEP * q + i % STEP] = np.int8(codes[i])
            near_total += codes[i]
        for i in range(n_near, n_head):
            at = i - n_near
            far[at // STEP, STEP * q + at % STEP] = np.int8(codes[i])
            far_total += codes[i]
        near_constants[q, 0], far_constants[q, 0] = _OFFSET * near_total, _OFFSET * far_total
        near_constants[q, 1], far_constants[q, 1] = worth, worth
        near_constants[q, 2] = bounds[0] * np.sqrt(of_near)
        far_constants[q, 2] = bounds[1] * np.sqrt(of_head)
        near_constants[q, 3] = np.sqrt(max(0.0, whole - of_near) + _LEFT)
        far_constants[q, 3] = np.sqrt(max(0.0, whole - of_head) + _LEFT)
        # ‖x̂‖ ≤ ‖x‖ + ‖e‖, and ‖e‖ is a small share of ‖x‖; the slack covers rounding here and in the exact products.
        slack[q, 0] = (SLACK + 1.1 * np.sqrt(lost)) * bounds[3]
        worth = _code(turned[n_head:], 32_767, codes[n_head:])
        of_tail, lost = _lengths(turned[n_head:], codes[n_head:], worth)
        for i in range(n_head, width):
            tail[q, i - n_head] = codes[i]
        weights[q, 0] = worth
        weights[q, 1] = bounds[2] * np.sqrt(of_tail)
        weights[q, 2] = np.sqrt(max(0.0, whole - of_head - of_tail) + _LEFT)
        slack[q, 1] = slack[q, 0] + 1.1 * np.sqrt(lost) * bounds[3]
