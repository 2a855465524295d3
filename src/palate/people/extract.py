"""One row of numbers of a person: what they do, what they choose, whom they follow.

=============  =====================================================================================
behaviour      events, repeats, silence, pace     log1p interactions; share that repeats; log1p live days since the
                                                  last, and between the first and the last kept
               night, morning, day, evening       shares of events by quarter of the day, UTC; weekend: by day
               price, price_range                 mean and standard deviation of log1p price of what was chosen, where
                                                  items have a numeric price
               rating, rating_range               the same of the values of ratings
               mainstream                         mean log1p of how often anybody had what was chosen
content        ``tag:…``                          share of each tag, decayed by entry
               ``item:…``                         1 where one of the best-known items is in the history
               ``text:0`` …                       principal components of the mean text vector
social         follows, follows_tags              log1p of known people followed; cosine of their tags to the person's
=============  =====================================================================================

What doesn't apply is NaN, and 0, the median, once it is normalised (``select.robust``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.features import Computer, Subject
from palate.features.company import FOLLOWS
from palate.state import State
from palate.types import F32, F64, I64

BEHAVIOUR = (
    "events", "repeats", "silence", "pace", "night", "morning", "day", "evening", "weekend", "price", "price_range",
    "rating", "rating_range", "mainstream", "follows", "follows_tags",
)  # fmt: skip
PRICES = ("price", "unit_price", "unitprice", "sale_price", "cost", "价格")
_DAY = 86_400_000


class Layout(NamedTuple):
    """tags, items: names of the columns of content, in order; texts: how many principal components."""

    tags: tuple[str, ...]
    items: tuple[str, ...]
    texts: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every column."""
        return (
            *BEHAVIOUR, *(f"tag:{tag}" for tag in self.tags), *(f"item:{item}" for item in self.items),
            *(f"text:{place}" for place in range(self.texts)),
        )  # fmt: skip


class Behaviour(NamedTuple):
    """What a person's events say without what is in the items; None where nothing does. Days are live ones."""

    events: int
    repeats: float
    silence_days: float | None
    dayparts: tuple[float, float, float, float] | None
    weekend: float | None
    price: float | None
    price_range: float | None
    rating: float | None
    follows: int


def price_of(fields: dict[str, object]) -> float | None:
    """The numeric price of an item, None where it has none that is above 0."""
    for name in PRICES:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None


def behaviour_of(state: State, computer: Computer, subject: Subject, now: int) -> Behaviour:
    """See ``Behaviour``. Cost: O(history)."""
    fields = state.user_fields.get(subject.row, {})
    follows = len(computer.company.followed(fields[FOLLOWS], subject.row)) if FOLLOWS in fields else 0
    if not len(subject.ts):
        return Behaviour(subject.count, subject.repeats, None, None, None, None, None, None, follows)
    days = state.silences.since(subject.ts, now) / _DAY
    quarters = np.bincount(subject.ts // (_DAY // 4) % 4, minlength=4) / len(subject.ts)
    weekday = (subject.ts // _DAY + 3) % 7
    chosen = subject.items[subject.weights > 0]
    found = (price_of(dict(state.item_fields.get(row, {}))) for row in chosen.tolist())
    prices = np.array([value for value in found if value is not None])
    values = _ratings(state, subject.row)
    return Behaviour(
        subject.count, subject.repeats, float(days[0]),
        (float(quarters[0]), float(quarters[1]), float(quarters[2]), float(quarters[3])),
        float((weekday >= 5).mean()), float(np.expm1(np.log1p(prices).mean())) if len(prices) else None,
        float(np.log1p(prices).std()) if len(prices) else None, float(values.mean()) if len(values) else None, follows,
    )  # fmt: skip


def _ratings(state: State, user: int) -> F32:
    _, _, kinds, values = state.history_of(user)
    return values[(kinds == state.types.get("rating")) & ~np.isnan(values)]


class Extractor:
    """Rows of people over one state and catalogue. Under the engine's lock.

    ``raw`` gives everything but the text's components, and ``text`` the mean vector that these are of.
    """

    def __init__(self, state: State, catalogue: Catalogue, computer: Computer, layout: Layout) -> None:
        self.state, self.catalogue, self.computer, self.layout = state, catalogue, computer, layout
        self._tags: I64 = np.array([catalogue.tags.get(name) for name in layout.tags], np.int64)
        self._items: I64 = np.array([state.items.get(name) for name in layout.items], np.int64)

    def raw(self, subject: Subject, now: int) -> F64:
        """(p,) the columns before ``text:0``, NaN where one doesn't apply."""
        state, count = self.state, self.state.item_columns["count"]
        head = np.full(len(BEHAVIOUR), np.nan)
        found = behaviour_of(state, self.computer, subject, now)
        head[0], head[1] = np.log1p(found.events), found.repeats
        head[14] = np.log1p(found.follows)
        if len(subject.ts):
            days = state.silences.since(subject.ts, now) / _DAY
            head[2], head[3] = np.log1p(days[0]), np.log1p(days[-1] - days[0])
            head[4:8] = found.dayparts
            head[8] = found.weekend
            head[13] = np.log1p(count[subject.items]).mean()
        if found.price is not None:
            head[9], head[10] = np.log1p(found.price), found.price_range
        values = _ratings(state, subject.row)
        if len(values):
            head[11], head[12] = values.mean(), values.std()
        shares = _at(subject.tags_long, self._tags)
        if found.follows:
            head[15] = self._follows_tags(subject)
        had = np.isin(self._items, subject.seen[subject.seen_count > 0]).astype(np.float64)
        return np.concatenate([head, shares, had])

    def _follows_tags(self, subject: Subject) -> float:
        """Cosine of the mean tag shares of those followed to the person's; NaN where either has none."""
        side = self.catalogue.side()
        followed = self.computer.company.followed(self.state.user_fields[subject.row][FOLLOWS], subject.row)
        theirs = np.zeros(len(subject.tags_long))
        for row in followed.tolist():
            tags = self.computer.subject(row, side).tags_long
            if len(tags) == len(theirs):
                theirs += tags
        length = float(np.linalg.norm(theirs) * np.linalg.norm(subject.tags_long))
        return float(theirs @ subject.tags_long) / length if length > 0 else np.nan

    def text(self, subject: Subject) -> F64 | None:
        """(d,) mean vector of what was liked, None where nothing of it has a text."""
        side = self.catalogue.side()
        texts = side.text_of[subject.items[subject.weights > 0]]
        texts = texts[texts >= 0]
        return side.vectors[texts].mean(axis=0).astype(np.float64) if len(texts) else None


def _at(values: F32, places: I64) -> F64:
    """``values`` at ``places``, 0 where there is no such place."""
    out = np.zeros(len(places))
    there = (places >= 0) & (places < len(values))
    out[there] = values[places[there]]
    return out
