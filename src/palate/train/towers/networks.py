"""The towers that read sequences as differentiable functions: the formulas of ``palate.towers`` over whole windows.

PyTorch is passed in and never imported here. A network is a dict of parameters and two functions of it; what it has
learnt leaves as NumPy arrays by the names that the towers know.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from palate.towers import Tower, ncf
from palate.towers.lstm import LstmTower
from palate.towers.ncf import NcfTower
from palate.towers.sasrec import LIMIT, SasrecTower
from palate.towers.window import BUCKETS, EDGES, LEVELS
from palate.types import F32

Tensor = Any
Parameters = dict[str, Tensor]


class Tensors(NamedTuple):
    """A ``Batch`` on the device."""

    items: Tensor
    times: Tensor
    gaps: Tensor
    levels: Tensor
    ahead: Tensor
    next_times: Tensor
    targets: Tensor
    counted: Tensor


class Shape(NamedTuple):
    """Widths: dim d of item vectors with the bias, hidden, inner of feed-forward layers; blocks, heads; dropout."""

    dim: int = 64
    hidden: int = 64
    inner: int = 128
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2


class Network(Protocol):
    """``persons`` gives (c, d − 1) vectors of the counted places of a batch, in row-major order."""

    limit: int

    def parameters(self) -> Parameters: ...

    def persons(self, p: Parameters, vectors: Tensor, batch: Tensors, training: bool) -> Tensor: ...

    def tower(self, arrays: dict[str, np.ndarray[Any, Any]], text_map: F32, text_offset: F32) -> Tower: ...


class _Torch:
    """What the networks share: drawing parameters, dropout."""

    def __init__(self, torch: Any, shape: Shape, generator: Any) -> None:
        self._torch, self._shape, self._generator = torch, shape, generator

    def _normal(self, *sizes: int, scale: float | None = None) -> Tensor:
        """Normal, of deviation ``scale``, by default 1/√(last size)."""
        drawn = self._torch.randn(*sizes, generator=self._generator)
        return drawn * (1.0 / math.sqrt(sizes[-1]) if scale is None else scale)

    def _zeros(self, *sizes: int) -> Tensor:
        return self._torch.zeros(*sizes)

    def _drop(self, x: Tensor, training: bool) -> Tensor:
        return self._torch.nn.functional.dropout(x, self._shape.dropout, training)

    def _meta(self, text_map: F32) -> dict[str, Any]:
        return {"dim": self._shape.dim, "hidden": self._shape.hidden, "text": len(text_map)}


class LstmNetwork(_Torch):
    """``palate.towers.lstm``; PyTorch's own LSTM computes the gates of whole windows."""

    limit = 64

    def parameters(self) -> Parameters:
        d, h = self._shape.dim, self._shape.hidden
        bias = self._zeros(4 * h)
        bias[h : 2 * h] = 1.0  # gates that begin by remembering (Jozefowicz 2015)
        return {
            "gates_x": self._normal(4 * h, d, scale=1.0 / math.sqrt(h)),
            "gates_h": self._normal(4 * h, h, scale=1.0 / math.sqrt(h)),
            "gates_bias": bias,
            "gap": self._normal(BUCKETS + 1, d, scale=0.02),
            "level": self._normal(LEVELS, d, scale=0.02),
            "scale": self._zeros(BUCKETS, h),
            "out": self._normal(d - 1, h),
            "shift": self._zeros(BUCKETS, d - 1),
        }

    def persons(self, p: Parameters, vectors: Tensor, batch: Tensors, training: bool) -> Tensor:
        torch = self._torch
        f = torch.nn.functional
        x = (
            f.embedding(batch.items, vectors)
            + f.embedding(batch.gaps, p["gap"])
            + f.embedding(batch.levels, p["level"])
        )
        x = self._drop(x, training)
        start = x.new_zeros(1, len(x), self._shape.hidden)
        weights = [p["gates_x"], p["gates_h"], p["gates_bias"], torch.zeros_like(p["gates_bias"])]
        h, _, _ = torch.lstm(x, (start, start), weights, True, 1, 0.0, training, False, True)
        h, ahead = h[batch.counted], batch.ahead[batch.counted]
        h = self._drop(h, training) * (1.0 + f.embedding(ahead, p["scale"]))
        return h @ p["out"].T + f.embedding(ahead, p["shift"])

    def tower(self, arrays: dict[str, np.ndarray[Any, Any]], text_map: F32, text_offset: F32) -> Tower:
        kept = {name: arrays[name] for name in ("gates_bias", "gap", "level", "scale", "out", "shift")}
        kept["gates"] = np.concatenate((arrays["gates_x"], arrays["gates_h"]), axis=1)
        return LstmTower(kept | {"text_map": text_map, "text_offset": text_offset}, self._meta(text_map))


