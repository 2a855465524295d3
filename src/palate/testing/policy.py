"""The contract of a policy, as tests: inherit ``PolicyContract`` and say how to make yours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict

import numpy as np
import pytest

from palate.policy import Policy, Similarity
from palate.types import F64, Slate

_SCORES = np.array([0.3, np.nan, 1.2, -0.4, np.inf, 0.3, 2.0, -np.inf, 0.9])
_FINITE = {0, 2, 3, 5, 6, 8}


def similarity_of(count: int) -> Similarity:
    """A symmetric similarity in [−1, 1] with ones on the diagonal, the same for the same ``count``."""
    vectors = np.random.default_rng(count).normal(size=(count, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = (vectors @ vectors.T).astype(np.float32)
    return lambda position: matrix[position]


def check_frequencies(
    policy: Policy, scores: F64, k: int, similarity: Similarity | None = None, draws: int = 4000
) -> None:
    """Draw many slates: below each run of items, how often an item comes next must agree with its propensity."""
    rng = np.random.default_rng(11)
    seen: dict[tuple[int, ...], dict[int, tuple[int, float]]] = defaultdict(dict)
    for _ in range(draws):
        slate = policy.choose(scores, k, rng, similarity)
        order = [int(position) for position in slate.order]
        for place, item in enumerate(order):
            above = tuple(order[:place])
            count, propensity = seen[above].get(item, (0, float(slate.propensity[place])))
            assert propensity == pytest.approx(float(slate.propensity[place]), rel=1e-9), (above, item)
            seen[above][item] = (count + 1, propensity)
    statistic, degrees = 0.0, 0
    for above, counts in seen.items():
        total = sum(count for count, _ in counts.values())
        mass = sum(propensity for _, propensity in counts.values())
        assert mass <= 1.0 + 1e-9, (above, counts)
        cells = [(count, propensity * total) for count, propensity in counts.values()]
        cells.append((0, (1.0 - mass) * total))  # candidates that never came here
        large = [cell for cell in cells if cell[1] >= 5.0]
        small = [cell for cell in cells if cell[1] < 5.0]
        large.append((sum(count for count, _ in small), sum(expected for _, expected in small)))
        large = [cell for cell in large if cell[1] >= 1.0]
        if len(large) > 1:
            statistic += sum((count - expected) ** 2 / expected for count, expected in large)
            degrees += len(large) - 1
    # Mean and variance of chi-square; five standard deviations, since the seed is fixed and this isn't a lottery.
    assert statistic <= degrees + 5.0 * np.sqrt(2.0 * max(degrees, 1)), (statistic, degrees)


class PolicyContract(ABC):
    """Slates hold distinct finite candidates, chance comes from the generator alone, propensities are exact."""

    @abstractmethod
    def policy(self) -> Policy:
        """The policy under test; may be one for all tests."""

    def choose(self, scores: F64, k: int, seed: int = 1, similarity: Similarity | None = None) -> Slate:
        return self.policy().choose(scores, k, np.random.default_rng(seed), similarity)

    def test_it_has_a_name(self) -> None:
        assert self.policy().name.isidentifier()

    @pytest.mark.parametrize("k", [1, 2, 5, 6, 7, 100])
    def test_slates_hold_distinct_finite_candidates(self, k: int) -> None:
        for seed in range(20):
            slate = self.choose(_SCORES, k, seed)
            size = min(k, len(_FINITE))
            assert slate.order.shape == slate.propensity.shape == slate.explored.shape == (size,)
            assert slate.order.dtype == np.int64
            assert slate.propensity.dtype == np.float64
            assert slate.explored.dtype == np.bool_
            assert len(set(slate.order.tolist())) == size
            assert set(slate.order.tolist()) <= _FINITE

    def test_propensities_are_probabilities(self) -> None:
        for seed in range(20):
            slate = self.choose(_SCORES, 4, seed, similarity_of(len(_SCORES)))
            assert ((slate.propensity > 0.0) & (slate.propensity <= 1.0)).all()

    @pytest.mark.parametrize("k", [1, 3, 6])
    def test_chances_are_distributions_that_give_the_propensities_back(self, k: int) -> None:
        for near in (None, similarity_of(len(_SCORES))):
            for seed in range(10):
                slate = self.choose(_SCORES, k, seed, near)
                chances = self.policy().chances(_SCORES, slate.order, near)
                assert chances.shape == (len(slate.order), len(_SCORES))
                assert (chances >= 0.0).all()
                np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-12)
                assert not chances[:, ~np.isfinite(_SCORES)].any()
                places = np.arange(len(slate.order))
                np.testing.assert_allclose(chances[places, slate.order], slate.propensity, rtol=1e-9)
                for place in range(1, len(places)):
                    assert not chances[place, slate.order[:place]].any()

    @pytest.mark.parametrize("scores", [[], [np.nan], [np.inf, -np.inf]])
    def test_nothing_to_choose_from_gives_an_empty_slate(self, scores: list[float]) -> None:
        assert self.choose(np.array(scores, dtype=np.float64), 3).order.shape == (0,)

    @pytest.mark.parametrize("k", [0, -1])
    def test_no_places_give_an_empty_slate(self, k: int) -> None:
        assert self.choose(_SCORES, k).order.shape == (0,)

    def test_the_same_seed_gives_the_same_slate(self) -> None:
        for seed in range(10):
            one, two = self.choose(_SCORES, 5, seed), self.choose(_SCORES, 5, seed)
            np.testing.assert_array_equal(one.order, two.order)
            np.testing.assert_array_equal(one.propensity, two.propensity)

    def test_scores_are_left_alone(self) -> None:
        scores = _SCORES.copy()
        self.choose(scores, 5, similarity=similarity_of(len(scores)))
        np.testing.assert_array_equal(scores, _SCORES)

    @pytest.mark.parametrize(
        "scores", [[1e308, -1e308, 0.0], [1e-320, 0.0, -1e-320], [5.0, 5.0, 5.0], [-0.0, 0.0, 0.0]]
    )
    def test_extreme_scores(self, scores: list[float]) -> None:
        for similarity in (None, similarity_of(3)):
            slate = self.choose(np.array(scores), 3, similarity=similarity)
            assert sorted(slate.order.tolist()) == [0, 1, 2]
            assert ((slate.propensity > 0.0) & (slate.propensity <= 1.0)).all()

    @pytest.mark.parametrize("k", [2, 3, 4])
    def test_observed_frequencies_agree_with_the_propensities(self, k: int) -> None:
        check_frequencies(self.policy(), np.array([0.2, 1.1, -0.3, 0.8]), k)

    @pytest.mark.parametrize("k", [2, 4])
    def test_observed_frequencies_agree_with_the_propensities_where_items_are_alike(self, k: int) -> None:
        check_frequencies(self.policy(), np.array([0.2, 1.1, -0.3, 0.8]), k, similarity_of(4))
