"""When it is time to have an item again, and what goes with the items of this session."""

from __future__ import annotations

import math

import numpy as np
import pytest

from palate.engine import Engine
from palate.features import column
from palate.state.seen import gap_of
from palate.testing.world import START
from palate.types import F32, Event
from tests.engines import did, filled

HOUR = 3_600_000
DAY = 24 * HOUR


def bought(times: dict[tuple[str, str], list[float]]) -> list[Event]:
    """Purchases by person and item, at days after the start."""
    every = sorted((day, user, name) for (user, name), days in times.items() for day in days)
    return [did(n, user, name, "purchase", int(day * DAY)) for n, (day, user, name) in enumerate(every)]


def x_of(engine: Engine, user: str, names: list[str], day: float) -> F32:
    """Features of items for ``user``, ``day`` days after the start."""
    computer, side = engine.line.computer, engine.catalogue.side()
    rows = np.array([engine.state.items.get(name) for name in names], np.int32)
    subject = computer.subject(engine.state.users.get(user), side)
    return computer.matrix(subject, rows, side, START + int(day * DAY), computer.strengths_of(subject, rows))


def test_gaps_are_counted_between_neighbouring_times_in_any_order() -> None:
    events = bought({("u", "milk"): [0, 7, 14.01, 14.02, 28], ("v", "milk"): [3, 10], ("v", "salt"): [1]})
    expected = [gap_of(round(days * DAY)) for days in (7, 7.01, 13.98, 7)]
    for order in ([0, 1, 2, 3, 4, 5, 6, 7], [7, 3, 0, 5, 1, 6, 2, 4], [6, 7, 4, 5, 2, 3, 0, 1]):
        with filled([events[place] for place in order]) as engine:
            state = engine.state
            gaps = state.item("gaps")[state.items.get("milk")].tolist()
            assert gaps == [4, sum(expected), sum(gap * gap for gap in expected)]
            assert state.item("gaps")[state.items.get("salt")].tolist() == [0, 0, 0]
            assert state.totals[11:14].tolist() == gaps


def test_a_gap_reaches_back_to_what_has_left_the_history() -> None:
    events = bought({("u", "milk"): [0, 9], ("u", "eggs"): [1, 2], ("u", "rice"): [3, 4], ("u", "salt"): [5]})
    with filled(events, state={"history": 3, "window": 2}) as engine:
        assert engine.state.item("gaps")[engine.state.items.get("milk"), :2].tolist() == [1, gap_of(9 * DAY)]


def test_an_item_is_due_at_its_usual_gap() -> None:
    """Forty people buy milk every week and salt every eight; one of them bought both a week ago."""
    times: dict[tuple[str, str], list[float]] = {}
    for n in range(40):
        times[f"p{n}", "milk"] = [n / 40 + 7 * week for week in range(16)]
        times[f"p{n}", "salt"] = [n / 40 + 56 * part for part in range(3)]
    times["new", "milk"] = times["new", "salt"] = [113.0]
    times["other", "bread"] = [10.0 * n for n in range(17)]  # a log that falls silent would stop the clock
    with filled(bought(times)) as engine:
        due, late = column("again_due"), column("again_late")
        week, months = x_of(engine, "new", ["milk", "salt"], 120), x_of(engine, "new", ["milk", "salt"], 169)
        assert week[0, due] > 0.95
        assert week[1, due] < 0.1
        assert week[1, late] < -2 < week[0, late] < 0.5
        assert months[1, due] > 0.7
        assert months[1, due] > months[0, due]
        assert months[0, late] > 2
        never = x_of(engine, "stranger", ["milk", "salt"], 120)
        assert not never[:, [due, late]].any()


def test_ones_own_gap_counts_more_than_everybodys() -> None:
    times: dict[tuple[str, str], list[float]] = {
        (f"p{n}", "milk"): [7.0 * week for week in range(8)] for n in range(30)
    }
    times["own", "milk"] = [2.0 * step for step in range(25)]
    times["new", "milk"] = [48.0]
    with filled(bought(times)) as engine:
        own, other = (x_of(engine, user, ["milk"], 50)[0, column("again_due")] for user in ("own", "new"))
        assert own > other + 0.05


def test_the_density_by_hand() -> None:
    with filled(bought({("u", "milk"): [0, 4, 10], ("v", "milk"): [0, 5], ("v", "eggs"): [0, 20]})) as engine:
        logs = {days: gap_of(days * DAY) for days in (4, 6, 5, 20)}
        mean, square = (sum(one**power for one in logs.values()) / 4 for power in (1, 2))
        mine = [logs[days] for days in (4, 6, 5)]
        typical = (sum(mine) + 5 * mean) / 8
        deviation = math.sqrt((sum(one * one for one in mine) + 5 * square) / 8 - typical**2)
        own = (logs[4] + logs[6] + 2 * typical) / 4
        late = (1000 * math.log1p(3 * 24) - own) / deviation
        found = x_of(engine, "u", ["milk"], 13)[0]
        assert found[column("again_late")] == pytest.approx(late, rel=1e-5)
        assert found[column("again_due")] == pytest.approx(math.exp(-late * late / 2), rel=1e-5)


def test_a_session_speaks_for_what_goes_with_it_while_it_lasts() -> None:
    """Tea goes with cake, nails with screws; who had many screws for months and tea just now is told cake."""
    minute = 1 / 1440
    times: dict[tuple[str, str], list[float]] = {}
    for n in range(30):
        for name, at in (("tea", 0.0), ("cake", minute), ("screws", 10.0), ("nails", 10 + minute)):
            times[f"p{n}", name] = [n / 100 + at]
        times[f"p{n}", f"between-{n}"] = [5.0]
    times["u", "screws"] = [float(day) for day in range(20, 30)]
    times["u", "tea"] = [40.0]
    times["u", "milk"] = [40 + minute]
    with filled(bought(times), state={"window": 1}) as engine:
        session, near = column("near_session"), column("near_all")
        cake, nails = x_of(engine, "u", ["cake", "nails"], 40 + 10 * minute)
        assert cake[session] > 0
        assert nails[session] == 0
        assert nails[near] > cake[near]
        assert not x_of(engine, "u", ["cake", "nails"], 40 + 40 * minute)[:, session].any()


def test_a_part_of_the_week_that_the_log_never_saw_says_nothing_of_items() -> None:
    """A log of one morning: in the afternoon what everybody takes may not fall behind what nobody does."""
    events = [did(n, f"u{n % 50}", "bread" if n % 10 else "salt", "view", n * 20_000) for n in range(600)]
    with filled(events) as engine:
        morning, other = START % DAY // (6 * HOUR), (START % DAY // (6 * HOUR) + 1) % 4
        assert morning != other
        day = (600 * 20_000 + 6 * HOUR) / DAY
        bread, salt = x_of(engine, "new", ["bread", "salt"], day)[:, column("daypart")]
        assert abs(bread - salt) < 0.7  # 2.1 where ten of all the week are what it begins with
        bread, salt = x_of(engine, "new", ["bread", "salt"], 0.1)[:, column("daypart")]
        assert max(abs(bread), abs(salt)) < 0.05
