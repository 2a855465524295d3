"""Hard wishes on their way through the line: one filter a person, compiled once and kept until they say otherwise; and
what wishes come to as tags that are muted or pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palate import wishes
from palate.content.text import item_tags
from palate.errors import InvalidInput
from palate.filters import Predicate, compile_filter
from palate.state import State
from palate.types import FieldValue

_KEPT = 2048


@dataclass(slots=True, frozen=True)
class Held:
    """What somebody's wishes come to. expression: all hard ones together, None without any; filters, softer,
    unreadable: how many there are of each."""

    expression: dict[str, Any] | None
    predicate: Predicate | None
    filters: int
    softer: int
    unreadable: int

    def counts(self) -> dict[str, int]:
        """For the stage."""
        named = {"filters": self.filters, "preferences": self.softer, "unreadable": self.unreadable}
        return {name: count for name, count in named.items() if count}


class Wished:
    """The hard wishes of people over one state. Cost: two look-ups for whoever has none."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._kept: dict[int, tuple[FieldValue, Held]] = {}

    def of(self, user: int) -> Held | None:
        """The wishes of a user row; None where there are none. One that can't be compiled is counted, and left out."""
        fields = self.state.user_fields.get(user)
        value = fields.get(wishes.FIELD) if fields else None
        if not value:
            return None
        kept = self._kept.get(user)
        if kept is not None and kept[0] is value:
            return kept[1]
        found, bad = wishes.read(value)
        good: list[dict[str, Any]] = []
        for wish in found:
            if wish.filter is not None:
                try:
                    compile_filter(wish.filter)
                    good.append(wish.filter)
                except InvalidInput:
                    bad += 1
        expression = {"and": good} if good else None
        soft = sum(wish.filter is None for wish in found)
        held = Held(expression, compile_filter(expression) if expression else None, len(good), soft, bad)
        if len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[user] = value, held
        return held


def muted(held: Sequence[wishes.Wish], own: Sequence[str]) -> list[str]:
    """What wishes rule out by a tag or count against, as tags and words; own: ``language.tag_fields``."""
    found: dict[str, None] = {}
    for one in held:
        if one.less:
            found[one.less] = None
        for name, value in barred(one):
            found |= dict.fromkeys(tag_of(name, value, own))
    return list(found)


def pinned(held: Sequence[wishes.Wish]) -> list[str]:
    """What is wanted more, as tags and words."""
    return list(dict.fromkeys(one.more for one in held if one.more))


def same(name: str, text: str) -> bool:
    """Whether ``text`` names a tag, as a whole or by its value, or is the same word."""
    return bool(name) and text.casefold() in (name.casefold(), name.split(":", 1)[-1].casefold())


def tag_of(name: str, value: object, own: Sequence[str]) -> list[str]:
    """The one tag of a field's value, nothing where it has none or several."""
    if not isinstance(value, str | int | float | bool):
        return []
    tags = item_tags({name: [value] if isinstance(value, str) else value}, own)
    return tags if len(tags) == 1 else []


def barred(wish: wishes.Wish) -> list[tuple[str, Any]]:
    """Fields and values of a wish that does nothing but leave values out."""
    tests = wish.filter or {}
    if not all(isinstance(test, dict) and list(test) in (["nin"], ["ne"]) for test in tests.values()):  # pyright: ignore[reportUnknownArgumentType]
        return []
    return [(name, value) for name, test in tests.items() for value in test.get("nin", [test.get("ne")])]
