"""Ids to rows in one compiled look: the same as the dict says, however the table grows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.state.lookup import Lookup, Texts
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


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.text(min_size=1, max_size=3), max_size=80)), max_size=12))
def test_rows_of_texts_are_those_of_a_dict_that_forgets(rounds: list[tuple[bool, list[str]]]) -> None:
    texts, plain = Texts(), dict[str, int]()
    free: list[int] = []
    for drops, some in rounds:
        named = list(dict.fromkeys(some))
        if drops:
            gone = [text for text in named if text in plain]
            rows = [plain.pop(text) for text in gone]
            texts.drop(np.array(rows, np.int32))
            free += rows
        else:
            new = [text for text in named if text not in plain]
            rows = [free.pop() if free else len(plain) + n for n in range(len(new))]
            texts.put(new, np.array(rows, np.int32))
            plain |= dict(zip(new, rows, strict=True))
        asked = [*named, "", *plain]
        assert texts.rows(asked).tolist() == [plain.get(text, -1) for text in asked]


def test_texts_that_come_and_go_take_no_more_room() -> None:
    texts = Texts()
    for round_ in range(300):
        texts.put([f"{round_}-{n}" for n in range(100)], np.arange(100, dtype=np.int32))
        texts.drop(np.arange(100, dtype=np.int32))
    assert len(texts._table) <= 1024
    assert texts.rows(["299-5", "3-3"]).tolist() == [-1, -1]
