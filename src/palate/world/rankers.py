"""What plays in a world: Palate in this process, and references that anything can be held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from palate.engine import Engine
from palate.types import F64, I64, Event, Interaction, Item, Ranking, RankRequest, RecommendRequest, Seen
from palate.world.truth import World


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody asks for a ranking. candidates: (m,) item numbers; every: they are all there are, so that the platform
    may retrieve; k: places. truth: (m,) α of each now. It is for references: a platform can't know it."""

    number: int
    person: int
    user: str
    time: int
    candidates: I64
    k: int
    every: bool
    truth: F64


@dataclass(frozen=True, slots=True)
class Shown:
    """What a ranker answers. items: item numbers, best first; propensity: of each given those above, where known;
    ranking: the id under which the platform logged it, for events to name."""

    items: Sequence[int]
    propensity: Sequence[float] = ()
    ranking: str | None = None


Choose = Callable[[Visit], Sequence[int]]
"""The least a ranker can be: a function from a visit to item numbers, best first."""


class Reference:
    """A ranker made of a function; what happens in the world it doesn't hear."""

    def __init__(self, name: str, choose: Choose) -> None:
        self.name = name
        self._choose = choose

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        return Shown(self._choose(visit))

    def end(self, news: Sequence[Event]) -> None:
        pass


def best_possible() -> Reference:
    """Ranks by the truth: no regret."""

    def choose(visit: Visit) -> Sequence[int]:
        if visit.k < len(visit.truth):
            some = np.argpartition(-visit.truth, visit.k - 1)[: visit.k]
        else:
            some = np.arange(len(visit.truth))
        return visit.candidates[some[np.argsort(-visit.truth[some], kind="stable")]].tolist()

    return Reference("best", choose)


def at_random(seed: int = 1) -> Reference:
    """Any order, uniformly."""
    rng = np.random.default_rng([seed, 7])

    def choose(visit: Visit) -> Sequence[int]:
        return visit.candidates[rng.permutation(len(visit.candidates))[: visit.k]].tolist()

    return Reference("random", choose)


class Popular:
    """The most clicked first, clicks losing half their weight every ``half_life`` days; the same for everybody."""

    def __init__(self, world: World, half_life: float = 7.0) -> None:
        self.name = "popular"
        self._rate = np.log(2) / (half_life * 86_400_000)
        self._start = world.settings.start
        self._count = np.zeros(len(world.arrival))
        self._numbers = Numbers(world)

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        self.end(news)
        count = self._count[visit.candidates]
        return Shown(visit.candidates[np.argsort(-count, kind="stable")[: visit.k]].tolist())

    def end(self, news: Sequence[Event]) -> None:
        for event in news:
            if isinstance(event, Interaction) and event.type == "click":
                # Growing weights order items as shrinking ones would, and nothing has to be aged.
                age = self._rate * (int(event.timestamp or 0) - self._start)
                self._count[self._numbers.of(event.item)] += np.exp(min(age, 600.0))


class Numbers:
    """Item numbers by name."""

    def __init__(self, world: World) -> None:
        self._skip = len(world.settings.prefix) + 1

    def of(self, name: str) -> int:
        return int(name[self._skip :])


def request_of(visit: Visit, world: World, policy: str | None, seen: Seen) -> RecommendRequest:
    """The visit as Palate is asked: ``rank`` where candidates are given, ``recommend`` where all items are."""
    if visit.every:
        return RecommendRequest(user=visit.user, k=visit.k, policy=policy, seen=seen)
    names: list[Any] = [world.item_id(number) for number in visit.candidates.tolist()]
    return RankRequest(user=visit.user, items=names, k=visit.k, policy=policy, seen=seen)


def shown_of(answer: Ranking, numbers: Numbers) -> Shown:
    """An answer of Palate's, as item numbers."""
    return Shown(
        [numbers.of(item.id) for item in answer.items], [item.propensity for item in answer.items], answer.ranking
    )


def seen_in(world: World) -> Seen:
    """What fits a world: where people hardly want again what they had, it is left out."""
    return "drop" if world.settings.repeat < 0.5 else "keep"


@dataclass
class InProcess:
    """An open engine. policy: named in every request, or None for its settings'; seen: by default as fits the world.

    Events reach it, and are in its state, before the ranking that follows them; texts are encoded by then, too.
    """

    engine: Engine
    world: World
    policy: str | None = None
    seen: Seen | None = None
    name: str = "palate"
    _numbers: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = Numbers(self.world)
        self.seen = self.seen or seen_in(self.world)

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        self.end(news)
        request = request_of(visit, self.world, self.policy, self.seen or "keep")
        return shown_of(self.engine.answer(request, now=visit.time), self._numbers)

    def end(self, news: Sequence[Event]) -> None:
        if news:
            self.engine.ingest(news)
            if any(isinstance(event, Item) for event in news):
                self.engine.wait_encoded()
