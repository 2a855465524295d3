"""The engine as a whole: what it takes, what it keeps, what it logs, what it draws."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.background import BackgroundEncoder
from palate.engine import Engine
from palate.errors import Conflict, InvalidInput, Locked, Unavailable
from palate.opening import replay_state
from palate.state import snapshot
from palate.testing.world import make_world
from palate.types import Impression, Interaction, RankRequest, RecommendRequest, User
from tests.engines import HASHING, did, filled, item, memory

WORLD = make_world(people=15, interactions=500)


def at(path: Path, **overrides: Any) -> Engine:
    return palate.open(path, **{"language": HASHING, **overrides})


def digest(engine: Engine) -> str:
    return snapshot.digest(engine.state)


def replayed(engine: Engine) -> str:
    """The digest of the whole log folded anew."""
    return snapshot.digest(replay_state(engine.parts.store, engine.settings, engine.state.seq))


# ----------------------------------------------------------------------------- intake


def test_more_than_the_queue_holds_is_ingested_batch_by_batch() -> None:
    with memory(serve={"queue_bytes": 1}) as engine:
        assert engine.ingest(did(n, f"u{n % 50}", f"i{n % 20}") for n in range(20_000)).accepted == 20_000


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


def test_closing_at_once_never_hangs() -> None:
    def often() -> None:
        for _ in range(300):
            BackgroundEncoder(lock, lambda: engine.catalogue, lambda: None).close()

    with memory() as engine:
        lock = threading.RLock()
        thread = threading.Thread(target=often, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()


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
    for name in ("events.db-wal", "events.db-shm"):
        (tmp_path / "e.palate" / name).unlink(missing_ok=True)
    (tmp_path / "e.palate" / "events.db").write_text("This is no database.\n" * 500)
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


# ----------------------------------------------------------------------------- answers


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
        ({"items": ["a"], "nonsense": 1}, "nonsense"),
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


@pytest.mark.parametrize("path", ["", 5, "a\0b", __file__])
def test_a_path_that_names_no_directory_is_refused(path: Any) -> None:
    with pytest.raises(palate.ConfigError, match="an engine lives in a directory"):
        palate.open(path)


@pytest.mark.parametrize("name", ["file/engine", "a" * 300], ids=["below a file", "too long"])
def test_a_directory_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(palate.Unavailable, match=r"The directory .* can't be made: .*\. Name one that"):
        palate.open(tmp_path / name)


def test_a_file_given_as_events_points_to_what_reads_files() -> None:
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        for path in ("events.jsonl", Path("events.jsonl")):
            with pytest.raises(palate.InvalidInput, match="`palate import`"):
                engine.ingest(path)
        with pytest.raises(palate.InvalidInput) as refused:
            engine.ingest(5)  # pyright: ignore
        assert "palate import" not in str(refused.value)


def test_what_became_of_events_is_said_in_counts() -> None:
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        found = engine.ingest([{"event": "item", "item": f"i{n}"} for n in range(500)] + [{"event": "item"}])
    assert len(found.assigned) == 500
    assert len(repr(found)) < 300
    assert "accepted=500" in repr(found)
    assert "1 rejected, the first: Rejected(index=500" in repr(found)


def test_every_shown_item_has_a_reason() -> None:
    with filled([item("a", title="tea"), item("b", title="wine"), did(1, "u", "a"), did(2, "v", "b")]) as engine:
        for user in ("u", "v", None):
            for ranking in (engine.recommend(user, seen="keep"), engine.rank(user, ["a"])):
                assert all(shown.reasons for shown in ranking.items)
