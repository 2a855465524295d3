"""Whatever LightGBM makes of numbers and categories: scores, contributions, what is stored. Random models and data."""

from __future__ import annotations

import functools
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import CorruptArtefact
from palate.score import Scorer
from palate.score.convert import from_lightgbm
from palate.score.tree_kernels import CATEGORIES, ZERO
from palate.score.trees import Forest, TreeScorer
from palate.testing.scorer import ScorerContract
from palate.types import F32, F64
from tests.score.boosters import awkward

ODD = np.array(
    [0.0, -0.0, 1e-40, -1e-40, 1e-35, -1e-35, 1.1e-35, -1.1e-35, 1.0, -1.0, 3e38, -3e38, np.inf, -np.inf, np.nan], "f4"
)
NO_CATEGORY = np.array([-1.0, -0.5, -7.0, 2.5, 999.0, 3e9, 2147483648.0, np.inf, -np.inf, np.nan, 1e-40, 0.0], "f4")


def mixed(seed: int, rows: int, numbers: int, sizes: list[int], missing: float, odd: float) -> tuple[F32, F64]:
    """Columns of numbers, the last of them constant, then categories, as many as ``sizes`` say."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, numbers + len(sizes))).astype(np.float32)
    x[:, numbers - 1] = 3.0
    y = np.nan_to_num(np.sin(3 * x[:, 0])) + rng.normal(size=rows) * 0.1
    x[rng.random(x.shape) < odd] = rng.choice(ODD)
    for place, size in enumerate(sizes):
        codes = rng.integers(0, size, rows)
        y += rng.normal(size=size)[codes]
        x[:, numbers + place] = codes
    x[rng.random(x.shape) < missing] = np.nan
    return x, y


def train(x: F32, y: F64, categories: list[int], trees: int, **params: Any) -> lightgbm.Booster:
    settled: dict[str, Any] = {
        "objective": "regression", "num_threads": 1, "verbose": -1, "min_data_in_leaf": 2, "seed": 1,
        "deterministic": True, "min_data_per_group": 1, "cat_smooth": 1.0, "cat_l2": 1.0,
    }  # fmt: skip
    settled |= params
    group = [len(x) // 10] * 10 if settled["objective"] == "lambdarank" else None
    data = lightgbm.Dataset(x, y, group=group, categorical_feature=categories, params=settled)
    return lightgbm.train(settled, data, trees)


def rows_for(x: F32, model: TreeScorer, categories: list[int], count: int) -> F32:
    rng = np.random.default_rng(1)
    rows = awkward(x, model)
    for column in categories:
        some = rng.random(len(rows)) < 0.3
        rows[some, column] = rng.choice(NO_CATEGORY, int(some.sum()))
    return rows[rng.integers(0, len(rows), count)]


def check(trained: lightgbm.Booster, model: TreeScorer, rows: F32) -> None:
    scores = model.score(rows)
    if len(rows):
        theirs = np.asarray(trained.predict(rows, raw_score=True, num_threads=1))
        np.testing.assert_allclose(scores, theirs, rtol=1e-12, atol=1e-12)
    alone = [model.score(row[None])[0] for row in rows[:300]]
    np.testing.assert_array_equal(scores[:300], np.array(alone))
    few = rows[:30]
    terms, base = model.contributions(few)
    scale = 1.0 + np.abs(terms).sum(axis=1, initial=0.0)
    assert (np.abs(base + terms.sum(axis=1) - model.score(few)) <= 1e-9 * scale).all()
    if len(few):
        expected = np.asarray(trained.predict(few, pred_contrib=True, num_threads=1))
        np.testing.assert_allclose(terms, expected[:, :-1], rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(base, expected[:, -1], rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    seed=st.integers(0, 100_000),
    numbers=st.integers(1, 4),
    sizes=st.lists(st.sampled_from([1, 2, 3, 5, 40, 200]), max_size=3),
    missing=st.sampled_from([0.0, 0.1, 0.7]),
    odd=st.sampled_from([0.0, 0.05, 0.5]),
    leaves=st.one_of(st.integers(2, 64), st.sampled_from([65, 128, 256, 257, 400])),
    objective=st.sampled_from(["regression", "lambdarank"]),
    zero_as_missing=st.booleans(),
    use_missing=st.booleans(),
    one_hot=st.sampled_from([1, 4, 300]),
    trees=st.integers(1, 9),
    count=st.sampled_from([0, 1, 2, 3, 20, 64, 100, 128, 129, 300]),
)
def test_any_model_of_numbers_and_categories(
    seed: int,
    numbers: int,
    sizes: list[int],
    missing: float,
    odd: float,
    leaves: int,
    objective: str,
    zero_as_missing: bool,
    use_missing: bool,
    one_hot: int,
    trees: int,
    count: int,
) -> None:
    x, y = mixed(seed, 600, numbers, sizes, missing, odd)
    if objective == "lambdarank":
        y = np.clip(np.round(y + 1), 0, 3)
    categories = list(range(numbers, numbers + len(sizes)))
    trained = train(
        x, y, categories, trees, objective=objective, num_leaves=leaves, zero_as_missing=zero_as_missing,
        use_missing=use_missing, max_cat_to_onehot=one_hot,
    )  # fmt: skip
    model = from_lightgbm(trained)
    check(trained, model, rows_for(x, model, categories, count))
    again = TreeScorer.load(model.arrays(), model.meta())
    rows = rows_for(x, model, categories, 40)
    np.testing.assert_array_equal(again.score(rows), model.score(rows))


def test_a_split_of_what_is_missing_from_what_is_not() -> None:
    """Its threshold is infinite, which JSON can't hold: infinity goes where all numbers go."""
    x = np.full((200, 1), np.nan, np.float32)
    x[::2, 0] = np.arange(100)
    trained = train(x, np.where(np.isnan(x[:, 0]), 1.0, -1.0), [], 3, num_leaves=2)
    model = from_lightgbm(trained)
    assert np.isinf(model.forest.threshold[model.forest.feature >= 0]).all()
    assert np.isfinite(model.arrays()["threshold"]).all()
    rows = np.array([[np.inf], [-np.inf], [np.nan], [5.0], [3.4e38]], np.float32)
    check(trained, model, rows)
    check(trained, TreeScorer.load(model.arrays(), model.meta()), rows[[0, 2]])


