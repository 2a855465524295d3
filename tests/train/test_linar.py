"""The closed-form sequence model against a dense reference, and what it is for: order."""

from __future__ import annotations

import numpy as np
import pytest

from palate.features import Neighbours
from palate.features.neighbours import LINAR_ENTRIES
from palate.state.state import Names
from palate.train.ease import fit_ease
from palate.train.linar import DECAY, DISCOUNT, fit_linar
from palate.train.neighbours import bind_neighbours, pack_neighbours
from palate.types import F64, I32
from tests.train.test_ease import log, matrix


def sparse(users: I32, items: I32, n: int, limit: int = 6000, strength: float = 20.0) -> F64:
    """L as a dense matrix."""
    return matrix(Neighbours(*fit_linar(users, items, n, limit, strength)), n)


def dense(users: I32, items: I32, n: int, strength: float, half_life: float = 0.0) -> F64:
    """L by the formula, one row of x and y an interaction."""
    x, y = np.zeros((len(users), n)), np.zeros((len(users), n))
    past: dict[int, list[int]] = {}
    for t, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True)):
        before = past.setdefault(user, [])
        for q, earlier in enumerate(before[-1 : -LINAR_ENTRIES - 1 : -1]):
            x[t, earlier] += DECAY**q
        y[t, item] = 1.0
        before.append(item)
    counts = np.bincount(items, minlength=n).astype(float)
    d = np.diag(counts**-DISCOUNT)
    w = np.diag(
        0.5 ** ((len(users) - 1 - np.arange(len(users))) / (half_life * len(users))) if half_life else x[:, 0] ** 0
    )
    weights = d @ np.linalg.solve(d @ x.T @ w @ x @ d + strength * np.eye(n), d @ x.T @ w @ y)
    np.fill_diagonal(weights, 0.0)
    return weights


@pytest.mark.parametrize("strength", [1.0, 50.0])
def test_weights_equal_a_dense_reference(strength: float) -> None:
    users, items = log(1500, 30, 40, 1)
    np.testing.assert_allclose(
        sparse(users, items, 40, strength=strength), dense(users, items, 40, strength), atol=1e-4, rtol=1e-3
    )


def test_what_is_long_ago_counts_less() -> None:
    users, items = log(1500, 30, 40, 1)
    found = matrix(Neighbours(*fit_linar(users, items, 40, strength=5.0, half_life=0.2)), 40)
    np.testing.assert_allclose(found, dense(users, items, 40, 5.0, 0.2), atol=1e-4, rtol=1e-3)


def test_it_learns_what_comes_next_where_ease_can_not() -> None:
    """Everybody goes round in a circle of ten, from anywhere: all go together, one comes next."""
    rng = np.random.default_rng(3)
    starts = rng.integers(0, 10, 200)
    users = np.repeat(np.arange(200), 25).astype(np.int32)
    items = ((np.repeat(starts, 25) + np.tile(np.arange(25), 200)) % 10).astype(np.int32)
    weights = sparse(users, items, 10)
    assert weights.argmax(axis=1).tolist() == [(h + 1) % 10 for h in range(10)]
    together = matrix(fit_ease(users, items, 10), 10)
    assert np.ptp(together[0, 1:]) < 1e-3


def test_only_the_most_frequent_items_take_part_and_the_rest_keep_their_place() -> None:
    """An item that takes no part still moves those before it one place back."""
    users, items = log(3000, 60, 50, 4)
    found = sparse(users, items, 50, limit=20)
    kept = np.argsort(-np.bincount(items, minlength=50), kind="stable")[:20]
    assert set(np.flatnonzero(np.abs(found).sum(axis=0))) <= set(kept.tolist())
    a = np.array([0, 2, 1] * 30, np.int32)
    b = np.array([0, 1] * 30, np.int32)
    who = np.repeat(np.arange(30), 3).astype(np.int32)
    far = sparse(who, np.where(a == 2, 2 + np.repeat(np.arange(30), 3), a).astype(np.int32), 40, limit=2)
    near = sparse(np.repeat(np.arange(30), 2).astype(np.int32), b, 40, limit=2)
    assert 0 < far[0, 1] < near[0, 1]


@pytest.mark.parametrize(("users", "items", "n"), [([], [], 0), ([], [], 5), ([0], [0], 1), ([0, 1], [3, 3], 5)])
def test_hardly_anything(users: list[int], items: list[int], n: int) -> None:
    indptr, indices, values = fit_linar(np.array(users, np.int32), np.array(items, np.int32), n)
    assert len(indptr) == n + 1
    assert len(indices) == len(values) == 0


def test_two_items_and_one_order() -> None:
    found = sparse(np.array([0, 0], np.int32), np.array([1, 4], np.int32), 5, strength=1.0)
    assert found[1, 4] == pytest.approx(0.5)  # both counts are 1
    assert np.count_nonzero(found) == 1


def test_it_travels_with_ease_through_an_artefact() -> None:
    users, items = log(800, 50, 6, 5)
    both = Neighbours(*fit_ease(users, items, 6)[:3], *fit_linar(users, items, 6))
    ids = ["a", "b", "中", "d d", "é", "x"]
    bound = bind_neighbours(pack_neighbours(both, ids), Names(ids[::-1]))
    for first, second in ((bound[:3], both[:3]), (bound[3:], both[3:])):
        np.testing.assert_array_equal(matrix(Neighbours(*first), 6)[::-1, ::-1], matrix(Neighbours(*second), 6))
    assert np.count_nonzero(bound.next_values)


def test_an_artefact_without_it_is_bound() -> None:
    users, items = log(800, 50, 6, 5)
    arrays = pack_neighbours(fit_ease(users, items, 6), list("abcdef"))
    for name in ("indptr", "indices", "values"):
        del arrays[f"linar.{name}"]
    bound = bind_neighbours(arrays, Names(list("abcdef")))
    assert len(bound.values)
    assert len(bound.next_values) == 0
