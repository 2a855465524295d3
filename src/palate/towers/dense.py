"""The small dense steps of the towers that read sequences, and the map from text vectors to item vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from palate.errors import CorruptArtefact
from palate.kernels import kernel, reassociating
from palate.types import F32

EPSILON = 1e-5
"""Added to the variance by ``normed``."""


@reassociating
def affine(weights: F32, bias: F32, x: F32, out: F32) -> None:
    """out = weights · x + bias, four rows at a time. weights: (o, i); bias, out: (o,); x: (i,)."""
    n = len(out)
    for row in range(0, n - 3, 4):
        a, b, c, d = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for column in range(len(x)):
            value = x[column]
            a += weights[row, column] * value
            b += weights[row + 1, column] * value
            c += weights[row + 2, column] * value
            d += weights[row + 3, column] * value
        out[row], out[row + 1] = a + bias[row], b + bias[row + 1]
        out[row + 2], out[row + 3] = c + bias[row + 2], d + bias[row + 3]
    for row in range(n - n % 4, n):
        total = np.float32(0.0)
        for column in range(len(x)):
            total += weights[row, column] * x[column]
        out[row] = total + bias[row]


@kernel
def normed(x: F32, norm: F32, out: F32) -> None:
    """Layer normalisation (Ba 2016) with gain norm[0] and bias norm[1]. x, out: (h,); norm: (2, h)."""
    mean, square = np.float32(0.0), np.float32(0.0)
    for d in range(len(x)):
        mean += x[d]
    mean /= np.float32(len(x))
    for d in range(len(x)):
        square += (x[d] - mean) * (x[d] - mean)
    scale = np.float32(1.0) / np.sqrt(square / np.float32(len(x)) + np.float32(EPSILON))
    for d in range(len(x)):
        out[d] = (x[d] - mean) * scale * norm[0, d] + norm[1, d]


class TextMap(NamedTuple):
    """Vectors of items from their texts: text · matrix + offset. matrix: (t, d), offset: (d,)."""

    matrix: F32
    offset: F32

    def __call__(self, text: F32) -> F32:
        """(n, d) for texts (n, t); zero rows where a text is zero."""
        found = np.asarray(text, np.float32) @ self.matrix + self.offset
        found[~np.any(text, axis=1)] = 0.0
        return np.ascontiguousarray(found, np.float32)


def widths(kind: str, meta: Mapping[str, Any], names: Sequence[str]) -> list[int]:
    """Those numbers of ``meta``. Errors: ``CorruptArtefact`` for one that is missing or not above 0."""
    found = [meta.get(name) for name in names]
    for name, value in zip(names, found, strict=True):
        if not isinstance(value, int) or value < 1:
            raise CorruptArtefact(f"The {kind} tower's {name} is {value!r}; a number above 0 is expected: train again.")
    return cast(list[int], found)


def checked(
    kind: str, arrays: Mapping[str, np.ndarray[Any, Any]], shapes: dict[str, tuple[int, ...]]
) -> dict[str, F32]:
    """The arrays of those names, contiguous float32.

    Errors: ``CorruptArtefact`` for one that is missing, misshapen or not finite.
    """
    found: dict[str, F32] = {}
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None or array.shape != shape or not np.isfinite(array).all():
            seen = "missing" if array is None else f"{array.shape} or not finite"
            raise CorruptArtefact(f"The {kind} tower's array {name!r} is {seen}; {shape} is expected: train again.")
        found[name] = np.ascontiguousarray(array, np.float32)
    return found
