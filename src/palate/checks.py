"""What an id, a text, a number, a field or a time must be like, wherever it comes in. Errors: ``InvalidInput``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from palate.config import Limits
from palate.errors import InvalidInput, TooLarge
from palate.types import FieldValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_TIMESTAMP = 253_402_300_799_999
"""9999-12-31, the last instant that ISO-8601 with four digits can name."""


def parse_timestamp(value: int | str, where: str = "timestamp") -> int:
    """Unix milliseconds of an int (already so), a string of digits, or ISO-8601 (UTC when it names no zone)."""
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.lstrip("-").isdigit() and text.count("-") < 2 and len(text) < 20:
            value = int(text)
        else:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise InvalidInput(
                    f"{where} {text[:40]!r} is neither ISO-8601 (2026-01-31T12:00:00Z) nor Unix milliseconds.", where
                ) from None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            value = (moment - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= value <= MAX_TIMESTAMP:
        raise InvalidInput(
            f"{where} {value} is out of range: it must lie between 1970 and 9999, in milliseconds.", where
        )
    return value


def check_id(value: str, where: str, limits: Limits) -> None:
    """An id is an opaque string of 1 to ``limits.id_bytes`` UTF-8 bytes without NUL."""
    if not value:
        raise InvalidInput(f"{where} is empty: an id has 1 to {limits.id_bytes} bytes.", where)
    if "\0" in value:
        raise InvalidInput(f"{where} contains a NUL character, which ids may not.", where)
    if len(value) * 4 > limits.id_bytes or not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise InvalidInput(f"{where} is not valid Unicode (a lone surrogate).", where) from None
        if size > limits.id_bytes:
            raise InvalidInput(f"{where} has {size} bytes; an id has 1 to {limits.id_bytes}.", where)


def check_text(value: str, where: str, limits: Limits) -> None:
    """A text has at most ``limits.text_bytes`` UTF-8 bytes and is valid Unicode."""
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{where} is not valid Unicode (a lone surrogate).", where) from None
    if size > limits.text_bytes:
        raise TooLarge(f"{where} has {size} bytes; one text may have {limits.text_bytes}.", where)


def check_fields(fields: Mapping[str, FieldValue], where: str, limits: Limits) -> None:
    """Field names are ids; values are bool, finite number, text, or a list of texts."""
    if len(fields) > limits.fields:
        raise InvalidInput(f"{where} has {len(fields)} fields; at most {limits.fields} are allowed.", where)
    for name, value in fields.items():
        check_id(name, f"a field name of {where}", limits)
        if isinstance(value, str):
            check_text(value, f"{where}.{name}", limits)
        elif isinstance(value, list):
            check_text(" ".join(value), f"{where}.{name}", limits)
        else:
            check_number(value, f"{where}.{name}")


def check_number(value: float, where: str) -> None:
    """A number is finite, and an integer one of 64 bits."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{where} is not a finite number.", where)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidInput(f"{where} is out of range for a 64-bit integer.", where)
