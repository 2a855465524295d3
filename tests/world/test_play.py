"""Playing: what people see is what they answer, and what is counted is the truth."""

from __future__ import annotations

import numpy as np
import pytest

from palate.errors import InvalidInput
from palate.types import Impression, Interaction, Item, User
from palate.world import Play, Played, Popular, Shown, World, WorldSettings, at_random, best_possible, play

SMALL = WorldSettings(visits=1500, people=20, items=120, days=10.0, shift_day=5.0, candidates=20)


class Listening:
    """Ranks at random and keeps what it hears."""

    name = "listening"

    def __init__(self) -> None:
        self.inner = at_random()
        self.heard: list[tuple[int, object]] = []

    def rank(self, visit, news):
        self.heard += [(visit.time, event) for event in news]
        return Shown(self.inner.rank(visit, news).items, ranking=f"r{visit.number}")

    def end(self, news):
        self.heard += [(10**15, event) for event in news]


def test_the_best_has_no_regret_and_chance_earns_what_the_truth_says_it_does() -> None:
    world = World(SMALL)
    best, chance = play(world, best_possible()), play(world, at_random())
    assert np.abs(best.regret).max() < 1e-12
    assert (chance.regret >= -1e-12).all()
    assert np.array_equal(best.best, chance.best)  # nobody tires of anything in this world
    error = (chance.reward - chance.at_random).std() / len(chance.reward) ** 0.5
    assert abs(chance.reward.mean() - chance.at_random.mean()) < 4 * error


def test_clicks_are_drawn_as_examination_and_attraction_say() -> None:
    found = play(World(SMALL), best_possible())
    assert found.clicks.mean() == pytest.approx(found.reward.mean(), abs=4 * found.clicks.std() / 1500**0.5)
    assert 0 < found.purchases < found.clicks.sum()


def test_a_play_in_parts_is_a_play_at_once_and_the_same_again() -> None:
    world = World(SMALL)
    parts = Play(world, at_random())
    for steps in (1, 700, 10, None):
        last = parts.run(steps)
    whole = play(world, at_random())
    for name in ("reward", "clicks", "heard", "items", "fresh", "given", "chance", "due"):
        assert np.array_equal(getattr(last, name), getattr(whole, name)), name
    assert parts.done == 1500
    assert len(play(world, at_random(), 30).reward) == 30


def test_the_platform_hears_of_everything_in_time_and_of_nothing_before_it_happened() -> None:
    world, ranker = World(SMALL), Listening()
    found = play(world, ranker)
    events = [event for _, event in ranker.heard]
    assert len({event.id for event in events}) == len(events)
    assert all(event.timestamp <= heard for heard, event in ranker.heard)
    clicks = [event for event in events if isinstance(event, Interaction) and event.type == "click"]
    assert len(clicks) == found.clicks.sum()
    assert sum(event.type == "purchase" for event in events if isinstance(event, Interaction)) <= found.purchases
    assert [event.item for event in events if isinstance(event, Item)] == [f"i{n}" for n in range(200)]
    assert len([event for event in events if isinstance(event, User)]) == len(set(found.people.tolist()))
    seen = {event.ranking: event.items for event in events if isinstance(event, Impression)}
    assert all(click.item in seen[click.ranking] for click in clicks)
    late = [
        event.timestamp - world.times[int(event.ranking[1:])]
        for event in events
        if isinstance(event, Interaction) and event.type == "purchase"
    ]
    assert np.median(late) > 3_600_000
    ratings = [event.value for event in events if isinstance(event, Interaction) and event.type == "rating"]
    assert set(ratings) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert len(set(ratings)) > 1


def test_reports_may_be_late() -> None:
    world, ranker = World(WorldSettings(visits=400, report_minutes=600.0)), Listening()
    play(world, ranker)
    late = [h - e.timestamp for h, e in ranker.heard if isinstance(e, Interaction) and e.type == "click" and h < 10**15]
    assert np.median(late) > 3_600_000


def test_heard_counts_a_persons_interactions_since_the_shift() -> None:
    world, ranker = World(SMALL), Listening()
    found = play(world, ranker)
    shift = world.settings.shift
    assert shift is not None
    assert (found.heard[found.times < shift] == -1).all()
    visit = int(np.argmax(found.heard))
    user, time = f"p{found.people[visit]}", found.times[visit]
    known = [
        event
        for heard, event in ranker.heard
        if isinstance(event, Interaction) and event.user == user and heard <= time and event.timestamp >= shift
    ]
    assert found.heard[visit] == len(known) > 5


def test_what_was_clicked_attracts_less_where_people_tire() -> None:
    tired, fresh = (play(World(WorldSettings(visits=1500, repeat=r)), best_possible()) for r in (0.0, 1.0))
    assert tired.reward[-500:].mean() < 0.9 * fresh.reward[-500:].mean()
    assert not np.array_equal(tired.best, fresh.best)


def test_new_items_fair_share_is_by_attraction_and_adds_up() -> None:
    world = World(SMALL)
    chance, popular = play(world, at_random()), play(world, Popular(world))
    assert chance.fresh.sum() == pytest.approx(chance.given.sum())
    assert chance.fair.sum() == pytest.approx(chance.due.sum())
    assert len(chance.given) == len(chance.whose) == len(chance.chance)
    assert chance.fresh.sum() / chance.fair.sum() == pytest.approx(1.0, abs=0.15)
    assert popular.fresh.sum() < 0.8 * chance.fresh.sum()
    assert popular.reward.mean() > 1.1 * chance.reward.mean()


def test_a_ranker_that_shows_what_it_must_not_is_told() -> None:
    world = World(SMALL)
    for items, words in (
        ([1, 1], "shows an item twice"),
        ([10**6], "no candidate"),
        ([-1], "no candidate"),
        (list(range(6)), "more than 5"),
    ):
        with pytest.raises(InvalidInput, match=words):
            play(world, lambda visit, items=items: items)


def test_all_items_may_be_candidates() -> None:
    world = World(WorldSettings(visits=300, candidates=0))
    found: Played = play(world, best_possible())
    assert np.abs(found.regret).max() < 1e-12
    assert found.items.max() >= 500
