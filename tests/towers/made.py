"""Towers with random weights, and histories to read."""

from __future__ import annotations

import numpy as np

from palate.towers import Reading
from palate.towers.lstm import LstmTower
from palate.towers.ncf import NcfTower
from palate.towers.sasrec import LIMIT, SasrecTower
from palate.towers.window import BUCKETS, LEVELS

TEXT = 16


def _drawn(rng, shapes):
    return {name: (rng.normal(size=size) / size[-1] ** 0.5).astype(np.float32) for name, size in shapes.items()}


def lstm(seed=0, d=10, h=7):
    shapes = {
        "gates": (4 * h, d + h), "gates_bias": (4 * h,), "gap": (BUCKETS + 1, d), "level": (LEVELS, d),
        "scale": (BUCKETS, h), "out": (d - 1, h), "shift": (BUCKETS, d - 1), "text_map": (TEXT, d), "text_offset": (d,),
    }  # fmt: skip
    return LstmTower(_drawn(np.random.default_rng(seed), shapes), {"dim": d, "hidden": h, "text": TEXT})


def sasrec(seed=0, d=10, h=8, f=12, blocks=2, heads=2):
    shapes = {
        "enter": (h, d), "gap": (BUCKETS + 1, h), "level": (LEVELS, h), "ask": (BUCKETS, h),
        "queries": (blocks, h, h), "queries_bias": (blocks, h), "both": (blocks, 2 * h, h),
        "both_bias": (blocks, 2 * h), "mix": (blocks, h, h), "mix_bias": (blocks, h), "up": (blocks, f, h),
        "up_bias": (blocks, f), "down": (blocks, h, f), "down_bias": (blocks, h), "norms": (2 * blocks + 1, 2, h),
        "distance": (blocks, heads, LIMIT), "time": (blocks, heads, BUCKETS), "out": (d - 1, h), "out_bias": (d - 1,),
        "text_map": (TEXT, d), "text_offset": (d,),
    }  # fmt: skip
    meta = {"dim": d, "hidden": h, "inner": f, "blocks": blocks, "heads": heads, "text": TEXT}
    return SasrecTower(_drawn(np.random.default_rng(seed), shapes), meta)


def ncf(seed=0, d=10, m=9):
    shapes = {
        "gmf": (2 * d,), "up": (m, 2 * d + BUCKETS), "up_bias": (m,), "down": (d - 1, m), "down_bias": (d - 1,),
        "text_map": (TEXT, d), "text_offset": (d,),
    }  # fmt: skip
    return NcfTower(_drawn(np.random.default_rng(seed), shapes), {"dim": d, "hidden": m, "text": TEXT})


TOWERS = {"lstm": lstm, "sasrec": sasrec, "ncf": ncf}


def life(n, d=10, seed=0, n_items=40):
    """n events of one person, oldest first: items, times, weights; and the vectors of all items, of which 0 has none.

    The first event counts.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_items, d)).astype(np.float32)
    vectors[0] = 0.0
    times = np.cumsum(rng.choice([0, 1500, 60_000, 10_000_000, 900_000_000], size=n)).astype(np.int64)
    weights = rng.choice([1.0, 0.3, 2.0, -2.0], size=n, p=[0.6, 0.15, 0.15, 0.1])
    weights[0] = 1.0
    items = rng.integers(0, n_items, n).astype(np.int32)
    items[0] = 1
    return items, times, weights, vectors


def reading(events, upto, most=100, after=5000):
    """What is in sight after ``upto`` of the events: the newest ``most``."""
    items, times, weights, vectors = events
    seen = slice(max(0, upto - most), upto)
    own = np.ascontiguousarray(items[seen][::-1])
    now = int(times[upto - 1]) + after if upto else after
    return Reading(
        own, vectors[own], np.ascontiguousarray(weights[seen][::-1]), np.ascontiguousarray(times[seen][::-1]), now
    )
