"""Trees of at most 64 leaves, evaluated feature by feature with bit masks.

QuickScorer (Lucchese et al., "QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of Regression
Trees", 2015), with several rows side by side as in its vectorised form (2016). Every tree has one bit for each leaf,
left to right. A test that a row fails rules out the leaves of its left subtree; the leaf that the row falls into is the
leftmost that nothing rules out. All tests of one feature stand together, by threshold, so that they are read in order
and stop at the first that every row passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.types import F32, F64, I32

MOST_LEAVES = 64
_LANES = 16
_WIDEST = 128  # rows side by side: as many as let the bits of 300 trees stay in the second-level cache
_DEBRUIJN = np.uint64(0x022FDD63CC95386D)
_SHIFT = np.uint64(58)
_BIT_OF = np.zeros(64, dtype=np.uint8)
for _bit in range(64):
    _BIT_OF[((int(_DEBRUIJN) << _bit) % 2**64) >> 58] = _bit

Masks = npt.NDArray[Any]  # uint32 for at most 32 leaves, else uint64


@kernel
def _predict(
    x: F32, start: I32, threshold: F32, tree: I32, mask: Masks, full: Masks, value: F64, width: int, out: F64
) -> None:
    """Add the forest's output to ``out`` (n,), ``width`` rows at a time.

    List 2j of tests, from ``start[2j]``, is that of feature j where a missing value goes left, 2j + 1 where right.
    """
    trees = value.shape[0]
    everything = full[0]
    bits = np.empty((trees, width), dtype=mask.dtype)
    column = np.empty(width, dtype=np.float32)
    for first in range(0, x.shape[0], width):
        count = min(width, x.shape[0] - first)
        bits[:] = everything
        for k in range(start.shape[0] - 1):
            if start[k] == start[k + 1]:
                continue
            missing = np.float32(np.inf) if k & 1 else np.float32(-np.inf)
            top = np.float32(-np.inf)
            for b in range(width):
                column[b] = -np.inf
            for b in range(count):
                seen = x[first + b, k >> 1]
                column[b] = missing if seen != seen else seen
                top = max(top, column[b])
            for s in range(start[k], start[k + 1]):
                limit = threshold[s]
                if top <= limit:
                    break
                keep = mask[s]
                row = bits[np.uint32(tree[s])]
                # The form that compiles to vector instructions: a width not known here, and a store in every case.
                for b in range(width):
                    before = row[b]
                    row[b] = before & keep if column[b] > limit else before
        for t in range(trees):
            for b in range(count):
                left = np.uint64(bits[t, b])
                lowest = left & (~left + np.uint64(1))
                out[first + b] += value[t, _BIT_OF[(lowest * _DEBRUIJN) >> _SHIFT]]


class QuickScorer:
    """A forest rearranged by feature. Built once, then read only."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], leaves: int, features: int) -> None:
        """``arrays``: those of a checked ``Forest``; ``leaves``: the largest number in one tree, at most 64."""
        dtype = np.uint32 if leaves <= 32 else np.uint64
        width = np.dtype(dtype).itemsize * 8
        offset, feature = arrays["offset"], arrays["feature"]
        masks = np.zeros(len(feature), dtype=dtype)
        self._value: F64 = np.zeros((len(offset) - 1, width))
        for tree, root in enumerate(offset[:-1].tolist()):
            _number_leaves(root, arrays, width, masks, self._value[tree])
        inner = np.flatnonzero(feature >= 0)
        limit = _float32_below(arrays["threshold"][inner])
        lists = 2 * feature[inner] + ~arrays["default_left"][inner]
        order = np.lexsort((limit, lists))
        inner = inner[order]
        self._start: I32 = np.searchsorted(lists[order], np.arange(2 * features + 1)).astype(np.int32)
        self._threshold: F32 = limit[order]
        self._tree: I32 = (np.searchsorted(offset, inner, side="right") - 1).astype(np.int32)
        self._mask: Masks = masks[inner]
        self._full: Masks = np.array([np.iinfo(dtype).max], dtype=dtype)

    def score(self, x: F32) -> F64:
        """Scores (n,) of C-contiguous float32 rows (n, f), bit for bit those of the plain walk."""
        out: F64 = np.zeros(len(x))
        blocks = max(1, -(-len(x) // _WIDEST))
        width = -(-len(x) // (blocks * _LANES)) * _LANES
        _predict(x, self._start, self._threshold, self._tree, self._mask, self._full, self._value, width, out)
        return out


def _number_leaves(root: int, arrays: Mapping[str, np.ndarray[Any, Any]], width: int, masks: Any, value: F64) -> None:
    """Fill in the leaves' values from left to right, and for each test the leaves that failing it leaves possible."""
    left, right = arrays["left"], arrays["right"]
    everything = (1 << width) - 1
    count = 0
    # A node comes twice: to go down left, and, with the number of leaves so far, when its left subtree is done.
    stack: list[tuple[int, int]] = [(root, -1)]
    while stack:
        node, before = stack.pop()
        if left[node] < 0:
            value[count] = arrays["value"][node]
            count += 1
        elif before < 0:
            stack.append((node, count))
            stack.append((int(left[node]), -1))
        else:
            masks[node] = everything ^ (((1 << count) - 1) ^ ((1 << before) - 1))
            stack.append((int(right[node]), -1))


def _float32_below(threshold: F64) -> F32:
    """The largest float32 not above each threshold: for a float32 x, ``x <= threshold`` says the same of both."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
