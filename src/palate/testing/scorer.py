"""The contract of a scorer, as tests: inherit ``ScorerContract`` and say how to make yours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from palate.score import Scorer, load_scorer
from palate.types import F32


class ScorerContract(ABC):
    """Candidates are scored one by one, values may be missing, contributions add up, what is saved is what loads."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """The scorer under test; may be one for all tests."""

    def rows(self, count: int = 37) -> F32:
        """Feature rows with missing and infinite values; override where features must look otherwise."""
        rng = np.random.default_rng(7)
        x = rng.normal(size=(count, len(self.scorer().features))).astype(np.float32)
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.02] = np.inf
        x[rng.random(x.shape) < 0.02] = -np.inf
        return x

    def test_shape_and_type(self) -> None:
        x = self.rows()
        scores = self.scorer().score(x)
        contributions, base = self.scorer().contributions(x)
        assert (scores.shape, contributions.shape, base.shape) == ((len(x),), x.shape, (len(x),))
        assert {array.dtype for array in (scores, contributions, base)} == {np.dtype(np.float64)}

    def test_order_of_candidates_does_not_matter(self) -> None:
        x = self.rows()
        order = np.random.default_rng(3).permutation(len(x))
        np.testing.assert_array_equal(self.scorer().score(x[order]), self.scorer().score(x)[order])

    def test_other_candidates_do_not_matter(self) -> None:
        x = self.rows(150)
        together = self.scorer().score(x)
        for count in (1, 2, 3, 8, 31, 100, 149):
            np.testing.assert_array_equal(self.scorer().score(x[:count]), together[:count])

    def test_no_candidates_give_no_scores(self) -> None:
        x = self.rows()[:0]
        assert self.scorer().score(x).shape == (0,)
        assert self.scorer().contributions(x)[0].shape == x.shape

    def test_missing_values_give_finite_scores(self) -> None:
        x = self.rows()
        known = ~np.isnan(x).all(axis=1)
        assert np.isfinite(self.scorer().score(x)[known]).all()

    def test_a_row_of_missing_values_is_consistent(self) -> None:
        x = np.full((2, len(self.scorer().features)), np.nan, dtype=np.float32)
        scores = self.scorer().score(x)
        contributions, base = self.scorer().contributions(x)
        np.testing.assert_allclose(base + contributions.sum(axis=1), scores, rtol=1e-6, atol=1e-9, equal_nan=True)

    def test_contributions_add_up(self) -> None:
        x = self.rows()
        contributions, base = self.scorer().contributions(x)
        scale = np.abs(contributions).sum(axis=1).max() + np.abs(base).max()
        np.testing.assert_allclose(
            base + contributions.sum(axis=1), self.scorer().score(x), rtol=1e-6, atol=float(1e-9 * scale)
        )

    def test_what_is_saved_is_what_loads(self) -> None:
        scorer = self.scorer()
        arrays = cast(dict[str, Any], safetensors.numpy.load(safetensors.numpy.save(dict(scorer.arrays()))))
        again = load_scorer(arrays, msgspec.json.decode(msgspec.json.encode(scorer.meta())))
        x = self.rows()
        assert (again.kind, again.features) == (scorer.kind, scorer.features)
        np.testing.assert_array_equal(again.score(x), scorer.score(x))
        for mine, theirs in zip(again.contributions(x), scorer.contributions(x), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    def test_rows_are_left_alone_however_they_lie_in_memory(self) -> None:
        x = self.rows()
        expected = self.scorer().score(x)
        sealed = x.copy()
        sealed.flags.writeable = False
        np.testing.assert_array_equal(self.scorer().score(sealed), expected)
        np.testing.assert_array_equal(self.scorer().score(np.asfortranarray(x)), expected)
        self.scorer().contributions(sealed)
        np.testing.assert_array_equal(sealed, x)

    def test_other_shapes_are_refused(self) -> None:
        width = len(self.scorer().features)
        for shape in ((3, width + 1), (width,), (1, 1, width)):
            wrong = np.zeros(shape, dtype=np.float32)
            with pytest.raises(ValueError, match="shape"):
                self.scorer().score(wrong)
            with pytest.raises(ValueError, match="shape"):
                self.scorer().contributions(wrong)

    def test_threads_agree(self) -> None:
        x = self.rows()
        expected = self.scorer().score(x)
        scorer = self.scorer()
        with ThreadPoolExecutor(4) as pool:
            for scores in pool.map(scorer.score, [x] * 16):
                np.testing.assert_array_equal(scores, expected)
