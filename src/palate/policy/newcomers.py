"""A slot for new items on top of any policy: one place of the slate, drawn among those that are owed impressions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from palate.policy import Policy
from palate.types import F32, F64, I64, Slate

Owed = Callable[[F64], F64]
"""From scores (n,) to weights (n,) ≥ 0 of those that are owed a place, 0 for all others."""


class NewcomersSlot:
    """The slate is filled from the top: by ``policy`` down to the slot, which goes to one of those owed that don't
    stand above it, drawn in proportion to their weights, and by ``policy`` again below, among all that remain.

    So every propensity is exact given the items above. Where nobody is owed, ``policy`` alone chooses. With diversity
    the slot is the slate's last place: what is drawn below would know nothing of those above.
    """

    def __init__(self, policy: Policy, owed: Owed, position: int = 5, diverse: bool = False) -> None:
        """position: of the slot, from 1, or the last of a shorter slate. policy: without a slot of its own."""
        self.name = policy.name
        self._policy, self._owed, self._position, self._diverse = policy, owed, position, diverse

    def choose(
        self, scores: F64, k: int, rng: np.random.Generator, similarity: Callable[[int], F32] | None = None
    ) -> Slate:
        """See ``Policy.choose``. Slates of one item have no slot. Cost: that of ``policy``, twice at most."""
        size = max(0, min(k, int(np.count_nonzero(np.isfinite(scores)))))
        weights = self._weights(scores)
        if size < 2 or not weights.any():
            return self._policy.choose(scores, k, rng, similarity)
        at = self._at(size, similarity)
        head = self._policy.choose(scores, at, rng, similarity)
        weights[head.order] = 0.0
        total = float(weights.sum())
        if total > 0.0:
            upto = np.cumsum(weights)
            drawn = int(upto.searchsorted(rng.random() * float(upto[-1]), side="right"))
            if drawn == len(upto):  # the product may round up to the total
                drawn = int(np.flatnonzero(weights)[-1])
            slot = Slate(np.array([drawn]), np.array([float(weights[drawn]) / total]), np.array([True]))
            parts = [head, slot]
        else:
            parts = [head]
        left = scores.copy()
        left[np.concatenate([part.order for part in parts])] = np.nan
        tail = self._policy.choose(left, size - sum(len(part.order) for part in parts), rng, similarity)
        return _joined([*parts, tail], size)

    def chances(self, scores: F64, order: I64, similarity: Callable[[int], F32] | None = None) -> F64:
        """See ``Policy.chances``."""
        size = len(order)
        weights = self._weights(scores)
        if size < 2 or not weights.any():
            return self._policy.chances(scores, order, similarity)
        at = self._at(size, similarity)
        weights[order[:at]] = 0.0
        found = [self._policy.chances(scores, order[:at], similarity)]
        begin = at
        if weights.any():
            found.append((weights / weights.sum())[None])
            begin += 1
        left = scores.copy()
        left[order[:begin]] = np.nan
        found.append(self._policy.chances(left, order[begin:], similarity))
        return np.concatenate(found)

    def _weights(self, scores: F64) -> F64:
        return np.where(np.isfinite(scores), self._owed(scores), 0.0)

    def _at(self, size: int, similarity: Callable[[int], F32] | None) -> int:
        return size - 1 if self._diverse and similarity is not None else max(1, min(size, self._position)) - 1


def _joined(parts: list[Slate], size: int) -> Slate:
    penalty: F64 | None = None
    if any(part.penalty is not None for part in parts):
        penalty = np.concatenate([np.zeros(len(p.order)) if p.penalty is None else p.penalty for p in parts])
    return Slate(
        np.concatenate([part.order for part in parts]),
        np.concatenate([part.propensity for part in parts]),
        np.concatenate([part.explored for part in parts]),
        penalty if penalty is None else penalty[:size],
    )
