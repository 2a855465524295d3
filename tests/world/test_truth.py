"""The world's truth: a function of its settings, and what each setting says it is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from palate.errors import InvalidInput
from palate.world import World, WorldSettings
from palate.world.settings import DAY_MS, START
from palate.world.text import TOPICS

PLAIN = WorldSettings(visits=500, people=20, items=100, drift=0.0, trending=0.0, rhythm_topics=0.0, quality=0.0)


def alone(**changes: object) -> World:
    return World(dataclasses.replace(PLAIN, **changes))


def everything(world: World, time: int) -> np.ndarray:
    """(people, items) α of all at a moment."""
    people = np.arange(world.settings.people)
    items = np.tile(np.arange(len(world.arrival)), (len(people), 1))
    return world.attraction(people, items, np.full(len(people), time))


def test_equal_settings_make_equal_worlds_and_another_seed_another() -> None:
    one, other, third = World(PLAIN), World(PLAIN), alone(seed=2)
    for first, second in zip(one.chunks(), other.chunks(), strict=True):
        assert np.array_equal(first.people, second.people)
        assert all(map(np.array_equal, first.candidates, second.candidates))
        assert all(map(np.array_equal, first.attraction, second.attraction))
        assert np.array_equal(one.chance(first.first, 5), other.chance(first.first, 5))
    assert [one.item(n) for n in range(20)] == [other.item(n) for n in range(20)]
    assert not np.array_equal(one.times, third.times)


def test_a_chunk_is_the_truth_asked_for_by_itself() -> None:
    world = World(WorldSettings(visits=600))
    chunk = list(world.chunks())[1]
    row = 40
    found = world.attraction(chunk.people[[row]], chunk.candidates[row][None, :], chunk.times[[row]])
    assert np.allclose(found[0], chunk.attraction[row])
    assert len(set(chunk.candidates[row].tolist())) == world.settings.candidates
    assert (world.arrival[chunk.candidates[row]] <= chunk.times[row]).all()


def test_loved_topics_attract_as_the_settings_say_and_change_at_the_shift_for_those_alone_who_shift() -> None:
    world = alone(foreign=0.0)
    before, after = (everything(world, START + round(day * DAY_MS)) for day in (14.99, 15.0))
    for person in range(20):
        mine = (world.topic == world.loved[person, 0]) & ~np.isin(world.second, world.loved[person])
        assert np.allclose(before[person, mine], 1 / (1 + np.exp(3.0 - 0.8 * 3.0)))
        other = ~np.isin(world.topic, world.loved[person]) & ~np.isin(world.second, world.loved[person])
        assert np.allclose(before[person, other], 1 / (1 + np.exp(3.0)))
    changed = np.abs(before - after).max(axis=1) > 0
    assert np.array_equal(changed, world.shifted)
    assert changed.sum() == 10
    both = [set(world.loved[p]) & set(world.loved_later[p]) for p in np.flatnonzero(world.shifted)]
    assert not any(both)
    assert alone(shift_day=30.0).settings.shift is None


def test_tastes_wander_slowly_and_by_as_much_as_they_are_told_to() -> None:
    world = alone(drift=0.4, people=400, taste=0.0, shift_day=99.0)
    people, when = np.arange(400), np.full(400, START + 5 * DAY_MS)
    now = world.taste(people, when)
    assert now.std() == pytest.approx(0.4, rel=0.05)
    soon, late = world.taste(people, when + DAY_MS // 2), world.taste(people, when + 25 * DAY_MS)
    assert np.corrcoef(now.ravel(), soon.ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(now.ravel(), late.ravel())[0, 1]) < 0.2


def test_trends_rise_and_fall_and_foreign_items_attract_less() -> None:
    world = alone(trending=1.0, trend=2.0)
    items = np.arange(len(world.arrival))[None, :]
    days = [world.trend(items, np.array([START + day * DAY_MS]))[0] for day in range(30)]
    height = np.max(days, axis=0)
    assert (height > 1.5).mean() > 0.9
    assert (np.min(days, axis=0) < 0.01).mean() > 0.9
    plain, gap = everything(alone(), START), everything(alone(foreign=0.0), START)
    same = alone().chinese[None, :] == alone().reads_chinese[:, None]
    assert np.allclose(plain[same], gap[same])
    assert (plain[~same] < gap[~same]).all()


def test_the_best_slate_is_the_best_of_all_and_worth_is_expected_clicks() -> None:
    world = alone(places=2, candidates=4)
    alpha = np.array([0.1, 0.6, 0.3, 0.6])
    worths = {(a, b): world.worth(alpha[[a, b]]) for a in range(4) for b in range(4) if a != b}
    assert worths[tuple(world.best(alpha).tolist())] == max(worths.values()) == pytest.approx(0.6 + 0.5 * 0.6)
    assert world.random_worth(alpha) == pytest.approx(np.mean(list(worths.values())))


def test_visits_follow_the_day_and_new_items_arrive_in_time() -> None:
    world = World(WorldSettings(visits=20_000))
    hours = world.times % DAY_MS / 3_600_000
    assert ((hours > 18) & (hours < 22)).sum() > 3 * ((hours > 6) & (hours < 10)).sum()
    assert (np.diff(world.times) >= 0).all()
    assert world.there(START) == 500
    assert world.there(world.settings.end) == len(world.arrival) == 500 + 8 * 30
    assert world.item(600).timestamp == world.arrival[600]


def test_texts_name_their_topic_in_the_language_of_the_item_and_no_two_are_equal() -> None:
    world = World(PLAIN)
    made = [world.item(number) for number in range(100)]
    assert len({str(one.fields["title"]) for one in made}) == 100
    for number, one in enumerate(made):
        topic, chinese = TOPICS[int(world.topic[number])], bool(world.chinese[number])
        words = topic.chinese if chinese else topic.english
        text = f"{one.fields['title']} {one.fields['description']}".lower()
        assert sum(word in text for word in words) >= 2
        assert one.fields["language"] == ("zh" if chinese else "en")
        assert one.fields.get("tags", [topic.name[chinese]]) == [topic.name[chinese]]
    assert 30 < sum("tags" in one.fields for one in made) < 70


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"eta": float("nan")}, "eta of the world is nan"),
        ({"people": 0}, "people of the world is 0"),
        ({"chinese": 1.5}, "between 0 and 1"),
        ({"candidates": 3}, "fewer than the 5 places"),
        ({"items": 30}, "every ranking needs 40"),
        ({"prefix": "p" * 101}, "longer than 100 bytes"),
    ],
)
def test_settings_out_of_range_are_refused_with_a_sentence(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        dataclasses.replace(PLAIN, **wrong)
