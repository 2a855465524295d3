"""One strange event or request never spoils the answers of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import palate
from palate.config import load
from palate.engine import Engine
from palate.errors import ConfigError, InvalidInput
from palate.testing.world import START, make_world
from palate.types import Interaction, User
from tests.engines import HASHING, SMALL, did, filled, ids

WORLD = make_world(people=10, per_genre=5, interactions=300, kind="rating")


def finite(engine: Engine, **options: Any) -> bool:
    rankings = [engine.recommend(name, 10, seen="keep", **options) for name in ("p0", "p1", "stranger")]
    return all(one.score is not None and np.isfinite(one.score) for ranking in rankings for one in ranking.items)


@pytest.mark.parametrize("value", [1e12, -1e12, 0.0, 5e-324, 1e-40])
def test_extreme_ratings_stay_finite_for_everybody(value: float) -> None:
    with filled(WORLD) as engine:
        engine.ingest(
            [did(9000, "troll", "space-1", "rating", value=value), did(9001, "p0", "space-1", "rating", value=3.0)]
        )
        assert finite(engine)
        assert engine.counts().non_finite == 0
        assert engine.rebuild()["equal"]


@pytest.mark.parametrize("value", [1e13, -1e300, 1e39, 1.7e308])
def test_values_beyond_reason_are_refused(value: float) -> None:
    with filled(WORLD) as engine:
        with pytest.raises(InvalidInput, match=r"value is .*; it must lie between -1e\+12 and 1e\+12"):
            engine.ingest([did(9000, "troll", "space-1", "rating", value=value)])
        assert finite(engine)


@pytest.mark.parametrize(
    "context",
    [
        {"hour": 1e300}, {"hour": -(2**63)}, {"weekday": 1e39}, {"hour": True}, {"weekday": "x"}, {"device": 1e308},
        {"device": ["a"] * 50}, {"device": ""}, {"device": -(2**63)},
    ],
)  # fmt: skip
def test_strange_contexts_score_everything(context: dict[str, Any]) -> None:
    with filled(WORLD) as engine:
        assert finite(engine, context=context)


def test_strange_contexts_score_everything_with_a_model_that_learnt_from_context() -> None:
    with filled(make_world(people=10, per_genre=5, interactions=300), train=SMALL) as engine:
        import dataclasses

        from palate.features import NAMES, PRIOR
        from palate.score.linear import LinearScorer

        scorer = LinearScorer((*NAMES, "context.device"), np.append(PRIOR, 0.5))
        engine._model = dataclasses.replace(engine._model, scorer=scorer, context=("context.device",))
        for device in (1e308, -1e308, 3, "phone", True):
            assert finite(engine, context={"device": device})


@pytest.mark.parametrize("weight", ["nan", "inf", "-inf", "1e300"])
def test_weights_must_be_numbers_of_reason(weight: str) -> None:
    with pytest.raises(ConfigError, match=r"weights\.click is .*; it must lie between -1000 and 1000"):
        load(None, environ={"PALATE_WEIGHTS__CLICK": weight})


def test_odd_ids_live_like_any_other() -> None:
    odd = ["中文", "a b", "../../x", "é" * 100, "x" * 512, "🎬", "a/b?c#d", "'; DROP TABLE", "0", "\n", "\u202e"]
    with filled([did(n, name, other) for n, (name, other) in enumerate((a, b) for a in odd for b in odd)]) as engine:
        for name in odd:
            assert engine.user(name).interactions == len(odd)
            ranking = engine.rank(name, odd, explain=True)
            assert set(ids(ranking)) == set(odd)
            assert engine.explain(ranking.ranking, odd[3]).item == odd[3]
        assert engine.rebuild()["equal"]


def test_ten_thousand_candidates_are_ranked() -> None:
    with filled(WORLD) as engine:
        given = [*WORLD.genre_of, *(f"unknown{n}" for n in range(10_000 - len(WORLD.genre_of)))]
        ranking = engine.rank("p0", given, k=1000)
        assert len(ranking.items) == 1000
        assert sum(one.score is not None for one in ranking.items) == len(WORLD.genre_of)
        with pytest.raises(InvalidInput, match="items has 10001 candidates; at most 10000"):
            engine.rank("p0", [*given, "more"])


def test_an_erased_person_is_not_learnt_from(tmp_path: Any) -> None:
    """Training reads the log; what was erased is not part of it."""
    from palate.train.history import read_history

    with palate.open(tmp_path / "e.palate", language=HASHING, train=SMALL) as engine:
        engine.ingest(make_world(people=5, per_genre=5, interactions=300).events)
        end = START + 10**9
        engine.ingest([User(id="gone", timestamp=end, user="p0", deleted=True)])
        engine.ingest([Interaction(id="back", timestamp=end + 1, user="p0", item="space-1")])
        history = read_history(engine.parts.store, engine.settings)
        mine = [event.id for _, _, event in history.events if isinstance(event, Interaction) and event.user == "p0"]
        assert mine == ["back"]
        engine.train()
        replayed = [path.read_bytes() for path in (tmp_path / "e.palate" / "replay").iterdir() if path.is_file()]
        assert replayed
        early = [event for event in history.events if event[0] < end]
        assert early


def test_the_source_of_a_clamped_event_is_found() -> None:
    with filled(WORLD) as engine:
        engine.ingest(
            [Interaction(id="soon", user="me", item="space-1", type="like", timestamp=engine.clock() + 10**10)]
        )
        ranking = engine.rank("me", WORLD.of_genre("space"), explain=True)
        told = engine.explain(ranking.ranking, "space-2")
        sources = [source for term in told.contributions for source in term.sources]
        assert sources
        assert {source.id for source in sources} == {"soon"}
