"""Baselines against brute force, on worlds where one of them must win, and with a changed future."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from palate.config import Settings
from palate.evaluate import Query, evaluate
from palate.evaluate.baselines import Incidence, ItemKnn, Popular, Random, Tuned, choose
from palate.evaluate.ease import Ease, item_weights
from palate.evaluate.protocol import draw, drive, query_at
from palate.evaluate.stream import Histories, from_source
from palate.types import Interaction
from tests.evaluate.worlds import HOUR, catalogue, events, paired_world, popular_world, stream

BASELINES = ("random", "popular", "recent_popular", "item_knn", "ease")


def quiet(stage, done, total):
    pass


def fed(baseline, world, position, start=0):
    baseline.begin(world, Histories(world), start)
    for stop in range(start, position + 1, 3):
        baseline.feed(stop)
    baseline.feed(position)
    return baseline


def random_world(seed, n=400, users=25, items=30):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(items) * 0.4)
    rows = [(f"u{rng.integers(users)}", f"i{rng.choice(items, p=weights)}") for _ in range(n)]
    return stream(rows, [f"i{i}" for i in range(items)])


def test_popular_counts_and_decays_as_the_formula_says():
    world = random_world(0)
    at = 300
    popular = fed(Popular("p", [0.0, 0.5, 7.0]), world, at)
    found = popular.score(query_at(world, at, "keep"), [0, 1, 2])
    age = (world.times[at - 1] - world.times[:at]) / (24 * HOUR)
    for row, days in enumerate((None, 0.5, 7.0)):
        weight = np.ones(at) if days is None else 2.0 ** (-age / days)
        assert found[row] == pytest.approx(np.bincount(world.items[:at], weight, minlength=30))


def test_popular_survives_years_of_silence():
    rows = events([("u", "a")] * 30)
    rows.append(Interaction(user="u", item="b", timestamp=40 * 365 * 24 * HOUR))
    world = from_source(rows, Settings())
    found = fed(Popular("p", [1.0]), world, 31).score(Query(31, 0, 0, 2, "keep"), [0])[0]
    assert found[world.item_ids.index("b")] == 1.0
    assert found[world.item_ids.index("a")] == 0.0


def brute_knn(world, at, user, decay, near, itself, history):
    had = defaultdict(set)
    for u, i in zip(world.users[:at].tolist(), world.items[:at].tolist(), strict=True):
        had[u].add(i)
    m = world.catalogue(at)
    x = np.zeros((len(world.user_ids), len(world.item_ids)))
    for u, items in had.items():
        x[u, list(items)] = 1
    together = x.T @ x
    count = np.diag(together)
    cosine = together / np.sqrt(np.maximum(np.outer(count, count), 1))
    recent = []
    for position in range(at - 1, -1, -1):
        if world.users[position] == user and int(world.items[position]) not in recent:
            recent.append(int(world.items[position]))
    scores = np.zeros(len(world.item_ids))
    for age, j in enumerate(recent[:history]):
        row = cosine[j].copy()
        if near and (row > 0).sum() > near + 1:
            row[row < np.sort(row)[-near - 1]] = 0
        if not itself:
            row[j] = 0
        scores += decay**age * row
    return scores[:m]


@pytest.mark.parametrize("seed", range(4))
def test_item_knn_equals_the_dense_matrix(seed):
    world = random_world(seed)
    knn = ItemKnn(decays=(0.5, 1.0), neighbours=(4, 0), history=6)
    for at in (50, 251, 399):
        query = query_at(world, at, "keep")
        found = fed(knn, world, at, start=20).score(query, range(len(knn.variants)))
        for row, variant in zip(found, knn.variants, strict=True):
            expected = brute_knn(world, at, query.user, history=6, near=variant["neighbours"], **_rest(variant))
            assert row == pytest.approx(expected, abs=1e-5), variant


def _rest(variant):
    return {"decay": variant["decay"], "itself": variant["itself"]}


def test_item_knn_worked_by_hand():
    # u1 {a, b}, u2 {a, b}, u3 {a, c}, u4 {a}: cos(a, b) = 2/√(4·2), cos(a, c) = 1/√(4·1).
    rows = [
        ("u1", "a"),
        ("u1", "b"),
        ("u2", "a"),
        ("u2", "b"),
        ("u3", "a"),
        ("u3", "c"),
        ("u4", "a"),
        *[("z", "z")] * 20,
    ]
    world = stream(rows, "abcz")
    knn = fed(ItemKnn(decays=(1.0,), neighbours=(0,)), world, 7)
    found = knn.score(Query(7, world.user_ids.index("u4"), 0, 4, "keep"), [0, 1])
    assert found[0] == pytest.approx([0, 2 / 8**0.5, 0.5, 0])
    assert found[1] == pytest.approx([1, 2 / 8**0.5, 0.5, 0])


def test_ease_weights_equal_the_inverse():
    x = (np.random.default_rng(0).random((60, 12)) < 0.3).astype(np.float32)
    p = np.linalg.inv((x.T @ x).astype(np.float64) + 5 * np.eye(12))
    expected = np.eye(12) - p / np.diag(p)
    assert item_weights(np.ascontiguousarray(x.T @ x), 5.0) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ArithmeticError, match="larger lambda"):
        item_weights(np.zeros((3, 3), dtype=np.float32), -1.0)


@pytest.mark.parametrize("most", [10_000, 10])
def test_ease_folds_the_current_history_in(most):
    world = random_world(3)
    ease = Ease(items=most, lambdas=(20.0,), decays=(1.0, 0.5))
    at, fitted = 390, 300
    ease.begin(world, Histories(world), fitted)
    ease.feed(at)
    query = query_at(world, at, "keep")
    found = ease.score(query, [0, 1])
    x = np.zeros((len(world.user_ids), 30))
    x[world.users[:fitted], world.items[:fitted]] = 1
    kept = np.argsort(-x.sum(axis=0), kind="stable")[:most]
    kept = kept[x.sum(axis=0)[kept] > 0]
    p = np.linalg.inv(x[:, kept].T @ x[:, kept] + 20 * np.eye(len(kept)))
    b = np.eye(len(kept)) - p / np.diag(p)
    recent = Histories(world).latest(query.user, at)
    for row, decay in enumerate((1.0, 0.5)):
        weight = np.zeros(30)
        weight[recent] = decay ** np.arange(len(recent))
        expected = np.full(30, -np.inf)
        expected[kept] = weight[kept] @ b
        assert np.isneginf(found[row]).tolist() == np.isneginf(expected).tolist()
        assert found[row][kept] == pytest.approx(expected[kept], abs=1e-4)


def test_a_dear_setting_is_one_for_both_and_the_rest_is_chosen_for_each():
    variants = [{"l": 1, "d": 1}, {"l": 1, "d": 2}, {"l": 2, "d": 1}, {"l": 2, "d": 2}]
    valid = {"drop": [0.1, 0.5, 0.2, 0.4], "keep": [0.1, 0.1, 0.4, 0.2]}
    assert choose(variants, valid, None) == {"drop": 1, "keep": 2}
    assert choose(variants, valid, "l") == {"drop": 3, "keep": 2}


def test_ease_is_refitted_five_times_across_the_window():
    world = random_world(1)
    plan = draw(world, ("keep",), "all", 1)
    ease = Tuned(Ease(lambdas=(10.0,), decays=(1.0,)))
    drive(ease, world, plan, Histories(world), 10, quiet)
    assert ease.notes()["fits"] == 6


def test_incidence_holds_distinct_pairs_up_to_its_position():
    world = random_world(2)
    pairs = Incidence(world)
    for at in (1, 7, 350):
        pairs.feed(at)
        expected = {(u, i) for u, i in zip(world.users[:at].tolist(), world.items[:at].tolist(), strict=True)}
        by_item = {
            (int(u), i)
            for i in range(30)
            for u in pairs.by_item[pairs.item_start[i] : pairs.item_start[i] + pairs.item_fill[i]]
        }
        by_user = {
            (u, int(i))
            for u in range(len(world.user_ids))
            for i in pairs.by_user[pairs.user_start[u] : pairs.user_start[u] + pairs.user_fill[u]]
        }
        assert by_item == by_user == expected


def test_negative_events_teach_nothing():
    rows = [*events([("u", "a"), ("v", "b")] * 20), *events([("u", "b"), ("v", "a")] * 5, kind="hide")]
    world = from_source(rows, Settings())
    at = len(world)
    query = Query(at, 0, 0, 2, "keep")
    assert fed(Popular("p", [0.0]), world, at).score(query, [0])[0].tolist() == [20.0, 20.0]
    assert fed(ItemKnn(decays=(1.0,), neighbours=(0,)), world, at).score(query, [0])[0].tolist() == [0.0, 0.0]


def ndcg(result, seen="keep"):
    return {name: tables[seen]["ndcg"].value for name, tables in result.systems.items()}


def judged(rows, names, **more):
    settings = Settings()
    return evaluate([*catalogue(names), *events(rows)], systems=BASELINES, settings=hashing(settings), **more)


def hashing(settings):
    import msgspec

    return msgspec.structs.replace(settings, language=msgspec.structs.replace(settings.language, encoder="hashing"))


def test_popular_wins_where_everybody_draws_from_one_distribution():
    found = ndcg(judged(*popular_world()))
    assert max(found, key=found.get) == "popular"
    assert found["popular"] > 3 * found["random"]


def test_item_knn_and_ease_win_where_items_come_in_pairs():
    found = ndcg(judged(*paired_world(), seen=("drop",)), "drop")
    assert sorted(found, key=found.get)[-2:] in (["ease", "item_knn"], ["item_knn", "ease"])
    assert min(found["item_knn"], found["ease"]) > 5 * max(found["popular"], found["recent_popular"])


def test_recent_popular_wins_and_chooses_its_half_life_where_fashions_pass():
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(300)), int(at // 60 + rng.integers(0, 4))) for at in range(4000)]
    result = judged(rows, range(80), seen=("keep",))
    found = ndcg(result)
    assert max(found, key=found.get) == "recent_popular"
    assert result.protocol["systems"]["recent_popular"]["keep"]["half_life_days"] == 1.0


def test_random_scores_as_chance_does():
    found = judged(*popular_world(n=8000, items=50), seen=("keep",), test="all")
    assert found.systems["random"]["keep"]["hit_rate"].value == pytest.approx(10 / 50, abs=0.05)


def make(name):
    return {
        "random": lambda: Random(),
        "popular": lambda: Tuned(Popular("popular", [0.0])),
        "recent_popular": lambda: Tuned(Popular("recent_popular", [1.0, 7.0])),
        "item_knn": lambda: Tuned(ItemKnn()),
        "ease": lambda: Tuned(Ease(lambdas=(5.0, 50.0))),
    }[name]()


@pytest.mark.parametrize("name", BASELINES)
def test_the_future_changes_no_score(name):
    """The events from ``at`` on, its own item included, become others; every score up to there stays bit for bit."""
    rng = np.random.default_rng(5)
    rows, names = popular_world(n=600, items=40)
    rows = [(user % 30, item) for user, item in rows]
    at = 570
    other = rows[:at] + [(u, int(rng.integers(40))) for u, _ in rows[at:]]
    first, second = (stream(version, names) for version in (rows, other))
    assert np.array_equal(first.users, second.users)
    assert not np.array_equal(first.items[at:], second.items[at:])
    systems = [make(name), make(name)]
    for system, world in zip(systems, (first, second), strict=True):
        system.start(world, 480, 540, quiet)
    for position in (540, 555, 563, at):
        for system in systems:
            system.feed(position)
        for seen in ("drop", "keep"):
            scores = [s.score(query_at(w, position, seen)) for s, w in zip(systems, (first, second), strict=True)]
            assert np.array_equal(scores[0], scores[1])


def test_two_people_asked_about_at_one_position_have_scores_of_their_own():
    world = random_world(6)
    system = Tuned(ItemKnn())
    system.start(world, 320, 360, quiet)
    first, second = (system.score(Query(360, user, int(world.times[360]), 30, "keep")) for user in (0, 1))
    later = system.score(Query(360, 1, int(world.times[370]), 33, "keep"))  # when there are three items more
    assert not np.array_equal(first, second)
    assert np.array_equal(later, [*second, 0, 0, 0])
