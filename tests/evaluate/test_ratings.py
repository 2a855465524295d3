"""Judging rating predictors: what is a rating, honest folds, and the command."""

from __future__ import annotations

import numpy as np
import pytest

from palate.datasets import download, load, movies
from palate.datasets.dataset import Events
from palate.errors import InvalidInput
from palate.evaluate.ratings import folds_of, judge_ratings, ratings_of


def events(rows: list[tuple[int, int, str, int, float]]) -> Events:
    users, items, types, times, values = zip(*rows, strict=True)
    names = sorted(set(types))
    return Events(
        np.array(users, np.int32), np.array(items, np.int32),
        np.array([names.index(name) for name in types], np.int32), np.array(times, np.int64), np.array(values),
        np.arange(len(rows)), [f"u{n}" for n in range(50)], [f"i{n}" for n in range(40)], names,
    )  # fmt: skip


def made(noise: float = 0.3) -> Events:
    rng = np.random.default_rng(5)
    users, items = np.nonzero(rng.random((50, 40)) < 0.5)
    truth = 3 + 0.5 * rng.normal(size=(50, 1)) + 0.5 * rng.normal(size=40) + rng.normal(size=(50, 2)) @ rng.normal(
        size=(2, 40)
    )  # fmt: skip
    values = truth[users, items] + noise * rng.normal(size=len(users))
    return events([(u, i, "rating", n, v) for n, (u, i, v) in enumerate(zip(users, items, values, strict=True))])


def test_the_last_rating_of_a_pair_counts_and_nothing_else_is_one() -> None:
    found = ratings_of(
        events([
            (0, 1, "rating", 20, 5.0), (0, 1, "rating", 10, 1.0), (0, 2, "view", 5, 9.0), (1, 1, "rating", 1, np.nan),
            (-1, 1, "rating", 2, 3.0), (2, 0, "rating", 3, 2.0),
        ])
    )  # fmt: skip
    assert [tuple(row) for row in zip(*(part.tolist() for part in found), strict=True)] == [(2, 0, 2.0), (0, 1, 5.0)]
    plain = ratings_of(events([(0, 1, "stars", 1, 4.0), (0, 2, "view", 1, np.nan)]))
    assert plain[2].tolist() == [4.0]


def test_folds_hold_everything_once() -> None:
    parts = folds_of(103, 5, 1)
    assert sorted(np.concatenate(parts).tolist()) == list(range(103))
    assert {len(part) for part in parts} == {20, 21}
    assert [part.tolist() for part in folds_of(103, 5, 1)] == [part.tolist() for part in parts]


def test_what_is_learnt_beats_biases_and_these_the_mean() -> None:
    stages: list[tuple[str, int, int]] = []
    result = judge_ratings(made(), "made", progress=lambda *told: stages.append(told))
    mean, biases, palate = (row.rmse.value for row in result.systems)
    assert mean is not None
    assert biases is not None
    assert palate is not None
    assert palate < 0.6 * biases < biases < mean
    assert palate < 0.6, "the noise is .3"
    for row in result.systems:
        assert row.rmse.low is not None
        assert row.rmse.high is not None
        assert row.rmse.low < (row.rmse.value or 0.0) < row.rmse.high
        assert (row.mae.value or 9.0) < (row.rmse.value or 0.0)
    assert 0.88 < (result.systems[2].within or 0.0) < 0.99
    assert stages[-1][1] == stages[-1][2]


def test_too_few_ratings_are_told() -> None:
    with pytest.raises(InvalidInput, match="1 ratings with a value, too few"):
        judge_ratings(events([(0, 1, "rating", 1, 4.0)]), "few")


@pytest.mark.slow
def test_on_real_films_it_is_better_than_the_best_of_surprise() -> None:
    sources = ((movies.ARCHIVE, movies.ARCHIVE_SHA256), (movies.WHEEL, movies.WHEEL_SHA256))
    if not any(download.cached(name, digest) for name, digest in sources):
        pytest.skip("The movies data set is not in the cache: run `palate import --data movies` once.")
    result = judge_ratings(load("movies").events, "movies")
    found = result.systems[2]
    assert (found.rmse.high or 9.0) < 0.919
    assert 0.93 < (found.within or 0.0) < 0.97
