"""Playing a ranker in a world: visits come, it ranks, people look and click, it hears of that in time; all is counted.

The chance of everything is the world's, visit by visit, so that two rankers that show the same see the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.errors import InvalidInput
from palate.types import F64, I64, Bools, Event, Impression, Interaction
from palate.world.rankers import Choose, Reference, Shown, Visit
from palate.world.settings import DAY_MS, WorldSettings
from palate.world.truth import World

if TYPE_CHECKING:
    from palate.world import Ranker

Progress = Callable[[str, int, int], None]
_LOOK_MS = 2_000
"""Between a place and the next: a click on place k happens k times as long after the visit."""
_LOOKED, _CLICKED, _REPORTED, _BOUGHT, _WHEN, _RATED, _NOISE = range(7)
"""Columns of ``World.chance``; hiding, which a click excludes, takes a click's ``_BOUGHT``."""


@dataclass
class Played:
    """What was counted, a row a visit, n of them. All values are expectations of the truth, not drawn clicks, but for
    ``clicks`` and ``purchases``.

    people, times: of the visits; changed: (n,) whether the person's tastes change at the shift. reward: (n,) clicks
    expected of what was shown; best, at_random: of the best possible slate and of one drawn uniformly, of the same
    candidates and the same past. heard: (n,) interactions of this person that were reported since tastes changed, −1
    before. items: (n, places) shown, −1 for none. propensity: likewise, NaN where it isn't known. Of candidates that
    are new (``new_days``): fresh: (n,) exposure (the sum of examination) that they got; fair: what they would get in
    proportion to α; fresh_best: what the best possible slate gives them.

    Of every new candidate of every visit: chance, shown_before: how often it had been a candidate, and shown, before;
    given, due: its exposure and its fair one; whose: the person.
    """

    settings: WorldSettings
    ranker: str
    people: I64
    times: I64
    changed: Bools
    reward: F64
    best: F64
    at_random: F64
    clicks: I64
    purchases: int
    heard: I64
    items: I64
    propensity: F64
    fresh: F64
    fair: F64
    fresh_best: F64
    chance: I64
    given: F64
    due: F64
    whose: I64
    shown_before: I64

    @property
    def regret(self) -> F64:
        """(n,) clicks expected that the best possible slate would have brought beyond."""
        return self.best - self.reward


@dataclass
class _News:
    """Events on their way to the platform."""

    waiting: list[tuple[int, int, Event]] = field(default_factory=list[tuple[int, int, Event]])
    count: int = 0

    def add(self, due: int, event: Event) -> None:
        heapq.heappush(self.waiting, (due, self.count, event))
        self.count += 1

    def until(self, time: int) -> list[Event]:
        found: list[Event] = []
        while self.waiting and self.waiting[0][0] <= time:
            found.append(heapq.heappop(self.waiting)[2])
        return found


