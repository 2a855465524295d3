"""Four kinds of people who want items of their kind, as their texts tell; the last items of each kind nobody met."""

from __future__ import annotations

import functools

import numpy as np

from palate.towers import Tower
from palate.train.towers import Interactions
from palate.train.towers.hybrid import HybridSettings, fit_hybrid
from palate.types import F32, I32

KINDS, EACH, NEW, WIDTH = 4, 15, 3, 16
ITEMS = KINDS * EACH
QUICK = HybridSettings(
    decays=(0.8,), recencies=(0.0,), ties=(True,), losses=("warp",), drops=(0.3,), factors=(16,), trial=2_000,
    most=20_000, judged=200, units=(False,), plain=(1.0,),
)  # fmt: skip


def unmet() -> I32:
    """Items that nobody met; item i is of kind i mod KINDS."""
    return np.arange(ITEMS - KINDS * NEW, ITEMS, dtype=np.int32)


@functools.cache
def world(seed: int = 3, events: int = 3_000, people: int = 60) -> Interactions:
    """Nine events of ten are of the person's kind; some items are met ten times as often as others."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, people, events)
    kind = np.where(rng.random(events) < 0.9, users % KINDS, rng.integers(0, KINDS, events))
    strength = np.linspace(1.0, 10.0, EACH - NEW)
    items = kind + KINDS * rng.choice(EACH - NEW, events, p=strength / strength.sum())
    text = rng.normal(0.0, 0.15, (ITEMS, WIDTH))
    text[np.arange(ITEMS), np.arange(ITEMS) % KINDS] += 1.0
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    tags = np.full((ITEMS, 8), -1, np.int32)
    tags[:, 0] = np.arange(ITEMS) % KINDS
    return Interactions(
        users.astype(np.int32), items.astype(np.int32), np.arange(events, dtype=np.int64) * 60_000,
        np.ones(events, np.float32), ITEMS, text.astype(np.float32), tags, KINDS,
    )  # fmt: skip


@functools.cache
def learnt(loss: str = "warp", tied: bool = True, unit: bool = False) -> tuple[Tower, F32]:
    return fit_hybrid(world(), QUICK._replace(losses=(loss,), ties=(tied,), units=(unit,)), 1)
