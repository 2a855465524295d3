"""What is believed of a person, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from palate.engine import Engine
from palate.errors import InvalidInput
from palate.testing.world import START, make_world
from palate.types import Interaction, User
from tests.engines import did, filled, ids, item

WORLD = make_world(people=15, interactions=500)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled(WORLD) as engine:
        yield engine


def test_the_profile_of_a_world_person_names_the_taste(world: Engine) -> None:
    for person, (best, second) in WORLD.taste.items():
        profile = world.user(person)
        mine = [event for event in WORLD.interactions if event.user == person]
        assert (profile.user, profile.known, profile.interactions) == (person, True, len(mine))
        assert [entry.item for entry in profile.history] == [event.item for event in reversed(mine)]
        assert profile.history[0].title == world.title(mine[-1].item)
        assert profile.long_term[0].tag == f"genre:{best}"
        assert {tag.tag for tag in profile.long_term[:2]} <= {f"genre:{best}", f"genre:{second}"}
        weights = [tag.weight for tag in profile.long_term]
        assert weights == sorted(weights, reverse=True)
        assert sum(weights) == pytest.approx(1.0, abs=1e-3)
        assert profile.as_of == world.counts().seq


def test_interests_are_titles_of_the_history(world: Engine) -> None:
    profile = world.user("p0")
    titles = {entry.title for entry in profile.history}
    assert 2 <= len(profile.interests) <= 3
    for interest in profile.interests:
        assert 1 <= len(interest) <= 5
        assert set(interest) <= titles


def test_a_stranger_is_not_known(world: Engine) -> None:
    profile = world.user("stranger")
    assert not profile.known
    assert (profile.interactions, profile.history, profile.long_term, profile.fields) == (0, [], [], {})
    for bad in ("", "a\0b", "x" * 513):
        with pytest.raises(InvalidInput):
            world.user(bad)


def test_fields_make_a_person_known_and_deletion_unknown() -> None:
    with filled([User(id="a", timestamp=START, user="u", fields={"age": 30})]) as engine:
        assert engine.user("u").known
        assert engine.user("u").fields == {"age": 30}
        engine.ingest([did(1, "u", "x", "rating", value=4.5), did(2, "u", "y", "hide")])
        profile = engine.user("u")
        assert [(entry.item, entry.type, entry.value) for entry in profile.history] == [
            ("y", "hide", None), ("x", "rating", 4.5),
        ]  # fmt: skip
        engine.ingest([User(id="b", timestamp=START + 3_600_000, user="u", deleted=True)])
        profile = engine.user("u")
        assert not profile.known
        assert (profile.fields, profile.history, profile.interactions) == ({}, [], 0)


def test_an_old_taste_gives_way_to_a_new_one() -> None:
    things = [item(f"{genre}{n}", genres=[genre], title=f"{genre} {n}") for genre in ("war", "love") for n in range(40)]
    walk = [did(n, "u", f"war{n}") for n in range(40)] + [did(40 + n, "u", f"love{n}") for n in range(6)]
    with filled([*things, *walk]) as engine:
        profile = engine.user("u")
        assert profile.long_term[0].tag == "genre:war"
        assert [tag.tag for tag in profile.short_term] == ["genre:love"]


def test_users_are_listed_most_active_first_without_sessions(world: Engine) -> None:
    counts = {person: world.user(person).interactions for person in WORLD.taste}
    assert world.users(limit=100) == sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    assert [name for name, _ in world.users("p1", 100)] == [
        name for name, _ in world.users(limit=100) if name.startswith("p1")
    ]
    assert len(world.users(limit=3)) == 3


def test_sessions_have_histories_of_their_own() -> None:
    things = [item(name, genres=[name[0]], title=f"{name[0]} thing {name}") for name in ("a1", "a2", "b1", "b2")]
    walk = [
        Interaction(id="s1", timestamp=START + 1, session="left", item="a1"),
        Interaction(id="s2", timestamp=START + 2, session="right", item="b1"),
        Interaction(id="s3", timestamp=START + 3, session="left", user="named", item="b1"),
    ]
    with filled([*things, *walk]) as engine:
        assert ids(engine.rank(None, ["b2", "a2"], session="left"))[0] == "a2"
        assert ids(engine.rank(None, ["a2", "b2"], session="right"))[0] == "b2"
        assert ids(engine.rank("named", ["a2", "b2"], session="left"))[0] == "b2", "the user goes before the session"
        assert not engine.rank(None, ["a2"], session="left").cold.user
        assert engine.rank(None, ["a2"], session="new").cold.user
        assert engine.rank(None, ["a2"]).cold.user
        assert [name for name, _ in engine.users()] == ["named"]
        assert engine.counts().users == 1
        assert not engine.user("left").known, "a session is no user"
