"""The world itself: who likes what, when, and what comes of it. Pure functions of settings and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from palate.types import F64, I64, Item, User
from palate.world.settings import DAY_MS, WorldSettings
from palate.world.text import TOPICS, fields_of

_WAVES = 6
"""Cosines that a drifting taste is the sum of."""
_MAIN, _SECOND = 0.8, 0.2
"""What an item's first and second topic count."""
_BEST_HOUR = 20 / 24
"""Of visits, as a share of the day, UTC."""
_CHUNK, _CELLS = 512, 2_000_000


@dataclass(frozen=True)
class Chunk:
    """Some visits in a row. people: (c,); times: (c,) ms; candidates: of each, (m,) item numbers in no order that
    means anything; attraction: of each, (m,) α of these for that person then, as if they had clicked none of them."""

    first: int
    people: I64
    times: I64
    candidates: list[I64]
    attraction: list[F64]


class World:
    """The truth. People and items are numbers from 0; ``user`` and ``item`` give their names and events.

    Memory: some hundred bytes an item and a person, 16 a visit.
    """

    def __init__(self, settings: WorldSettings | None = None) -> None:
        self.settings = one = settings or WorldSettings()
        self.examination: F64 = np.arange(1, one.places + 1, dtype=np.float64) ** -one.eta
        """(places,) the chance that each place is looked at."""
        self._make_people(np.random.default_rng([one.seed, 1]))
        self._make_items(np.random.default_rng([one.seed, 2]))
        self._make_visits(np.random.default_rng([one.seed, 3]))
        self._chunk = max(1, min(_CHUNK, _CELLS // len(self.arrival)))

    def _make_people(self, rng: np.random.Generator) -> None:
        one, topics = self.settings, len(TOPICS)
        n = one.people
        order = rng.permuted(np.tile(np.arange(topics), (n, 1)), axis=1)
        self.loved: I64 = order[:, : one.interests]
        """(people, interests) loved topics at the beginning, the first most."""
        self.shifted = rng.permutation(n) < round(n * one.shift_share)
        """(people,) whose taste changes at ``settings.shift``."""
        self.loved_later: I64 = np.where(
            self.shifted[:, None], order[:, one.interests : 2 * one.interests], self.loved
        ).astype(np.int64)
        """(people, interests) loved topics from then on."""
        self._mean = np.zeros((2, n, topics))
        strength = one.taste * 0.8 ** np.arange(one.interests)
        for late, loved in enumerate((self.loved, self.loved_later)):
            np.put_along_axis(self._mean[late], loved, np.tile(strength, (n, 1)), axis=1)
        self._pace = rng.normal(size=(n, topics, _WAVES)) / (one.drift_days * DAY_MS)
        self._phase = rng.uniform(0, 2 * np.pi, (n, topics, _WAVES))
        self.reads_chinese = rng.permutation(n) < round(n * one.chinese)
        """(people,) who read Chinese."""
        weight = np.exp(one.activity * rng.normal(size=n))
        self.activity: F64 = weight / weight.sum()
        """(people,) share of the visits that each makes."""

    def _make_items(self, rng: np.random.Generator) -> None:
        one = self.settings
        new = int(one.new_a_day * one.days)
        n = one.items + new
        late = np.sort(rng.uniform(one.start, one.end, new)).astype(np.int64)
        self.arrival: I64 = np.concatenate([np.full(one.items, one.start, np.int64), late])
        """(n,) when each item is there, Unix milliseconds, ascending; the first ``settings.items`` from the start."""
        self.topic: I64 = rng.integers(0, len(TOPICS), n)
        """(n,) the first topic of each item."""
        self.second: I64 = (self.topic + rng.integers(1, len(TOPICS), n)) % len(TOPICS)
        """(n,) its second one."""
        self.chinese = rng.random(n) < one.chinese
        """(n,) which items are in Chinese."""
        self.tagged = rng.random(n) < one.tagged
        self.quality: F64 = one.quality * rng.normal(size=n)
        """(n,) logits."""
        self._height: F64 = np.where(rng.random(n) < one.trending, one.trend, 0.0)
        self._peak: F64 = self.arrival + rng.random(n) * (one.end - self.arrival)
        self._hour: F64 = rng.random(len(TOPICS))

    def _make_visits(self, rng: np.random.Generator) -> None:
        one = self.settings
        grid = np.linspace(0.0, one.days, max(2, int(one.days * 48) + 1))
        wave = one.rhythm / (2 * np.pi) * np.sin(2 * np.pi * (grid - _BEST_HOUR))
        rate = grid + wave - wave[0]
        moments = np.asarray(np.interp(np.sort(rng.random(one.visits)) * rate[-1], rate, grid), np.float64)
        self.times: I64 = one.start + 1 + (moments * DAY_MS).astype(np.int64)
        """(visits,) when each ranking is asked for, Unix milliseconds, ascending."""
        self.visitors: I64 = rng.choice(one.people, one.visits, p=self.activity)
        """(visits,) by whom."""

    # ------------------------------------------------------------------------------ names

    def user(self, person: int, time: int) -> User:
        """The event that introduces a person at ``time``, ms: their language is all that is said of them."""
        name, language = self.user_id(person), "zh" if self.reads_chinese[person] else "en"
        return User(id=f"{self.settings.prefix}user-{person}", timestamp=time, user=name, fields={"language": language})

    def user_id(self, person: int) -> str:
        return f"{self.settings.prefix}p{person}"

    def item(self, number: int) -> Item:
        """The event that introduces an item, at its arrival, with text (and tags where it has some)."""
        one = self.settings
        rng = np.random.default_rng([one.seed, 4, number])
        made = fields_of(
            int(self.topic[number]), int(self.second[number]), bool(self.chinese[number]), bool(self.tagged[number]),
            number, rng,
        )  # fmt: skip
        when, name = int(self.arrival[number]), self.item_id(number)
        return Item(id=f"{one.prefix}item-{number}", timestamp=when, item=name, fields=made)

    def item_id(self, number: int) -> str:
        return f"{self.settings.prefix}i{number}"

    def there(self, time: int) -> int:
        """How many items there are at a moment: those numbered below."""
        return int(np.searchsorted(self.arrival, time, "right"))

    # ------------------------------------------------------------------------------ truth

    def taste(self, people: I64, times: I64) -> F64:
        """(n, topics) logits that every topic is worth to ``people`` (n,) at ``times`` (n,), the hour left out.

        Loved topics, and a stationary Gaussian process around them: a sum of cosines of random pace (random Fourier
        features; Rahimi and Recht 2007), so that every moment can be asked for by itself.
        """
        one = self.settings
        late = np.zeros(len(people), np.int64) if one.shift is None else (times >= one.shift).astype(np.int64)
        angle = self._pace[people] * (times - one.start)[:, None, None] + self._phase[people]
        return self._mean[late, people] + one.drift * np.sqrt(2 / _WAVES) * np.cos(angle).sum(axis=2)

    def attraction(self, people: I64, items: I64, times: I64) -> F64:
        """(n, m) α of ``items`` (n, m) for ``people`` (n,) at ``times`` (n,) ms: how likely each clicks on what they
        look at, where they haven't clicked it before (then it is ``settings.repeat`` times that)."""
        one = self.settings
        day = (times % DAY_MS)[:, None] / DAY_MS
        worth = self.taste(people, times) + one.rhythm_topics * np.cos(2 * np.pi * (day - self._hour))
        logits = one.level + _MAIN * np.take_along_axis(worth, self.topic[items], axis=1)
        logits += _SECOND * np.take_along_axis(worth, self.second[items], axis=1) + self.quality[items]
        logits += self.trend(items, times)
        logits += one.foreign * (self.chinese[items] != self.reads_chinese[people][:, None])
        return 1.0 / (1.0 + np.exp(-logits))

    def trend(self, items: I64, times: I64) -> F64:
        """(n, m) logits that trends add to ``items`` (n, m) at ``times`` (n,)."""
        away = (times[:, None] - self._peak[items]) / (self.settings.trend_days * DAY_MS)
        return self._height[items] * np.exp(-0.5 * away**2)

    def worth(self, attraction: F64) -> float:
        """Clicks expected of a slate, exactly: the sum of examination × α over its places. attraction: (k,)."""
        return float(attraction @ self.examination[: len(attraction)])

    def best(self, attraction: F64) -> I64:
        """(k,) places of the best possible slate among candidates of attraction (m,), best first."""
        k = min(self.settings.places, len(attraction))
        if k < len(attraction):
            some = np.argpartition(-attraction, k - 1)[:k]
            return some[np.argsort(-attraction[some], kind="stable")]
        return np.argsort(-attraction, kind="stable")

    def random_worth(self, attraction: F64) -> float:
        """Clicks expected of a slate that is drawn uniformly, exactly."""
        return float(attraction.mean() * self.examination[: len(attraction)].sum())

    # ------------------------------------------------------------------------------ visits

    def chunks(self, first: int = 0) -> Iterator[Chunk]:
        """The visits in order, some at a time, the first of them with number ``first`` or a little below."""
        for number in range(first // self._chunk, -(-self.settings.visits // self._chunk)):
            start = number * self._chunk
            stop = min(start + self._chunk, self.settings.visits)
            people, times = self.visitors[start:stop], self.times[start:stop]
            there = np.searchsorted(self.arrival, times, "right")
            most, few = int(there[-1]), self.settings.candidates
            if few:
                key = np.random.default_rng([self.settings.seed, 5, number]).random((stop - start, most))
                key[np.arange(most)[None, :] >= there[:, None]] = 2.0
                chosen: I64 = np.argpartition(key, few - 1, axis=1)[:, :few].astype(np.int64)
                alpha = self.attraction(people, chosen, times)
                yield Chunk(start, people, times, list(chosen), list(alpha))
            else:
                every: I64 = np.tile(np.arange(most), (stop - start, 1))
                alpha = self.attraction(people, every, times)
                counts: list[int] = there.tolist()
                yield Chunk(
                    start, people, times, [every[row, :n] for row, n in enumerate(counts)],
                    [alpha[row, :n] for row, n in enumerate(counts)],
                )  # fmt: skip

    def chance(self, first: int, size: int) -> F64:
        """(size, places, 7) uniform numbers: all chance of the visits of a chunk that begins at ``first``, the same
        whoever ranks."""
        rng = np.random.default_rng([self.settings.seed, 6, first])
        return rng.random((size, self.settings.places, 7))
