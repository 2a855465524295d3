"""Self-attention reads the history: SASRec (Kang & McAuley 2018) with the losses of gSASRec (Petrov & Macdonald 2023),
and biases of distance and of time gap in the attention (as T5, Raffel 2020, and TiSASRec, Li 2020, have them).

An entry enters as x = W v + what its gap and its weight add. Blocks are pre-norm: with heads of width e,

    logit(i, j) = q_i · k_j / √e + distance[i − j] + time[bucket(t_i − t_j)],   j ≤ i
    x ← x + O attention(norm(x)),   x ← x + F₂ relu(F₁ norm(x) + b₁) + b₂
    person = P norm(x) + b,   score(item) = person · item

The last block is asked by the newest entry alone, to which the bucket of the gap until now is added (x + ask[bucket]),
and measures its time gaps from now: the answer knows how long ago the last event was. Nothing of an entry depends on
later ones or on the moment of asking, so that keys and values are kept, and one event more costs one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from palate.errors import CorruptArtefact
from palate.kernels import kernel
from palate.tastes import dot
from palate.towers import Reading
from palate.towers.dense import TextMap, affine, checked, normed, widths
from palate.towers.window import BUCKETS, EDGES, FIRST, LEVELS, NO_KEYS, bucket, continued, level, window
from palate.types import F32, F64, I32, I64

LIMIT = 50
"""Entries in the longest window; the shortest of a long history has half of them."""


class SasrecMemory(NamedTuple):
    """keys: (n,) of the entries read, oldest first; held: (blocks, 2, ``LIMIT``, h) keys and values of the attention;
    last: (h,), what the newest entry is before the last block. 51 kB at two blocks of width 64: keep few of them."""

    keys: I64
    held: F32
    last: F32


class SasrecTower:
    """kind ``sasrec``. Reads the newest ``LIMIT`` entries at most. Cost: a step for each entry that is new, O(h²).

    arrays, with b blocks of width h and inner width f: enter (h, d); gap (``BUCKETS`` + 1, h); level (``LEVELS``, h);
    ask (``BUCKETS``, h); queries (b, h, h), both (b, 2h, h) for keys then values, and their biases queries_bias (b, h),
    both_bias (b, 2h); mix (b, h, h), mix_bias (b, h); up (b, f, h), up_bias (b, f), down (b, h, f), down_bias (b, h);
    norms (2b + 1, 2, h), of attention and of the inner layer for each block, then the last; distance (b, heads,
    ``LIMIT``); time (b, heads, ``BUCKETS``); out (d − 1, h), out_bias (d − 1,); text_map (t, d), text_offset (d,).
    Errors: ``CorruptArtefact`` for arrays that don't fit ``meta``: dim d, hidden h, inner f, blocks b, heads, text t.
    """

    kind = "sasrec"

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> None:
        names = ("dim", "hidden", "inner", "blocks", "heads", "text")
        d, h, f, b, heads, t = widths(self.kind, meta, names)
        if h % heads:
            raise CorruptArtefact(
                f"The sasrec tower has {heads} heads for a width of {h}, which they don't divide: train again."
            )
        shapes = {
            "enter": (h, d), "gap": (BUCKETS + 1, h), "level": (LEVELS, h), "ask": (BUCKETS, h),
            "queries": (b, h, h), "queries_bias": (b, h), "both": (b, 2 * h, h), "both_bias": (b, 2 * h),
            "mix": (b, h, h), "mix_bias": (b, h), "up": (b, f, h), "up_bias": (b, f), "down": (b, h, f),
            "down_bias": (b, h), "norms": (2 * b + 1, 2, h), "distance": (b, heads, LIMIT), "time": (b, heads, BUCKETS),
            "out": (d - 1, h), "out_bias": (d - 1,), "text_map": (t, d), "text_offset": (d,),
        }  # fmt: skip
        self._arrays = checked(self.kind, arrays, shapes)
        self._meta: dict[str, Any] = {
            "dim": d, "hidden": h, "inner": f, "blocks": b, "heads": heads, "text": t,
        }  # fmt: skip
        self._place = TextMap(self._arrays["text_map"], self._arrays["text_offset"])
        self._weights = tuple(self._arrays[name] for name in shapes if not name.startswith("text_"))
        self._empty = SasrecMemory(NO_KEYS, np.zeros((b, 2, LIMIT, h), np.float32), np.zeros(h, np.float32))

    @property
    def dim(self) -> int:
        return int(self._meta["dim"])

    def place(self, text: F32) -> F32:
        return self._place(text)

    def read(self, history: Reading, memory: object = None) -> tuple[F32, SasrecMemory]:
        before = memory if isinstance(memory, SasrecMemory) and memory.held.shape == self._empty.held.shape else None
        before = before or self._empty
        person, keys, *after = _read(
            history.items, history.ts, history.weights, history.vectors, history.now, EDGES, *before, *self._weights
        )
        return person, SasrecMemory(keys, *after)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        return dict(self._meta)


@kernel
def _attend(
    query: F32, held: F32, n: int, moment: int, times: I64, edges: I64, distance: F32, time: F32, out: F32
) -> None:
    """Σ softmax · value over the first n entries, by heads. query, out: (h,); held: (2, limit, h); distance, time: of
    the block; moment: from when gaps are measured. The entry n − 1 is at distance 0."""
    heads = len(distance)
    e = len(query) // heads
    root = np.float32(1.0 / np.sqrt(float(e)))
    when = np.empty(n, np.int64)
    for j in range(n):
        when[j] = bucket(moment - times[j], edges)
    logits = np.empty(n, np.float32)
    for head in range(heads):
        start = head * e
        own = query[start : start + e]
        highest = np.float32(-np.inf)
        for j in range(n):
            logits[j] = np.float32(dot(own, held[0, j, start : start + e])) * root
            logits[j] += distance[head, n - 1 - j] + time[head, when[j]]
            highest = max(highest, logits[j])
        total = np.float32(0.0)
        for j in range(n):
            logits[j] = np.exp(logits[j] - highest)
            total += logits[j]
        for k in range(e):
            out[start + k] = 0.0
        for j in range(n):
            share = logits[j] / total
            for k in range(e):
                out[start + k] += share * held[1, j, start + k]


@kernel
def _rest(
    x: F32, seen: F32, mix: F32, mix_bias: F32, norm: F32, up: F32, up_bias: F32, down: F32, down_bias: F32, y: F32
) -> None:
    """The rest of a block, into x: what was attended to, mixed; then the inner layer. y: (h,) of work space."""
    affine(mix, mix_bias, seen, y)
    x += y
    normed(x, norm, y)
    inner = np.empty(len(up_bias), np.float32)
    affine(up, up_bias, y, inner)
    for k in range(len(inner)):
        inner[k] = max(inner[k], np.float32(0.0))
    affine(down, down_bias, inner, y)
    x += y


@kernel
def _read(
    items: I32, ts: I64, weights: F64, vectors: F32, now: int, edges: I64, before: I64, held: F32, last: F32,
    enter: F32, gap: F32, strength: F32, ask: F32, queries: F32, queries_bias: F32, both: F32, both_bias: F32,
    mix: F32, mix_bias: F32, up: F32, up_bias: F32, down: F32, down_bias: F32, norms: F32, distance: F32, time: F32,
    out: F32, out_bias: F32,
) -> tuple[F32, I64, F32, F32]:  # fmt: skip
    """The person's vector, and keys, attention's keys and values, and the newest entry; nothing given is changed."""
    blocks, h, d = len(mix), len(last), vectors.shape[1]
    person = np.zeros(d, np.float32)
    places, keys = window(items, ts, weights, vectors, LIMIT)
    n = len(places)
    done = continued(keys, before)
    now_held = np.empty_like(held)
    x = np.zeros(h, np.float32)
    now_held[:, :, :done] = held[:, :, :done]
    if n < LIMIT:
        now_held[:, :, n:] = 0.0
    if done:
        x[:] = last
    if n == 0:
        return person, keys, now_held, x
    times = np.empty(n, np.int64)
    for i in range(n):
        times[i] = ts[places[i]]
    y, query, seen = np.empty(h, np.float32), np.empty(h, np.float32), np.empty(h, np.float32)
    pair = np.empty(2 * h, np.float32)
    for i in range(done, n):
        q = places[i]
        when = FIRST if i == 0 else bucket(times[i] - times[i - 1], edges)
        affine(enter, gap[when], vectors[q], x)
        x += strength[level(weights[q])]
        for block in range(blocks):
            normed(x, norms[2 * block], y)
            affine(both[block], both_bias[block], y, pair)
            now_held[block, 0, i] = pair[:h]
            now_held[block, 1, i] = pair[h:]
            if block < blocks - 1:
                affine(queries[block], queries_bias[block], y, query)
                _attend(query, now_held[block], i + 1, times[i], times, edges, distance[block], time[block], seen)
                _rest(
                    x, seen, mix[block], mix_bias[block], norms[2 * block + 1], up[block], up_bias[block], down[block],
                    down_bias[block], y,
                )  # fmt: skip
    end = blocks - 1
    asked = x + ask[bucket(now - times[n - 1], edges)]
    normed(asked, norms[2 * end], y)
    affine(queries[end], queries_bias[end], y, query)
    _attend(query, now_held[end], n, max(now, times[n - 1]), times, edges, distance[end], time[end], seen)
    _rest(asked, seen, mix[end], mix_bias[end], norms[2 * end + 1], up[end], up_bias[end], down[end], down_bias[end], y)
    normed(asked, norms[2 * blocks], y)
    affine(out, out_bias, y, person[: d - 1])
    person[d - 1] = 1.0
    return person, keys, now_held, x
