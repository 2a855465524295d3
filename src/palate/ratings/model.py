"""The rating predictor: draws of the factors, kept, and what follows from them for known and new people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from palate.errors import CorruptArtefact, InvalidInput
from palate.types import F64, I64, Bools

_BLOCK = 16_384
Array = np.ndarray[Any, Any]
Rows = Sequence[int] | I64


@dataclass(frozen=True, slots=True)
class Rater:
    """Somebody as the model sees them, in each of d draws: factors (d, k), bias (d,), and the covariance (d, k + 1,
    k + 1) of both, which says how little is known of them yet."""

    factors: F64
    bias: F64
    covariance: F64


@dataclass(frozen=True, slots=True)
class RatingModel:
    """d draws of the posterior. Memory: 4·d·(k + 1) bytes a user and an item.

    scale: the average of all ratings, the least and the most given, between which every prediction lies.
    user_factors: (d, users, k); user_bias: (d, users). user_mean: (d, k), user_precision: (d, k, k),
    user_bias_precision: (d,): how these are distributed, which is all that is known of a new one. Items likewise.
    alpha: (d,), one over the variance of a rating around its prediction.
    """

    scale: Array
    user_factors: Array
    user_bias: Array
    user_mean: Array
    user_precision: Array
    user_bias_precision: Array
    item_factors: Array
    item_bias: Array
    item_mean: Array
    item_precision: Array
    item_bias_precision: Array
    alpha: Array

    def predict(self, users: Rows, items: Rows) -> tuple[F64, F64]:
        """For n pairs of rows: the expected ratings (n,), and their standard deviations (n,), by which a real rating
        may be expected to differ. −1 stands for somebody or something unknown.

        Errors: ``InvalidInput`` for a row that there isn't, or arrays of unequal length. Cost: some 4 µs a pair.
        """
        people, things = np.asarray(users, np.int64), np.asarray(items, np.int64)
        if people.shape != things.shape or people.ndim != 1:
            raise InvalidInput(f"{len(people)} users for {len(things)} items: give one of each for every rating.")
        _check(people, self.user_bias.shape[1], "user")
        _check(things, self.item_bias.shape[1], "item")
        found, spread = np.empty(len(people)), np.empty(len(people))
        unknown = _covariance(self.user_precision, self.user_bias_precision) if (people < 0).any() else None
        for start in range(0, len(people), _BLOCK):
            part = slice(start, start + _BLOCK)
            there = people[part] >= 0
            factors = np.where(there[:, None], self.user_factors[:, people[part]], self.user_mean[:, None, :])
            bias = np.where(there, self.user_bias[:, people[part]], 0.0)
            found[part], spread[part] = self._of_items(factors, bias, unknown, ~there, things[part])
        return found, spread

    def rater(self, items: Rows, ratings: Sequence[float] | F64) -> Rater:
        """Somebody new by their ratings of item rows: no training, and an answer that changes with every rating.

        Errors: ``InvalidInput`` for an item that there isn't. Cost: d · (k² a rating + k³), about a millisecond.
        """
        things, values = np.asarray(items, np.int64), np.asarray(ratings, np.float64)
        if len(things) != len(values) or not np.isfinite(values).all():
            raise InvalidInput(f"{len(things)} items for {len(values)} ratings: give a finite one for each.")
        if len(things) and things.min() < 0:
            raise InvalidInput("A rating of an unknown item says nothing: leave it out.")
        _check(things, self.item_bias.shape[1], "item")
        x = _with_one(self.item_factors[:, things])
        left = values - self.scale[0] - self.item_bias[:, things]
        precision = _joined(self.user_precision, self.user_bias_precision)
        pull = np.einsum("dij,dj->di", self.user_precision, self.user_mean)
        pull = np.concatenate([pull, np.zeros((len(pull), 1))], axis=1)
        pull += self.alpha[:, None] * np.einsum("dni,dn->di", x, left)
        precision += self.alpha[:, None, None] * np.einsum("dni,dnj->dij", x, x)
        covariance = cast(F64, np.linalg.inv(precision))
        mean = np.einsum("dij,dj->di", covariance, pull)
        return Rater(mean[:, :-1], mean[:, -1], covariance)

    def predict_for(self, rater: Rater, items: Rows) -> tuple[F64, F64]:
        """``predict`` for somebody that ``rater`` made."""
        things = np.asarray(items, np.int64)
        _check(things, self.item_bias.shape[1], "item")
        shape = (len(self.alpha), len(things))
        factors = np.broadcast_to(rater.factors[:, None, :], (*shape, rater.factors.shape[1]))
        bias = np.broadcast_to(rater.bias[:, None], shape)
        return self._of_items(factors, bias, rater.covariance, np.ones(len(things), np.bool_), things)

    def _of_items(
        self, factors: Array, bias: Array, covariance: F64 | None, unsure: Bools, items: I64
    ) -> tuple[F64, F64]:
        """factors (d, n, k), bias (d, n): somebody for each of n ``items``; where ``unsure``, with ``covariance``."""
        there = items >= 0
        theirs = np.where(there[:, None], self.item_factors[:, items], self.item_mean[:, None, :])
        drawn = np.einsum("dnk,dnk->dn", factors, theirs) + bias + np.where(there, self.item_bias[:, items], 0.0)
        noise = np.repeat(1.0 / self.alpha[:, None], len(items), axis=1)
        if covariance is not None and unsure.any():
            noise[:, unsure] += _form(_with_one(theirs[:, unsure]), covariance)
        if not there.all():
            of_item = _covariance(self.item_precision, self.item_bias_precision)
            noise[:, ~there] += _form(_with_one(factors[:, ~there]), of_item)
            if covariance is not None:  # what neither is known to have may be just what they have in common
                both = np.einsum("dij,dji->d", covariance[:, :-1, :-1], of_item[:, :-1, :-1])
                noise[:, unsure & ~there] += both[:, None]
        average, low, high = self.scale
        expected = np.clip(average + drawn.mean(axis=0), low, high)
        return expected, np.sqrt(drawn.var(axis=0) + noise.mean(axis=0))

    def arrays(self) -> dict[str, Array]:
        """Everything, for safetensors."""
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def load(cls, arrays: Mapping[str, Array]) -> RatingModel:
        """From ``arrays()``. Errors: ``CorruptArtefact``."""
        try:
            parts = {name: arrays[name] for name in ARRAYS}
            draws, users, k = parts["user_factors"].shape
            items = parts["item_bias"].shape[1]
        except (KeyError, ValueError, IndexError):
            raise CorruptArtefact("The arrays of a rating model lack some, or have other shapes.") from None
        shapes: list[tuple[int, ...]] = [(3,)]
        for n in (users, items):
            shapes += [(draws, n, k), (draws, n), (draws, k), (draws, k, k), (draws,)]
        shapes.append((draws,))
        for name, shape in zip(ARRAYS, shapes, strict=True):
            if parts[name].shape != shape or not np.isfinite(parts[name]).all():
                raise CorruptArtefact(f"{name} of a rating model has the wrong shape, or holds what is no number.")
        return cls(**parts)


ARRAYS = tuple(RatingModel.__dataclass_fields__)


def _check(rows: I64, n: int, name: str) -> None:
    if len(rows) and (rows.min() < -1 or rows.max() >= n):
        raise InvalidInput(f"There is no {name} row beyond {n - 1}, and -1 is the one that is unknown.")


def _with_one(x: Array) -> Array:
    """(d, n, k) with a last component of 1, which a bias belongs to."""
    return np.concatenate([x, np.ones((*x.shape[:2], 1), x.dtype)], axis=2)


def _joined(precision: Array, bias_precision: Array) -> Array:
    """(d, k + 1, k + 1): of factors and bias, which are independent."""
    draws, k, _ = precision.shape
    joined = np.zeros((draws, k + 1, k + 1))
    joined[:, :k, :k], joined[:, k, k] = precision, bias_precision
    return joined


def _covariance(precision: Array, bias_precision: Array) -> F64:
    return np.linalg.inv(_joined(precision, bias_precision))


def _form(x: Array, matrix: Array) -> Array:
    """xᵀ·M·x for each of (d, n, k), with (d, k, k)."""
    return np.einsum("dnk,dnk->dn", np.matmul(x, matrix), x)
