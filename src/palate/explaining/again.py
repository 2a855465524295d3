"""A logged decision ranked again, for other histories of the same person: through the line that ranks, on the side.

The candidates are the same for all of them: those of the request, or what was retrieved. Items' and everybody's
counters are as they are now, whatever history is asked about; the moment is the decision's. A place is by score: what
the policy's chance, its diversity or a language model did to the order is left out. State and log stay as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.features import Subject
from palate.features.placed import moment
from palate.line import Line, Model
from palate.profile import Past, past_of, subject_of_past
from palate.store.decision import Asked, Decision
from palate.types import F32, F64, Bools, Candidate, RankRequest, RecommendRequest


class Stand(NamedTuple):
    """Where an item stands: place among those that have a score, from 1, and the score; None where it has none."""

    position: int | None
    score: float | None


class Again:
    """One decision, to be ranked again. Under the engine's lock; it must not be kept longer."""

    def __init__(self, line: Line, catalogue: Catalogue, decision: Decision, model: Model, known: Bools) -> None:
        """known: which entries of the history, newest first, the log had at the decision (``answer.known_then``)."""
        self.line = line
        self.catalogue = catalogue
        self.model = model
        self.now = decision.timestamp
        self.state = line.state
        self.user = -1 if decision.subject is None else self.state.users.get(decision.subject)
        self.rating = self.state.types.get("rating")
        self.past = past_of(self.state, self.user).without(~known, self.rating)
        self._options, self._given = self._request(decision)

    def _request(self, decision: Decision) -> tuple[dict[str, Any], list[str | Candidate]]:
        asked = decision.request or Asked("recommend", decision.subject)
        options: dict[str, Any] = {
            name: getattr(asked, name) for name in ("user", "session", "query", "context", "filter", "exclude", "seen")
        }
        if asked.kind == "rank" and asked.items:
            return options, asked.items
        if asked.kind == "recommend" and decision.rules is not None:
            options["seen"] = "drop" if decision.rules.dropped else "keep"
        given = dict.fromkeys(decision.shown.ids)
        if decision.unshown is not None:
            given |= dict.fromkeys(decision.unshown.ids)
        elif asked.candidates > len(given):
            request = RecommendRequest(k=asked.k, **options)
            found = self.line.run(request, self.now, self.model, self.subject(self.past))
            given |= dict.fromkeys(found.candidates.ids)
        return options, list(given)

    def subject(self, past: Past) -> Subject:
        """The person with this history. What towers remember of the real one is neither used nor touched."""
        side = self.catalogue.side()
        table = self.line.computer.weights
        new = int(past.kinds.max(initial=-1)) + 1 - len(table)
        if new > 0:  # a type that the log doesn't know: only what never happened has it
            table = np.concatenate([table, np.full(new, self.state.settings.weight("like"))])
        subject = subject_of_past(
            self.state, self.user, past, side.vectors, side.text_of, side.tags, side.n_tags, table
        )  # fmt: skip
        for placed in self.model.towers if len(subject.items) else ():
            placed.follow(self.catalogue.vectors, self.state.n_items)
            then = moment(int(subject.ts[0]), self.now)
            vector, _ = placed.tower.read(placed.reading(subject, then))
            subject.extra[placed.column] = (id(placed), then, vector)
        return subject

    def ranked(self, past: Past) -> tuple[list[str], F64, F32]:
        """Candidates that may be shown, ids, scores (m,), NaN where there is none, and features (m, f)."""
        request = RankRequest(items=self._given, **self._options)
        found = self.line.run(request, self.now, self.model, self.subject(past))
        return list(found.candidates.ids), found.scores, found.x

    def stand(self, item: str, past: Past) -> Stand:
        """Where ``item`` stands for somebody with this history."""
        ids, scores, _ = self.ranked(past)
        return stand_of(item, ids, scores)


def stand_of(item: str, ids: list[str], scores: F64) -> Stand:
    """The place of ``item`` by score, ties in the order of ``ids``."""
    place = ids.index(item) if item in ids else -1
    if place < 0 or not np.isfinite(scores[place]):
        return Stand(None, None)
    mine = float(scores[place])
    above = int(np.count_nonzero(scores > mine)) + int(np.count_nonzero(scores[:place] == mine))
    return Stand(above + 1, mine)
