"""Hard rules: who may be shown at all. Every filter says how many it removed.

The wire's language: ``{"field": {"eq|ne|lt|lte|gt|gte|in|nin|exists": value}, "and": […], "or": […], "not": {…}}``.
Several fields in one object must all hold. A list field holds for ``eq`` and ``in`` when any element does. A field
that is absent fails every comparison but ``ne``, ``nin`` and ``exists: false``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.errors import InvalidInput
from palate.kernels import kernel
from palate.state.seen import place_of
from palate.types import I32, I64, Bools, FieldValue

U8 = npt.NDArray[np.uint8]
Fields = Mapping[str, FieldValue]
Predicate = Callable[[Fields], bool]
_DEPTH = 16
_SIZE = 500
"""Objects in a filter: each is asked of every item, while everybody waits. Lists of values count as nothing."""
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
}
DELETED, UNAVAILABLE, BLOCKED, SEEN = 1, 2, 4, 8
WHY = ("deleted", "unavailable", "blocked", "seen")
"""The name of each of these bits, in the order in which they count."""
_OPERATORS = ("eq", "ne", *_ORDER, "in", "nin", "exists")


@kernel
def standing(
    rows: I32, alive: Bools, available: Bools, seen: I32, at: I32, seen_count: I32, seen_last: I64, seen_neg: I64,
    drop: bool, out: U8,
) -> int:  # fmt: skip
    """What is known against each candidate, in bits: ``DELETED``, ``UNAVAILABLE``, ``BLOCKED`` and, with ``drop``,
    ``SEEN``. Returns the bits of all together: 0 in the common case. O(m).

    rows: (m,), −1 for unknown items, which nothing is known against. alive, available: (n,). seen, at, …: of the
    subject.
    """
    every = 0
    for m in range(len(rows)):
        bits, row = 0, rows[m]
        if row >= 0:
            bits = (0 if alive[row] else DELETED) | (0 if available[row] else UNAVAILABLE)
            place = place_of(seen, at, row) if len(seen) > 0 else -1
            if place >= 0:
                if seen_neg[place] > seen_last[place]:
                    bits |= BLOCKED
                if drop and seen_count[place] > 0:
                    bits |= SEEN
        out[m] = bits
        every |= bits
    return every


def compile_filter(expression: Mapping[str, Any], where: str = "filter", depth: int = 0) -> Predicate:
    """A predicate over item fields. Errors: ``InvalidInput`` naming the place for anything it doesn't understand."""
    if depth > _DEPTH:
        raise InvalidInput(f"{where} is nested more than {_DEPTH} deep.", where)
    if depth == 0 and (size := _size(expression)) > _SIZE:
        raise InvalidInput(
            f"{where} has {size} objects; at most {_SIZE} are allowed. Put the values of one field into one 'in'.",
            where,
        )
    tests: list[Predicate] = []
    for key, value in expression.items():
        here = f"{where}.{key}"
        if key in ("and", "or"):
            if not isinstance(value, list) or not value:
                raise InvalidInput(f"{here} must be a non-empty list of filters.", here)
            parts = [_nested(part, f"{here}[{n}]", depth) for n, part in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            tests.append(_all(parts) if key == "and" else _any(parts))
        elif key == "not":
            tests.append(_not(_nested(value, here, depth)))
        else:
            tests.append(_field(key, value, here))
    return _all(tests)


def _size(expression: Any) -> int:
    """How many objects a filter consists of. It is not deep: the wire has seen to that."""
    if isinstance(expression, list | tuple):
        return sum(_size(part) for part in expression)  # pyright: ignore[reportUnknownVariableType]
    return 1 + sum(map(_size, expression.values())) if isinstance(expression, Mapping) else 0  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _nested(value: object, where: str, depth: int) -> Predicate:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be a filter, an object such as {{'price': {{'lt': 20}}}}.", where)
    return compile_filter(value, where, depth + 1)  # pyright: ignore[reportUnknownArgumentType]


def _all(parts: list[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else lambda fields: all(part(fields) for part in parts)


def _any(parts: list[Predicate]) -> Predicate:
    return lambda fields: any(part(fields) for part in parts)


def _not(part: Predicate) -> Predicate:
    return lambda fields: not part(fields)


def _field(name: str, conditions: object, where: str) -> Predicate:
    if not isinstance(conditions, dict) or not conditions:
        raise InvalidInput(
            f"{where} must be an object of comparisons, such as {{'eq': 'red'}}; known: {', '.join(_OPERATORS)}.", where
        )
    tests: list[Predicate] = []
    for operator, value in conditions.items():  # pyright: ignore[reportUnknownVariableType]
        here = f"{where}.{operator}"
        if operator not in _OPERATORS:
            raise InvalidInput(f"{here}: {operator!r} is no comparison; known: {', '.join(_OPERATORS)}.", here)
        tests.append(_comparison(name, str(operator), value, here))  # pyright: ignore[reportUnknownArgumentType]
    return _all(tests)


def _comparison(name: str, operator: str, value: Any, where: str) -> Predicate:
    if operator == "exists":
        if not isinstance(value, bool):
            raise InvalidInput(f"{where} must be true or false.", where)
        return lambda fields: (name in fields) is value
    if operator in ("in", "nin"):
        if not isinstance(value, list) or not all(_is_scalar(v) for v in value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            raise InvalidInput(f"{where} must be a list of strings, numbers or booleans.", where)
        allowed = {_typed(v) for v in value}  # pyright: ignore[reportUnknownVariableType]
        inside = operator == "in"
        return lambda fields: (not allowed.isdisjoint(_elements(fields, name))) is inside
    if not _is_scalar(value):
        raise InvalidInput(f"{where} must be a string, a number or a boolean.", where)
    if operator in ("eq", "ne"):
        wanted, equal = _typed(value), operator == "eq"
        return lambda fields: (wanted in _elements(fields, name)) is equal
    if isinstance(value, bool):
        raise InvalidInput(f"{where} compares by order, which true and false don't have.", where)
    compare, kind = _ORDER[operator], str if isinstance(value, str) else (int, float)

    def ordered(fields: Fields) -> bool:
        mine = fields.get(name)
        return isinstance(mine, kind) and not isinstance(mine, bool) and compare(mine, value)

    return ordered


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _typed(value: Any) -> tuple[bool, Any]:
    """True isn't 1: a boolean only equals a boolean."""
    return isinstance(value, bool), value


def _elements(fields: Fields, name: str) -> set[tuple[bool, Any]]:
    value = fields.get(name)
    if value is None:
        return set()
    return {_typed(v) for v in value} if isinstance(value, list) else {_typed(value)}


def available(fields: Fields) -> bool:
    """False where the item says ``available: false`` or ``in_stock: false``."""
    return fields.get("available") is not False and fields.get("in_stock") is not False
