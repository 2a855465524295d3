"""The bounds of one-byte codes always hold, whatever the vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.retrieve.codes import Coded


@settings(deadline=None)  # the first example compiles the kernel
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 40),
    dim=st.sampled_from([1, 2, 16, 100, 512]),
    stretch=st.sampled_from([1e-6, 1.0, 1e4]),
    spikes=st.booleans(),
)
def test_bounds_hold(seed: int, n: int, dim: int, stretch: float, spikes: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = (random.normal(size=(n, dim)) * stretch).astype(np.float32)
    if spikes:
        vectors[:, 0] *= 1000.0
    vectors[::7] = 0.0
    queries = random.normal(size=(3, dim)).astype(np.float32)
    queries[2] = 0.0
    coded = Coded.empty(n, dim)
    coded.put(slice(None), vectors)
    lower, upper = coded.bounds(queries)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    assert (lower <= exact).all()
    assert (exact <= upper).all()


@pytest.mark.parametrize("dim", [8192, 20_000])
def test_wide_vectors_do_not_overflow(dim: int) -> None:
    coded = Coded.empty(2, dim)
    coded.put(slice(None), np.vstack([np.ones(dim, np.float32), -np.ones(dim, np.float32)]))
    lower, upper = coded.bounds(np.ones((1, dim), np.float32))
    assert lower[0, 0] <= dim <= upper[0, 0]
    assert lower[0, 1] <= -dim <= upper[0, 1]


def test_bounds_of_unit_rows_are_tight() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(50, 512)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    coded = Coded.empty(50, 512)
    coded.put(slice(None), rows)
    lower, upper = coded.bounds(rows)
    assert (upper - lower).max() < 0.03
