"""The benchmarks of explanations and of erasure run, and say what they are about. No times."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import erasure, explaining
from benchmarks.explaining import GOALS, milliseconds


def test_what_explanations_cost_is_told_of_every_forest() -> None:
    given = argparse.Namespace(trees=[3, 6], leaves=7, items=120, people=30, rankings=7)
    found = explaining.measure(given)
    assert [(line["trees"], line["leaves"], line["rankings"]) for line in found] == [(3, 7, 7), (6, 7, 7)]
    for line in found:
        assert line["candidates"] >= 10
        assert list(line["ms"]) == ["row", "plain", "counterfactuals", "lime"]
        assert all(0 < one["p50"] <= one["p95"] for one in line["ms"].values())
        assert line["met"] == {name: line["ms"][name]["p50"] <= limit for name, limit in GOALS.items()}


def test_the_first_few_do_not_count() -> None:
    asked: list[int] = []
    assert set(milliseconds(asked.append, 12)) == {"p50", "p95", "cpu"}
    assert asked == list(range(12))


def test_erasure_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    found = erasure.measure(tmp_path / "e.palate", 600, 20)
    assert (found["known"], found["named_in"], found["replay_equal"]) == (False, [], True)
    assert found["theirs"] > 0
    assert found["export_rows"] >= 2 + found["theirs"]
    assert found["named_before"] > 0
    (tmp_path / "kept").write_text("of user-7-x", encoding="utf-8")
    assert erasure.holding(tmp_path, erasure.VICTIM) == ["kept"]
