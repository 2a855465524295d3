"""Features: declared once, finite, the same alone and in company, and what their definitions say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from palate.engine import Engine
from palate.features import FEATURES, NAMES, PRIOR, Reach, column
from palate.features.compute import Query
from palate.features.neighbours import KAPPA, LINAR_DECAY, LINAR_ENTRIES, Neighbours
from palate.profile import subject_of_row
from palate.testing.world import START, make_world
from palate.types import F32, I32
from tests.engines import did, filled, item, showed

WORLD = make_world(people=12, interactions=500)
DAY = 86_400_000


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled(
        [*WORLD.events, did(900_000, "p0", "garden-0", "hide"), showed(600, "p1", ["space-1", "space-2"])]
    ) as engine:
        yield engine


def ease_of(n: int) -> Neighbours:
    """Every item points at the next three, with alternating signs; of the sequence model at the two before it."""
    indices = np.array([[(row + step) % n for step in (1, 2, 3)] for row in range(n)], np.int32).ravel()
    values = np.tile(np.array([0.3, -0.1, 0.05], np.float32), n)
    before = np.array([[(row - step) % n for step in (1, 2)] for row in range(n)], np.int32).ravel()
    return Neighbours(
        np.arange(0, 3 * n + 1, 3, dtype=np.int64), indices, values,
        np.arange(0, 2 * n + 1, 2, dtype=np.int64), before, np.tile(np.array([0.2, -0.07], np.float32), n),
    )  # fmt: skip


def matrix(engine: Engine, user: str, rows: I32, ease: bool = True, words: bool = True) -> F32:
    """Features of ``rows`` for ``user`` at the end of the world, with EASE and a query."""
    computer, side = engine.line.computer, engine.catalogue.side()
    subject = computer.subject(engine.state.users.get(user), side)
    neighbours = (ease_of(engine.state.n_items),) if ease else ()
    strengths = computer.strengths_of(subject, rows, *neighbours)
    query = None
    if words:
        meaning = engine.catalogue.cache.query("rocket 花园")
        query = Query(engine.catalogue.words().score(["rocket"], rows), engine.catalogue.vectors.score(meaning, rows))
    return computer.matrix(subject, rows, side, WORLD.end, strengths, query, {"hour": 5})


def test_declarations_are_complete() -> None:
    assert len(set(NAMES)) == len(NAMES) == len(PRIOR)
    codes = {"because_of", "again", "popular", "trending", "people", "new", "taste", "tag", "query"}
    codes |= {"friends", "asked", "said", ""}
    for feature in FEATURES:
        assert feature.unit
        assert feature.meaning
        assert feature.reason in codes
        assert NAMES[column(feature.name)] == feature.name
    with pytest.raises(KeyError):
        column("no such feature")


@pytest.mark.parametrize("user", ["p0", "p5", "stranger"])
def test_features_are_finite_for_everybody_and_everything(world: Engine, user: str) -> None:
    x = matrix(world, user, np.arange(world.state.n_items, dtype=np.int32))
    assert x.shape == (world.state.n_items, len(NAMES))
    assert x.dtype == np.float32
    assert np.isfinite(x).all()


@pytest.mark.parametrize("user", ["p0", "p5", "stranger"])
def test_company_changes_nothing(world: Engine, user: str) -> None:
    """Alone, permuted, among others: the same row, bit for bit."""
    n = world.state.n_items
    whole = matrix(world, user, np.arange(n, dtype=np.int32))
    shuffled = np.random.default_rng(3).permutation(n).astype(np.int32)
    assert (matrix(world, user, shuffled) == whole[shuffled]).all()
    assert (matrix(world, user, shuffled[:7]) == whole[shuffled[:7]]).all()
    for row in (0, 13, n - 1):
        assert (matrix(world, user, np.array([row], np.int32))[0] == whole[row]).all()
    assert matrix(world, user, np.zeros(0, np.int32)).shape == (0, len(NAMES))


def test_one_person_after_another_leaves_no_trace(world: Engine) -> None:
    rows = np.arange(world.state.n_items, dtype=np.int32)
    first = matrix(world, "p0", rows)
    for user in ("p1", "stranger", "p2"):
        matrix(world, user, rows)
    assert (matrix(world, "p0", rows) == first).all()


def test_a_stranger_has_no_personal_features(world: Engine) -> None:
    x = matrix(world, "stranger", np.arange(world.state.n_items, dtype=np.int32))
    for feature in FEATURES:
        if feature.group in ("item_to_item", "content", "tags", "again", "person"):
            assert not x[:, column(feature.name)].any(), feature.name
    assert x[:, column("pop_all")].any()
    assert x[:, column("query_words")].any()


def test_item_to_item_strengths_are_the_sums_of_their_definitions(world: Engine) -> None:
    engine, state = world, world.state
    computer, side = engine.line.computer, engine.catalogue.side()
    subject = computer.subject(state.users.get("p0"), side)
    ease = ease_of(state.n_items)
    reach = Reach(state)
    reach.follow(subject, ease)
    rows = np.arange(state.n_items, dtype=np.int32)
    strengths = reach.of(rows)
    counts = state.item("count")
    newest = next(q for q, weight in enumerate(subject.weights) if weight > 0)
    for target in range(0, state.n_items, 5):
        by_hand = dict.fromkeys((one.name for one in FEATURES if one.group == "item_to_item"), 0.0)
        done: set[int] = set()
        for q, (h, w) in enumerate(zip(subject.items.tolist(), subject.weights.tolist(), strict=True)):
            keys, columns = state.pairs.entries_of(h)
            for j, forward, both in zip(keys.tolist(), columns["fwd"].tolist(), columns["co"].tolist(), strict=True):
                if j != target:
                    continue
                root = np.sqrt((counts[h] + KAPPA) * (counts[j] + KAPPA))
                f, c = forward / 1000, both / root
                by_hand["next_1"] += f / (counts[h] + KAPPA) if q == newest else 0
                by_hand["next_5"] += w * 0.7**q * f / (counts[h] + KAPPA) if q < 5 else 0
                by_hand["next_cos"] += w * 0.7**q * f / root if q < 5 else 0
                by_hand["near_last"] += w * 0.5**q * c if q < 20 else 0
                by_hand["near_20"] += w * 0.9**q * c if q < 20 else 0
                by_hand["near_all"] += w * c / np.sqrt(len(subject.items))
                by_hand["near_max"] = max(by_hand["near_max"], c if w > 0 else 0)
                by_hand["near_session"] += w * c / np.sqrt(subject.session) if q < subject.session else 0
            for at in range(ease.indptr[h], ease.indptr[h + 1]):
                if ease.indices[at] == target:
                    by_hand["ease"] += 0 if h in done else w * ease.values[at]
                    by_hand["ease_recent"] += w * 0.9**q * ease.values[at]
                    by_hand["ease_last"] += w * 0.5**q * ease.values[at]
            for at in range(ease.next_indptr[h], ease.next_indptr[h + 1]):
                if ease.next_indices[at] == target and q < LINAR_ENTRIES:
                    by_hand["linar"] += w * LINAR_DECAY**q * ease.next_values[at]
                    by_hand["linar_last"] += w * 0.5**q * ease.next_values[at]
            done.add(h)
        expected = np.array(list(by_hand.values()))
        np.testing.assert_allclose(strengths[target], expected, rtol=1e-6, atol=1e-9, err_msg=str(list(by_hand)))
        parts = computer.parts(subject, target, ease)
        summed = parts.sum(axis=1)
        largest = list(by_hand).index("near_max")
        summed[largest] = parts[largest].max()
        np.testing.assert_allclose(summed, expected, rtol=1e-6, atol=1e-9)


def test_again_columns_count_what_this_person_had(world: Engine) -> None:
    state = world.state
    x = matrix(world, "p0", np.arange(state.n_items, dtype=np.int32))
    mine = [event for event in WORLD.interactions if event.user == "p0"]
    for row, name in enumerate(state.items.ids):
        had = [event for event in mine if event.item == name]
        got = [float(x[row, column(f"again_{what}")]) for what in ("count", "share", "day", "month", "gap")]
        if not had:
            assert got == [0.0] * 5
            continue
        days = (WORLD.end - max(int(event.timestamp or 0) for event in had)) / DAY
        expected = [np.log1p(len(had)), len(had) / len(mine), 2**-days, 2 ** (-days / 30), np.log1p(days * 24)]
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_popularity_falls_with_time_and_counts_lift_over_the_mean() -> None:
    with filled([*(did(n, f"u{n}", "old", when=n) for n in range(8)), did(100, "u", "new", when=20 * DAY)]) as engine:
        x = matrix(engine, "nobody", np.array([0, 1], np.int32), ease=False, words=False)
        old, new = x[0], x[1]
        mean = 9 / 2
        assert old[column("pop_all")] == pytest.approx(np.log(8.5 / (mean + 0.5)))
        now = 20 * DAY + START
        computer, side = engine.line.computer, engine.catalogue.side()
        subject = computer.subject(-1, side)
        rows = np.array([0, 1], np.int32)
        old, new = computer.matrix(subject, rows, side, now, computer.strengths_of(subject, rows))
        assert new[column("pop_short")] > old[column("pop_short")]
        assert old[column("pop_long")] > new[column("pop_long")]
        assert new[column("trend")] > 0 > old[column("trend")]
        assert old[column("age")] == pytest.approx(np.log1p(20), abs=1e-3)
        assert new[column("age")] == 0


def test_impressions_without_clicks_lower_the_click_rate() -> None:
    with filled([*(showed(n, f"u{n}", ["a", "b"]) for n in range(20)), did(30, "u", "a"), did(31, "u", "c")]) as engine:
        a, b, c = (engine.state.items.get(name) for name in "abc")
        rate = matrix(engine, "x", np.array([a, b, c], np.int32), False, False)[:, column("click_rate")]
        assert rate.tolist() == pytest.approx([np.log(2 / 30), np.log(1 / 30), 0.0])


# -------------------------------------------------------------------------- the subject


def test_tastes_are_unit_vectors_of_the_history(world: Engine) -> None:
    side = world.catalogue.side()
    subject = world.line.computer.subject(world.state.users.get("p0"), side)
    np.testing.assert_allclose(np.linalg.norm(subject.tastes, axis=1), 1.0, atol=1e-5)
    assert 3 <= len(subject.tastes) <= 5
    assert subject.tags_long.sum() == pytest.approx(1.0, abs=1e-5)
    assert subject.tags_short.sum() == pytest.approx(1.0, abs=1e-5)
    assert len(subject.last) == 5
    assert len(subject.disliked) == 1
    best = WORLD.taste["p0"][0]
    tags = world.catalogue.tags.ids
    assert tags[int(subject.tags_long.argmax())] == f"genre:{best}"
    own = np.array([WORLD.genre_of[name] in WORLD.taste["p0"] for name in world.state.items.ids])
    near = side.vectors[side.text_of] @ subject.tastes[0]
    assert near[own].mean() > near[~own].mean() + 0.1


def test_the_cached_subject_is_the_fresh_one(world: Engine) -> None:
    side = world.catalogue.side()
    for name in ("p0", "p3"):
        row = world.state.users.get(name)
        cached = world.line.computer.subject(row, side)
        fresh = subject_of_row(
            world.state, row, side.vectors, side.text_of, side.tags, side.n_tags, world.line.computer.weights
        )
        assert world.line.computer.subject(row, side) is cached
        for part in ("items", "weights", "tastes", "last", "disliked", "tags_long", "tags_short", "seen", "seen_count"):
            np.testing.assert_array_equal(getattr(cached, part), getattr(fresh, part), part)


def assert_fresh(engine: Engine, user: str) -> None:
    """The subject that serves equals one made anew."""
    side, row = engine.catalogue.side(), engine.state.users.get(user)
    served = engine.line.computer.subject(row, side)
    fresh = subject_of_row(
        engine.state, row, side.vectors, side.text_of, side.tags, side.n_tags, engine.line.computer.weights
    )
    for part in ("items", "ts", "weights", "tastes", "tags_long", "tags_short", "seen"):
        np.testing.assert_array_equal(getattr(served, part), getattr(fresh, part), part)


def test_a_cached_subject_follows_ratings_of_others() -> None:
    """The weight of a rating depends on everybody's mean and spread."""
    with filled([did(n, "u", f"i{n}", "rating", value=float(n % 5 + 1)) for n in range(6)]) as engine:
        engine.rank("u", ["i1"])
        engine.ingest([did(10 + n, "other", f"i{n % 6}", "rating", value=5.0) for n in range(30)])
        assert_fresh(engine, "u")


