"""A long short-term memory reads the history (Hochreiter & Schmidhuber 1997, forget gates by Gers 2000); as a
recommender it is GRU4Rec's form (Hidasi 2016).

With x the vector of the next entry's item plus what its gap and its weight add, σ the logistic function and ∘ the
product by components:

    i, f, o = σ(W x + U h + b) each,  g = tanh(W x + U h + b)
    c ← f ∘ c + i ∘ g,   h ← o ∘ tanh(c)
    person = P (h ∘ (1 + a[gap])) + r[gap],   score(item) = person · item

where gap is the bucket of the time between the last event and the moment of asking. The state (h, c) takes a new event
in O(1); the softmax over scores that training maximises isn't needed to rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from palate.kernels import kernel
from palate.towers import Reading
from palate.towers.dense import TextMap, affine, checked, widths
from palate.towers.window import BUCKETS, EDGES, FIRST, LEVELS, NO_KEYS, bucket, continued, level, window
from palate.types import F32, F64, I32, I64

LIMIT = 64
"""Entries in the longest window; the shortest of a long history has half of them."""


class LstmMemory(NamedTuple):
    """keys: (n,) of the entries read, oldest first; hidden, cell: (h,), the state after them."""

    keys: I64
    hidden: F32
    cell: F32


class LstmTower:
    """kind ``lstm``. Reads the newest ``LIMIT`` entries at most. Cost: O(h (d + h)) an entry that is new.

    arrays: gates (4h, d + h) in the order i, f, g, o, over x then h; gates_bias (4h,); gap (``BUCKETS`` + 1, d) and
    level (``LEVELS``, d) are added to x; scale (``BUCKETS``, h) is a; out (d − 1, h) is P; shift (``BUCKETS``, d − 1)
    is r; text_map (t, d) and text_offset (d,). The last component of an item is its bias.
    Errors: ``CorruptArtefact`` for arrays that don't fit ``meta``: dim d, hidden h, text t.
    """

    kind = "lstm"

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> None:
        d, h, t = widths(self.kind, meta, ("dim", "hidden", "text"))
        shapes = {
            "gates": (4 * h, d + h), "gates_bias": (4 * h,), "gap": (BUCKETS + 1, d), "level": (LEVELS, d),
            "scale": (BUCKETS, h), "out": (d - 1, h), "shift": (BUCKETS, d - 1), "text_map": (t, d),
            "text_offset": (d,),
        }  # fmt: skip
        self._arrays = checked(self.kind, arrays, shapes)
        self._meta: dict[str, Any] = {"dim": d, "hidden": h, "text": t}
        self._place = TextMap(self._arrays["text_map"], self._arrays["text_offset"])
        self._weights = tuple(self._arrays[name] for name in shapes if not name.startswith("text_"))
        self._empty = LstmMemory(NO_KEYS, np.zeros(h, np.float32), np.zeros(h, np.float32))

    @property
    def dim(self) -> int:
        return int(self._meta["dim"])

    def place(self, text: F32) -> F32:
        return self._place(text)

    def read(self, history: Reading, memory: object = None) -> tuple[F32, LstmMemory]:
        before = memory if isinstance(memory, LstmMemory) and memory.hidden.shape == self._empty.hidden.shape else None
        before = before or self._empty
        person, keys, *after = _read(
            history.items, history.ts, history.weights, history.vectors, history.now, EDGES, *before, *self._weights
        )
        return person, LstmMemory(keys, *after)

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        return dict(self._meta)


@kernel
def _read(
    items: I32, ts: I64, weights: F64, vectors: F32, now: int, edges: I64, before: I64, hidden: F32, cell: F32,
    gates: F32, gates_bias: F32, gap: F32, strength: F32, scale: F32, out: F32, shift: F32,
) -> tuple[F32, I64, F32, F32]:  # fmt: skip
    """The person's vector, and the keys, hidden state and cell after the window; nothing given is changed."""
    width, d = len(hidden), gap.shape[1]
    person = np.zeros(d, np.float32)
    places, keys = window(items, ts, weights, vectors, LIMIT)
    n = len(places)
    done = continued(keys, before)
    h, c = np.zeros(width, np.float32), np.zeros(width, np.float32)
    if done:
        h[:] = hidden
        c[:] = cell
    if n == 0:
        return person, keys, h, c
    x = np.empty(d + width, np.float32)
    z = np.empty(4 * width, np.float32)
    for i in range(done, n):
        q = places[i]
        when = FIRST if i == 0 else bucket(ts[q] - ts[places[i - 1]], edges)
        how = level(weights[q])
        for k in range(d):
            x[k] = vectors[q, k] + gap[when, k] + strength[how, k]
        for k in range(width):
            x[d + k] = h[k]
        affine(gates, gates_bias, x, z)
        step(z, h, c)
    when = bucket(now - ts[places[n - 1]], edges)
    for k in range(width):
        x[k] = h[k] * (np.float32(1.0) + scale[when, k])
    affine(out, shift[when], x[:width], person[: d - 1])
    person[d - 1] = 1.0
    return person, keys, h, c


@kernel
def step(z: F32, h: F32, c: F32) -> None:
    """h and c after an event, in place. z: (4h,) gates before their nonlinearities, in the order i, f, g, o."""
    one, two, width = np.float32(1.0), np.float32(2.0), len(h)
    for k in range(width):
        opened = one / (one + np.exp(-z[k]))
        kept = one / (one + np.exp(-z[width + k]))
        given = one / (one + np.exp(-z[3 * width + k]))
        # tanh x = 1 − 2 / (1 + exp 2x): a third of the library's time
        c[k] = kept * c[k] + opened * (one - two / (one + np.exp(two * z[2 * width + k])))
        h[k] = given * (one - two / (one + np.exp(two * c[k])))
