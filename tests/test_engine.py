"""The engine as a whole: what it takes, what it keeps, what it logs, what it draws."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.answer import seeded
from palate.engine import Engine
from palate.errors import Conflict, InvalidInput, Locked, NotFound, Unavailable
from palate.opening import replay_state
from palate.policy import make_policy
from palate.state import snapshot
from palate.store.decision import Decision
from palate.testing.world import make_world
from palate.types import Impression, Interaction, RankRequest, RecommendRequest, User
from tests.engines import HASHING, did, filled, ids, item, memory, stage

WORLD = make_world(people=15, interactions=500)


def at(path: Path, **overrides: Any) -> Engine:
    return palate.open(path, **{"language": HASHING, **overrides})


def digest(engine: Engine) -> str:
    return snapshot.digest(engine.state)


def replayed(engine: Engine) -> str:
    """The digest of the whole log folded anew."""
    return snapshot.digest(replay_state(engine.parts.store, engine.settings, engine.state.seq))


# ----------------------------------------------------------------------------- intake


def test_structs_dicts_iterators_and_single_events_are_taken() -> None:
    with memory() as engine:
        assert engine.ingest(did(1, "u", "a")).accepted == 1
        assert engine.ingest({"event": "interaction", "user": "u", "item": "b"}).accepted == 1
        assert engine.ingest(did(n, "u", f"i{n}") for n in range(10, 20)).accepted == 10
        assert engine.ingest([item("a", title="x"), User(user="u"), Impression(user="u", items=["a"])]).seq == 15
        assert engine.ingest([]).accepted == 0
        assert [type(event).__name__ for event in engine.export()][-3:] == ["Item", "User", "Impression"]
        for bad in ("text", b"bytes", 3, None):
            with pytest.raises(InvalidInput, match="Events must be a struct, a dict, a list of them, or a frame"):
                engine.ingest(bad)


def test_the_same_id_again_is_a_duplicate_and_the_first_wins() -> None:
    with memory() as engine:
        first = [did(n, "u", f"i{n}") for n in range(5)]
        assert engine.ingest(first).accepted == 5
        result = engine.ingest([did(3, "u", "other"), did(9, "u", "new"), did(9, "u", "twice")])
        assert (result.accepted, result.duplicates, result.seq) == (1, 2, 6)
        assert [entry.item for entry in engine.user("u").history] == ["new", "i4", "i3", "i2", "i1", "i0"]
        assert engine.ingest(first).duplicates == 5
        assert engine.counts().interactions == 6


def test_good_events_are_kept_and_bad_ones_named_by_index() -> None:
    with memory() as engine:
        result = engine.ingest(
            [did(1, "u", "a"), {"event": "interaction", "item": "x"}, {"no": 1}, did(2, "u", ""), did(3, "u", "b")]
        )
        assert result.accepted == 2
        assert [bad.index for bad in result.rejected] == [1, 2, 3]
        assert all(bad.error.endswith(".") for bad in result.rejected)
        with pytest.raises(InvalidInput, match=r"None of 2 events is good; the first \(index 0\): item is empty"):
            engine.ingest([did(4, "u", ""), did(5, "u", "")])
        assert engine.counts().seq == 2


def test_indices_count_through_the_batches_of_a_long_import() -> None:
    with memory() as engine:
        events: list[Any] = [did(n, "u", f"i{n % 50}") for n in range(12_000)]
        events[11_111] = {"event": "nonsense"}
        seen: list[int] = []
        result = engine.ingest(events, seen.append)
        assert ([bad.index for bad in result.rejected], result.accepted) == ([11_111], 11_999)
        assert seen == sorted(seen)
        assert seen[-1] == 12_000


def test_missing_ids_and_times_are_given_and_returned_and_keep_their_order() -> None:
    with memory() as engine:
        before = engine.clock()
        result = engine.ingest([Interaction(user="u", item=f"i{n}") for n in range(50)])
        assert [one.index for one in result.assigned] == list(range(50))
        assert len({one.id for one in result.assigned}) == 50
        assert all(before <= one.timestamp <= before + 60_000 for one in result.assigned)
        assert [entry.item for entry in engine.user("u").history] == [f"i{n}" for n in reversed(range(50))]
        stored = {event.id: event.timestamp for event in engine.export()}
        assert stored == {one.id: one.timestamp for one in result.assigned}


def test_the_callers_events_are_not_changed() -> None:
    with memory() as engine:
        mine = Interaction(user="u", item="a", timestamp="2024-01-01T00:00:00Z")
        engine.ingest([mine])
        assert (mine.id, mine.timestamp) == (None, "2024-01-01T00:00:00Z")


def test_a_timestamp_of_the_future_is_clamped_and_counted() -> None:
    with memory() as engine:
        soon = engine.clock() + 10**9
        engine.ingest([Interaction(user="u", item="a", timestamp=soon), Interaction(user="u", item="b")])
        assert engine.counts().clamped == 1
        assert all(entry.timestamp < soon for entry in engine.user("u").history)
        assert engine.rebuild()["equal"]


def test_what_happened_to_events_that_were_clamped_is_returned() -> None:
    with memory() as engine:
        result = engine.ingest([Interaction(user="u", item="a", timestamp=engine.clock() + 10**9)])
        assert result.clamped == 1


# ------------------------------------------------------------------------- keeping


def test_an_engine_comes_back_as_it_was(tmp_path: Path) -> None:
    request = RecommendRequest(user="p0", k=8, policy="greedy", seen="keep")
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        before, shown = digest(engine), engine.answer(request, WORLD.end)
        counts = engine.counts()
    with at(tmp_path / "e.palate") as engine:
        assert digest(engine) == before == replayed(engine)
        again = engine.answer(request, WORLD.end)
        assert [(one.id, one.score) for one in again.items] == [(one.id, one.score) for one in shown.items]
        assert engine.counts().events == counts.events
        assert engine.counts().pending_texts == 0, "vectors were kept"


def test_snapshot_and_tail_equal_a_replay(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events[:300])
        path = engine.snapshot()
        assert path.name == f"{300:012d}"
        engine.ingest(WORLD.events[300:])
        before = digest(engine)
        shutil.copytree(tmp_path / "e.palate", tmp_path / "copy.palate")
    with at(tmp_path / "copy.palate") as engine:
        assert engine.counts().seq == len(WORLD.events)
        assert digest(engine) == before == replayed(engine)
        told = engine.rebuild()
        assert told["equal"] is True
        assert told["events"] == told["seq"] == len(WORLD.events)
        assert digest(engine) == before


def test_a_spoiled_snapshot_is_rebuilt_from_the_log_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
        before = digest(engine)
    (newest,) = snapshot.available(tmp_path / "e.palate" / "snapshots")
    for name in ("state.safetensors", "names.msgpack", "manifest.json"):
        data = bytearray((newest / name).read_bytes())
        data[len(data) // 2] ^= 0xFF
        (newest / name).write_bytes(bytes(data))
        caplog.clear()
        with at(tmp_path / "e.palate") as engine:
            assert digest(engine) == before
        assert "The state is rebuilt from the log instead." in caplog.text
        data[len(data) // 2] ^= 0xFF
        (newest / name).write_bytes(bytes(data))


def test_other_bounds_rebuild_the_state(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
    with at(tmp_path / "e.palate", state={"history": 5}) as engine:
        assert len(engine.user("p0").history) == 5
        assert digest(engine) == replayed(engine)
    assert "other [state] or [weights] settings" in caplog.text


def test_snapshots_from_several_threads_and_a_rebuild_meanwhile(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate") as engine:
        failures: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                for number in range(6):
                    engine.ingest([did(worker * 100 + number, f"u{worker}", f"i{number}")])
                    engine.snapshot()
                    if worker == 0:
                        assert engine.rebuild()["equal"]
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert engine.counts().seq == 24
        assert digest(engine) == replayed(engine)
        before = digest(engine)
    with at(tmp_path / "e.palate") as engine:
        assert digest(engine) == before


def test_closing_twice_is_fine_and_nothing_is_taken_afterwards(tmp_path: Path) -> None:
    engine = at(tmp_path / "e.palate")
    assert engine.ready
    engine.close()
    engine.close()
    assert not engine.ready
    with pytest.raises(Unavailable, match="Palate is closing"):
        engine.ingest([did(1, "u", "a")])


def test_an_engine_in_memory_has_no_snapshot() -> None:
    with memory() as engine, pytest.raises(Conflict, match="no directory to write a snapshot to"):
        engine.snapshot()


def test_a_second_engine_is_locked_out_and_told_why(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest([did(1, "u", "a")])
        with pytest.raises(Locked) as error:
            at(tmp_path / "e.palate")
    assert "process" in error.value.message
    assert error.value.message.endswith(".")
    with at(tmp_path / "e.palate") as engine:
        assert engine.counts().seq == 1


def test_an_engine_that_failed_to_open_leaves_no_lock(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest([did(1, "u", "a")])
    (tmp_path / "e.palate" / "models").mkdir(exist_ok=True)
    (tmp_path / "e.palate" / "models" / "ACTIVE").write_text("v0001\n")
    errors: list[BaseException] = []
    for _ in range(2):
        try:
            at(tmp_path / "e.palate").close()
        except palate.PalateError as error:
            errors.append(error)
    assert len(errors) == 2
    assert not any(isinstance(error, Locked) for error in errors)


# --------------------------------------------------------------------------- the past


def test_opened_until_a_position_it_ranks_as_it_did_then(tmp_path: Path) -> None:
    half = len(WORLD.events) - 200
    requests = [
        RecommendRequest(user="p0", k=10, policy="greedy", seen="keep"),
        RecommendRequest(user="p1", k=10, policy="greedy", query="rocket 菜谱"),
        RankRequest(user="p2", items=WORLD.of_genre("space")),
    ]
    with at(tmp_path / "e.palate") as engine:
        seq = engine.ingest(WORLD.events[:half]).seq
        engine.wait_encoded(60)
        now = engine.clock()
        before = [engine.answer(request, now) for request in requests]
        engine.snapshot()
        engine.ingest(WORLD.events[half:])
        engine.wait_encoded(60)
        after = [engine.answer(request, now) for request in requests]
        with palate.open(tmp_path / "e.palate", until=seq, language=HASHING) as then:
            then.wait_encoded(60)
            for request, old, new in zip(requests, before, after, strict=True):
                again = then.answer(request, now)
                assert [(one.id, one.score) for one in again.items] == [(one.id, one.score) for one in old.items]
                assert [(one.id, one.score) for one in again.items] != [(one.id, one.score) for one in new.items]
                assert (again.as_of, again.model) == (seq, old.model)
            for write in (
                lambda: then.ingest([did(1, "u", "a")]), then.train, then.train_in_background, then.rollback,
                lambda: then.activate("v0001"), then.snapshot,
            ):  # fmt: skip
                with pytest.raises(Conflict, match="opened with until=…, for reading"):
                    write()
        with palate.open(tmp_path / "e.palate", until=0, language=HASHING) as nothing:
            assert nothing.counts().events == 0
        with palate.open(tmp_path / "e.palate", until=10**9, language=HASHING) as everything:
            assert snapshot.digest(everything.state) == digest(engine)
    assert len(snapshot.available(tmp_path / "e.palate" / "snapshots")) == 2, "reading wrote none"


# -------------------------------------------------------------------------- decisions


def logged(engine: Engine, ranking: Any) -> Decision:
    return engine.parts.decisions.get(ranking.ranking)


def test_the_decision_log_holds_what_was_served(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"sample": 1.0}) as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(60)
        context = {"device": "phone", "hour": 9}
        ranking = engine.recommend("p0", 6, query="rocket", context=context, exclude=["space-1"], seen="drop")
        decision = logged(engine, ranking)
        shown = decision.shown
        assert shown.ids == ids(ranking)
        assert shown.scores == [one.score for one in ranking.items]
        assert shown.positions == list(range(1, 7))
        assert shown.propensities == [one.propensity for one in ranking.items]
        assert (decision.ranking, decision.as_of, decision.model) == (ranking.ranking, ranking.as_of, "prior")
        assert (decision.subject, decision.policy, decision.source) == ("p0", "greedy", "live")
        asked = decision.request
        assert asked is not None
        assert (asked.kind, asked.user, asked.k, asked.query, asked.context, asked.seen) == (
            "recommend", "p0", 6, "rocket", context, "drop",
        )  # fmt: skip
        assert [one.name for one in decision.stages] == [one.name for one in ranking.stages]
        removed = stage(ranking, "filters").counts
        assert decision.filters == {name: n for name, n in removed.items() if name != "kept"}
        assert decision.filters["excluded"] == 1
        model = engine._model
        rescored = model.scorer.score(shown.matrix())
        np.testing.assert_allclose(rescored, shown.scores, rtol=1e-9, err_msg="what was served is what is learnt from")
        assert decision.unshown is not None
        assert len(decision.unshown.ids) + len(shown.ids) == asked.candidates
        assert not set(decision.unshown.ids) & set(shown.ids)
        rest = model.scorer.score(decision.unshown.matrix())
        assert rest.max() <= max(score for score in shown.scores if score is not None) + 1e-9


def test_a_session_and_an_unknown_item_are_logged_too() -> None:
    with filled(WORLD) as engine:
        ranking = engine.rank(None, ["space-1", "nobody"], session="s")
        decision = logged(engine, ranking)
        assert decision.subject == "\0s"
        assert decision.shown.scores[1] is None
        assert decision.shown.matrix().shape[0] == 2


def test_unshown_features_are_kept_for_the_share_asked_for(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"sample": 0.3}) as engine:
        engine.ingest(WORLD.events)
        kept = [logged(engine, engine.recommend("p0", 3)).unshown is not None for _ in range(200)]
        assert 30 <= sum(kept) <= 90


def test_decisions_can_be_turned_off(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate", decisions={"enabled": False}) as engine:
        engine.ingest([did(1, "u", "a")])
        ranking = engine.rank("u", ["a"])
        with pytest.raises(NotFound):
            engine.explain(ranking.ranking, "a")


# -------------------------------------------------------------------------- exploration


def test_one_labelled_exploration_slot_in_recommend_and_none_elsewhere() -> None:
    with filled(WORLD, policy={"explore": True}) as engine:
        explored: set[str] = set()
        best = ids(engine.recommend("p0", 6, policy="greedy", seen="keep"))
        for _ in range(60):
            ranking = engine.recommend("p0", 6, seen="keep")
            labelled = [one for one in ranking.items if one.reasons and one.reasons[0].code == "exploration"]
            assert [one.position for one in labelled] == [5]
            candidates = stage(ranking, "score").counts["scored"]
            assert labelled[0].propensity == pytest.approx(1 / (candidates - 5))
            assert [one.propensity for one in ranking.items if one is not labelled[0]] == [1.0] * 5
            assert [one.id for one in ranking.items if one is not labelled[0]] == best[:5]
            assert labelled[0].id not in best[:5]
            assert logged(engine, ranking).shown.explored == [False] * 4 + [True, False]
            explored.add(labelled[0].id)
        assert len(explored) > 20
        for quiet in (engine.recommend("p0", 6, policy="greedy"), engine.rank("p0", WORLD.of_genre("space"))):
            assert {one.propensity for one in quiet.items} == {1.0}
            assert not any(logged(engine, quiet).shown.explored)
    with filled(WORLD, policy={"explore": False}) as engine:
        assert {one.propensity for one in engine.recommend("p0", 6).items} == {1.0}


def test_chance_comes_from_the_ranking_id() -> None:
    with filled(WORLD, policy={"explore": True}) as engine:
        request = RecommendRequest(user="p0", k=6, seen="keep")
        for name in ("greedy", "plackett_luce"):
            request.policy = None if name == "greedy" else name
            ranking = engine.answer(request, WORLD.end)
            scored = engine.line.run(request, WORLD.end, engine._model)
            policy = make_policy(name, engine.settings.policy, name == "greedy")
            slate = policy.choose(scored.scores, 6, seeded(ranking.ranking), None)
            assert [scored.candidates.ids[place] for place in slate.order] == ids(ranking)


def test_plackett_luce_propensities_are_exact_and_logged() -> None:
    with filled(WORLD, policy={"temperature": 2.0}) as engine:
        given = WORLD.of_genre("space")
        orders: set[tuple[str, ...]] = set()
        for _ in range(20):
            ranking = engine.rank("p0", given, policy="plackett_luce")
            assert ranking.policy == "plackett_luce"
            orders.add(tuple(ids(ranking)))
            scores = np.array([one.score for one in ranking.items]) / 2.0
            for place, one in enumerate(ranking.items):
                left = np.exp(scores[place:] - scores[place:].max())
                assert one.propensity == pytest.approx(left[0] / left.sum(), rel=1e-9)
            assert logged(engine, ranking).shown.propensities == [one.propensity for one in ranking.items]
        assert len(orders) > 10


def test_diversity_mixes_genres() -> None:
    with filled(WORLD) as plain, filled(WORLD, policy={"diversity": 0.7, "explore": False}) as mixed:

        def genres(engine: Engine) -> int:
            return sum(
                len({WORLD.genre_of[name] for name in ids(engine.recommend(f"p{n}", 6, seen="keep"))})
                for n in range(10)
            )

        assert genres(mixed) > genres(plain)


def test_positions_models_and_log_positions_are_said() -> None:
    with filled(WORLD) as engine:
        ranking = engine.recommend("p0", 4)
        assert [one.position for one in ranking.items] == [1, 2, 3, 4]
        assert (ranking.model, ranking.as_of, engine.model) == ("prior", len(WORLD.events), "prior")
        assert engine.counts().rankings == 1
        assert ranking.degraded == []


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"items": []}, "items"),
        ({"items": ["a", "a"]}, "items[1]"),
        ({"items": ["a", {"id": "a"}]}, "items[1]"),
        ({"items": ["a"], "k": 0}, "k"),
        ({"items": ["a"], "k": -3}, "k"),
        ({"items": ["a"], "policy": "random"}, "policy"),
        ({"items": ["a"], "seen": "sometimes"}, "seen"),
        ({"items": ["a"], "nonsense": 1}, None),
        ({"items": ["a"], "context": {"x": float("nan")}}, "context.x"),
        ({"items": ["a"], "exclude": [""]}, "exclude[0]"),
        ({"items": ["a"], "query": 3}, "query"),
    ],
)
def test_bad_requests_name_what_is_wrong(options: dict[str, Any], where: str | None) -> None:
    with memory() as engine:
        with pytest.raises(InvalidInput) as error:
            engine.rank("u", **options)
        assert error.value.where == where
        assert error.value.message.endswith(".")


def test_export_gives_everything_back() -> None:
    with filled(WORLD) as engine:
        exported = list(engine.export())
        assert exported == WORLD.events
        with filled(exported) as other:
            assert other.rebuild()["equal"]
            assert [entry.item for entry in other.user("p0").history] == [
                entry.item for entry in engine.user("p0").history
            ]
