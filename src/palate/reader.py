"""What an engine says of users, items, models and its own rankings: nothing here changes anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import overload

from palate import opening, rights, wire
from palate.arms import Arms
from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import Gone, NotFound
from palate.explaining.importance import ROWS, ModelExplanation, explain_model
from palate.explaining.item import ItemExplanation, explain_item
from palate.explaining.rows import decisions_of
from palate.explaining.transparency import Lived, Transparency, describe, lived_of
from palate.feedback.summary import AspectOpinion
from palate.language.gate import Gate
from palate.line import Line, Model
from palate.models import ModelShelf
from palate.portrait import draw_counts, draw_profile, item_fields, item_opinions, known_users
from palate.state import State
from palate.train.history import event_of
from palate.types import Counts, Event, FieldValue, ModelInfo, RecommendRequest, UserProfile
from palate.wording import words_of

_ROWS = 300
"""Candidates that transparency goes by: enough for shares of groups."""
_KEPT = 10_000


class Reader:
    """The reading half of ``palate.engine.Engine``, which sets all of these."""

    settings: Settings
    learns = True
    """Whether this process learns while it serves (``palate.online``); one that follows another doesn't."""
    parts: opening.Parts
    state: State
    catalogue: Catalogue
    line: Line
    shelf: ModelShelf
    arms: Arms
    rankings: int
    non_finite: int
    _lock: threading.RLock
    _model: Model
    _importance: tuple[object, ModelExplanation] | None = None

    def clock(self) -> int:
        """Event time now, Unix milliseconds (see ``State.now``)."""
        return self.state.now(wire.now_ms())

    def models(self) -> list[ModelInfo]:
        """Every ranking artefact, newest first."""
        return self.shelf.list()

    def explain(
        self, ranking: str, item: str, words: str = "", counterfactuals: bool = False, local: bool = False
    ) -> ItemExplanation:
        """Why ``item`` stood where it stood in a logged ranking: contributions that add up to its score, with sources.
        words: ``en`` or ``zh``, to have its reasons worded (``wording``); counterfactuals, local: as
        ``explaining.item`` says. Errors: ``NotFound``, ``Gone``."""
        decision = self.parts.decisions.get(ranking)
        model = self.shelf.version(decision.model, self._model)
        if counterfactuals and decision.request is not None:
            self.line.prepare(RecommendRequest(user=decision.subject, query=decision.request.query))
        with self._lock:
            found = explain_item(
                self.line, self.catalogue, self.parts.store, decision, item, model, counterfactuals, local
            )
        found.words = words_of(found, self.parts.generator, self.title, words, self.parts.asked)
        return found

    def importance(self, version: str = "", rows: int = ROWS) -> ModelExplanation:
        """What a model goes by (the one that serves for ``''``), over logged decisions. Cost: a second or two. Errors:
        ``NotFound``."""
        model = self._model
        if version not in ("", model.version):
            try:
                model = self.shelf.version(version, model)
            except Gone:
                raise NotFound(f"There is no model {version[:80]!r} on the shelf: palate models list.") from None
        sources = decisions_of(self.parts.decisions.log, self.parts.path)
        off = self.line.off.names
        return explain_model(model, sources, off, self.parts.store, self.settings, rows)

    @property
    def gate(self) -> Gate:
        """For whom the model that serves lets a language model be asked."""
        return self._model.gate

    def transparency(self) -> Transparency:
        """What this service goes by, as it is configured and running now."""
        return describe(self.settings, self._model, self.models(), self.arms, self._goes_by(), self._lived())

    def _goes_by(self) -> ModelExplanation:
        """``importance`` of the model that serves, of fewer rows, kept until another serves or for ``_KEPT`` events."""
        now = self._model, self.line.off.names, self.state.seq // _KEPT
        if self._importance is None or self._importance[0] != now:
            self._importance = now, self.importance(rows=_ROWS)
        return self._importance[1]

    def _lived(self) -> Lived:
        """What the running state and catalogue say of the data in use."""
        able = frozenset(name for name in ("correct", "export", "forget") if hasattr(self, name))
        with self._lock:
            return lived_of(self.state, self.catalogue, self.line, self._model, able)

    def user(self, user: str | None = None, session: str | None = None) -> UserProfile:
        """What is believed of a user, or of an anonymous session; ``known`` is False for one never heard of."""
        subject = rights.subject(user, session, self.settings.limits)
        with self._lock:
            found = draw_profile(self.state, self.catalogue, self.line.computer, subject, self.clock(), self._model)
        found.user = subject.removeprefix("\0")
        return found

    @overload
    def export(self, user: None = None, session: None = None) -> Iterator[Event]: ...
    @overload
    def export(self, user: str, session: None = None) -> Iterator[rights.Kept]: ...
    @overload
    def export(self, user: None = None, *, session: str) -> Iterator[rights.Kept]: ...
    def export(self, user: str | None = None, session: str | None = None) -> Iterator[Event] | Iterator[rights.Kept]:
        """The whole log in order, with ids and timestamps; of a user or an anonymous session everything that is kept,
        from every table, for which all of the decision log is read. Errors: ``InvalidInput``."""
        if user is None and session is None:
            return (event_of(record) for records in self.parts.store.read() for record in records)
        subject = rights.subject(user, session, self.settings.limits)
        return rights.export(self, subject, self.user(user, session), self._lock)

    def item(self, item: str) -> dict[str, FieldValue]:
        """The fields of an item. Errors: ``NotFound``."""
        with self._lock:
            return item_fields(self.state, item)

    def opinions(self, item: str) -> list[AspectOpinion]:
        """What texts say of an item, by aspect, the most mentioned first."""
        with self._lock:
            return item_opinions(self.state, item)

    def title(self, item: str) -> str:
        """The item's title, or its id where it has none."""
        with self._lock:
            return item if (row := self.state.items.get(item)) < 0 else self.catalogue.title(row)

    def users(self, prefix: str = "", limit: int = 50) -> list[tuple[str, int]]:
        """Users whose id begins with ``prefix``, and their interactions, most active first. O(users)."""
        with self._lock:
            return sorted(known_users(self.state, prefix), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def counts(self) -> Counts:
        """Live counts."""
        with self._lock:
            return draw_counts(self.state, self.rankings, self.non_finite, self.catalogue.pending)
