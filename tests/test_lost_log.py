"""The log is the source of truth: where it is gone, cut or damaged, a directory says so and makes up nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw
import pytest

import palate
from palate.engine import Engine
from palate.errors import CorruptArtefact, Unavailable
from palate.state import snapshot
from tests.engines import HASHING, did

EVENTS = 700


def at(path: Path, durability: str = "durable") -> Engine:
    return palate.open(path, language=HASHING, policy={"explore": False}, durability=durability)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest([did(number, f"u{number % 7}", f"i{number % 11}") for number in range(EVENTS)])
    return tmp_path / "e.palate"


def remove_log(path: Path) -> None:
    for file in path.glob("events.db*"):
        file.unlink()


def test_a_log_that_is_gone_is_named_and_nothing_is_put_in_its_place(path: Path) -> None:
    log, snapshots = path / "events.db", path / "snapshots"
    remove_log(path)
    lost = (
        "and the snapshot 000000000700 was taken at position 700: events are lost. Restore events.db from a backup; "
        f"or, to go on from the log as it is, remove {snapshots}."
    )
    for size, what in ((None, "is missing"), (0, "is empty"), (300, "is cut to 300 bytes")):
        if size is not None:
            log.write_bytes(b"SQLite format 3\0".ljust(size, b"x")[:size])
        for _ in range(2):
            with pytest.raises(CorruptArtefact) as caught:
                at(path)
            assert caught.value.message == f"{log} {what}, {lost}"
            assert (log.stat().st_size if log.exists() else None) == size
        with pytest.raises(CorruptArtefact, match=what):
            palate.open(path, until=3, language=HASHING)


def test_a_log_that_ends_before_the_snapshot(path: Path) -> None:
    shutil.copytree(path, path.with_name("older"))
    with at(path) as engine:
        engine.ingest([did(EVENTS, "u1", "i1")])
    shutil.copy(path.with_name("older") / "events.db", path / "events.db")
    with pytest.raises(
        CorruptArtefact, match=r"events\.db ends at position 700, and the snapshot 000000000701 was taken"
    ):
        at(path)
    with pytest.raises(CorruptArtefact, match="ends at position 700"):
        palate.open(path, until=3, language=HASHING)


def test_the_sentence_mends_it(path: Path) -> None:
    kept = (path / "events.db").read_bytes()
    remove_log(path)
    with pytest.raises(CorruptArtefact):
        at(path)
    (path / "events.db").write_bytes(kept)
    with at(path) as engine:
        assert engine.counts().seq == EVENTS
    remove_log(path)
    shutil.rmtree(path / "snapshots")
    with at(path) as engine:
        assert engine.counts().seq == 0
        engine.ingest([did(1, "u1", "i1")])
    with at(path) as engine:
        assert engine.counts().seq == 1


def test_a_write_ahead_log_without_its_log_is_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "events.db-wal").write_bytes(b"events" * 1000)
    with pytest.raises(
        CorruptArtefact, match=r"events\.db is missing, and is no new log: restore it from a backup, or"
    ):
        at(tmp_path)
    assert (tmp_path / "events.db-wal").stat().st_size == 6000


def test_a_process_killed_while_it_made_the_log_leaves_one_that_opens(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    with at(tmp_path) as engine:
        assert engine.counts().seq == 0


def test_a_position_that_is_missing_is_never_skipped(path: Path) -> None:
    shutil.rmtree(path / "snapshots")
    connection = apsw.Connection(str(path / "events.db"))
    connection.execute("DELETE FROM event WHERE seq = 300")
    connection.close()
    with pytest.raises(CorruptArtefact, match=r"is damaged .of positions 1 to 700 only 699 are there.: restore it"):
        at(path)


def test_an_event_that_is_damaged_is_named(path: Path) -> None:
    connection = apsw.Connection(str(path / "events.db"))
    connection.execute("UPDATE event SET payload = x'c1ff' WHERE seq = 300")
    connection.close()
    with at(path) as engine:  # the snapshot is sound, and ranks
        assert engine.recommend("u1", 3).items
        for read in (lambda: list(engine.export()), engine.rebuild):
            with pytest.raises(CorruptArtefact, match="The event at position 300 of the log is damaged"):
                read()
        assert engine.recommend("u1", 3).items
    shutil.rmtree(path / "snapshots")
    with pytest.raises(CorruptArtefact, match="The event at position 300 of the log is damaged"):
        at(path)


def test_damaged_pages_are_named(path: Path) -> None:
    with (path / "events.db").open("r+b") as file:
        for page in range(2, 20):
            file.seek(4096 * page)
            file.write(os.urandom(4096))
    damaged = "is damaged or not an event log"
    with at(path) as engine:  # what it ranks from, the snapshot and the last event, is sound
        for read in (lambda: list(engine.export()), engine.rebuild):
            with pytest.raises(CorruptArtefact, match=damaged):
                read()
    with pytest.raises(CorruptArtefact, match=damaged):
        palate.open(path, until=3, language=HASHING)
    shutil.rmtree(path / "snapshots")
    with pytest.raises(CorruptArtefact, match=damaged):
        at(path)


def test_a_fast_log_is_synced_before_a_snapshot_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noting(fd: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
        fsync(fd)

    with at(tmp_path, "fast") as engine:
        engine.ingest([did(1, "u1", "i1")])
        monkeypatch.setattr(os, "fsync", noting)
        engine.snapshot()
        written = synced.index("state.safetensors")
        assert "events.db-wal" in synced[:written]

        def failing(fd: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", failing)
        engine.ingest([did(2, "u1", "i2")])
        with pytest.raises(Unavailable, match=r"events\.db-wal failed"):
            engine.snapshot()
        monkeypatch.setattr(os, "fsync", fsync)
        assert [int(one.name) for one in snapshot.available(tmp_path / "snapshots")] == [1]
