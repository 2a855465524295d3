"""The page on performance: every table has its mark, and is made of what ``palate bench`` measures."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.performance import MARK, PAGE, TABLES, written
from palate.bench.goals import GOALS
from palate.bench.run import SECTIONS
from palate.cli.bench import named
from palate.cli.messages import MESSAGES
from tests.docs.pages import text_of


def marked(name: str) -> str:
    return next(mark[0] for mark in MARK.finditer(text_of(PAGE)) if mark[1] == name)


def figures() -> dict[str, Any]:
    """A figure for every name that people read, and goals."""
    found: dict[str, Any] = {"items": 1000, "users": 100, "remarks": ["It was a quiet run."]}
    found["machine"] = {"processor": "A processor", "cores": 2, "python": "3.11", "load": 0.1}
    found["loads"] = {"rank": 0.1, "events": 0.3}
    for key in MESSAGES:
        if key.startswith("figure."):
            *above, last = key.removeprefix("figure.").replace("N", "10k").split(".")
            inner = found
            for part in above:
                inner = inner.setdefault(part, {})
            inner[last] = 1234.5
    row = {f"{who}{name}": 1.5 for who in ("", "empty_") for name in ("p50_ms", "p99_ms", "p999_ms")}
    found["rank"]["latency"] = [{"per_s": 500.0, "kept_up": False, "empty_kept_up": True, **row}]
    found["goals"] = [
        {"goal": goal.name, "measured": 1.0, "rule": goal.rule, "limit": goal.limit, "met": goal.met(1.0)}
        for goal in GOALS
    ]
    return found


PROFILE = {
    "engine": {"us": 500.0, "stages": {"features": 250.0}},
    "server": {"cpu_us": 800.0, "stages": {"send": 80.0}, "functions": {"write (socket.py)": 40.0}},
}


def test_every_table_has_its_place_and_every_place_its_table() -> None:
    assert {mark[1] for mark in MARK.finditer(text_of(PAGE))} == set(TABLES)
    assert set(SECTIONS) <= set(TABLES)


def test_the_page_is_written_from_figures_and_nothing_else_of_it_changes() -> None:
    before = text_of(PAGE)
    after = written(before, figures(), PROFILE)
    assert MARK.sub("", after) == MARK.sub("", before)
    assert written(after, figures(), PROFILE) == after
    for text in (
        "A processor, 2 cores, Python 3.11; 1,000 items, 100 people",
        "It was a quiet run.",
        "| 500/s | Palate | 1.50 ms | 1.50 ms | 1.50 ms | no |",
        "| a ranking: CPU | 1,234 µs |",
        "| a recommendation from 10k items: CPU | 1,234 µs |",
        "| send | 80 µs | 10% |",
        "| features | 250 µs | 50% |",
        "| `write (socket.py)` | 40 µs |",
        "| a ranking: Palate over the empty handler (`rank.times_empty`) | 1.00 × | ≤ 8 × | ✓ |",
        "| durable events, 32 connections (`events.durable_per_s`) | 1.0/s | ≥ 10,000/s | ✗ |",
    ):
        assert text in after


@pytest.mark.parametrize("goal", [goal.name for goal in GOALS])
def test_every_goal_has_a_name_in_both_languages(goal: str) -> None:
    assert named(goal, 0)
    assert named(goal, 1)


def test_the_page_judges_every_goal() -> None:
    judged = set(re.findall(r"\(`(\w+\.\w+)`\) \|", marked("goals")))
    assert judged == {goal.name for goal in GOALS}
