"""Compiled tree walking. Arrays are those of ``Forest``, which has validated every index."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.types import F32, F64, I32

LEFT, ZERO, CATEGORIES = 1, 2, 4
"""Bits of a node's rule: missing values go left; 0 is missing, too; the listed categories go left, all else right."""
SMALL = np.float32(1e-35)
"""LightGBM reads values of at most this magnitude as 0."""

Rules = npt.NDArray[np.uint8]


@kernel
def passes(seen: float, limit: float, rule: int) -> bool:
    """Whether a value goes left at a node that tests a number."""
    # A comparison with NaN is false, so that only missing values reach the second test's right side.
    if rule & ZERO and abs(seen) <= SMALL:
        return rule & LEFT != 0
    return seen <= limit or (seen != seen and rule & LEFT != 0)


@kernel
def listed(seen: float, category: I32, first: int, last: int) -> bool:
    """Whether a value goes left at a node that tests categories: those from ``first`` to ``last``, which ascend."""
    if not (seen > -1.0 and seen < 2147483648.0):
        return False
    code = int(seen)
    while first < last:
        middle = (first + last) >> 1
        if category[middle] < code:
            first = middle + 1
        elif category[middle] > code:
            last = middle
        else:
            return True
    return False


@kernel
def predict(
    x: F32, offset: I32, feature: I32, threshold: F64, rule: Rules, left: I32, right: I32, value: F64,
    category_start: I32, category: I32, out: F64,
) -> None:  # fmt: skip
    """Add to ``out`` (n,) the leaf values of rows ``x`` (n, f) in every tree, in the order of the trees.

    Trees outside, rows inside: one tree stays in the first-level cache while all rows walk it.
    """
    for tree in range(offset.shape[0] - 1):
        root = offset[tree]
        for row in range(x.shape[0]):
            node = root
            while feature[node] >= 0:
                seen = x[row, feature[node]]
                if rule[node] & CATEGORIES:
                    first, last = int(category_start[node]), int(category_start[node + 1])
                    is_left = listed(seen, category, first, last)
                else:
                    is_left = passes(seen, float(threshold[node]), int(rule[node]))
                node = left[node] if is_left else right[node]
            out[row] += value[node]
