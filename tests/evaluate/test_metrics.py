"""Metrics on numbers worked by hand, and the laws of a rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palate.evaluate.metrics import (
    by_rank,
    cosine_diversity,
    coverage,
    jaccard_diversity,
    novelty,
    rank_and_top,
)


def rank(scores, target, gone=(), k=3):
    removed = np.zeros(len(scores), dtype=bool)
    removed[list(gone)] = True
    found, top = rank_and_top(np.array(scores, dtype=np.float32), removed, target, k)
    return found, top.tolist()


def test_metrics_of_ranks_worked_by_hand():
    found = by_rank(np.array([1.0, 3.0, 10.0, 10.5, 11.0]), 10)
    assert found["ndcg"].tolist() == pytest.approx([1.0, 0.5, 1 / math.log2(11), 0.0, 0.0])
    assert found["mrr"].tolist() == pytest.approx([1.0, 1 / 3, 0.1, 0.0, 0.0])
    for name in ("hit_rate", "recall", "accuracy"):
        assert found[name].tolist() == [1, 1, 1, 0, 0]
    assert found["precision"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0, 0])
    assert found["f1"].tolist() == pytest.approx([2 / 11, 2 / 11, 2 / 11, 0, 0])


def test_a_middle_rank_is_not_the_mean_of_the_metric_but_the_metric_of_the_middle():
    assert by_rank(np.array([1.5]), 10)["ndcg"][0] == pytest.approx(1 / math.log2(2.5))


@pytest.mark.parametrize(
    ("scores", "target", "gone", "expected", "top"),
    [
        ([5, 4, 3, 2], 0, [], 1.0, [0, 1, 2]),
        ([5, 4, 3, 2], 3, [], 4.0, [0, 1, 2]),
        ([5, 4, 4, 2], 1, [], 2.5, [0, 1, 2]),
        ([7, 7, 7, 7], 2, [], 2.5, [0, 1, 2]),
        ([5, 4, 4, 2], 2, [1], 2.0, [0, 2, 3]),
        ([5, math.nan, -math.inf, 2], 1, [], 3.5, [0, 3, 1]),
        ([math.nan, math.nan], 0, [], 1.5, [0, 1, -1]),
        ([1, 2, 3], 0, [1, 2], 1.0, [0, -1, -1]),
        ([0.0, -0.0, -1], 1, [], 1.5, [0, 1, 2]),
    ],
)
def test_the_middle_of_a_tie_is_the_rank(scores, target, gone, expected, top):
    assert rank(scores, target, gone) == (expected, top)


def test_a_removed_target_has_no_rank():
    assert math.isnan(rank([1, 2, 3], 1, [1])[0])


@pytest.mark.parametrize("target", [-1, 3])
def test_a_target_outside_the_catalogue_is_an_error(target):
    with pytest.raises(ValueError, match="not among the 3 items"):
        rank([1, 2, 3], target)


def test_scores_of_another_length_are_an_error():
    with pytest.raises(ValueError, match="2 scores for 3 items"):
        rank_and_top(np.zeros(2, dtype=np.float32), np.zeros(3, dtype=bool), 0, 1)


numbers = arrays(
    np.float64, st.integers(1, 40), elements=st.sampled_from([-math.inf, math.nan, -1.0, 0.0, 0.5, 1.0, 2.0])
)


@settings(max_examples=200, deadline=None)
@given(numbers, st.data())
def test_ranks_of_all_targets_add_up_and_follow_the_scores(scores, data):
    removed = data.draw(arrays(np.bool_, len(scores)))
    kept = np.flatnonzero(~removed)
    ranks = {int(t): rank_and_top(scores, removed, int(t), 5)[0] for t in kept}
    assert sum(ranks.values()) == pytest.approx(len(kept) * (len(kept) + 1) / 2)
    clean = np.where(np.isnan(scores), -np.inf, scores)
    for a in ranks:
        for b in ranks:
            assert (clean[a] > clean[b]) == (ranks[a] < ranks[b])
            assert (clean[a] == clean[b]) == (ranks[a] == ranks[b])


@settings(max_examples=200, deadline=None)
@given(numbers, st.data())
def test_the_top_is_a_stable_sort(scores, data):
    removed = data.draw(arrays(np.bool_, len(scores)))
    target = data.draw(st.integers(0, len(scores) - 1))
    k = data.draw(st.integers(1, 12))
    clean = np.where(np.isnan(scores), -np.inf, scores)
    expected = [code for code in np.argsort(-clean, kind="stable").tolist() if not removed[code]][:k]
    assert rank_and_top(scores, removed, target, k)[1].tolist() == expected + [-1] * (k - len(expected))


@settings(max_examples=100, deadline=None)
@given(numbers, st.data())
def test_a_rising_transform_of_the_scores_changes_no_rank(scores, data):
    target = data.draw(st.integers(0, len(scores) - 1))
    removed = np.zeros(len(scores), dtype=bool)
    moved = np.where(np.isfinite(scores), scores * 3 + 7, scores)
    assert rank_and_top(scores, removed, target, 3)[0] == rank_and_top(moved, removed, target, 3)[0]


def test_novelty_worked_by_hand():
    # (3 + 1) / (4 + 4) = 1/2 → 1 bit; (0 + 1) / 8 → 3 bits.
    counts = np.array([3, 1, 0, 0])
    assert novelty(np.array([0, 2, -1], dtype=np.int32), counts, 4) == pytest.approx(2.0)
    assert math.isnan(novelty(np.array([-1], dtype=np.int32), counts, 4))


def test_coverage_counts_distinct_items():
    assert coverage(np.array([[0, 1], [1, -1]], dtype=np.int32), 4) == 0.5
    assert math.isnan(coverage(np.zeros((1, 1), dtype=np.int32), 0))


def test_diversity_worked_by_hand():
    a, b = [1.0, 0.0], [0.0, 1.0]
    assert cosine_diversity(np.array([a, b], dtype=np.float32)) == pytest.approx(1.0)
    assert cosine_diversity(np.array([a, a, b], dtype=np.float32)) == pytest.approx(2 / 3)
    assert cosine_diversity(np.array([a, a, [0, 0]], dtype=np.float32)) == pytest.approx(0.0)
    assert math.isnan(cosine_diversity(np.array([a, [0, 0]], dtype=np.float32)))
    sets = [frozenset("ab"), frozenset("bc"), frozenset()]
    assert jaccard_diversity(sets) == pytest.approx(2 / 3)
    assert math.isnan(jaccard_diversity(sets[:1]))
