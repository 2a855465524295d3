"""The plan, the drive, and the whole of ``evaluate``."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from palate.config import LanguageSettings, Settings
from palate.errors import InvalidInput
from palate.evaluate import evaluate, from_json, to_json
from palate.evaluate.metrics import METRICS
from palate.evaluate.protocol import draw, drive, query_at, removed
from palate.evaluate.stream import Histories, before, from_source
from palate.types import Item
from tests.evaluate.worlds import HOUR, Fixed, catalogue, events, popular_world, stream

HASHING = Settings(language=LanguageSettings(encoder="hashing"))


def quiet(stage, done, total):
    pass


def test_the_split_is_by_time_and_the_sample_is_seeded():
    world = stream(*popular_world(n=2000))
    plan = draw(world, ("drop", "keep"), 50, 1)
    assert (plan.train, plan.test) == (1600, 1800)
    assert plan.positions.min() >= 1800
    assert (np.diff(plan.positions) > 0).all()
    assert [int(plan.main[seen].sum()) for seen in ("drop", "keep")] == [50, 50]
    again, other = draw(world, ("drop", "keep"), 50, 1), draw(world, ("drop", "keep"), 50, 2)
    assert np.array_equal(plan.positions, again.positions)
    assert not np.array_equal(plan.positions, other.positions)


def test_a_sample_of_one_seen_does_not_depend_on_the_other():
    world = stream(*popular_world(n=2000))
    both, alone = draw(world, ("drop", "keep"), 50, 1), draw(world, ("keep",), 50, 1)
    assert np.array_equal(both.positions[both.main["keep"]], alone.positions[alone.main["keep"]])


def test_drop_scores_no_repeat_and_all_scores_every_event():
    world = stream(*popular_world(n=2000))
    plan = draw(world, ("drop", "keep"), "all", 1)
    repeat = before(world).repeat
    assert plan.positions.tolist() == list(range(1800, 2000))
    assert plan.main["keep"].all()
    assert np.array_equal(plan.main["drop"], ~repeat[1800:])


def test_cold_items_beyond_the_sample_are_scored_for_their_own_table():
    rows, names = popular_world(n=1000)
    rows = rows[:-60] + [(user, 100 + at) for at, (user, _) in enumerate(rows[-60:])]
    world = stream(rows, [*names, *range(100, 160)])
    plan = draw(world, ("keep",), 10, 1)
    cold = before(world).item[plan.positions] <= 3
    assert np.array_equal(plan.cold_item, cold)
    assert int((plan.scored["keep"] & cold).sum()) >= 60
    assert int(plan.main["keep"].sum()) == 10
    assert plan.counts["keep"]["cold_items"] == int(cold.sum())


def test_unknown_items_and_negative_events_are_not_scored():
    rows, names = popular_world(n=900)
    world = from_source(
        [
            *catalogue(names),
            *events(rows),
            *events([(1, f"new{n}") for n in range(920)])[900:],
            *events([(2, 0)] * 940, kind="hide")[920:],
        ],
        Settings(),
    )
    plan = draw(world, ("keep",), "all", 1)
    assert plan.counts["unrankable"] == 20
    assert plan.counts["negative"] == 20
    assert len(plan.positions) == len(world) - plan.test - 40


def test_nothing_to_score_says_so():
    with pytest.raises(InvalidInput, match="None of the 3 test events can be scored"):
        draw(stream([("u", f"i{n}") for n in range(30)]), ("keep",), 10, 1)


def test_the_drive_feeds_exactly_up_to_each_scored_event():
    world = stream(*popular_world(n=500))
    plan = draw(world, ("drop", "keep"), 20, 1)
    system = Fixed()
    outcome = drive(system, world, plan, Histories(world), 5, quiet)
    assert system.fed == [plan.test, *plan.positions.tolist()]
    for seen in ("drop", "keep"):
        assert np.array_equal(~np.isnan(outcome.rank[seen]), plan.scored[seen])


def test_ranks_of_a_fixed_order_are_known():
    rows, names = popular_world(n=500, items=20)
    world = stream(rows, names)
    plan = draw(world, ("drop", "keep"), "all", 1)
    outcome = drive(Fixed(), world, plan, Histories(world), 3, quiet)
    for index, position in enumerate(plan.positions.tolist()):
        target, user = int(world.items[position]), world.users[position]
        assert outcome.rank["keep"][index] == 20 - target
        assert outcome.top["keep"][index].tolist() == [19, 18, 17]
        if plan.scored["drop"][index]:
            had = {int(i) for u, i in zip(world.users[:position], world.items[:position], strict=True) if u == user}
            left = [code for code in range(19, -1, -1) if code not in had]
            assert outcome.rank["drop"][index] == left.index(target) + 1
            assert outcome.top["drop"][index].tolist() == (left + [-1] * 3)[:3]


def test_only_items_that_exist_are_ranked():
    rows, names = popular_world(n=500, items=20)
    late = [Item(item=f"late{n}", timestamp=480 * HOUR) for n in range(5)]
    gone = [Item(item="3", deleted=True, timestamp=490 * HOUR)]
    world = from_source([*catalogue(names), *events(rows), *late, *gone], Settings())
    code = world.item_ids.index("3")
    histories = Histories(world)
    for position, size, dead in ((470, 20, False), (479, 25, False), (488, 25, False), (489, 25, True)):
        query = query_at(world, position, "keep")
        assert query.size == size
        assert removed(world, histories, query)[code] == dead


def test_evaluate_end_to_end():
    rows, names = popular_world(n=1500)
    seen_stages = []
    palate = Fixed("palate")
    result = evaluate(
        [*catalogue(names), *events(rows)],
        test=60,
        systems=["random", "popular", palate],
        settings=HASHING,
        progress=lambda stage, done, total: seen_stages.append((stage, done, total)),
    )
    assert palate.closed
    assert set(result.systems) == {"random", "popular", "palate"}
    for tables in result.systems.values():
        assert set(tables) == {"drop", "keep"}
        for table in tables.values():
            assert set(table) == set(METRICS)
            for name, estimate in table.items():
                assert estimate.value is not None, name
                if name != "coverage":
                    assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9
    assert result.best_baseline("keep") == "popular"
    assert {(row.seen, row.baseline, row.best) for row in result.comparisons} == {
        (seen, name, name == result.best_baseline(seen)) for seen in ("drop", "keep") for name in ("random", "popular")
    }
    for row in result.comparisons:
        ours, theirs = (result.systems[name][row.seen]["ndcg"].value for name in ("palate", row.baseline))
        assert row.difference.value == pytest.approx(ours - theirs)
    assert {"palate", "random", "popular", "total"} == set(result.seconds)
    assert ("palate", 1, seen_stages[-1][2]) in seen_stages
    assert all(0 <= done <= total for _, done, total in seen_stages)
    assert from_json(to_json(result)) == result


def test_the_same_seed_gives_the_same_result():
    source = [*catalogue(popular_world()[1]), *events(popular_world()[0])]
    first, second = (
        evaluate(source, test=40, seed=3, systems=["random", "item_knn"], settings=HASHING) for _ in range(2)
    )
    first.seconds = second.seconds = {}
    assert first == second


def test_items_without_text_are_compared_by_tags():
    rows, names = popular_world(n=600)
    items = [Item(item=str(name), fields={"flags": [f"t{name % 3}"]}) for name in names]
    titled = msgspec.structs.replace(HASHING, language=LanguageSettings(encoder="hashing", text_fields=("title",)))
    by_text = evaluate([*catalogue(names), *events(rows)], test=20, systems=["popular"], settings=titled)
    assert "cosine" in by_text.protocol["diversity"]
    by_tags = evaluate([*items, *events(rows)], test=20, seen=("keep",), systems=[Fixed()], settings=titled)
    assert "Jaccard" in by_tags.protocol["diversity"]
    # Ten neighbours in a cycle of three: 4, 3 and 3 alike, so 6 + 3 + 3 of 45 pairs are.
    assert by_tags.systems["fixed"]["keep"]["diversity"].value == pytest.approx(1 - 12 / 45)
    bare = evaluate(events(rows), test=20, systems=["popular"], settings=titled)
    assert bare.systems["popular"]["keep"]["diversity"].value is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seen": ()}, "name 'drop', 'keep'"),
        ({"seen": ("auto",)}, "name 'drop', 'keep'"),
        ({"seen": ("drop", "drop")}, "name 'drop', 'keep'"),
        ({"test": 0}, "test is 0"),
        ({"test": True}, "test is True"),
        ({"test": "some"}, "test is 'some'"),
        ({"k": 0}, "k is 0"),
        ({"systems": ["magic"]}, "'magic' is unknown"),
        ({"systems": []}, "name at least one"),
        ({"systems": ["random", "random"]}, "each once"),
    ],
)
def test_bad_arguments_say_what_and_how_to_mend(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        evaluate(events([("u", "a")] * 40), **arguments)


def test_broken_json_says_so():
    with pytest.raises(InvalidInput, match="not the JSON of an evaluation"):
        from_json(b"{}")
    with pytest.raises(InvalidInput, match="not the JSON of an evaluation"):
        from_json(b"\xff")
