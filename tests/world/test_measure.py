"""Measures of plays whose answer is known: by rankers that recover, and show new items, when they are told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from palate.evaluate.bootstrap import by_user
from palate.types import Interaction
from palate.world import Shown, World, WorldSettings, at_random, best_possible, play
from palate.world.measure import EVENTS, Ratios, measured, recovery
from palate.world.play import pooled
from palate.world.rankers import Visit
from palate.world.report import drawings, render_html

WORLD = World(WorldSettings(visits=3000, people=30, items=200, days=12.0, shift_day=6.0))


class Recovering:
    """Knows the truth, but for people whose tastes changed: it guesses until it has heard ``after`` things of them."""

    name = "recovering"

    def __init__(self, after: int) -> None:
        self.after = after
        self.best, self.chance = best_possible(), at_random()
        self.heard: dict[str, int] = {}

    def rank(self, visit, news):
        shift = WORLD.settings.shift
        for event in news:
            if isinstance(event, Interaction) and event.timestamp >= shift:
                self.heard[event.user] = self.heard.get(event.user, 0) + 1
        lost = visit.time >= shift and WORLD.shifted[visit.person] and self.heard.get(visit.user, 0) < self.after
        return (self.chance if lost else self.best).rank(visit, news)

    def end(self, news):
        pass


class Shy:
    """Guesses, among items that aren't new or have been candidates ``after`` times before."""

    name = "shy"

    def __init__(self, after: float) -> None:
        self.after = after
        self.seen = np.zeros(len(WORLD.arrival))
        self.rng = np.random.default_rng(3)

    def rank(self, visit, news):
        old = (visit.candidates < WORLD.settings.items) | (self.seen[visit.candidates] >= self.after)
        self.seen[visit.candidates] += 1
        return Shown(self.rng.permutation(visit.candidates[old])[: visit.k].tolist())

    def end(self, news):
        pass


@pytest.mark.parametrize("after", [0, 6, 15])
def test_recovery_is_found_where_it_happens(after: int) -> None:
    found = measured(play(WORLD, Recovering(after)), resamples=50).adaptation
    assert found is not None
    assert found.before.value == pytest.approx(1.0)
    assert found.recovered == after
    early = [value for x, value in zip(found.after.x, found.after.value, strict=True) if x + 2 <= after]
    late = [value for x, value in zip(found.after.x, found.after.value, strict=True) if x >= after]
    assert all(value < 0.5 for value in early)
    assert all(value == pytest.approx(1.0) for value in late)
    if after:
        assert found.recovered_low is not None
        assert found.recovered_low <= after


def test_what_never_recovers_says_so() -> None:
    found = measured(play(WORLD, Recovering(10 * EVENTS)), resamples=50)
    assert found.adaptation is not None
    assert found.adaptation.recovered is None
    calm = World(WorldSettings(visits=300, shift_day=30.0))
    assert measured(play(calm, at_random()), resamples=50).adaptation is None


@pytest.mark.parametrize("after", [0, 16])
def test_new_items_are_fair_from_when_they_are(after: int) -> None:
    found = measured(play(WORLD, Shy(after)), resamples=50).exposure
    assert found is not None
    assert found.chances == after
    assert found.impressions is not None
    assert (found.impressions > 0) == (after > 0) or found.impressions < 1
    never = measured(play(WORLD, Shy(np.inf)), resamples=50).exposure
    assert never is not None
    assert (never.ratio.value, never.chances, never.impressions) == (0.0, None, None)


def test_totals_and_scales_are_what_they_say() -> None:
    played = play(WORLD, at_random())
    found, best = measured(played, resamples=200), measured(play(WORLD, best_possible()), resamples=50)
    assert found.regret_so_far.value[-1] == pytest.approx(played.regret.sum() / found.people)
    assert sum(found.regret_so_far.count) == found.visits == 3000
    assert found.reward.value == pytest.approx(played.reward.mean())
    assert found.quality.value == pytest.approx(played.reward.sum() / played.best.sum())
    assert found.skill.low < 0.0 < found.skill.high
    assert (best.quality.value, best.skill.value, best.regret.value) == (1.0, 1.0, 0.0)
    assert [value <= 1.0 for value in best.quality_by_day.value if value is not None]


