"""Cells of a file as ids, numbers and times: each function gives the value or raises ``ValueError`` with a sentence."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

from palate.config import Limits
from palate.errors import InvalidInput
from palate.types import FieldValue
from palate.wire import check_id

LIMITS = Limits()
_ABSENT = frozenset({"", "nan", "NaN", "NULL", "null", "None", "<NA>", "NaT"})
_MAX_MS = 253_402_300_799_999
_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_DAY_SHAPED = (19_000_101, 21_001_231)


def absent(cell: object) -> bool:
    """Whether a cell holds nothing: empty, null, or not a number."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell in _ABSENT or cell.strip() in _ABSENT
    return isinstance(cell, float) and cell != cell


def to_id(cell: object, what: str) -> str:
    """An id as text: ``17850.0`` and ``17850`` are the same id, as frames write whole numbers in both ways."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.endswith(".0") and text[:-2].isdigit():
            text = text[:-2]
    elif isinstance(cell, float) and cell.is_integer():
        text = str(int(cell))
    elif cell is None:
        text = ""
    elif isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        text = str(cell)
    else:
        raise ValueError(f"{what} is neither a text nor a number.")
    if text in _ABSENT:
        raise ValueError(f"{what} is missing.")
    if len(text) > LIMITS.id_bytes // 4 or "\0" in text:
        try:
            check_id(text, what, LIMITS)
        except InvalidInput as error:
            raise ValueError(error.message) from None
    return text


def to_number(cell: object, what: str) -> float | None:
    """A finite number, None for an empty cell."""
    if isinstance(cell, str):
        text = cell.strip()
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{what} {text[:40]!r} is not a number.") from None
    elif cell is None:
        return None
    elif isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        number = float(cell)
    else:
        raise ValueError(f"{what} {str(cell)[:40]!r} is not a number.")
    if not math.isfinite(number):
        raise ValueError(f"{what} {number} is not a finite number.")
    return number


def to_ms(cell: object, what: str, unit: str | None = None, layout: str | None = None) -> int:
    """Unix milliseconds of a number, a text of digits, ISO-8601 (UTC where it names no zone) or ``layout``.

    The unit of a number, unless given, is told by its magnitude: below 10^11 seconds (up to the year 5138), below
    10^14 milliseconds (from 1973 on), below 10^17 microseconds, else nanoseconds; eight digits that make a day between
    1900 and 2100 (20111209) are that day.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if layout is not None:
            return _by_layout(text, what, layout)
        try:
            number = int(text)
        except ValueError:
            return _by_text(text, what, unit)
        return _by_number(number, what, unit)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return _by_number(cell, what, unit)
    if isinstance(cell, datetime):
        return _in_range(_utc(cell), what, cell)
    if isinstance(cell, date):
        return _in_range(_utc(datetime(cell.year, cell.month, cell.day)), what, cell)
    if isinstance(cell, float | Decimal):
        return _by_number(float(cell), what, unit)
    raise ValueError(f"{what} {str(cell)[:40]!r} is not a time.")


def _by_number(number: float, what: str, unit: str | None) -> int:
    if not math.isfinite(number):
        raise ValueError(f"{what} {number} is not a finite number.")
    if unit is None and isinstance(number, int) and _DAY_SHAPED[0] <= number <= _DAY_SHAPED[1]:
        try:
            return _in_range(_utc(datetime.strptime(str(number), "%Y%m%d")), what, number)
        except ValueError:
            pass  # eight digits that are no day are seconds, as any other number
    size = abs(number)
    unit = unit or ("s" if size < 1e11 else "ms" if size < 1e14 else "us" if size < 1e17 else "ns")
    ms = int(number * 1000) if unit == "s" else int(number // _PER_MS[unit])
    return _in_range(ms, what, number)


def _by_text(text: str, what: str, unit: str | None) -> int:
    try:
        return _in_range(_utc(datetime.fromisoformat(text)), what, text)
    except ValueError:
        pass
    for layout in ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"):
        try:
            return _in_range(_utc(datetime.strptime(text, layout)), what, text)
        except ValueError:
            continue
    try:
        number = float(text)
    except ValueError:
        raise ValueError(
            f"{what} {text[:40]!r} is neither a Unix time nor ISO-8601; "
            "for another layout give time_format in the mapping."
        ) from None
    return _by_number(number, what, unit)


def _by_layout(text: str, what: str, layout: str) -> int:
    try:
        return _in_range(_utc(datetime.strptime(text, layout)), what, text)
    except ValueError:
        raise ValueError(f"{what} {text[:40]!r} does not have the layout {layout!r}.") from None


def _utc(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _in_range(ms: int, what: str, shown: object) -> int:
    if not 0 <= ms <= _MAX_MS:
        raise ValueError(f"{what} {str(shown)[:40]!r} lies outside the years 1970 to 9999.")
    return ms


def to_field(cell: object) -> FieldValue | None:
    """A typed cell as the value of a field; None for what a field can't hold (nothing, a record, a number like NaN)."""
    if cell is None or isinstance(cell, bool | int):
        return cell
    if isinstance(cell, float | Decimal):
        number = float(cell)
        return number if math.isfinite(number) else None
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, list):
        texts = [str(part) for part in cell if isinstance(part, str | int | float)]  # pyright: ignore[reportUnknownVariableType]
        return texts or None
    if isinstance(cell, date):
        return cell.isoformat()
    return None