def test_ten_thousand_rows() -> None:
    x, y = mixed(3, 1000, 3, [4, 50], 0.1, 0.05)
    trained = train(x, y, [3, 4], 30, num_leaves=31)
    model = from_lightgbm(trained)
    check(trained, model, rows_for(x, model, [3, 4], 10_000))


@pytest.mark.parametrize("trees", [1, 2, 3, 4, 5, 8])
def test_trees_of_one_leaf_among_others(trees: int) -> None:
    x, y = mixed(4, 300, 2, [], 0.0, 0.0)
    trained = train(x, y, [], trees, num_leaves=4)
    stump = train(x, np.ones(300), [], trees)
    check(stump, from_lightgbm(stump), x[:100])
    grown = from_lightgbm(trained)
    # A tree without splits between two with them: LightGBM stops at the first, so that it is put there by hand.
    forest = grown.forest.in_memory()
    size = int(forest["offset"][1])
    alone: dict[str, Any] = {"feature": -1, "left": -1, "right": -1, "value": 0.5, "cover": 300.0}
    for name, array in forest.items():
        if name not in ("offset", "category_start", "category"):
            forest[name] = np.insert(array, size, alone.get(name, 0))
    forest["category_start"] = np.zeros(len(forest["feature"]) + 1, np.int32)
    for name in ("left", "right"):
        moved = forest[name][size + 1 :]
        forest[name][size + 1 :] = np.where(moved >= 0, moved + 1, -1)
    forest["offset"] = np.concatenate([[0, size], forest["offset"][1:] + 1]).astype(np.int32)
    model = TreeScorer(grown.features, Forest.load(forest, 2))
    np.testing.assert_allclose(model.score(x), grown.score(x) + 0.5, rtol=1e-12)
    np.testing.assert_array_equal(model.score(x), np.array([model.score(row[None])[0] for row in x]))


