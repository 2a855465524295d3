"""Wishes as short texts, for tests and benchmarks: ``year>=1990``, ``genres!=Horror``, ``+genre:Drama``, ``~alien``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palate.wishes import Wish

_SIGNS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "eq": "=", "ne": "!=", "in": "=", "nin": "!="}


def shorthand(wishes: Sequence[Wish]) -> list[str]:
    """The wishes, sorted, one text for each comparison."""
    return sorted(text for wish in wishes for text in _texts(wish))


def _texts(wish: Wish) -> list[str]:
    if wish.filter is not None:
        return [text for name, conditions in wish.filter.items() for text in _conditions(name, conditions)]
    if wish.like or wish.unlike:
        return [f"~{wish.like}" if wish.like else f"!~{wish.unlike}"]
    words = wish.more or wish.less
    sign = "+" if wish.more else "-"
    return [f"{sign}{words}" if ":" in words else f"{'?' if wish.more else '-?'}{words}"]


def _conditions(name: str, conditions: Any) -> list[str]:
    if name == "not":
        field, inner = next(iter(conditions.items()))
        return [f"not {field} {inner.get('gte', '')}-{inner.get('lte', inner.get('lt', ''))}"]
    return [
        f"{name}{_SIGNS[operator]}{','.join(map(str, value)) if isinstance(value, list) else value}"  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        for operator, value in conditions.items()
    ]
