"""Trees of at most 256 leaves for many rows at once: a bit a row.

QuickScorer (Lucchese et al., "QuickScorer: A Fast Algorithm to Rank Documents with Additive Ensembles of Regression
Trees", 2015) reads all tests of one feature together, by threshold, and lets each mask the leaves that it rules out.
RapidScorer (Ye et al., 2018) evaluates a test that several trees share only once. Here both are turned on their side.
Masks have a bit for each row, not for each leaf, so that one instruction decides 128 rows, and nothing depends on the
number of leaves:

1. Each distinct test says which rows pass it. Where all rows of a feature are alike, as with everything about the user
   in a ranking, or on one side of a threshold, nothing is compared.
2. Down each tree, the rows that come to a node and pass its test go left, the others right: two operations a node.
3. Leaves are numbered from left to right. Bit k of the number is set for the rows that come to any of the nodes all of
   whose leaves have it set; few such nodes cover them. From these bits each row gets the number of its leaf.
4. The values of the leaves are added up, tree by tree, as the plain walk does: scores have the same bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel
from palate.score import bits
from palate.score.tree_kernels import CATEGORIES, LEFT, SMALL, ZERO
from palate.types import F32, F64, I32, I64

_BITS = 8
"""Of the number of a leaf, so that it is a byte."""
MOST_LEAVES = 1 << _BITS
_GROVE = 4
"""Trees that go down together, level by level: nodes of one level don't wait for one another."""
_KINDS = 4
"""Rules of tests of numbers: where a missing value goes, and whether 0 is one."""
_NARROW, _WIDE = (0, 0), (0, 0, 0, 0)
"""Lanes for 128 and for 256 rows; more together gained nothing."""

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
Arrays = Mapping[str, np.ndarray[Any, Any]]


@kernel
def _predict(
    x: F32, column: I32, start: I32, limit: F32,
    listing: I32, known_start: I32, known: I32, told_start: I32, told: I32,
    grove: I32, slot: U16, test: I32, planes: U8, member_start: I32, member: U16, value: F64, width: int,
    tests: int, slots: int, lanes: tuple[int, ...], out: F64,
) -> None:  # fmt: skip
    """Add the forest's output to ``out`` (n,), 64 · len(lanes) rows at a time.

    Arrays are those of ``_numbers``, ``_categories`` and ``_nodes``; tests, slots: how many there are at a time.
    """
    rows = 64 * len(lanes)
    flat, step = x.reshape(-1), np.uint64(x.shape[1])
    raw = np.zeros(rows, np.float32)
    seen = np.zeros(rows, np.float32)
    ends = np.empty(3, np.float32)
    answers = np.empty(max(1, tests) * len(lanes), np.uint64)
    place = np.full(max(1, known.shape[0]), -1, np.int32)
    present = np.empty(rows, np.int32)
    having = np.empty(rows * len(lanes), np.uint64)
    reach = np.empty(slots * len(lanes), np.uint64)
    plane = np.empty(_BITS * len(lanes), np.uint64)
    leaf = np.empty(_GROVE * rows, np.uint8)
    bits.fill(reach, 0, _GROVE, ~np.uint64(0), lanes)
    for first in range(0, x.shape[0], rows):
        count = min(rows, x.shape[0] - first)
        words = (count + 63) // 64
        for c in range(column.shape[0]):
            at = np.uint64(first * x.shape[1] + column[c])  # unsigned: no test for counting from the end
            for b in range(count):
                raw[b] = flat[at]
                at += step
            for b in range(count, 64 * words):
                raw[b] = raw[0]
            settled = -1
            for kind in range(_KINDS):
                low, high = start[_KINDS * c + kind], start[_KINDS * c + kind + 1]
                if low == high:
                    continue
                if settled != kind & ZERO or ends[2] > 0.0:
                    missing = np.float32(-np.inf if kind & LEFT else np.nan)  # NaN passes no test
                    bits.settle(raw, 4 * words, SMALL if kind & ZERO else -1.0, missing, seen, ends, lanes)
                    settled = kind & ZERO
                least, most = ends[0], ends[1]
                if not kind & LEFT and ends[2] > 0.0:
                    most = np.float32(np.nan)
                no_row = all_rows = 0
                for t in range(low, high):
                    no_row += limit[t] < least
                    all_rows += limit[t] >= most
                bits.fill(answers, low, low + no_row, np.uint64(0), lanes)
                bits.compare(seen, words, limit, low + no_row, high - all_rows, answers, lanes)
                bits.fill(answers, high - all_rows, high, ~np.uint64(0), lanes)
        if listing.shape[0]:
            bits.fill(answers, limit.shape[0], tests, np.uint64(0), lanes)
        for c in range(listing.shape[0]):
            different = 0
            for b in range(count):
                code = _find(known, known_start[c], known_start[c + 1], x[first + b, listing[c]])
                if code < 0:
                    continue
                if place[code] < 0:
                    place[code] = different
                    present[different] = code
                    bits.fill(having, different, different + 1, np.uint64(0), lanes)
                    different += 1
                having[place[code] * len(lanes) + (b >> 6)] |= np.uint64(1) << np.uint64(b & 63)
            for n in range(different):
                code = present[n]
                place[code] = -1
                bits.include(answers, told, told_start[code], told_start[code + 1], having, n, lanes)
        for g in range(grove.shape[0] - 1):
            bits.descend(reach, slot, test, grove[g], grove[g + 1], _GROVE, answers, lanes)
            for turn in range(_GROVE):
                tree = _GROVE * g + turn
                for k in range(planes[tree]):
                    m = _BITS * tree + k
                    bits.union(reach, member, member_start[m], member_start[m + 1], plane, k, lanes)
                bits.number(plane, planes[tree], words, leaf, turn * rows, lanes)
            a = np.uint64(_GROVE * g * width)
            wide, row = np.uint64(width), np.uint64(rows)
            for b in range(np.uint64(count)):
                total = out[np.uint64(first) + b]
                total += value[a + leaf[b]]
                total += value[a + wide + leaf[row + b]]
                total += value[a + wide + wide + leaf[row + row + b]]
                total += value[a + wide + wide + wide + leaf[row + row + row + b]]
                out[np.uint64(first) + b] = total


