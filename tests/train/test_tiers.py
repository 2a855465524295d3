"""The cheap tier: the same training within bounds, most of the quality, and never more than it was told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import palate
from palate.cli import run
from palate.config import Settings
from palate.errors import ConfigError, InvalidInput
from palate.store.decisions import DecisionLog
from palate.testing.world import make_world
from palate.train import artefact
from palate.train.tiers import CHEAP, planned
from tests.engines import HASHING, filled

WORLD = make_world(people=25, per_genre=30, interactions=1500, follow=0.5)


def test_a_tier_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'huge'; it is one of full, cheap"):
        planned(Settings(), "huge")  # pyright: ignore[reportArgumentType]


def test_the_tier_bounds_what_costs_and_nothing_else() -> None:
    full = Settings()
    assert planned(full) is full
    cheap = planned(full, "cheap")
    assert {name: getattr(cheap.train, name) for name in CHEAP} == CHEAP
    assert cheap.train.towers == ()
    same = {name: getattr(full.train, name) for name in (*CHEAP, "towers", "tier")}
    assert msgspec.structs.replace(cheap.train, **same) == full.train
    small = msgspec.structs.replace(full, train=msgspec.structs.replace(full.train, decisions=30, tier="cheap"))
    assert planned(small).train.decisions == 30, "what is less stays"
    assert planned(small, "full").train.trees == full.train.trees


def test_a_cheap_training_ships_and_keeps_most_of_the_quality() -> None:
    with filled(WORLD, train={"trees": 60, "leaves": 7}) as engine:
        full = engine.train()
        cheap = engine.train(tier="cheap")
        assert cheap.activated
        assert cheap.metrics["ndcg@10"] > 0.8 * full.metrics["ndcg@10"]
        assert cheap.metrics["ndcg@10"] > cheap.metrics["ndcg@10.prior"]
        assert cheap.rows < full.rows


def test_the_setting_says_which_tier_and_the_manifest_which_it_was(tmp_path: Path) -> None:
    with palate.open(tmp_path / "e.palate", language=HASHING, train={"tier": "cheap", "trees": 10}) as engine:
        engine.ingest(WORLD.events)
        report = engine.train()
        (info,) = engine.models()
        assert (info.name, info.single, info.margins) == (report.name, report.single, report.margins)
        assert report.name in {name.removeprefix("ndcg@10.") for name in report.metrics}
        assert report.margins["prior"].low <= report.margins["prior"].value <= report.margins["prior"].high
    extra = artefact.load(tmp_path / "e.palate" / "models" / "v0001").manifest
    assert extra.settings["train"]["tier"] == "cheap"
    assert extra.settings["train"]["ease_items"] == CHEAP["ease_items"]
    assert extra.extra["examination"] == [1.0]
    with pytest.raises(ConfigError, match=r"train\.tier.*use full, cheap"):
        palate.open(":memory:", train={"tier": "free"})


def test_the_log_of_replayed_decisions_keeps_a_sample_of_what_was_not_shown(tmp_path: Path) -> None:
    with palate.open(tmp_path / "e.palate", language=HASHING, train={"trees": 5}) as engine:
        engine.ingest(WORLD.events)
        engine.train()
    replayed = list(DecisionLog(tmp_path / "e.palate" / "replay", Settings().decisions, read_only=True).read())
    assert len(replayed) == 300
    whole = [decision for decision in replayed if decision.unshown is not None]
    assert 5 <= len(whole) <= 80
    assert all(decision.shown.ids for decision in replayed)


def test_the_command_line_takes_the_tier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with palate.open(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.interactions)
    assert run(["train", "--dir", str(tmp_path / "e.palate"), "--tier", "cheap", "--lang", "en"]) == 0
    assert "Best single feature: " in capsys.readouterr().out
    assert run(["models", "list", "--dir", str(tmp_path / "e.palate")]) == 0
    assert "over the best single feature" in " ".join(capsys.readouterr().out.split())
    assert run(["train", "--dir", str(tmp_path / "e.palate"), "--tier", "free"]) == 2
    assert "--tier 'free' is unknown: use full or cheap." in capsys.readouterr().err
