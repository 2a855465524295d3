"""``palate bench --quick`` end to end: real servers, real requests; what it says is complete. No times."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from palate.cli.messages import MESSAGES

SECTIONS = (
    *("rank", "mixed", "events", "workers", "recommend", "trees", "memory", "rebuild", "start", "train", "scale"),
)
SMALL_TRAINING = {
    "PALATE_TRAIN__DECISIONS": "100",
    "PALATE_TRAIN__TREES": "10",
    "PALATE_TRAIN__TOWERS": '["factors"]',
    "PALATE_TRAIN__PEOPLE": "off",
}


def bench(*arguments: str, place: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "palate", "bench", *arguments], capture_output=True, text=True, cwd=place, timeout=900,
        check=False, env={**os.environ, "LANG": "C.UTF-8", "COLUMNS": "200", **SMALL_TRAINING},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def figures(place: Path) -> dict[str, Any]:
    """Everything, in a small way; the world is kept under ``worlds``."""
    code, out, err = bench("--quick", "--json", "--keep", "worlds", "--plot", "bench.html", place=place)
    assert code == 0, err
    return json.loads(out)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in numbers(inner)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_every_section_reports_its_figures(figures: dict[str, Any]) -> None:
    rank = {"cpu_us", "empty_cpu_us", "p50_ms", "p99_ms", "p999_ms", "empty_p99_ms", "times_empty", "latency"}
    if importlib.util.find_spec("fastapi") is not None:
        rank |= {"baseline_cpu_us", "times_less_than_baseline"}
    assert rank <= figures["rank"].keys()
    assert {"durable_per_s", "durable_cpu_us", "batch_per_s", "http_batch_per_s", "fsync_per_s"} <= figures[
        "events"
    ].keys()
    assert {"cpu_us", "rank_p99_ms", "events_p99_ms", "times_apart"} <= figures["mixed"].keys()
    assert {"1", "2", "times_rank_cpu", "times_mixed_cpu", "times_events_cpu"} <= figures["workers"].keys()
    assert {"rank_cpu_us", "mixed_per_s", "events_cpu_us", "memory_mb"} <= figures["workers"]["2"].keys()
    assert {"1k_cpu_us", "2k_cpu_us", "recall_at_100", "rss_item_bytes"} <= figures["recommend"].keys()
    assert {"palate_us", "lightgbm_us", "times", "missing_times", "max_abs_diff"} <= figures["trees"].keys()
    assert {"user_bytes", "user_100_events_bytes", "item_bytes", "item_sparse_bytes"} <= figures["memory"].keys()
    assert {"events_per_s", "million_s", "cpu_us"} <= figures["rebuild"].keys()
    assert {"snapshot_s", "ready_s"} <= figures["start"].keys()
    tier = {"seconds", "million_s", "cpu_s", "encode_s"}
    assert tier | {f"full_{name}" for name in tier} <= figures["train"].keys()
    assert {"100", "200", "rank_growth", "events_growth", "rss_user_bytes"} <= figures["scale"].keys()
    assert {"rank_cpu_us", "events_cpu_us", "rss_mb", "disk_mb", "start_s"} <= figures["scale"]["100"].keys()
    late = {"client_late_p99_ms", "waited_us"}
    for section in SECTIONS:
        kept = {name: value for name, value in figures[section].items() if name not in {"max_abs_diff"}}
        if section == "rank":
            kept = {name: value for name, value in kept.items() if name != "latency" and "client" not in name}
            kept = {name: value for name, value in kept.items() if "waited" not in name}
        if section in ("recommend", "scale"):  # differences of two small servers are noise
            kept = {name: value for name, value in kept.items() if not name.startswith("rss_")}
        assert all(number > 0 for number in numbers(kept)), section
    assert [row["per_s"] for row in figures["rank"]["latency"]] == [50, 100]
    assert all(late <= row.keys() for row in figures["rank"]["latency"])


def test_every_goal_that_has_its_figure_is_judged(figures: dict[str, Any]) -> None:
    goals = {goal["goal"]: goal for goal in figures["goals"]}
    assert {"rank.times_empty", "rank.p99_times_empty", "start.snapshot_s", "memory.item_bytes"} <= goals.keys()
    assert "recommend.1m_cpu_us" not in goals
    for name, goal in goals.items():
        section, _, figure = name.partition(".")
        assert goal["measured"] == figures[section][figure]
        assert goal["met"] is (
            goal["measured"] <= goal["limit"] if goal["rule"] == "at most" else goal["measured"] >= goal["limit"]
        )
        assert f"figure.{re.sub('[.]100k_', '.N_', name)}" in MESSAGES


def test_the_scan_is_exact_and_the_trees_are_lightgbm_s(figures: dict[str, Any]) -> None:
    assert figures["recommend"]["recall_at_100"] >= 0.99
    assert figures["trees"]["max_abs_diff"] < 1e-5


def test_more_is_held_for_more_events(figures: dict[str, Any]) -> None:
    assert figures["memory"]["user_100_events_bytes"] > 100 * 12
    assert figures["scale"]["200"]["disk_mb"] > figures["scale"]["100"]["disk_mb"]


def test_worlds_are_kept_as_they_were_built_and_used_again(place: Path, figures: dict[str, Any]) -> None:
    worlds = sorted(path.name for path in (place / "worlds").iterdir())
    assert len(worlds) == 4  # the base, twice its items, and few clicks among its people and among twice as many
    code, out, err = bench("--quick", "--keep", "worlds", "--only", "rebuild", "--lang", "zh", place=place)
    assert code == 0, err
    assert "生成数据" not in err
    assert sorted(path.name for path in (place / "worlds").iterdir()) == worlds
    assert "由日志重放一百万个事件" in out
    assert re.search(r"≤ 20 s\s*│\s*[✓✗]", out)
    assert "快速运行只说明一切可用" in out
    assert "排序" not in out


def test_the_plot_holds_what_was_measured(place: Path, figures: dict[str, Any]) -> None:
    page = (place / "bench.html").read_text(encoding="utf-8")
    assert "Plotly.react" in page
    assert "plotly.js v" in page
    assert f"{figures['rank']['cpu_us']:,.0f} \\u00b5s" in page
    assert "一次排序：Palate 是空处理器的几倍" in page
    assert page.count("<figure>") == 8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--only", "speed"), "There is no benchmark 'speed': choose among rank, mixed, events"),
        (("--plot", "nowhere/x.html"), "nowhere/x.html can't be written: give a file in a directory that exists."),
    ],
)
def test_bad_input_is_told_at_once(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    code, _, err = bench(*arguments, place=tmp_path)
    assert code == 2
    assert sentence in err
