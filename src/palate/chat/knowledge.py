"""What a conversation knows of the catalogue at a moment: its schema, the meaning of its values, its words."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from palate.catalogue import Catalogue
from palate.chat.parse import Helper
from palate.chat.schema import Schema, Value, learn
from palate.chat.words import tokens as words_of
from palate.content.text import title, tokens
from palate.errors import Unavailable
from palate.state import State
from palate.types import F32, FieldValue

_CHUNK = 2_000
_MOST_MEANINGS = 400
_PATIENCE = 20.0
"""How many times as long as learning it took, at least, a schema is used before a large catalogue is read again."""
_QUICK = 0.05
EARLY = 50_000
"""Items up to which a service reads its catalogue for conversations when it starts. That takes the interpreter from
rankings for a second then; a larger one is read for whoever talks first."""
_KEPT = 4096
_WORDLESS = ("hashing", "silent", "none")


class Host(Protocol):
    """What of an engine a conversation needs to know the catalogue."""

    state: State
    catalogue: Catalogue

    def clock(self) -> int: ...


class Knowledge(Helper):
    """Over one engine; safe for several threads. lock: the engine's."""

    def __init__(self, host: Host, lock: AbstractContextManager[object]) -> None:
        self.host, self.lock = host, lock
        self._schema: Schema | None = None
        self._of: tuple[int, int, int] = (0, 0, 0)
        self._cost = self._learnt = 0.0
        # Read and replaced as a whole, by threads of their own: values, their vectors, row by row, and whose these are.
        self._meanings: tuple[Schema | None, list[Value], F32, object] = (None, [], np.zeros((0, 0), np.float32), None)
        self._warming = threading.Lock()
        self._last: OrderedDict[str, list[str]] = OrderedDict()

    def schema(self) -> Schema:
        """The schema of the items as they are; of a large catalogue, as they were when it was last read (``warm``).

        Cost: 20 µs an item the first time, and after every change of a small catalogue.
        """
        known, version = self._schema, self._version()
        if known is not None and (version == self._of or (self._cost > _QUICK and version[0] == self._of[0])):
            return known
        return self._learn()

    def _version(self) -> tuple[int, int, int]:
        return id(self.host.state), self.host.catalogue.version, self.host.state.n_items

    def _learn(self) -> Schema:
        version, started = self._version(), time.perf_counter()
        found = learn(self.items())
        self._schema, self._of = found, version
        self._learnt = time.perf_counter()
        self._cost = self._learnt - started
        return found

    def _behind(self) -> bool:
        """Whether a large catalogue has changed, and it is time to read it again."""
        waited = time.perf_counter() - self._learnt
        return self._cost > _QUICK and self._version() != self._of and waited >= _PATIENCE * self._cost

    def items(self, most: int | None = None) -> list[tuple[str, Mapping[str, FieldValue]]]:
        """Ids and copies of the fields of items that aren't deleted, of the first ``most`` or all. The engine's lock is
        held for some at a time."""
        out: list[tuple[str, Mapping[str, FieldValue]]] = []
        state = self.host.state
        with self.lock:
            n = state.n_items if most is None else min(most, state.n_items)
        for start in range(0, n, _CHUNK):
            with self.lock:
                alive = state.alive
                out += [
                    (state.items.ids[row], dict(fields))
                    for row in range(start, min(n, start + _CHUNK))
                    if alive[row] and (fields := state.item_fields.get(row))
                ]
        return out

    def fields(self, item: str) -> dict[str, FieldValue]:
        """An item's fields, empty where it isn't known."""
        with self.lock:
            return dict(self.host.state.item_fields.get(self.host.state.items.get(item), {}))

    def title(self, item: str) -> str:
        """An item's title, or its id."""
        return title(self.fields(item)) or item

    # ------------------------------------------------------------------------- the parser's helper

    @property
    def year(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The catalogue's own present."""
        return float(datetime.fromtimestamp(self.host.clock() / 1000, UTC).year)

    def of(self, subject: str) -> Helper:
        """The same for the parser, with what this subject was shown last."""
        return _View(self, self._last.get(subject, ()))

    def remember(self, subject: str, items: Sequence[str]) -> None:
        """What was shown last: "something shorter" is compared with it. In memory only, for the last few thousand."""
        self._last[subject] = list(items)
        while len(self._last) > _KEPT:
            self._last.popitem(last=False)

    def label(self, item: str) -> str:
        """A title with the year, so that two of the same name can be told apart."""
        fields = self.fields(item)
        year = next((value for name, value in sorted(fields.items()) if "year" in name.lower()), None)
        return f"{title(fields) or item} ({year})" if year is not None else f"{title(fields) or item} [{item}]"

    def occurs(self, words: str) -> bool:
        """Whether every word stands in some item's text."""
        found = tokens(words)
        if not found or len(words_of(words)) > 6:
            return False
        with self.lock:
            index = self.host.catalogue.words()
            return all(len(index.search([one], 1)[0]) for one in found)

    def meant(self, words: str) -> list[tuple[Value, float]]:
        """The nearest values by the encoder's vectors; none while these are being made (``warm``)."""
        _, values, vectors, of = self._meanings
        cache = self.host.catalogue.cache
        if not values or of is not cache:
            return []
        near = vectors @ cache.query(words)
        best: list[int] = np.argsort(-near, kind="stable")[:8].tolist()
        out: dict[str, tuple[Value, float]] = {}
        for place in best:
            out.setdefault(values[place].value.casefold(), (values[place], float(near[place])))
        return list(out.values())

    @property
    def pending(self) -> bool:
        """Whether the meaning of values can't be asked for yet."""
        return self._meanings[0] is None and not self._wordless

    @property
    def _wordless(self) -> bool:
        return self.host.catalogue.cache.encoder.name.startswith(_WORDLESS)

    def warm(self) -> None:
        """Read a catalogue that has changed, and encode its commonest values. One thread at a time; others return.

        Cost: ``schema``'s, and about 3 ms a value that no item or earlier start has encoded.
        """
        if not self._warming.acquire(blocking=False):
            return
        try:
            schema = self._learn() if self._behind() else self.schema()
            cache = self.host.catalogue.cache
            if self._wordless or self._current(schema):
                return
            values = [one for one in schema.values() if not one.value.isdigit()][:_MOST_MEANINGS]
            try:
                vectors = cache.get([one.value for one in values])
            except Unavailable:  # closed meanwhile, or the disk refuses: what is nearly meant isn't found until later
                return
            self._meanings = schema, values, vectors, cache
        finally:
            self._warming.release()

    def _current(self, schema: Schema | None) -> bool:
        """Whether the meanings are of these values, by the encoder that serves."""
        return self._meanings[0] is schema and self._meanings[3] is self.host.catalogue.cache

    def warm_soon(self, most: int | None = None) -> None:
        """``warm`` beside the caller, where it is due; not for a catalogue of more than ``most`` items."""
        if most is not None and self.host.state.n_items > most:
            return
        if self._schema is None or self._behind() or not (self._wordless or self._current(self._schema)):
            threading.Thread(target=self.warm, name="chat-values", daemon=True).start()


class _View(Helper):
    """``Knowledge`` for one turn of one person."""

    def __init__(self, whole: Knowledge, shown: Sequence[str]) -> None:
        self.meant, self.occurs, self.label = whole.meant, whole.occurs, whole.label
        self.year, self.shown = whole.year, shown
