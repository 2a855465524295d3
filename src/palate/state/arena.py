"""``Arena``: rows of int32 keys with parallel value columns, in flat growing arrays (layout in ``rows``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from palate.state.rows import EMPTY, give_block, new_meta
from palate.types import I32, I64


class Arena:
    """Rows in shared flat arrays. ``keys[start[r] : start[r] + cap[r]]`` is row r's block, ``size[r]`` its entries."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.meta: I64 = new_meta()
        self.keys: I32 = np.full(1024, EMPTY, np.int32)
        self.columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(1024, dtype) for name, dtype in columns.items()}
        self.start: I64 = np.zeros(0, np.int64)
        self.cap: I32 = np.zeros(0, np.int32)
        self.size: I32 = np.zeros(0, np.int32)

    def rows(self, n: int) -> None:
        """Make sure of at least ``n`` rows."""
        if len(self.start) >= n:
            return
        more = max(n, 2 * len(self.start), 256) - len(self.start)
        self.start = np.concatenate([self.start, np.zeros(more, np.int64)])
        self.cap = np.concatenate([self.cap, np.zeros(more, np.int32)])
        self.size = np.concatenate([self.size, np.zeros(more, np.int32)])

    def room(self, slots: int) -> None:
        """Make sure of ``slots`` free slots above the top; grows by half."""
        need = int(self.meta[0]) + slots
        if need <= len(self.keys):
            return
        size = max(need, len(self.keys) + len(self.keys) // 2)
        keys = np.full(size, EMPTY, np.int32)
        keys[: len(self.keys)] = self.keys
        self.keys = keys
        for name, column in self.columns.items():
            fresh = np.zeros(size, column.dtype)
            fresh[: len(column)] = column
            self.columns[name] = fresh

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
        self.keys = arrays[f"{prefix}.keys"].copy()
        self.start = arrays[f"{prefix}.start"].copy()
        self.cap = arrays[f"{prefix}.cap"].copy()
        self.size = arrays[f"{prefix}.size"].copy()
        for name in self.columns:
            self.columns[name] = arrays[f"{prefix}.{name}"].copy()
