r"""Path-dependent TreeSHAP: what each feature adds to the score of one row.

The values are those of Lundberg et al., "Consistent Individualized Feature Attribution for Tree Ensembles" (2018),
Algorithm 2, hence of LightGBM's ``pred_contrib``. They are computed without its subset-size bookkeeping. For one leaf
whose path tests d distinct features, let oᵢ ∈ {0, 1} say whether the row satisfies every test of feature i on the
path, and zᵢ be the product of the cover ratios of those tests. The leaf's game is v(S) = value · Πᵢ∈S oᵢ · Πᵢ∉S zᵢ,
and by Owen's multilinear extension ("Multilinear Extensions of Games", 1972) its Shapley values are

    φᵢ = value · (oᵢ − zᵢ) · ∫₀¹ Πⱼ≠ᵢ (t·oⱼ + (1 − t)·zⱼ) dt .

The integrand is a polynomial of degree d − 1 in t, so that Gauss-Legendre quadrature with ⌈d/2⌉ points is exact, and
all of its factors are positive, so that it is stable at any depth. Products are shared along the tree as in Yu et al.,
"Linear TreeShap" (2022): one pass down carries the product at each node, one pass up sums the leaves below it.
Cost: O(nodes · ⌈d/2⌉) a row, d the largest number of distinct features on a path of the tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.kernels import kernel
from palate.score.tree_kernels import CATEGORIES, Rules, listed, passes
from palate.types import F32, F64, I32

_FEW = 3  # rows that are cheaper one by one
_BLOCK = 32  # rows together: enough to share the coefficients of an edge, few enough to stay in the cache


@kernel
def _reach(cover: F64, feature: I32, parent: I32, out_z: F64, out_previous: I32, out_distinct: I32) -> None:
    """For the edge into each node: z, the nearest edge above on the same feature (−1), distinct features so far."""
    for node in range(parent.shape[0]):
        above = parent[node]
        out_previous[node] = -1
        if above < 0:
            out_z[node] = 1.0
            out_distinct[node] = 0
            continue
        edge = above
        while parent[edge] >= 0 and feature[parent[edge]] != feature[above]:
            edge = parent[edge]
        ratio = cover[node] / cover[above]
        if parent[edge] >= 0:
            out_previous[node] = edge
            out_z[node] = ratio * out_z[edge]
            out_distinct[node] = out_distinct[above]
        else:
            out_z[node] = ratio
            out_distinct[node] = out_distinct[above] + 1


@kernel
def _contribute(
    x: F32, offset: I32, feature: I32, threshold: F64, rule: Rules, left: I32, value: F64,
    category_start: I32, category: I32,
    parent: I32, z: F64, previous: I32, order: I32, points: F64, weights: F64, largest: int, block: int, out: F64,
) -> None:  # fmt: skip
    """Add the contributions (n, f) of all trees to ``out``. points, weights: (q, q) quadratures on [0, 1] by row."""
    deepest = points.shape[1]
    product = np.empty((largest, deepest, block))
    below = np.empty((largest, deepest, block))
    met = np.empty((largest, block), dtype=np.bool_)
    total = np.empty(block)
    for start in range(0, x.shape[0], block):
        count = min(block, x.shape[0] - start)
        for tree in range(offset.shape[0] - 1):
            root = offset[tree]
            size = offset[tree + 1] - root
            q = order[tree]
            if size == 1:
                continue
            for k in range(q):
                for b in range(count):
                    product[0, k, b] = weights[q - 1, k]
                    below[0, k, b] = 0.0
            for v in range(1, size):
                node = root + v
                above = parent[node]
                up = above - root
                column = feature[above]
                limit, tested = float(threshold[above]), int(rule[above])
                begin, end = int(category_start[above]), int(category_start[above + 1])
                is_left = left[above] == node
                before = previous[node] - root
                for b in range(count):
                    seen = x[start + b, column]
                    if tested & CATEGORIES:
                        met[v, b] = listed(seen, category, begin, end) == is_left
                    else:
                        met[v, b] = passes(seen, limit, tested) == is_left
                if previous[node] >= 0:
                    for b in range(count):
                        met[v, b] = met[v, b] and met[before, b]
                leaf = feature[node] < 0
                for k in range(q):
                    t = points[q - 1, k]
                    zero = (1.0 - t) * z[node]
                    one = zero + t
                    if previous[node] >= 0:
                        zero_before = (1.0 - t) * z[previous[node]]
                        one_before = zero_before + t
                        both = one / one_before
                        lost = zero / one_before
                        neither = z[node] / z[previous[node]]
                        for b in range(count):
                            still = lost if met[before, b] else neither
                            product[v, k, b] = product[up, k, b] * (both if met[v, b] else still)
                    else:
                        for b in range(count):
                            product[v, k, b] = product[up, k, b] * (one if met[v, b] else zero)
                    if leaf:
                        for b in range(count):
                            below[v, k, b] = product[v, k, b] * value[node]
                    else:
                        for b in range(count):
                            below[v, k, b] = 0.0
            for v in range(size - 1, 0, -1):
                node = root + v
                up = parent[node] - root
                before = previous[node] - root
                for b in range(count):
                    total[b] = 0.0
                for k in range(q):
                    t = points[q - 1, k]
                    # (o − z) / (t·o + (1 − t)·z): at o = 0 it is −1 / (1 − t), whatever z
                    zero = -1.0 / (1.0 - t)
                    one = (1.0 - z[node]) / (t + (1.0 - t) * z[node])
                    if previous[node] >= 0:
                        one_before = (1.0 - z[previous[node]]) / (t + (1.0 - t) * z[previous[node]])
                        both = one - one_before
                        lost = zero - one_before
                        for b in range(count):
                            still = lost if met[before, b] else 0.0
                            total[b] += below[v, k, b] * (both if met[v, b] else still)
                    else:
                        for b in range(count):
                            total[b] += below[v, k, b] * (one if met[v, b] else zero)
                    for b in range(count):
                        below[up, k, b] += below[v, k, b]
                column = feature[parent[node]]
                for b in range(count):
                    out[start + b, column] += total[b]


@kernel
def _contribute_one(
    row: F32, offset: I32, feature: I32, threshold: F64, rule: Rules, left: I32, value: F64,
    category_start: I32, category: I32,
    parent: I32, z: F64, previous: I32, order: I32, points: F64, weights: F64, largest: int, out: F64,
) -> None:  # fmt: skip
    """``_contribute`` of one ``row`` (f,), to the same bits: what a node asks is decided once for all points."""
    deepest = points.shape[1]
    product, below = np.empty((largest, deepest)), np.empty((largest, deepest))
    met = np.empty(largest, dtype=np.bool_)
    for tree in range(offset.shape[0] - 1):
        root = offset[tree]
        size = offset[tree + 1] - root
        q = order[tree]
        if size == 1:
            continue
        at = points[q - 1]
        for k in range(q):
            product[0, k], below[0, k] = weights[q - 1, k], 0.0
        for v in range(1, size):
            node = root + v
            above = parent[node]
            over = above - root
            seen, tested = float(row[feature[above]]), int(rule[above])
            if tested & CATEGORIES:
                went = listed(seen, category, int(category_start[above]), int(category_start[above + 1]))
            else:
                went = passes(seen, float(threshold[above]), tested)
            mine = went == (left[above] == node)
            share, before = z[node], previous[node]
            if before < 0:
                met[v] = mine
                for k in range(q):
                    zero = (1.0 - at[k]) * share
                    product[v, k] = product[over, k] * (zero + at[k] if mine else zero)
            elif met[before - root]:
                met[v] = mine
                for k in range(q):
                    zero = (1.0 - at[k]) * share
                    one_before = (1.0 - at[k]) * z[before] + at[k]
                    product[v, k] = product[over, k] * ((zero + at[k] if mine else zero) / one_before)
            else:
                met[v] = False
                neither = share / z[before]
                for k in range(q):
                    product[v, k] = product[over, k] * neither
            if feature[node] < 0:
                for k in range(q):
                    below[v, k] = product[v, k] * value[node]
            else:
                for k in range(q):
                    below[v, k] = 0.0
        for v in range(size - 1, 0, -1):
            node = root + v
            over = parent[node] - root
            share, before = z[node], previous[node]
            total = 0.0
            if before < 0 or met[before - root]:
                for k in range(q):
                    t = at[k]
                    slope = (1.0 - share) / (t + (1.0 - t) * share) if met[v] else -1.0 / (1.0 - t)
                    if before >= 0:
                        slope -= (1.0 - z[before]) / (t + (1.0 - t) * z[before])
                    total += below[v, k] * slope
                out[feature[parent[node]]] += total
            for k in range(q):
                below[over, k] += below[v, k]


class TreeShap:
    """Everything about a forest's paths that does not depend on the row. Built once, then read only."""

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], parent: I32, features: int) -> None:
        """``arrays``: those of a checked ``Forest``, in memory; ``parent``: (N,) its parents."""
        self._features = features
        self._arrays = arrays
        self._parent = parent
        offset, feature, cover = arrays["offset"], arrays["feature"], arrays["cover"]
        nodes = int(feature.shape[0])
        self._z: F64 = np.empty(nodes)
        self._previous: I32 = np.empty(nodes, dtype=np.int32)
        distinct: I32 = np.empty(nodes, dtype=np.int32)
        _reach(cover, feature, parent, self._z, self._previous, distinct)
        roots = offset[:-1]
        per_tree = np.maximum.reduceat(distinct, roots) if roots.size else np.zeros(0, dtype=np.int32)
        self._order: I32 = np.maximum((per_tree + 1) // 2, 1).astype(np.int32)
        self._largest = int(np.diff(offset).max(initial=1))
        deepest = int(self._order.max(initial=1))
        self._points: F64 = np.zeros((deepest, deepest))
        self._weights: F64 = np.zeros((deepest, deepest))
        for order in range(1, deepest + 1):
            points, weights = np.polynomial.legendre.leggauss(order)
            self._points[order - 1, :order] = (points + 1.0) / 2.0
            self._weights[order - 1, :order] = weights / 2.0
        root_cover = np.repeat(cover[roots], np.diff(offset))
        self.base = float((arrays["value"] * (cover / root_cover)).sum())

    def contributions(self, x: F32) -> F64:
        """Shapley values (n, f) of C-contiguous float32 rows (n, f)."""
        out: F64 = np.zeros((len(x), self._features))
        a = self._arrays
        tests = (a["offset"], a["feature"], a["threshold"], a["rule"], a["left"], a["value"])
        tests += (a["category_start"], a["category"])
        paths = (self._parent, self._z, self._previous, self._order, self._points, self._weights)
        if len(x) <= _FEW:
            for row, mine in zip(x, out, strict=True):
                _contribute_one(row, *tests, *paths, self._largest, mine)
        else:
            _contribute(x, *tests, *paths, self._largest, _BLOCK, out)
        return out
