"""Groups of contributions: every feature has one, both languages name it, and they add up to the score."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.explaining.groups import NAMES, OUTSIDE, group_of, grouped
from palate.features import NAMES as FEATURES
from palate.testing.world import make_world
from palate.types import Contribution
from tests.engines import SMALL, filled, ids

WORLD = make_world(people=12, per_genre=6, interactions=400)
HAN = re.compile(r"[\u4e00-\u9fff]")


def test_every_feature_has_a_group_that_both_languages_name() -> None:
    assert {group_of(name) for name in FEATURES} <= set(NAMES) - set(OUTSIDE)
    assert group_of("context.device") == "context"
    assert group_of("policy.exploration") == "policy"
    assert group_of("language.rerank") == "language"
    for english, chinese in NAMES.values():
        assert english.isascii()
        assert HAN.search(chinese)


@given(st.lists(st.tuples(st.sampled_from(FEATURES), st.floats(-5, 5)), max_size=30))
def test_groups_add_up_to_their_terms(some: list[tuple[str, float]]) -> None:
    terms = [Contribution(name, 0.0, value) for name, value in some]
    found = grouped(terms, {"seen": 3})
    assert math.fsum(one.contribution for one in found) == pytest.approx(math.fsum(v for _, v in some), abs=1e-9)
    assert sum(len(one.features) for one in found) == len(terms) + 1
    assert found[-1].group == "rules"
    assert found[-1].features == ["rules.seen"]


@pytest.mark.parametrize("query", [None, "rocket"])
def test_groups_add_up_to_the_score_and_name_what_moved_it_beside(query: str | None) -> None:
    with filled(WORLD, policy={"explore": True, "diversity": 0.3}, train=SMALL) as engine:
        engine.train()
        for user in ("p0", "p5", "stranger"):
            ranking = engine.recommend(user, 5, query=query)
            for one in ranking.items:
                told = engine.explain(ranking.ranking, one.id)
                whole = told.base + math.fsum(group.contribution for group in told.groups)
                assert whole == pytest.approx(one.score, rel=1e-9, abs=1e-9)
                assert "policy" in {group.group for group in told.groups}
                inside = [group for group in told.groups if group.group not in OUTSIDE]
                assert told.groups[: len(inside)] == inside
                assert sum(group.share for group in inside) == pytest.approx(1.0, abs=0.01)
        assert ids(ranking)
