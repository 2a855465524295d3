"""Items and users described by files: the columns beside the id become fields.

The cells of a text file get types by column: numbers where every cell of the column is one (ids, and digits with a
leading zero, stay text), lists where a column like ``genres`` separates its parts with ``|``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from palate.datasets.mapping import plain
from palate.datasets.values import LIMITS, absent, to_field, to_id
from palate.errors import InvalidInput
from palate.types import FieldValue
from palate.wire import check_fields

_LISTS = re.compile(
    r"genres?|categor(y|ies)|tags?|keywords?|actors?|cast|directors?|authors?|topics?|labels?|likes|follows"
)
_NOTHING = frozenset({"(no genres listed)"})
_ID_LIKE = re.compile(r"(^|[a-z_ ])(id|ids|ID|Id)$|^(sku|isbn|asin|zip|zipcode|zip_code|phone)$")
_LEADING_ZERO = re.compile(r"^[+-]?0\d")


class Records:
    """Descriptions by id, merged over files: a later file's fields replace an earlier one's of the same name."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.fields: dict[str, dict[str, FieldValue]] = {}

    def table(self, columns: Sequence[str], id_at: int, title_at: int | None, typed: bool) -> _Table:
        """A reader for the rows of one file."""
        names = [column.strip() for column in columns]
        if title_at is not None and "title" not in names:
            names[title_at] = "title"
        return _Table(self, names, id_at, typed)

    def offer_title(self, key: str, cell: object) -> None:
        """A title that an event names, for want of a better one."""
        if not absent(cell):
            self.fields.setdefault(key, {}).setdefault("title", str(cell).strip())


class _Table:
    """One file's rows, kept until all have been seen and the types of the columns are known."""

    def __init__(self, records: Records, names: list[str], id_at: int, typed: bool) -> None:
        self._records, self._names, self._id_at, self._typed = records, names, id_at, typed
        self._rows: list[tuple[int, str, Sequence[Any]]] = []

    def add(self, number: int, cells: Sequence[Any]) -> None:
        """Take a row. Errors: ``ValueError`` with a sentence where it has no id."""
        self._rows.append((number, to_id(cells[self._id_at], self._records.what), cells))

    def finish(self) -> list[tuple[int, str]]:
        """Turn the rows into fields; returns those refused (number, sentence)."""
        refused: list[tuple[int, str]] = []
        readers = [
            None if position == self._id_at or not name else self._reader(position, name)
            for position, name in enumerate(self._names)
        ]
        for number, key, cells in self._rows:
            fields: dict[str, FieldValue] = {}
            for name, cell, reader in zip(self._names, cells, readers, strict=True):
                value = None if reader is None else reader(cell)
                if value is not None:
                    fields[name] = value
            try:
                check_fields(fields, self._records.what, LIMITS)
            except InvalidInput as error:
                refused.append((number, error.message))
                continue
            known = self._records.fields.get(key)
            if known is None:
                self._records.fields[key] = fields
            else:
                known.update(fields)
        return refused

    def _reader(self, position: int, name: str) -> Any:
        cells = [row[2][position] for row in self._rows]
        if _LISTS.fullmatch(plain(name)) and any(isinstance(cell, str) and "|" in cell for cell in cells):
            return _list
        if self._typed:
            return to_field
        if not _ID_LIKE.search(name):
            texts = [cell.strip() for cell in cells if not absent(cell)]
            if texts and all(_is_integer(text) for text in texts):
                return _integer
            if texts and all(_is_number(text) for text in texts):
                return _number
        return _text


def _is_integer(text: str) -> bool:
    return len(text) < 18 and text.lstrip("-").isdecimal() and text.isascii() and not _LEADING_ZERO.match(text)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and not _LEADING_ZERO.match(text)
    except ValueError:
        return False


def _list(cell: object) -> list[str] | None:
    if isinstance(cell, list):
        return [str(part) for part in cell] or None  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if absent(cell):
        return None
    return [part.strip() for part in str(cell).split("|") if part.strip() and part.strip() not in _NOTHING]


def _integer(cell: str) -> int | None:
    return None if absent(cell) else int(cell)


def _number(cell: str) -> float | None:
    return None if absent(cell) else float(cell)


def _text(cell: str) -> str | None:
    return None if absent(cell) or cell.strip() in _NOTHING else cell.strip()
