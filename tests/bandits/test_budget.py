"""Budgets of exploration hold at every moment; floors are reached as far as they go."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.bandits.budget import DAY_MS, LANE, Budget, Floor
from palate.config import PolicySettings, Settings
from palate.state import State
from palate.types import Event, Impression, Item

NOON = 1_700_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.floats(0.0, 1.0),
    st.integers(0, 50),
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(-3_600_000, 9_000_000), st.integers(0, 12), st.booleans()), max_size=200),
)
def test_the_budget_is_never_exceeded(
    share: float, number: int, processes: int, steps: list[tuple[int, int, bool]]
) -> None:
    """Whatever the requests, the clock, restarts, and how many processes there are."""
    wanted = PolicySettings(explore_share=share, explore_day=number)
    budgets = [Budget(wanted, processes) for _ in range(processes)]
    now, spent, shown = NOON, dict[int, int](), dict[int, int]()
    latest = 0
    for place, (later, places, restart) in enumerate(steps):
        if restart and place % 7 == 0:
            budgets[place % processes] = Budget(wanted, processes)
        now += later
        latest = max(latest, now)
        budget = budgets[place % processes]
        slot = budget.may(now, places)
        budget.note(now, places, int(slot))
        day = budget._day
        shown[day], spent[day] = shown.get(day, 0) + places, spent.get(day, 0) + slot
        assert spent[day] <= share * shown[day] + 1e-6
        if number:
            assert spent[day] <= number


def test_the_budget_is_used_up_where_there_is_reason_to() -> None:
    budget = Budget(PolicySettings(explore_share=0.1))
    slots = 0
    for place in range(100):
        slot = budget.may(NOON + place, 10)
        budget.note(NOON + place, 10, int(slot))
        slots += slot
    assert slots == 100
    budget = Budget(PolicySettings(explore_day=24))
    begin = NOON + DAY_MS // 2  # midnight: the whole day is there
    slots = 0
    for minute in range(1440):
        slot = budget.may(begin + minute * 60_000, 10)
        budget.note(begin + minute * 60_000, 10, int(slot))
        slots += slot
        assert slots <= 24 * minute / 1440 + 1e-6
    assert slots == 23
    assert not Budget(PolicySettings(explore_share=0.0)).may(NOON, 10)
    assert Budget(PolicySettings()).may(NOON, 1)


def state_of(*events: Event) -> State:
    found = State(Settings())
    stamped = [(event.timestamp, event.timestamp, event) for event in events if isinstance(event.timestamp, int)]
    found.apply(stamped, len(stamped))
    return found


def test_who_is_owed_and_how_much() -> None:
    day = DAY_MS
    made = [Item(id=f"a{n}", timestamp=NOON - n * day, item=f"i{n}") for n in range(10)]
    seen = [Impression(id=f"s{n}", timestamp=NOON, user="u", items=["i0", "i1"]) for n in range(3)]
    gone = Item(id="g", timestamp=NOON, item="i2", deleted=True)
    state = state_of(*made, *seen, gone)
    floor = Floor(PolicySettings(new_floor=4, new_days=5.0))
    rows = np.array([state.items.get(f"i{n}") for n in range(10)], np.int32)
    assert floor.lane(state, NOON).tolist() == [rows[3], rows[4], rows[0], rows[1]]  # i2 is deleted, i5 too old
    weights = floor.weights(np.append(rows, -1).astype(np.int32), np.zeros(11), state, NOON)
    np.testing.assert_allclose(weights, [1.0, 1.0, 0.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    better = floor.weights(rows[:5], np.array([0.0, 9.0, 0.0, 0.0, np.nan]), state, NOON)
    np.testing.assert_allclose(better, [1.0, np.exp(2.0), 0.0, 4.0, 0.0])
    for _ in range(4):
        floor.note(rows[3:4])
    assert floor.lane(state, NOON).tolist() == [rows[4], rows[0], rows[1]]
    assert floor.lane(state, NOON + 2 * day).tolist() == [rows[0], rows[1]]
    assert floor.lane(state, NOON + 9 * day).tolist() == []


def test_new_items_are_found_as_they_come_and_what_was_placed_is_kept() -> None:
    state = state_of(*[Item(id=f"a{n}", timestamp=NOON, item=f"i{n}") for n in range(3)])
    floor = Floor(PolicySettings(new_floor=2))
    first = floor.lane(state, NOON)
    floor.note(first[:1])
    floor.note(first[:1])
    more = [Item(id=f"b{n}", timestamp=NOON, item=f"j{n}") for n in range(LANE)]
    state.apply([(NOON, NOON, event) for event in more], 9)
    second = floor.lane(state, NOON)
    assert len(second) == LANE
    assert first[0] not in second
    assert set(first[1:]) <= set(second.tolist())
