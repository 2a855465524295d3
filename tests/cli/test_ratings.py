"""``palate evaluate --ratings``: a table for people, JSON for scripts, a sentence where there are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import START, Palate


def rated(path: Path, count: int = 600) -> Path:
    rng = np.random.default_rng(1)
    path.mkdir()
    with (path / "events.ndjson").open("w") as file:
        for n in range(count):
            user, item = int(rng.integers(40)), int(rng.integers(30))
            event = {"event": "interaction", "user": f"u{user}", "item": f"i{item}", "type": "rating"}
            value = float(np.clip(round(3 + (item % 5 - 2) * 0.8 + rng.normal() * 0.4), 1, 5))
            file.write(json.dumps(event | {"id": f"r{n}", "timestamp": START + n, "value": value}) + "\n")
    return path


def test_ratings_are_judged(palate: Palate, tmp_path: Path) -> None:
    folder = rated(tmp_path / "rated")
    done = palate("evaluate", "--data", folder, "--ratings", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["folds"], found["low"], found["high"]) == (5, 1.0, 5.0)
    values = {one["system"]: one["rmse"]["value"] for one in found["systems"]}
    assert values["palate"] < 0.7 * values["mean"]
    assert values["biases"] < values["mean"]
    assert found == palate("evaluate", "--data", folder, "--ratings", "--json").json | {"systems": found["systems"]}
    table = palate("evaluate", "--data", folder, "--ratings")
    assert "in 5 folds, each predicted by the other folds" in table.out
    assert f"{values['palate']:.4f} [" in table.out
    chinese = palate("evaluate", "--data", folder, "--ratings", "--lang", "zh")
    assert "每折由其余各折预测" in chinese.out


def test_what_it_would_ignore_is_refused(palate: Palate, tmp_path: Path) -> None:
    done = palate("evaluate", "--data", rated(tmp_path / "rated"), "--ratings", "--out", tmp_path / "reports")
    assert done.code == 2
    assert "leave out --dir, --out and --system" in done.err


def test_without_ratings_it_says_what_one_is(palate: Palate, folder: Path) -> None:
    done = palate("evaluate", "--data", folder, "--ratings")
    assert done.code == 2
    assert "0 ratings with a value, too few to judge by" in done.err
