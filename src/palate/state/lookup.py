"""Ids and texts to rows, a list at a time: a hash table in two flat arrays, read by a kernel.

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


class Texts:
    """Rows of texts, by their hash: the texts themselves aren't kept. Not thread-safe.

    That two texts share a hash, and so a row, happens once in 2**64 / n texts. Memory: 32 to 81 bytes a text.
    """

    def __init__(self) -> None:
        self._hash_of: I64 = np.zeros(0, np.int64)  # by row, 0 where there is none
        self._table: I64 = np.zeros(64, np.int64)
        self._rows: I32 = np.full(64, _FREE, np.int32)
        self._used = 0  # slots of the table, those of texts that were dropped included

    def __len__(self) -> int:
        return int(np.count_nonzero(self._hash_of))

    def rows(self, texts: list[str]) -> I32:
        """(n,) the row of each text, −1 where it is unknown; '' never has one."""
        wanted = _hashes(texts)
        out = np.empty(len(texts), np.int32)
        _find(wanted, self._table, self._rows, out)
        known = out >= 0
        known[known] = self._hash_of[out[known]] == wanted[known]
        return np.where(known & (wanted != 0), out, -1).astype(np.int32)

    def put(self, texts: list[str], rows: I32) -> None:
        """Each text gets its row (n,). Texts are new and distinct, none is ''; nothing else has their rows."""
        hashes = _hashes(texts)
        if len(rows):
            more = int(rows.max()) + 1 - len(self._hash_of)
            if more > 0:
                room = max(more, len(self._hash_of) // 8)
                self._hash_of = np.concatenate([self._hash_of, np.zeros(room, np.int64)])
        self._hash_of[rows] = hashes
        if 2 * (self._used + len(hashes)) > len(self._table):
            rows = np.flatnonzero(self._hash_of).astype(np.int32)
            hashes = self._hash_of[rows]
            size = 1 << max(6, (3 * len(hashes) - 1).bit_length())
            self._table, self._rows = np.zeros(size, np.int64), np.full(size, _FREE, np.int32)
            self._used = 0
        self._used += _put(hashes, rows, self._table, self._rows)

    def drop(self, rows: I32) -> None:
        """The texts of ``rows`` are forgotten."""
        self._hash_of[rows] = 0


@kernel
def _put(hashes: I64, given: I32, table: I64, rows: I32) -> int:
    """Puts ``hashes`` in with the rows ``given``, in place of a former one. How many slots were free before."""
    mask = len(table) - 1
    fresh = 0
    for place in range(len(hashes)):
        wanted = hashes[place]
        slot = wanted & mask
        while rows[slot] != _FREE and table[slot] != wanted:
            slot = (slot + 1) & mask
        fresh += rows[slot] == _FREE
        rows[slot], table[slot] = given[place], wanted
    return fresh


def _hashes(ids: list[str]) -> I64:
    return np.fromiter(map(hash, ids), np.int64, len(ids))
