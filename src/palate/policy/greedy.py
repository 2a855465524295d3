"""The best first, with at most one labelled slot of exploration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from palate.kernels import kernel
from palate.policy.diversify import DEPTH, MarginalRelevance, check_trade_off
from palate.types import F32, F64, I64, Slate

_FEW = 32
"""Slates up to this length are filled by insertion, which costs O(n k)."""


@dataclass(frozen=True, slots=True)
class ExploreSlot:
    """The place of exploration: ``position`` (from 1), or the last of a shorter slate."""

    position: int = 5


class Greedy:
    """The highest scores first; equal scores in the order of the candidates.

    With an exploration slot, the k − 1 best keep their order and one of the others, drawn uniformly, takes the slot:
    its propensity is 1 / (candidates − k + 1), the others' is 1. Slates of one item, or of everybody, don't explore.
    """

    name = "greedy"

    def __init__(self, explore: ExploreSlot | None = None, diversity: float = 0.0) -> None:
        """diversity: MMR's λ in [0, 1), 0 is off. Errors: ``ConfigError``."""
        self.explore = explore
        self.diversity = check_trade_off(diversity)

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``; only exploration uses ``rng``. Cost: O(n + k log k); diverse, O(n) a position."""
        finite = np.isfinite(scores)
        eligible: I64 = np.arange(len(scores)) if finite.all() else np.flatnonzero(finite)
        size = max(0, min(k, len(eligible)))
        slot = self.explore
        exploring = slot is not None and 2 <= size < len(eligible)
        order, penalty = self._best(scores, eligible, size - exploring, similarity)
        propensity: F64 = np.ones(size)
        explored = np.zeros(size, dtype=np.bool_)
        if slot is not None and exploring:
            left = np.ones(len(scores), dtype=np.bool_)
            left[order] = False
            others = eligible[left[eligible]]
            at = max(1, min(size, slot.position)) - 1
            order = np.concatenate([order[:at], others[[rng.integers(len(others))]], order[at:]])
            propensity[at] = 1.0 / len(others)
            explored[at] = True
            if penalty is not None:
                penalty = np.insert(penalty, at, 0.0)
        return Slate(order, propensity, explored, penalty)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``. One candidate a place, except at the slot, where all others are equally likely."""
        eligible: I64 = np.flatnonzero(np.isfinite(scores))
        size = len(order)
        found = np.zeros((size, len(scores)))
        slot = self.explore
        exploring = slot is not None and 2 <= size < len(eligible)
        best, _ = self._best(scores, eligible, size - exploring, similarity)
        places: I64 = np.arange(size)
        if slot is not None and exploring:
            at = max(1, min(size, slot.position)) - 1
            found[at, eligible] = 1.0
            found[at, best] = 0.0
            found[at] /= len(eligible) - len(best)
            places = np.delete(places, at)
        found[places, best] = 1.0
        return found

    def _best(
        self, scores: F64, eligible: I64, size: int, similarity: Callable[[int], F32] | None
    ) -> tuple[I64, F64 | None]:
        if self.diversity == 0.0 or similarity is None or size == 0:
            if len(eligible) == len(scores):
                return top(scores, size), None
            return eligible[top(scores[eligible], size)], None
        relevance = MarginalRelevance(scores, eligible, similarity, self.diversity)
        head: list[int] = []
        penalty: F64 = np.zeros(size)
        for place in range(min(size, DEPTH)):
            best = int(relevance.utilities().argmax())
            penalty[place] = relevance.take(best)
            head.append(best)
        rest = np.delete(eligible, head)
        return np.concatenate([eligible[head], rest[top(scores[rest], size - len(head))]]), penalty


@kernel
def _first(scores: F64, out: I64) -> None:
    """``top`` by insertion, for a small ``out``, which is no longer than ``scores``; these are finite."""
    size, n = len(out), 0
    for place in range(len(scores)):
        if n == size and scores[place] <= scores[out[n - 1]]:
            continue
        at = min(n, size - 1)
        while at > 0 and scores[out[at - 1]] < scores[place]:
            out[at] = out[at - 1]
            at -= 1
        out[at] = place
        n = min(n + 1, size)


def top(scores: F64, size: int) -> I64:
    """Indices of the ``size`` largest, best first, ties by index."""
    if size <= 0:
        return np.zeros(0, dtype=np.int64)
    if size <= _FEW:
        first = np.empty(size, np.int64)
        _first(scores, first)
        return first
    kept: I64 = np.arange(len(scores))
    if size < len(scores):
        kept = np.flatnonzero(scores >= np.partition(scores, len(scores) - size)[len(scores) - size])
    return kept[np.argsort(-scores[kept], kind="stable")[:size]]
