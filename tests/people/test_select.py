"""Normalisation, information gain and PCA beside cases computed by hand, and beside scikit-learn where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from palate.people.select import (
    bins_of,
    gain_above_chance,
    information_gain,
    pca,
    quantile_edges,
    robust,
    select,
)


def test_information_gain_by_hand() -> None:
    label = np.array([0, 0, 1, 1])
    assert information_gain(np.array([5, 5, 9, 9]), label) == pytest.approx(np.log(2))
    assert information_gain(np.array([5, 9, 5, 9]), label) == pytest.approx(0.0)
    # Three of four right: H(1/2) − H(label | feature) with p = 3/4, 1/4 on one side and 0/1 … worked out on paper.
    feature = np.array([0, 0, 0, 1])
    expected = np.log(2) - 0.75 * -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert information_gain(feature, label) == pytest.approx(expected)
    assert information_gain(np.zeros(0, np.int64), np.zeros(0, np.int64)) == 0.0


def test_information_gain_is_scikit_learns_mutual_information() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    for _ in range(20):
        label = rng.integers(0, 4, 200)
        feature = np.where(rng.random(200) < 0.5, label, rng.integers(0, 6, 200))
        assert information_gain(feature, label) == pytest.approx(metrics.mutual_info_score(feature, label), abs=1e-12)


def test_chance_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    label, noise = rng.integers(0, 3, 500), rng.integers(0, 8, 500)
    gains = [gain_above_chance(rng.permutation(noise), label) for _ in range(50)]
    assert np.mean(gains) < 0.004 < information_gain(noise, label)
    assert gain_above_chance(label, label) > 1.0


def test_selection_finds_the_columns_that_tell() -> None:
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, 400)
    x = rng.normal(size=(400, 30))
    x[:, 7] += 2.0 * label
    x[:, 21] += 1.0 * label
    x[rng.random(400) < 0.2, 7] = np.nan
    chosen = select(x, label, 5)
    assert chosen[:2].tolist() == [7, 21]
    assert len(select(x, label, 1)) == 1


def test_quantile_bins_hold_alike_many_and_missing_has_its_own() -> None:
    values = np.random.default_rng(0).exponential(size=1000)
    edges = quantile_edges(values, 5)
    assert np.bincount(bins_of(values, edges)).tolist() == [200] * 5
    assert bins_of(np.array([np.nan, -1.0, 1e9]), edges).tolist() == [5, 0, 4]
    assert quantile_edges(np.full(10, np.nan), 4).tolist() == []
    assert quantile_edges(np.ones(10), 4).tolist() == []


def test_a_robust_score_ignores_the_outlier() -> None:
    x = np.array([[1.0], [2.0], [3.0], [4.0], [1e9]])
    scale = robust(x)
    assert (scale.centre[0], scale.spread[0]) == (3.0, pytest.approx(1.4826))
    z = scale(np.array([[3.0], [1e12], [np.nan], [-np.inf]]))
    assert z[:, 0].tolist() == [0.0, 5.0, 0.0, -5.0]
    # Mostly one value: the standard deviation; never varying or never known: 1.
    mostly = robust(np.array([[0.0, 7.0, np.nan], [0.0, 7.0, np.nan], [0.0, 7.0, np.nan], [2.0, 7.0, np.nan]]))
    assert mostly.spread.tolist() == [pytest.approx(np.std([0, 0, 0, 2])), 1.0, 1.0]


def test_principal_axes_are_those_of_a_stretched_cloud() -> None:
    rng = np.random.default_rng(5)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    x = rng.normal(size=(500, 6)) * [9, 4, 1, 0.1, 0.1, 0.1] @ axes.T + 3.0
    found = pca(x, 2)
    assert np.abs(found.axes @ axes[:, :2]).round(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(found(x).mean(axis=0), 0, atol=1e-9)
    again = pca(x[::-1], 2)
    np.testing.assert_allclose(again.axes, found.axes, atol=1e-9)
    assert pca(x[:1], 3).axes.shape == (0, 6)
    assert len(pca(np.outer(np.arange(5.0), np.ones(6)), 3).axes) == 1
