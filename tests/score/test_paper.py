"""The paper's ranking formulas on the real code paths, with dimensions that agree.

A hidden state h (d,) is projected to the item space by W (n, d): s = W h scores every item by a dot product,
w = softmax(s) is a distribution over the items, and the ranking R is the top k of s.
"""

from __future__ import annotations

import numpy as np
import pytest

from palate.policy.greedy import Greedy
from palate.policy.plackett_luce import PlackettLuce
from palate.policy.softmax import softmax
from palate.score.linear import LinearScorer

H = np.array([0.2, 0.8, 0.5, 0.3, 0.7], dtype=np.float32)  # d = 5
W = np.array(  # n = 4 items
    [
        [0.1, 0.4, 0.2, 0.0, 0.3],
        [0.5, 0.9, 0.1, 0.2, 0.8],
        [0.3, 0.1, 0.6, 0.4, 0.2],
        [0.0, 0.7, 0.7, 0.1, 0.1],
    ],
    dtype=np.float32,
)
S = [0.65, 1.49, 0.70, 1.01]  # by hand: 0.02 + 0.32 + 0.10 + 0.00 + 0.21 for the first


def test_scores_are_dot_products() -> None:
    names = [f"h{index}" for index in range(5)]
    scores = LinearScorer(names, H).score(W)
    assert scores.shape == (4,)
    np.testing.assert_allclose(scores, S, rtol=1e-6)
    np.testing.assert_allclose(scores, W @ H, rtol=1e-6)


def test_weights_are_a_distribution() -> None:
    weights = softmax(np.array(S))
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(weights, np.exp(S) / np.exp(S).sum())
    np.testing.assert_allclose(weights, [0.1724, 0.3993, 0.1812, 0.2471], atol=1e-4)


def test_the_ranking_is_the_top_k() -> None:
    rng = np.random.default_rng(0)
    assert Greedy().choose(np.array(S), 3, rng).order.tolist() == [1, 3, 2]
    # softmax keeps the order, so that the top k of s and of w are the same
    assert Greedy().choose(softmax(np.array(S)), 3, rng).order.tolist() == [1, 3, 2]


def test_the_first_draw_of_plackett_luce_has_the_softmax_weights() -> None:
    weights = softmax(np.array(S))
    counts = np.zeros(4)
    rng = np.random.default_rng(2)
    for _ in range(4000):
        slate = PlackettLuce().choose(np.array(S), 1, rng)
        item = int(slate.order[0])
        assert slate.propensity[0] == pytest.approx(weights[item], rel=1e-12)
        counts[item] += 1
    # four standard errors of a share
    assert (np.abs(counts / 4000 - weights) < 4 * np.sqrt(weights * (1 - weights) / 4000)).all()
