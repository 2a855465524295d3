"""Search for the items whose texts are nearest in meaning: exact, unless a graph is asked for.

Items share text rows: 92,000 products with 21,000 distinct texts need 21,000 vectors and one pass over
these. Unit vectors: the dot product is the cosine. A scan of one-byte codes of a projection first rules out, by a
proven bound, all texts that can't be among the best (``codes``, ``scan``); what is left is computed in float32. Above
some millions of texts, where even that is slow, a graph can name them instead (``graph``).
"""

from __future__ import annotations

import logging
import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.errors import InvalidInput
from palate.retrieve import groups, scan
from palate.retrieve.codes import Coded
from palate.retrieve.graph import Graph, check_installed
from palate.retrieve.lanes import QUERIES
from palate.retrieve.projection import SAMPLE, learn
from palate.types import F32, F64, I32, I64, Bools

Rows = npt.NDArray[np.integer[Any]]

SOUND = 0.99
"""Recall@100 on the catalogue's own vectors below which every search compares all texts instead."""
_FREED = -1
_FEW = 256
"""Up to so many texts all of them are compared."""
_SHARE = 16
"""Where a mask leaves less than one item in so many, these are compared one by one."""
_SETTLED = 65_536
"""Up to so many texts a projection is learnt anew whenever they have doubled, then whenever they are fourfold."""
_NO_TEXTS: I32 = np.zeros(0, np.int32)
_log = logging.getLogger("palate")