class SasrecNetwork(_Torch):
    """``palate.towers.sasrec``, all places of a window at once."""

    limit = LIMIT

    def parameters(self) -> Parameters:
        d, h, f, b, heads = (
            self._shape.dim,
            self._shape.hidden,
            self._shape.inner,
            self._shape.blocks,
            self._shape.heads,
        )
        norms = self._zeros(2 * b + 1, 2, h)
        norms[:, 0] = 1.0
        return {
            "enter": self._normal(h, d), "gap": self._normal(BUCKETS + 1, h, scale=0.02),
            "level": self._normal(LEVELS, h, scale=0.02), "ask": self._normal(BUCKETS, h, scale=0.02),
            "queries": self._normal(b, h, h), "queries_bias": self._zeros(b, h),
            "both": self._normal(b, 2 * h, h), "both_bias": self._zeros(b, 2 * h),
            "mix": self._normal(b, h, h) * 0.5, "mix_bias": self._zeros(b, h),
            "up": self._normal(b, f, h), "up_bias": self._zeros(b, f),
            "down": self._normal(b, h, f) * 0.5, "down_bias": self._zeros(b, h), "norms": norms,
            "distance": self._zeros(b, heads, LIMIT), "time": self._zeros(b, heads, BUCKETS),
            "out": self._normal(d - 1, h), "out_bias": self._zeros(d - 1),
        }  # fmt: skip

    def persons(self, p: Parameters, vectors: Tensor, batch: Tensors, training: bool) -> Tensor:
        torch, blocks = self._torch, self._shape.blocks
        f = torch.nn.functional
        n = batch.items.shape[1]
        x = f.embedding(batch.items, vectors) @ p["enter"].T
        x = self._drop(x + f.embedding(batch.gaps, p["gap"]) + f.embedding(batch.levels, p["level"]), training)
        place = torch.arange(n, device=x.device)
        apart = place[:, None] - place[None, :]
        later = apart < 0
        edges = torch.as_tensor(EDGES, device=x.device)
        for block in range(blocks):
            last = block == blocks - 1
            asked = x + f.embedding(batch.ahead, p["ask"]) if last else x
            since = (batch.next_times if last else batch.times)[:, :, None] - batch.times[:, None, :]
            when = torch.bucketize(since, edges, right=True)
            bias = f.embedding(apart.clamp(min=0), p["distance"][block].T) + f.embedding(when, p["time"][block].T)
            bias = bias.permute(0, 3, 1, 2).masked_fill(later, float("-inf"))
            x = self._block(p, block, asked, x, bias, training)
        x = x[batch.counted]
        return self._norm(x, p["norms"][2 * blocks]) @ p["out"].T + p["out_bias"]

    def _norm(self, x: Tensor, norm: Tensor) -> Tensor:
        return self._torch.nn.functional.layer_norm(x, (x.shape[-1],), norm[0], norm[1])

    def _block(self, p: Parameters, block: int, asked: Tensor, x: Tensor, bias: Tensor, training: bool) -> Tensor:
        """asked, x: (b, l, h), what asks and what is attended to; bias: (b, heads, l, l)."""
        b, n, h = x.shape
        heads = self._shape.heads

        def split(y: Tensor) -> Tensor:
            return y.reshape(b, n, heads, h // heads).transpose(1, 2)

        norm = p["norms"][2 * block]
        attended = self._norm(x, norm)
        query = split(self._norm(asked, norm) @ p["queries"][block].T + p["queries_bias"][block])
        key, value = (attended @ p["both"][block].T + p["both_bias"][block]).split(h, dim=-1)
        logits = query @ split(key).transpose(2, 3) / math.sqrt(h // heads) + bias
        seen = self._torch.softmax(logits, dim=-1) @ split(value)
        seen = seen.transpose(1, 2).reshape(b, n, h)
        y = asked + self._drop(seen @ p["mix"][block].T + p["mix_bias"][block], training)
        inner = self._norm(y, p["norms"][2 * block + 1]) @ p["up"][block].T + p["up_bias"][block]
        return y + self._drop(inner.relu() @ p["down"][block].T + p["down_bias"][block], training)

    def tower(self, arrays: dict[str, np.ndarray[Any, Any]], text_map: F32, text_offset: F32) -> Tower:
        shape = self._shape
        meta = self._meta(text_map) | {"inner": shape.inner, "blocks": shape.blocks, "heads": shape.heads}
        return SasrecTower(arrays | {"text_map": text_map, "text_offset": text_offset}, meta)


class NcfNetwork(_Torch):
    """``palate.towers.ncf``."""

    limit = ncf.LIMIT

    def parameters(self) -> Parameters:
        d, m = self._shape.dim, self._shape.hidden
        return {
            "gmf": self._torch.ones(2 * d) * 0.5, "up": self._normal(m, 2 * d + BUCKETS), "up_bias": self._zeros(m),
            "down": self._normal(d - 1, m) * 0.5, "down_bias": self._zeros(d - 1),
        }  # fmt: skip

    def persons(self, p: Parameters, vectors: Tensor, batch: Tensors, training: bool) -> Tensor:
        torch = self._torch
        f = torch.nn.functional
        x = self._drop(f.embedding(batch.items, vectors), training)
        place = torch.arange(x.shape[1], device=x.device)
        apart = place[:, None] - place[None, :]
        means: list[Tensor] = []
        for decay in ncf.DECAYS.tolist():
            share = torch.where(apart >= 0, decay ** apart.clamp(min=0).to(x.dtype), 0.0)
            means.append((share / share.sum(dim=1, keepdim=True)) @ x)
        both = torch.cat(means, dim=-1)[batch.counted]
        when = f.one_hot(batch.ahead[batch.counted], BUCKETS).to(x.dtype)
        inner = (torch.cat((both, when), dim=-1) @ p["up"].T + p["up_bias"]).relu()
        d = self._shape.dim
        exact = (both * p["gmf"]).reshape(-1, 2, d).sum(dim=1)[:, : d - 1]
        return exact + self._drop(inner, training) @ p["down"].T + p["down_bias"]

    def tower(self, arrays: dict[str, np.ndarray[Any, Any]], text_map: F32, text_offset: F32) -> Tower:
        return NcfTower(arrays | {"text_map": text_map, "text_offset": text_offset}, self._meta(text_map))