@functools.cache
def example() -> TreeScorer:
    x, y = mixed(1, 500, 3, [5, 60], 0.1, 0.1)
    x[::3, 0] = 0.0
    model = from_lightgbm(train(x, y, [3, 4], 12, num_leaves=12, zero_as_missing=True))
    rules = set(model.forest.rule[model.forest.feature >= 0].tolist())
    assert any(rule & ZERO for rule in rules)
    assert CATEGORIES in rules
    return model


class TestTreesOfCategories(ScorerContract):
    def scorer(self) -> Scorer:
        return example()

    def rows(self, count: int = 37) -> F32:
        x = super().rows(count)
        rng = np.random.default_rng(2)
        known = ~np.isnan(x[:, 3:])
        x[:, 3:] = np.where(known, rng.integers(-1, 60, (count, 2)), np.nan)
        x[rng.random(x.shape) < 0.2] = 0.0
        return x


def test_what_older_versions_can_read_is_written_as_they_read_it() -> None:
    x, y = mixed(2, 300, 3, [], 0.2, 0.0)
    arrays = from_lightgbm(train(x, y, [], 5)).arrays()
    assert set(arrays) == {"offset", "feature", "threshold", "default_left", "left", "right", "value", "cover"}
    assert arrays["default_left"].dtype == np.bool_
    # A version that knows no categories refuses the forest for its lack of ``default_left``.
    assert set(example().arrays()) == set(arrays) - {"default_left"} | {"rule", "category_start", "category"}


def changed(name: str, index: int, value: Any) -> dict[str, Any]:
    arrays = {key: array.copy() for key, array in example().arrays().items()}
    arrays[name][index] = value
    return arrays


def listing() -> int:
    """A node with several categories."""
    return int(np.flatnonzero(np.diff(example().forest.category_start) > 1)[0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (lambda: changed("rule", 0, 8), "an unknown rule"),
        (lambda: changed("category_start", 0, 1), "don't partition the categories"),
        (lambda: changed("category_start", -1, 0), "don't partition the categories"),
        (lambda: changed("category_start", 1, 10**6), "don't partition the categories"),
        (lambda: changed("rule", listing(), 0), "tests numbers lists categories"),
        (lambda: changed("category", int(example().forest.category_start[listing()]), 10**9), "don't ascend from 0"),
        (lambda: changed("category", 0, -1), "don't ascend from 0"),
        (lambda: {k: v for k, v in example().arrays().items() if k != "category"}, "lacks the array 'category'"),
        (lambda: example().arrays() | {"category_start": example().forest.category_start[1:]}, "'category_start' is ("),
    ],
)
def test_arrays_that_make_no_forest_of_categories(arrays: Any, message: str) -> None:
    with pytest.raises(CorruptArtefact) as caught:
        TreeScorer.load(arrays(), example().meta())
    assert message in str(caught.value)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    name=st.sampled_from(["rule", "category_start", "category", "feature", "threshold"]),
    place=st.integers(0, 10_000),
    value=st.integers(-5, 300),
)
def test_whatever_loads_can_be_scored(name: str, place: int, value: int) -> None:
    """Compiled code doesn't check bounds, so that loading has to; and both ways to score agree on what it lets in."""
    arrays = {key: array.copy() for key, array in example().arrays().items()}
    target = arrays[name]
    target[place % len(target)] = np.clip(value, 0, 255) if name == "rule" else value
    try:
        model = TreeScorer.load(arrays, example().meta())
    except CorruptArtefact:
        return
    x = TestTreesOfCategories().rows(20)
    np.testing.assert_array_equal(model.score(x), np.array([model.score(row[None])[0] for row in x]))
    assert model.contributions(x)[0].shape == x.shape
