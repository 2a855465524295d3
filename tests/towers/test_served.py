"""Towers in the served model: bound, growing, retrieved by, explained, switched off; artefacts without any load."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.errors import ConfigError, CorruptArtefact
from palate.explain import Explainer
from palate.features import Placed, column
from palate.features.placed import moment
from palate.retrieve.inner import InnerIndex
from palate.testing.world import make_world
from palate.towers import Reading, Tower
from palate.train import artefact
from palate.train.towers.pack import Fitted, bind_towers, pack_towers, place_all
from palate.types import F32, RankRequest, RecommendRequest
from tests.engines import HASHING, SMALL, did, filled, item

WORLD = make_world(people=25, interactions=1500, repeats=False)
FACTORS = column("factors")


@pytest.fixture(scope="module")
def engine() -> Any:
    with filled(WORLD, train=SMALL) as made:
        made.train()
        yield made


def placed(engine: Engine) -> Placed:
    (one,) = engine._model.towers
    return one


def line(engine: Engine, request: RecommendRequest) -> Any:
    return engine.line.run(request, WORLD.end, engine._model)


def test_a_trained_model_has_factors_and_its_manifest_names_them(engine: Engine) -> None:
    manifest = artefact.read_manifest(artefact.locate(engine.shelf.directory, engine.model))
    assert set(manifest.extra["towers"]) == {"factors"}
    assert manifest.extra["towers"]["factors"]["kind"] == "als"
    assert manifest.extra["towers"]["factors"]["seconds"] > 0
    assert manifest.arrays["tower.factors.items"].shape == [60, placed(engine).tower.dim]


def test_features_are_products_alike_in_rank_and_recommend(engine: Engine) -> None:
    found = line(engine, RecommendRequest(user="p3", seen="keep"))
    names = list(found.candidates.ids)
    ranked = line(engine, RankRequest(user="p3", items=list(names), seen="keep"))
    np.testing.assert_array_equal(found.x[:, FACTORS], ranked.x[:, FACTORS])
    one = placed(engine)
    person = one.person(found.subject, WORLD.end)
    assert person is not None
    due = np.arcsinh(1000.0 * (one.vectors[found.candidates.rows] @ person).astype(np.float64))
    np.testing.assert_allclose(found.x[:, FACTORS], due, rtol=1e-4, atol=1e-4)
    assert found.x[:, FACTORS].std() > 0.1


def test_strangers_and_models_without_towers_have_zeros(engine: Engine) -> None:
    assert not line(engine, RecommendRequest(user="stranger")).x[:, FACTORS].any()
    with filled(WORLD, train=SMALL | {"towers": []}) as plain:
        plain.train()
        assert plain._model.towers == ()
        assert not line(plain, RecommendRequest(user="p3")).x[:, FACTORS].any()
        found = artefact.read_manifest(artefact.locate(plain.shelf.directory, plain.model))
        assert found.extra["towers"] == {}
        assert not [name for name in found.arrays if name.startswith("tower")]
    with pytest.raises(ConfigError, match=r"train\.towers"):
        palate.open(":memory:", train={"towers": ["babel"]})


def test_retrieval_by_the_person_is_exact_and_keeps_to_what_is_allowed(engine: Engine) -> None:
    one = placed(engine)
    found = line(engine, RecommendRequest(user="p3", seen="drop"))
    person = one.person(found.subject, WORLD.end)
    assert person is not None
    allowed = np.ones(engine.state.n_items, np.bool_)
    allowed[found.subject.seen] = False
    rows = one.nearest(found.subject, WORLD.end, 10, allowed)
    products = one.vectors[: len(allowed)] @ person
    products[~allowed] = -np.inf
    assert rows.tolist() == np.argsort(-products, kind="stable")[:10].tolist()
    assert "factors" in found.candidates.retrievers


def test_a_new_item_is_placed_once_its_text_has_a_vector() -> None:
    with filled(WORLD, train=SMALL) as engine:
        engine.train()
        engine.ingest([item("fresh", 5_000_000, title="Orbit galaxy rocket"), item("blank", 5_000_000)])
        assert engine.wait_encoded(30)
        fan = next(name for name, taste in WORLD.taste.items() if taste[0] == "space")
        foe = next(name for name, taste in WORLD.taste.items() if "space" not in taste)
        x = [line(engine, RankRequest(user=name, items=["fresh", "blank", "unheard of"])).x for name in (fan, foe)]
        assert x[0][0, FACTORS] > x[1][0, FACTORS]
        assert not x[0][1:, FACTORS].any()
        row, one, texts = engine.state.items.get("fresh"), placed(engine), engine.catalogue.vectors
        for title in ("Orbit galaxy rocket", "Noodle soup recipe"):
            engine.ingest([item("fresh", 6_000_000 + len(title), title=title)])
            assert engine.wait_encoded(30)
            line(engine, RankRequest(user=fan, items=["fresh"]))
            due = one.tower.place(texts.vectors[texts.text_of[row]][None])[0]
            np.testing.assert_allclose(one.vectors[row], due, rtol=1e-5, atol=1e-6)


def test_the_next_event_moves_the_person(engine: Engine) -> None:
    names = WORLD.of_genre("cooking")
    before = line(engine, RankRequest(user="mover", items=list(names))).x[:, FACTORS].copy()
    engine.ingest([did(2_000, "mover", names[0])])
    after = line(engine, RankRequest(user="mover", items=list(names))).x[:, FACTORS]
    assert not before.any()
    assert (after[1:] > 0).mean() > 0.8


def test_a_directory_opened_again_and_rebuilt_serves_the_same(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    request = RecommendRequest(user="p5", seen="keep")
    settings: dict[str, Any] = {"language": HASHING, "train": SMALL, "policy": {"explore": False}}
    with palate.open(path, **settings) as engine:
        engine.ingest(WORLD.events)
        engine.train()
        first = engine.scored(request, WORLD.end)
        engine.rebuild()
        assert engine.scored(request, WORLD.end)[0] == first[0]
        seq = engine.state.seq
        engine.ingest([item("later", 7_000_000, title="Rocket comet"), did(3_000, "p5", "later")])
    with palate.open(path, **settings) as again:
        assert again.wait_encoded(30)
        assert placed(again).column == "factors"
        assert "later" in again.scored(request, WORLD.end)[0]
    with palate.open(path, until=seq // 2, **settings) as early:  # some items that training met aren't there yet
        assert np.isfinite(early.scored(request, WORLD.end)[1]).all()


def test_contributions_name_the_entries_that_speak_for_it(engine: Engine) -> None:
    found = line(engine, RecommendRequest(user="p3", seen="keep"))
    one = placed(engine)
    person = one.person(found.subject, WORLD.end)
    assert person is not None
    for place in (0, 3):
        row = int(found.candidates.rows[place])
        parts = one.parts(found.subject, row)
        assert parts.sum() == pytest.approx(float(person @ one.vectors[row]), abs=1e-5)
        explainer = Explainer(engine.line.computer, engine.catalogue, found.subject, engine._model)
        sources = explainer.sources(FACTORS, row, 1.0)
        shares = np.maximum(0.0, parts)
        assert sources
        assert sources[0].share == pytest.approx(shares.max() / shares.sum(), abs=1e-3)


class Last:
    """A tower that is the newest item, and remembers how often it was asked."""

    kind, dim = "last", 2

    def place(self, text: F32) -> F32:
        return np.zeros((len(text), 2), np.float32)

    def read(self, history: Reading, memory: object = None) -> tuple[F32, object]:
        if not len(history.items):
            return np.zeros(2, np.float32), 0
        return history.vectors[0] + history.vectors.sum(axis=0), cast(int, memory or 0) + 1

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {}

    def meta(self) -> dict[str, Any]:
        return {}


def other(engine: Engine) -> Placed:
    n = engine.state.n_items
    items = np.random.default_rng(2).normal(size=(n, 2)).astype(np.float32)
    tower: Tower = Last()
    return Placed("sequence", tower, engine.state.items.ids[:n], items, engine.state.items, InnerIndex(2))


def test_what_a_tower_cannot_attribute_is_what_leaving_out_takes(engine: Engine) -> None:
    one = other(engine)
    subject = line(engine, RecommendRequest(user="p3")).subject
    parts = one.parts(subject, 4)
    assert not parts[20:].any()
    held = one.vectors[subject.items]
    assert parts[1] == pytest.approx(float(held[1] @ one.vectors[4]), abs=1e-4)


def test_memory_is_kept_by_person_and_vectors_with_the_subject(engine: Engine) -> None:
    one = other(engine)
    subject = line(engine, RecommendRequest(user="p3")).subject
    one.person(subject, WORLD.end)
    one.person(subject, WORLD.end + 1)
    assert one._memories == {subject.row: 1}
    one.person(subject, WORLD.end + 10**10)
    assert one._memories == {subject.row: 2}


def test_moments_hold_for_a_while() -> None:
    assert moment(10**12, 10**12 - 5) == moment(10**12, 10**12 + 900) == 10**12
    gaps = [moment(0, 1000 * gap) for gap in range(1, 100_000, 7)]
    assert gaps == sorted(gaps)
    assert len(set(gaps)) < 70
    assert all(0.8 * 1000 * gap < held <= 1000 * gap for gap, held in zip(range(8, 100_000, 7), gaps[1:], strict=False))


def test_damaged_artefacts_are_refused(engine: Engine) -> None:
    names, texts = engine.state.items, engine.catalogue.vectors
    one = placed(engine)
    ids = names.ids[:60]
    fitted = [Fitted("factors", one.tower, one.vectors[:60])]
    arrays, told = pack_towers(fitted, ids, np.ones(60, np.bool_))
    (again,) = bind_towers(arrays, told, names, texts)
    (direct,) = place_all(fitted, ids, np.ones(60, np.bool_), names, texts)
    np.testing.assert_array_equal(again.vectors[:60], direct.vectors[:60])
    with pytest.raises(CorruptArtefact, match="lacks the arrays"):
        bind_towers({}, told, names, texts)
    with pytest.raises(CorruptArtefact, match="lacks the arrays"):
        bind_towers(arrays, {"unheard_of": told["factors"]}, names, texts)
    with pytest.raises(CorruptArtefact, match="don't fit"):
        bind_towers(arrays | {"tower.factors.items": arrays["tower.factors.items"][:5]}, told, names, texts)
