"""The sum of a linear scorer and trees: what two different learners agree on.

A linear model is steady where data is thin, trees find what depends on what; their sum beats either on most data
sets. Contributions are the sum of both models' exact contributions, so they add up to the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
from palate.types import F32, F64


class BlendScorer:
    """score(x) = share · linear(x) + trees(x); both over the same features."""

    kind = "blend"

    def __init__(self, linear: LinearScorer, trees: TreeScorer, share: float) -> None:
        """Errors: ``CorruptArtefact`` where the two don't have the same features, or share isn't finite."""
        if linear.features != trees.features:
            raise CorruptArtefact("The linear and the tree part of a blend are over different features.")
        if not np.isfinite(share):
            raise CorruptArtefact("The share of a blend's linear part must be a finite number.")
        self.features = linear.features
        self.linear = linear
        self.trees = trees
        self.share = float(share)

    def score(self, x: F32) -> F64:
        """Scores (n,) of rows (n, f)."""
        return self.share * self.linear.score(x) + self.trees.score(x)

    def contributions(self, x: F32) -> tuple[F64, F64]:
        """Contributions (n, f) and base (n,)."""
        linear, _ = self.linear.contributions(x)
        trees, base = self.trees.contributions(x)
        return self.share * linear + trees, base

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        linear = {f"linear.{name}": array for name, array in self.linear.arrays().items()}
        return linear | {f"trees.{name}": array for name, array in self.trees.arrays().items()}

    def meta(self) -> dict[str, Any]:
        return {"kind": self.kind, "share": self.share, "linear": self.linear.meta(), "trees": self.trees.meta()}

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> BlendScorer:
        """From ``arrays()`` and ``meta()``. Errors: ``CorruptArtefact``."""
        try:
            share = float(meta["share"])
            parts = {name: dict(meta[name]) for name in ("linear", "trees")}
        except (KeyError, TypeError, ValueError):
            raise CorruptArtefact("The metadata of a blend lack its share, or one of its parts.") from None
        of = {
            part: {k.removeprefix(f"{part}."): v for k, v in arrays.items() if k.startswith(f"{part}.")}
            for part in parts
        }
        return cls(
            LinearScorer.load(of["linear"], parts["linear"]), TreeScorer.load(of["trees"], parts["trees"]), share
        )