class Play:
    """A play that can be paused: ``run`` some visits, do something (train, change a setting), ``run`` on."""

    def __init__(self, world: World, ranker: Ranker | Choose) -> None:
        self.world = world
        self.ranker: Ranker = Reference(getattr(ranker, "__name__", "ranker"), ranker) if callable(ranker) else ranker
        one, n = world.settings, world.settings.visits
        self.done = 0
        self._had: dict[int, Bools] = {}
        self._known = np.zeros(one.people, np.bool_)
        self._items = 0
        self._news = _News()
        self._since = np.zeros(one.people, np.int64)
        self._values = np.zeros((n, 6))
        self._clicks = np.zeros(n, np.int64)
        self._purchases = 0
        self._heard: I64 = np.full(n, -1, np.int64)
        self._shown: I64 = np.full((n, one.places), -1, np.int64)
        self._propensity = np.full((n, one.places), np.nan)
        self._chances: I64 = np.zeros(len(world.arrival), np.int64)
        self._times_shown: I64 = np.zeros(len(world.arrival), np.int64)
        self._fresh: list[tuple[int, I64, I64, F64, F64]] = []
        self._at: I64 = np.zeros(len(world.arrival), np.int64)

    def run(self, steps: int | None = None, progress: Progress | None = None) -> Played:
        """The next ``steps`` visits, all that are left by default; then all that was counted so far.

        progress: told (``play``, done, visits). Errors: ``InvalidInput`` where the ranker shows what it mustn't.
        Cost beside the ranker's: some 150 µs a visit of 40 candidates.
        """
        total = self.world.settings.visits
        stop = total if steps is None else min(total, self.done + steps)
        for chunk in self.world.chunks(self.done):
            if self.done >= stop:
                break
            draws = self.world.chance(chunk.first, len(chunk.people))
            people, times = chunk.people.tolist(), chunk.times.tolist()
            for at in range(self.done - chunk.first, min(len(people), stop - chunk.first)):
                self._visit(people[at], times[at], chunk.candidates[at], chunk.attraction[at], draws[at])
            if progress is not None:
                progress("play", self.done, total)
        if self.done == total:
            self.ranker.end(self._arriving(self.world.settings.end))
        return self.played()

    def _visit(self, person: int, time: int, candidates: I64, attraction: F64, draws: F64) -> None:
        world, one = self.world, self.world.settings
        number = self.done
        had = self._had.get(person)
        if had is not None and one.repeat < 1.0:
            attraction = np.where(had[candidates], one.repeat * attraction, attraction)
        news = self._arriving(time)
        if not self._known[person]:
            self._known[person] = True
            news.append(world.user(person, time))
        user = world.user_id(person)
        visit = Visit(number, person, user, time, candidates, one.places, one.candidates == 0, attraction)
        shift = one.shift
        if shift is not None and time >= shift:
            self._heard[number] = self._since[person]
        shown = self.ranker.rank(visit, news)
        places = self._places(visit, shown)
        alpha = attraction[places]
        best = world.best(attraction)
        self._values[number, :3] = world.worth(alpha), world.worth(attraction[best]), world.random_worth(attraction)
        self._count_new(visit, places, best)
        self._answer(visit, shown, alpha, draws)
        self.done = number + 1

    def _arriving(self, time: int) -> list[Event]:
        """New items, and what is reported by ``time``."""
        there = self.world.there(time)
        news: list[Event] = [self.world.item(number) for number in range(self._items, there)]
        self._items = max(self._items, there)
        reported = self._news.until(time)
        shift = self.world.settings.shift
        for event in reported:
            if isinstance(event, Interaction) and shift is not None and int(event.timestamp or 0) >= shift:
                self._since[int((event.user or "")[len(self.world.settings.prefix) + 1 :])] += 1
        return news + reported

    def _places(self, visit: Visit, shown: Shown) -> I64:
        """(k,) where in the candidates the shown items stand. Errors: ``InvalidInput``."""
        name, chosen = self.ranker.name, list(shown.items)
        if len(chosen) > visit.k or len(set(chosen)) < len(chosen):
            raise InvalidInput(
                f"The ranker {name} shows an item twice, or more than {visit.k}, at visit {visit.number}."
            )
        items = np.array(chosen, np.int64)
        known = (items >= 0) & (items < len(self._at))
        self._at[visit.candidates] = np.arange(len(visit.candidates))
        places = self._at[np.where(known, items, 0)]
        inside = known & (places < len(visit.candidates))
        inside &= visit.candidates[np.minimum(places, len(visit.candidates) - 1)] == items
        if not inside.all():
            wrong = items[~inside][0]
            raise InvalidInput(f"The ranker {name} shows item {wrong}, which is no candidate, at visit {visit.number}.")
        return places

    def _count_new(self, visit: Visit, places: I64, best: I64) -> None:
        world, one = self.world, self.world.settings
        cells = visit.candidates
        fresh = (cells >= one.items) & (visit.time - world.arrival[cells] < one.new_days * DAY_MS)
        if not fresh.any():
            return
        exposure, ideal = np.zeros(len(cells)), np.zeros(len(cells))
        exposure[places] = world.examination[: len(places)]
        ideal[best] = world.examination[: len(best)]
        fair = visit.truth / visit.truth.sum() * ideal.sum()
        self._values[visit.number, 3:] = exposure[fresh].sum(), fair[fresh].sum(), ideal[fresh].sum()
        new = cells[fresh]
        self._fresh.append((visit.person, self._chances[new], self._times_shown[new], exposure[fresh], fair[fresh]))
        self._chances[new] += 1

    def _answer(self, visit: Visit, shown: Shown, alpha: F64, draws: F64) -> None:
        """People look and click; what comes of it goes on its way to the platform."""
        world, one, number, k = self.world, self.world.settings, visit.number, len(alpha)
        self._shown[number, :k] = shown.items
        if len(shown.propensity):
            self._propensity[number, :k] = list(shown.propensity)[:k]
        self._times_shown[self._shown[number, :k]] += 1
        looked = draws[:k, _LOOKED] < world.examination[:k]
        clicked = looked & (draws[:k, _CLICKED] < alpha)
        items: list[int] = self._shown[number, :k].tolist()
        names = [world.item_id(item) for item in items]
        stem, user, ranking = f"{one.prefix}{number}", visit.user, shown.ranking
        if names:
            seen = Impression(id=f"{stem}-seen", timestamp=visit.time, user=user, items=names, ranking=ranking)
            self._news.add(visit.time, seen)
        for place in np.flatnonzero(looked).tolist():
            draw: list[float] = draws[place].tolist()
            when, mine = visit.time + _LOOK_MS * (place + 1), float(alpha[place])

            def did(kind: str, at: int, due: int, value: float | None = None, place: int = place) -> None:
                event = Interaction(
                    id=f"{stem}-{kind}-{place}", timestamp=at, user=user, item=names[place], type=kind, value=value,
                    ranking=ranking,
                )  # fmt: skip
                self._news.add(due, event)

            if not clicked[place]:
                if draw[_BOUGHT] < one.hides * (1.0 - mine) ** 2:
                    did("hide", when, when)
                continue
            due = when + round(_exponential(draw[_REPORTED]) * one.report_minutes * 60_000)
            did("click", when, due)
            if draw[_BOUGHT] < one.conversion * mine:
                later = when + round(_exponential(draw[_WHEN]) * one.conversion_hours * 3_600_000)
                did("purchase", later, max(later, due))
                self._purchases += 1
            if draw[_RATED] < one.rates:
                stars = min(5.0, max(1.0, round(1.0 + 4.0 * mine + draw[_NOISE] - 0.5)))
                did("rating", when + 60_000, max(when + 60_000, due), float(stars))
            if (had := self._had.get(visit.person)) is None:
                had = self._had[visit.person] = np.zeros(len(world.arrival), np.bool_)
            had[items[place]] = True
        self._clicks[number] = int(clicked.sum())

    def played(self) -> Played:
        """All that was counted so far."""
        n, world = self.done, self.world
        people = world.visitors[:n]
        reward, best, chance, fresh, fair, ideal = self._values[:n].T.copy()
        whose = np.repeat(
            np.array([person for person, *_ in self._fresh], np.int64), [len(part[1]) for part in self._fresh]
        )
        columns = [np.concatenate([part[at] for part in self._fresh]) if self._fresh else np.zeros(0) for at in (1, 2)]
        values = [np.concatenate([part[at] for part in self._fresh]) if self._fresh else np.zeros(0) for at in (3, 4)]
        return Played(
            world.settings, self.ranker.name, people, world.times[:n], world.shifted[people], reward, best, chance,
            self._clicks[:n].copy(),
            self._purchases, self._heard[:n].copy(), self._shown[:n].copy(), self._propensity[:n].copy(), fresh, fair,
            ideal, columns[0].astype(np.int64), values[0], values[1], whose, columns[1].astype(np.int64),
        )  # fmt: skip


def _exponential(uniform: float) -> float:
    return float(-np.log1p(-uniform))


def play(world: World, ranker: Ranker | Choose, steps: int | None = None, progress: Progress | None = None) -> Played:
    """Play ``ranker`` for ``steps`` visits, all by default. See ``Play.run``."""
    return Play(world, ranker).run(steps, progress)


def pooled(parts: Sequence[Played]) -> Played:
    """Plays of one ranker in worlds that differ by their seed alone, as one play of all their people."""
    first, people = parts[0], 0
    columns: dict[str, list[Any]] = {}
    for part in parts:
        for one in fields(part):
            value = getattr(part, one.name)
            if one.name in ("people", "whose"):
                value = value + people
            columns.setdefault(one.name, []).append(value)
        people += part.settings.people
    made = {
        name: np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]
        for name, values in columns.items()
    }
    made["purchases"] = sum(part.purchases for part in parts)
    return replace(first, **made)
