"""Histories in 16 bytes an entry, what has left them, and the blocks that they lie in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from palate.bench.memory import busy_people
from palate.checks import MAX_TIMESTAMP
from palate.config import Settings, StateSettings
from palate.profile import subject_of_row, weight_table
from palate.state import State, snapshot, tie_key
from palate.state.arena import Arena
from palate.state.history import short_tie
from palate.state.rows import block_size, give_block, new_meta, take_block
from palate.state.seen import place_of
from palate.state.state import Stamped
from palate.testing.state import BEGIN, facts, stamp
from palate.types import Interaction, User


def event(number: int, item: str = "a", when: int | None = None, user: str = "u", **more: Any) -> Stamped:
    moment = BEGIN + (number if when is None else when)
    return stamp(Interaction(id=f"e{number:06d}", timestamp=moment, user=user, item=item, **more))


def bounded(history: int, seen: int = 2048, **more: Any) -> Settings:
    return Settings(state=StateSettings(history=history, window=1, seen_per_user=seen), **more)


def folded(events: list[Stamped], settings: Settings | None = None) -> State:
    state = State(settings or Settings())
    state.apply(events, len(events))
    return state


# ------------------------------------------------------------------------------- entries

HALVES = [n / 2 for n in range(-20, 234)]
OTHERS = [-0.0, -10.5, 117.0, 0.25, 1e-20, 4.3, -1e30, float("inf"), float("-inf")]


def bits(values: list[float]) -> list[bytes]:
    return [np.float32(value).tobytes() for value in values]


def test_half_steps_need_no_second_row_and_every_other_value_is_kept_in_full() -> None:
    plain = folded([event(n, value=value) for n, value in enumerate([*HALVES, None])], bounded(1000))
    assert bits(plain.history_of(0)[3].tolist()[:-1]) == bits(HALVES)
    assert np.isnan(plain.history_of(0)[3][-1])
    assert plain.wide.meta[0] == 0
    for value in OTHERS:
        state = folded([event(0, value=2.5), event(1, value=value), event(2)])
        found = state.history_of(0)[3]
        assert bits(found.tolist()[:2]) == bits([2.5, value])
        assert np.isnan(found[2])
        assert state.wide.size[0] == 3


def test_types_past_the_255th_are_kept_and_their_weights_obeyed() -> None:
    settings = Settings(
        state=StateSettings(history=1000, window=1, seen_per_user=2048),
        weights={"t254": -1.0, "t255": -1.0, "t299": -1.0},
    )
    events = [event(n, f"i{n}", type=f"t{n}") for n in range(300)]
    state = folded(events, settings)
    assert [state.types.ids[kind] for kind in state.history_of(0)[2]] == [f"t{n}" for n in range(300)]
    negative = {"i254", "i255", "i299"}
    assert {name for name in state.items.ids if not state.has_seen(0, state.items.get(name))} == negative
    pairs = facts(state)["pairs"]
    assert pairs["i253", "i256"] == (1000, 1), "what was hidden is between no two"
    assert not any(negative & set(pair) for pair in pairs)
    late = folded(events[::-1], settings)
    assert (facts(late)["histories"], facts(late)["pairs"]) == (facts(state)["histories"], pairs)
    narrow = folded([*events, event(300, "i299")], Settings(state=StateSettings(history=3, window=1)))
    assert narrow.has_seen(0, narrow.items.get("i254"))
    assert narrow.repeat_rate == pytest.approx(1 / 301)


@pytest.mark.parametrize("when", [0, 1, MAX_TIMESTAMP])
def test_every_time_of_the_wire_fits(when: int) -> None:
    state = State(Settings())
    moments = [when, 5, MAX_TIMESTAMP - 1]
    state.apply([(ts, MAX_TIMESTAMP, Interaction(id=f"e{ts}", user="u", item="a")) for ts in moments], 3)
    assert state.history_of(0)[1].tolist() == sorted(moments)
    assert state.seen_row(0)[2].tolist() == [max(moments)]


@pytest.mark.parametrize(("before", "after"), [("e1", "e2"), ("e9", "e10"), ("x-000009", "x-000010"), ("7", "11")])
def test_short_ties_keep_the_order_of_numbers(before: str, after: str) -> None:
    assert 0 <= short_tie(tie_key(before)) < short_tie(tie_key(after)) < 2**32


def test_short_ties_of_other_heads_and_of_hashes_are_all_different() -> None:
    names = [f"{head}-{n}" for head in ("click", "view", "shop", "a") for n in range(200)]
    names += [f"{n}-plain{n}x" for n in range(800)]
    assert len({short_tie(tie_key(name)) for name in names}) == len(names)


# ------------------------------------------------------------------------ histories and what has left them

WEIGHTS = {"hide": -2.0}
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 8),  # when: few moments, so that many are equal
        st.integers(0, 5),
        st.sampled_from(["click", "hide", "rating"]),
        st.none() | st.sampled_from([1.0, 4.5, 4.3]),
    ),
    min_size=1,
    max_size=40,
)


class Model:
    """One person by the definitions, in dictionaries and a sorted list."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.history: list[tuple[int, int, str, str, float | None]] = []
        self.counts: dict[str, list[int]] = {}
        self.repeats = self.positive = 0

    def take(self, stamped: Stamped) -> None:
        when, _, one = stamped
        assert isinstance(one, Interaction)
        entry = self.counts.setdefault(one.item, [0, 0, 0])
        if one.type == "hide":
            entry[2] = max(entry[2], when)
        else:
            self.positive += 1
            self.repeats += entry[0] > 0
            entry[0] += 1
            entry[1] = max(entry[1], when)
        self.history.append((when, short_tie(tie_key(one.id or "")), one.item, one.type, one.value))
        self.history = sorted(self.history, key=lambda kept: kept[:2])[-self.bound :]


