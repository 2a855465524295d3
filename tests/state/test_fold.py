"""What the fold counts, against a few lines of plain Python; time, ties, fields, deletion, bounds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from palate.config import Settings, StateSettings
from palate.state import State
from palate.state.fold import LAG_UNIT, bucket_of
from palate.state.state import Stamped, tie_key
from palate.testing.state import BEGIN, DAY, facts, stamp
from palate.types import Interaction, Item, User


def click(number: int, item: str, when: int | None = None, user: str = "u", **more: Any) -> Stamped:
    return stamp(
        Interaction(
            id=f"e{number:06d}", timestamp=BEGIN + (number if when is None else when), user=user, item=item, **more
        )
    )


def item(number: int, name: str, when: int, fields: dict[str, Any] | None = None, deleted: bool = False) -> Stamped:
    return stamp(Item(id=f"e{number:06d}", timestamp=BEGIN + when, item=name, fields=fields or {}, deleted=deleted))


def user(number: int, name: str, when: int, fields: dict[str, Any] | None = None, deleted: bool = False) -> Stamped:
    return stamp(User(id=f"e{number:06d}", timestamp=BEGIN + when, user=name, fields=fields or {}, deleted=deleted))


def folded(events: list[Stamped], settings: Settings | None = None) -> State:
    state = State(settings or Settings())
    state.apply(events, len(events))
    return state


def pairs_by_hand(walks: dict[str, list[str]], window: int) -> dict[tuple[str, str], tuple[int, int]]:
    """fwd[a → b] += 1000 // lag and co[a, b] += 1 for entries at most ``window`` places apart."""
    forward: dict[tuple[str, str], int] = {}
    both: dict[tuple[str, str], int] = {}
    for walk in walks.values():
        for (a, x), (b, y) in itertools.combinations(enumerate(walk), 2):
            if b - a <= window and x != y:
                forward[x, y] = forward.get((x, y), 0) + LAG_UNIT // (b - a)
                for pair in ((x, y), (y, x)):
                    both[pair] = both.get(pair, 0) + 1
    return {pair: (forward.get(pair, 0), both.get(pair, 0)) for pair in forward.keys() | both.keys()}


@pytest.mark.parametrize("window", [1, 3, 20])
def test_pairs_are_what_the_definition_says(window: int) -> None:
    rng = np.random.default_rng(window)
    walks = {f"u{n}": [f"i{k}" for k in rng.integers(0, 9, rng.integers(2, 40))] for n in range(12)}
    events = [
        click(n, name, place, who)
        for n, (who, place, name) in enumerate((w, p, i) for w, walk in walks.items() for p, i in enumerate(walk))
    ]
    expected = pairs_by_hand(walks, window)
    settings = Settings(state=StateSettings(window=window))
    assert facts(folded(events, settings))["pairs"] == expected
    assert facts(folded(events[::-1], settings))["pairs"] == expected, "the same, the newest first"


def test_counts_first_last_buckets_and_repeats() -> None:
    times = [5, 7_200_000, DAY - 1, 7_200_001]
    state = folded([click(n, "a", when, f"u{n % 2}") for n, when in enumerate(times)])
    mine = facts(state)["catalogue"]["a"]
    assert (mine["count"], mine["first"], mine["last"]) == (4, BEGIN + 5, BEGIN + DAY - 1)
    by_hand = np.bincount([bucket_of(BEGIN + when) for when in times], minlength=8)
    assert mine["buckets"] == by_hand.tolist() == state.bucket_totals.tolist()
    assert state.repeat_rate == pytest.approx(2 / 4)
    assert state.has_seen(state.users.get("u0"), state.items.get("a"))
    assert not state.has_seen(-1, 0)
    assert not state.has_seen(0, -1)


