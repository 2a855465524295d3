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
def goes_left(seen: float, limit: float, rule: int, category: I32, first: int, last: int) -> bool:
    """Whether a value goes left at a node of this threshold and rule, its categories from ``first`` to ``last``."""
    if rule & CATEGORIES:
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
    missing = seen != seen or (rule & ZERO != 0 and abs(seen) <= SMALL)
    return rule & LEFT != 0 if missing else seen <= limit


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
                first, last = int(category_start[node]), int(category_start[node + 1])
                is_left = goes_left(seen, float(threshold[node]), int(rule[node]), category, first, last)
                node = left[node] if is_left else right[node]
            out[row] += value[node]
