"""Counterfactuals are what a ranking really says of another history, and asking for them changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.engine import Engine
from palate.profile import Past, past_of, subject_of_past
from palate.state import snapshot
from palate.testing.world import make_world
from palate.types import Interaction, RankRequest, RecommendRequest
from tests.engines import SMALL, did, filled, ids, item

WORLD = make_world(people=12, per_genre=8, interactions=300, follow=0.3)
OWN = ("popularity", "item_to_item", "people", "towers", "said")
"""Features of what others did, off: what is left depends on the person's history alone."""


def ordered(engine: Engine, user: str, names: list[str], now: int, seen: str = "keep") -> list[str]:
    request = RankRequest(user=user, items=list(names), seen=seen)  # pyright: ignore[reportArgumentType]
    return ids(engine.answer(request, now))


def without(event: Interaction) -> list[Any]:
    return [one for one in WORLD.events if one is not event]


@pytest.mark.parametrize("user", ["p0", "p7"])
def test_places_are_those_of_a_log_that_lacks_the_event(user: str) -> None:
    names = list(WORLD.genre_of)
    with filled(WORLD, features={"off": OWN}) as engine:
        ranking = engine.answer(RankRequest(user=user, items=list(names), seen="keep"), WORLD.end)
        checked = 0
        for target in ids(ranking)[1:4]:
            told = engine.explain(ranking.ranking, target, counterfactuals=True).counterfactuals
            assert told is not None
            assert told.logged
            assert told.candidates == len(names)
            for change in told.changes:
                if change.kind == "with":
                    more = Interaction(
                        id="more", timestamp=WORLD.end, user=user, item=change.item, type=change.type
                    )  # fmt: skip
                    events = [*WORLD.events, more]
                else:
                    (gone,) = [one for one in WORLD.interactions if one.id == change.id]
                    assert (gone.user, gone.item, gone.timestamp) == (user, change.item, change.timestamp)
                    events = without(gone)
                with filled(events, features={"off": OWN}) as other:
                    real = ordered(other, user, names, WORLD.end)
                assert real.index(target) + 1 == change.position, change
                checked += 1
        assert checked >= 6


def test_recommendations_are_ranked_again_over_what_was_retrieved() -> None:
    with filled(WORLD, features={"off": OWN}, decisions={"sample": 0.0}) as engine:
        request = RecommendRequest(user="p1", k=5, seen="drop")
        ranking = engine.answer(request, WORLD.end)
        names, _ = engine.scored(request, WORLD.end)
        target = ids(ranking)[2]
        told = engine.explain(ranking.ranking, target, counterfactuals=True).counterfactuals
        assert told is not None
        assert (told.position, told.candidates, told.logged) == (3, len(names), True)
        changes = [one for one in told.changes if one.kind == "without"]
        assert changes
        for change in changes:
            (gone,) = [one for one in WORLD.interactions if one.id == change.id]
            with filled(without(gone), features={"off": OWN}) as other:
                assert ordered(other, "p1", sorted(names), WORLD.end, "drop").index(target) + 1 == change.position


def test_a_sentence_says_what_the_places_say() -> None:
    with filled(WORLD) as engine:
        said: set[str] = set()
        for user in ("p0", "p1", "p2", "p5"):
            ranking = engine.recommend(user, 6)
            for one in ids(ranking)[1:]:
                told = engine.explain(ranking.ranking, one, counterfactuals=True).counterfactuals
                assert told is not None
                for change in told.changes:
                    before, after = told.position, change.position
                    assert before is not None
                    assert after is not None
                    word = "falls from" if after > before else "rises from" if after < before else "stays at"
                    said.add(word)
                    assert word in change.text
                    assert str(after) in change.text
                    if change.kind == "with":
                        assert after < before
        assert {"falls from", "rises from"} <= said


