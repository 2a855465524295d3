"""Interactions cut into windows as serving reads them, and batches of windows of like length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from palate.towers.window import FIRST, buckets, levels
from palate.train.towers import Interactions
from palate.types import F32, F64, I32, I64, Bools

_ROWS = 20_000
"""Texts that suffice to know how texts vary."""


class Windows(NamedTuple):
    """Events by person, then time: items, times, levels (n,), order (n,) their places in time order; and windows:
    start (w,) of the first entry, size (w,) entries read, each of which has a next event to predict, first (w,) the
    first entry whose next event is this window's to predict, last (w,) place in time order of the last such event."""

    items: I64
    times: I64
    levels: I64
    order: I64
    start: I64
    size: I64
    first: I64
    last: I64


class Batch(NamedTuple):
    """b windows of up to l entries, padded at the end: items, times, gaps (bucket since the entry before), levels,
    ahead (bucket of the gap to the next event), next_times, targets: (b, l); counted (b, l): what the loss counts."""

    items: I64
    times: I64
    gaps: I64
    levels: I64
    ahead: I64
    next_times: I64
    targets: I64
    counted: Bools


def windows_of(data: Interactions, limit: int, stop: int | None = None) -> Windows:
    """The first ``stop`` events (all, when None) in windows of at most ``limit`` entries.

    Every event with one before it is predicted once; from at least limit/2 entries where the person has so many, as
    serving reads them. Cost: O(n log n).
    """
    stop = len(data.users) if stop is None else stop
    order = np.argsort(data.users[:stop], kind="stable").astype(np.int64)
    users = data.users[order]
    begin = np.flatnonzero(np.r_[True, users[1:] != users[:-1]]) if stop else np.zeros(0, np.int64)
    length = np.diff(np.r_[begin, stop])
    begin, length = begin[length > 1], length[length > 1]
    half = limit // 2
    more = np.maximum(0, -(-(length - 1 - limit) // half))  # windows beyond a person's first
    owner = np.repeat(np.arange(len(begin)), more + 1)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(more + 1) - (more + 1), more + 1)
    start = number * half
    size = np.minimum(limit, length[owner] - 1 - start)
    first = np.where(number > 0, limit - half, 0)
    start = start + begin[owner]
    return Windows(
        data.items[order].astype(np.int64), data.times[order], levels(data.weights[order]), order, start,
        size, first, order[start + size] if len(start) else start,
    )  # fmt: skip


def batch_of(windows: Windows, chosen: I64, since: int = 0) -> Batch:
    """Those windows as arrays. since: place in time order from which an event is counted."""
    size = windows.size[chosen]
    longest = int(size.max())
    reach = np.arange(longest + 1)
    inside = reach[None, :-1] < size[:, None]
    at = windows.start[chosen][:, None] + np.minimum(reach[None, :], size[:, None])
    items, times = windows.items[at], windows.times[at]
    gap = buckets(np.diff(times, axis=1))
    before = np.concatenate((np.full((len(chosen), 1), FIRST, np.int64), gap[:, :-1]), axis=1)
    counted = inside & (reach[None, :-1] >= windows.first[chosen][:, None]) & (windows.order[at[:, 1:]] >= since)
    return Batch(
        items[:, :-1], times[:, :-1], before, windows.levels[at[:, :-1]], gap, times[:, 1:], items[:, 1:], counted
    )


def batches(windows: Windows, chosen: I64, targets: int, rng: np.random.Generator | None) -> Iterator[I64]:
    """Windows in groups of like length with about ``targets`` events to predict, in an order drawn from ``rng``."""
    wanted = np.asarray(chosen, np.int64)
    if not len(wanted):
        return
    noise = rng.random(len(wanted)) if rng is not None else np.zeros(len(wanted))
    size = windows.size[wanted]
    # Lengths within a sixth of each other share a bucket; inside a bucket the order is drawn.
    order = wanted[np.lexsort((noise, np.floor(np.log(size) * 6)))]
    load = np.cumsum((windows.size - windows.first)[order])
    cuts = np.flatnonzero(np.diff((load - 1) // targets)) + 1
    groups = np.split(order, cuts)
    for index in rng.permutation(len(groups)) if rng is not None else range(len(groups)):
        yield groups[index]


def newest(windows: Windows, limit: int) -> I64:
    """Up to ``limit`` windows, those with the newest events, in no order that matters."""
    every = np.arange(len(windows.start))
    if len(every) <= limit:
        return every
    return np.sort(np.argsort(-windows.last, kind="stable")[:limit])


def whitened(text: F32, met: Bools, width: int) -> tuple[F32, F32]:
    """matrix (t, m) and centre (t,): (text − centre) · matrix has about equal variance in all m ≤ ``width`` directions,
    and rows of length 1 in the mean. Fitted on the rows of ``met`` that have a text; m = 1 of zeros without any.

    Directions of little variance are damped (ridge of a tenth of the mean variance of those kept), so that noise isn't
    made as loud as meaning. Of more than ``_ROWS`` texts every k-th. Cost: O(n t² + t³).
    """
    nothing: F32 = np.zeros((text.shape[1], 1), np.float32)
    able = np.flatnonzero(met & np.any(text, axis=1))
    rows: F64 = text[able[:: 1 + len(able) // _ROWS]].astype(np.float64)
    if len(rows) < 2:
        return nothing, nothing[:, 0]
    centre: F64 = rows.sum(axis=0) / len(rows)
    rows -= centre
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    kept = np.argsort(-values, kind="stable")[:width]
    kept = kept[values[kept] > 1e-9]
    if not len(kept):
        return nothing, nothing[:, 0]
    scale = 1.0 / np.sqrt(values[kept] + 0.1 * values[kept].mean())
    # The sign of an eigenvector is arbitrary: its largest component is made positive.
    signs = np.sign(vectors[np.argmax(np.abs(vectors[:, kept]), axis=0), kept])
    matrix: F64 = vectors[:, kept] * (scale * signs)[None, :]
    matrix /= np.sqrt(np.square(rows @ matrix).sum() / len(rows))
    return matrix.astype(np.float32), centre.astype(np.float32)


def ndcg(ranks: I64 | I32, k: int = 10) -> float:
    """Mean of 1 / log₂(1 + rank) where rank ≤ k, else 0. ranks count from 1."""
    return float(np.mean(np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0))) if len(ranks) else 0.0
