"""Whom somebody follows, what they asked for, people alike: each in a world whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.engine import Engine
from palate.features import column
from palate.features.company import FRIENDS, NEWEST
from palate.testing.world import START, make_world
from palate.types import RecommendRequest, User
from palate.wishes import Wish, write
from tests.engines import did, filled, ids, item

WORLD = make_world(people=60, interactions=2500)
GENRES = sorted(set(WORLD.genre_of.values()))
DAY = 86_400_000


def says(user: str, number: int = 0, **fields: Any) -> User:
    return User(id=f"says-{user}-{number}", timestamp=WORLD.end + number, user=user, fields=fields)


def share(engine: Engine, user: str, genre: str, k: int = 10) -> float:
    """Of the first ``k``, how many are of ``genre``."""
    return np.mean([WORLD.genre_of[name] == genre for name in ids(engine.recommend(user, k, seen="drop"))])


def features(engine: Engine, user: str, items: list[str]) -> dict[str, list[float]]:
    from palate.types import RankRequest

    with engine._lock:
        scored = engine.line.run(RankRequest(user=user, items=items), engine.clock(), engine._model)
    names = (
        "friends_had",
        "friends_share",
        "friends_new",
        "asked_tags",
        "asked_taste",
        "alike_tags",
        "alike_taste",
        "carried",
    )
    return {name: scored.x[:, column(name)].tolist() for name in names}


def fans(genre: str) -> list[str]:
    return [person for person, (best, _) in WORLD.taste.items() if best == genre]


def test_a_newcomer_gets_what_the_people_followed_choose() -> None:
    with filled(WORLD) as engine:
        for genre in GENRES:
            engine.ingest(says(f"new-{genre}", follows=fans(genre)[:10]))
            engine.ingest(says(f"none-{genre}", age=3))
            assert share(engine, f"new-{genre}", genre) >= 0.6 > share(engine, f"none-{genre}", genre)
        reasons = engine.recommend("new-space", 1).items[0].reasons
        assert "friends" in {reason.code for reason in reasons}


def test_what_is_unlike_something_unwanted_is_not_thereby_wanted() -> None:
    with filled(WORLD) as engine:
        less = Wish(less="nothing of the kind")
        engine.ingest(says("sour", wishes=write([less])))
        engine.line.computer.company.meaning = lambda text: -engine.catalogue.side().vectors[0]
        near = features(engine, "sour", engine.state.items.ids[:20])["asked_taste"]
        assert max(near) <= 0.0
        engine.line.computer.company.meaning = lambda text: engine.catalogue.side().vectors[0]
        assert min(features(engine, "sour", engine.state.items.ids[:20])["asked_taste"]) < 0.0


def test_friends_by_hand() -> None:
    things = [item(name, title=name) for name in "abcd"]
    walk = [did(1, "f", "a", when=0), did(2, "f", "a", when=DAY), did(3, "g", "a", when=DAY),
            did(4, "g", "b", when=DAY), did(5, "f", "c", "hide", when=DAY)]  # fmt: skip
    with filled([*things, *walk]) as engine:
        engine.ingest(User(id="u", timestamp=START, user="me", fields={"follows": ["f", "g", "g", "stranger", "me"]}))
        found = features(engine, "me", ["a", "b", "c", "d"])
        np.testing.assert_allclose(found["friends_new"], [np.log1p(2), np.log1p(1), 0, 0], rtol=1e-3)
        np.testing.assert_allclose(found["friends_share"], [0, 0, 0, 0], rtol=1e-3)
        engine.ingest(User(id="u2", timestamp=START + 1, user="me", fields={"follows": []}))
        assert features(engine, "me", ["a"])["friends_new"] == [0], "the newest list replaces the one before"
        engine.ingest(User(id="u3", timestamp=START + 2, user="me", fields={"follows": ["f", "g"]}))
        engine.ingest(User(id="gone", timestamp=START + 3 * DAY, user="g", deleted=True))
        np.testing.assert_allclose(
            features(engine, "me", ["a", "b"])["friends_new"], [np.log1p(2 ** (-2 / 30)), 0], rtol=1e-3
        )


def test_of_somebody_known_the_share_is_told_and_learnt_from() -> None:
    things = [item(name, title=name) for name in "abc"]
    walk = [did(1, "f", "a", when=0), did(2, "g", "a", when=0), did(3, "g", "b", when=0)]
    with filled([*things, *walk, *(did(10 + n, "me", "c", when=n) for n in range(21))]) as engine:
        engine.ingest(User(id="u", timestamp=START, user="me", fields={"follows": ["f", "g"]}))
        found = features(engine, "me", ["a", "b", "c"])
        np.testing.assert_allclose(found["friends_had"], [np.log1p(2), np.log1p(1), 0], rtol=1e-3)
        np.testing.assert_allclose(found["friends_share"], [1, 0.5, 0], rtol=1e-3)
        assert found["friends_new"] == [0, 0, 0]


def test_what_one_person_had_is_said_to_nobody() -> None:
    things = [item(name, title=name) for name in ("a", "b", "c")]
    with filled([*things, did(1, "f", "a"), *(did(2 + n, f"x{n}", "b") for n in range(3))]) as engine:
        engine.ingest(User(id="u", timestamp=START, user="me", fields={"follows": ["f"]}))
        for explain in (False, True):
            codes = {r.code for one in engine.rank("me", ["a", "b"], explain=explain).items for r in one.reasons}
            assert "friends" not in codes
        profile = engine.user("me")
        assert "follows" not in profile.fields
        assert profile.habits is not None
        assert profile.habits.follows == 1
        assert "f" not in str(profile).replace("follows", "").split("'")


def test_only_so_many_people_and_choices_count() -> None:
    things = [item(f"i{n}", title=f"thing {n}") for n in range(40)]
    walk = [did(n, "busy", f"i{n}") for n in range(40)] + [did(100 + n, f"p{n}", "i0") for n in range(70)]
    with filled([*things, *walk]) as engine:
        engine.ingest(says("me", follows=["busy"]))
        had = features(engine, "me", [f"i{n}" for n in range(40)])["friends_new"]
        assert np.flatnonzero(had).tolist() == list(range(40 - NEWEST, 40))
        engine.ingest(says("me", 1, follows=[f"p{n}" for n in range(70)]))
        assert np.expm1(features(engine, "me", ["i0"])["friends_new"][0]) == pytest.approx(FRIENDS, rel=0.05)


@pytest.mark.parametrize("wish", ["genre:cooking", "Cooking", "recipe kitchen noodle"])
def test_what_was_asked_for_comes_first_without_a_history(wish: str) -> None:
    with filled(WORLD) as engine:
        engine.ingest([says("wants", likes=[wish]), says("silent", likes=[])])
        assert share(engine, "wants", "cooking") >= 0.7 > share(engine, "silent", "cooking")
        shown = engine.recommend("wants", 5).items
        assert "asked" in {reason.code for one in shown for reason in one.reasons}


def test_wishes_fade_as_history_comes() -> None:
    with filled(WORLD) as engine:
        engine.ingest(says("u", likes=["genre:cooking"]))
        at = ["cooking-0"]
        before = features(engine, "u", at)["asked_tags"][0]
        assert before > 0.4
        engine.ingest([did(9000 + n, "u", f"space-{n % 12}") for n in range(5)])
        assert features(engine, "u", at)["asked_tags"][0] == pytest.approx(before / 2, rel=0.05)
        engine.ingest([did(9100 + n, "u", f"space-{n % 12}") for n in range(60)])
        assert features(engine, "u", at)["asked_tags"][0] == 0.0


def with_fields(world_people: list[str]) -> list[User]:
    """People whose ``team`` is their best genre and whose ``coin`` tells nothing."""
    return [
        says(person, team=f"team-{WORLD.taste[person][0]}", coin=bool(number % 2))
        for number, person in enumerate(world_people)
    ]


def test_a_newcomer_gets_what_people_alike_choose() -> None:
    with filled(WORLD) as engine:
        engine.ingest(with_fields(list(WORLD.taste)))
        for genre in GENRES:
            engine.ingest([says(f"new-{genre}", team=f"team-{genre}"), says(f"odd-{genre}", team="team-nowhere")])
            assert share(engine, f"new-{genre}", genre) > share(engine, f"odd-{genre}", genre)
            x = features(engine, f"new-{genre}", [f"{other}-1" for other in GENRES])
            assert GENRES[int(np.argmax(x["alike_tags"]))] == genre
            assert GENRES[int(np.argmax(x["alike_taste"]))] == genre
        engine.ingest([did(9000 + n, "new-space", f"garden-{n % 12}") for n in range(25)])
        assert not any(features(engine, "new-space", ["space-1"])["alike_tags"]), "a history says it better"


def test_of_fewer_than_ten_people_nothing_is_concluded() -> None:
    with filled(WORLD) as engine:
        engine.ingest(with_fields(fans("space")[:9] + fans("garden")[:4]))
        engine.ingest(says("new", team="team-space"))
        assert features(engine, "new", ["space-1"])["alike_tags"] == [0]


def test_segments_follow_changed_fields_and_drop_what_names_a_person() -> None:
    with filled(WORLD) as engine:
        engine.ingest(with_fields(list(WORLD.taste)))
        segments = engine.line.computer.company.segments
        row = engine.state.users.get("p0")
        engine.ingest(says("p0", 5, team="team-x", age=40))
        assert ("team", "team-x") in segments.of(row)
        engine.ingest([says(f"n{n}", 9, email=f"n{n}@example.org", team="team-x") for n in range(200)])
        assert {name for name, _ in segments.of(engine.state.users.get("n7"))} == {"team"}
        engine.ingest(User(id="bye", timestamp=WORLD.end + 99, user="p0", deleted=True))
        assert segments.of(row) == []


def test_whoever_said_nothing_is_ranked_as_before() -> None:
    with filled(WORLD) as engine:
        before = engine.scored(RecommendRequest(user="p3", k=10), engine.clock())
        engine.ingest(says("other", follows=["p3"], likes=["genre:space"]))
        after = engine.scored(RecommendRequest(user="p3", k=10), engine.clock())
        assert before[0] == after[0]
        assert not any(map(any, features(engine, "p3", list(WORLD.genre_of)[:20]).values()))
