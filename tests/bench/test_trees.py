"""The benchmark's forests are what they are said to be, and are timed fairly. No times."""

from __future__ import annotations

import numpy as np
import pytest

from palate.bench import trees
from palate.score.convert import from_lightgbm
from palate.score.tree_kernels import CATEGORIES
from palate.types import F32, F64


@pytest.fixture
def learnt() -> tuple[F32, F64, F32]:
    """Rows and targets to learn from, rows to score."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 40)).astype(np.float32)
    return x, x[:, 0] + np.abs(x[:, 1]), rng.normal(size=(250, 40)).astype(np.float32)


def test_every_case_is_of_its_kind_and_scores_as_lightgbm_does(learnt: tuple[F32, F64, F32]) -> None:
    x, target, rows = learnt
    cases = {
        "random": trees.random(7, 31),
        "missing": trees.missing(x, target, rows, 7),
        "categories": trees.categories(x, target, rows, 7, 31),
    }
    for name, case in cases.items():
        scorer = from_lightgbm(case.booster)
        forest = scorer.forest
        assert len(forest.offset) == 8, name
        assert forest.leaves() == (64 if name == "missing" else 31), name
        assert any(np.isnan(block).any() for block in case.blocks) == (name == "missing")
        assert bool((forest.rule >= CATEGORIES).any()) == (name == "categories")
        assert [len(block) for block in case.blocks][:2] == [100, 100]
        score = trees.one_thread(case.booster)
        for block in case.blocks:
            np.testing.assert_allclose(scorer.score(block), score(block), rtol=1e-5)


def test_every_way_scores_every_block_in_every_round() -> None:
    seen: list[tuple[str, int]] = []
    blocks = [np.zeros((2, 1), np.float32), np.zeros((3, 1), np.float32)]

    def way(name: str) -> trees.Score:
        return lambda block: seen.append((name, len(block)))

    found = trees.cpu_us([way("one"), way("other")], blocks)
    assert len(found) == 2
    assert all(value >= 0 for value in found)
    assert seen == [("one", 2), ("one", 3), ("other", 2), ("other", 3)] * trees.ROUNDS
