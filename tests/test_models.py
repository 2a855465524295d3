"""The shelf of models: only what fits this directory and this version serves; the pointer names what serves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.errors import Conflict, Gone, NotFound
from palate.features import Neighbours
from palate.state.state import Names
from palate.testing.world import make_world
from palate.train import artefact
from palate.train.neighbours import bind_neighbours, pack_neighbours
from tests.engines import HASHING, SMALL

WORLD = make_world(people=10, per_genre=5, interactions=300)


def at(path: Path) -> Engine:
    return palate.open(path, language=HASHING, train=SMALL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
        engine.train()
    return tmp_path / "e.palate"


def forged(models: Path, **changes: Any) -> str:
    """Another version, equal to the first but for what its manifest says."""
    first = artefact.load(models / "v0001")
    return artefact.save(models, first.arrays, msgspec.structs.replace(first.manifest, **changes)).version


def test_a_model_on_other_features_is_refused_and_never_scores_the_wrong_columns(path: Path) -> None:
    manifest = artefact.read_manifest(path / "models" / "v0001")
    features = [manifest.features[1], manifest.features[0], *manifest.features[2:]]
    named = msgspec.json.encode(manifest.features)
    extra = msgspec.json.decode(
        msgspec.json.encode(manifest.extra).replace(named, msgspec.json.encode(features)), type=dict[str, Any]
    )
    assert extra != manifest.extra
    other = forged(path / "models", features=features, extra=extra)
    with at(path) as engine:
        with pytest.raises(Conflict, match=f"{other} was trained on other features than this version .* train again"):
            engine.activate(other)
        assert engine.recommend("p0", 3).model == "v0001"
    assert artefact.active(path / "models") == "v0001"


def test_a_broken_pointer_hides_no_version_and_stops_no_training(path: Path) -> None:
    (path / "models" / "ACTIVE").write_text("{")
    with at(path) as engine:
        assert [(info.version, info.active) for info in engine.models()] == [("v0001", False)]
        assert engine.recommend("p0", 3).model == "prior"
        assert engine.train().activated
        assert [(info.version, info.active) for info in engine.models()] == [("v0002", True), ("v0001", False)]


@pytest.mark.parametrize("name", ["../../etc", "../v0001", "v0001/../v0001", "/etc", "", "v1"])
def test_a_version_is_a_name_and_never_a_path(path: Path, name: str) -> None:
    elsewhere = path / "v0001"
    elsewhere.symlink_to(path / "models" / "v0001")
    with at(path) as engine:
        with pytest.raises(NotFound) as caught:
            engine.activate(name)
        assert caught.value.message == (
            f"There is no model {name!r} in {path / 'models'}: versions are called v0001, v0002, …; list the models to "
            "see those there."
        )
        assert engine.recommend("p0", 3).model == "v0001"


def test_a_roll_back_to_a_model_that_does_not_fit_leaves_the_pointer_where_it_was(path: Path) -> None:
    models = path / "models"
    other = forged(models, encoder="another-1")
    artefact.activate(models, other)
    artefact.activate(models, "v0001")
    with at(path) as engine:
        with pytest.raises(Conflict, match=f"{other} was trained with the encoder another-1"):
            engine.rollback()
        assert engine.model == "v0001"
    assert artefact.active(models) == "v0001"
    with at(path) as engine:
        assert engine.model == "v0001"


def test_a_ranking_whose_model_was_removed_is_gone_not_unknown(path: Path) -> None:
    with at(path) as engine:
        ranking = engine.recommend("p0", 3)
        engine.train()
    (path / "models" / "v0001").rename(path / "models" / ".old-x")
    with at(path) as engine, pytest.raises(Gone, match="The model v0001 that made this ranking has been removed"):
        engine.explain(ranking.ranking, ranking.items[0].id)


class Growing(Names):
    """A table that gets a new item whenever somebody looks: what a request thread sees during ingestion."""

    def __len__(self) -> int:
        self.row(f"new-{len(self.ids)}")
        return len(self.ids)


def test_items_may_arrive_while_a_model_is_bound() -> None:
    pair = Neighbours(np.array([0, 1, 2]), np.array([1, 0], np.int32), np.array([0.5, 0.25], np.float32))
    bound = bind_neighbours(pack_neighbours(pair, ["a", "b"]), Growing(["a", "b"]))
    assert bound.indices.tolist() == [1, 0]
    assert bound.indptr[:3].tolist() == [0, 1, 2]
    assert (np.diff(bound.indptr) >= 0).all()


def test_a_damaged_model_is_marked_where_models_are_listed(path: Path) -> None:
    arrays = path / "models" / "v0001" / "arrays.safetensors"
    body = bytearray(arrays.read_bytes())
    body[-1] ^= 1
    arrays.write_bytes(body)
    with at(path) as engine:
        [found] = engine.models()
        assert (found.active, "doesn't match its checksum" in found.broken) == (True, True)
        engine.train()
        assert [one.broken == "" for one in engine.models()] == [True, False]
