"""``palate simulate``: a service of its own, and one that runs already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Palate
from tests.cli.test_service import serving

TINY = ["--visits", 120, "--people", 8, "--items", 40, "--days", 4, "--set", "candidates=12", "--set", "level=-1.5"]


def test_a_world_is_played_kept_and_judged(palate: Palate, tmp_path: Path) -> None:
    kept = tmp_path / "kept.palate"
    done = palate("simulate", *TINY, "--policy", "plackett_luce", "--keep", kept, "--json")
    assert done.code == 0, done.err
    played = done.json["played"]
    assert [one["ranker"] for one in played] == ["palate", "best", "popular", "random"]
    assert {one["visits"] for one in played} == {120}
    assert done.json["settings"]["candidates"] == 12
    assert done.json["settings"]["shift_day"] == 2.0
    assert played[1]["regret"]["value"] == 0.0
    assert 0 < played[0]["reward"]["value"] < played[1]["reward"]["value"]
    assert played[0]["adaptation"]["before"]["value"] > 0
    written = json.loads((tmp_path / "simulation" / "latest.json").read_text())
    assert written == done.json
    page = (tmp_path / "simulation" / "latest.html").read_text()
    assert "Plotly" in page
    assert "口味突变之后" in page
    judged = palate("replay", "--dir", kept, "--least", 5, "--window", 180, "--json")
    assert judged.code == 0, judged.err
    assert judged.json["judged_on"] == 120
    assert judged.json["rewarded"] == pytest.approx(played[0]["clicks"], abs=played[0]["clicks"] * 0.5)


def test_a_running_service_is_played_where_it_is_empty(palate: Palate, shop: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.palate"
    empty.mkdir()
    with serving(empty) as (url, _):
        done = palate("simulate", *TINY, "--url", url)
        assert done.code == 0, done.err
        for text in ("random", "the best possible", "share of the best", "On day 2 the tastes of 50% of the people"):
            assert text in done.out
        again = palate("simulate", *TINY, "--url", url, "--lang", "zh")
        assert again.code == 2
        assert "虚构的数据会混入其中" in again.err


def test_a_service_that_is_not_there_is_one_sentence(palate: Palate) -> None:
    done = palate("simulate", *TINY, "--url", "http://127.0.0.1:9")
    assert done.code == 2
    assert "does not answer" in done.err
