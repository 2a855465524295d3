"""The line: who may be shown, what was removed and why, words in two languages, context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from palate.engine import Engine
from palate.errors import InvalidInput
from palate.line import context_columns, contributions, prior_model, total_score
from palate.testing.world import START, make_world
from palate.types import Candidate, RankRequest, RecommendRequest
from tests.engines import did, filled, ids, item, memory, stage

WORLD = make_world(people=15, interactions=600)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled(WORLD) as engine:
        yield engine


@pytest.fixture(scope="module")
def shop() -> Iterator[Engine]:
    """One person who saw a, hid b (after a click), hid c and came back to it; d is deleted, e and f are sold out."""
    with filled(
        [
            *(item(name, title=f"thing {name}", price=place) for place, name in enumerate("abcdefgh")),
            item("e", 1, available=False),
            item("f", 1, in_stock=False),
            did(1, "u", "a"),
            did(2, "u", "b"),
            did(3, "u", "b", "hide"),
            did(4, "u", "c", "hide"),
            did(5, "u", "c"),
            did(6, "other", "d"),
            did(7, "other", "h"),
            item("d", 2).__class__(id="gone", timestamp=START + 2, item="d", deleted=True),
        ]
    ) as engine:
        yield engine


def kept(ranking: Any) -> set[str]:
    return set(ids(ranking))


def counts(ranking: Any) -> dict[str, int]:
    found = dict(stage(ranking, "filters").counts)
    found.pop("kept")
    return found


ALL = list("abcdefgh")


def test_rank_keeps_what_the_caller_chose_but_never_what_is_gone_or_blocked(shop: Engine) -> None:
    ranking = shop.rank("u", ALL)
    assert kept(ranking) == set("acgh")
    assert counts(ranking) == {"deleted": 1, "unavailable": 2, "blocked": 1}
    assert ranking.seen == "keep"
    assert stage(ranking, "filters").counts["kept"] == 4


def test_rank_drops_what_was_seen_when_asked(shop: Engine) -> None:
    ranking = shop.rank("u", ALL, seen="drop")
    assert kept(ranking) == set("gh")
    assert counts(ranking) == {"deleted": 1, "unavailable": 2, "blocked": 1, "seen": 2}
    assert ranking.seen == "drop"


def test_blocks_are_personal(shop: Engine) -> None:
    assert kept(shop.rank("other", ALL)) == kept(shop.rank(None, ALL)) == set("abcgh")


def test_exclude(shop: Engine) -> None:
    ranking = shop.rank("u", ALL, exclude=["a", "nonsense"])
    assert kept(ranking) == set("cgh")
    assert counts(ranking)["excluded"] == 1


def test_a_filter_counts_what_it_removed(shop: Engine) -> None:
    ranking = shop.rank("u", ALL, filter={"price": {"lte": 2}})
    assert kept(ranking) == set("ac")
    assert counts(ranking) == {"deleted": 1, "unavailable": 2, "blocked": 1, "filter": 2}


def test_fields_of_a_candidate_override_the_catalogue_for_filters(shop: Engine) -> None:
    items = [
        Candidate("a", {"price": 100}),
        Candidate("e", {"available": True}),
        Candidate("g", {"in_stock": False}),
        "h",
    ]
    ranking = shop.rank("other", items, filter={"price": {"gte": 5}})
    assert kept(ranking) == {"a", "h"}
    assert counts(ranking) == {"unavailable": 1, "filter": 1}
    assert kept(shop.rank("other", items)) == {"a", "e", "h"}
    assert shop.item("a")["price"] == 0, "only for that request"


def test_an_unknown_candidate_comes_last_without_a_score(shop: Engine) -> None:
    ranking = shop.rank("u", ["nobody", "a", "neither", "g"])
    assert ids(ranking)[2:] == ["nobody", "neither"]
    for place in (2, 3):
        assert ranking.items[place].score is None
        assert [reason.code for reason in ranking.items[place].reasons] == ["unscored"]
    assert all(one.score is not None for one in ranking.items[:2])
    assert ids(shop.rank("u", ["nobody", "a", "g"], k=2)) == ids(shop.rank("u", ["a", "g"]))
    assert kept(shop.rank("u", ["nobody", "a"], filter={"price": {"exists": True}})) == {"a"}


@pytest.mark.parametrize("seen", ["drop", "keep"])
def test_recommend_shows_nothing_that_rank_would_remove(shop: Engine, seen: Any) -> None:
    ranking = shop.recommend("u", 100, seen=seen)
    assert kept(ranking) == kept(shop.rank("u", ALL, seen=seen)) == ({*"gh"} if seen == "drop" else {*"acgh"})
    assert kept(shop.recommend("u", 100, seen=seen, exclude=["g"])) == kept(ranking) - {"g"}
    assert kept(shop.recommend("u", 100, seen=seen, filter={"price": {"gt": 6}})) == {"h"}


def test_recommend_counts_what_it_removed(shop: Engine) -> None:
    ranking = shop.recommend("u", 100, seen="drop", exclude=["g"], filter={"price": {"lt": 7}})
    assert counts(ranking) == {"deleted": 1, "unavailable": 2, "blocked": 1, "seen": 2, "excluded": 1, "filter": 1}
    assert ids(ranking) == []
    assert counts(shop.recommend("u", 100, seen="keep")) == {"deleted": 1, "unavailable": 2, "blocked": 1}


@pytest.mark.parametrize(
    ("setting", "repeating", "expected"),
    [
        ({}, True, "keep"),
        ({}, False, "drop"),
        ({"scene": "shop"}, False, "keep"),
        ({"scene": "video"}, True, "drop"),
        ({"scene": "news"}, True, "drop"),
        ({"scene": "social"}, False, "drop"),
        ({"seen": "keep", "scene": "video"}, False, "keep"),
        ({"seen": "drop", "scene": "shop"}, True, "drop"),
    ],
)
def test_seen_auto_follows_setting_scene_and_the_habits_of_the_log(
    setting: dict[str, Any], repeating: bool, expected: str
) -> None:
    with memory(**setting) as engine:
        engine.ingest([did(n, f"u{n % 3}", f"i{n % 3 if repeating else n}") for n in range(12)])
        assert engine.recommend("u0").seen == expected
        assert engine.rank("u0", ["i0"]).seen == "keep"
        assert engine.recommend("u0", seen="drop").seen == "drop"


def test_a_bad_filter_names_its_place_in_both_kinds_of_request(shop: Engine) -> None:
    for call in (lambda f: shop.rank("u", ["a"], filter=f), lambda f: shop.recommend("u", filter=f)):
        with pytest.raises(InvalidInput, match=r"filter\.price\.like: 'like' is no comparison"):
            call({"price": {"like": 1}})


def test_a_filter_sees_a_change_at_once(shop: Engine) -> None:
    only = {"brand": {"eq": "new"}}
    assert ids(shop.recommend("zoe", filter=only)) == []
    shop.ingest([item("h", 50, brand="new")])
    assert ids(shop.recommend("zoe", filter=only)) == ["h"]


# ------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("query", "genre"),
    [
        ("rocket", "space"),
        ("a detective story", "mystery"),
        ("菜谱", "cooking"),
        ("郁金香和花园", "garden"),
        ("联赛", "football"),
    ],
)
def test_words_find_items_in_both_languages(world: Engine, query: str, genre: str) -> None:
    ranking = world.recommend("stranger", 3, query=query)
    assert {WORLD.genre_of[name] for name in ids(ranking)} == {genre}
    assert all("query" in [reason.code for reason in one.reasons] for one in ranking.items)
    ran = {one.name: one.status for one in ranking.stages}
    assert ran["query"] == "ran"
    assert ran["taste retrieval"] == "skipped"


def test_taste_orders_what_the_words_allow(world: Engine) -> None:
    lover = next(name for name, (best, _) in WORLD.taste.items() if best == "space")
    for name in (lover, "stranger"):
        assert {WORLD.genre_of[one] for one in ids(world.recommend(name, 2, query="recipe kitchen"))} == {"cooking"}
    mine = world.recommend(lover, 60, query="recipe", seen="keep")
    others = [one for one in ids(mine) if WORLD.genre_of[one] != "cooking"]
    assert WORLD.genre_of[others[0]] in WORLD.taste[lover]


def test_a_query_orders_given_candidates_too(world: Engine) -> None:
    given = ["space-0", "cooking-0", "garden-0", "mystery-0"]
    for name in given:
        title = str(world.item(name)["title"])
        assert ids(world.rank(None, given, query=title))[0] == name


def test_blank_words_are_no_query(world: Engine) -> None:
    for query in ("", "   ", "\n"):
        ranking = world.recommend("p0", query=query)
        assert stage(ranking, "query").status == "skipped"
        assert ids(ranking) == ids(world.recommend("p0"))


def test_words_that_nothing_matches_still_answer(world: Engine) -> None:
    ranking = world.recommend("p0", 5, query="zzzz qqqq")
    assert all(one.score is not None for one in ranking.items)


# ---------------------------------------------------------------------------- retrieval


def test_every_retriever_says_how_much_it_found_and_each_candidate_who_named_it(world: Engine) -> None:
    request = RecommendRequest(user="p0", seen="keep")
    scored = world.line.run(request, WORLD.end, world._model)
    found = next(one for one in scored.stages if one.name == "candidates").counts
    assert {"trending", "popular", "next", "near", "again", "taste_now"} <= found.keys()
    assert found["retrieved"] == len(scored.candidates) == len(set(scored.candidates.ids))
    assert all(scored.candidates.sources(place) for place in range(len(scored.candidates)))
    seen = {world.state.items.ids[row] for row in scored.subject.seen.tolist()}
    again = {name for n, name in enumerate(scored.candidates.ids) if "again" in scored.candidates.sources(n)}
    assert again == seen


def test_retrieval_finds_the_taste_of_a_person(world: Engine) -> None:
    for person, taste in list(WORLD.taste.items())[:8]:
        top = ids(world.recommend(person, 5, seen="keep"))
        assert sum(WORLD.genre_of[name] in taste for name in top) >= 4, person


def test_scored_is_what_recommend_shows(world: Engine) -> None:
    request = RecommendRequest(user="p1", k=7, policy="greedy")
    names, scores = world.scored(request, WORLD.end)
    ranking = world.answer(request, WORLD.end)
    assert ids(ranking) == names[:7]
    assert [one.score for one in ranking.items] == pytest.approx(scores[:7].tolist())
    assert (np.diff(scores) <= 0).all()


def test_k_beyond_everything_gives_everything(world: Engine) -> None:
    assert len(world.recommend("p0", 1000, seen="keep").items) == len(WORLD.items)
    assert len(world.recommend("p0").items) == 10
    assert len(world.rank("p0", ["space-1", "space-2"]).items) == 2


def test_an_answer_names_every_stage_in_order(world: Engine) -> None:
    given = [one.name for one in world.rank("p0", ["space-1"]).stages]
    assert given == ["subject", "query", "candidates", "filters", "features", "score", "policy", "answer"]
    free = world.recommend("p0", query="rocket").stages
    assert [one.name for one in free] == [
        "subject", "query", "taste retrieval", "candidates", "filters", "features", "score", "policy", "answer",
    ]  # fmt: skip
    assert all(one.ms >= 0 for one in free)
    assert all(one.reason for one in free if one.status == "skipped")


# ------------------------------------------------------------------------------ context


def test_hour_and_weekday_come_from_the_context_or_the_clock(world: Engine) -> None:
    def features(**context: Any) -> dict[str, float]:
        request = RankRequest(user="p0", items=["space-1"], context=context)
        scored = world.line.run(request, START, world._model)
        return dict(zip(world._model.scorer.features, scored.x[0].tolist(), strict=True))

    assert (features()["hour"], features()["weekday"]) == (22.0, 1.0)  # Tuesday, 14 November 2023, 22:13 UTC
    assert (features(hour=3, weekday=6)["hour"], features(hour=3, weekday=6)["weekday"]) == (3.0, 6.0)
    assert features(hour="late")["hour"] == 22.0


def test_context_columns_are_stable_numbers() -> None:
    names = ("context.device", "context.n", "context.flag", "context.tags", "context.absent")
    context = {"device": "phone", "n": 2.5, "flag": True, "tags": ["a", "b"]}
    columns = context_columns(names, context, 3)
    assert columns.shape == (3, 5)
    assert (columns[0] == columns[2])[:4].all()
    assert columns[0, 1:3].tolist() == [2.5, 1.0]
    assert np.isnan(columns[:, 4]).all()
    assert columns[0, 0] != context_columns(names, {"device": "desktop"}, 1)[0, 0]
    assert columns[0, 0] == context_columns(names, {"device": "phone"}, 1)[0, 0]


def test_query_terms_are_added_where_the_model_never_learnt_from_queries() -> None:
    import dataclasses

    prior = prior_model()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, len(prior.scorer.features))).astype(np.float32)
    silent = dataclasses.replace(prior, queries=False)
    np.testing.assert_allclose(total_score(silent, x, True), total_score(prior, x, True), rtol=1e-9)
    for model in (prior, silent):
        for asked in (True, False):
            terms, base = contributions(model, x, asked)
            np.testing.assert_allclose(terms.sum(axis=1) + base, total_score(model, x, asked), rtol=1e-9)
