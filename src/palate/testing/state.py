"""The law of state, as tests: inherit ``StateContract`` and say how yours folds batches of events.

The same log order gives the same bits, however it is cut and whatever is saved and restored on the way; events up to
a day out of order give equal counts, histories and pairs, and decayed counts to 1e-6; memory a user is bounded.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from palate.config import Settings, StateSettings
from palate.state import State, snapshot
from palate.state.opinions import Opinions
from palate.state.state import Stamped
from palate.types import Event, Impression, Interaction, Item, User

BEGIN = 1_700_000_000_000
DAY = 86_400_000
TEXTS = ("I love it, the quality is great", "terrible, and the delivery was slow", "不好看", "on a Tuesday")
TYPES = ("click", "purchase", "rating", "hide", "dislike", "never heard of")

Batches = Sequence[Sequence[Stamped]]


def stamp(event: Event) -> Stamped:
    """An event that arrived a day after ``BEGIN``, so that none is of the future."""
    return int(event.timestamp or 0), BEGIN + DAY, event


@st.composite
def event_lists(draw: Any, most: int = 40, users: int = 4, items: int = 7) -> list[Stamped]:
    """Events of a day, in arrival order: few people and items, equal timestamps, every kind of event, distinct ids."""
    moments = st.one_of(st.integers(0, 5), st.integers(0, DAY))
    people, things = st.integers(0, users - 1), st.integers(0, items - 1)
    fields = st.dictionaries(st.sampled_from(["title", "genres", "price"]), st.integers(0, 3), max_size=2)
    plain = st.tuples(
        st.just("interaction"),
        moments,
        people,
        things,
        st.sampled_from(TYPES),
        st.none() | st.floats(1, 5, width=32),
        st.none() | st.sampled_from(TEXTS),
    )
    other = st.one_of(
        st.tuples(st.just("item"), moments, things, fields, st.booleans()),
        st.tuples(st.just("user"), moments, people, fields),
        st.tuples(st.just("impression"), moments, people, st.lists(things, min_size=1, max_size=3)),
    )
    drawn = draw(st.lists(st.one_of(plain, plain, plain, other), min_size=1, max_size=most))
    numbers = draw(st.permutations(range(len(drawn))))
    out: list[Stamped] = []
    for number, (kind, when, *rest) in zip(numbers, drawn, strict=True):
        event: Event
        if kind == "interaction":
            user, item, type_, value, text = rest
            event = Interaction(item=f"i{item}", user=f"u{user}", type=type_, value=value, text=text)
        elif kind == "item":
            item, values, deleted = rest
            event = Item(item=f"i{item}", fields=values, deleted=deleted)
        elif kind == "user":
            user, values = rest
            event = User(user=f"u{user}", fields=values)
        else:
            user, shown = rest
            event = Impression(user=f"u{user}", items=[f"i{item}" for item in shown])
        event.id, event.timestamp = f"e-{number}", BEGIN + when
        out.append(stamp(event))
    return out


def facts(state: State) -> dict[str, Any]:
    """What the law calls counts, histories and pairs, by id: independent of rows and of memory layout."""
    users, items, types = state.users.ids, state.items.ids, state.types.ids
    seen: dict[tuple[str, str], tuple[int, int, int]] = {}
    histories: dict[str, list[tuple[str, int, str, str]]] = {}
    columns = state.user_columns
    people: dict[str, tuple[int, int, int]] = {}
    for row, name in enumerate(users):
        if row >= len(columns["count"]):
            continue
        if columns["count"][row]:
            people[name] = int(columns["count"][row]), int(columns["last"][row]), int(columns["ratings"][row])
        rows, times, kinds, values = (column.tolist() for column in state.history_of(row))
        histories[name] = [
            (items[a], b, types[c], repr(d)) for a, b, c, d in zip(rows, times, kinds, values, strict=True)
        ]
        mine = (column.tolist() for column in state.seen_row(row))
        seen |= {(name, items[a]): (b, c, d) for a, b, c, d in zip(*mine, strict=True)}
    pairs: dict[tuple[str, str], tuple[int, int]] = {}
    catalogue: dict[str, Any] = {}
    crowds: dict[str, list[tuple[str, int]]] = {}
    for row, name in enumerate(items):
        words: list[int] = [word for word in state.item("crowd")[row].tolist() if word]
        crowd: list[tuple[str, int]] = [(users[word % 2**32 - 1], word >> 32) for word in words]
        crowds[name] = sorted(crowd)
        found, parts = state.pairs.entries_of(row)
        for other, forward, both in zip(found.tolist(), parts["fwd"].tolist(), parts["co"].tolist(), strict=True):
            if forward or both:
                pairs[name, items[other]] = forward, both
        catalogue[name] = {
            column: state.item(column)[row].tolist()
            for column in ("count", "first", "last", "buckets", "shown", "created", "alive")
        }
    return {
        "people": people,
        "histories": {name: entries for name, entries in histories.items() if entries},
        "seen": seen,
        "pairs": pairs,
        "crowds": crowds,
        "gaps": {name: state.item("gaps")[row].tolist() for row, name in enumerate(items)},
        "catalogue": catalogue,
        "fields": {items[row]: values for row, values in state.item_fields.items()},
        "said of": _said(state.said_of, items),
        "said by": _said(state.said_by, users),
        "user fields": {users[row]: values for row, values in state.user_fields.items()},
        "totals": state.totals[:4].tolist(),
        "gap totals": state.totals[11:14].tolist(),
        "buckets": state.bucket_totals.tolist(),
        "numbers": (state.events, state.impressions, state.clamped, state.clock_ts),
    }


def _said(opinions: Opinions, names: list[str]) -> dict[str, Any]:
    columns = opinions.columns
    parts = [columns[name][: len(opinions)].tolist() for name in ("texts", "sum", "last", "good", "bad")]
    return {names[row]: one for row, *one in zip(columns["row"].tolist(), *parts, strict=False) if one[0]}


def floats(state: State) -> dict[str, Any]:
    """The floats of the law, by id."""
    decayed = state.decayed(BEGIN + 2 * DAY)
    sums, columns = state.user_columns["rating_sum"], state.said_of.columns
    return {
        "decayed": {name: decayed[row].tolist() for row, name in enumerate(state.items.ids)},
        "said": {
            state.items.ids[int(row)]: columns["decayed"][place].tolist()
            for place, row in enumerate(columns["row"][: len(state.said_of)])
        },
        "sums": {name: float(sums[row]) for row, name in enumerate(state.users.ids) if row < len(sums)},
        "totals": [*state.totals[3:6].tolist(), *state.decayed_totals(BEGIN + 2 * DAY).tolist()],
    }


def assert_lawful(one: State, other: State) -> None:
    """Equal in everything that the law calls equal under reordering."""
    mine, theirs = facts(one), facts(other)
    for name, value in mine.items():
        assert value == theirs[name], name
    near, far = floats(one), floats(other)
    for name in ("decayed", "said", "sums"):
        assert near[name].keys() == far[name].keys()
        for key, value in near[name].items():
            np.testing.assert_allclose(value, far[name][key], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(near["totals"], far["totals"], rtol=1e-6, atol=1e-9)


def cut(events: Sequence[Stamped], places: Sequence[int]) -> list[list[Stamped]]:
    """``events`` as batches that end at ``places``."""
    ends = sorted({place % (len(events) + 1) for place in places} | {0, len(events)})
    return [list(events[a:b]) for a, b in itertools.pairwise(ends)]


_EXAMPLES = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow]
)


class StateContract(ABC):
    """Promise 2: the state is a function of the log."""

    @abstractmethod
    def fold(self, batches: Batches, settings: Settings) -> State:
        """The state after ``batches``, folded one after the other by the implementation under test."""

    @given(event_lists(), st.lists(st.integers(0, 60), max_size=5))
    @_EXAMPLES
    def test_equal_log_order_gives_equal_bits_whatever_the_batches(
        self, events: list[Stamped], places: list[int]
    ) -> None:
        whole = self.fold([events], Settings())
        parts = self.fold(cut(events, places), Settings())
        single = self.fold([[event] for event in events], Settings())
        assert snapshot.digest(whole) == snapshot.digest(parts) == snapshot.digest(single)

    @given(event_lists(), st.randoms(use_true_random=False))
    @_EXAMPLES
    def test_a_shuffled_day_gives_equal_counts_histories_and_pairs(self, events: list[Stamped], random: Any) -> None:
        shuffled = list(events)
        random.shuffle(shuffled)
        assert_lawful(self.fold([events], Settings()), self.fold([shuffled], Settings()))

    @given(event_lists(users=1, items=30), st.randoms(use_true_random=False), st.integers(1, 4))
    @_EXAMPLES
    def test_a_short_window_is_corrected_exactly(self, events: list[Stamped], random: Any, window: int) -> None:
        settings = Settings(state=StateSettings(window=window))
        shuffled = list(events)
        random.shuffle(shuffled)
        assert_lawful(self.fold([events], settings), self.fold([shuffled], settings))

    @given(event_lists(users=1, items=30), st.randoms(use_true_random=False), st.integers(1, 12))
    @_EXAMPLES
    def test_a_full_history_keeps_the_newest_in_any_order(self, events: list[Stamped], random: Any, bound: int) -> None:
        settings = Settings(state=StateSettings(history=bound, window=1))
        shuffled = list(events)
        random.shuffle(shuffled)
        one, other = facts(self.fold([events], settings)), facts(self.fold([shuffled], settings))
        for name in ("people", "histories", "seen", "catalogue", "totals", "numbers"):
            assert one[name] == other[name], name
        whole = facts(self.fold([events], Settings()))["histories"]
        assert one["histories"] == {user: entries[-bound:] for user, entries in whole.items()}

    def test_memory_of_a_user_is_bounded(self) -> None:
        bounds = StateSettings(history=10, window=3, seen_per_user=16, neighbours=8)
        events: list[Stamped] = [
            stamp(Interaction(id=f"e{n:06d}", timestamp=BEGIN + n, item=f"i{n * 7 % 500}", user="u"))
            for n in range(3000)
        ]
        state = self.fold(cut(events, [1000, 2000]), Settings(state=bounds))
        history, seen = state.history_of(0)[0], state.seen_row(0)[0]
        assert [state.items.ids[row] for row in history] == [f"i{n * 7 % 500}" for n in range(2990, 3000)]
        assert 8 <= len(seen) <= 16
        assert {state.items.ids[row] for row in history[-5:]} <= {state.items.ids[row] for row in seen}
        sizes = [len(state.pairs.entries_of(row)[0]) for row in range(state.n_items)]
        assert max(sizes) <= 8
        assert int(state.user_columns["count"][0]) == 3000
