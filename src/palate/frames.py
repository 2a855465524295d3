"""pandas and polars frames as events. Columns are found by their usual names; the rules are few and said here.

A frame with a user (or session) and an item column holds interactions; with an item column only, items; with a user
column only, users. Columns that mean nothing to an interaction are ignored; all others of an item are its fields.
Numbers below 10¹¹ are seconds, below 10¹⁴ milliseconds, else microseconds up to 10¹⁷, else nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from palate.errors import InvalidInput
from palate.types import Event, FieldValue, Interaction, Item, User

ALIASES: dict[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "customer", "customer_id", "customerid", "household_id", "uid"),
    "item": ("item", "item_id", "itemid", "movie_id", "movieid", "product_id", "productid", "stockcode", "iid"),
    "session": ("session", "session_id", "sessionid"),
    "timestamp": ("timestamp", "ts", "time", "datetime", "date", "invoicedate", "created_at"),
    "type": ("type", "event_type", "eventtype", "action", "behavior", "behaviour"),
    "value": ("value", "rating", "score", "stars"),
    "text": ("text", "review", "comment"),
    "id": ("id", "event_id"),
    "ranking": ("ranking",),
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000))
"""Numbers below the first are that many milliseconds when multiplied by the second and divided by the third."""


def is_frame(value: object) -> bool:
    """Whether ``value`` looks like a pandas or polars frame."""
    return hasattr(value, "columns") and hasattr(value, "__getitem__") and hasattr(value, "shape")


def find_columns(names: Sequence[str]) -> dict[str, str]:
    """Which column of ``names`` plays which part (``user`` → ``userId``); the first alias wins."""
    lowered = {name.lower(): name for name in reversed(list(names))}
    found: dict[str, str] = {}
    for part, aliases in ALIASES.items():
        for alias in aliases:
            if alias in lowered and lowered[alias] not in found.values():
                found[part] = lowered[alias]
                break
    return found


def frame_events(frame: Any) -> Iterator[Event]:
    """The events of a frame, row by row. Errors: ``InvalidInput`` when no column names a user or item, or two columns
    have one name."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"The frame has two columns named {twice!r}: rename or drop one.")
    found = find_columns(names)
    if "item" in found and ("user" in found or "session" in found):
        yield from _interactions(frame, found)
    elif "item" in found or "user" in found:
        yield from _entities(frame, names, found)
    else:
        raise InvalidInput(
            f"The frame has no user or item column; it has {', '.join(names[:20])}. "
            "Rename one to 'item' (and 'user' for interactions)."
        )


def _column(frame: Any, name: str) -> list[Any]:
    series = frame[next(label for label in frame.columns if str(label) == name)]
    return series.to_list() if hasattr(series, "to_list") else list(series)


def _interactions(frame: Any, found: dict[str, str]) -> Iterator[Event]:
    columns = {part: _column(frame, name) for part, name in found.items()}
    default = "rating" if found.get("value", "").lower() in ("rating", "stars") else "view"
    empty: list[Any] = [None] * len(columns["item"])
    for item, user, session, ts, kind, value, text, name, ranking in zip(
        *(columns.get(p, empty) for p in ("item", "user", "session", "timestamp", "type", "value", "text", "id")),
        columns.get("ranking", empty),
        strict=True,
    ):
        yield Interaction(
            item=_text(item) or "",
            user=_text(user),
            session=_text(session),
            timestamp=moment(ts),
            type=_text(kind) or default,
            value=_number(value),
            text=_text(text),
            id=_text(name),
            ranking=_text(ranking),
        )


def _entities(frame: Any, names: list[str], found: dict[str, str]) -> Iterator[Event]:
    kind = "item" if "item" in found else "user"
    when = found.get("timestamp")
    ids = _column(frame, found[kind])
    times = _column(frame, when) if when else [None] * len(ids)
    others = [name for name in names if name not in (found[kind], when)]
    columns = [_column(frame, name) for name in others]
    for row, name in enumerate(ids):
        fields = {
            column: value
            for column, values in zip(others, columns, strict=True)
            if (value := field_value(values[row])) is not None
        }
        if kind == "item":
            yield Item(item=_text(name) or "", timestamp=moment(times[row]), fields=fields)
        else:
            yield User(user=_text(name) or "", timestamp=moment(times[row]), fields=fields)


def _missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NaTType", "NAType")
    )


def _text(value: Any) -> str | None:
    if _missing(value):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any) -> float | None:
    return None if _missing(value) else float(value)


def field_value(value: Any) -> FieldValue | None:
    """A field's value as the wire takes it, None for what is missing; arrays and tuples become lists of strings."""
    if _missing(value):
        return None
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value
    if hasattr(value, "tolist"):
        return field_value(value.tolist())
    if isinstance(value, list | tuple):
        return [str(v) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return str(value)


def moment(value: Any) -> int | str | None:
    """A timestamp as Unix milliseconds; texts are left to the wire's rules."""
    if _missing(value):
        return None
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
    if isinstance(value, str):
        return value
    if hasattr(value, "item"):
        return moment(value.item())
    number = value if isinstance(value, int) else float(value)
    times, parts = next(((m, d) for limit, m, d in _UNITS if abs(number) < limit), (1, 10**6))
    return number * times // parts if isinstance(number, int) else round(number * times / parts)
