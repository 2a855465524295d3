"""The filter language: every operator on every kind of value, and every mistake with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import InvalidInput
from palate.filters import available, compile_filter

FIELDS: dict[str, Any] = {
    "price": 20,
    "weight": 1.5,
    "brand": "Acme",
    "genres": ["Drama", "Crime"],
    "new": True,
    "empty": [],
    "name": "",
    "zero": 0,
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({}, True),
        ({"price": {"eq": 20}}, True),
        ({"price": {"eq": 20.0}}, True),
        ({"price": {"eq": "20"}}, False),
        ({"price": {"eq": 21}}, False),
        ({"price": {"ne": 21}}, True),
        ({"price": {"ne": 20}}, False),
        ({"absent": {"eq": 1}}, False),
        ({"absent": {"ne": 1}}, True),
        ({"brand": {"eq": "Acme"}}, True),
        ({"brand": {"eq": "acme"}}, False),
        ({"new": {"eq": True}}, True),
        ({"new": {"eq": 1}}, False),
        ({"zero": {"eq": False}}, False),
        ({"name": {"eq": ""}}, True),
        ({"genres": {"eq": "Drama"}}, True),
        ({"genres": {"eq": "Comedy"}}, False),
        ({"genres": {"ne": "Drama"}}, False),
        ({"empty": {"eq": "x"}}, False),
        ({"price": {"lt": 20}}, False),
        ({"price": {"lt": 20.5}}, True),
        ({"price": {"lte": 20}}, True),
        ({"price": {"gt": 20}}, False),
        ({"price": {"gt": -1}}, True),
        ({"price": {"gte": 20}}, True),
        ({"price": {"gte": 10, "lt": 20}}, False),
        ({"price": {"gte": 10, "lte": 20}}, True),
        ({"price": {"lt": "z"}}, False),
        ({"brand": {"lt": 5}}, False),
        ({"brand": {"gt": "Aaa", "lt": "B"}}, True),
        ({"absent": {"lt": 5}}, False),
        ({"absent": {"gte": -(10**9)}}, False),
        ({"new": {"lt": 2}}, False),
        ({"genres": {"lt": "Z"}}, False),
        ({"price": {"in": [1, 20]}}, True),
        ({"price": {"in": ["20"]}}, False),
        ({"price": {"in": []}}, False),
        ({"price": {"nin": []}}, True),
        ({"price": {"nin": [20]}}, False),
        ({"absent": {"in": [1]}}, False),
        ({"absent": {"nin": [1]}}, True),
        ({"new": {"in": [1, 0]}}, False),
        ({"genres": {"in": ["Comedy", "Crime"]}}, True),
        ({"genres": {"nin": ["Comedy"]}}, True),
        ({"genres": {"nin": ["Comedy", "Crime"]}}, False),
        ({"price": {"exists": True}}, True),
        ({"price": {"exists": False}}, False),
        ({"absent": {"exists": False}}, True),
        ({"absent": {"exists": True}}, False),
        ({"empty": {"exists": True}}, True),
        ({"price": {"eq": 20}, "brand": {"eq": "Acme"}}, True),
        ({"price": {"eq": 20}, "brand": {"eq": "Other"}}, False),
        ({"and": [{"price": {"eq": 20}}, {"new": {"eq": True}}]}, True),
        ({"and": [{"price": {"eq": 20}}, {"new": {"eq": False}}]}, False),
        ({"or": [{"price": {"eq": 1}}, {"new": {"eq": True}}]}, True),
        ({"or": [{"price": {"eq": 1}}, {"new": {"eq": False}}]}, False),
        ({"not": {"price": {"eq": 20}}}, False),
        ({"not": {"absent": {"exists": True}}}, True),
        ({"not": {}}, False),
        ({"brand": {"eq": "Acme"}, "or": [{"price": {"lt": 5}}, {"not": {"new": {"eq": False}}}]}, True),
        ({"and": [{}]}, True),
    ],
)
def test_operators(expression: dict[str, Any], expected: bool) -> None:
    assert compile_filter(expression)(FIELDS) is expected


def deep(levels: int) -> dict[str, Any]:
    expression: dict[str, Any] = {"price": {"eq": 1}}
    for _ in range(levels):
        expression = {"not": expression}
    return expression


@pytest.mark.parametrize(
    ("expression", "where", "sentence"),
    [
        ({"price": 20}, "filter.price", "must be an object of comparisons, such as {'eq': 'red'}; known: eq, ne"),
        ({"price": {}}, "filter.price", "must be an object of comparisons"),
        ({"price": [1]}, "filter.price", "must be an object of comparisons"),
        ({"price": None}, "filter.price", "must be an object of comparisons"),
        ({"price": {"like": 1}}, "filter.price.like", "'like' is no comparison; known: eq, ne, lt, lte, gt, gte, in"),
        ({"price": {"eq": None}}, "filter.price.eq", "must be a string, a number or a boolean"),
        ({"price": {"eq": [1]}}, "filter.price.eq", "must be a string, a number or a boolean"),
        ({"price": {"lt": {}}}, "filter.price.lt", "must be a string, a number or a boolean"),
        ({"price": {"lt": True}}, "filter.price.lt", "compares by order, which true and false don't have"),
        ({"price": {"in": 3}}, "filter.price.in", "must be a list of strings, numbers or booleans"),
        ({"price": {"in": "abc"}}, "filter.price.in", "must be a list of strings, numbers or booleans"),
        ({"price": {"nin": [[1]]}}, "filter.price.nin", "must be a list of strings, numbers or booleans"),
        ({"price": {"in": [None]}}, "filter.price.in", "must be a list of strings, numbers or booleans"),
        ({"price": {"exists": 1}}, "filter.price.exists", "must be true or false"),
        ({"price": {"exists": "yes"}}, "filter.price.exists", "must be true or false"),
        ({"and": {}}, "filter.and", "must be a non-empty list of filters"),
        ({"or": []}, "filter.or", "must be a non-empty list of filters"),
        ({"or": [3]}, "filter.or[0]", "must be a filter, an object such as"),
        ({"and": [{}, {"a": 1}]}, "filter.and[1].a", "must be an object of comparisons"),
        ({"not": [1]}, "filter.not", "must be a filter, an object such as"),
        ({"not": {"x": {"eq": 1, "no": 2}}}, "filter.not.x.no", "'no' is no comparison"),
    ],
)
def test_mistakes_name_their_place(expression: dict[str, Any], where: str, sentence: str) -> None:
    with pytest.raises(InvalidInput) as error:
        compile_filter(expression)
    assert error.value.where == where
    assert error.value.message.startswith(where)
    assert sentence in error.value.message


def test_depth_is_bounded() -> None:
    compile_filter(deep(16))
    with pytest.raises(InvalidInput, match="nested more than 16 deep"):
        compile_filter(deep(17))


values = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b"]), st.lists(st.sampled_from("abc")))
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b"]))


@given(st.dictionaries(st.sampled_from("xyz"), values), st.sampled_from("xyz"), scalars, st.lists(scalars, max_size=3))
def test_opposites_are_opposites(fields: dict[str, Any], name: str, value: Any, several: list[Any]) -> None:
    def holds(expression: dict[str, Any]) -> bool:
        return compile_filter(expression)(fields)

    assert holds({name: {"eq": value}}) is not holds({name: {"ne": value}})
    assert holds({name: {"in": several}}) is not holds({name: {"nin": several}})
    assert holds({name: {"exists": True}}) is not holds({name: {"exists": False}})
    assert holds({name: {"in": several}}) is any(holds({name: {"eq": one}}) for one in several)
    one = {name: {"eq": value}}
    assert holds({"not": one}) is not holds(one)
    if not isinstance(value, bool):
        below, above = holds({name: {"lt": value}}), holds({name: {"gte": value}})
        assert not (below and above)
        assert holds({name: {"lte": value}}) is (below or (holds(one) and not isinstance(fields[name], list)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"available": True}, True),
        ({"available": False}, False),
        ({"in_stock": False}, False),
        ({"available": True, "in_stock": False}, False),
        ({"available": 0}, True),
        ({"available": "false"}, True),
    ],
)
def test_availability(fields: dict[str, Any], expected: bool) -> None:
    assert available(fields) is expected


def test_a_filter_that_would_hold_up_everybody_is_refused() -> None:
    """Each comparison is asked of every item; the values of a list are not."""
    many: dict[str, Any] = {"or": [{"price": {"eq": n}} for n in range(300)]}
    with pytest.raises(InvalidInput, match=r"filter has 601 objects; at most 500 are allowed.*'in'"):
        compile_filter(many)
    assert compile_filter({"price": {"in": list(range(5000))}})(FIELDS)
    assert compile_filter({"or": many["or"][:240]})(FIELDS)
