"""Neural collaborative filtering (He 2017) in the form that retrieves: a network for the person, a vector for the item.

NeuMF puts each pair of a person and an item through an MLP; its scores are no inner product, so that ranking means as
many passes as there are items, and retrieval by it isn't possible. Nor has it anything for a person without a row of
their own. Here the person is the decayed mean m of the vectors of their history, at two half-lives, and both halves of
NeuMF look at that alone:

    GMF: a ∘ m,   MLP: W₂ relu(W₁ m + b₁) + b₂,   person = GMF + MLP,   score(item) = person · item

The GMF half is exact (its output weights are a); the MLP sees the person but not the pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.kernels import kernel
from palate.towers import Reading
from palate.towers.dense import TextMap, affine, checked, widths
from palate.towers.window import EDGES, bucket, window
from palate.types import F32, F64, I32, I64

LIMIT = 64
DECAYS: F64 = np.array([0.5, 0.93])
"""What an entry weighs of the one after it, in the two means."""


class NcfTower:
    """kind ``ncf``. Without memory: the newest ``LIMIT`` entries at most are averaged at each call, O(LIMIT d).

    arrays: gmf (2d,); up (m, 2d + ``BUCKETS``) over both means and the gap's bucket, one-hot; up_bias (m,);
    down (d − 1, m), down_bias (d − 1,); text_map (t, d), text_offset (d,). The last component of an item is its bias.
    Errors: ``CorruptArtefact`` for arrays that don't fit ``meta``: dim d, hidden m, text t.
    """

    kind = "ncf"

    def __init__(self, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> None:
        d, m, t = widths(self.kind, meta, ("dim", "hidden", "text"))
        shapes = {
            "gmf": (2 * d,), "up": (m, 2 * d + len(EDGES) + 1), "up_bias": (m,), "down": (d - 1, m),
            "down_bias": (d - 1,), "text_map": (t, d), "text_offset": (d,),
        }  # fmt: skip
        self._arrays = checked(self.kind, arrays, shapes)
        self._meta: dict[str, Any] = {"dim": d, "hidden": m, "text": t}
        self._place = TextMap(self._arrays["text_map"], self._arrays["text_offset"])
        self._weights = tuple(self._arrays[name] for name in shapes if not name.startswith("text_"))

    @property
    def dim(self) -> int:
        return int(self._meta["dim"])

    def place(self, text: F32) -> F32:
        return self._place(text)

    def read(self, history: Reading, memory: object = None) -> tuple[F32, None]:
        person = _read(
            history.items, history.ts, history.weights, history.vectors, history.now, EDGES, DECAYS, *self._weights
        )
        return person, None

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return dict(self._arrays)

    def meta(self) -> dict[str, Any]:
        return dict(self._meta)


@kernel
def _read(
    items: I32, ts: I64, weights: F64, vectors: F32, now: int, edges: I64, decays: F64,
    gmf: F32, up: F32, up_bias: F32, down: F32, down_bias: F32,
) -> F32:  # fmt: skip
    d = vectors.shape[1]
    person = np.zeros(d, np.float32)
    places, _ = window(items, ts, weights, vectors, LIMIT)
    n = len(places)
    if n == 0:
        return person
    x = np.zeros(up.shape[1], np.float32)
    for side in range(2):
        total, weight = 0.0, 1.0
        for i in range(n - 1, -1, -1):
            q = places[i]
            share = np.float32(weight)
            for k in range(d):
                x[side * d + k] += share * vectors[q, k]
            total += weight
            weight *= decays[side]
        for k in range(d):
            x[side * d + k] /= np.float32(total)
    x[2 * d + bucket(now - ts[places[n - 1]], edges)] = 1.0
    middle = np.empty(len(up_bias), np.float32)
    affine(up, up_bias, x, middle)
    for k in range(len(middle)):
        middle[k] = max(middle[k], np.float32(0.0))
    affine(down, down_bias, middle, person[: d - 1])
    for k in range(d - 1):
        person[k] += gmf[k] * x[k] + gmf[d + k] * x[d + k]
    person[d - 1] = 1.0
    return person