@given(EVENTS, st.integers(1, 12), st.integers(1, 5))
@hypothesis_settings(max_examples=150, deadline=None)
def test_counts_and_histories_are_those_of_a_dictionary(events: list[Any], bound: int, batch: int) -> None:
    settings = bounded(bound, weights=WEIGHTS)
    state, model = State(settings), Model(bound)
    stamped = [event(n, f"i{i}", when, type=kind, value=value) for n, (when, i, kind, value) in enumerate(events)]
    for begin in range(0, len(stamped), batch):
        some = stamped[begin : begin + batch]
        state.apply(some, begin + len(some))
        for one in some:
            model.take(one)
        items, times, kinds, values = state.history_of(0)
        assert [
            (when, state.items.ids[item], state.types.ids[kind], repr(float(value)))
            for item, when, kind, value in zip(items, times.tolist(), kinds, values, strict=True)
        ] == [
            (when, item, kind, repr(float(np.float32(np.nan if value is None else value))))
            for when, _, item, kind, value in model.history
        ]
        seen = facts(state)["seen"]
        assert seen == {("u", item): tuple(entry) for item, entry in model.counts.items()}
        assert {name for name in state.items.ids if state.has_seen(0, state.items.get(name))} == {
            name for name, entry in model.counts.items() if entry[0]
        }
        assert state.totals[1:3].tolist() == [model.positive, model.repeats]
    again = snapshot.thaw(snapshot.freeze(state, ""), settings)
    more = [event(90 + n, f"i{n}", 4) for n in range(3)]
    for one in (state, again):
        one.apply(more, len(stamped) + 3)
    assert snapshot.digest(again) == snapshot.digest(state)
    if len(stamped) <= bound:
        assert folded(stamped, settings).seen.meta[0] == 0, "nothing has left a history that isn't full"


@given(EVENTS, st.integers(1, 6), st.integers(2, 8))
@hypothesis_settings(max_examples=100, deadline=None)
def test_bounds_of_what_was_seen_hold_and_nothing_is_made_up(events: list[Any], bound: int, seen: int) -> None:
    state, model = State(bounded(bound, seen, weights=WEIGHTS)), Model(bound)
    for n, (when, item, kind, value) in enumerate(events):
        one = event(n, f"i{item}", when, type=kind, value=value)
        state.apply([one], n + 1)
        model.take(one)
        found = {item: entry for (_, item), entry in facts(state)["seen"].items()}
        recent = {entry[2] for entry in model.history}
        assert recent <= found.keys()
        assert len(found) <= max(seen, bound)
        assert int(state.seen.size[0]) <= max(0, seen - bound)
        for name, counts in found.items():
            assert all(mine <= theirs for mine, theirs in zip(counts, model.counts[name], strict=True))
            assert counts[0] >= sum(entry[2] == name and entry[3] != "hide" for entry in model.history)


def test_the_latest_of_what_has_left_is_kept() -> None:
    events = [event(n, f"i{n}", n) for n in range(14)]
    state = folded(events, bounded(4, 12))  # room for 8 that have left: i0 to i7; i8 finds it full, and i4 to i7 stay
    state.apply([event(14, "i14")], 15)
    names = {state.items.ids[row] for row in state.seen_row(0)[0]}
    assert names == {f"i{n}" for n in range(4, 15)}


def test_a_subject_finds_the_place_of_everything_it_had() -> None:
    rng = np.random.default_rng(3)
    state = folded([event(n, f"i{i}") for n, i in enumerate(rng.integers(0, 150, 400).tolist())], bounded(30))
    none, rows = np.zeros((0, 4), np.float32), np.full(state.n_items, -1, np.int32)
    table = weight_table(state.settings, state.types.ids)
    subject = subject_of_row(state, 0, none, rows, rows[:, None], 0, table)
    assert subject.seen_total == 400
    assert sorted(subject.seen.tolist()) == sorted(state.seen_row(0)[0].tolist())
    assert [place_of(subject.seen, subject.seen_at, item) for item in subject.seen.tolist()] == list(
        range(len(subject.seen))
    )
    assert place_of(subject.seen, subject.seen_at, state.n_items) == -1
    nobody = subject_of_row(state, -1, none, rows, rows[:, None], 0, table)
    assert place_of(nobody.seen, nobody.seen_at, 0) == -1


