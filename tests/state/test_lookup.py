"""Ids to rows in one compiled look: the same as the dict says, however the table grows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.state.lookup import Lookup
from palate.state.state import Names


class _Clashing(str):
    """A text whose hash is one of three."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self) % 3

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.lists(st.text(min_size=1, max_size=6), max_size=60), max_size=6), st.lists(st.text(max_size=6)))
def test_rows_are_those_of_the_dict_while_the_names_grow(rounds: list[list[str]], others: list[str]) -> None:
    names = Names()
    lookup = Lookup(names)
    for some in rounds:
        for name in some:
            names.row(name)
        asked = [*some, *others, *(name for before in rounds for name in before)]
        assert lookup.rows(asked).tolist() == [names.get(name) for name in asked]


def test_a_hundred_thousand_names() -> None:
    names = Names(f"item-{n}" for n in range(100_000))
    lookup = Lookup(names)
    asked = [f"item-{n}" for n in np.random.default_rng(0).integers(0, 200_000, 5_000)]
    assert lookup.rows(asked).tolist() == [names.get(name) for name in asked]
    assert lookup.rows([]).tolist() == []


def test_ids_that_share_a_hash_are_told_apart() -> None:
    known: list[str] = [_Clashing("a" * n) for n in range(1, 40)]
    names = Names(known)
    lookup = Lookup(names)
    asked = [*known[::-1], _Clashing("b" * 3)]
    assert lookup.rows(asked).tolist() == [names.get(name) for name in asked]
    assert lookup.rows(asked)[-1] == -1
