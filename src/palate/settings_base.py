"""What sections of settings have in common: they are frozen, and refuse what they don't know."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of ``palate.toml``."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Errors: ``ValueError`` naming the setting where ``value`` lies outside of [low, high]."""
    if not low <= value <= high:
        shown = [str(int(one)) if float(one).is_integer() else f"{one:g}" for one in (value, low, high)]
        raise ValueError(f"{name} is {shown[0]}; it must lie between {shown[1]} and {shown[2]}")