@kernel
def _find(known: I32, first: int, last: int, seen: float) -> int:
    """The place of a category in ``known[first:last]``, which ascends; −1 for others and for what is no category."""
    if not (seen > -1.0 and seen < 2147483648.0):
        return -1
    code = int(seen)
    count = last - first
    while count > 1:
        half = count >> 1
        first = first + half if known[first + half] <= code else first
        count -= half
    return first if known[first] == code else -1


class QuickScorer:
    """A forest rearranged by test. Built once, then read only."""

    def __init__(self, forest: Arrays) -> None:
        """``forest``: the arrays of a checked ``Forest``, in memory, none of its trees with over 256 leaves."""
        inner = np.flatnonzero(forest["feature"] >= 0)
        listed = forest["rule"][inner] & CATEGORIES > 0
        test = np.zeros(len(forest["feature"]), np.int32)
        self._numbers = _numbers(forest, inner[~listed], test)
        self._categories, self._tests = _categories(forest, inner[listed], test, len(self._numbers[2]))
        self._nodes = _nodes(forest, test)
        self._slots = _GROVE + 2 * int(np.diff(self._nodes[0]).max(initial=0))

    def score(self, x: F32) -> F64:
        """Scores (n,) of C-contiguous float32 rows (n, f), bit for bit those of the plain walk."""
        out: F64 = np.zeros(len(x))
        lanes = _NARROW if len(x) <= 64 * len(_NARROW) else _WIDE
        _predict(x, *self._numbers, *self._categories, *self._nodes, self._tests, self._slots, lanes, out)
        return out


def _numbers(forest: Arrays, nodes: I64, test: I32) -> tuple[I32, I32, F32]:
    """Distinct tests of numbers: columns, and limits in lists of which 4c + r, from ``start[4c + r]``, is that of the
    c-th column with rule r. Fills in the ``test`` of the nodes."""
    limit = _float32_below(forest["threshold"][nodes])
    column = np.unique(forest["feature"][nodes]).astype(np.int32)
    lists: I64 = _KINDS * np.searchsorted(column, forest["feature"][nodes]) + forest["rule"][nodes]
    order = np.lexsort((limit, lists))
    limit, lists = limit[order], lists[order]
    new = np.ones(len(nodes), np.bool_)
    new[1:] = (lists[1:] != lists[:-1]) | (limit[1:] != limit[:-1])
    test[nodes[order]] = np.cumsum(new) - 1
    start = np.searchsorted(lists[new], np.arange(_KINDS * len(column) + 1)).astype(np.int32)
    return column, start, limit[new]


def _categories(forest: Arrays, nodes: I64, test: I32, tests: int) -> tuple[tuple[I32, I32, I32, I32, I32], int]:
    """Distinct tests of categories, numbered from ``tests`` on, and how many tests there are with them.

    Columns; where the known categories of each begin; those; where the tests that each passes begin; those.
    """
    begin, category, feature = forest["category_start"], forest["category"], forest["feature"]
    number: dict[tuple[int, bytes], int] = {}
    passes: dict[tuple[int, int], list[int]] = {}
    for node in nodes.tolist():
        listed = category[begin[node] : begin[node + 1]]
        key = (int(feature[node]), listed.tobytes())
        if key not in number:
            number[key] = tests + len(number)
            for code in listed.tolist():
                passes.setdefault((key[0], code), []).append(number[key])
        test[node] = number[key]
    known = sorted(passes)
    column = sorted({feature for feature, _ in number})
    counts = [sum(1 for feature, _ in known if feature == one) for one in column]
    told = [passes[pair] for pair in known]
    found = (
        column,
        [0, *itertools.accumulate(counts)],
        [code for _, code in known],
        [0, *itertools.accumulate(map(len, told))],
        list(itertools.chain.from_iterable(told)),
    )
    one, two, three, four, five = (np.array(numbers, np.int32) for numbers in found)
    return (one, two, three, four, five), tests + len(number)


