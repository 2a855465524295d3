"""The arithmetic of experiments: against the laws it should obey, and against scipy and statsmodels where they tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.experiment.statistics import (
    FEWEST,
    adjusted,
    difference,
    mixture,
    p_value,
    radius,
    ratio,
    sample_ratio,
)


def test_the_radius_is_the_boundary_of_the_normal_mixture() -> None:
    """exp(S²ρ²/(2(nρ²+1))) / √(nρ²+1), the mixture martingale, is 1/α there (Robbins 1970)."""
    for n, alpha in ((10, 0.05), (1_000, 0.01), (123_456, 0.2)):
        rho2 = mixture(alpha, 5_000)
        total = n * radius(n, 1.0, alpha, rho2)
        martingale = math.exp(total**2 * rho2 / (2 * (n * rho2 + 1))) / math.sqrt(n * rho2 + 1)
        assert martingale == pytest.approx(1 / alpha)


def test_the_sequence_is_narrowest_where_it_should_be() -> None:
    def width(people: float) -> float:
        return radius(5_000, 1.0, 0.05, mixture(0.05, people))

    assert width(5_000) < min(width(2_000), width(12_000))
    fixed = 1.96 / math.sqrt(5_000)
    assert width(5_000) / fixed == pytest.approx(1.55, abs=0.005), "docs/experiments.md says so"


@given(st.floats(0.01, 100), st.integers(100, 100_000), st.floats(-1, 1), st.floats(0.001, 0.4))
def test_the_p_value_says_whether_the_sequence_leaves_out_zero(
    variance: float, n: int, value: float, alpha: float
) -> None:
    rho2 = mixture(0.05, 5_000)
    half = radius(n, variance, alpha, rho2)
    if abs(abs(value) - half) > 1e-9 * half:
        assert (p_value(n, variance, value, rho2) < alpha) is (abs(value) > half)


def test_no_more_than_five_of_a_hundred_are_wrong_however_often_one_looks() -> None:
    """300 experiments without a difference, skewed counts, looked at 40 times each."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(300):
        arms = rng.poisson(0.4, (2, 4_000)) * rng.exponential(1.0, (2, 4_000))
        looks = range(100, 4_001, 100)
        alarms += any(
            found.low > 0 or found.high < 0
            for found in (difference(arms[0][:n], arms[1][:n], 0.05, 4_000) for n in looks)
            if found is not None
        )
    assert alarms / 300 <= 0.05


def test_a_difference_is_found_and_covered() -> None:
    rng = np.random.default_rng(4)
    covered = found = 0
    for _ in range(100):
        one, other = rng.normal(1.0, 1.0, 3_000), rng.normal(1.15, 1.0, 3_000)
        what = difference(one, other, 0.05, 6_000)
        assert what is not None
        covered += what.low <= 0.15 <= what.high
        found += what.low > 0
    assert covered >= 95
    assert found >= 90


def test_few_people_say_nothing() -> None:
    assert difference(np.ones(FEWEST - 1), np.ones(1_000), 0.05, 5_000) is None
    same = difference(np.ones(FEWEST), np.ones(1_000), 0.05, 5_000)
    assert same is not None
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_what_people_did_before_takes_variance_away_and_no_difference() -> None:
    rng = np.random.default_rng(5)
    habit = rng.gamma(2.0, 2.0, 8_000)
    before, outcome = habit + rng.normal(0, 0.5, 8_000), habit + rng.normal(0, 0.5, 8_000)
    arm = rng.random(8_000) < 0.5
    outcome[arm] += 0.2
    less = adjusted(outcome, before)
    assert less.mean() == pytest.approx(outcome.mean())
    assert less.var() < 0.15 * outcome.var()
    plain = outcome[arm].mean() - outcome[~arm].mean()
    mended = less[arm].mean() - less[~arm].mean()
    assert abs(mended - 0.2) < 0.05 < abs(plain - 0.2) + 0.05
    np.testing.assert_array_equal(adjusted(outcome, np.zeros(8_000)), outcome)


def test_a_ratio_has_the_mean_and_the_variance_of_the_delta_method() -> None:
    rng = np.random.default_rng(6)
    below = rng.integers(1, 9, 4_000).astype(float)
    above = rng.binomial(below.astype(int), 0.2).astype(float)
    one = ratio(above, below)
    assert one.mean() == pytest.approx(above.sum() / below.sum())
    means = [above[drawn].sum() / below[drawn].sum() for drawn in (rng.integers(0, 4_000, 4_000) for _ in range(800))]
    assert one.std() / math.sqrt(4_000) == pytest.approx(float(np.std(means)), rel=0.1)
    with pytest.raises(ValueError, match="below the line"):
        ratio(above, np.zeros(4_000))


def test_the_variance_of_a_difference_is_that_of_welch() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(7)
    one, other = rng.normal(0, 1, 400), rng.normal(0.1, 2, 900)
    found = difference(one, other, 0.05, 1_300)
    assert found is not None
    welch = stats.ttest_ind(other, one, equal_var=False)
    error = found.value / welch.statistic
    assert found.high - found.value == pytest.approx(
        radius(1_300, error**2 * 1_300, 0.05, mixture(0.05, 1_300)), rel=1e-12
    )


def test_people_who_come_as_declared_raise_no_alarm_and_others_do() -> None:
    rng = np.random.default_rng(8)
    weights = np.array([1.0, 1.0, 2.0])
    alarms = 0
    for _ in range(200):
        arms = rng.choice(3, 20_000, p=weights / 4)
        counts = (np.bincount(arms[:n], minlength=3) for n in range(500, 20_001, 500))
        alarms += any(sample_ratio(count, weights) < 0.001 for count in counts)
    assert alarms <= 1
    assert sample_ratio(np.array([5_000, 4_500, 10_000]), weights) < 0.001
    assert sample_ratio(np.array([0, 0, 0]), weights) == pytest.approx(1.0)


def test_the_sample_ratio_is_the_bayes_factor_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    counts, weights = np.array([700, 500, 1_100]), np.array([1.0, 1.0, 2.0])
    shares = weights / weights.sum()
    mixed = stats.dirichlet_multinomial.logpmf(counts, 1_000 * shares, counts.sum())
    plain = stats.multinomial.logpmf(counts, counts.sum(), shares)
    assert sample_ratio(counts, weights) == pytest.approx(math.exp(min(0.0, plain - mixed)))
