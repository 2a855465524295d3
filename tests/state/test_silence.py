"""A hole in the log is no time in which people forgot."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.config import Settings
from palate.state import State
from palate.state.silence import LONG, SHORT, Silences
from palate.types import Interaction

DAY = 86_400_000
BEGIN = 900_000_000_000
NOW = 1_790_000_000_000


def _state(*, live: int = 0) -> State:
    state = State(Settings())
    old = [(BEGIN + n * DAY // 20, f"i{n % 5}") for n in range(200)]
    new = [(NOW + n * 1000, "i4") for n in range(live)]
    events = [Interaction(id=f"e{n}", timestamp=ts, item=item, user="u") for n, (ts, item) in enumerate(old + new)]
    state.apply([(int(event.timestamp or 0), NOW + DAY, event) for event in events])
    return state


def test_popularity_of_the_past_outlives_a_hole_of_years() -> None:
    before = _state()
    then = before.decayed(before.silences.newest)
    after = _state(live=1)
    left = after.decayed(NOW)
    assert left[4, 2] > left[0, 2]  # the live event counts
    np.testing.assert_allclose(left[0], then[0] * 2.0 ** (-SHORT / DAY / before.half_lives), rtol=1e-9)
    np.testing.assert_allclose(after.decayed_totals(NOW)[2], left[:, 2].sum(), rtol=1e-9)


def test_a_hole_counts_as_short_even_before_anything_ends_it() -> None:
    state = _state()
    newest = state.silences.newest
    np.testing.assert_allclose(state.decayed(NOW), state.decayed(newest + SHORT), rtol=1e-12)
    month = state.decayed(newest + LONG)  # a quiet month is people's own
    np.testing.assert_allclose(month[:, 2], state.decayed(newest)[:, 2] * 2.0 ** (-30 / 30), rtol=1e-9)


@given(st.lists(st.integers(0, 4000), max_size=40), st.lists(st.integers(0, 40), max_size=5))
@settings(deadline=None)
def test_it_hears_a_list_as_it_hears_one_after_the_other(days: list[int], cuts: list[int]) -> None:
    whole, parts, single = Silences(), Silences(), Silences()
    times = [BEGIN + day * DAY for day in days]
    ends = [0, *sorted(cuts), len(times)]
    live = [parts.heard(times[a:b]) for a, b in itertools.pairwise(ends)]
    expected = [single.heard([ts])[0] for ts in times]
    assert whole.heard(times) == list(itertools.chain(*live)) == expected
    assert whole.array().tolist() == parts.array().tolist() == single.array().tolist()


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=40))
@settings(deadline=None)
def test_live_time_never_runs_backwards_and_never_faster_than_the_clock(days: list[int]) -> None:
    silences = Silences()
    for day in days:
        silences.heard([BEGIN + day * DAY])
    ticks = np.arange(BEGIN - DAY, BEGIN + 4100 * DAY, 7 * DAY // 3)
    live = np.array([silences.live(int(tick)) for tick in ticks])
    within = ticks <= silences.newest  # past the newest event a hole may open, which is known only then
    assert (np.diff(live[within]) >= 0).all()
    assert (np.diff(live[within]) <= np.diff(ticks[within])).all()
    now = silences.newest + DAY
    np.testing.assert_array_equal(silences.since(ticks[within], now), np.maximum(0, silences.live(now) - live[within]))
    restored = Silences()
    restored.restore(silences.array())
    assert (restored.newest, restored.ends, restored.skipped) == (silences.newest, silences.ends, silences.skipped)


def test_a_log_without_holes_is_measured_by_its_own_times() -> None:
    silences = Silences()
    for day in range(0, 300, 29):
        assert silences.heard([BEGIN + day * DAY]) == [BEGIN + day * DAY]
    assert not silences.ends
