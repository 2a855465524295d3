"""Ids and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np

from palate.types import I64


class Names:
    """Two-way table of ids and rows; rows are dense and given in order of first mention."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self.ids: list[str] = list(ids)
        self.rows: dict[str, int] = {name: row for row, name in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, name: str) -> int:
        """The row of ``name``, given now if it is new."""
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = len(self.ids)
            self.ids.append(name)
        return row

    def get(self, name: str) -> int:
        """The row of ``name``, or −1."""
        return self.rows.get(name, -1)

    def find(self, names: Iterable[str]) -> list[int | None]:
        """The row of each of ``names``, None where there is none."""
        return list(map(self.rows.get, names))

    def array_of(self, names: Sequence[str]) -> I64:
        """(n,) the row of each of ``names``, given now to new ones in their order."""
        rows = self.find(names)
        try:
            return np.array(cast("list[int]", rows), np.int64)
        except TypeError:  # one of them is new
            return np.array([self.row(name) for name in names], np.int64)
