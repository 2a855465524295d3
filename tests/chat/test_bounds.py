"""Sides of a field: of its thirds, of an item, of what was shown last; in hours and dates as in plain numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from palate.chat.shorthand import shorthand
from palate.engine import Engine
from palate.types import Item
from tests.engines import memory

HOURS = {f"story-{n:02d}": 1 + n / 2 for n in range(12)}
"""1, 1.5 … 6.5: thirds end at 2.5 and 4.5 (``numpy.quantile``, method ``lower``)."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with memory() as engine:
        engine.ingest([
            Item(item=name, fields={"title": name, "published": f"{2010 + n}-03-04", "length_hours": hours,
                                    "topic": ["sport", "world"][n % 2]})
            for n, (name, hours) in enumerate(HOURS.items())
        ])  # fmt: skip
        assert engine.wait_encoded(60)
        yield engine


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("something short", "length_hours<=2.5"),
        ("something long", "length_hours>=4.5"),
        ("not too long", "length_hours<=4.5"),
        ("not too short", "length_hours>=2.5"),
        ("something recent", "published>=2017"),
        ("nothing too old", "published>=2013"),
        ("something old", "published<2014"),
    ],
)
def test_thirds_are_in_the_units_of_the_field(engine: Engine, text: str, wish: str) -> None:
    answer = engine.chat("ann", text)
    assert shorthand([one.wish for one in answer.wishes]) == [wish]
    assert answer.ranking is not None
    assert answer.ranking.items


@pytest.mark.parametrize(("text", "sign"), [("something shorter", -1), ("nothing longer", -1), ("nothing shorter", 1)])
def test_beside_what_was_shown_a_negation_turns_the_side(engine: Engine, text: str, sign: int) -> None:
    shown = engine.chat("ann", "more sport").ranking
    assert shown is not None
    middle = sorted(HOURS[item.id] for item in shown.items)[len(shown.items) // 2]
    after = engine.chat("ann", text).ranking
    assert after is not None
    assert after.items
    assert all((HOURS[item.id] - middle) * sign >= 0 for item in after.items)


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("two hours or longer", ["length_hours>=2"]),
        ("两小时或更长", ["length_hours>=2"]),
        ("两个小时左右或者更短", ["length_hours<=2"]),
        ("2015年或更新的", ["published>=2015"]),
        ("2015 or newer, two hours or less", ["length_hours<=2", "published>=2015"]),
        ("short or newer", ["length_hours<=2.5", "published>=2017"]),  # beside no number "or newer" is a wish itself
        ("短的或者更新的", ["length_hours<=2.5", "published>=2017"]),
    ],
)
def test_or_longer_is_the_other_side_of_the_number_before_it(engine: Engine, text: str, wishes: list[str]) -> None:
    assert shorthand([one.wish for one in engine.chat("ann", text).wishes]) == wishes
