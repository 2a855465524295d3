"""Interest tags: weights, half-lives of their own, trends, evidence."""

from __future__ import annotations

import numpy as np
import pytest

from palate.people.interests import interests
from tests.engines import did, filled, item

DAY = 86_400_000


def read(days: list[float], tags: list[list[int]], weights: list[float] | None = None):
    ages = np.array(days)
    return interests(
        np.arange(len(days), dtype=np.int32),
        np.array(weights or [1.0] * len(days)),
        (100 * DAY - ages * DAY).astype(np.int64),
        ages,
        np.array(tags, np.int32),
        7.0,
        30.0,
    )


def test_what_is_renewed_each_ten_days_lasts_longer_than_a_fancy() -> None:
    found = read([0, 1, 10, 20, 30], [[1, -1], [2, -1], [2, -1], [2, -1], [2, -1]])
    lives = dict(zip(found.code.tolist(), found.half_life.tolist(), strict=True))
    assert lives[1] == 7.0, "met once: the short half-life"
    assert lives[2] == pytest.approx(2 * 29 / 3), "twice the mean gap"
    assert read([0, 60, 120], [[3], [3], [3]]).half_life.tolist() == [30.0], "never more than the long one"
    assert found.code.tolist() == [2, 1]
    assert found.weight.sum() == pytest.approx(1)
    assert found.evidence.tolist() == [4, 1]
    assert found.since.tolist() == [70 * DAY, 100 * DAY]
    assert found.last.tolist() == [99 * DAY, 100 * DAY]


def test_weights_halve_with_the_half_life() -> None:
    found = read([0, 7], [[1], [2]])
    by_tag = dict(zip(found.code.tolist(), found.weight.tolist(), strict=True))
    assert by_tag[1] / by_tag[2] == pytest.approx(2)


def test_trends() -> None:
    # Three of a tag today, three of another two months ago; one of a third now and then.
    days = [0, 0, 0, 1, 20, 40, 60, 60, 60]
    found = read(days, [[1], [1], [1], [3], [3], [3], [2], [2], [2]])
    trends = {int(code): found.trend(n) for n, code in enumerate(found.code.tolist())}
    assert (trends[1], trends[2]) == ("rising", "falling")
    few = read([0, 60], [[1], [2]])
    assert {few.trend(n) for n in range(2)} == {"steady"}, "too little to speak of a trend"


def test_disliked_and_untagged_give_nothing() -> None:
    assert len(read([0, 1], [[1], [2]], [-2.0, 0.0]).code) == 0
    assert len(read([0, 1], [[-1], [-1]]).code) == 0
    assert len(read([], np.zeros((0, 2)).tolist() or [[-1]]).code) == 0


def test_far_past_keeps_its_shares() -> None:
    now, then = read([0, 7], [[1], [2]]), read([5000, 5007], [[1], [2]])
    np.testing.assert_allclose(now.weight, then.weight)


def test_the_profile_shows_them_in_live_time() -> None:
    things = [item(f"{genre}{n}", genres=[genre], title=f"{genre} {n}") for genre in ("war", "love") for n in range(9)]
    walk = [did(n, "u", f"war{n}", when=n * DAY) for n in range(6)]
    # A hole of two years in the log is a day.
    walk += [did(10 + n, "u", f"love{n}", when=(700 + n) * DAY) for n in range(3)]
    with filled([*things, *walk]) as engine:
        profile = engine.user("u")
        tags = {tag.tag: tag for tag in profile.tags}
        assert {name: tag.evidence for name, tag in tags.items()} == {"genre:war": 6, "genre:love": 3}
        assert tags["genre:love"].trend == "rising" or tags["genre:war"].weight > 0.3
        assert tags["genre:war"].since < tags["genre:war"].last < tags["genre:love"].since
        assert sum(tag.weight for tag in profile.tags) == pytest.approx(1, abs=1e-3)
        assert profile.habits is not None
        assert profile.habits.silence_days == pytest.approx(0, abs=0.01)
        assert sum(profile.habits.dayparts.values()) == pytest.approx(1, abs=1e-3)
        assert profile.predicted == []
