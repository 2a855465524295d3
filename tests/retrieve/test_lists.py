"""Lists of items from a history, and one list out of several, against the plain way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.retrieve import Retriever
from palate.retrieve.fusion import fuse
from palate.retrieve.item_to_item import ItemToItem, Reached
from palate.testing.retriever import RetrieverContract

LISTS = st.lists(st.lists(st.integers(0, 40), unique=True, max_size=30), max_size=7)


@settings(deadline=None)  # the first example compiles the kernel
@given(lists=LISTS, k=st.integers(0, 60), constant=st.sampled_from([0.0, 1.0, 60.0]))
def test_fusion_equals_the_formula(lists: list[list[int]], k: int, constant: float) -> None:
    named = {f"r{n}": np.array(rows, np.int32) for n, rows in enumerate(lists)}
    wanted: dict[int, float] = {}
    for rows in lists:
        for rank, row in enumerate(rows, 1):
            wanted[row] = wanted.get(row, 0.0) + 1.0 / (constant + rank)
    best = sorted(wanted, key=lambda row: (-wanted[row], row))[:k]
    rows, scores, held, names = fuse(named, k, constant)
    assert names == tuple(name for name, rows in named.items() if len(rows))
    assert rows.tolist() == best
    np.testing.assert_allclose(scores, [wanted[row] for row in best], rtol=1e-12)
    for row, mask in zip(rows.tolist(), held.tolist(), strict=True):
        assert [name for bit, name in enumerate(names) if mask >> bit & 1] == [
            name for name, found in named.items() if row in found
        ]


def test_fusion_of_many_long_lists_finds_every_row_once() -> None:
    random = np.random.default_rng(3)
    lists = {f"r{n}": random.permutation(500_000)[:3000].astype(np.int32) for n in range(40)}
    rows, scores, _, _ = fuse(lists, 200_000)
    assert sorted(rows.tolist()) == sorted(set(np.concatenate(list(lists.values())).tolist()))
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("k", [0, 1, 7, 100])
def test_several_lists_in_one_pass_are_those_one_by_one(k: int) -> None:
    random = np.random.default_rng(k)
    rows = random.permutation(80)[:50].astype(np.int32)
    strengths = random.normal(size=(50, 10)).round(1)
    alive = random.random(70) < 0.8
    columns = np.array([[0, 3], [7, -1], [2, 2], [5, 9]])
    found = Reached(rows, strengths, columns)(k, alive)
    for one, (a, b) in zip(found, columns.tolist(), strict=True):
        value = strengths[:, a] + (strengths[:, b] if b >= 0 else 0.0)
        assert one.tolist() == ItemToItem(rows, value)(k, alive)[0].tolist()
    assert [len(one) for one in Reached(rows[:0], strengths[:0], columns)(k, alive)] == [0, 0, 0, 0]


class TestItemToItem(RetrieverContract):
    def retriever(self) -> Retriever:
        return ItemToItem(np.array([4, 1, 8, 2, 9, 6], np.int32), np.array([0.5, 0.5, 2.0, -1.0, 0.1, 0.5]))

    def items(self) -> int:
        return 12

    def nobody(self) -> Retriever:
        return ItemToItem(np.zeros(0, np.int32), np.zeros(0))
