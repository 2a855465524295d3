"""What a world is made of: every number, its meaning and its unit, in one frozen dataclass."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from palate.errors import InvalidInput

DAY_MS = 86_400_000
START = 1_700_000_000_000
"""The world's beginning, Unix milliseconds, where nobody asks for another."""


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """A simulated platform. Two worlds of equal settings are equal: people, items, visits, candidates, and the chance
    of every click.

    How attractive an item is for a person at a moment, α, is the logistic function of a sum of logits: ``level``, the
    person's taste for its topics, its quality, its trend, its topics' hour of the day, and ``foreign`` where it isn't
    in the person's language. A shown item is looked at with the chance of its place, and clicked with α once it is.
    """

    seed: int = 1
    """Everything follows from it and the other settings."""
    start: int = START
    """When the world begins, Unix milliseconds. Events of its end should not lie in the future of who plays it."""
    days: float = 30.0
    """How long it lasts."""
    visits: int = 4_000
    """Rankings asked for in all, spread over the days by the daily rhythm."""
    prefix: str = ""
    """Stands before all ids, so that two worlds can be told apart."""

    people: int = 50
    """Persons."""
    activity: float = 0.5
    """Standard deviation of the logarithm of how often people come; 0: all equally often."""
    interests: int = 2
    """Topics that a person loves."""
    taste: float = 3.0
    """Logits that a loved topic adds; the second is worth four fifths of the first, the third again, and so on."""
    drift: float = 0.4
    """Standard deviation, logits, by which tastes for every topic wander."""
    drift_days: float = 10.0
    """Days after which the wandering has largely forgotten where it was (length of a squared-exponential kernel)."""
    shift_day: float = 15.0
    """The day on which tastes change at once; not below 0, and never where it is ``days`` or more."""
    shift_share: float = 0.5
    """Share of people whose loved topics change then, all of them to others."""
    chinese: float = 0.5
    """Share of people who read Chinese, and of items that are in Chinese; the others are English."""
    foreign: float = -1.0
    """Logits added to items in the other language."""

    items: int = 500
    """Items at the beginning."""
    new_a_day: float = 8.0
    """Items that arrive every day, with text alone."""
    new_days: float = 5.0
    """For so many days an item that arrived counts as new."""
    level: float = -3.0
    """Logits of an item that nobody has a taste for."""
    quality: float = 0.6
    """Standard deviation, logits, of what makes items better for everybody."""
    trending: float = 0.15
    """Share of items that have a trend: their attraction rises and falls once."""
    trend: float = 1.5
    """Logits of a trend at its height."""
    trend_days: float = 2.0
    """How long trends last: the standard deviation, days, of their bell."""
    tagged: float = 0.5
    """Share of items whose tags name their topic; the others have text alone."""
    rhythm: float = 0.8
    """Daily rhythm of visits, in [0, 1): by so much more than the mean come at the best hour, and less at the worst."""
    rhythm_topics: float = 0.3
    """Logits by which every topic's attraction follows the hour; each has its best hour."""

    candidates: int = 40
    """Items, drawn uniformly from those there are, that a ranking is to order; 0: it chooses from all there are."""
    places: int = 5
    """Items shown."""
    eta: float = 1.0
    """Place k is looked at with the chance k^−eta (the position-based model; Joachims et al. 2017)."""
    repeat: float = 1.0
    """What is left of α for somebody who has clicked the item; 1: as before. Below 1 the best that can be shown depends
    on what was shown before, and regret is counted against that."""
    report_minutes: float = 0.0
    """Mean of the exponential time until the platform hears of a click; it keeps the time at which it happened."""
    conversion: float = 0.3
    """Chance, times α, that a purchase follows a click."""
    conversion_hours: float = 12.0
    """Mean of the exponential time until then."""
    rates: float = 0.1
    """Chance that a click is followed by a rating: 1 + 4 α, to the nearest of 1 to 5, half a star of noise."""
    hides: float = 0.01
    """Chance, times (1 − α)², that an item which was looked at and not clicked is hidden."""

    def __post_init__(self) -> None:
        """Errors: ``InvalidInput`` naming what is out of its range."""
        for one in fields(self):
            low, high = _RANGES.get(one.name, (0.0, 1.0))
            if one.name == "prefix":
                continue
            value = getattr(self, one.name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InvalidInput(
                    f"{one.name} of the world is {value:,.10g}; it must lie between {low:,.10g} and {high:,.10g}."
                )
        if len(self.prefix.encode()) > 100:
            raise InvalidInput("prefix of the world is longer than 100 bytes.")
        if self.candidates and self.candidates < self.places:
            raise InvalidInput(
                f"candidates of the world is {self.candidates}, fewer than the {self.places} places: give more, or 0."
            )
        if self.items < max(self.places, self.candidates):
            raise InvalidInput(
                f"items of the world is {self.items}; every ranking needs {max(self.places, self.candidates)}."
            )

    @property
    def end(self) -> int:
        """Its last moment, Unix milliseconds."""
        return self.start + round(self.days * DAY_MS)

    @property
    def shift(self) -> int | None:
        """When tastes change, Unix milliseconds; None for never."""
        return None if self.shift_day >= self.days else self.start + round(self.shift_day * DAY_MS)


_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "start": (0, 4_102_444_800_000),
    "days": (0.01, 10_000),
    "visits": (1, 100_000_000),
    "people": (1, 1_000_000),
    "activity": (0.0, 3.0),
    "interests": (1, 5),
    "taste": (0.0, 20.0),
    "drift": (0.0, 10.0),
    "drift_days": (0.01, 10_000),
    "shift_day": (0.0, 1e9),
    "foreign": (-20.0, 0.0),
    "items": (1, 1_000_000),
    "new_a_day": (0.0, 100_000),
    "new_days": (0.01, 10_000),
    "level": (-20.0, 20.0),
    "quality": (0.0, 10.0),
    "trend": (0.0, 20.0),
    "trend_days": (0.01, 10_000),
    "rhythm": (0.0, 0.99),
    "rhythm_topics": (0.0, 10.0),
    "candidates": (0, 10_000),
    "places": (1, 100),
    "eta": (0.0, 5.0),
    "report_minutes": (0.0, 100_000),
    "conversion_hours": (0.0, 10_000),
}
"""All others lie between 0 and 1."""
