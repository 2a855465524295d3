"""What a ranking should bring at each place, learnt from the log: the reward model of the direct and doubly robust
estimators. Linear, by ridge regression in closed form, over the logged features, place by place.

Cross-fitted: what a person's rankings are judged with was learnt from other people's (Chernozhukov et al., "Double/
Debiased Machine Learning", 2018), so that no model grades its own homework.
"""

from __future__ import annotations

import zlib

import numpy as np

from palate.evaluate.logged import Case
from palate.types import F32, F64, I64

FOLDS = 5
_RIDGE = 1.0
_LARGEST = 1e9


def fold_of(subject: str) -> int:
    """The fold of a person, the same every time."""
    return zlib.crc32(subject.encode("utf-8", "surrogatepass")) % FOLDS


class RewardModel:
    """E[reward | features, place] ≈ β·x + γ[place], cut to the rewards seen. Memory: a few (f + K)² matrices."""

    def __init__(self, features: int, depth: int) -> None:
        """depth: K, places told apart; those behind count as the last."""
        self._features, self.depth = features, depth
        size = features + depth
        self._squares = np.zeros((FOLDS, size, size))
        self._products = np.zeros((FOLDS, size))
        self._rows = np.zeros(FOLDS)
        self._weights: F64 | None = None
        self.low = self.high = 0.0

    def add(self, case: Case) -> None:
        """Learn from the shown items of a decision."""
        k = min(len(case.order), self.depth)
        x = np.zeros((k, self._features + self.depth))
        x[:, : self._features] = _finite(case.x[case.order[:k]])
        x[np.arange(k), self._features + np.arange(k)] = 1.0
        y = case.rewards[:k]
        fold = fold_of(case.subject)
        self._squares[fold] += x.T @ x
        self._products[fold] += y @ x
        self._rows[fold] += k
        self.low, self.high = min(self.low, float(y.min())), max(self.high, float(y.max()))

    def fit(self) -> None:
        """Solve for the weights of every fold, from all others."""
        found = np.zeros((FOLDS, len(self._products[0])))
        for fold in range(FOLDS):
            others = [one for one in range(FOLDS) if one != fold]
            squares, products = self._squares[others].sum(axis=0), self._products[others].sum(axis=0)
            rows = float(self._rows[others].sum())
            if rows == 0.0:
                continue
            penalty = _RIDGE * (np.diag(squares) / rows + 1e-9)
            penalty[self._features :] = 1e-3 + 1e-9
            scale = 1.0 / np.sqrt(np.diag(squares) + penalty)
            matrix = (squares + np.diag(penalty)) * np.outer(scale, scale)
            found[fold] = np.asarray(np.linalg.solve(matrix, products * scale), np.float64) * scale
        self._weights = found

    def places(self, case: Case, k: int) -> F64:
        """(k, n) expected reward of every candidate at each of the first ``k`` places."""
        assert self._weights is not None
        weights = self._weights[fold_of(case.subject)]
        own = _finite(case.x) @ weights[: self._features]
        at: I64 = np.minimum(np.arange(k), self.depth - 1)
        return np.clip(own[None, :] + weights[self._features + at][:, None], self.low, self.high)


def _finite(x: F32) -> F64:
    return np.clip(np.nan_to_num(x.astype(np.float64), posinf=_LARGEST, neginf=-_LARGEST), -_LARGEST, _LARGEST)