def test_decayed_counts_are_sums_of_powers_of_two() -> None:
    times = [0, 9 * DAY // 10, 3600, DAY // 3]
    state = folded([click(n, "a", when) for n, when in enumerate(times)])
    now = BEGIN + 5 * DAY
    by_hand = [sum(2 ** (-(now - BEGIN - when) / DAY / half) for when in times) for half in (1.0, 7.0, 30.0)]
    np.testing.assert_allclose(state.decayed(now)[0], by_hand, rtol=1e-12)
    np.testing.assert_allclose(state.decayed_totals(now), by_hand, rtol=1e-12)


def test_negative_events_are_no_interest() -> None:
    state = folded([click(0, "a"), click(1, "b", type="hide"), click(2, "c")])
    found = facts(state)
    assert found["catalogue"]["b"]["count"] == 0
    assert found["seen"]["u", "b"] == (0, 0, BEGIN + 1)
    assert found["pairs"] == pairs_by_hand({"u": ["a", "c"]}, 20)
    assert [entry[0] for entry in found["histories"]["u"]] == ["a", "b", "c"]
    assert not state.has_seen(0, state.items.get("b"))


def test_weights_of_the_settings_say_what_is_negative() -> None:
    settings = Settings(weights={"click": -1.0, "hide": 1.0})
    state = folded([click(0, "a"), click(1, "b", type="hide")], settings)
    assert facts(state)["catalogue"]["a"]["count"] == 0
    assert facts(state)["catalogue"]["b"]["count"] == 1


def test_ratings_are_summed_a_user() -> None:
    rated = [click(n, "a", type="rating", value=value) for n, value in enumerate([1.0, None, 4.5])]
    state = folded([*rated, click(3, "b", value=99.0)])
    assert (state.user_columns["rating_sum"][0], state.user_columns["ratings"][0]) == (5.5, 2)
    assert state.totals[3:6].tolist() == [2.0, 5.5, 1.0 + 4.5**2]


# ------------------------------------------------------------------------------- time


def test_a_future_timestamp_is_clamped_and_counted() -> None:
    state = State(Settings())
    arrived = BEGIN
    for n, ahead in enumerate([0, 300_000, 300_001, 10**10]):
        state.apply([(arrived + ahead, arrived, Interaction(id=f"e{n}", user="u", item=f"i{n}"))], n + 1)
    assert state.clamped == 2
    assert [entry[:2] for entry in facts(state)["histories"]["u"]] == [
        ("i0", BEGIN), ("i2", BEGIN), ("i3", BEGIN), ("i1", BEGIN + 300_000),
    ]  # fmt: skip
    assert state.clock_ts == BEGIN + 300_000


def test_a_future_field_does_not_shadow_later_ones() -> None:
    state = State(Settings())
    state.apply([(BEGIN + 10**12, BEGIN, Item(id="a", item="i", fields={"price": 1}))], 1)
    state.apply([(BEGIN + 1, BEGIN + 1, Item(id="b", item="i", fields={"price": 2}))], 2)
    assert state.item_fields[0] == {"price": 2}
    assert state.clamped == 1


def test_event_time_is_the_wall_clock_on_live_traffic_and_the_past_on_an_import() -> None:
    state = State(Settings())
    assert state.now(BEGIN) == BEGIN, "before the first event"
    state.apply([(BEGIN, BEGIN + 5, Interaction(id="a", user="u", item="i"))], 1)
    assert state.now(BEGIN + 1005) == BEGIN + 1000
    old = State(Settings())
    old.apply([(BEGIN - 1000 * DAY, BEGIN, Interaction(id="a", user="u", item="i"))], 1)
    assert old.now(BEGIN + 60_000) == BEGIN - 1000 * DAY + 60_000
    assert old.now(BEGIN - 5) == BEGIN - 1000 * DAY, "a clock that went back stands still"


def test_equal_timestamps_are_ordered_by_id() -> None:
    names = ["e-9", "e-10", "e-2"]
    events = [stamp(Interaction(id=name, timestamp=BEGIN, user="u", item=name)) for name in names]
    for order in itertools.permutations(events):
        entries = facts(folded(list(order)))["histories"]["u"]
        assert [entry[0] for entry in entries] == ["e-2", "e-9", "e-10"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("e1", "e2"), ("e9", "e10"), ("x-000009", "x-000010"), ("7", "11"), ("data-0001", "data-0100")],
)
def test_numbers_at_the_end_of_ids_count(before: str, after: str) -> None:
    assert tie_key(before) < tie_key(after)


@pytest.mark.parametrize("name", ["", "1" * 40, "é", "a" * 512, "9f86d081884c7d65", "x-99999999999999"])
def test_a_tie_key_is_a_positive_int64(name: str) -> None:
    assert 0 <= tie_key(name) < 2**63
    assert tie_key(name) == tie_key(name)


# ----------------------------------------------------------------------- items and users


def test_the_newest_timestamp_wins_for_every_field_in_any_order() -> None:
    events = [
        item(1, "i", 10, {"title": "old", "price": 1}),
        item(2, "i", 30, {"price": 3}),
        item(3, "i", 20, {"title": "new", "price": 2, "brand": "x"}),
    ]
    for order in itertools.permutations(events):
        state = folded(list(order))
        assert state.item_fields[0] == {"title": "new", "price": 3, "brand": "x"}
        assert state.item("created")[0] == BEGIN + 10


