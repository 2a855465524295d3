"""Greedy, Plackett-Luce, and diversity inside each draw."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.config import PolicySettings
from palate.errors import ConfigError
from palate.policy import Policy, make_policy
from palate.policy.diversify import DEPTH, MarginalRelevance
from palate.policy.epsilon_greedy import EpsilonGreedy
from palate.policy.greedy import ExploreSlot, Greedy
from palate.policy.plackett_luce import PlackettLuce
from palate.policy.softmax import softmax
from palate.testing.policy import PolicyContract, similarity_of


class TestGreedy(PolicyContract):
    def policy(self) -> Policy:
        return Greedy()


class TestDiverseGreedy(PolicyContract):
    def policy(self) -> Policy:
        return Greedy(diversity=0.5)


class TestExploringGreedy(PolicyContract):
    def policy(self) -> Policy:
        return Greedy(ExploreSlot(2), diversity=0.3)


class TestPlackettLuce(PolicyContract):
    def policy(self) -> Policy:
        return PlackettLuce()


class TestEpsilonGreedy(PolicyContract):
    def policy(self) -> Policy:
        return EpsilonGreedy(0.4)


class TestDiverseEpsilonGreedy(PolicyContract):
    def policy(self) -> Policy:
        return EpsilonGreedy(0.2, diversity=0.4)


class TestColdPlackettLuce(PolicyContract):
    def policy(self) -> Policy:
        return PlackettLuce(temperature=0.3)


class TestDiversePlackettLuce(PolicyContract):
    def policy(self) -> Policy:
        return PlackettLuce(temperature=0.7, diversity=0.4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_greedy_breaks_ties_in_the_order_of_the_candidates() -> None:
    scores = np.array([1.0, 2.0, 1.0, 2.0, 1.0])
    assert Greedy().choose(scores, 5, rng()).order.tolist() == [1, 3, 0, 2, 4]
    assert Greedy().choose(scores, 3, rng()).order.tolist() == [1, 3, 0]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats()), max_size=60),
    st.integers(0, 70),
)
def test_greedy_is_a_stable_sort_of_the_finite_scores(values: list[float], k: int) -> None:
    finite = [index for index, value in enumerate(values) if np.isfinite(value)]
    expected = sorted(finite, key=lambda index: -values[index])[:k]
    slate = Greedy().choose(np.array(values, dtype=np.float64), k, rng())
    assert slate.order.tolist() == expected
    assert (slate.propensity == 1.0).all()


@pytest.mark.parametrize(("k", "slot"), [(2, 2), (3, 3), (5, 5), (6, 5), (9, 5)])
def test_the_exploration_slot(k: int, slot: int) -> None:
    scores = np.arange(12.0)[::-1].copy()
    best = list(range(k - 1))
    drawn: set[int] = set()
    for seed in range(400):
        slate = Greedy(ExploreSlot()).choose(scores, k, rng(seed))
        assert np.flatnonzero(slate.explored).tolist() == [slot - 1]
        assert slate.propensity[slot - 1] == 1.0 / (12 - (k - 1))
        assert np.delete(slate.propensity, slot - 1).tolist() == [1.0] * (k - 1)
        assert np.delete(slate.order, slot - 1).tolist() == best
        drawn.add(int(slate.order[slot - 1]))
    assert drawn == set(range(k - 1, 12))


@pytest.mark.parametrize(("count", "k"), [(8, 1), (8, 8), (8, 20), (1, 1), (0, 3)])
def test_slates_of_one_or_of_everybody_do_not_explore(count: int, k: int) -> None:
    slate = Greedy(ExploreSlot()).choose(np.arange(float(count)), k, rng())
    assert not slate.explored.any()
    assert (slate.propensity == 1.0).all()


def test_plackett_luce_propensities_by_hand() -> None:
    scores = np.array([0.5, -1.0, 2.0, 0.1])
    slate = PlackettLuce(temperature=2.0).choose(scores, 4, rng(5))
    left = list(range(4))
    for item, propensity in zip(slate.order.tolist(), slate.propensity, strict=True):
        weights = np.exp(scores[left] / 2.0)
        assert propensity == pytest.approx(np.exp(scores[item] / 2.0) / weights.sum(), rel=1e-12)
        left.remove(item)
    assert slate.propensity[-1] == 1.0


def test_plackett_luce_towards_zero_is_greedy() -> None:
    scores = np.array([0.5, -1.0, 2.0, 0.1])
    for seed in range(50):
        slate = PlackettLuce(temperature=1e-4).choose(scores, 4, rng(seed))
        assert slate.order.tolist() == [2, 0, 3, 1]
        np.testing.assert_allclose(slate.propensity, 1.0)


def test_plackett_luce_draws_equals_beside_a_giant() -> None:
    """Beside −1e20 the noise would be rounded away, and equal candidates always come in the same order."""
    scores = np.array([1e20, 0.0, 0.0])
    seconds = [int(PlackettLuce().choose(scores, 3, rng(seed)).order[1]) for seed in range(200)]
    assert 60 < seconds.count(1) < 140
    assert PlackettLuce().choose(scores, 3, rng()).propensity.tolist() == [1.0, 0.5, 1.0]


def test_a_tiny_diversity_leaves_plackett_luce_almost_as_it_was() -> None:
    scores = np.array([0.5, -1.0, 2.0, 0.1])
    weights = softmax(scores)
    for seed in range(20):
        slate = PlackettLuce(diversity=1e-9).choose(scores, 1, rng(seed), similarity_of(4))
        assert slate.propensity[0] == pytest.approx(weights[slate.order[0]], rel=1e-6)


def test_marginal_relevance_by_hand() -> None:
    """Scores 0, 1, 2 are 0, ½, 1; after the best is taken, its twin pays λ · 1."""
    similarity = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 1.0], [0.2, 1.0, 1.0]], dtype=np.float32)
    relevance = MarginalRelevance(np.array([0.0, 1.0, 2.0]), np.arange(3), lambda i: similarity[i], 0.5)
    np.testing.assert_allclose(relevance.utilities(), [0.0, 0.25, 0.5])
    relevance.take(2)
    np.testing.assert_allclose(relevance.utilities(), [-0.1, -0.25, -np.inf], atol=1e-7)
    slate = Greedy(diversity=0.5).choose(np.array([0.0, 1.0, 2.0]), 3, rng(), lambda i: similarity[i])
    assert slate.order.tolist() == [2, 0, 1]


def test_greedy_diversity_is_maximal_marginal_relevance() -> None:
    count, trade_off = 30, 0.6
    scores = rng(4).normal(size=count)
    similarity = similarity_of(count)
    normalised = (scores - scores.min()) / (scores.max() - scores.min())
    chosen: list[int] = []
    for _ in range(12):
        penalty = np.max([similarity(item) for item in chosen], axis=0) if chosen else np.zeros(count)
        utility = (1 - trade_off) * normalised - trade_off * penalty
        utility[chosen] = -np.inf
        chosen.append(int(utility.argmax()))
    assert Greedy(diversity=trade_off).choose(scores, 12, rng(), similarity).order.tolist() == chosen


@pytest.mark.parametrize(
    "policy", [Greedy(diversity=0.4), Greedy(ExploreSlot(3), 0.4), PlackettLuce(0.7, 0.4), PlackettLuce(diversity=0.4)]
)
def test_a_slate_says_what_diversity_took_from_each(policy: Policy) -> None:
    scores, alike = rng(3).normal(size=20), similarity_of(20)
    scores[[4, 9]] = np.nan
    slate = policy.choose(scores, 12, rng(5), alike)
    order, above = slate.order.tolist(), []
    assert slate.penalty is not None
    for place, one in enumerate(order):
        expected = max((0.4 * float(alike(other)[one]) for other in above), default=0.0)
        if slate.explored[place]:  # drawn evenly, and nothing to those below
            assert slate.penalty[place] == 0.0
            continue
        assert slate.penalty[place] == pytest.approx(expected, abs=1e-12)
        above.append(one)
    for plain in (make_policy(policy.name, PolicySettings()), policy):
        similarity = alike if plain is not policy else None
        assert plain.choose(scores, 12, rng(5), similarity).penalty is None


def test_below_the_depth_of_diversity_a_slate_goes_on_by_score() -> None:
    count = DEPTH + 40
    scores = rng(9).normal(size=count)
    similarity = similarity_of(count)
    order = Greedy(diversity=0.5).choose(scores, count, rng(), similarity).order
    assert sorted(order.tolist()) == list(range(count))
    assert (np.diff(scores[order[DEPTH:]]) <= 0).all()
    assert (np.diff(scores[order[:DEPTH]]) > 0).any()
    slate = PlackettLuce(diversity=0.5).choose(scores, count, rng(), similarity)
    assert slate.penalty is not None
    assert slate.penalty.shape == (count,)
    assert not slate.penalty[DEPTH:].any()
    assert sorted(slate.order.tolist()) == list(range(count))
    rest = slate.order[DEPTH:]
    assert slate.propensity[DEPTH] == pytest.approx(softmax(scores[rest])[0])


@pytest.mark.parametrize("policy", [Greedy(diversity=0.5), PlackettLuce(diversity=0.5)])
def test_similarities_that_are_not_numbers_count_as_unknown(policy: Policy) -> None:
    slate = policy.choose(np.array([1.0, 2.0, 3.0]), 3, rng(), lambda _: np.full(3, np.nan, dtype=np.float32))
    assert sorted(slate.order.tolist()) == [0, 1, 2]
    assert np.isfinite(slate.propensity).all()


def test_make_policy() -> None:
    wanted = PolicySettings(diversity=0.25, temperature=0.5)
    greedy, drawn = make_policy("greedy", wanted, explore=True), make_policy("plackett_luce", wanted)
    assert isinstance(greedy, Greedy)
    assert (greedy.explore, greedy.diversity) == (ExploreSlot(), 0.25)
    assert isinstance(drawn, PlackettLuce)
    assert (drawn.temperature, drawn.diversity) == (0.5, 0.25)
    plain = make_policy("greedy", wanted)
    assert isinstance(plain, Greedy)
    assert plain.explore is None


def test_an_unknown_policy_is_an_error() -> None:
    with pytest.raises(
        ConfigError, match="policy 'best' is unknown; use greedy, plackett_luce, epsilon_greedy, linucb, "
    ):
        make_policy("best", PolicySettings())
    with pytest.raises(ConfigError, match="policy 'thompson' learns"):
        make_policy("thompson", PolicySettings())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Greedy(None, 1.0), "policy.diversity is 1.0; it must be at least 0"),
        (lambda: PlackettLuce(1.0, float("nan")), "policy.diversity is nan"),
        (lambda: PlackettLuce(0.0), "policy.temperature is 0.0; it must be positive"),
        (lambda: PlackettLuce(float("inf")), "policy.temperature is inf"),
    ],
)
def test_policies_out_of_range_are_errors(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank": "best"}, "policy.rank is 'best'; use one of greedy, plackett_luce, epsilon_greedy, linucb, thompson"),
        ({"samples": 1}, "policy.samples is 1; it must lie between 2 and 4096"),
        ({"dimensions": 9}, "policy.dimensions is 9; it must lie between 10 and 32"),
        ({"explore_share": 1.5}, "policy.explore_share is 1.5; it must lie between 0 and 1"),
        ({"reward": ""}, "policy.reward is empty"),
        ({"diversity": 1.0}, "policy.diversity is 1"),
        ({"temperature": 0.0}, "policy.temperature is 0"),
    ],
)
def test_settings_out_of_range_are_errors(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        PolicySettings(**values)
    assert message in str(caught.value)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_softmax_is_a_distribution_at_any_magnitude(values: list[float]) -> None:
    weights = softmax(np.array(values))
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    for one, other in itertools.pairwise(range(len(values))):
        if values[one] > values[other]:
            assert weights[one] >= weights[other]


def test_softmax_at_the_edges() -> None:
    assert softmax(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(softmax(np.array([0.0, -np.inf])), [1.0, 0.0])
    np.testing.assert_allclose(softmax(np.array([1.0, 2.0]) + 700), softmax(np.array([1.0, 2.0])))
    for scores in ([np.nan, 0.0], [np.inf, 0.0], [-np.inf]):
        with pytest.raises(ValueError, match="finite"):
            softmax(np.array(scores))


def test_epsilon_greedy_is_greedy_but_for_a_share_of_the_places() -> None:
    scores = np.arange(50.0)
    strays = [EpsilonGreedy(0.1).choose(scores, 10, rng(seed)).explored.mean() for seed in range(400)]
    assert np.mean(strays) == pytest.approx(0.1, abs=0.02)
    nearly = EpsilonGreedy(1e-6).choose(scores, 10, rng())
    assert nearly.order.tolist() == list(range(49, 39, -1))
    assert nearly.propensity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.1, float("nan")])
def test_epsilon_out_of_range(epsilon: float) -> None:
    with pytest.raises(ConfigError, match=r"policy\.epsilon"):
        EpsilonGreedy(epsilon)
