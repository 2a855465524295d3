"""What the codes of a projection can't reach is proven, whatever the vectors; and every machine computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.registry import cpu_target

from palate.kernels import kernel
from palate.retrieve.codes import Asked, Coded
from palate.retrieve.lanes import QUERIES, ROWS, best_way, lowest_bit, make_passing, passing
from palate.retrieve.projection import Projection, learn
from palate.types import F32, F64, I32

BEST = best_way(cpu_target.target_context)
WAYS = {"vnni": ["vnni", "pairs", "plain"], "pairs": ["pairs", "plain"], "plain": ["plain"]}[BEST]


@kernel
def bits_of(codes: Any, block: int, queries: I32, scale: F32, rest: F32, constants: F32, before: F32, out: F32) -> int:
    return passing(codes, block, queries, scale, rest, constants, before, out)


def rows_of(seed: int, n: int, dim: int, stretch: float, spikes: bool) -> F32:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(5, dim))
    vectors = (centres[random.integers(0, 5, n)] + random.normal(size=(n, dim))) * stretch
    if spikes:
        vectors[:, 0] *= 1000.0
    vectors[::7] = 0.0
    return vectors.astype(np.float32)


def coded(vectors: F32, projection: Projection) -> Coded:
    made = Coded.empty(projection, len(vectors))
    made.put(np.arange(len(vectors), dtype=np.int32), vectors)
    return made


def any_projection(random: np.random.Generator, dim: int) -> Projection:
    matrix = np.zeros((dim, 116), np.float32)
    kept = min(dim, 116)
    matrix[:, :kept] = np.linalg.qr(random.normal(size=(dim, kept)))[0]
    return Projection(matrix, 32, 64, 52, np.zeros((8, 3), np.float32))


def both_looks(made: Coded, asked: Asked, block: int) -> tuple[int, int, F32]:
    """What passes the near components of a block, what passes the far ones too, and the estimates."""
    out = np.zeros((QUERIES, ROWS), np.float32)
    near = bits_of(
        made.near, block, asked.near, made.scale, made.near_rest, asked.near_constants, np.zeros_like(out), out
    )
    far = bits_of(made.far, block, asked.far, made.scale, made.head_rest, asked.far_constants, out, out)
    return near, far, out


@settings(deadline=None)  # the first example compiles the kernels
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 50),
    dim=st.sampled_from([1, 2, 16, 100, 512]),
    stretch=st.sampled_from([1e-6, 1.0, 1e4]),
    spikes=st.booleans(),
    learnt=st.booleans(),
)
def test_bounds_hold(seed: int, n: int, dim: int, stretch: float, spikes: bool, learnt: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = rows_of(seed, n, dim, stretch, spikes)
    made = coded(vectors, learn(vectors) if learnt else any_projection(random, dim))
    queries = random.normal(size=(3, dim)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    asked = made.ask(queries)
    exact: F64 = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    last = made.marks.shape[1] - 3
    for row in range(n):
        t = int(made.slot_of[row])
        assert made.row_at[t] == row
        for q in range(3):
            limit = exact[q, row] - asked.slack[q, 0]
            asked.near_constants[q, 4] = asked.far_constants[q, 4] = limit
        near, bits, out = both_looks(made, asked, t // ROWS)
        for q in range(3):
            assert near >> (ROWS * q + t % ROWS) & 1
            assert bits >> (ROWS * q + t % ROWS) & 1
            total = float(made.tail[t].astype(np.int64) @ asked.tail[q].astype(np.int64))
            most = out[q, t % ROWS] + asked.far_constants[q, 2] * made.marks[t, last]
            most += (total * asked.weights[q, 0] + asked.weights[q, 1]) * made.marks[t, last + 1]
            most += asked.weights[q, 2] * made.marks[t, last + 2]
            assert most + asked.slack[q, 1] >= exact[q, row] * (1 - 1e-6)
        assert bits >> (3 * ROWS) == 0  # a query that isn't there passes nothing


def test_bounds_of_near_rows_are_tight() -> None:
    random = np.random.default_rng(3)
    centres = random.normal(size=(20, 512))
    rows = (centres[random.integers(0, 20, 400)] + 0.3 * random.normal(size=(400, 512))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = coded(rows, learn(rows))
    asked = made.ask(rows[:4])
    last = made.marks.shape[1] - 3
    margin = asked.far_constants[:, 2, None] * made.marks[:, last] + asked.weights[:, 1, None] * made.marks[:, last + 1]
    margin = margin + asked.weights[:, 2, None] * made.marks[:, last + 2]
    assert (margin + asked.slack[:, 1, None]).max() < 0.13


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("steps", [1, 8, 40])
def test_every_way_gives_the_same_sums(way: str, steps: int) -> None:
    compute: Any = make_passing(way)

    @kernel
    def run(codes: Any, block: int, queries: I32, scale: F32, rest: F32, constants: F32, before: F32, out: F32) -> int:
        return compute(codes, block, queries, scale, rest, constants, before, out)

    random = np.random.default_rng(steps)
    codes = random.integers(0, 256, (2, steps, 64), dtype=np.uint8)
    queries = random.integers(-127, 128, (steps, QUERIES, 4), dtype=np.int8)
    scale, rest = random.random((2, 2 * ROWS)).astype(np.float32)
    constants = random.normal(size=(QUERIES, 5)).astype(np.float32)
    constants[:, 0] = 128 * queries.astype(np.int64).sum(axis=(0, 2))
    before = random.normal(size=(QUERIES, ROWS)).astype(np.float32)
    for block in range(2):
        rows = codes[block].reshape(steps, ROWS, 4).astype(np.int64)
        sums = np.einsum("srj,sqj->qr", rows, queries.astype(np.int64)) - constants[:, :1]
        part = slice(block * ROWS, block * ROWS + ROWS)
        wanted = before + sums.astype(np.float32) * (constants[:, 1:2] * scale[part])
        most = wanted + (constants[:, 2:3] * scale[part] + constants[:, 3:4] * rest[part])
        constants[:, 4] = np.median(most, axis=1)
        out = before.copy()  # in place
        bits = run(codes, block, queries.view(np.int32)[:, :, 0], scale, rest, constants, out, out)
        np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-4)
        passed = np.array([[bits >> (ROWS * q + r) & 1 for r in range(ROWS)] for q in range(QUERIES)], np.bool_)
        sure = np.abs(most - constants[:, 4:]) > 1e-3
        np.testing.assert_array_equal(passed[sure], (most >= constants[:, 4:])[sure])


def test_the_lowest_bit() -> None:
    @kernel
    def run(bits: int) -> int:
        return lowest_bit(bits)

    assert [run(bits) for bits in (1, 2, 12, -(2**63), 0)] == [0, 1, 2, 63, 64]


@pytest.mark.parametrize("dim", [2048, 8192])
def test_wide_vectors_do_not_overflow(dim: int) -> None:
    vectors = np.vstack([np.ones(dim, np.float32), -np.ones(dim, np.float32)])
    matrix = np.repeat(np.eye(512, dtype=np.float32), dim // 512, axis=0) * np.float32((dim // 512) ** -0.5)
    made = coded(vectors, Projection(np.pad(matrix, ((0, 0), (0, 52))), 480, 512, 52, np.zeros((8, 3), np.float32)))
    asked = made.ask(np.full((1, dim), dim**-0.5, np.float32))
    asked.near_constants[0, 4] = asked.far_constants[0, 4] = dim**0.5 - asked.slack[0, 0]
    near, bits, out = both_looks(made, asked, 0)
    assert near & bits & 1
    assert out[0, 0] == -out[0, 1]


def test_a_projection_leaves_little_of_what_it_was_learnt_from() -> None:
    random = np.random.default_rng(5)
    rows = (random.normal(size=(600, 40)) * 0.7 ** np.arange(40)) @ np.linalg.qr(random.normal(size=(256, 40)))[0].T
    found = learn(rows.astype(np.float32))
    assert (found.near, found.head) == (32, 64)
    assert found.kinds.shape == (64, 9)
    assert (found.head + found.tail) % 4 == 0
    np.testing.assert_allclose(found.matrix.T @ found.matrix, np.eye(found.head + found.tail), atol=1e-5)
    head = found.matrix[:, : found.head]
    assert ((rows - rows @ head @ head.T) ** 2).sum() < 0.2 * (rows**2).sum()
    flat = learn(random.normal(size=(600, 64)).astype(np.float32))  # nothing to be left out: everything is kept
    assert flat.head + flat.tail >= 64
    assert not flat.matrix[:, 64:].any()
