"""Numbers of a clause: which field, which side, and compared with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from palate.chat.numbers import Number
from palate.chat.scan import Part
from palate.chat.schema import Numeric, Schema
from palate.types import FieldValue
from palate.wishes import Wish

_NEGATED = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}
_CUES = ("lt", "lte", "gt", "gte", "before", "after", "since", "between", "from")
_POST = {"post_lte": "lte", "post_gte": "gte", "post_lt": "lt"}
_ALONE = {"duration": "lte", "price": "lte", "rating": "gte", "pages": "lte", "weight": "lte", "budget": "lte"}
_GUESSED = ("price", "duration", "rating", "pages", "weight")
_RELATIVE = ("er", "更", "一点", "些", "点")


class Asks(Protocol):
    """What of ``parse.Parse`` is filled here."""

    missing: list[str]
    unknown: list[str]


class Knows(Protocol):
    """What of ``parse.Helper`` is used here."""

    year: float
    shown: Sequence[str]


class Bounds:
    """Collects the comparisons of one clause. reference: the item that it compares with."""

    def __init__(
        self, schema: Schema, fields: Callable[[str], dict[str, FieldValue]], knows: Knows, asks: Asks, like: str
    ) -> None:
        self.schema, self.fields, self.knows, self.asks, self.like = schema, fields, knows, asks, like
        self.reference = ""
        self._cue = ""
        self._than = False
        self._numbers: list[list[Any]] = []  # number, comparison, negated
        self._adjectives: list[list[Any]] = []  # role, sign, polarity, relative

    @property
    def any(self) -> bool:
        """Whether the clause says anything about numbers."""
        return bool(self._numbers or self._adjectives)

    def cue(self, part: Part, mode: str) -> None:
        """A phrase of comparison before or after a number."""
        after = next((kind for kind in _POST if kind in part.also), "")
        if after and self._numbers and not self._numbers[-1][3]:
            self._numbers[-1][1], self._numbers[-1][3] = _POST[after], True
        elif part.name == "than":
            self._than = True
        elif part.name in _CUES and not (part.name == "from" and self._cue):
            self._cue = part.name

    def adjective(self, part: Part, mode: str) -> None:
        """``shorter``, ``cheap``: a side of a field."""
        relative = part.text.endswith(_RELATIVE) or part.text.startswith("更") or part.text == "more recent"
        self._adjectives.append([part.name, part.sign, mode, relative])

    def number(self, part: Part, mode: str, roles: list[str]) -> None:
        """A number, with the phrase that stood before it."""
        self._numbers.append([part.number, self._cue, mode == "neg", False])
        self._cue = ""

    def negate(self) -> None:
        """The clause ends in its negation."""
        for one in self._numbers:
            one[2] = True
        for one in self._adjectives:
            one[2] = "neg"

    def wishes(self, said: str, roles: list[str]) -> list[Wish]:
        """What the comparisons come to."""
        out: list[Wish] = []
        used: set[str] = set()
        for number, compare, negative, _ in self._numbers:
            role = self._role(number, roles)
            if role in ("", "?"):
                if role == "":
                    self.asks.unknown.append(f"{number.low:g}")
                continue
            used.add(role)
            if (numeric := self._numeric(role)) is None:
                continue
            side = next((sign for name, sign, _, _ in self._adjectives if name == role), 0)
            if not compare and self._than and side:
                compare = "lt" if side < 0 else "gt"
            out.append(Wish(filter=_filter(numeric, number, compare, negative, role), said=said))
        for role, sign, polarity, relative in self._adjectives:
            if role in used:
                continue
            used.add(role)
            if (numeric := self._numeric(role)) is None:
                continue
            if (made := self._side(numeric, sign, polarity, relative)) is not None:
                out.append(Wish(filter={numeric.name: made}, said=said))
        return out

    def _side(self, numeric: Numeric, sign: int, polarity: str, relative: bool) -> dict[str, Any] | None:
        """Beside an item, what was shown last, or the thirds of the catalogue."""
        negative = polarity in ("neg", "less", "nottoo")
        beside = "lt" if sign < 0 else "gt"
        beside = _NEGATED[beside] if negative else beside
        against = self.reference or (self.like if relative else "")
        if against:
            value = _value(self.fields(against).get(numeric.name), numeric)
            if value is None:
                self.asks.unknown.append(against)
                return None
            return _compare(numeric, beside, value)
        if self.reference == "" and self._than:
            return None
        shown = [_value(self.fields(item).get(numeric.name), numeric) for item in self.knows.shown] if relative else []
        known = [value for value in shown if value is not None]
        if known:
            return _compare(numeric, beside, float(np.median(known)))
        low, high = numeric.thirds
        if negative:  # neither end third: "not too long" is up to where the long ones begin
            low, high, sign = high, low, -sign
        return _compare(numeric, "lte" if sign < 0 else "gte", (low if sign < 0 else high) * numeric.scale)

    def _numeric(self, role: str) -> Numeric | None:
        """The field of a role; one that no field plays is noted as missing."""
        numeric = self.schema.of_role(role)
        if numeric is None and role not in self.asks.missing:
            self.asks.missing.append(role)
        return numeric

    def _role(self, number: Number, roles: list[str]) -> str:
        """The role that a number speaks of; ``?`` where nothing can be told and nothing is lost."""
        named = [
            role
            for role in roles
            if role in ("price", "budget", "rating", "pages", "weight", "duration", "year", "size")
        ]
        named += [name for name, _, _, _ in self._adjectives]
        if number.role == "points":
            return "rating" if number.low <= 10 else "duration"
        if number.role == "price" and "budget" in named:
            return "budget"
        if number.role == "year?":
            return named[0] if named and named[0] != "year" else "year"
        if number.role:
            return number.role
        if named:
            return named[0]
        fits = [
            role
            for role in _GUESSED
            if (one := self.schema.of_role(role)) is not None and one.low * 0.5 <= number.low <= one.high * 1.5
        ]
        return fits[0] if fits else ""


def _value(value: FieldValue | None, numeric: Numeric) -> float | None:
    if numeric.dates and isinstance(value, str) and value[:4].isdigit():
        return float(value[:4])
    return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value) * numeric.scale


def _compare(numeric: Numeric, operator: str, value: float) -> dict[str, Any]:
    if not numeric.dates:
        return {operator: numeric.number(value)}
    year = int(value)
    return {
        "lt": {"lt": f"{year:04d}"}, "gte": {"gte": f"{year:04d}"}, "lte": {"lt": f"{year + 1:04d}"},
        "gt": {"gte": f"{year + 1:04d}"},
    }[operator]  # fmt: skip


def _filter(numeric: Numeric, number: Number, compare: str, negative: bool, role: str) -> dict[str, Any]:
    """The filter of one number. A span compared is compared at its near or far end."""
    operator = {"before": "lt", "after": "gt", "since": "gte"}.get(compare, compare)
    if operator in _NEGATED:
        value = number.high if operator in ("lte", "gt") else number.low
        return {numeric.name: _compare(numeric, _NEGATED[operator] if negative else operator, value)}
    if number.span or role == "year":
        both = _compare(numeric, "gte", number.low) | _compare(numeric, "lte", number.high)
        return {"not": {numeric.name: both}} if negative else {numeric.name: both}
    alone = _ALONE.get(role, "lte")
    return {numeric.name: _compare(numeric, _NEGATED[alone] if negative else alone, number.low)}
