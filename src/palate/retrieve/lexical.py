"""BM25 over the words of items (Robertson et al. 1994), kept up to date item by item.

``score(d, q) = Σ_t qtf · idf(t) · tf · (k1 + 1) / (tf + k1 · (1 − b + b · |d| / avg|d|))``, with
``idf(t) = ln(1 + (N − n_t + ½) / (n_t + ½))``, which is never negative.

Each text that was set is a *slot*; postings name slots, so that changing an item only retires its old slot. Retired
slots are swept out once they outnumber the living ones.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.retrieve.topk import top_k
from palate.types import F32, F64, I32, I64, Bools

K1 = 1.2
B = 0.75
MAX_TERMS = 64
"""Distinct words of a query that count: those known to the index that come first."""

_SWEEP_AT_LEAST = 1024
_TF_BITS = 8
_TF_MASK = (1 << _TF_BITS) - 1


class LexicalIndex:
    """Postings in arrays of 8 bytes each; 92,000 items of 12 words take about 15 MB. Safe for several threads.

    Rows are the catalogue's; an item without words is not in the index.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._postings: dict[str, array[int]] = {}
        self._slot_of: dict[int, int] = {}
        self._row_of_slot = array("i")
        self._length_of_slot = array("i")
        self._length = 0

    def __len__(self) -> int:
        """Items with words."""
        return len(self._slot_of)

    def set(self, row: int, tokens: Sequence[str]) -> None:
        """Makes ``tokens`` the words of item ``row``, in place of any it had. Cost: about 0.3 µs a word."""
        tf: dict[str, int] = {}
        for token in tokens:
            tf[token] = tf.get(token, 0) + 1
        with self._lock:
            self._retire(row)
            if not tf:
                return
            slot = len(self._row_of_slot)
            self._row_of_slot.append(row)
            self._length_of_slot.append(len(tokens))
            self._slot_of[row] = slot
            self._length += len(tokens)
            base = slot << _TF_BITS
            postings = self._postings
            for token, count in tf.items():
                posting = base | (count if count < _TF_MASK else _TF_MASK)
                found = postings.get(token)
                if found is None:
                    postings[token] = array("q", (posting,))
                else:
                    found.append(posting)

    def remove(self, row: int) -> None:
        """Forgets item ``row``; no error when it is not there."""
        with self._lock:
            self._retire(row)

    def search(self, tokens: Sequence[str], k: int, alive: Bools | None = None) -> tuple[I32, F32]:
        """The ``k`` best items that share a word with ``tokens``: rows and BM25 scores, best first, ties by row.

        alive: (items,) the rows allowed, None for all. Cost: about 15 ns a posting of the query's words.
        """
        with self._lock:
            total, rows = self._accumulate(tokens)
        hit = np.flatnonzero(total)
        found, scores = rows[hit], total[hit].astype(np.float32)
        if alive is not None:
            within = found < len(alive)
            allowed = within & alive[np.where(within, found, 0)] if len(alive) else within
            found, scores = found[allowed], scores[allowed]
        return top_k(found, scores, k)

    def score(self, tokens: Sequence[str], rows: npt.NDArray[np.integer[Any]]) -> F32:
        """(n,) BM25 scores of given ``rows``, as ``search`` gives them; 0 where no word matches."""
        with self._lock:
            total, _ = self._accumulate(tokens)
            get = self._slot_of.get
            slots = np.fromiter((get(row, -1) for row in rows.tolist()), np.int64, len(rows))
        if not len(total):
            return np.zeros(len(rows), np.float32)
        return np.where(slots >= 0, total[slots], 0.0).astype(np.float32)

    def rarity(self, tokens: Sequence[str]) -> tuple[F64, float]:
        """(n,) idf of ``tokens`` among the items, largest for a word that none has; and the mean words of an item."""
        with self._lock:
            count = len(self._slot_of)
            held = [min(len(self._postings.get(token, ())), count) for token in tokens]  # retired slots may be more
            usual = self._length / count if count else 0.0
        n = np.array(held, np.float64)
        return np.log1p((count - n + 0.5) / (n + 0.5)), usual

    def _accumulate(self, tokens: Iterable[str]) -> tuple[F64, I32]:
        """Scores by slot, and the row of each slot. Retired slots score 0."""
        rows = np.array(self._row_of_slot, np.int32)
        total = np.zeros(len(rows))
        wanted: dict[str, int] = {}
        for token in tokens:
            if token in wanted or (len(wanted) < MAX_TERMS and token in self._postings):
                wanted[token] = wanted.get(token, 0) + 1
        if not wanted or not self._slot_of:
            return total, rows
        count = len(self._slot_of)
        length = np.frombuffer(self._length_of_slot, np.int32)
        per_length = K1 * B * count / self._length
        for token, times in wanted.items():
            postings: I64 = np.frombuffer(self._postings[token], np.int64)
            slots = postings >> _TF_BITS
            living = rows[slots] >= 0
            if not living.all():
                postings, slots = postings[living], slots[living]
            n = len(slots)
            idf = np.log1p((count - n + 0.5) / (n + 0.5))
            tf = (postings & _TF_MASK).astype(np.float64)
            total[slots] += times * idf * (K1 + 1.0) * tf / (tf + (K1 * (1.0 - B) + per_length * length[slots]))
        return total, rows

    def _retire(self, row: int) -> None:
        slot = self._slot_of.pop(row, None)
        if slot is None:
            return
        self._row_of_slot[slot] = -1
        self._length -= self._length_of_slot[slot]
        if len(self._row_of_slot) - len(self._slot_of) > max(_SWEEP_AT_LEAST, len(self._slot_of)):
            self._sweep()

    def _sweep(self) -> None:
        """Drops retired slots from every list and renumbers the rest, keeping their order."""
        rows = np.array(self._row_of_slot, np.int32)
        living = rows >= 0
        renumbered = np.cumsum(living) - 1
        kept: dict[str, array[int]] = {}
        for token, found in self._postings.items():
            postings: I64 = np.frombuffer(found, np.int64)
            slots = postings >> _TF_BITS
            postings = (renumbered[slots] << _TF_BITS | postings & _TF_MASK)[living[slots]]
            if len(postings):
                kept[token] = array("q", postings.tobytes())
        self._postings = kept
        self._length_of_slot = array("i", np.frombuffer(self._length_of_slot, np.int32)[living].tobytes())
        self._row_of_slot = array("i", rows[living].tobytes())
        self._slot_of = {row: slot for slot, row in enumerate(self._row_of_slot)}
