"""``Arena``: rows of int32 keys with parallel value columns, in growing arrays (layout in ``rows``)."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.state.rows import EMPTY, give_block, new_meta
from palate.types import I32, I64

_KEY = "keys"
_ROW = np.dtype([("start", np.int64), ("cap", np.int32), ("size", np.int32)])
_LEAST = 256
"""Rows and slots that there are from the beginning. A view of one entry would count as contiguous, and every kernel
be compiled twice."""
_AT_ONCE = 1 << 17
"""Slots that ``Arena._pack`` moves at a time."""
_HUGE = 4 * 1024 * 1024
"""Bytes from which memory is asked for in large pages: a look-up in gigabytes of small ones waits for their table."""


class _Slots:
    """Zeros that get longer without being copied, where the system can move memory by its page tables (Linux)."""

    def __init__(self, kind: Any, n: int) -> None:
        self._kind = np.dtype(kind)
        self._map = self._new(n)
        self._n = n

    def _new(self, n: int) -> mmap.mmap:
        size = n * self._kind.itemsize
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_ANONYMOUS") else {}
        return _in_large_pages(mmap.mmap(-1, size, **private))

    def array(self) -> npt.NDArray[Any]:
        """All of it. Let go of it before ``lengthen``, or else that copies."""
        return np.frombuffer(self._map, self._kind, self._n)

    def lengthen(self, n: int) -> None:
        """Make it ``n`` long."""
        try:
            self._map.resize(n * self._kind.itemsize)
            _in_large_pages(self._map)  # what was too small at first may have grown into it
        except (BufferError, SystemError, OSError, ValueError):  # somebody reads it still, or the system can't
            old, self._map = self.array(), self._new(n)
            np.frombuffer(self._map, self._kind, len(old))[:] = old
        self._n = n


def _in_large_pages(memory: mmap.mmap) -> mmap.mmap:
    """The same memory, asked for in large pages where that pays."""
    if len(memory) >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class Arena:
    """Rows in shared arrays. ``keys[start[r] : start[r] + cap[r]]`` is row r's block, ``size[r]`` its entries.

    hashed: rows are hash rows. What belongs together is then side by side in memory (the columns are views with a
    stride), since a look-up jumps to a slot and reads all of it; list rows are read along one column.
    """

    def __init__(self, columns: dict[str, Any], hashed: bool = False) -> None:
        self.meta: I64 = new_meta()
        self._names = tuple(columns)
        kinds = (
            [np.dtype([(_KEY, np.int32), *columns.items()], align=True)] if hashed else [np.int32, *columns.values()]
        )
        self._slots = [_Slots(kind, _LEAST) for kind in kinds]
        self._view()
        self._table(_LEAST)

    def _view(self) -> None:
        """The columns anew, after their memory has moved."""
        if len(self._slots) == 1:
            slots = self._slots[0].array()
            self.keys: I32 = slots[_KEY]
            self.columns: dict[str, npt.NDArray[Any]] = {name: slots[name] for name in self._names}
        else:
            self.keys = self._slots[0].array()
            self.columns = {name: slots.array() for name, slots in zip(self._names, self._slots[1:], strict=True)}

    def _table(self, n: int) -> None:
        """A new table of ``n`` empty rows."""
        table: npt.NDArray[Any] = np.zeros(n, _ROW)
        self.start: I64 = table["start"]
        self.cap: I32 = table["cap"]
        self.size: I32 = table["size"]

    def rows(self, n: int) -> None:
        """Make sure of at least ``n`` rows."""
        if len(self.start) >= n:
            return
        old = self.start, self.cap, self.size
        self._table(max(n, 2 * len(self.start)))
        for fresh, values in zip((self.start, self.cap, self.size), old, strict=True):
            fresh[: len(values)] = values

    def room(self, slots: int, pack: bool = False) -> None:
        """Make sure of ``slots`` free slots above the top; grows by half.

        pack: where more than a quarter of what lies below the top is free blocks, rows are first moved together.
        """
        top = int(self.meta[0])
        if top + slots <= len(self.keys):
            return
        if pack and 4 * int(self.cap.sum(dtype=np.int64)) < 3 * top:
            self._pack()
            top = int(self.meta[0])
            if top + slots <= len(self.keys):
                return
        self._lengthen(max(top + slots, len(self.keys) + len(self.keys) // 2))

    def _pack(self) -> None:
        """Move all rows down, in the order in which they lie, so that no block below the top is free.

        Rows that grow in step leave blocks that nobody can use again. Cost: some 10 ns a slot, a few MB on the way.
        """
        rows = np.flatnonzero(self.cap)
        rows = rows[np.argsort(self.start[rows])]
        caps = self.cap[rows].astype(np.int64)
        ends = np.cumsum(caps)
        done = 0
        while done < len(rows):
            low = int(ends[done] - caps[done])
            until = max(done + 1, int(np.searchsorted(ends, low + _AT_ONCE, side="right")))
            part = slice(done, until)
            high = int(ends[until - 1])
            offset = self.start[rows[part]] - (ends[part] - caps[part])
            at = np.arange(low, high) + np.repeat(offset, caps[part])
            for column in (self.keys, *self.columns.values()):  # nothing is written over that is still to be moved
                column[low:high] = column[at]
            self.start[rows[part]] -= offset
            done = until
        self.meta[:] = new_meta()
        self.meta[0] = ends[-1] if len(ends) else 0

    def _lengthen(self, n: int) -> None:
        del self.keys, self.columns
        try:
            for slots in self._slots:
                slots.lengthen(n)
        finally:
            self._view()

    def span(self, r: int) -> tuple[int, int]:
        """First and one past the last position of list row ``r``; (0, 0) for a row not there yet."""
        if not 0 <= r < len(self.start):
            return 0, 0
        start = int(self.start[r])
        return start, start + int(self.size[r])

    def entries_of(self, r: int) -> tuple[I32, dict[str, npt.NDArray[Any]]]:
        """Keys and columns of the entries of hash row ``r``, in slot order (copies)."""
        if not 0 <= r < len(self.start):
            return np.zeros(0, np.int32), {n: np.zeros(0, c.dtype) for n, c in self.columns.items()}
        block = slice(int(self.start[r]), int(self.start[r]) + int(self.cap[r]))
        live = self.keys[block] != EMPTY
        return self.keys[block][live], {n: c[block][live] for n, c in self.columns.items()}

    def clear(self, r: int) -> None:
        """Empty row ``r`` and give its block back."""
        if self.cap[r]:
            start, cap = int(self.start[r]), int(self.cap[r])
            self.keys[start : start + cap] = EMPTY
            give_block(self.meta, self.keys, start, cap)
            self.start[r] = self.cap[r] = self.size[r] = 0

    def flat(self, n: int, hashed: bool) -> tuple[I64, I64]:
        """Row and arena position of every entry of the first ``n`` rows; hash rows sorted by key within a row."""
        self.rows(n)
        lengths = (self.cap if hashed else self.size)[:n].astype(np.int64)
        row = np.repeat(np.arange(n, dtype=np.int64), lengths)
        offset = np.arange(len(row), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = self.start[:n][row] + offset
        if hashed:
            live = self.keys[at] != EMPTY
            row, at = row[live], at[live]
            order = np.lexsort((self.keys[at], row))
            row, at = row[order], at[order]
        return row, at

    def arrays(self, prefix: str, n: int) -> dict[str, npt.NDArray[Any]]:
        """Everything needed to restore the arena with its first ``n`` rows, blocks as they are."""
        self.rows(n)
        top = int(self.meta[0])
        out: dict[str, npt.NDArray[Any]] = {
            f"{prefix}.meta": self.meta,
            f"{prefix}.keys": self.keys[:top],
            f"{prefix}.start": self.start[:n],
            f"{prefix}.cap": self.cap[:n],
            f"{prefix}.size": self.size[:n],
        }
        return out | {f"{prefix}.{name}": column[:top] for name, column in self.columns.items()}

    def restore(self, prefix: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """The inverse of ``arrays``."""
        self.meta = arrays[f"{prefix}.meta"].copy()
        top, n = len(arrays[f"{prefix}.keys"]), len(arrays[f"{prefix}.start"])
        self._lengthen(max(top, len(self.keys)))
        self._table(max(n, _LEAST))
        self.keys[:top] = arrays[f"{prefix}.keys"]
        for name, column in self.columns.items():
            column[:top] = arrays[f"{prefix}.{name}"]
        for name, column in (("start", self.start), ("cap", self.cap), ("size", self.size)):
            column[:n] = arrays[f"{prefix}.{name}"]


def grow(columns: dict[str, npt.NDArray[Any]], n: int) -> None:
    """Make every column at least ``n`` long, by doubling, new rows zero."""
    for name, column in columns.items():
        if len(column) < n:
            size = max(n, 2 * len(column), 256)
            fresh = np.zeros((size, *column.shape[1:]), column.dtype)
            fresh[: len(column)] = column
            columns[name] = fresh
