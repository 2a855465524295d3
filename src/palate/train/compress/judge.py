"""What a compressed encoder costs and is worth beside the one it was made from.

Three measures of quality, as many as there is evidence for: agreement, Spearman's correlation of the cosines that both
give to pairs of texts kept out; the ranking probe of a directory's own events (``evaluate/probe.py`` draws it); and
the accuracy of classes. Each is counted above chance, and what is lost of it relative to the original is the loss.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from scipy import stats

from palate.language import Encoder
from palate.types import F32, I64

_PAIRS = 20_000
_SECONDS = 1.5
LIMITS = {"int8": 0.05, "static": 0.25, "pruned": 0.1, "layers": 0.1}
"""By default, the loss above which a compressed model is refused."""


class Quality(msgspec.Struct, frozen=True):
    """measure: ``agreement``, ``ranking`` (AUC) or ``classes`` (accuracy). chance: what knowing nothing gives."""

    measure: str
    before: float
    after: float
    chance: float

    @property
    def loss(self) -> float:
        """The share of what is above chance that is lost; below 0 where it has become better."""
        return (self.before - self.after) / max(1e-9, self.before - self.chance)


class Cost(msgspec.Struct, frozen=True):
    """mb: of the files that serving needs; texts_per_second: in batches, one thread."""

    mb: float
    texts_per_second: float


class Verdict(msgspec.Struct, frozen=True):
    """kept: whether it may be used. why: the sentence that refuses it."""

    kept: bool
    why: str = ""


def speed(encoder: Encoder, texts: Sequence[str]) -> float:
    """Texts a second, the best of some rounds."""
    some = list(texts[:512])
    encoder.encode(some[:2])
    best, began = 0.0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS or not best:
        started = time.perf_counter()
        encoder.encode(some)
        best = max(best, len(some) / (time.perf_counter() - started))
    return best


class Pairs(NamedTuple):
    """Places of the texts of each pair."""

    left: I64
    right: I64


def agreement(before: F32, after: F32, seed: int = 1) -> float:
    """Spearman's correlation of the cosines of pairs of n ≥ 3 texts, by (n, d) and (n, e) unit rows."""
    chance = np.random.default_rng(seed)
    n = len(before)
    left, right = chance.integers(0, n, _PAIRS), chance.integers(0, n, _PAIRS)
    apart = left != right
    left, right = left[apart], right[apart]
    one = np.einsum("nd,nd->n", before[left], before[right])
    other = np.einsum("nd,nd->n", after[left], after[right])
    return float(stats.spearmanr(one, other).statistic)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType]


def refusal(found: Sequence[Quality], limit: float) -> Verdict:
    """Refuses where any measure lost more than ``limit``. The ranking and the classes are what a model is for: where
    one of them was measured, the agreement with the original refuses nothing."""
    counted = [one for one in found if one.measure != "agreement"] or list(found)
    worst = max(counted, key=lambda one: one.loss)
    if not worst.loss <= limit:
        return Verdict(False, f"It loses {worst.loss:.1%} of its {worst.measure} above chance, more than {limit:.1%}.")
    return Verdict(True)