class VectorIndex:
    """Text vectors, and which of them each item has. Safe for several threads: one at a time reads or writes.

    dim: components of a vector. Memory: about 5·dim + 40 bytes a text, at most double that after growth, and 12 bytes
    an item. ``set_items`` names the text rows that no item has any more; once freed (``free_texts``), new texts take
    their place, so that memory follows the most texts that items ever had at one time. ``changes`` counts the calls
    that gave an item another text; ``stamps``: (items,) at which of them each item got its text. ``recall``: see
    ``prepare``. ``graph``: see ``use_graph``; None where there is none.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.graph: Graph | None = None
        self._graph_above = 0
        self.changes = 0
        self.recall = 1.0
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._vectors: F32 = np.zeros((0, dim), np.float32)
        self._texts = 0
        self._heads: I32 = np.zeros((0, 2), np.int32)  # see ``groups``; _FREED uses where a row waits for another text
        self._free: list[int] = []
        self._coded: Coded | None = None
        self._learnt = 0
        self._put_meanwhile: list[I32] | None = None
        self._text_of: I32 = np.zeros(0, np.int32)
        self._following: I32 = np.zeros(0, np.int32)
        self._previous: I32 = np.zeros(0, np.int32)
        self._stamps: I64 = np.zeros(0, np.int64)
        self._items = 0
        self._found: I32 = np.zeros((QUERIES, 0), np.int32)
        self._values: F32 = np.zeros((QUERIES, 0), np.float32)
        self._looked: I64 = np.zeros(3, np.int64)

    @property
    def vectors(self) -> F32:
        """(texts, dim) float32, zero where a row was freed; a view: not to be written to, good until the next text."""
        return self._vectors[: self._texts]

    @property
    def text_of(self) -> I32:
        """(items,) int32, the text row of each item row, −1 where it has none; a view: not to be written to."""
        return self._text_of[: self._items]

    @property
    def stamps(self) -> I64:
        """(items,) int64, the ``changes`` at which each item last got a text; a view: not to be written to."""
        return self._stamps[: self._items]

    # ----------------------------------------------------------------------------- texts

    def add_text(self, vector: npt.ArrayLike) -> int:
        """Adds the (dim,) unit vector of a text; returns its text row."""
        return int(self.add_texts(np.asarray(vector, np.float32)[None, :])[0])

    def add_texts(self, vectors: npt.ArrayLike) -> I32:
        """Adds (n, dim) unit vectors; returns their (n,) text rows. Cost: about 2 µs a text.

        Errors: ``InvalidInput`` for another shape or NaN."""
        block = np.asarray(vectors, np.float32)
        if block.ndim != 2 or block.shape[1] != self.dim:
            raise InvalidInput(
                f"Vectors of shape {block.shape} don't fit this index, whose vectors have {self.dim} components."
            )
        if not np.isfinite(block).all():
            raise InvalidInput("A text vector holds NaN or infinity; the encoder must give finite unit rows.")
        with self._lock:
            reused = [self._free.pop() for _ in range(min(len(self._free), len(block)))]
            start, fresh = self._texts, len(block) - len(reused)
            self._room(start + fresh)
            rows = np.concatenate([np.array(reused, np.int32), np.arange(start, start + fresh, dtype=np.int32)])
            self._put(rows, block)
            self._heads[rows] = groups.NONE, 0
            self._texts = start + fresh
            self._put_in_graph(rows)
        return rows

    def _room(self, texts: int) -> None:
        room = len(self._heads)
        if texts > room:
            size = max(texts, 2 * room, 64)
            self._vectors = _longer(self._vectors, size, 0)
            self._heads = _longer(self._heads, size, 0)
            # Written before they are read, and mostly never: memory that is never touched is never taken.
            self._found, self._values = np.empty((QUERIES, size), np.int32), np.empty((QUERIES, size), np.float32)
        if self._coded is not None and self._coded.capacity < len(self._heads):
            self._coded = self._coded.grown(len(self._heads))

    def _put(self, rows: I32, vectors: F32) -> None:
        self._vectors[rows] = vectors
        if self._coded is not None:
            self._coded.put(rows, vectors)
        if self._put_meanwhile is not None:
            self._put_meanwhile.append(rows)

    def free_texts(self, text_rows: Rows) -> None:
        """Forgets the texts of (n,) rows; ``add_texts`` uses the rows again. Errors: ``InvalidInput`` if in use."""
        with self._lock:
            rows = np.unique(text_rows).astype(np.int32)
            if not len(rows):
                return
            if int(rows[0]) < 0 or int(rows[-1]) >= self._texts or self._heads[rows, groups.USES].any():
                raise InvalidInput("A text row to be freed is not in this index, is free already, or has items.")
            self._put(rows, np.zeros((len(rows), self.dim), np.float32))
            self._heads[rows, groups.USES] = _FREED
            self._free.extend(rows.tolist())
            self._put_in_graph(rows)

    def use_graph(self, above: int) -> None:
        """From ``above`` texts on, a graph is searched (approximate, see ``graph``); 0 for never. Starts a thread.

        Errors: ``ConfigError`` where usearch isn't installed.
        """
        if above:
            check_installed()
        with self._lock:
            self._graph_above = above
            self._put_in_graph(np.arange(self._texts, dtype=np.int32))

    def _put_in_graph(self, rows: I32) -> None:
        if not self._graph_above or self._texts < self._graph_above:
            return
        if self.graph is None:
            self.graph = Graph(self.dim, self._read)
            rows = np.arange(self._texts, dtype=np.int32)
        self.graph.put(rows, self._texts)

    def _read(self, rows: I32) -> F32:
        """Of one thread beside others: a row that is being written reads as something, and is put again afterwards."""
        return self._vectors[rows]

    def prepare(self, coming: F32 | None = None, wait: bool = False) -> None:
        """Before (n, dim) vectors are added, or for those that are here: learn the projection anew where so many may
        not fit the one there is. wait: also until another thread has done that, which else is left to it.

        Searches and additions go on meanwhile; the codes are put in place of the former ones at the end. Recall@100 is
        measured on up to 16,384 of the vectors; below .99 all texts are compared from now on, and the log says so.
        Cost: about .3 s, and 2 µs a text that is here; nothing where nothing is due. Call it without other locks.
        """
        if not self._learning.acquire(blocking=wait):
            return
        if coming is None:
            coming = np.zeros((0, self.dim), np.float32)
        try:
            with self._lock:
                vectors, here = self._vectors, self._texts
                total = here + len(coming)
                due = self._learnt * (2 if self._learnt < _SETTLED else 4)
                if total <= _FEW or total < due:
                    return
                self._put_meanwhile = []
            chance = np.random.default_rng(total)
            chosen = np.sort(chance.choice(total, min(SAMPLE, total), replace=False))
            sample = np.concatenate([vectors[chosen[chosen < here]], coming[chosen[chosen >= here] - here]])
            projection = learn(sample)
            recall = scan.recall(projection, sample)
            fresh = Coded.empty(projection, len(vectors))
            fresh.put(np.arange(here, dtype=np.int32), vectors[:here])
            with self._lock:
                if fresh.capacity < len(self._heads):
                    fresh = fresh.grown(len(self._heads))
                for rows in self._put_meanwhile:
                    fresh.put(rows, self._vectors[rows])
                self._coded, self._learnt, self.recall = fresh, total, recall
        finally:
            self._put_meanwhile = None
            self._learning.release()
        if recall < SOUND:
            _log.warning(
                "The fast search for near texts found %.4f of the exact best hundred on this catalogue's vectors, less "
                "than %.2f: every search compares all %d texts instead, which is slower.", recall, SOUND, total
            )  # fmt: skip

    # ----------------------------------------------------------------------------- items

    def set_item(self, item_row: int, text_row: int) -> None:
        """Gives item ``item_row`` the text ``text_row``; −1 takes its text away."""
        self.set_items(np.array([item_row]), np.array([text_row]))

    def set_items(self, item_rows: Rows, text_rows: Rows) -> I32:
        """``set_item`` for many: two (n,) arrays. Returns the text rows that no item has any more, ascending.

        Errors: ``InvalidInput`` for a text row that doesn't exist."""
        if not len(item_rows):
            return np.empty(0, np.int32)
        with self._lock:
            if int(item_rows.min()) < 0 or int(text_rows.min()) < -1 or not self._exist(text_rows):
                raise InvalidInput(
                    f"An item row is negative, or a text row is not among the {self._texts} of this index."
                )
            needed = int(item_rows.max()) + 1
            if needed > len(self._text_of):
                size = max(needed, 2 * len(self._text_of), 64)
                self._text_of = _longer(self._text_of, size, -1)
                self._following = _longer(self._following, size, groups.NONE)
                self._previous = _longer(self._previous, size, groups.NONE)
                self._stamps = _longer(self._stamps, size, 0)
            rows, last = np.unique(item_rows[::-1], return_index=True)  # of an item named twice the last text counts
            rows, texts = rows.astype(np.int32), text_rows[::-1][last].astype(np.int32)
            left = np.unique(self._text_of[rows])
            changed = groups.relink(
                rows, texts, self._text_of, self._heads, self._following, self._previous
            )  # fmt: skip
            self._items = max(self._items, needed)
            self._stamps[rows] = self.changes + 1
            self.changes += bool(changed)
            left = left[left >= 0]
            return left[self._heads[left, groups.USES] == 0]

    def _exist(self, text_rows: Rows) -> bool:
        return int(text_rows.max()) < self._texts and bool(
            (self._heads[text_rows[text_rows >= 0], groups.USES] != _FREED).all()
        )

    # ------------------------------------------------------------------------- searching

    def search(self, queries: npt.ArrayLike, k: int, alive: Bools | None = None) -> list[tuple[I32, F32]]:
        """For each of (q, dim) ``queries``: the ``k`` nearest items' rows and cosines, best first, ties by row.

        Exact; with a graph, all but a hundredth of them on average.

        alive: (items,) the rows allowed, None for all; rows beyond its end are not. One pass over the texts for up to
        four queries. Cost of one to four queries: about .8 ms for 100,000 texts, 4 ms for a million.
        """
        block = self._queries(queries)
        with self._lock:
            if k <= 0 or not self._texts:
                return [(np.empty(0, np.int32), np.empty(0, np.float32)) for _ in block]
            lengths = np.sqrt(np.einsum("qd,qd->q", block, block, dtype=np.float64))
            share = 1.0 if alive is None else np.count_nonzero(alive[: self._items]) / max(1, self._items)
            few = share * _SHARE < 1.0
            fast = self._coded is not None and self.recall >= SOUND and not few
            near: dict[int, I32] = {}
            close = self._by_graph(block, lengths, k, alive, share) if self.graph is not None and not few else {}
            if fast and len(close) < len(block):
                able = np.flatnonzero(lengths > 1e-18)
                if close:
                    able = able[~np.isin(able, list(close))]
                for start in range(0, len(able), QUERIES):
                    some = able[start : start + QUERIES]
                    units = (block[some] / lengths[some, None]).astype(np.float32)
                    near |= zip(some.tolist(), self._near(units, k, alive, share), strict=True)
            every = self._every(alive if few else None) if len(near) + len(close) < len(block) else _NO_TEXTS
            return [
                close[q] if q in close else self._best(query, k, alive, near.get(q, every))
                for q, query in enumerate(block)
            ]

    def _by_graph(
        self, block: F32, lengths: F64, k: int, alive: Bools | None, share: float
    ) -> dict[int, tuple[I32, F32]]:
        """The best of those queries for which the graph names enough items that are allowed."""
        assert self.graph is not None
        able = np.flatnonzero(lengths > 1e-18)
        count = min(self._texts, math.ceil(k / share))
        named = self.graph.near((block[able] / lengths[able, None]).astype(np.float32), count) if len(able) else None
        if named is None:
            return {}
        used = [texts[self._heads[texts, groups.USES] > 0] for texts in named]
        best = {q: self._best(block[q], k, alive, texts) for q, texts in zip(able.tolist(), used, strict=True)}
        return {q: found for q, found in best.items() if len(found[0]) == min(k, self._items)}

    def _near(self, units: F32, k: int, alive: Bools | None, share: float) -> list[I32]:
        """Texts among which are those of the ``k`` best, for each of (q ≤ 4, dim) unit queries."""
        assert self._coded is not None
        self._looked[:] = 0
        counts = scan.coded_nearest(
            self._coded, self._vectors, units, self._heads, self._following, alive, share, min(k, self._items),
            self._found, self._values, self._looked,
        )  # fmt: skip
        return [self._found[q, : counts[q]].copy() for q in range(len(units))]

    def _every(self, alive: Bools | None) -> I32:
        """The texts of all items that are allowed."""
        if alive is None:
            return np.flatnonzero(self._heads[: self._texts, groups.USES] > 0).astype(np.int32)
        texts = np.empty(min(self._texts, len(alive)), np.int32)
        marked = np.zeros(self._texts, np.bool_)
        return texts[: groups.texts_of(alive, self.text_of, marked, texts)]

    def _best(self, query: F32, k: int, alive: Bools | None, texts: I32) -> tuple[I32, F32]:
        """The ``k`` best items of ``texts``."""
        return scan.ranked(
            query, self._vectors, texts, self._heads, self._following, alive is not None,
            scan.NOTHING if alive is None else alive, k,
        )  # fmt: skip

    def score(self, query: npt.ArrayLike, rows: Rows) -> F32:
        """(n,) cosines of the (dim,) ``query`` with the items ``rows``; 0 where an item has no vector or is unknown."""
        return self.scores(np.asarray(query, np.float32)[None, :], rows)[0]

    def scores(self, queries: npt.ArrayLike, rows: Rows) -> F32:
        """``score`` for (q, dim) ``queries`` at once: (q, n)."""
        block = self._queries(queries)
        out = np.zeros((len(block), len(rows)), np.float32)
        with self._lock:
            text_of = self.text_of
            known = (rows >= 0) & (rows < len(text_of))
            texts = np.where(known, text_of[np.where(known, rows, 0)], -1) if len(text_of) else np.full(len(rows), -1)
            have = np.flatnonzero(texts >= 0)
            if len(have):
                distinct, inverse = np.unique(texts[have], return_inverse=True)
                out[:, have] = _dots(block, self.vectors[distinct])[:, inverse]
        return out

    def _queries(self, queries: npt.ArrayLike) -> F32:
        block = np.asarray(queries, np.float32)
        if block.ndim != 2 or block.shape[1] != self.dim:
            raise InvalidInput(
                f"Queries of shape {block.shape} don't fit this index, whose vectors have {self.dim} components."
            )
        if not np.isfinite(block).all():
            raise InvalidInput("A query vector holds NaN or infinity; the encoder must give finite unit rows.")
        return block


def _longer(array: Any, size: int, fill: int) -> Any:
    """``array`` with room for ``size`` rows, new ones ``fill``."""
    longer = (
        np.full((size, *array.shape[1:]), fill, array.dtype)
        if fill
        else np.zeros((size, *array.shape[1:]), array.dtype)
    )
    longer[: len(array)] = array
    return longer


def _dots(queries: F32, vectors: F32) -> F32:
    """(q, n) dot products. Not by BLAS, whose threads spin while they wait for one another on a busy machine."""
    return np.einsum("qd,td->qt", queries, vectors)
