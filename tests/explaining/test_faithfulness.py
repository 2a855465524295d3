"""Reasons are what moves an item: without its strongest one it moves further than without another."""

from __future__ import annotations

import numpy as np
import pytest

from palate.explaining.faithfulness import faithfulness
from palate.explaining.rows import Case, decisions_of, read_cases
from palate.features import NAMES
from palate.line import Model, prior_model
from palate.score.linear import LinearScorer
from palate.testing.world import make_world
from palate.train.replay import feature_key
from palate.types import F32, F64
from tests.engines import SMALL, filled
from tests.test_explain import force

WORLD = make_world(people=15, per_genre=8, interactions=700, follow=0.5)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_the_top_reason_moves_an_item_further_than_another_one(kind: str) -> None:
    with filled(WORLD, train=SMALL, decisions={"sample": 1.0}) as engine:
        force(engine, kind)
        for n in range(60):
            engine.recommend(f"p{n % 15}", 5, seen=("keep", "drop")[n % 2])
        sources = decisions_of(engine.parts.decisions.log, None)
        cases = read_cases(next(iter(sources))[1], feature_key(), engine._model, engine.parts.store, engine.settings)
        found = faithfulness(engine._model, cases)
    assert found is not None
    assert found.items > 40
    assert found.low > 0, found
    assert found.top_score > 1.5 * found.other_score
    assert found.won > 0.6
    assert found.top_places >= found.other_places


def test_explanations_that_lie_are_found_out() -> None:
    """Contributions of another scorer than the one that ranks: the top reason moves an item no further."""
    rng = np.random.default_rng(1)

    class Lying(LinearScorer):
        def contributions(self, x: F32) -> tuple[F64, F64]:
            terms, base = super().contributions(x)
            return rng.permutation(terms, axis=1), base

    x = rng.normal(size=(80, 20, len(NAMES))).astype(np.float32)
    cases = [Case(one, False, f"u{n % 20}", 5, True, np.zeros(20, np.bool_)) for n, one in enumerate(x)]
    weights = rng.normal(size=len(NAMES))
    truth = faithfulness(Model("m", LinearScorer(NAMES, weights), queries=True), cases)
    lie = faithfulness(Model("m", Lying(NAMES, weights), queries=True), cases)
    assert truth is not None
    assert lie is not None
    assert truth.low > 0
    assert truth.difference > 2 * abs(lie.difference)


def test_nothing_to_compare_is_said_to_be_nothing() -> None:
    assert faithfulness(prior_model(), []) is None
    still = Case(np.zeros((5, len(NAMES)), np.float32), False, "u", 5, True, np.zeros(5, np.bool_))
    assert faithfulness(prior_model(), [still]) is None
