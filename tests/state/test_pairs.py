"""Rows of pairs when they are full, and arenas when they grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.state.arena import Arena
from palate.state.fold import _prune_pairs  # pyright: ignore[reportPrivateUsage]
from palate.state.rows import EMPTY, free_slot


@given(
    st.dictionaries(st.integers(0, 10**6), st.tuples(st.integers(-3, 40), st.integers(-1, 3)), min_size=1, max_size=48),
    st.integers(1, 60),
)
@settings(deadline=None)
def test_a_pruned_row_keeps_the_strongest_and_of_equal_ones_the_smaller_ids(
    pairs: dict[int, tuple[int, int]], keep: int
) -> None:
    start, capacity = 3, 64
    keys = np.full(start + capacity + 2, EMPTY, np.int32)
    fwd, co = np.zeros(len(keys), np.int32), np.zeros(len(keys), np.int32)
    for key, (forward, both) in pairs.items():
        slot = free_slot(keys, start, capacity, key)
        keys[slot], fwd[slot], co[slot] = key, forward, both
    assert _prune_pairs(keys, fwd, co, start, capacity, keep) == min(keep, len(pairs))
    strongest = sorted(pairs, key=lambda key: (-pairs[key][1], -pairs[key][0], key))[:keep]
    slots = np.flatnonzero(keys != EMPTY)
    assert {int(keys[s]): (int(fwd[s]), int(co[s])) for s in slots} == {key: pairs[key] for key in strongest}
    assert ((slots >= start) & (slots < start + capacity)).all()


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_an_arena_grows_with_what_it_holds_and_leaves_what_is_read_of_it_alone(hashed: bool, held: bool) -> None:
    arena = Arena({"a": np.int64, "b": np.float32}, hashed=hashed)
    n = len(arena.keys)
    arena.keys[:n] = np.arange(n)
    arena.columns["a"][:n] = 7
    arena.columns["b"][:n] = np.arange(n) / 2
    arena.meta[0] = n
    reader = (arena.keys[:5], arena.columns["b"][:5]) if held else None
    arena.room(3_000_000)
    assert len(arena.keys) == len(arena.columns["a"]) >= n + 3_000_000
    np.testing.assert_array_equal(arena.keys[: n + 1], [*range(n), 0])
    np.testing.assert_array_equal(arena.columns["b"][:n], np.arange(n) / 2)
    assert set(arena.columns["a"][:n].tolist()) == {7}
    arena.columns["a"][-1] = 1
    if reader is not None:
        arena.keys[:5] = -1
        assert reader[0].tolist() == [0, 1, 2, 3, 4]
        assert reader[1].tolist() == [0, 0.5, 1, 1.5, 2]
