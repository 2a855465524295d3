"""Estimators against obp's numbers, and against a world whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palate.config import PolicySettings, Settings
from palate.evaluate import offpolicy
from palate.evaluate.expected import RewardModel
from palate.evaluate.judgement import Judgement
from palate.evaluate.replay import Target, judge, rounds_of
from palate.features import NAMES
from palate.line import Model, prior_model
from palate.policy import make_policy
from palate.score.linear import LinearScorer
from palate.testing.rankings import COLUMNS, RankingWorld
from palate.types import F32, F64

OBP = json.loads((Path(__file__).parent / "data" / "obp.json").read_text())
"""Written by ``benchmarks/offpolicy_golden.py``."""


def arrays(part: dict[str, Any], *names: str) -> list[F64]:
    return [np.array(part[name], dtype=np.float64) for name in names]


@pytest.mark.parametrize("name", list(OBP["bandit"]["values"]))
def test_estimators_equal_those_of_obp(name: str) -> None:
    logged, chances, model, reward = arrays(OBP["bandit"], "logged", "target", "model", "reward")
    at = np.arange(len(logged)), np.array(OBP["bandit"]["action"])
    weights = offpolicy.cascade_weights(chances[at][:, None], logged[:, None])
    base = (chances * model).sum(axis=1) / chances.sum(axis=1)
    errors = (reward - model[at])[:, None]
    found: dict[str, Callable[[], F64]] = {
        "ips": lambda: offpolicy.ips(reward[:, None], weights),
        "snips": lambda: offpolicy.snips(reward[:, None], weights),
        "dm": lambda: offpolicy.dm(base),
        "dr": lambda: offpolicy.dr(base, errors, weights),
        "dros": lambda: offpolicy.dros(base, errors, weights, float(name.split()[1])),
    }
    assert found[name.split()[0]]().mean() == pytest.approx(OBP["bandit"]["values"][name], abs=1e-9)


@pytest.mark.parametrize(("name", "make"), [("cascade", offpolicy.cascade_weights), ("slate", offpolicy.slate_weights)])
def test_weights_of_slates_equal_those_of_obp(name: str, make: Callable[[F64, F64], F64]) -> None:
    logged, target, reward = arrays(OBP["slates"], "logged", "target", "reward")
    found = offpolicy.ips(reward, make(target, logged)).mean()
    assert found == pytest.approx(OBP["slates"]["values"][name], abs=1e-9)


def test_snips_as_a_mean_of_values_is_snips() -> None:
    rng = np.random.default_rng(3)
    weights, rewards = rng.exponential(size=(40, 3)), rng.random((40, 3))
    assert offpolicy.snips_linear(rewards, weights).mean() == pytest.approx(offpolicy.snips(rewards, weights).mean())


def test_shrinkage_lies_between_the_direct_method_and_doubly_robust() -> None:
    rng = np.random.default_rng(4)
    base, errors, weights = rng.random(50), rng.normal(size=(50, 2)), rng.exponential(size=(50, 2))
    np.testing.assert_array_equal(offpolicy.dros(base, errors, weights, 0.0), base)
    np.testing.assert_array_equal(offpolicy.dros(base, errors, weights, np.inf), offpolicy.dr(base, errors, weights))
    assert (offpolicy.shrunk(weights, 10.0) <= weights).all()
    with pytest.raises(ValueError, match="must be at least 0"):
        offpolicy.shrunk(weights, -1.0)


def test_the_effective_size_counts_equal_weights_in_full_and_one_heavy_one_once() -> None:
    assert offpolicy.effective_size(np.full(7, 3.0)) == pytest.approx(7.0)
    assert offpolicy.effective_size(np.array([1e9, 1.0, 1.0])) == pytest.approx(1.0, abs=1e-6)
    assert offpolicy.effective_size(np.zeros(3)) == 0.0


def test_bernstein_covers_what_a_normal_interval_misses() -> None:
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(200):
        values = (rng.random(500) < 0.02) * 1.0
        missed += abs(values.mean() - 0.02) > offpolicy.bernstein(values)
    assert missed <= 2
    assert offpolicy.bernstein(np.ones(1)) == np.inf


# ------------------------------------------------------------------------------------------ the known-answer world


WORLD = RankingWorld()
LOGGING = make_policy("plackett_luce", PolicySettings(temperature=1.0))
PRIOR_SCORE = prior_model().scorer.score


def better() -> Model:
    """A model that ranks by what clicks depend on."""
    weights = np.zeros(len(NAMES))
    weights[list(COLUMNS)] = WORLD.pull
    return Model("better", LinearScorer(NAMES, weights))


def judged(model: Model, settings: Settings, rankings: int, seed: int, variant: Any = "cascade") -> Judgement:
    cases = list(WORLD.log(LOGGING, even, rankings, seed))
    expected = RewardModel(len(NAMES), WORLD.places)
    for case in cases:
        expected.add(case)
    expected.fit()
    rounds = rounds_of(cases, Target(settings, model, variant), expected, WORLD.places)
    return judge(rounds, Judgement("judged", [], variant, "m", "click", 60.0, 3, rankings), None, 100.0, True)


def even(x: F32) -> F64:
    return np.zeros(len(x))


DRAWN = Settings(policy=PolicySettings(recommend="plackett_luce", temperature=0.5))


@pytest.mark.parametrize("variant", ["cascade", "slate"])
def test_intervals_cover_the_truth(variant: str) -> None:
    model = better()
    truth = WORLD.value(make_policy("plackett_luce", DRAWN.policy), model.scorer.score, 20_000, 1)
    covered = dict.fromkeys(("ips", "snips", "dr", "dros"), 0)
    runs = 40
    for seed in range(runs):
        found = judged(model, DRAWN, 500, 100 + seed, variant)
        for name in covered:
            estimate = found.estimates[name]
            covered[name] += estimate.low <= truth <= estimate.high
    assert min(covered.values()) >= 0.85 * runs, covered  # 95 % of 40, and three standard errors down


def test_a_better_model_is_judged_better_and_the_logged_policy_as_it_was() -> None:
    found = judged(better(), DRAWN, 3000, 7)
    assert (found.verdict, found.reasons) == ("judged", [])
    assert found.lift.low > 0.0
    same = judged(Model("even", LinearScorer(NAMES, np.zeros(len(NAMES)))), DRAWN, 3000, 7)
    assert same.overlap is not None
    assert same.overlap.effective == pytest.approx(3000)
    assert same.estimates["ips"].value == pytest.approx(same.logged.value)
    assert abs(same.lift.value or 0.0) < 0.02
    assert (
        found.estimates["dr"].high - found.estimates["dr"].low
        < found.estimates["ips"].high - found.estimates["ips"].low
    )


def test_too_little_overlap_says_so() -> None:
    found = judged(better(), Settings(policy=PolicySettings(recommend="greedy", explore=False)), 300, 7)
    assert found.verdict == "can't tell"
    assert "overlap" in [reason.code for reason in found.reasons]


def test_a_model_that_cannot_score_what_was_shown_puts_it_last() -> None:
    (case,) = WORLD.log(LOGGING, even, 1, 3)
    case.x[case.order[0]] = 0.0  # new at midnight, for nobody: no feature is above 0
    assert case.there.all()

    class Blind:
        kind, features = "blind", NAMES

        def score(self, x: F32) -> F64:
            return np.where(x.any(axis=1), x[:, COLUMNS[0]], np.nan)

    model = Model("blind", Blind())  # pyright: ignore[reportArgumentType]
    expected = RewardModel(len(NAMES), WORLD.places)
    expected.add(case)
    expected.fit()
    for settings in (DRAWN, Settings(policy=PolicySettings(recommend="epsilon_greedy", epsilon=0.08))):
        rounds = rounds_of([case], Target(settings, model, "cascade"), expected, WORLD.places)
        assert 0.0 <= rounds.target[0, 0] <= 0.0101
        assert np.isfinite(rounds.target).all()