def test_a_deleted_person_leaves_nothing_in_any_row() -> None:
    events = [event(n, f"i{n}", value=0.3) for n in range(8)]
    state = folded([*events, stamp(User(id="bye", timestamp=BEGIN + 50, user="u", deleted=True))], bounded(5))
    assert [int(arena.size[0]) for arena in (state.history, state.wide, state.seen)] == [0, 0, 0]
    state.apply([event(60, "back")], 10)
    assert facts(state)["seen"] == {("u", "back"): (1, BEGIN + 60, 0)}
    assert np.isnan(state.history_of(0)[3]).all()


# --------------------------------------------------------------------------------- blocks


def test_blocks_have_eight_sizes_between_powers_of_two() -> None:
    assert [block_size(n) for n in (0, 1, 4, 5, 33, 64, 65, 100, 128, 129, 10_000)] == [
        4, 4, 4, 8, 36, 64, 72, 104, 128, 144, 10_240,
    ]  # fmt: skip
    sizes = sorted({block_size(n) for n in range(1, 5000)})
    assert all(size % 4 == 0 and block_size(size) == size for size in sizes)
    assert {4 << n for n in range(11)} <= set(sizes)


def test_a_free_block_is_taken_again_by_its_own_size_only() -> None:
    meta, keys = new_meta(), np.zeros(1_000_000, np.int32)
    sizes = sorted({block_size(n) for n in range(1, 5000)} | {1 << n for n in range(2, 17)})
    starts = {size: take_block(meta, keys, size) for size in sizes}
    top = int(meta[0])
    assert top == sum(sizes)
    for size, start in starts.items():
        give_block(meta, keys, start, size)
    assert {size: take_block(meta, keys, size) for size in reversed(sizes)} == starts
    assert meta[0] == top
    assert take_block(meta, keys, sizes[0]) == top


def test_people_who_grow_in_step_leave_no_holes() -> None:
    settings = bounded(200)
    people, length = 300, 120
    events = [
        event(n * people + u, f"i{(7 * u + n) % 97}", n, f"u{u}", value=0.3 if u % 9 == 0 else None)
        for n in range(length)
        for u in range(people)
    ]
    state = State(settings)
    for begin in range(0, len(events), people):
        state.apply(events[begin : begin + people], begin + people)
    assert int(state.history.meta[0]) < 2 * people * length, "blocks of every size up to this one are seven times that"
    alone = State(settings)
    alone.apply(sorted(events, key=lambda one: str(one[2].user)), len(events))  # type: ignore[union-attr]
    assert {name: facts(state)[name] for name in ("histories", "seen")} == {
        name: facts(alone)[name] for name in ("histories", "seen")
    }


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=50, deadline=None)
def test_packing_moves_rows_and_changes_none(sizes: list[int], random: Any) -> None:
    arena = Arena({"a": np.int64, "b": np.float32})
    arena.room(20_000)
    order = [r for r in range(len(sizes)) for _ in (0, 1)]
    random.shuffle(order)
    for r in order:  # each twice, so that the first blocks are free
        if arena.cap[r]:
            give_block(arena.meta, arena.keys, int(arena.start[r]), int(arena.cap[r]))
        cap = block_size(sizes[r] + random.randrange(60))
        arena.start[r], arena.cap[r], arena.size[r] = take_block(arena.meta, arena.keys, cap), cap, sizes[r]
    for r, size in enumerate(sizes):
        span = slice(*arena.span(r))
        arena.keys[span], arena.columns["a"][span], arena.columns["b"][span] = r, np.arange(size) + r, r / 2
    free = int(arena.meta[0]) - int(arena.cap.sum())
    packed = 4 * free > int(arena.meta[0])
    arena.room(len(arena.keys) - int(arena.meta[0]) + 1, pack=True)
    assert int(arena.meta[0]) == int(arena.cap.sum()) + (0 if packed else free)
    for r, size in enumerate(sizes):
        span = slice(*arena.span(r))
        assert arena.keys[span].tolist() == [r] * size
        assert arena.columns["a"][span].tolist() == list(range(r, r + size))
        assert arena.columns["b"][span].tolist() == [r / 2] * size
    if packed:
        assert take_block(arena.meta, arena.keys, 4) == int(arena.cap.sum()), "no free block is left in a list"


def test_a_person_with_a_hundred_events_takes_two_kilobytes() -> None:
    assert busy_people(200)["user_100_events_bytes"] <= 2000
