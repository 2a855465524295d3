"""The online belief against the batch posterior, and against a truth that is known; forgetting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from palate.online.logistic import Logistic
from palate.types import F64


def draws(seed: int, n: int, truth: F64) -> tuple[F64, F64]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(truth)))
    x[:, 0] = 1.0
    return x, (rng.random(n) < 1 / (1 + np.exp(-x @ truth))).astype(np.float64)


def taught(x: F64, y: F64, half_life: float = 1e12) -> Logistic:
    belief = Logistic(np.zeros(x.shape[1]), np.full(x.shape[1], 4.0), half_life)
    for start in range(0, len(x), 10):
        belief.learn(x[start : start + 10], y[start : start + 10], np.ones(len(y[start : start + 10])))
    return belief


def test_it_comes_to_the_posterior_mode_of_the_whole_batch() -> None:
    x, y = draws(1, 5_000, np.array([-0.5, 1.0, -0.7, 0.0]))

    def loss(w: F64) -> float:
        u = x @ w
        return float(np.logaddexp(0, u).sum() - y @ u + w @ w / 8)

    best = minimize(loss, np.zeros(4)).x
    belief = taught(x, y)
    spread = np.sqrt(np.diag(belief.spread))
    assert np.abs(belief.mean - best).max() < 0.5 * spread.min()
    p = 1 / (1 + np.exp(-x @ best))
    laplace = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + np.eye(4) / 4)
    assert np.allclose(belief.spread, laplace, rtol=0.1, atol=1e-5)


def test_its_intervals_hold_the_truth() -> None:
    truth = np.array([-1.0, 0.5, 0.0])
    inside = []
    for seed in range(100):
        belief = taught(*draws(seed, 600, truth))
        inside.append(np.abs(belief.mean - truth) < 1.96 * np.sqrt(np.diag(belief.spread)))
    assert 0.90 <= np.mean(inside) <= 0.99


def test_one_row_of_weight_two_is_two_rows_but_for_the_step_between() -> None:
    x, y = draws(3, 1, np.array([0.0, 1.0]))
    one, two = (Logistic(np.zeros(2), np.full(2, 1e-3), 1e12) for _ in range(2))
    one.learn(x, y, np.array([2.0]))
    two.learn(np.vstack([x, x]), np.concatenate([y, y]), np.ones(2))
    assert np.allclose(one.mean, two.mean, rtol=1e-2)


def test_what_changed_is_followed_within_a_few_half_lives() -> None:
    before, after = draws(1, 20_000, np.array([0.0, 1.0])), draws(2, 10_000, np.array([0.0, -1.0]))
    x, y = (np.concatenate(pair) for pair in zip(before, after, strict=True))
    assert taught(x, y, 200.0).mean[1] == pytest.approx(-1.0, abs=0.15)
    assert taught(x, y).mean[1] > 0.0  # without forgetting the older two thirds still outvote it


def test_without_evidence_it_goes_back_to_the_prior() -> None:
    belief = taught(*draws(1, 2_000, np.array([0.0, 2.0])))
    belief.forget(1e-9)
    assert np.allclose(belief.mean, 0.0, atol=1e-3)
    assert np.allclose(belief.spread, 4.0 * np.eye(2), atol=1e-4)


def test_what_is_never_seen_stays_bounded() -> None:
    x, y = draws(1, 20_000, np.array([0.0, 1.0, 0.0]))
    x[:, 2] = 0.0
    belief = taught(x, y, 50.0)
    assert belief.spread[2, 2] == pytest.approx(4.0, rel=1e-6)
    assert belief.mean[2] == pytest.approx(0.0, abs=1e-9)


def test_state_and_back_is_exact() -> None:
    x, y = draws(1, 990, np.array([0.0, 1.0]))
    whole = taught(x, y, 300.0)
    half = taught(x[:500], y[:500], 300.0)
    again = Logistic(np.zeros(2), np.full(2, 4.0), 300.0)
    again.restore(half.state())
    for start in range(500, 990, 10):
        again.learn(x[start : start + 10], y[start : start + 10], np.ones(10))
    assert again.mean.tolist() == whole.mean.tolist()
    with pytest.raises(ValueError, match="shape"):
        Logistic(np.zeros(3), np.ones(3), 1.0).restore(half.state())
