"""When each field of a row was last set, so that a late event doesn't undo a newer one.

Nearly every row has all of its fields from one event: one stamp and the number of a list of names that rows share then,
170 bytes instead of 640 with a dictionary for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Stamp = tuple[int, int]
"""Time of the event, and when it was received, ms. The later one wins."""
Kept = tuple[int, int, int] | dict[str, Stamp]
"""Number of the list of names, and the stamp that all of them have; or the stamp of each name."""
_LISTS = 4096


class Stamps:
    """By row: names of fields and their stamps.

    lists, rows: as ``lists`` and ``rows`` were, of a snapshot. Errors: ``ValueError`` where they don't fit together.
    """

    __slots__ = ("_number", "lists", "rows")

    def __init__(self, lists: Sequence[Sequence[str]] = (), rows: dict[int, Kept] | None = None) -> None:
        self.lists = [tuple(names) for names in lists]
        self.rows: dict[int, Kept] = {} if rows is None else rows
        self._number = {names: number for number, names in enumerate(self.lists)}
        known = len(self.lists)
        if not all(0 <= kept[0] < known for kept in self.rows.values() if isinstance(kept, tuple)):
            raise ValueError("a row names a list of fields that there isn't")

    def __contains__(self, row: int) -> bool:
        return row in self.rows

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def of(self, row: int) -> dict[str, Stamp]:
        """Names and stamps of a row, empty for an unknown one. A copy."""
        kept = self.rows.get(row)
        if kept is None:
            return {}
        return dict.fromkeys(self.lists[kept[0]], kept[1:]) if isinstance(kept, tuple) else dict(kept)

    def get(self, row: int, name: str) -> Stamp | None:
        """When ``name`` was last set."""
        kept = self.rows.get(row)
        if isinstance(kept, tuple):
            return kept[1:] if name in self.lists[kept[0]] else None
        return None if kept is None else kept.get(name)

    def set(self, row: int, names: Iterable[str], stamp: Stamp) -> list[str]:
        """An event at ``stamp`` sets ``names`` of a row: returns, and notes, those that no later one has set."""
        stamps = self.of(row)
        newest = [name for name in names if name not in stamps or stamps[name] <= stamp]
        for name in newest:
            stamps[name] = stamp
        self.rows[row] = self._kept(stamps)
        return newest

    def _kept(self, stamps: dict[str, Stamp]) -> Kept:
        one = next(iter(stamps.values()), (0, 0))
        if any(stamp != one for stamp in stamps.values()):
            return stamps
        names = tuple(stamps)
        number = self._number.get(names)
        if number is None:
            if len(self.lists) >= _LISTS:  # where fields differ so much, sharing would save nothing
                return stamps
            number = self._number[names] = len(self.lists)
            self.lists.append(names)
        return number, one[0], one[1]