def _nodes(forest: Arrays, test: I32) -> tuple[I32, U16, I32, U8, I32, U16, F64, int]:
    """By grove, where its inner nodes begin; of those slot and test; by tree, how many bits the numbers of its leaves
    have; by tree and bit, where the slots begin whose leaves have it set; those; the values of leaves, and how many
    there is room for in a tree."""
    offset, left, right = forest["offset"], forest["left"], forest["right"]
    trees = len(offset) - 1
    groves = -(-trees // _GROVE)
    tree: I64 = np.repeat(np.arange(trees), np.diff(offset))
    levels, count, lowest = _number_leaves(forest)
    # Inner nodes of a grove, level by level, an even number; the children of its n-th are in slots 4 + 2n and 5 + 2n.
    inner: I64 = np.concatenate([*levels, np.zeros(0, np.int64)])
    inner = inner[np.argsort(tree[inner] // _GROVE, kind="stable")]
    of = tree[inner] // _GROVE
    sizes = np.bincount(of, minlength=groves)
    grove = np.concatenate([[0], np.cumsum(sizes + sizes % 2)]).astype(np.int32)
    nth = np.arange(len(inner)) - (np.cumsum(sizes) - sizes)[of]
    slots = np.zeros(len(left), np.int64)
    slots[offset[:-1]] = np.arange(trees) % _GROVE
    slots[left[inner]] = _GROVE + 2 * nth
    slots[right[inner]] = _GROVE + 2 * nth + 1
    slot = np.zeros(int(grove[-1]), np.uint16)
    tests = np.zeros(int(grove[-1]), np.int32)
    slot[grove[of] + nth] = slots[inner]
    tests[grove[of] + nth] = test[inner]
    planes = np.zeros(_GROVE * groves, np.uint8)
    parent: I64 = np.arange(len(left))
    parent[left[inner]] = parent[right[inner]] = inner
    lists: list[I64] = []
    members: list[I64] = []
    for k in range(_BITS):
        planes[:trees] += (count[offset[:-1]] - 1) >> k > 0
        whole = (lowest >> k & 1 == 1) & (lowest >> k == (lowest + count - 1) >> k)
        found = np.flatnonzero(whole & ~whole[parent])  # never a root: its first leaf has number 0
        lists.append(_BITS * tree[found] + k)
        members.append(slots[found])
    member_start, member = _padded(np.concatenate(lists), np.concatenate(members), _BITS * _GROVE * groves)
    width = 1 << int(planes.max(initial=0))
    value: F64 = np.zeros((_GROVE * groves, width))
    leaves = np.flatnonzero(forest["feature"] < 0)
    value[tree[leaves], lowest[leaves]] = forest["value"][leaves]
    return grove, slot, tests, planes, member_start, member, value.ravel(), width


def _number_leaves(forest: Arrays) -> tuple[list[I64], I64, I64]:
    """Inner nodes by level, how many leaves (N,) are below each node, and the number (N,) of its leftmost one."""
    left, right = forest["left"], forest["right"]
    levels: list[I64] = []
    level = forest["offset"][:-1].astype(np.int64)
    while len(level := level[left[level] >= 0]):
        levels.append(level)
        level = np.concatenate([left[level], right[level]])
    count = np.ones(len(left), np.int64)
    for level in reversed(levels):
        count[level] = count[left[level]] + count[right[level]]
    lowest = np.zeros(len(left), np.int64)
    for level in levels:
        lowest[left[level]] = lowest[level]
        lowest[right[level]] = lowest[level] + count[left[level]]
    return levels, count, lowest


def _padded(lists: I64, members: I64, count: int) -> tuple[I32, U16]:
    """Members list after list, and where each of ``count`` lists starts; the first fills up to what is read at once."""
    order = np.argsort(lists, kind="stable")
    lists, members = lists[order], members[order]
    sizes = np.bincount(lists, minlength=count)
    room = -(-sizes // bits.UNROLL) * bits.UNROLL
    start = np.concatenate([[0], np.cumsum(room)])
    begin = np.cumsum(sizes) - sizes
    out = np.repeat(members[np.minimum(begin, max(0, len(members) - 1))], room) if len(members) else members
    out[start[lists] + np.arange(len(lists)) - begin[lists]] = members
    return start.astype(np.int32), out.astype(np.uint16)


def _float32_below(threshold: F64) -> F32:
    """The largest float32 not above each threshold: for a float32 x, ``x <= threshold`` says the same of both."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
