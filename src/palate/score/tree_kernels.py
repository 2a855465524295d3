"""Compiled tree walking. Arrays are those of ``Forest``, which has validated every index."""

from __future__ import annotations

from palate.kernels import kernel
from palate.types import F32, F64, I32, Bools


@kernel
def predict(
    x: F32, offset: I32, feature: I32, threshold: F64, default_left: Bools, left: I32, right: I32, value: F64, out: F64
) -> None:
    """Add to ``out`` (n,) the leaf values of rows ``x`` (n, f) in every tree, in the order of the trees.

    Trees outside, rows inside: one tree stays in the first-level cache while all rows walk it.
    """
    for tree in range(offset.shape[0] - 1):
        root = offset[tree]
        for row in range(x.shape[0]):
            node = root
            while feature[node] >= 0:
                seen = x[row, feature[node]]
                # A comparison with NaN is false, so that only missing values reach the second test's right side.
                goes_left = seen <= threshold[node] or (seen != seen and default_left[node])
                node = left[node] if goes_left else right[node]
            out[row] += value[node]