def test_a_cached_subject_follows_tags_and_texts_of_items() -> None:
    things = [item("a", genres=["x"], title="red"), item("b", genres=["y"], title="blue")]
    with filled([*things, did(1, "u", "a"), did(2, "v", "b")]) as engine:
        engine.rank("u", ["a"])
        engine.ingest([item("a", 5, genres=["y"], title="blue")])
        engine.wait_encoded(20)
        assert_fresh(engine, "u")


def test_a_cached_subject_follows_a_deletion_and_a_new_beginning() -> None:
    from palate.types import User

    with filled([did(1, "u", "a"), did(2, "u", "b"), did(3, "v", "c"), did(4, "v", "d")]) as engine:
        engine.rank("u", ["a"])
        engine.ingest(
            [User(id="gone", timestamp=START + 300_000, user="u", deleted=True), did(6, "u", "c"), did(7, "u", "d")]
        )
        assert_fresh(engine, "u")


def test_ratings_above_the_mean_weigh_more() -> None:
    rated = [did(n, "u", f"i{n}", "rating", value=value) for n, value in enumerate([1.0, 3.0, 5.0, 3.0])]
    with filled([*rated, did(9, "u", "clicked", "click"), did(10, "u", "bought", "purchase")]) as engine:
        subject = engine.line.computer.subject(0, engine.catalogue.side())
        weight = {engine.state.items.ids[row]: float(w) for row, w in zip(subject.items, subject.weights, strict=True)}
        assert 0.1 <= weight["i0"] < weight["i1"] < weight["i2"] <= 2.0
        assert weight["i1"] == pytest.approx(1.0)
        assert (weight["clicked"], weight["bought"]) == (1.0, 3.0)
