"""Intervals: right on data whose answer is known, and wider where events of one user go together."""

from __future__ import annotations

import numpy as np
import pytest

from palate.evaluate.bootstrap import Estimate, by_user, paired


def sample(rng, users=80, spread=1.0, noise=0.3):
    """Events of users who each have a level of their own around 0; the number of events is independent of it."""
    level = rng.normal(0, spread, users)
    code = np.repeat(np.arange(users), rng.integers(1, 12, users))
    return level[code] + rng.normal(0, noise, len(code)), code


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(200):
        values, users = sample(rng)
        found = by_user(values[:, None], users, resamples=300, seed=trial)[0]
        held += found.low <= 0 <= found.high
    assert 178 <= held <= 199  # 95 % of 200 is 190; small-sample percentile intervals are a little short


def test_resampling_events_instead_of_users_would_be_too_sure():
    values, users = sample(np.random.default_rng(1), spread=2.0, noise=0.1)
    clustered = by_user(values[:, None], users)[0]
    independent = by_user(values[:, None], np.arange(len(values)))[0]
    assert clustered.high - clustered.low > 1.3 * (independent.high - independent.low)


def test_the_value_is_the_mean_over_events_and_lies_within():
    values, users = sample(np.random.default_rng(2))
    found = by_user(np.stack([values, values * 2], axis=1), users)
    assert found[0].value == pytest.approx(values.mean())
    assert found[0].low < found[0].value < found[0].high
    assert found[1].value == pytest.approx(2 * found[0].value)
    assert found[1].low == pytest.approx(2 * found[0].low)


def test_chunks_change_nothing_but_the_draws():
    values, users = sample(np.random.default_rng(3), users=5000)
    assert by_user(values[:, None], users, resamples=50)[0] == by_user(values[:, None], users, resamples=50)[0]


def test_missing_values_are_left_out_of_their_column():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    first, second = by_user(values, np.array([1, 2, 3]))
    assert first.value == 2.0
    assert first.low == 1.0
    assert first.high == 3.0
    assert second == Estimate(5.0)


def test_nothing_and_one_user_have_no_interval():
    assert by_user(np.zeros((0, 2)), np.zeros(0, dtype=int)) == [Estimate(None), Estimate(None)]
    assert by_user(np.array([[1.0], [2.0]]), np.array([4, 4])) == [Estimate(1.5)]
    with pytest.raises(ValueError, match="2 rows of values for 1 users"):
        by_user(np.zeros((2, 1)), np.zeros(1, dtype=int))


def test_a_paired_difference_is_surer_than_two_intervals():
    rng = np.random.default_rng(4)
    base, users = sample(rng)
    better = base + 0.1 + rng.normal(0, 0.02, len(base))
    found = paired(better, base, users)
    assert 0.09 < found.low < found.value < found.high < 0.11
