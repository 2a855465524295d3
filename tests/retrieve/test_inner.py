"""The largest inner products: the contract of retrievers, and always what comparing everything finds."""

from __future__ import annotations

import numpy as np
import pytest

from palate.retrieve import Retriever
from palate.retrieve.inner import InnerIndex
from palate.testing.retriever import RetrieverContract
from palate.types import F32, I32, Bools


def bound(index: InnerIndex, vectors: F32, query: F32) -> Retriever:
    def search(k: int, alive: Bools | None) -> tuple[I32, F32]:
        return index.search(query, k, alive, vectors)

    return search


class TestInnerContract(RetrieverContract):
    def _made(self, query: F32) -> Retriever:
        vectors = np.random.default_rng(1).normal(size=(self.items(), 8)).astype(np.float32)
        vectors[9] = vectors[4]
        index = InnerIndex(8)
        index.put(np.arange(len(vectors), dtype=np.int32), vectors)
        return bound(index, vectors, query)

    def retriever(self) -> Retriever:
        return self._made(np.linspace(-1, 1, 8, dtype=np.float32))

    def items(self) -> int:
        return 37

    def nobody(self) -> Retriever:
        return self._made(np.zeros(8, np.float32))


@pytest.mark.parametrize("seed", range(6))
def test_it_finds_what_comparing_everything_finds(seed: int) -> None:
    """Through additions and changes, whatever the lengths and however few rows are allowed."""
    rng = np.random.default_rng(seed)
    dim = int(rng.integers(1, 70))
    vectors = np.zeros((6000, dim), np.float32)
    index = InnerIndex(dim)
    known: set[int] = set()
    free = rng.permutation(6000).astype(np.int32)
    for _ in range(8):
        count = int(rng.integers(1, 700))
        rows, free = free[:count], free[count:]
        if known:
            rows = np.concatenate([rows, rng.choice(sorted(known), min(9, len(known)), False).astype(np.int32)])
        lengths = rng.pareto(1.5, (len(rows), 1)) if seed % 2 else np.ones((len(rows), 1))
        vectors[rows] = rng.normal(size=(len(rows), dim)) * lengths
        vectors[rows[0]] = 0.0
        known.update(rows.tolist())
        index.put(rows, vectors)
        query = rng.normal(size=dim).astype(np.float32)
        alive = rng.random(6000) < 0.3
        for mask in (None, alive):
            found, scores = index.search(query, 50, mask, vectors)
            able = np.array(sorted(known), np.int32)
            able = able[vectors[able].any(axis=1) & (True if mask is None else mask[able])]
            due = (vectors[able] @ query).astype(np.float64)
            assert len(found) == min(50, len(able))
            np.testing.assert_allclose(scores, np.sort(due)[::-1][: len(found)], rtol=1e-4, atol=1e-4)
            assert set(found.tolist()) <= set(able.tolist())
