"""Trees against LightGBM itself: scores and contributions, over random models and data with missing values."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import CorruptArtefact, InvalidInput
from palate.score import Scorer, load_scorer
from palate.score.convert import from_lightgbm
from palate.score.quick import MOST_LEAVES, QuickScorer
from palate.score.tree_kernels import LEFT
from palate.score.trees import Forest, TreeScorer
from palate.testing.scorer import ScorerContract
from palate.types import F32, F64
from tests.score.boosters import booster, check_against_lightgbm, data


@functools.cache
def example() -> TreeScorer:
    x, y = data(1, 400, 5, 0.2, grid=False)
    return from_lightgbm(booster(x, y, 12, num_leaves=9))


class TestTrees(ScorerContract):
    def scorer(self) -> Scorer:
        return example()


@functools.cache
def wide() -> TreeScorer:
    x, y = data(2, 900, 4, 0.1, grid=False)
    model = from_lightgbm(booster(x, y, 3, num_leaves=300))
    assert model.forest.leaves() > MOST_LEAVES
    return model


class TestTreesTooWideForNumbersOfLeaves(ScorerContract):
    def scorer(self) -> Scorer:
        return wide()


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    features=st.integers(1, 7),
    missing=st.sampled_from([0.0, 0.1, 0.6]),
    grid=st.booleans(),
    leaves=st.sampled_from([2, 5, 31, 32, 33, 64, 65, 140]),
    objective=st.sampled_from(["regression", "binary", "lambdarank"]),
    use_missing=st.booleans(),
    bagging=st.booleans(),
)
def test_random_models_equal_lightgbm(
    seed: int,
    features: int,
    missing: float,
    grid: bool,
    leaves: int,
    objective: str,
    use_missing: bool,
    bagging: bool,
) -> None:
    x, y = data(seed, 300, features, missing, grid)
    if objective == "binary":
        y = (y > 0).astype(np.float64)
    elif objective == "lambdarank":
        y = np.clip(np.round(y), 0, 3)
    params: dict[str, Any] = {"bagging_freq": 1, "bagging_fraction": 0.5} if bagging else {}
    trained = booster(x, y, 5, objective=objective, num_leaves=leaves, use_missing=use_missing, **params)
    check_against_lightgbm(trained, x)


def test_thresholds_at_the_edge_of_float32() -> None:
    """Features that differ in the last bit, and magnitudes at both ends."""
    near = np.float32(0.1)
    steps = [near]
    for _ in range(19):
        steps.append(np.nextafter(steps[-1], np.float32(1)))
    column = np.tile(np.array(steps, dtype=np.float32), 20)
    other = np.tile(np.array([3e38, -3e38, 1e-38, -1e-38], dtype=np.float32), 100)
    x = np.stack([column, other], axis=1)
    y = np.arange(400.0) % 20 + (other > 0)
    check_against_lightgbm(booster(x, y, 10, num_leaves=31, max_bin=255), x)


def test_a_deep_tree_that_tests_one_feature_again_and_again() -> None:
    x = np.exp(np.linspace(0, 60, 200))[:, None].astype(np.float32)
    x = np.concatenate([x, np.random.default_rng(3).normal(size=(200, 1)).astype(np.float32)], axis=1)
    trained = booster(x, np.linspace(0, 60, 200) ** 3, 5, num_leaves=60, min_data_in_leaf=1, learning_rate=1.0)
    check_against_lightgbm(trained, x)


def test_constant_models_and_random_forests() -> None:
    x, y = data(5, 200, 3, 0.1, grid=False)
    check_against_lightgbm(booster(x, np.ones(200), 3), x)
    forest = booster(x, y, 7, boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    np.testing.assert_allclose(from_lightgbm(forest).score(x), forest.predict(x, raw_score=True), rtol=1e-9)


def test_early_stopping_keeps_the_best_iteration() -> None:
    x, y = data(6, 300, 3, 0.0, grid=False)
    trained = booster(x, y, 20)
    trained.best_iteration = 4
    model = from_lightgbm(trained, ["one", "two", "three"])
    assert len(model.forest.offset) == 5
    assert model.features == ("one", "two", "three")
    np.testing.assert_allclose(model.score(x), trained.predict(x, raw_score=True), rtol=1e-12)


def shapley(model: TreeScorer, row: F32) -> F64:
    """Shapley values by their definition, over all subsets, of the path-dependent expectation."""
    f, count = model.forest, len(model.features)

    def expectation(node: int, known: frozenset[int]) -> float:
        if f.feature[node] < 0:
            return float(f.value[node])
        left, right = int(f.left[node]), int(f.right[node])
        column = int(f.feature[node])
        if column in known:
            seen = float(row[column])
            goes_left = bool(f.rule[node] & LEFT) if math.isnan(seen) else seen <= f.threshold[node]
            return expectation(left if goes_left else right, known)
        share = float(f.cover[left] / f.cover[node])
        return share * expectation(left, known) + (1 - share) * expectation(right, known)

    def value(known: frozenset[int]) -> float:
        return sum(expectation(int(root), known) for root in f.offset[:-1])

    values = np.zeros(count)
    for feature in range(count):
        others = [other for other in range(count) if other != feature]
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - 1 - size) / math.factorial(count)
            for subset in itertools.combinations(others, size):
                values[feature] += weight * (value(frozenset({*subset, feature})) - value(frozenset(subset)))
    return values


def test_contributions_are_shapley_values_by_their_definition() -> None:
    model = example()
    x = data(9, 12, 5, 0.3, grid=False)[0]
    contributions, _ = model.contributions(x)
    for row, found in zip(x, contributions, strict=True):
        np.testing.assert_allclose(found, shapley(model, row), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"objective": "multiclass", "num_class": 3}, "predicts several classes"),
        ({"linear_tree": True}, "train with linear_tree=false"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_boosters_that_the_scorer_does_not_represent(params: dict[str, Any], message: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 4, size=(300, 2)).astype(np.float32)
    y = (x[:, 0] % 3).astype(np.float64)
    settled = {"objective": "regression", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2} | params
    trained = lightgbm.train(settled, lightgbm.Dataset(x, y, params=settled), 3)
    with pytest.raises(InvalidInput, match=message):
        from_lightgbm(trained)


def test_names_must_match_the_booster() -> None:
    x, y = data(1, 100, 3, 0.0, grid=False)
    with pytest.raises(InvalidInput, match="has 3 features; 2 names were given"):
        from_lightgbm(booster(x, y, 1), ["a", "b"])


def test_no_trees_score_zero() -> None:
    arrays = {
        "offset": np.zeros(1, dtype=np.int32),
        "default_left": np.zeros(0, dtype=np.bool_),
        **{name: np.zeros(0, dtype=np.int32) for name in ("feature", "left", "right")},
        **{name: np.zeros(0) for name in ("threshold", "value", "cover")},
    }
    model = TreeScorer.load(arrays, {"kind": "trees", "features": ["a"]})
    for count in (1, 50):
        x = np.ones((count, 1), dtype=np.float32)
        np.testing.assert_array_equal(model.score(x), np.zeros(count))
        np.testing.assert_array_equal(model.contributions(x)[0], np.zeros((count, 1)))


def changed(name: str, index: int, value: Any) -> dict[str, Any]:
    arrays = {key: array.copy() for key, array in example().arrays().items()}
    arrays[name][index] = value
    return arrays


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (lambda: changed("left", 0, 0), "before its parent"),
        (lambda: changed("left", 0, 10**6), "outside its tree or before"),
        (lambda: changed("right", 0, -7), "before its parent"),
        (lambda: changed("right", 0, int(example().forest.offset[1])), "outside its tree"),
        (lambda: changed("right", 0, int(example().forest.left[0])), "no parent, or two"),
        (lambda: changed("feature", 0, 5), "a feature out of range"),
        (lambda: changed("feature", 0, -2), "a feature out of range"),
        (lambda: changed("feature", 0, -1), "a leaf has children"),
        (lambda: changed("offset", 0, 1), "don't partition"),
        (lambda: changed("offset", -1, 10**6), "don't partition"),
        (lambda: changed("offset", 1, 0), "don't partition"),
        (lambda: changed("cover", 1, 0.0), "no training rows"),
        (lambda: changed("cover", 1, 1e9), "more rows than its parent"),
        (lambda: changed("threshold", 0, np.nan), "'threshold' holds a non-finite number"),
        (lambda: changed("value", 0, np.inf), "'value' holds a non-finite number"),
        (lambda: example().arrays() | {"left": example().forest.left[:-1]}, "'left' is ("),
        (lambda: example().arrays() | {"left": example().forest.left.astype(np.int64)}, "of int64"),
        (lambda: {k: v for k, v in example().arrays().items() if k != "cover"}, "lacks the array 'cover'"),
    ],
)
def test_arrays_that_make_no_forest(arrays: Any, message: str) -> None:
    with pytest.raises(CorruptArtefact) as caught:
        load_scorer(arrays(), example().meta())
    assert message in str(caught.value)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    name=st.sampled_from(["offset", "feature", "left", "right", "threshold", "cover", "default_left", "value"]),
    place=st.integers(0, 10_000),
    value=st.one_of(st.integers(-5, 250), st.floats(), st.integers(-(2**31), 2**31 - 1)),
)
def test_whatever_loads_can_be_scored(name: str, place: int, value: float) -> None:
    """Compiled code doesn't check bounds, so that loading has to."""
    arrays = {key: array.copy() for key, array in example().arrays().items()}
    target = arrays[name]
    if target.dtype.kind == "i":
        value = int(np.clip(np.nan_to_num(value), -(2**31), 2**31 - 1))
    target[place % len(target)] = value
    try:
        model = TreeScorer(example().features, Forest.load(arrays, 5))
    except CorruptArtefact:
        return
    x = data(3, 20, 5, 0.2, grid=False)[0]
    assert model.score(x).shape == (20,)
    assert model.contributions(x)[0].shape == x.shape


def test_children_may_stand_in_any_order() -> None:
    """Left before right is a habit of the converter, not a rule of the format."""
    forest = example().forest
    mirrored = Forest(
        forest.offset,
        forest.feature,
        forest.threshold,
        forest.rule,
        left=forest.right,
        right=forest.left,
        value=forest.value,
        cover=forest.cover,
        category_start=forest.category_start,
        category=forest.category,
    )
    model = TreeScorer(example().features, Forest.load(mirrored.arrays(), 5))
    x = data(3, 64, 5, 0.2, grid=False)[0]
    one_by_one = np.concatenate([model.score(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_array_equal(model.score(x), one_by_one)
    contributions, base = model.contributions(x)
    np.testing.assert_allclose(base + contributions.sum(axis=1), model.score(x), rtol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 600])
def test_blocks_of_every_size_give_the_same_bits(count: int) -> None:
    model = example()
    x = data(4, 600, 5, 0.2, grid=False)[0][:count]
    found = QuickScorer(model.forest.in_memory()).score(x)
    np.testing.assert_array_equal(found, np.array([model.score(row[None])[0] for row in x]))
