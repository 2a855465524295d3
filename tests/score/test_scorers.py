"""The linear scorer, the factory, and what a scorer refuses to be loaded from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.score import Scorer, load_scorer
from palate.score.linear import LinearScorer
from palate.testing.scorer import ScorerContract


def linear() -> LinearScorer:
    return LinearScorer(["a", "b", "c"], [1.0, -2.0, 0.5], [0.0, 1.0, -1.0], [1.0, 2.0, 0.1])


class TestLinear(ScorerContract):
    def scorer(self) -> Scorer:
        return linear()


def test_linear_by_hand() -> None:
    x = np.array([[2.0, 5.0, -1.0], [0.0, 1.0, np.nan], [np.inf, np.nan, -0.9]], dtype=np.float32)
    np.testing.assert_allclose(linear().score(x), [2.0 - 4.0, 0.0, 0.5], rtol=1e-5)
    contributions, base = linear().contributions(x)
    np.testing.assert_allclose(contributions, [[2, -4, 0], [0, 0, 0], [0, 0, 0.5]], rtol=1e-5)
    assert base.tolist() == [0.0, 0.0, 0.0]


def test_linear_defaults_to_raw_features() -> None:
    scorer = LinearScorer(["a", "b"], [2, 3])
    np.testing.assert_array_equal(scorer.score(np.array([[1, 10]], dtype=np.float32)), [32.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros(2)}, "'weights' is (2,) of float64 where (3,) of float64 is due"),
        ({"weights": np.zeros((3, 1))}, "'weights' is (3, 1)"),
        ({"mean": np.zeros(3, dtype=np.float32)}, "'mean' is (3,) of float32"),
        ({"mean": np.array([0.0, np.nan, 0.0])}, "'mean' holds a non-finite number"),
        ({"scale": np.array([1.0, 0.0, 1.0])}, "scale must be positive"),
        ({"scale": None}, "lacks the array 'scale'"),
    ],
)
def test_arrays_that_make_no_linear_scorer(change: dict[str, Any], message: str) -> None:
    arrays = {name: array for name, array in (linear().arrays() | change).items() if array is not None}
    with pytest.raises(CorruptArtefact) as caught:
        load_scorer(arrays, linear().meta())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"kind": "oracle"}, "of kind 'oracle'; this version knows linear, trees, blend."),
        ({"kind": None}, "of kind None"),
        ({"features": None}, "no list of feature names"),
        ({"features": "abc"}, "no list of feature names"),
        ({"features": ["a", 2, "c"]}, "no list of feature names"),
        ({"features": ["a", "b", "a"]}, "names one feature twice"),
    ],
)
def test_metadata_that_makes_no_scorer(meta: dict[str, Any], message: str) -> None:
    with pytest.raises(CorruptArtefact) as caught:
        load_scorer(linear().arrays(), linear().meta() | meta)
    assert message in str(caught.value)
