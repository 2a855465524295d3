"""What is served is what is logged; chance is labelled, seeded, and its propensities exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.answer import seeded, similarity
from palate.config import LanguageSettings, PolicySettings, Settings
from palate.engine import Engine
from palate.errors import NotFound
from palate.policy import make_policy
from palate.store.decision import Decision
from palate.testing.world import make_world
from palate.types import RankRequest, RecommendRequest
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


@pytest.mark.parametrize(
    "rules", [{"explore": True}, {"diversity": 0.4, "temperature": 0.5, "rank": "plackett_luce", "explore": True}]
)
def test_a_decision_holds_what_it_takes_to_run_it_again(tmp_path: Path, rules: dict[str, Any]) -> None:
    given = [*WORLD.of_genre("space"), {"id": "nobody"}, {"id": "food-1", "fields": {"stock": 3}}]
    given += [{"id": "food-2", "fields": {"available": False}}]
    path, wanted = tmp_path / "e.palate", {"or": [{"stock": {"gt": 1}}, {"stock": {"exists": False}}]}
    with at(path, policy=rules, scene="shop") as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        asked = [
            engine.rank("p0", given, k=6, filter=wanted, exclude=["space-2"], context={"hour": 9}),
            engine.recommend("p1", 6, query="rocket"),
            engine.recommend("p2"),
        ]
        engine.ingest([did(5000 + n, "p0", "food-3") for n in range(50)])
        decisions = [logged(engine, ranking) for ranking in asked]
    assert [one.rules.scene for one in decisions if one.rules] == ["shop"] * 3
    for ranking, decision in zip(asked, decisions, strict=True):
        asking, held = decision.request, decision.rules
        assert asking is not None
        assert held is not None
        names = ("user", "session", "k", "query", "context", "filter", "exclude", "seen")
        options = {name: getattr(asking, name) for name in names}
        request = RecommendRequest(**options)
        if asking.kind == "rank":
            assert msgspec.to_builtins(asking.items) == given_as_logged(given)
            request = RankRequest(items=asking.items, **options)
        else:
            assert asking.items == []
        chosen = PolicySettings(diversity=held.diversity, temperature=held.temperature)
        settings = Settings(
            scene=held.scene, seen=held.seen, policy=chosen, language=LanguageSettings(encoder="hashing")
        )  # fmt: skip
        with palate.open(path, settings=settings, until=decision.as_of) as engine:
            engine.catalogue.encode_now()
            scored = engine.line.run(request, decision.timestamp, engine._model)
            assert (scored.seen == "drop") == held.dropped
            alike = similarity(engine.catalogue.side() if held.diversity else None, scored)
            policy = make_policy(decision.policy, chosen, held.explore)
            slate = policy.choose(scored.scores, len(ranking.items), seeded(decision.ranking), alike)
            shown = decision.shown
            size = len(slate.order)
            assert [scored.candidates.ids[place] for place in slate.order] == shown.ids[:size]
            assert scored.scores[slate.order].tolist() == shown.scores[:size]
            assert slate.propensity.tolist() == shown.propensities[:size]
            assert slate.explored.tolist() == shown.explored[:size]
            assert decision.penalties == ([] if slate.penalty is None else slate.penalty.tolist())


def given_as_logged(items: list[Any]) -> list[Any]:
    """Ids as they are; objects with their fields, also where these are none."""
    return [one if isinstance(one, str) else {"fields": {}, **one} for one in items]


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