def test_asking_changes_neither_state_nor_log_nor_the_next_ranking() -> None:
    with filled(WORLD, train=SMALL) as engine:
        engine.train()
        ranking = engine.recommend("p0", 6)
        engine.explain(ranking.ranking, ids(ranking)[0])
        before = snapshot.digest(engine.state), engine.state.seq, engine.rankings, engine.parts.decisions.log
        scored = engine.scored(RecommendRequest(user="p0"), WORLD.end)
        for one in ids(ranking):
            first = engine.explain(ranking.ranking, one, counterfactuals=True, local=True)
            assert engine.explain(ranking.ranking, one, counterfactuals=True, local=True) == first
        assert (snapshot.digest(engine.state), engine.state.seq, engine.rankings, before[3]) == before
        names, scores = engine.scored(RecommendRequest(user="p0"), WORLD.end)
        assert names == scored[0]
        np.testing.assert_array_equal(scores, scored[1])


def test_a_subject_of_the_very_past_is_the_subject() -> None:
    rated = [
        did(2000 + n, f"p{n % 12}", f"space-{n % 8}", "rating", when=(2000 + n) * 60_000, value=1.0 + n % 5)
        for n in range(60)
    ]
    with filled([*WORLD.events, *rated], state={"history": 20}) as engine:
        side, table = engine.catalogue.side(), engine.line.computer.weights
        for user in range(len(engine.state.users)):
            mine = engine.line.computer.subject(user, side)
            arrays = side.vectors, side.text_of, side.tags, side.n_tags, table
            again = subject_of_past(engine.state, user, past_of(engine.state, user), *arrays)
            for name in mine.__slots__:
                a, b = getattr(mine, name), getattr(again, name)
                if isinstance(a, np.ndarray):
                    np.testing.assert_array_equal(a, b, err_msg=name)
                elif name != "extra":
                    assert a == b, name


def test_leaving_out_a_rating_moves_the_mean_that_ratings_are_held_against() -> None:
    values = [5.0, 1.0, 3.0, 4.0, 2.0]
    some = [item(f"i{n}", title=f"thing {n}") for n in range(5)]
    events = [did(n, "u", f"i{n}", "rating", value=values[n]) for n in range(5)]
    others = [did(10 + n, f"v{n}", f"i{n % 5}", "rating", value=values[n % 3]) for n in range(7)]
    with filled([*some, *events, *others]) as engine, filled([*some, *events[1:], *others]) as other:
        row, rating = engine.state.users.get("u"), engine.state.types.get("rating")
        past = past_of(engine.state, row)
        gone = np.array([engine.state.items.ids[one] == "i0" for one in past.items])
        side = engine.catalogue.side()
        left = subject_of_past(
            engine.state, row, past.without(gone, rating), side.vectors, side.text_of, side.tags, side.n_tags,
            engine.line.computer.weights,
        )  # fmt: skip
        real = other.line.computer.subject(other.state.users.get("u"), other.catalogue.side())
        np.testing.assert_allclose(left.weights, real.weights, rtol=1e-12)
        added = past_of(other.state, other.state.users.get("u")).followed_by(0, 1, rating, 5.0, rating)
        assert added.ratings == (1, 5.0, 25.0)
        assert isinstance(added, Past)


def test_who_has_no_history_is_told_so() -> None:
    with filled(WORLD) as engine:
        ranking = engine.recommend("stranger", 4)
        told = engine.explain(ranking.ranking, ids(ranking)[1], counterfactuals=True).counterfactuals
        assert told is not None
        assert (told.position, told.changes) == (2, [])
        plain = engine.explain(ranking.ranking, ids(ranking)[1])
        assert (plain.counterfactuals, plain.local) == (None, None)


def test_what_came_after_the_decision_is_not_left_out_of_it() -> None:
    with filled(WORLD) as engine:
        ranking = engine.answer(RecommendRequest(user="p0", k=5, seen="keep"), WORLD.end)
        engine.ingest([did(9000 + n, "p0", "garden-1", when=9_000_000_000 + n) for n in range(5)])
        told = engine.explain(ranking.ranking, ids(ranking)[0], counterfactuals=True).counterfactuals
        assert told is not None
        assert all(one.timestamp < WORLD.end for one in told.changes)
        before = engine.explain(ranking.ranking, ids(ranking)[0])
        assert before.position == 1
