"""Policies: from scores to the slate that is shown, with the exact probability of every choice.

``Policy`` is the contract (``palate.testing.policy.PolicyContract`` is its executable form); ``make_policy`` makes
the one that a name and the settings ask for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np

from palate.config import PolicySettings
from palate.errors import ConfigError
from palate.settings_policy import BANDITS, POLICIES
from palate.types import F32, F64, I64, Slate

Similarity = Callable[[int], F32]
"""Similarities (n,) in [−1, 1] of all candidates to the candidate at a position; 0 where nothing is known."""


class Policy(Protocol):
    """Chooses who is shown, and where. Stateless: all chance comes from ``rng``."""

    @property
    def name(self) -> str: ...

    def choose(self, scores: F64, k: int, rng: np.random.Generator, similarity: Similarity | None = None) -> Slate:
        """A slate of at most ``k`` of the candidates with ``scores`` (n,).

        Candidates with a non-finite score never enter, so that the slate may be shorter than ``k``. The propensity
        at a position is the exact probability of that item there, given the items above it. ``similarity`` feeds
        the diversity trade-off; without it candidates count as unlike one another.
        """
        ...

    def chances(self, scores: F64, order: I64, similarity: Similarity | None = None) -> F64:
        """(k, n) at each place of a slate ``order`` (k,), how likely each candidate is there, given the items above.

        What this policy would have done where another one showed ``order``: for its own slates, the propensities are
        ``chances[range(k), order]``. Rows add up to 1; below items that this policy would never show there, a row
        has no meaning, and is a distribution all the same. ``order`` holds finite candidates only, each once.
        Cost: O(k n).
        """
        ...


@functools.lru_cache(32)
def make_policy(name: str, settings: PolicySettings, explore: bool = False) -> Policy:
    """The policy ``greedy``, ``plackett_luce`` or ``epsilon_greedy`` with the numbers of ``settings``. Those that learn
    (``linucb``, ``thompson``) need a belief and contexts too: ``palate.bandits`` makes them.

    explore: give a greedy slate one labelled exploration slot. Errors: ``ConfigError`` for another name, or a
    setting out of range.
    """
    from palate.policy.epsilon_greedy import EpsilonGreedy
    from palate.policy.greedy import ExploreSlot, Greedy
    from palate.policy.plackett_luce import PlackettLuce

    if name == "greedy":
        return Greedy(ExploreSlot() if explore else None, settings.diversity)
    if name == "epsilon_greedy":
        return EpsilonGreedy(settings.epsilon, settings.diversity)
    if name == "plackett_luce":
        return PlackettLuce(settings.temperature, settings.diversity)
    if name in BANDITS:
        raise ConfigError(
            f"policy {name!r} learns, and can't be made of settings alone: rank with an engine.", "policy"
        )
    raise ConfigError(f"policy {name!r} is unknown; use {', '.join(POLICIES)}.", "policy")
