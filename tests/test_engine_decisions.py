"""What is served is what is logged; chance is labelled, seeded, and its propensities exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.answer import seeded
from palate.engine import Engine
from palate.errors import NotFound
from palate.policy import make_policy
from palate.store.decision import Decision
from palate.testing.world import make_world
from palate.types import RecommendRequest
from tests.engines import HASHING, did, filled, ids, stage

WORLD = make_world(people=15, interactions=500)


def at(path: Path, **overrides: Any) -> Engine:
    return palate.open(path, **{"language": HASHING, **overrides})


# -------------------------------------------------------------------------- decisions


def logged(engine: Engine, ranking: Any) -> Decision:
    return engine.parts.decisions.get(ranking.ranking)


def test_the_decision_log_holds_what_was_served(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"sample": 1.0}) as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        context = {"device": "phone", "hour": 9}
        ranking = engine.recommend("p0", 6, query="rocket", context=context, exclude=["space-1"], seen="drop")
        decision = logged(engine, ranking)
        shown = decision.shown
        assert shown.ids == ids(ranking)
        assert shown.scores == [one.score for one in ranking.items]
        assert shown.positions == list(range(1, 7))
        assert shown.propensities == [one.propensity for one in ranking.items]
        assert (decision.ranking, decision.as_of, decision.model) == (ranking.ranking, ranking.as_of, "prior")
        assert (decision.subject, decision.policy, decision.source) == ("p0", "greedy", "live")
        asked = decision.request
        assert asked is not None
        assert (asked.kind, asked.user, asked.k, asked.query, asked.context, asked.seen) == (
            "recommend", "p0", 6, "rocket", context, "drop",
        )  # fmt: skip
        assert [one.name for one in decision.stages] == [one.name for one in ranking.stages]
        removed = stage(ranking, "filters").counts
        assert decision.filters == {name: n for name, n in removed.items() if name != "kept"}
        assert decision.filters["excluded"] == 1
        model = engine._model
        rescored = model.scorer.score(shown.matrix())
        np.testing.assert_allclose(rescored, shown.scores, rtol=1e-9, err_msg="what was served is what is learnt from")
        assert decision.unshown is not None
        assert len(decision.unshown.ids) + len(shown.ids) == asked.candidates
        assert not set(decision.unshown.ids) & set(shown.ids)
        rest = model.scorer.score(decision.unshown.matrix())
        assert rest.max() <= max(score for score in shown.scores if score is not None) + 1e-9


def test_a_session_and_an_unknown_item_are_logged_too() -> None:
    with filled(WORLD) as engine:
        ranking = engine.rank(None, ["space-1", "nobody"], session="s")
        decision = logged(engine, ranking)
        assert decision.subject == "\0s"
        assert decision.shown.scores[1] is None
        assert decision.shown.matrix().shape[0] == 2


def test_unshown_features_are_kept_for_the_share_asked_for(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"sample": 0.3}) as engine:
        engine.ingest(WORLD.events)
        kept = [logged(engine, engine.recommend("p0", 3)).unshown is not None for _ in range(200)]
        assert 30 <= sum(kept) <= 90


def test_decisions_can_be_turned_off(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"enabled": False}) as engine:
        engine.ingest([did(1, "u", "a")])
        ranking = engine.rank("u", ["a"])
        with pytest.raises(NotFound):
            engine.explain(ranking.ranking, "a")


# -------------------------------------------------------------------------- exploration


def test_one_labelled_exploration_slot_in_recommend_and_none_elsewhere() -> None:
    with filled(WORLD, policy={"explore": True}) as engine:
        explored: set[str] = set()
        best = ids(engine.recommend("p0", 6, policy="greedy", seen="keep"))
        for _ in range(60):
            ranking = engine.recommend("p0", 6, seen="keep")
            labelled = [one for one in ranking.items if one.reasons and one.reasons[0].code == "exploration"]
            assert [one.position for one in labelled] == [5]
            candidates = stage(ranking, "score").counts["scored"]
            assert labelled[0].propensity == pytest.approx(1 / (candidates - 5))
            assert [one.propensity for one in ranking.items if one is not labelled[0]] == [1.0] * 5
            assert [one.id for one in ranking.items if one is not labelled[0]] == best[:5]
            assert labelled[0].id not in best[:5]
            assert logged(engine, ranking).shown.explored == [False] * 4 + [True, False]
            explored.add(labelled[0].id)
        assert len(explored) > 20
        for quiet in (engine.recommend("p0", 6, policy="greedy"), engine.rank("p0", WORLD.of_genre("space"))):
            assert {one.propensity for one in quiet.items} == {1.0}
            assert not any(logged(engine, quiet).shown.explored)
    with filled(WORLD, policy={"explore": False}) as engine:
        assert {one.propensity for one in engine.recommend("p0", 6).items} == {1.0}


def test_chance_comes_from_the_ranking_id() -> None:
    with filled(WORLD, policy={"explore": True}) as engine:
        request = RecommendRequest(user="p0", k=6, seen="keep")
        for name in ("greedy", "plackett_luce"):
            request.policy = None if name == "greedy" else name
            ranking = engine.answer(request, WORLD.end)
            scored = engine.line.run(request, WORLD.end, engine._model)
            policy = make_policy(name, engine.settings.policy, name == "greedy")
            slate = policy.choose(scored.scores, 6, seeded(ranking.ranking), None)
            assert [scored.candidates.ids[place] for place in slate.order] == ids(ranking)


def test_plackett_luce_propensities_are_exact_and_logged() -> None:
    with filled(WORLD, policy={"temperature": 2.0}) as engine:
        given = WORLD.of_genre("space")
        orders: set[tuple[str, ...]] = set()
        for _ in range(20):
            ranking = engine.rank("p0", given, policy="plackett_luce")
            assert ranking.policy == "plackett_luce"
            orders.add(tuple(ids(ranking)))
            scores = np.array([one.score for one in ranking.items]) / 2.0
            for place, one in enumerate(ranking.items):
                left = np.exp(scores[place:] - scores[place:].max())
                assert one.propensity == pytest.approx(left[0] / left.sum(), rel=1e-9)
            assert logged(engine, ranking).shown.propensities == [one.propensity for one in ranking.items]
        assert len(orders) > 10


def test_diversity_mixes_genres() -> None:
    with filled(WORLD) as plain, filled(WORLD, policy={"diversity": 0.7, "explore": False}) as mixed:

        def genres(engine: Engine) -> int:
            return sum(
                len({WORLD.genre_of[name] for name in ids(engine.recommend(f"p{n}", 6, seen="keep"))})
                for n in range(10)
            )

        assert genres(mixed) > genres(plain)
