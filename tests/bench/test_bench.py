"""``palate bench`` end to end on a small world: real servers, real requests; what it says is complete. No times."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def bench(*arguments: str, tmp_path: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "palate", "bench", *arguments],
        capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False, env={**os.environ, "LANG": "C.UTF-8"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    small = ("--items", "1000", "--users", "100", "--requests", "500", "--rate", "50", "--json")
    code, out, err = bench(*small, tmp_path=tmp_path_factory.mktemp("bench"))
    assert code == 0, err
    return json.loads(out)


def test_every_section_reports_its_figures(figures: dict[str, Any]) -> None:
    rank = {"cpu_us", "empty_cpu_us", "p99_ms", "empty_p99_ms", "times_empty"}
    if importlib.util.find_spec("fastapi") is not None:
        rank |= {"baseline_cpu_us", "times_less_than_baseline"}
    assert rank <= figures["rank"].keys()
    assert {"durable_per_s", "batch_per_s", "fsync_per_s", "mixed_cpu_us"} <= figures["events"].keys()
    assert {"1k_cpu_us", "recall_at_100"} <= figures["recommend"].keys()
    assert {"palate_us", "lightgbm_us", "max_abs_diff"} <= figures["trees"].keys()
    assert {"events_per_s", "start_from_snapshot_s"} <= figures["rebuild"].keys()
    for section in ("rank", "events", "recommend", "rebuild"):
        assert all(value > 0 for value in figures[section].values()), section


def test_the_scan_is_exact_and_the_trees_are_lightgbm_s(figures: dict[str, Any]) -> None:
    assert figures["recommend"]["recall_at_100"] >= 0.99
    assert figures["trees"]["max_abs_diff"] < 1e-5


def test_an_unknown_section_is_bad_input(tmp_path: Path) -> None:
    code, _, err = bench("speed", tmp_path=tmp_path)
    assert code == 2
    assert "There is no benchmark 'speed': choose among rank, events, recommend, trees, rebuild." in err
