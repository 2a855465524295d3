"""The gate: a new model against the one that serves, on choices that neither learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.config import Settings
from palate.engine import Engine
from palate.features import NAMES
from palate.score.linear import LinearScorer
from palate.store import open_store
from palate.testing.world import make_world
from palate.train import artefact, former
from palate.train.former import LEAST, Held, active_model, gain_of, hold_back
from palate.train.history import read_history
from palate.train.judge import margin
from palate.train.manifest import Manifest
from palate.types import Against
from tests.engines import HASHING, SMALL

WORLD = make_world(people=25, interactions=1800, follow=0.5)
FIRST = 1200


def at(path: Path, **overrides: Any) -> Engine:
    return palate.open(path, **{"language": HASHING, "train": SMALL, "policy": {"explore": False}, **overrides})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with v0001, trained on the first part of the world, and the rest ingested since."""
    path = tmp_path_factory.mktemp("former") / "e.palate"
    with at(path) as engine:
        engine.ingest([*WORLD.items, *WORLD.interactions[:FIRST]])
        engine.train()
        engine.ingest(WORLD.interactions[FIRST:])
    return path


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(trained, tmp_path / "e.palate")
    return tmp_path / "e.palate"


def replaced(path: Path, sign: float) -> None:
    """Another scorer in the active model, as a version of its own, active: one feature, or its opposite."""
    found = active_model(path / "models")
    assert found is not None
    weights = np.zeros(len(NAMES))
    weights[NAMES.index("next_1")] = sign
    scorer = LinearScorer(NAMES, weights)
    arrays = {name: array for name, array in found.arrays.items() if not name.startswith("scorer.")}
    arrays |= {f"scorer.{name}": array for name, array in scorer.arrays().items()}
    extra = {**found.manifest.extra, "scorer": scorer.meta(), "context": []}
    given = msgspec.structs.replace(found.manifest, kind=scorer.kind, features=list(NAMES), extra=extra, version="")
    artefact.activate(path / "models", artefact.save(path / "models", arrays, given).version)


def test_a_model_that_is_no_worse_takes_its_place_and_says_by_how_much(copy: Path) -> None:
    with at(copy) as engine:
        report = engine.train()
        found = report.against
        assert found is not None
        assert found.former == "v0001"
        assert found.verdict in ("even", "better")
        assert report.activated
        assert engine.model == report.version == "v0002"
        assert found.decisions == 200  # of 600 since, half, at most as many as ``USUAL``
        assert found.margin is not None
        assert found.margin.value == pytest.approx(found.ndcg - found.ndcg_former, abs=2e-6)
        assert found.margin.low <= found.margin.value <= found.margin.high
        assert engine.models()[0].against == found
        assert artefact.read_manifest(copy / "models" / "v0002").extra["against"]["former"] == "v0001"
        assert {"judge", "fit_again"} <= set(report.seconds)


def test_a_bad_former_model_is_beaten(copy: Path) -> None:
    replaced(copy, -1.0)
    with at(copy) as engine:
        report = engine.train()
        assert report.against is not None
        assert report.against.verdict == "better"
        assert engine.model == report.version


def test_a_worse_one_is_kept_on_the_shelf_and_not_activated(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is fitted here ranks backwards: validation can't see it, since it judges what was fitted before."""
    real = former.judge_former

    def worse(held: Held, fitted: Any, *rest: Any) -> former.Judged:
        weights = np.zeros(len(fitted.scorer.features))
        weights[NAMES.index("next_1")] = -1.0
        fitted.scorer = LinearScorer(fitted.scorer.features, weights)
        return real(held, fitted, *rest)

    monkeypatch.setattr("palate.train.run.judge_former", worse)
    with at(copy) as engine:
        report = engine.train()
        assert report.against is not None
        assert report.against.verdict == "worse"
        assert not report.activated
        assert engine.model == "v0001"
        assert [(one.version, one.active) for one in engine.models()] == [("v0002", False), ("v0001", True)]
        engine.activate("v0002")  # somebody may all the same
        assert engine.model == "v0002"


def test_without_new_choices_it_is_not_judged(copy: Path) -> None:
    with at(copy) as engine:
        engine.train()
        report = engine.train()
        assert report.against == Against("v0002", "untold", "few")
        assert report.activated


def test_it_can_be_switched_off_and_the_first_model_has_no_former(trained: Path, copy: Path) -> None:
    assert artefact.read_manifest(trained / "models" / "v0001").extra["against"] is None
    with at(copy, train={**SMALL, "former": False}) as engine:
        report = engine.train()
        assert report.against is None
        assert report.activated


def test_a_former_model_of_another_encoder_is_not_judged(copy: Path) -> None:
    found = active_model(copy / "models")
    assert found is not None
    other = msgspec.structs.replace(found.manifest, encoder="another", version="")
    artefact.activate(copy / "models", artefact.save(copy / "models", found.arrays, other).version)
    with at(copy) as engine:
        report = engine.train()
        assert report.against is not None
        assert (report.against.verdict, report.against.why) == ("untold", "unusable")
        assert report.activated


def test_nothing_that_either_has_seen_is_judged_on(trained: Path) -> None:
    """Held back are choices after the former's position; the new one's examples all lie before them."""
    store = open_store(trained / "events.db", read_only=True)
    settings = Settings(train=msgspec.convert(SMALL, type(Settings().train)))
    history = read_history(store, settings)
    found = active_model(trained / "models")
    assert found is not None
    assert len(history.positions) == len(history.interactions)
    held = hold_back(history, settings, found)
    assert isinstance(held, Held)
    assert (history.positions[held.judged] > found.manifest.log_position).all()
    assert held.judged.min() == held.begin
    late = msgspec.structs.replace(found.manifest, log_position=history.seq - LEAST + 1)
    few = hold_back(history, settings, artefact.Artefact(late, found.arrays))
    assert few == Against(found.manifest.version, "untold", "few", LEAST - 1)
    store.close()


def test_events_that_came_late_are_judged_only_where_the_former_had_not_seen_them() -> None:
    """By position in the log, whatever their time says."""
    with palate.open(":memory:", language=HASHING) as engine:
        late = WORLD.interactions[:100]
        engine.ingest([*WORLD.items, *WORLD.interactions[100:]])
        seen = engine.counts().seq
        engine.ingest(late)
        history = read_history(engine.parts.store, engine.settings)
    manifest = Manifest(kind="linear", features=[], log_position=seen, version="v0001")
    held = hold_back(history, engine.settings, artefact.Artefact(manifest, {}))
    # the late ones are the first in time: what lies after them was seen, and they are no last slice
    assert held == Against("v0001", "untold", "few")


def test_gain_is_ndcg_at_ten_with_ties_at_mid_rank() -> None:
    scores = np.array([3.0, 2.0, 2.0, 1.0])
    assert gain_of(scores, np.array([0])) == 1.0
    assert gain_of(scores, np.array([1])) == pytest.approx(1 / np.log2(3.5))
    assert gain_of(scores, np.zeros(0, np.int64)) == 0.0
    assert gain_of(np.arange(20.0), np.array([9])) == 0.0


def test_intervals_over_people_are_wider_where_their_choices_hang_together() -> None:
    rng = np.random.default_rng(1)
    of_person = rng.normal(0.0, 1.0, 30)
    people = np.repeat(np.arange(30), 20)
    gains = of_person[people]
    whole = margin(gains, np.zeros(600), people=people)
    plain = margin(gains, np.zeros(600))
    assert whole.value == pytest.approx(plain.value)
    assert whole.high - whole.low > 3 * (plain.high - plain.low)
