"""When each field of a row was last set, so that a late event doesn't undo a newer one.

Nearly every row has all of its fields from one event: one stamp and the number of a list of names that rows share, 20
bytes in three arrays; only where fields came apart a dictionary stands for the row.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Stamp = tuple[int, int]
"""Time of the event, and what orders events of one time. The later one wins."""
_LISTS = 4096
_NONE, _APART = -1, -2
"""Instead of the number of a list: a row without stamps, one whose fields have a stamp each."""
ARRAYS = ("lists", "times", "ties")


class Stamps:
    """By row: names of fields and their stamps.

    lists, arrays, apart: as ``lists``, ``arrays()`` and ``apart`` were, of a snapshot. Errors: ``ValueError`` where
    they don't fit together, ``KeyError`` where an array is missing.
    """

    __slots__ = ("_list", "_number", "_ties", "_times", "apart", "lists")

    def __init__(
        self,
        lists: Sequence[Sequence[str]] = (),
        arrays: Mapping[str, npt.NDArray[np.int64]] | None = None,
        apart: dict[int, dict[str, Stamp]] | None = None,
    ) -> None:
        self.lists = [tuple(names) for names in lists]
        self.apart: dict[int, dict[str, Stamp]] = {} if apart is None else apart
        self._number = {names: number for number, names in enumerate(self.lists)}
        given = arrays or {name: np.zeros(0, np.int64) for name in ARRAYS}
        self._list, self._times, self._ties = (
            array(code, given[name].astype(code).tobytes()) for code, name in zip("iqq", ARRAYS, strict=True)
        )
        numbers = given["lists"]
        marked = np.flatnonzero(numbers == _APART)
        if not (
            len(self._list) == len(self._times) == len(self._ties)
            and np.all((numbers >= _APART) & (numbers < len(self.lists)))
            and set(marked.tolist()) == set(self.apart)
        ):
            raise ValueError("a row names a list of fields that there isn't")

    def arrays(self) -> dict[str, npt.NDArray[np.int64]]:
        """What ``Stamps`` takes; copies, (rows,) each."""
        parts = (self._list, self._times, self._ties)
        return {name: np.array(part, np.int64) for name, part in zip(ARRAYS, parts, strict=True)}

    def _at(self, row: int) -> int:
        return self._list[row] if 0 <= row < len(self._list) else _NONE

    def __contains__(self, row: int) -> bool:
        return self._at(row) != _NONE

    def __iter__(self) -> Iterator[int]:
        return (row for row, number in enumerate(self._list) if number != _NONE)

    def of(self, row: int) -> dict[str, Stamp]:
        """Names and stamps of a row, empty for an unknown one. A copy."""
        number = self._at(row)
        if number >= 0:
            return dict.fromkeys(self.lists[number], (self._times[row], self._ties[row]))
        return dict(self.apart[row]) if number == _APART else {}

    def get(self, row: int, name: str) -> Stamp | None:
        """When ``name`` was last set."""
        number = self._at(row)
        if number >= 0:
            return (self._times[row], self._ties[row]) if name in self.lists[number] else None
        return self.apart[row].get(name) if number == _APART else None

    def set(self, row: int, names: Iterable[str], stamp: Stamp) -> list[str]:
        """An event at ``stamp`` sets ``names`` of a row: returns, and notes, those that no later one has set."""
        stamps = self.of(row)
        newest = [name for name in names if name not in stamps or stamps[name] <= stamp]
        for name in newest:
            stamps[name] = stamp
        more = row + 1 - len(self._list)
        if more > 0:
            self._list.extend([_NONE] * more)
            self._times.extend([0] * more)
            self._ties.extend([0] * more)
        self.apart.pop(row, None)
        self._list[row] = number = self._number_of(stamps)
        if number == _APART:
            self.apart[row] = stamps
        else:
            self._times[row], self._ties[row] = next(iter(stamps.values()), (0, 0))
        return newest

    def _number_of(self, stamps: dict[str, Stamp]) -> int:
        """The list of the names, made now where it is new; ``_APART`` where their stamps differ, or there are too many
        lists: where fields differ so much, sharing would save nothing."""
        one = next(iter(stamps.values()), (0, 0))
        if any(stamp != one for stamp in stamps.values()):
            return _APART
        names = tuple(stamps)
        number = self._number.get(names)
        if number is None:
            if len(self.lists) >= _LISTS:
                return _APART
            number = self._number[names] = len(self.lists)
            self.lists.append(names)
        return number
