"""Bandits against the textbook, and their propensities against what they do."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.policy import Policy
from palate.policy.epsilon_greedy import EpsilonGreedy
from palate.policy.greedy import ExploreSlot, Greedy
from palate.policy.linucb import LinUCB
from palate.policy.newcomers import NewcomersSlot
from palate.policy.plackett_luce import PlackettLuce
from palate.policy.posterior import Belief, Posterior
from palate.policy.thompson import PLACES, Thompson
from palate.testing.policy import PolicyContract, similarity_of
from palate.types import F64

D = 6
HOUR = 3_600_000


def contexts(scores: F64) -> F64:
    """A context of the score, squashed, and of the candidate's number."""
    n = len(scores)
    found = np.random.default_rng(n).normal(size=(n, D)) * 0.5
    finite = np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)
    found[:, 0], found[:, 1] = 1.0, finite / (1.0 + np.abs(finite))
    return found


def learnt(answers: int = 40, seed: int = 3) -> Posterior:
    found = Posterior(np.eye(D), np.zeros(D))
    rng = np.random.default_rng(seed)
    for number in range(answers):
        found.observe(rng.normal(size=D), float(rng.random() < 0.4), number)
    return found


BELIEF = learnt().belief()


def owed(scores: F64) -> F64:
    """Every other candidate is owed a place, the later the more."""
    return np.where(np.arange(len(scores)) % 2 == 1, 1.0 + np.arange(len(scores)), 0.0)


class TestLinUCB(PolicyContract):
    def policy(self) -> Policy:
        return LinUCB(BELIEF, contexts)


class TestExploringLinUCB(PolicyContract):
    def policy(self) -> Policy:
        return LinUCB(BELIEF, contexts, 1.0, ExploreSlot(2), diversity=0.3)


class TestThompson(PolicyContract):
    def policy(self) -> Policy:
        return Thompson(BELIEF, contexts, 1.0, 40)


class TestDiverseThompson(PolicyContract):
    def policy(self) -> Policy:
        return Thompson(BELIEF, contexts, 1.0, 40, diversity=0.4)


class TestSlotOverGreedy(PolicyContract):
    def policy(self) -> Policy:
        return NewcomersSlot(Greedy(), owed, 2)


class TestSlotOverPlackettLuce(PolicyContract):
    def policy(self) -> Policy:
        return NewcomersSlot(PlackettLuce(), owed, 2)


class TestSlotOverDiverseEpsilonGreedy(PolicyContract):
    def policy(self) -> Policy:
        return NewcomersSlot(EpsilonGreedy(0.3, 0.3), owed, 2, diverse=True)


class TestSlotOverThompson(PolicyContract):
    def policy(self) -> Policy:
        return NewcomersSlot(Thompson(BELIEF, contexts, 1.0, 40), owed, 1)


def test_the_posterior_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    half = rng.normal(size=(D, D))
    precision, prior = half @ half.T + np.eye(D), rng.normal(size=D)
    found = Posterior(precision, prior)
    z, r = rng.normal(size=(1500, D)), rng.random(1500)
    for place in range(len(z)):
        found.observe(z[place], float(r[place]), place)
    a = precision + z.T @ z
    np.testing.assert_allclose(found.belief().covariance, np.linalg.inv(a), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.belief().mean, np.linalg.inv(a) @ (precision @ prior + z.T @ r), atol=1e-9)
    assert found.belief().updates == 1500


def test_linucb_is_the_textbook_formula() -> None:
    scores = np.array([0.3, 1.2, -0.4, 2.0, 0.9, 0.1])
    z = contexts(scores)
    a = np.eye(D)
    b = np.zeros(D)
    rng = np.random.default_rng(3)
    for _ in range(40):
        one = rng.normal(size=D)
        a += np.outer(one, one)
        b += float(rng.random() < 0.4) * one
    expected = z @ np.linalg.inv(a) @ b + 0.7 * np.sqrt(np.einsum("nd,de,ne->n", z, np.linalg.inv(a), z))
    policy = LinUCB(BELIEF, contexts, 0.7)
    np.testing.assert_allclose(policy.bounds(scores), expected, rtol=0, atol=1e-9)
    slate = policy.choose(scores, 6, np.random.default_rng(0))
    assert slate.order.tolist() == np.argsort(-expected, kind="stable").tolist()
    assert (slate.propensity == 1.0).all()


