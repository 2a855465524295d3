"""EASE against a dense reference, and its journey through an artefact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.features import NO_EASE, Neighbours
from palate.state.state import Names
from palate.train.ease import NEIGHBOURS, fit_ease
from palate.train.neighbours import bind_neighbours, pack_neighbours
from palate.types import F64, I32


def dense(users: I32, items: I32, n_items: int, strength: float, half_life: float = 0.0) -> F64:
    """B of Steck (2019), by the formula; with a half-life as a share of the log."""
    x = np.zeros((int(users.max()) + 1, n_items))
    age = len(users) - 1 - np.arange(len(users))
    x[users, items] = np.sqrt(0.5 ** (age / (half_life * len(users)))) if half_life else 1.0  # the last one stays
    p = np.linalg.inv(x.T @ x + strength * np.eye(n_items))
    b = -p / np.diag(p)[None, :]
    np.fill_diagonal(b, 0.0)
    return b


def matrix(found: Neighbours, n: int) -> F64:
    out = np.zeros((n, n))
    for row in range(n):
        at = slice(int(found.indptr[row]), int(found.indptr[row + 1]))
        out[row, found.indices[at]] = found.values[at]
    return out


def log(n: int, users: int, items: int, seed: int) -> tuple[I32, I32]:
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, items + 1)
    return (
        rng.integers(0, users, n).astype(np.int32),
        rng.choice(items, n, p=shares / shares.sum()).astype(np.int32),
    )


@pytest.mark.parametrize("strength", [1.0, 50.0, 200.0])
def test_weights_equal_a_dense_reference(strength: float) -> None:
    users, items = log(1500, 100, 40, 1)
    found = fit_ease(users, items, 40, strength=strength)
    np.testing.assert_allclose(matrix(found, 40), dense(users, items, 40, strength), atol=2e-5, rtol=1e-4)


def test_what_is_long_ago_counts_less() -> None:
    users, items = log(1500, 100, 40, 1)
    found = fit_ease(users, items, 40, strength=20.0, half_life=0.2)
    np.testing.assert_allclose(matrix(found, 40), dense(users, items, 40, 20.0, 0.2), atol=2e-5, rtol=1e-4)


def test_the_order_of_interactions_and_repetitions_do_not_matter() -> None:
    users, items = log(800, 50, 20, 2)
    shuffled = np.random.default_rng(0).permutation(800)
    once = fit_ease(users, items, 20)
    again = fit_ease(np.tile(users[shuffled], 3), np.tile(items[shuffled], 3), 20)
    np.testing.assert_allclose(matrix(once, 20), matrix(again, 20), atol=1e-5)


def test_only_the_most_frequent_items_take_part() -> None:
    users, items = log(3000, 200, 60, 3)
    counts = np.bincount(items, minlength=60)
    kept = np.sort(np.argsort(-counts, kind="stable")[:25])
    found = fit_ease(users, items, 60, limit=25, strength=200.0)
    inside = np.isin(items, kept)
    code = np.full(60, -1)
    code[kept] = np.arange(25)
    expected = np.zeros((60, 60))
    expected[np.ix_(kept, kept)] = dense(users[inside], code[items[inside]].astype(np.int32), 25, 200.0)
    np.testing.assert_allclose(matrix(found, 60), expected, atol=2e-5)


def test_every_item_keeps_its_strongest_neighbours() -> None:
    users, items = log(20_000, 300, 180, 4)
    found = fit_ease(users, items, 180, strength=10.0)
    full = dense(users, items, 180, 10.0)
    assert set(np.diff(found.indptr)) == {NEIGHBOURS}
    for row in (0, 57, 179):
        mine = found.indices[found.indptr[row] : found.indptr[row + 1]]
        assert (np.diff(mine) > 0).all()
        weakest = np.sort(np.abs(full[row]))[-NEIGHBOURS]
        assert (np.abs(full[row, mine]) >= weakest - 1e-5).all()


@pytest.mark.parametrize(
    ("users", "items", "n"), [([], [], 0), ([], [], 5), ([0], [0], 1), ([0, 1], [3, 3], 5), ([0, 0], [1, 4], 5)]
)
def test_hardly_anything(users: list[int], items: list[int], n: int) -> None:
    found = fit_ease(np.array(users, np.int32), np.array(items, np.int32), n, strength=200.0)
    assert len(found.indptr) == n + 1
    assert np.isfinite(found.values).all()
    if len(set(items)) < 2:
        assert len(found.values) == 0
    else:
        assert found.values.tolist() == pytest.approx([1 / 201, 1 / 201], rel=1e-3)


# --------------------------------------------------------------------------- artefacts


def packed() -> tuple[Neighbours, list[str], dict[str, Any]]:
    users, items = log(800, 50, 6, 5)
    found = fit_ease(users, items, 6)
    ids = ["a", "b", "中", "d d", "é", "x" * 300]
    return found, ids, pack_neighbours(found, ids)


def test_the_same_names_give_the_same_neighbours() -> None:
    found, ids, arrays = packed()
    np.testing.assert_array_equal(matrix(bind_neighbours(arrays, Names(ids)), 6), matrix(found, 6))


def test_other_rows_and_unknown_items_are_told_apart_by_id() -> None:
    found, ids, arrays = packed()
    names = ["new", "é", "a", "other", "b"]
    bound = matrix(bind_neighbours(arrays, Names(names)), 5)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            known = a in ids and b in ids
            expected = matrix(found, 6)[ids.index(a), ids.index(b)] if known else 0.0
            assert bound[i, j] == pytest.approx(expected)


def test_nothing_at_all() -> None:
    assert bind_neighbours({}, Names(["a"])) is NO_EASE
    empty = fit_ease(np.zeros(0, np.int32), np.zeros(0, np.int32), 0)
    assert len(bind_neighbours(pack_neighbours(empty, []), Names(["a"])).values) == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a.update({"ease.indptr": a["ease.indptr"][:-1]}),
        lambda a: a.update({"ease.values": a["ease.values"][:-1]}),
        lambda a: a["ease.indptr"].__setitem__(1, 10**6),
        lambda a: a["ease.indptr"].__setitem__(0, 1),
        lambda a: a["ease.indices"].__setitem__(0, 99),
        lambda a: a["ease.indices"].__setitem__(0, -1),
        lambda a: a.update({"ease.ids": a["ease.ids"][:1]}),
    ],
)
def test_arrays_that_contradict_one_another_are_refused(spoil: Any) -> None:
    _, ids, arrays = packed()
    spoil(arrays)
    with pytest.raises(CorruptArtefact, match="EASE arrays of the model contradict one another"):
        bind_neighbours(arrays, Names(ids))
