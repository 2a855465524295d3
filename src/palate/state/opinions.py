"""What texts said: of items, and by people. Sums and counts, so that the order of events doesn't matter.

Only rows of which, or by whom, something was said take room: 300 bytes each. Sentiments are summed in thousandths, as
whole numbers; recent ones decay in live time like the counts of ``fold``, to 1e-6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from palate.feedback.opinion import NEUTRAL, Opinion, understand
from palate.feedback.words import aspects
from palate.types import F64, I32, I64

DAY_MS = 86_400_000.0
UNIT = 1000


class Said(NamedTuple):
    """texts: how many said something; mean sentiment in [−1, 1]; good, bad: (aspects,) mentions of each."""

    texts: int
    mean: float
    good: I32
    bad: I32


class Opinions:
    """Opinions by row. half_life: days, of the recent ones."""

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life
        self.at: I32 = np.zeros(0, np.int32)
        """(rows,) place + 1 of each row, 0 for none; may be shorter than there are rows."""
        n = len(aspects().names)
        self.columns: dict[str, npt.NDArray[Any]] = {
            "row": np.zeros(0, np.int32),
            "texts": np.zeros(0, np.int64),
            "sum": np.zeros(0, np.int64),
            "last": np.zeros(0, np.int64),
            "decayed": np.zeros((0, 2), np.float64),  # texts, sentiments
            "decayed_ts": np.zeros(0, np.int64),
            "good": np.zeros((0, n), np.int32),
            "bad": np.zeros((0, n), np.int32),
        }
        self.used = self.texts = self.total = 0  # total: of the sums

    def __len__(self) -> int:
        return self.used

    def add(self, row: int, ts: int, lived: int, opinion: Opinion) -> None:
        """A text about, or by, ``row`` at ``ts`` (ms; ``lived`` in live time)."""
        place, c = self._place(row), self.columns
        c["texts"][place] += 1
        c["sum"][place] += round(UNIT * opinion.sentiment)
        self.texts += 1
        self.total += round(UNIT * opinion.sentiment)
        c["last"][place] = max(c["last"][place], ts)
        days = (lived - int(c["decayed_ts"][place])) / DAY_MS
        new = np.array([1.0, opinion.sentiment])
        if days >= 0:
            c["decayed"][place] = c["decayed"][place] * 2.0 ** (-days / self.half_life) + new
        else:
            c["decayed"][place] += new * 2.0 ** (days / self.half_life)
        c["decayed_ts"][place] = max(int(c["decayed_ts"][place]), lived)
        for view in opinion.views:
            if abs(view.sentiment) >= NEUTRAL:
                c["good" if view.sentiment > 0 else "bad"][place, view.aspect] += 1

    def of(self, row: int) -> Said | None:
        """What was said of, or by, ``row``; None for nothing."""
        place = int(self.at[row]) - 1 if 0 <= row < len(self.at) else -1
        if place < 0 or not self.columns["texts"][place]:
            return None
        c = self.columns
        texts = int(c["texts"][place])
        return Said(texts, float(c["sum"][place]) / UNIT / texts, c["good"][place], c["bad"][place])

    def places(self, rows: I32) -> I64:
        """(m,) places in the columns of ``rows`` (m,), −1 for those of which nothing was said."""
        known = rows < len(self.at)
        return np.where(known, self.at[np.where(known, rows, 0)], 0).astype(np.int64) - 1

    def clear(self, row: int) -> None:
        """Forget what was said by ``row``; its place stays."""
        if 0 <= row < len(self.at) and self.at[row]:
            place = int(self.at[row]) - 1
            self.texts -= int(self.columns["texts"][place])
            self.total -= int(self.columns["sum"][place])
            for name, column in self.columns.items():
                if name != "row":
                    column[place] = 0

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Its arrays, trimmed, for a snapshot."""
        return {f"{prefix}.{name}": column[: self.used] for name, column in self.columns.items()}

    def restore(self, prefix: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """What ``arrays`` gave. Errors: ``KeyError``, ``ValueError`` for arrays of other aspects."""
        for name, column in self.columns.items():
            found = arrays[f"{prefix}.{name}"]
            if found.shape[1:] != column.shape[1:]:
                raise ValueError(f"{prefix}.{name} has rows of {found.shape[1:]}, not of {column.shape[1:]}")
            self.columns[name] = found.copy()
        self.used = len(self.columns["row"])
        self.texts, self.total = int(self.columns["texts"].sum()), int(self.columns["sum"].sum())
        rows = self.columns["row"]
        self.at = np.zeros(int(rows.max()) + 1 if self.used else 0, np.int32)
        self.at[rows] = np.arange(1, self.used + 1, dtype=np.int32)

    def _place(self, row: int) -> int:
        if row >= len(self.at):
            grown = np.zeros(max(row + 1, 2 * len(self.at), 256), np.int32)
            grown[: len(self.at)] = self.at
            self.at = grown
        if self.at[row]:
            return int(self.at[row]) - 1
        if self.used == len(self.columns["row"]):
            for name, column in self.columns.items():
                more = np.zeros((max(64, 2 * self.used), *column.shape[1:]), column.dtype)
                more[: self.used] = column
                self.columns[name] = more
        self.columns["row"][self.used] = row
        self.used += 1
        self.at[row] = self.used
        return self.used - 1


def recent(columns: dict[str, npt.NDArray[Any]], places: I64, live: int, half_life: float) -> F64:
    """(m, 2) decayed texts and sentiments at ``places`` (m,), all known, at ``live`` (ms of live time)."""
    days = np.maximum(0, live - columns["decayed_ts"][places]) / DAY_MS
    found: F64 = columns["decayed"][places] * np.exp2(-days / half_life)[:, None]
    return found


def tell(of: Opinions, by: Opinions, texts: list[str | None], batch: I64) -> None:
    """What ``texts`` (n,), None for none, say of items and by people. batch: (6, n) users, items, times, live times."""
    for text, user, item, ts, lived in zip(texts, *batch[:4].tolist(), strict=True):
        if text is not None and (opinion := understand(text)).words:
            of.add(item, ts, lived, opinion)
            by.add(user, ts, lived, opinion)