def test_a_later_reward_changes_the_label_and_counts_no_second_answer() -> None:
    z, other = np.arange(1.0, D + 1.0), np.ones(D)
    late, known = Posterior(np.eye(D), np.zeros(D)), Posterior(np.eye(D), np.zeros(D))
    late.observe(z, 0.0, 0)
    late.observe(other, 1.0, 0)
    late.credit(z, 1.0, 0)
    known.observe(z, 1.0, 0)
    known.observe(other, 1.0, 0)
    np.testing.assert_allclose(late.belief().mean, known.belief().mean, atol=1e-12)
    np.testing.assert_allclose(late.belief().covariance, known.belief().covariance, atol=1e-12)


def faded(order: list[int], half_life: float) -> Belief:
    rng = np.random.default_rng(5)
    z, r = rng.normal(size=(30, D)), rng.random(30)
    found = Posterior(np.eye(D), np.full(D, 0.1), half_life)
    for place in order:
        found.advance(place * HOUR)
        found.observe(z[place], float(r[place]), place * HOUR)
    found.advance(100 * HOUR)
    return found.belief()


def test_what_was_learnt_fades_by_its_age_whatever_the_order_it_came_in() -> None:
    rng = np.random.default_rng(5)
    z, r = rng.normal(size=(30, D)), rng.random(30)
    half = 8 * HOUR
    weights = np.array(
        [2.0 ** (-((100 * HOUR * 64) // half - (place * HOUR * 64) // half) / 64) for place in range(30)]
    )
    a = np.eye(D) + (z * weights[:, None]).T @ z
    expected = np.linalg.solve(a, np.full(D, 0.1) + z.T @ (weights * r))
    for order in (list(range(30)), list(rng.permutation(30))):
        belief = faded(order, half)
        np.testing.assert_allclose(belief.mean, expected, rtol=1e-9)
        np.testing.assert_allclose(belief.covariance, np.linalg.inv(a), rtol=1e-9, atol=1e-12)
    one = Posterior(np.eye(D), np.zeros(D), half)
    one.observe(np.ones(D), 1.0, 0)
    one.advance(1000 * half)
    np.testing.assert_allclose(one.belief().mean, 0.0, atol=1e-12)


def test_what_is_kept_goes_on_to_the_bit() -> None:
    first = learnt(100)
    again = Posterior.restored(first.keep(), 0.0)
    for place in range(700):
        z = np.random.default_rng(place).normal(size=D)
        first.observe(z, 0.5, place)
        again.observe(z, 0.5, place)
    for one, other in zip(first.belief(), again.belief(), strict=True):
        np.testing.assert_array_equal(one, other)
    kept = first.keep()
    kept.products = kept.products[:-1]
    with pytest.raises(ValueError, match="don't fit"):
        Posterior.restored(kept, 0.0)


def test_a_belief_is_handed_on_in_the_components_that_mean_the_same() -> None:
    found = learnt(200)
    new = found.handed_on(3, np.eye(D) * 4.0, np.zeros(D)).belief()
    np.testing.assert_allclose(new.covariance[:3, :3], found.belief().covariance[:3, :3], atol=1e-12)
    np.testing.assert_allclose(new.mean[:3], found.belief().mean[:3], atol=1e-12)
    np.testing.assert_allclose(new.covariance[3:, 3:], np.eye(3) / 4.0, atol=1e-12)
    assert not new.mean[3:].any()
    assert not new.covariance[:3, 3:].any()


def test_the_worlds_of_thompson_have_the_mean_and_covariance_of_the_posterior() -> None:
    samples, alpha = 4096, 0.6
    drawn = BELIEF.drawn(samples, alpha)
    wanted = alpha**2 * BELIEF.covariance
    spread = np.sqrt(np.diag(wanted))
    assert (np.abs(drawn.mean(axis=0) - BELIEF.mean) < 4.5 * spread / sqrt(samples)).all()
    error = np.sqrt((np.outer(spread**2, spread**2) + wanted**2) / samples)
    assert (np.abs(np.cov(drawn.T) - wanted) < 4.5 * error).all()
    np.testing.assert_array_equal(drawn, BELIEF.drawn(samples, alpha))


def test_propensities_of_thompson_are_unbiased_and_as_wrong_as_they_say() -> None:
    """Of two candidates the chance of the first is known: Φ of the mean difference over its standard deviation."""
    z = contexts(np.array([0.4, 0.9]))
    way = z[0] - z[1]
    samples, found = 64, list[float]()
    mean, covariance = BELIEF.mean, BELIEF.covariance
    known = 0.5 * (1.0 + erf(float(way @ mean) / float(np.sqrt(way @ covariance @ way)) / sqrt(2.0)))
    for number in range(600):  # as many beliefs alike, each with worlds of its own
        policy = Thompson(Belief(mean, covariance, number), contexts, 1.0, samples)
        found.append(float(policy.chances(np.array([0.4, 0.9]), np.array([0]))[0, 0]))
    error = sqrt(known * (1.0 - known) / samples)
    assert 0.05 < known < 0.95
    assert abs(np.mean(found) - known) < 4.0 * error / sqrt(600)
    assert np.std(found) == pytest.approx(error, rel=0.15)


def test_below_the_drawn_places_thompson_goes_by_expectation() -> None:
    scores = np.random.default_rng(2).normal(size=PLACES + 30)
    expected = contexts(scores) @ BELIEF.mean
    for near in (None, similarity_of(len(scores))):
        policy = Thompson(BELIEF, contexts, 1.0, 30, diversity=0.2)
        slate = policy.choose(scores, len(scores), np.random.default_rng(1), near)
        assert sorted(slate.order.tolist()) == list(range(len(scores)))
        assert (np.diff(expected[slate.order[PLACES:]]) <= 0).all()
        assert (slate.propensity[PLACES:] == 1.0).all()
        chances = policy.chances(scores, slate.order, near)
        np.testing.assert_allclose(chances[np.arange(len(scores)), slate.order], slate.propensity)


def test_thompson_is_surer_the_more_it_knows() -> None:
    scores = np.array([0.2, 1.1, -0.3, 0.8])
    truth = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    found = Posterior(np.eye(D), np.zeros(D))
    rng = np.random.default_rng(8)
    sure: list[float] = []
    for until in (0, 50, 5000):
        while found.updates < until:
            z = rng.normal(size=D)
            found.observe(z, float(z @ truth), 0)
        sure.append(float(Thompson(found.belief(), contexts, 1.0, 256).chances(scores, np.array([1]))[0].max()))
    assert sure[0] < sure[1] < sure[2] == 1.0


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.integers(2, 12), st.integers(2, 14), st.integers(1, 6), st.integers(0, 2**31))
def test_a_slot_shows_exactly_one_of_those_owed_or_nobody(n: int, k: int, position: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, weights = rng.normal(size=n), rng.random(n) * (rng.random(n) < 0.3)
    slate = NewcomersSlot(Greedy(), lambda _: weights, position).choose(scores, k, rng)
    assert len(set(slate.order.tolist())) == min(n, k)
    places = np.flatnonzero(slate.explored)
    at = max(1, min(min(n, k), position)) - 1
    above = np.argsort(-scores, kind="stable")[:at]
    open_to = np.setdiff1d(np.flatnonzero(weights), above)
    if not len(open_to):
        assert not len(places)
        assert slate.order.tolist() == np.argsort(-scores, kind="stable")[:k].tolist()
    else:
        assert places.tolist() == [at]
        chosen = slate.order[at]
        assert chosen in open_to
        assert slate.propensity[at] == pytest.approx(weights[chosen] / weights[open_to].sum())
