"""Popularity in a segment: how much more often people of a country, a gender, an age group choose an item.

A segment is a value of a user field, or a range of one of numbers. Fields are chosen, and lifts fitted, in training
(``train.segments``); how popular an item is for everybody goes on being learnt from every event, and a lift is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from palate.types import F32, I32, FieldValue


@dataclass(slots=True, frozen=True)
class SegmentField:
    """A user field: of texts the segment of each, as places among all; of numbers upper edges of ranges, ascending.

    first: place of its first segment. The last range of numbers has no upper edge.
    """

    name: str
    first: int
    texts: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def place(self, value: FieldValue | None) -> int:
        """The segment of a value among all, −1 where it is of none."""
        if isinstance(value, str):
            return self.first + self.texts.index(value) if value in self.texts else -1
        if isinstance(value, bool):
            return self.place(str(value))
        if isinstance(value, int | float) and value == value:
            return self.first + int(np.searchsorted(self.edges, value)) if self.edges else self.place(f"{value:g}")
        return -1


@dataclass(slots=True, frozen=True)
class SegmentLifts:
    """lifts: (s, c) log lift of each item that has one in each segment; popular: (c,) log share of everybody's;
    items: (c,) catalogue rows; column_of: (n,) place of each row's item among these, −1 for none.
    """

    fields: tuple[SegmentField, ...]
    lifts: F32
    popular: F32
    items: I32
    column_of: I32

    def of(self, fields: Mapping[str, FieldValue] | None) -> list[int]:
        """The segments of a person with these fields."""
        if not fields or not self.fields:
            return []
        places = [field.place(fields.get(field.name)) for field in self.fields]
        return [place for place in places if place >= 0]

    def lift(self, places: list[int], rows: I32) -> F32 | None:
        """(m,) the sum of the lifts in these segments, 0 for an item that has none; None without segments. O(m)."""
        if not places:
            return None
        known = rows < len(self.column_of)
        at = self.column_of[np.where(known, rows, 0)] if len(self.column_of) else np.full(len(rows), -1, np.int32)
        found: F32 = np.where(known & (at >= 0), self.lifts[places].sum(axis=0)[at], np.float32(0.0))
        return found

    def best(self, places: list[int]) -> tuple[I32, F32]:
        """Catalogue rows that people of these segments chose at training, and how popular each is there."""
        if not places:
            return self.items[:0], self.popular[:0]
        return self.items, self.popular + self.lifts[places].sum(axis=0)


NO_LIFTS = SegmentLifts(
    (), np.zeros((0, 0), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32)
)
