"""Stamps kept together say the same as a dictionary for each row."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.state import stamps
from palate.state.stamps import ARRAYS, Stamp, Stamps

NAMES = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
EVENTS = st.lists(st.tuples(st.integers(0, 3), NAMES, st.tuples(st.integers(0, 3), st.integers(0, 2))), max_size=30)


@pytest.mark.parametrize("lists", [0, 2, 4096])
@given(events=EVENTS)
def test_the_latest_wins_whatever_the_order(lists: int, events: list[tuple[int, list[str], Stamp]]) -> None:
    kept = Stamps()
    plain: dict[int, dict[str, Stamp]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stamps, "_LISTS", lists)
        for row, names, stamp in events:
            mine = plain.setdefault(row, {})
            newest = [name for name in names if name not in mine or mine[name] <= stamp]
            mine |= dict.fromkeys(newest, stamp)
            assert kept.set(row, names, stamp) == newest
    assert len(kept.lists) <= lists
    apart = msgspec.msgpack.decode(msgspec.msgpack.encode(kept.apart), type=dict[int, dict[str, Stamp]])
    again = Stamps(kept.lists, kept.arrays(), apart)
    for one in (kept, again):
        assert sorted(one) == sorted(plain)
        assert {row: one.of(row) for row in one} == plain
        for row in range(5):
            assert (row in one) is (row in plain)
            assert all(one.get(row, name) == plain.get(row, {}).get(name) for name in "abcd")
    assert again.set(9, ["a"], (5, 5)) == ["a"]


def test_rows_share_lists_of_names() -> None:
    kept = Stamps()
    for row in range(100):
        kept.set(row, ("title", "price") if row % 2 else ("title",), (row, row))
    assert len(kept.lists) == 2
    kept.set(1, ["price"], (500, 0))
    assert kept.of(1) == {"title": (1, 1), "price": (500, 0)}
    assert kept.of(3) == {"title": (3, 3), "price": (3, 3)}


def test_rows_of_one_event_hold_no_objects() -> None:
    kept = Stamps()
    for row in range(100):
        kept.set(row, ("title",), (row, row))
    assert kept.apart == {}
    kept.set(3, ("price",), (200, 0))
    assert list(kept.apart) == [3]
    kept.set(3, ("title", "price"), (300, 0))
    assert kept.apart == {}


@pytest.mark.parametrize(
    ("lists", "times", "apart"),
    [
        ([0, 1], [1, 1], {}),
        ([-3, 0], [1, 1], {}),
        ([0], [1, 1], {}),
        ([-2], [0], {}),
        ([0], [1], {0: {"title": (1, 1)}}),
    ],
)
def test_parts_that_do_not_fit_together_are_an_error(
    lists: list[int], times: list[int], apart: dict[int, dict[str, Stamp]]
) -> None:
    arrays = {name: np.array(value, np.int64) for name, value in zip(ARRAYS, (lists, times, times), strict=True)}
    with pytest.raises(ValueError, match="a list of fields that there isn't"):
        Stamps([["title"]], arrays, apart)
