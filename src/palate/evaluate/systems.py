"""Palate as a system, and the systems by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import InvalidInput, PalateError
from palate.evaluate import Progress, Query, System
from palate.evaluate.baselines import ItemKnn, Popular, Random, Tuned
from palate.evaluate.ease import Ease
from palate.evaluate.stream import EventStream
from palate.types import F64, Event, Impression, RecommendRequest

NAMES = ("palate", "random", "popular", "recent_popular", "item_knn", "ease")
TRAINED = ("sasrec", "lstm", "ncf")
"""Only where they are named: they need PyTorch, and minutes."""
CHUNK = 10_000


def make_systems(systems: Sequence[str | System] | None, settings: Settings, seed: int) -> list[System]:
    """Systems from names or implementations; None: all. Errors: ``InvalidInput`` for an unknown or doubled name."""
    made: list[System] = []
    for system in NAMES if systems is None else systems:
        made.append(_make(system, settings, seed) if isinstance(system, str) else system)
    names = [system.name for system in made]
    if not names or len(set(names)) < len(names):
        raise InvalidInput(f"systems is {names}: name at least one, and each once.", "systems")
    return made


def _make(name: str, settings: Settings, seed: int) -> System:
    if name == "palate":
        return PalateSystem(settings)
    if name == "random":
        return Random(seed)
    if name == "popular":
        return Tuned(Popular("popular", [0.0]), seed)
    if name == "recent_popular":
        return Tuned(Popular("recent_popular", [1.0, 7.0, 30.0]), seed)
    if name == "item_knn":
        return Tuned(ItemKnn(), seed)
    if name == "ease":
        return Tuned(Ease(), seed)
    if name in TRAINED:
        from palate.evaluate.sequence import Sequence, load_torch

        load_torch()
        return Sequence(name, seed)
    raise InvalidInput(f"The system {name!r} is unknown; there are {', '.join(NAMES + TRAINED)}.", "systems")


class PalateSystem:
    """An engine in memory, fed with the events in their order and trained once, before the test window.

    Its scores are those of ``Engine.scored``: the request path without policy and exploration. What the engine didn't
    list stands last, together.
    """

    name = "palate"

    def __init__(self, settings: Settings, directory: str | Path = ":memory:", trained: bool = True) -> None:
        """directory: of the engine; trained: whether it is trained at all."""
        self._settings = settings
        self._directory, self._trained = directory, trained

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """Ingest everything before ``stop`` and train on it; the engine makes its own validation split."""
        import palate as imported

        # The engine stands to the left of this package and imports lazily what it needs.
        module: Any = imported
        self._notes: dict[str, Any] = {}
        self._stream = stream
        self._codes = {name: code for code, name in enumerate(stream.item_ids)}
        self._at = 0
        self._side = 0
        self._engine: Any = module.open(self._directory, settings=self._settings)
        while self._at < stop:
            self.feed(min(self._at + CHUNK, stop))
            progress("palate: ingesting", self._at, stop)

        if not self._trained:
            self._notes = {"trained": "not: it ranks by the prior"}
            return

        def training(stage: str, done: int, total: int) -> None:
            progress(f"palate: {stage}", done, total)

        try:
            report = self._engine.train(progress=training)
            self._notes = {"model": report.version, "kind": report.kind, "trained": "once, before the test window"}
        except InvalidInput as error:  # too few events to train on: the engine ranks untrained, and the report says so
            self._notes = {"trained": f"not: {error.message}"}

    def feed(self, stop: int) -> None:
        """Ingest the events up to ``stop``, each item and user event in its place among them.

        Impressions are left out: a list that held the next target would tell of it, and no baseline sees it.
        """
        stream = self._stream
        batch: list[Event] = []
        for position in range(self._at, stop):
            self._place(batch, position)
            batch.append(stream.interaction(position))
        # What happens between two events is known to the later one.
        self._place(batch, stop)
        self._at = max(self._at, stop)
        if not batch:
            return
        result = self._engine.ingest(batch)
        if result.rejected:
            first = result.rejected[0]
            raise PalateError(f"Palate rejected an event of the evaluation: {first.error}")

    def _place(self, batch: list[Event], position: int) -> None:
        """Append the other events that stand before the interaction at ``position``."""
        side = self._stream.side
        while self._side < len(side) and side[self._side][0] <= position:
            event = side[self._side][1]
            if not isinstance(event, Impression):
                moment = max(0, int(self._stream.times[0]) - 1) if event.timestamp is None else event.timestamp
                batch.append(msgspec.structs.replace(event, id=f"s{self._side}", timestamp=moment))
            self._side += 1

    def score(self, query: Query) -> F64:
        user = self._stream.user_ids[query.user]
        anonymous = bool(self._stream.anonymous[query.user])
        request = RecommendRequest(
            user=None if anonymous else user, session=user if anonymous else None, k=10, seen=query.seen
        )
        ids, scores = self._engine.scored(request, query.now)
        found = np.full(query.size, -np.inf)
        codes = np.fromiter((self._codes.get(name, -1) for name in ids), dtype=np.int64, count=len(ids))
        there = (codes >= 0) & (codes < query.size)
        found[codes[there]] = np.asarray(scores, dtype=np.float64)[there]
        return found

    def notes(self) -> dict[str, Any]:
        return dict(self._notes)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
