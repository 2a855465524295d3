"""Contexts: products of towers' vectors, scores, and features that mean the same whatever is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest

from palate.bandits.context import FEATURES, NAMES, SHARED, ContextMap, Contexts, directions, named
from palate.features import NAMES as COLUMNS
from palate.line import prior_model
from palate.types import F32


@dataclass
class Tower:
    dim: int


class Fixed:
    """A placed tower whose vectors are given."""

    def __init__(self, vectors: F32, person: F32 | None) -> None:
        self.vectors, self._person, self.tower = vectors, person, Tower(vectors.shape[1])

    def person(self, subject: object, now: int) -> F32 | None:
        return self._person


def mapped(dimensions: int, *towers: Fixed) -> ContextMap:
    model: Any = prior_model()
    return ContextMap(
        type(model)(**{**{f: getattr(model, f) for f in model.__slots__}, "towers": cast(Any, towers)}), dimensions
    )


def test_directions_are_the_cosine_and_what_is_orthogonal_to_it() -> None:
    found = directions(20, 5).astype(np.float64)
    np.testing.assert_allclose(found[0], 2.0, rtol=1e-6)
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(lengths, [2.0 * np.sqrt(20), 20, 20, 20, 20], rtol=1e-6)
    gram = (found / lengths[:, None]) @ (found / lengths[:, None]).T
    np.testing.assert_allclose(gram, np.eye(5), atol=1e-6)
    np.testing.assert_array_equal(found, directions(20, 5))


def test_the_product_of_a_person_and_an_item_is_projected() -> None:
    rng = np.random.default_rng(1)
    one = Fixed(rng.normal(size=(6, 12)).astype(np.float32), rng.normal(size=12).astype(np.float32))
    other = Fixed(rng.normal(size=(6, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32))
    one.vectors[3] = 0.0
    rows = np.array([2, -1, 3, 5], np.int32)
    x = np.zeros((4, len(COLUMNS)), np.float32)
    base = mapped(SHARED + 7, one, other).contexts(x, rows, cast(Any, None), 0).matrix
    for tower, begin, size in ((one, SHARED, 4), (other, SHARED + 4, 3)):
        way = directions(tower.tower.dim, size)
        person = cast(F32, tower._person)
        for place, row in enumerate(rows.tolist()):
            length = np.linalg.norm(person) * np.linalg.norm(tower.vectors[row]) if row >= 0 else 0.0
            expected = np.clip(way @ (person * tower.vectors[row]) / length, -3.0, 3.0) if length else np.zeros(size)
            np.testing.assert_allclose(base[place, begin : begin + size], expected, atol=1e-5)
    nobody = Fixed(one.vectors, None)
    assert not mapped(SHARED + 7, nobody).contexts(x, rows, cast(Any, None), 0).matrix[:, SHARED:].any()
    assert not mapped(SHARED + 7).contexts(x, rows, cast(Any, None), 0).matrix[:, SHARED:].any()


def test_features_count_half_where_the_table_says_so() -> None:
    x = np.zeros((3, len(COLUMNS)), np.float32)
    for name, half in FEATURES:
        x[0, COLUMNS.index(name)], x[1, COLUMNS.index(name)] = half, -3 * half
    x[2] = np.nan
    base = mapped(SHARED + 1).contexts(x, np.zeros(3, np.int32), cast(Any, None), 0).matrix
    for place, (name, _) in enumerate(FEATURES, 3):
        assert NAMES[place] == name
        np.testing.assert_allclose(base[:, place], [0.5, -0.75, 0.0], rtol=1e-6)
    assert (base[:, 0] == 1.0).all()


@pytest.mark.parametrize(
    ("scores", "places"),
    [
        ([0.0, 1.0, 4.0], [0.0, 0.25, 1.0]),
        ([-1e308, 0.0, 1e308], [0.0, 0.5, 1.0]),
        ([2.0, 2.0, 2.0], [0.0, 0.0, 0.0]),
        ([1.0, np.nan, 3.0], [0.0, 0.0, 1.0]),
        ([np.nan, np.inf, -np.inf], [0.0, 0.0, 0.0]),
    ],
)
def test_scores_become_places_between_the_least_and_the_largest(scores: list[float], places: list[float]) -> None:
    z = Contexts(np.ones((3, SHARED), np.float32))(np.array(scores))
    np.testing.assert_allclose(z[:, 1], places)
    finite = np.isfinite(scores)
    assert not z[~finite].any()
    expected = np.array(places)[finite]
    spread = expected.std() if finite.any() and np.ptp(expected) > 0 else np.inf
    np.testing.assert_allclose(
        z[finite, 2], np.clip((expected - expected.mean()) / (3 * spread), -1, 1) if finite.any() else [], atol=1e-6
    )


def test_contexts_are_of_the_scores_that_were_asked_about_first() -> None:
    contexts = Contexts(np.zeros((3, SHARED), np.float32))
    first = contexts(np.array([1.0, 2.0, 3.0]))
    assert contexts(np.array([np.nan, 2.0, 3.0])) is first
    assert named(first[2].tolist())["score"] == 1.0
