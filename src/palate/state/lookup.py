"""Ids to rows, a list at a time: a hash table in two flat arrays, read by a kernel.

A dict of a hundred thousand ids costs three cache misses an id, one after another; here it is one, and a
hundred of them are under way at once. The table holds Python's own 64-bit hash of each id (SipHash with a key of the
process) and the row, not the id. Ids of the table that share a hash go the way of the dict. That an unknown id has
the hash of a known one happens once in 2**64 / n lookups (2·10**13 of a million items).
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.state.state import Names
from palate.types import I32, I64

_FREE = -1
_SHARED = -2


@kernel
def _insert(hashes: I64, first: int, table: I64, rows: I32) -> None:
    """Puts ``hashes`` in as rows ``first``, ``first`` + 1, …; a hash that is there already becomes ``_SHARED``."""
    mask = len(table) - 1
    for place in range(len(hashes)):
        wanted = hashes[place]
        slot = wanted & mask
        while rows[slot] != _FREE and table[slot] != wanted:
            slot = (slot + 1) & mask
        rows[slot] = first + place if rows[slot] == _FREE else _SHARED
        table[slot] = wanted


@kernel
def _find(hashes: I64, table: I64, rows: I32, out: I32) -> bool:
    """out[n] = the row of hashes[n], −1 where there is none. Returns whether every answer is sure."""
    mask = len(table) - 1
    sure = True
    for place in range(len(hashes)):
        wanted = hashes[place]
        slot = wanted & mask
        while rows[slot] != _FREE and table[slot] != wanted:
            slot = (slot + 1) & mask
        out[place] = rows[slot]
        sure &= rows[slot] != _SHARED
    return sure


class Lookup:
    """Rows of ids, kept up with a growing ``Names``. Not thread-safe. Memory: 24 to 48 bytes an id."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known = 0
        self._table: I64 = np.zeros(64, np.int64)
        self._rows: I32 = np.full(64, _FREE, np.int32)

    def rows(self, ids: list[str]) -> I32:
        """(n,) the row of each id, −1 where it is unknown. Cost: about 10 µs for 100 ids of any number."""
        names = self._names
        if self._known < len(names):
            self._catch_up(names.ids)
        out = np.empty(len(ids), np.int32)
        if not _find(_hashes(ids), self._table, self._rows, out):
            return np.array([names.get(one) for one in ids], np.int32)
        return out

    def _catch_up(self, ids: list[str]) -> None:
        if 2 * len(ids) > len(self._table):
            size = 1 << (4 * len(ids) - 1).bit_length()
            self._table = np.zeros(size, np.int64)
            self._rows = np.full(size, _FREE, np.int32)
            self._known = 0
        _insert(_hashes(ids[self._known :]), self._known, self._table, self._rows)
        self._known = len(ids)


def _hashes(ids: list[str]) -> I64:
    return np.fromiter(map(hash, ids), np.int64, len(ids))