def test_items_are_deleted_and_created_again_in_any_order() -> None:
    events = [item(1, "i", 10, {"title": "a"}), item(2, "i", 20, deleted=True), item(3, "i", 30, {"title": "b"})]
    for order in itertools.permutations(events):
        assert bool(folded(list(order)).alive[0])
    for order in itertools.permutations(events[:2]):
        assert not folded(list(order)).alive[0]
    assert not folded([*events[:2], click(4, "i", 40)]).alive[0], "a click doesn't bring it back"


def test_a_deleted_user_leaves_nothing_and_may_come_back() -> None:
    events = [
        user(1, "u", 1, {"age": 30}),
        click(2, "a"),
        click(3, "b", type="rating", value=2.0),
        click(4, "c", user="v"),
    ]
    state = folded([*events, user(5, "u", 50, deleted=True)])
    found = facts(state)
    assert found["histories"].keys() == found["people"].keys() == {"v"}
    assert {who for who, _ in found["seen"]} == {"v"}
    assert found["user fields"].get("u", {}) == {}
    state.apply([click(6, "d", 60), user(7, "u", 61, {"age": 31})], 7)
    found = facts(state)
    assert [entry[0] for entry in found["histories"]["u"]] == ["d"]
    assert found["people"]["u"] == (1, BEGIN + 60, 0)
    assert found["user fields"]["u"] == {"age": 31}


def test_fields_of_a_deleted_user_follow_timestamps_in_any_order() -> None:
    events = [
        user(1, "u", 10, {"age": 1, "city": "x"}),
        user(2, "u", 20, deleted=True),
        user(3, "u", 30, {"age": 3}),
    ]
    for order in itertools.permutations(events):
        assert folded(list(order)).user_fields.get(0, {}) == {"age": 3}
    for order in itertools.permutations(events[:2]):
        assert folded(list(order)).user_fields.get(0, {}) == {}


def test_what_is_older_than_a_deletion_does_not_bring_the_user_back() -> None:
    state = folded([click(1, "a", 10), user(2, "u", 20, deleted=True), click(3, "b", 15), click(4, "c", 25)])
    assert [entry[0] for entry in facts(state)["histories"]["u"]] == ["c"]
    assert facts(state)["people"]["u"][0] == 1


# ------------------------------------------------------------------------------ bounds


def test_a_full_history_ignores_what_is_older_than_all_of_it() -> None:
    settings = Settings(state=StateSettings(history=5, window=2))
    state = folded([*(click(n, f"i{n}", 100 + n) for n in range(5)), click(9, "late", 1)], settings)
    assert [entry[0] for entry in facts(state)["histories"]["u"]] == [f"i{n}" for n in range(5)]
    assert state.user_columns["count"][0] == 6
    state.apply([click(10, "between", 102)], 7)
    assert [entry[0] for entry in facts(state)["histories"]["u"]] == ["i1", "i2", "between", "i3", "i4"]


def test_a_full_pair_row_keeps_its_stronger_half() -> None:
    settings = Settings(state=StateSettings(neighbours=8, window=1))
    events: list[Stamped] = []
    strong = ["s0", "s1", "s2", "s3"]
    walk = [name for friend in strong for name in ["hub", friend] * 3]
    walk += [name for n in range(40) for name in ("hub", f"weak{n}")]
    for place, name in enumerate(walk):
        events.append(click(place, name, place))
    pairs = facts(folded(events, settings))["pairs"]
    kept = {b for a, b in pairs if a == "hub"}
    assert set(strong) <= kept
    assert len(kept) <= 8


def test_the_state_grows_far_beyond_its_first_blocks() -> None:
    rng = np.random.default_rng(0)
    people, things = rng.integers(0, 3000, 40_000), rng.integers(0, 2000, 40_000)
    events = [click(n, f"i{i}", n, f"u{u}") for n, (u, i) in enumerate(zip(people, things, strict=True))]
    state = folded(events)
    counts = np.bincount(things, minlength=2000)
    assert all(int(state.item("count")[state.items.get(f"i{n}")]) == counts[n] for n in set(things.tolist()))
    seen = [state.seen_row(state.users.get(f"u{u}"))[1].sum() for u in range(0, 3000, 97)]
    assert seen == [np.count_nonzero(people == u) for u in range(0, 3000, 97)]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"window": 0}, "state.window"),
        ({"window": 64}, "state.window"),
        ({"history": 0}, "state.history"),
        ({"seen_per_user": 0}, "state.seen_per_user"),
        ({"neighbours": 1}, "state.neighbours"),
        ({"half_lives": (1.0, 0.0, 30.0)}, "state.half_lives"),
        ({"future_seconds": -1.0}, "state.future_seconds"),
    ],
)
def test_bounds_that_cannot_work_are_refused(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"{sentence} is .*; it must"):
        StateSettings(**bad)
