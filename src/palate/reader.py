"""What an engine says of users, items, models and its own rankings: nothing here changes anything."""

from __future__ import annotations

import threading

from palate import opening, wire
from palate.answer import explain_decision
from palate.catalogue import Catalogue
from palate.config import Settings
from palate.feedback.summary import AspectOpinion
from palate.line import Line, Model
from palate.models import ModelShelf
from palate.portrait import draw_counts, draw_profile, item_fields, item_opinions, known_users
from palate.state import State
from palate.types import Counts, Explanation, FieldValue, ModelInfo, UserProfile
from palate.wording import word


class Reader:
    """The reading half of ``palate.engine.Engine``, which sets all of these."""

    settings: Settings
    parts: opening.Parts
    state: State
    catalogue: Catalogue
    line: Line
    shelf: ModelShelf
    rankings: int
    non_finite: int
    _lock: threading.RLock
    _model: Model

    def clock(self) -> int:
        """Event time now, Unix milliseconds (see ``State.now``)."""
        return self.state.now(wire.now_ms())

    def models(self) -> list[ModelInfo]:
        """Every ranking artefact, newest first."""
        return self.shelf.list()

    def explain(self, ranking: str, item: str, words: str = "") -> Explanation:
        """Why ``item`` stood where it stood in a logged ranking: contributions that add up to its score, with sources.
        words: ``en`` or ``zh``, to have its reasons worded (``wording``). Errors: ``NotFound``, ``Gone``."""
        decision = self.parts.decisions.get(ranking)
        model = self.shelf.version(decision.model, self._model)
        with self._lock:
            found = explain_decision(self.line, self.catalogue, self.parts.store, decision, item, model)
        return word(found, self.parts.generator, self.title, words)

    def user(self, user: str) -> UserProfile:
        """What is believed of a user; ``known`` is False for one never heard of."""
        wire.check_id(user, "user", self.settings.limits)
        with self._lock:
            return draw_profile(self.state, self.catalogue, self.line.computer, user, self.clock(), self._model)

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