def test_pooled_plays_are_one_of_all_their_people() -> None:
    worlds = [World(WorldSettings(visits=400, people=10, shift_day=10.0, seed=seed)) for seed in (1, 2)]
    parts = [play(world, at_random()) for world in worlds]
    whole = pooled(parts)
    found = measured(whole, resamples=50)
    assert (found.visits, found.people) == (800, sum(len(np.unique(part.people)) for part in parts))
    assert found.reward.value == pytest.approx(np.mean([part.reward.mean() for part in parts]))
    assert found.purchases == sum(part.purchases for part in parts)
    assert whole.whose.max() >= 10
    assert np.array_equal(whole.changed, np.concatenate([part.changed for part in parts]))


def test_nothing_played_or_shown_is_no_error() -> None:
    nothing = measured(play(WORLD, at_random(), 0), resamples=50)
    assert (nothing.visits, nothing.reward.value, nothing.exposure) == (0, None, None)
    blank = measured(play(WORLD, lambda visit: [], 200), resamples=50)
    assert (blank.reward.value, blank.clicks) == (0.0, 0)
    assert blank.regret.value > 0


def test_a_mean_has_the_interval_that_evaluation_gives_it() -> None:
    rng = np.random.default_rng(4)
    people = rng.integers(0, 40, 600)
    values = rng.normal(size=600) + people / 10
    one = Ratios(people, 4000).one(values, np.ones(600))
    (other,) = by_user(values[:, None], people, 4000)
    assert one.value == pytest.approx(other.value)
    assert (one.low, one.high) == (pytest.approx(other.low, abs=0.05), pytest.approx(other.high, abs=0.05))
    alone = Ratios(np.zeros(5, np.int64)).one(np.ones(5), np.ones(5))
    assert (alone.value, alone.low, alone.high) == (1.0, None, None)


def test_the_page_holds_every_curve_and_escapes_names() -> None:
    found = [measured(play(WORLD, at_random(), 600), resamples=20)]
    names = {"random": ("<b>mine</b>", "<b>我的</b>")}
    made = drawings(found, names)
    assert [drawing["title"]["en"] for drawing in made] == [
        "Regret over time", "Quality over time", "Exposure of new items",
    ]  # fmt: skip
    page = render_html(found, [("A & B", "甲")], [("x", "x")], [[("<i>", "<i>")]], names)
    assert "A &amp; B" in page
    assert "&lt;i&gt;" in page
    assert "<b>mine" not in page


def test_a_shift_beside_the_same_world_without_it_is_seen_as_what_it_costs() -> None:
    """A ranker that knows everything loses nothing; one that goes by the tastes of before loses for ever."""
    base = WorldSettings(visits=1500, people=30, items=100, days=10.0, shift_day=5.0, shift_share=1.0, seed=3)
    shifted, same = World(base), World(dataclasses.replace(base, shift_day=10.0))

    def of_before(visit: Visit) -> Sequence[int]:
        there = same.attraction(np.array([visit.person]), visit.candidates[None, :], np.array([visit.time]))[0]
        return visit.candidates[np.argsort(-there)[: visit.k]].tolist()

    known = recovery(play(shifted, best_possible()), play(same, best_possible()))
    assert (known.every.value, known.recovered) == (pytest.approx(1.0), 0)
    lost = recovery(play(shifted, of_before), play(same, of_before))
    assert lost.every.high is not None
    assert lost.every.high < 0.6
    assert (lost.recovered, lost.recovered_low) == (None, None)
    with pytest.raises(ValueError, match="other visits"):
        recovery(play(shifted, best_possible()), play(World(dataclasses.replace(base, seed=4)), best_possible()))
