"""Rankings and what people do with them: every label once, as soon as it can be told.

Taking up an item says that it was wanted and that those above it, which were looked at, were not (skip-above, Joachims
2002): both are learnt at once. What else was shown and not taken up within the window wasn't wanted either; a model of
the place says how much less that means further down. A dismissal or a low rating says so at once. What was learnt as
unwanted and is taken up later is learnt again, as wanted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from palate.config import Settings
from palate.feedback.kinds import kind_of
from palate.store.decision import Decision
from palate.types import F32, F64, I64, Bools, Event, Impression, Interaction, User

MOST = 20_000
"""Rankings that wait for answers; beyond it the oldest are settled before their time."""
_HEAVIEST = 3.0
_FEW_RATINGS = 20
_MIDDLE = 0.25
"""Standard deviations around the mean rating that say nothing."""


@dataclass(slots=True)
class Shown:
    """A ranking that waits. x: (k, d) logged features, None where they aren't those computed now; scores: (k,) the
    model's own; taken: (k,) the heaviest positive weight so far; refused: (k,) whether learnt as unwanted; seen:
    places that an impression named, None for all. reward: Σ of what was taken up less what was refused by its
    person."""

    ranking: str
    subject: str
    model: str
    timestamp: int
    ids: list[str]
    places: F64
    x: F32 | None
    scores: F64
    taken: F64
    refused: Bools
    seen: frozenset[int] | None = None
    reward: float = 0.0
    loss: float = 0.0
    labels: int = 0
    mixed: bool = False
    """Of interleaved arms: what comes of it is no one model's."""


@dataclass(slots=True)
class Lesson:
    """Labels of one ranking: which of its items (n,), 1 for wanted, and what each is worth."""

    shown: Shown
    which: list[int]
    label: list[float]
    weight: list[float]


