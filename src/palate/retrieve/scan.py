"""The exact search: one pass over the codes of all texts for four queries, and what that leaves (``codes``).

Of every query the k best cosines found so far are kept; their smallest is a lower bound of what the k-th best will be,
and no text whose upper bound lies below it is looked at again. So that the bound is a good one from the beginning, the
best of the kinds of texts that are nearest to the queries are computed first.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel, soon
from palate.retrieve.codes import Bytes, Coded, Codes, Words
from palate.retrieve.groups import FIRST, USES, allowed
from palate.retrieve.lanes import LIMIT, QUERIES, ROWS, lowest_bit, passing
from palate.retrieve.projection import Projection
from palate.retrieve.topk import best
from palate.tastes import dot
from palate.types import F32, I32, I64, Bools

NOTHING: Bools = np.zeros(0, np.bool_)
"""No mask."""
_SAMPLED = 4096
"""Rows that are looked at first, at most a fourth of them for each query."""
_RUN = 16
"""Blocks of 16 rows that follow one another in a sample of what is in no order, since that reads faster."""
_TOGETHER = 64
"""Blocks of 16 rows that are looked at together."""


@kernel
def _keep(heap: F32, names: I32, count: int, value: float, name: int) -> int:
    """Keep the largest values offered, with their names, in a heap whose smallest is at 0; how many it holds then."""
    k = len(heap)
    if count < k:
        at = count
        while at > 0 and heap[(at - 1) // 2] > value:
            heap[at], names[at] = heap[(at - 1) // 2], names[(at - 1) // 2]
            at = (at - 1) // 2
        heap[at], names[at] = value, name
        return count + 1
    if not value > heap[0]:
        return count
    at = 0
    while True:
        child = 2 * at + 1
        if child >= k:
            break
        if child + 1 < k and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at], names[at] = heap[child], names[child]
        at = child
    heap[at], names[at] = value, name
    return count


@kernel
def _first(used: int, starts: I64, kinds: F32) -> Bools:
    """Which blocks to sample: those of the kinds nearest to each query; every so many where there is no order."""
    blocks = (used + ROWS - 1) // ROWS
    chosen = np.zeros(blocks, np.bool_)
    if not len(starts):
        for begin in range(0, blocks, _RUN * max(1, blocks * ROWS // _SAMPLED)):
            chosen[begin : begin + _RUN] = True
        return chosen
    for q in range(len(kinds)):
        worth, left = kinds[q].copy(), _SAMPLED // QUERIES
        for _ in range(len(worth)):
            kind = np.argmax(worth)
            begin, end = starts[kind], starts[kind + 1]
            chosen[begin // ROWS : (min(end, begin + left) + ROWS - 1) // ROWS] = True
            left -= end - begin
            if left <= 0:
                break
            worth[kind] = -np.inf
    return chosen


@kernel
def _sampled(
    used: int, vectors: F32, queries: F32, near: Bytes, far: Bytes, scale: F32, near_rest: F32, head_rest: F32,
    row_at: I32, chosen: Bools, asked_near: I32, near_constants: F32, asked_far: I32, far_constants: F32,
    heads: I32, following: I32, masked: bool, alive: Bools, share: float, k: int, least: F32,
) -> None:  # fmt: skip
    """least[q]: a cosine that k allowed items of a sample reach; −∞ where the sample has too few.

    share: of the items that are allowed, about."""
    wanted = min(used, int(k / share) + ROWS)
    nothing, estimates = np.zeros((QUERIES, ROWS), np.float32), np.empty((QUERIES, ROWS), np.float32)
    worth, names = np.empty((QUERIES, wanted), np.float32), np.empty((QUERIES, wanted), np.int32)
    count = np.zeros(QUERIES, np.int64)
    near_bare, far_bare = near_constants.copy(), far_constants.copy()
    far_bare[:, 2:LIMIT] = 0.0
    far_bare[: len(queries), LIMIT] = -np.inf
    for block in np.flatnonzero(chosen):
        passing(near, block, asked_near, scale, near_rest, near_bare, nothing, estimates)
        bits = passing(far, block, asked_far, scale, head_rest, far_bare, estimates, estimates)
        while bits != 0:
            place = lowest_bit(bits)
            bits &= bits - 1
            q, slot = place >> 4, block * ROWS + (place & 15)
            if slot < used:
                count[q] = _keep(worth[q], names[q], int(count[q]), float(estimates[q, place & 15]), int(row_at[slot]))
                if count[q] == wanted:
                    far_bare[q, LIMIT] = worth[q, 0]
    for q in range(len(queries)):
        for place in range(count[q]):
            soon(heads, names[q, place], 1)
            soon(vectors, names[q, place], 16)
    heap, items = np.empty(k, np.float32), np.empty(k, np.int32)
    for q in range(len(queries)):
        held = 0
        for place in range(count[q]):
            t = names[q, place]
            times = allowed(t, heads, following, masked, alive, k)
            if times == 0:
                continue
            value = dot(vectors[t], queries[q])
            for _ in range(times):
                held = _keep(heap, items, held, value, t)
        least[q] = heap[0] if held == k else -np.inf


@kernel
def nearest(
    used: int, vectors: F32, queries: F32,
    near: Bytes, far: Bytes, scale: F32, near_rest: F32, head_rest: F32, tail: Codes, marks: F32, row_at: I32,
    starts: I64,
    asked_near: I32, near_constants: F32, asked_far: I32, far_constants: F32, asked_tail: Words, weights: F32,
    slack: F32, kinds: F32,
    heads: I32, following: I32, masked: bool, alive: Bools, share: float, k: int, found: I32, values: F32, looked: I64,
) -> I64:  # fmt: skip
    """Texts among which are those of the k best allowed items, for each of (q ≤ 4, dim) unit ``queries``.

    used, near … starts: of ``Coded``; asked_near … kinds: of ``Asked``. The texts go to found[q]; returns how many each
    query has. found, values: (4, texts), not cleared. share: of the items that are allowed, about. looked: (3,) counts
    texts whose head passed, those whose tail passed, and those that looked like one of the best when computed.
    """
    count = np.zeros(QUERIES, np.int64)
    found_of = np.zeros(QUERIES, np.int64)
    heaps, items = np.empty((QUERIES, k), np.float32), np.empty((QUERIES, k), np.int32)
    least = np.full(QUERIES, -np.inf, np.float32)
    nothing, estimates = np.zeros((QUERIES, ROWS), np.float32), np.empty((QUERIES, ROWS), np.float32)
    # What passes a look waits for the next one until its memory has come; waiting for each would take far longer.
    passed, passed_query = (
        np.empty(_TOGETHER * QUERIES * ROWS, np.int32),
        np.empty(_TOGETHER * QUERIES * ROWS, np.int32),
    )
    bound = np.empty(_TOGETHER * QUERIES * ROWS, np.float32)
    _sampled(
        used, vectors, queries, near, far, scale, near_rest, head_rest, row_at, _first(used, starts, kinds), asked_near,
        near_constants, asked_far, far_constants, heads, following, masked, alive, share, k, least,
    )  # fmt: skip
    for q in range(len(queries)):
        near_constants[q, LIMIT] = far_constants[q, LIMIT] = least[q] - slack[q, 0]
    width, last, blocks = tail.shape[1], marks.shape[1] - 3, (used + ROWS - 1) // ROWS
    for begin in range(0, blocks, _TOGETHER):
        waiting = 0
        for block in range(begin, min(blocks, begin + _TOGETHER)):
            bits = passing(near, block, asked_near, scale, near_rest, near_constants, nothing, estimates)
            if bits != 0:
                bits &= passing(far, block, asked_far, scale, head_rest, far_constants, estimates, estimates)
            while bits != 0:
                place = lowest_bit(bits)
                bits &= bits - 1
                q, slot = place >> 4, block * ROWS + (place & 15)
                if slot < used:
                    passed[waiting], passed_query[waiting], bound[waiting] = slot, q, estimates[q, place & 15]
                    waiting += 1
                    soon(tail, slot, 2)
        looked[0] += waiting
        left = 0
        for place in range(waiting):
            slot, q = passed[place], passed_query[place]
            one, other, total = tail[slot], asked_tail[q], np.int32(0)
            for i in range(width):
                total = np.int32(total + np.int32(np.int32(one[i]) * np.int32(other[i])))
            most = bound[place] + far_constants[q, 2] * marks[slot, last] + weights[q, 2] * marks[slot, last + 2]
            most += (np.float32(total) * weights[q, 0] + weights[q, 1]) * marks[slot, last + 1]
            if most >= least[q] - slack[q, 1]:
                passed[left], passed_query[left], bound[left] = row_at[slot], q, most
                soon(heads, passed[left], 1)
                soon(vectors, passed[left], 16)
                left += 1
        looked[1] += left
        for place in range(left):
            text, q = passed[place], passed_query[place]
            if bound[place] < least[q] - slack[q, 1]:
                continue
            times = allowed(text, heads, following, masked, alive, k)
            if times == 0:
                continue
            value = dot(vectors[text], queries[q])
            if value < least[q] - slack[q, 1]:
                continue
            looked[2] += 1
            found[q, found_of[q]], values[q, found_of[q]] = text, value
            found_of[q] += 1
            for _ in range(times):
                count[q] = _keep(heaps[q], items[q], int(count[q]), value, text)
            if count[q] == k and heaps[q, 0] > least[q]:
                least[q] = heaps[q, 0]
                near_constants[q, LIMIT] = far_constants[q, LIMIT] = least[q] - slack[q, 0]
    for q in range(len(queries)):
        kept = 0
        for place in range(found_of[q]):
            if values[q, place] >= least[q] - slack[q, 1]:
                found[q, kept] = found[q, place]
                kept += 1
        found_of[q] = kept
    return found_of


@kernel
def ranked(
    query: F32, vectors: F32, texts: I32, heads: I32, following: I32, masked: bool, alive: Bools, k: int
) -> tuple[I32, F32]:
    """The ``k`` best allowed items of ``texts`` (n,), none twice, and their cosines: best first, ties by row."""
    room = 0
    for t in texts:
        room += heads[t, USES]
    rows, scores = np.empty(room, np.int32), np.empty(room, np.float32)
    n = 0
    for t in texts:
        item, before = heads[t, FIRST], n
        for _ in range(heads[t, USES]):
            if not masked or (item < len(alive) and alive[item]):
                rows[n] = item
                n += 1
            item = following[item]
        if n > before:
            scores[before:n] = dot(vectors[t], query)
    k = min(k, n)
    best_rows, best_scores = np.empty(k, np.int32), np.empty(k, np.float32)
    if k > 0:
        best(rows[:n], scores[:n], best_rows, best_scores)
    return best_rows, best_scores


def coded_nearest(
    coded: Coded, vectors: F32, queries: F32, heads: I32, following: I32, alive: Bools | None, share: float, k: int,
    found: I32, values: F32, looked: I64,
) -> I64:  # fmt: skip
    """``nearest`` for ``coded`` rows."""
    asked = coded.ask(queries)
    return nearest(
        coded.used, vectors, queries, coded.near, coded.far, coded.scale, coded.near_rest, coded.head_rest, coded.tail,
        coded.marks, coded.row_at, coded.starts, asked.near, asked.near_constants, asked.far, asked.far_constants,
        asked.tail, asked.weights, asked.slack, asked.kinds, heads, following, alive is not None,
        NOTHING if alive is None else alive, share, k, found, values, looked,
    )  # fmt: skip


def recall(projection: Projection, vectors: F32, k: int = 100) -> float:
    """Of the exact ``k`` nearest of (n, dim) ``vectors``, the share that ``nearest`` finds; ties count as found.

    Asked for are vectors of the catalogue and means of five, as tastes are. Cost: about 50 ms for 16,384 of 256.
    """
    n, k = len(vectors), min(k, len(vectors))
    coded = Coded.empty(projection, n)
    coded.put(np.arange(n, dtype=np.int32), vectors)
    chance = np.random.default_rng(n)
    queries = np.concatenate([vectors[chance.choice(n, 8)], vectors[chance.choice(n, (8, 5))].sum(axis=1)])
    lengths = np.linalg.norm(queries, axis=1)
    queries = queries[lengths > 1e-6] / lengths[lengths > 1e-6, None]
    heads = np.stack([np.arange(n), np.ones(n)], axis=1).astype(np.int32)
    following = np.full(n, -1, np.int32)
    found, values = np.empty((QUERIES, n), np.int32), np.empty((QUERIES, n), np.float32)
    hit = 0
    for start in range(0, len(queries), QUERIES):
        some = queries[start : start + QUERIES]
        counts = coded_nearest(
            coded, vectors, some, heads, following, None, 1.0, k, found, values, np.zeros(3, np.int64)
        )
        for q, exact in enumerate(np.einsum("qd,td->qt", some, vectors)):
            least = np.partition(exact, n - k)[n - k]
            hit += min(k, int(np.count_nonzero(exact[found[q, : counts[q]]] >= least - 1e-6)))
    return hit / (k * len(queries)) if len(queries) else 1.0
