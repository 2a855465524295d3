"""The catalogue's content side, derived from item fields: tags, texts, words and vectors.

Nothing here is stored but vectors (cached by content hash); all of it follows from the state and can be made anew.
Encoding never happens in a request: ``pending`` items wait for ``encode``, which the engine's own thread calls.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

import numpy as np

from palate.config import LanguageSettings
from palate.content import text as content
from palate.content.codes import words_of
from palate.features import ItemSide
from palate.features.wording import Wording
from palate.filters import available
from palate.language.cache import VectorCache
from palate.language.offline import key_of, sentences
from palate.language.silent import SILENT
from palate.retrieve.lexical import LexicalIndex
from palate.retrieve.vector import VectorIndex
from palate.state import State
from palate.state.lookup import Texts
from palate.state.state import Names
from palate.types import F32, I32, I64, Bools

TAGS = 8
_NO_TAGS = [-1] * TAGS
_log = logging.getLogger("palate")
_TITLES = 100_000
_CHECKED = 1000
"""Batches up to this size come from the background; larger ones are taken and placed under one lock."""


class Catalogue:
    """Tags, words and vectors of the items of one state. ``update`` and readers run under the engine's lock."""

    def __init__(self, state: State, cache: VectorCache, settings: LanguageSettings) -> None:
        self.state = state
        self.cache = cache
        self.settings = settings
        self.lexical = LexicalIndex()
        self.vectors = VectorIndex(cache.encoder.dim)
        self.wording = Wording()
        self.tags = Names()
        self.version = 0
        self._sentences = sentences(settings.summaries)
        self._tags: I32 = np.full((0, TAGS), -1, np.int32)
        self._available: Bools = np.zeros(0, np.bool_)
        self._present: Bools = np.zeros(0, np.bool_)
        self._shown: Bools = np.zeros(0, np.bool_)
        self._n_present = self._n_shown = 0
        self._titles: dict[int, str] = {}
        self._text_rows = Texts()
        self._unread: set[int] = set()
        self._pending: dict[int, None] = {}
        self._taken = 0
        self._lock = threading.Lock()
        self.shadow: Catalogue | None = None
        """One of the same state for another encoder, that takes part in every update (``palate.reencoding``)."""

    @property
    def pending(self) -> int:
        """How many items wait for the vector of their text, those being encoded now included."""
        return len(self._pending) + self._taken

    def title(self, row: int) -> str:
        """The item's title, or its id."""
        found = self._titles.get(row)
        if found is None:
            found = content.title(self.state.item_fields.get(row, {})) or self.state.items.ids[row]
            if len(self._titles) >= _TITLES:
                self._titles.clear()
            self._titles[row] = found
        return found

    def text(self, row: int) -> str:
        """The text that stands for the item, '' when it has none; behind a sentence of ``language.summaries`` on it."""
        fields = self.state.item_fields.get(row)
        if not fields:
            return ""
        text = content.item_text(fields, self.settings.text_fields, self.settings.max_chars)
        more = self._sentences.get(key_of(text)) if self._sentences else None
        return text if more is None else f"{more} {text}"[: self.settings.max_chars]

    def _spoken(self, row: int) -> str:
        """The text whose vector the item has, '' for none."""
        return "" if self.cache.encoder.name == SILENT else self.text(row)

    def side(self) -> ItemSide:
        """Arrays for the features, over all rows of the state."""
        n = self.state.n_items
        self._room(n)
        if len(self.vectors.text_of) < n:
            self.vectors.set_items(np.array([n - 1]), np.array([-1]))
        vectors = self.vectors
        return ItemSide(
            vectors.vectors, vectors.text_of, self._tags[:n], len(self.tags), self.version, vectors.changes,
            self.wording,
        )  # fmt: skip

    def tags_of(self, row: int) -> list[str]:
        """The item's tags (``genre:Drama``)."""
        return [self.tags.ids[code] for code in self._tags[row].tolist() if code >= 0] if row < len(self._tags) else []

    def shown(self) -> tuple[Bools, int, int]:
        """(n_items,) True where the item is neither deleted nor marked unavailable; how many aren't deleted, how many
        are True.

        Not a copy, so that a request costs nothing an item: who sets rows False sets them back before the lock goes.
        """
        self._room(self.state.n_items)
        return self._shown[: self.state.n_items], self._n_present, self._n_shown

    def presence(self) -> tuple[Bools, Bools]:
        """For kernels, over all rows and possibly more: not deleted, not marked unavailable. Not copies."""
        self._room(self.state.n_items)
        return self.state.item_columns["alive"], self._available

    def update(self, rows: Iterable[int]) -> bool:
        """Items changed: new tags at once; words when next asked for; vectors when next encoded.

        Returns whether an item changed its tags: whoever had it has another profile then.
        """
        self._room(self.state.n_items)
        rows = list(dict.fromkeys(rows))
        if self.shadow is not None:
            self.shadow.update(rows)
        told: list[int] = []
        available_now: list[bool] = []
        tags: list[list[int]] = []
        fields_of, code = self.state.item_fields, self.tags.row
        for row in rows:
            self._titles.pop(row, None)
            fields = fields_of.get(row)
            if not fields:
                continue
            codes: list[int] = []
            shown = bool(self._available[row])
            try:
                shown = available(fields)
                codes = [code(tag) for tag in content.item_tags(fields, self.settings.tag_fields)[:TAGS]]
            except Exception:  # a fault in reading one item's fields must cost neither others theirs nor the opening
                _log.exception("The fields of item %r can't be read: it has no tags.", self.state.items.ids[row][:80])
            told.append(row)
            available_now.append(shown)
            tags.append(codes + _NO_TAGS[len(codes) :])
        self._available[told] = available_now
        self._appeared(np.array(rows, np.int64))
        after = np.array(tags, np.int32).reshape(len(told), TAGS)
        retagged = bool(np.any(self._tags[told] != after))
        self._tags[told] = after
        self._unread.update(told)
        with self._lock:
            self._pending.update(dict.fromkeys(told))
        self.version += len(told)
        return retagged

    def _appeared(self, rows: I64) -> None:
        """Distinct items may have come, gone, or got another availability."""
        present = self.state.item_columns["alive"][rows]
        shown = present & self._available[rows]
        self._n_present += int(present.sum()) - int(self._present[rows].sum())
        self._n_shown += int(shown.sum()) - int(self._shown[rows].sum())
        self._present[rows], self._shown[rows] = present, shown

    def _room(self, n: int) -> None:
        if len(self._tags) < n:
            grown = np.full((max(n, 2 * len(self._tags), 64), TAGS), -1, np.int32)
            grown[: len(self._tags)] = self._tags
            self._tags = grown
            more = len(grown) - len(self._available)
            self._available = np.concatenate([self._available, np.ones(more, np.bool_)])
            self._present = np.concatenate([self._present, np.zeros(more, np.bool_)])
            self._shown = np.concatenate([self._shown, np.zeros(more, np.bool_)])

    def words(self) -> LexicalIndex:
        """The lexical index, brought up to date (first use on 92,000 items takes seconds; then only what changed)."""
        for row in sorted(self._unread):
            self.lexical.set(row, content.tokens(self.text(row)))
        self._unread.clear()
        return self.lexical

    def take_words(self, other: Catalogue) -> None:
        """The lexical index of a catalogue of the same state, which needn't be made again; ``other`` loses it."""
        self.lexical, self._unread = other.lexical, other._unread

    def take_pending(self, limit: int) -> list[tuple[int, str]]:
        """Up to ``limit`` items to encode, with their texts; under the engine's lock."""
        with self._lock:
            rows = list(self._pending)[:limit]
            if len(rows) == len(self._pending):
                self._pending = {}  # one that was emptied keeps the room for all that ever waited
            for row in rows if self._pending else ():
                del self._pending[row]
            self._taken += len(rows)
        return [(row, self._spoken(row)) for row in rows]

    def give_back(self, texts: list[tuple[int, str]]) -> None:
        """Texts taken that could not be encoded wait again."""
        with self._lock:
            self._pending.update((row, None) for row, _ in texts)
            self._taken -= len(texts)

    def encode(
        self, texts: list[tuple[int, str]], progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[str], F32, I32]:
        """Vectors of ``take_pending``'s texts: distinct ones, their vectors, which one each item has. Needs no lock."""
        distinct = list(dict.fromkeys(text for _, text in texts))
        vectors, inverse = self.cache.distinct([text for _, text in texts], progress)
        self.vectors.prepare(vectors)
        return distinct, vectors, inverse

    def place(self, texts: list[tuple[int, str]], distinct: list[str], vectors: F32, inverse: I32) -> None:
        """Put encoded vectors in place; under the engine's lock. Texts that no item has any more are freed."""
        # A text that changed while it was being encoded waits again, or has even been placed by another caller.
        valid = [place for place, (row, text) in enumerate(texts) if len(texts) > _CHECKED or self._spoken(row) == text]
        rows = np.array([texts[place][0] for place in valid], np.int32)
        used = inverse[valid] if len(valid) else np.zeros(0, np.int32)
        text_row = self._text_rows.rows(distinct or [""])
        fresh = [n for n in np.unique(used).tolist() if distinct[n] and text_row[n] < 0]
        if fresh:
            added = self.vectors.add_texts(vectors[fresh])
            names: list[str] = [distinct[n] for n in fresh]
            self.wording.put(added, words_of(names))
            text_row[fresh] = added
            self._text_rows.put(names, added)
        freed = self.vectors.set_items(rows, text_row[used])
        self.vectors.free_texts(freed)
        self.wording.free(freed)
        self._text_rows.drop(freed)
        self.version += 1
        with self._lock:
            self._taken -= len(texts)

    def place_kept(self, limit: int = 1 << 60) -> int:
        """Place those of up to ``limit`` pending texts whose vectors the cache holds; the others go on waiting.

        Returns how many were placed. ``vectors.prepare`` is left to the caller: all texts are compared until then.
        """
        texts = self.take_pending(limit)
        digests = self.cache.digests([text for _, text in texts])
        missing = self.cache.missing(digests)
        kept = [(row, text) for row, text in texts if text not in missing] if missing else texts
        if missing:
            self.give_back([(row, text) for row, text in texts if text in missing])
        if kept:
            names = [text for _, text in kept]
            try:
                vectors, inverse = self.cache.distinct(names, digests=digests)
            except BaseException:
                self.give_back(kept)
                raise
            self.place(kept, list(dict.fromkeys(names)), vectors, inverse)
        return len(kept)

    def encode_now(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Encode everything that waits, here and now; how many items there were."""
        texts = self.take_pending(1 << 60)
        if texts:
            try:
                encoded = self.encode(texts, progress)
            except BaseException:
                self.give_back(texts)
                raise
            self.place(texts, *encoded)
        return len(texts)