class Lists:
    """Rankings that wait for answers. columns: (d,) features that are kept of them; key: of the features that are
    computed now (``train.replay.feature_key``). teach: takes each lesson; settled: each ranking whose time is over."""

    def __init__(
        self,
        settings: Settings,
        columns: I64,
        key: str,
        teach: Callable[[Lesson], None],
        settled: Callable[[Shown], None],
    ) -> None:
        self._settings, self._columns, self._key = settings, columns, key
        self._window = int(settings.online.window_minutes * 60_000)
        self._teach, self._settled = teach, settled
        self._waiting: OrderedDict[str, Shown] = OrderedDict()
        self._of: dict[str, list[str]] = {}
        self.clock = 0
        """Event time of the newest decision, ms."""
        self.ratings = [0.0, 0.0, 0.0]  # number, mean, Σ(x − x̄)²
        self.quiet = False
        """Only note what was answered: it has been learnt before."""

    def __len__(self) -> int:
        return len(self._waiting)

    def wants(self, subject: str | None) -> bool:
        """Whether a ranking of theirs waits: nobody else's events say anything."""
        return subject in self._of

    def decision(self, one: Decision) -> None:
        """A ranking was answered. Those whose time is over by then are settled first."""
        self.clock = max(self.clock, one.timestamp)
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.timestamp > self.clock - self._window and len(self._waiting) < MOST:
                break
            self._settle(oldest)
        if one.source != "live" or one.subject is None or one.ranking in self._waiting:
            return
        shown = one.shown
        there = [place for place, score in enumerate(shown.scores) if score is not None]
        if not there or one.timestamp <= self.clock - self._window:
            return
        moved = np.array(one.online) if one.online else np.zeros(len(shown.ids))
        mine = Shown(
            one.ranking, one.subject, one.model, one.timestamp,
            [shown.ids[place] for place in there],
            np.array([shown.positions[place] for place in there], np.float64),
            shown.matrix()[there][:, self._columns] if one.features == self._key else None,
            np.array([float(shown.scores[place] or 0.0) for place in there]) - moved[there],
            np.zeros(len(there)), np.zeros(len(there), np.bool_), mixed=bool(one.teams),
        )  # fmt: skip
        self._waiting[one.ranking] = mine
        self._of.setdefault(one.subject, []).append(one.ranking)

    def event(self, event: Event, subject: str | None) -> None:
        """Something happened. subject: as the log names who it is about."""
        if subject is None or subject not in self._of:
            return
        if isinstance(event, User):
            if event.deleted:  # nothing of theirs is learnt any more
                for ranking in self._of.pop(subject):
                    del self._waiting[ranking]
        elif isinstance(event, Impression):
            found = self._waiting.get(event.ranking or "")
            if found is not None and found.subject == subject:
                names = frozenset(event.items)
                found.seen = (found.seen or frozenset()) | {n for n, one in enumerate(found.ids) if one in names}
        elif isinstance(event, Interaction):
            self._answer(event, subject)

    def forget(self, subjects: Collection[str]) -> None:
        """Nothing of theirs is learnt any more."""
        for subject in subjects:
            for ranking in self._of.pop(subject, ()):
                self._waiting.pop(ranking, None)

    def _answer(self, event: Interaction, subject: str) -> None:
        found = self._meant(event, subject)
        if found is None or event.item not in found.ids:
            return
        place = found.ids.index(event.item)
        weight = self._weight(event)
        if weight < 0:
            self._refuse(found, place, min(-weight, _HEAVIEST))
        elif weight > 0:
            self._take(found, place, min(weight, _HEAVIEST))

    def _meant(self, event: Interaction, subject: str) -> Shown | None:
        """The ranking that is named; where none is, the newest that showed the item to them."""
        if event.ranking is not None:
            found = self._waiting.get(event.ranking)
            return found if found is not None and found.subject == subject else None
        for ranking in reversed(self._of[subject]):
            if event.item in self._waiting[ranking].ids:
                return self._waiting[ranking]
        return None

    def _weight(self, event: Interaction) -> float:
        if event.type == "rating" and event.value is not None:
            return self._rated(float(event.value)) * self._settings.weight("rating")
        return self._settings.weight(kind_of(event, self._settings))

    def _rated(self, value: float) -> float:
        """1 for a rating above everybody's mean, −1 below, 0 about it, or while too few are known."""
        number, mean, spread = self.ratings
        said = 0.0
        if number >= _FEW_RATINGS and spread > 0:
            off = (value - mean) / (spread / number) ** 0.5
            said = 0.0 if abs(off) < _MIDDLE else (1.0 if off > 0 else -1.0)
        if self.quiet:
            return said
        number += 1
        step = value - mean
        mean += step / number
        self.ratings = [number, mean, spread + step * (value - mean)]
        return said

    def _take(self, found: Shown, place: int, weight: float) -> None:
        more = weight - float(found.taken[place])
        if more <= 0:
            return
        found.reward += more
        above = [
            other for other in range(len(found.ids))
            if found.places[other] < found.places[place] and not found.taken[other] and not found.refused[other]
            and (found.seen is None or other in found.seen)
        ]  # fmt: skip
        found.refused[above] = True
        found.taken[place] = weight
        if not self.quiet:
            self._teach(Lesson(found, [*above, place], [0.0] * len(above) + [1.0], [1.0] * len(above) + [more]))

    def _refuse(self, found: Shown, place: int, weight: float) -> None:
        found.reward -= weight
        found.refused[place] = True
        if not self.quiet:
            self._teach(Lesson(found, [place], [0.0], [weight]))

    def _settle(self, found: Shown) -> None:
        del self._waiting[found.ranking]
        mine = self._of[found.subject]
        mine.remove(found.ranking)
        if not mine:
            del self._of[found.subject]
        if self.quiet:
            return
        rest = [
            place for place in range(len(found.ids))
            if not found.taken[place] and not found.refused[place] and (found.seen is None or place in found.seen)
        ]  # fmt: skip
        if rest:
            self._teach(Lesson(found, rest, [0.0] * len(rest), [1.0] * len(rest)))
        self._settled(found)
