"""A linear scorer over standardised features: the fallback before training, and the simplest one to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.errors import CorruptArtefact
from palate.score.checks import array, check_rows, feature_names
from palate.types import F32, F64


class LinearScorer:
    """score(x) = Σᵢ wᵢ · (xᵢ − meanᵢ) / scaleᵢ.

    A missing or infinite value counts as the mean, hence adds nothing. Contributions are the terms of the sum and
    the base is 0, the score of the mean candidate.
    """

    kind = "linear"

    def __init__(
        self,
        features: Sequence[str],
        weights: npt.ArrayLike,
        mean: npt.ArrayLike | None = None,
        scale: npt.ArrayLike | None = None,
    ) -> None:
        """``weights``, ``mean`` (default 0) and ``scale`` (default 1, positive): (f,) each.

        Errors: ``CorruptArtefact`` for other shapes, non-finite numbers or a scale that is not positive.
        """
        self.features = tuple(features)
        count = len(self.features)
        given = {
            "weights": np.asarray(weights, dtype=np.float64),
            "mean": np.zeros(count) if mean is None else np.asarray(mean, dtype=np.float64),
            "scale": np.ones(count) if scale is None else np.asarray(scale, dtype=np.float64),
        }
        self.weights: F64 = array(given, "weights", np.float64, count)
        self.mean: F64 = array(given, "mean", np.float64, count)
        self.scale: F64 = array(given, "scale", np.float64, count)
        if (self.scale <= 0).any():
            raise CorruptArtefact("A linear scorer's scale must be positive for every feature.")

    def score(self, x: F32) -> F64:
        """Scores (n,) of rows (n, f)."""
        # One order of summation for every batch size: a matrix product may round differently from a row alone.
        return self._terms(x).sum(axis=1)

    def contributions(self, x: F32) -> tuple[F64, F64]:
        """Terms (n, f) and zeros (n,)."""
        terms = self._terms(x)
        return terms, np.zeros(len(terms))

    def _terms(self, x: F32) -> F64:
        rows = check_rows(x, len(self.features))
        centred = np.where(np.isfinite(rows), rows - self.mean, 0.0)
        return centred / self.scale * self.weights

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {"weights": self.weights, "mean": self.mean, "scale": self.scale}

    def meta(self) -> dict[str, Any]:
        return {"kind": self.kind, "features": list(self.features)}

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> LinearScorer:
        """From ``arrays()`` and ``meta()``. Errors: ``CorruptArtefact``."""
        features = feature_names(meta)
        return cls(features, *(array(arrays, name, np.float64, len(features)) for name in ("weights", "mean", "scale")))
