"""Disks that fail for real: full, refusing to sync, and losing what was never synced."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from palate.errors import CorruptArtefact, NotFound, Unavailable
from palate.store import open_store
from palate.store.commit import GroupCommitter
from palate.store.sqlite import FORMAT, SqliteStore
from palate.testing.store import everything, record
from tests.store.store_helpers import full_disk


class Disk(apsw.VFS):
    """The real disk, which refuses to sync while ``broken``, and of which ``shadow`` holds what was synced."""

    def __init__(self, name: str, shadow: Path | None = None) -> None:
        self.broken = False
        self.shadow = shadow
        self.syncs = 0
        super().__init__(name, "")
        self.vfs_name = name

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:  # noqa: N802 - SQLite's own name
        return DiskFile(self, name, flags)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.file = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's own name
        if self.disk.broken:
            error = apsw.IOError("the disk does not answer")
            error.extendedresult = apsw.SQLITE_IOERR_FSYNC
            raise error
        super().xSync(flags)
        self.disk.syncs += 1
        if self.disk.shadow is not None:
            shutil.copyfile(self.file, self.disk.shadow / self.file.name)


def test_a_failing_sync_acknowledges_nothing_and_recovers(tmp_path: Path) -> None:
    disk = Disk("broken-sync")
    store = SqliteStore(tmp_path / "events.db", vfs=disk.vfs_name)
    applied: list[str] = []
    committer = GroupCommitter(store, lambda records, _: applied.extend(one.id for one in records))
    committer.append([record(0)])
    disk.broken = True
    futures = [committer.submit([record(number)]) for number in range(1, 6)]
    for future in futures:
        with pytest.raises(Unavailable, match=r"Cannot write to .*events.db \(.*\): check the disk and the rights"):
            future.result()
    assert applied == ["e0"]
    assert store.seq == 1
    assert [one.id for one in everything(store)] == ["e0"], "reading goes on, and shows nothing unacknowledged"
    disk.broken = False
    assert committer.append([record(3), record(4)]).seqs == [2, 3]
    committer.close()
    store.close()
    again = SqliteStore(tmp_path / "events.db")
    assert [one.id for one in everything(again)] == ["e0", "e3", "e4"]
    again.close()


def test_a_full_disk_acknowledges_nothing_and_recovers(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db")
    committer = GroupCommitter(store)
    committer.append([record(0)])
    with full_disk(200_000):
        future = committer.submit([record(number, payload=os.urandom(1000)) for number in range(1, 1000)])
        with pytest.raises(Unavailable, match=r"Cannot write|is full"):
            future.result()
        assert committer.append([record(1000)]).seqs == [2], "what still fits is stored"
    assert committer.append([record(number) for number in range(1, 1000)]).seq == 1001
    assert store.seq == len(everything(store)) == 1001
    committer.close()
    store.close()


def test_a_database_at_its_largest_size_is_a_full_disk(tmp_path: Path) -> None:
    def small(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 20")

    apsw.connection_hooks.append(small)
    try:
        store = SqliteStore(tmp_path / "events.db")
    finally:
        apsw.connection_hooks.remove(small)
    with pytest.raises(Unavailable, match="is full and nothing was stored: make room, then send again"):
        store.append([record(number, payload=os.urandom(1000)) for number in range(1000)])
    assert store.append([record(0)]).seqs == [1]
    store.close()


def test_durable_survives_a_power_loss_at_any_moment(tmp_path: Path) -> None:
    live, shadow = tmp_path / "live", tmp_path / "shadow"
    live.mkdir()
    shadow.mkdir()
    disk = Disk("power-loss", shadow)
    store = SqliteStore(live / "events.db", vfs=disk.vfs_name)
    (shadow / "events.db-journal").unlink()  # opening syncs the directory, after which the creation's journal is gone
    for batch in range(30):
        numbers = range(batch * 50, batch * 50 + 50)
        store.append([record(number, payload=os.urandom(2000)) for number in numbers])
        if batch % 5 == 4:
            lost = tmp_path / f"lost{batch}"
            shutil.copytree(shadow, lost)
            after = SqliteStore(lost / "events.db")
            assert [one.id for one in everything(after)] == [f"e{number}" for number in range(numbers.stop)]
            after.close()
    store.close()


def test_fast_does_not_sync_each_append(tmp_path: Path) -> None:
    disk = Disk("fast")
    store = SqliteStore(tmp_path / "events.db", "fast", vfs=disk.vfs_name)
    before = disk.syncs
    for number in range(50):
        store.append([record(number)])
    assert disk.syncs == before
    store.close()


def test_fast_says_when_the_background_sync_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = SqliteStore(tmp_path / "events.db", "fast")
    wal = tmp_path / "events.db-wal"
    wal.rename(
        tmp_path / "aside"
    )  # SQLite keeps its descriptor; the syncing thread meets a pipe, which can't be synced
    os.mkfifo(wal)
    pipe = os.open(wal, os.O_RDWR)
    try:
        store.append([record(0)])
        for _ in range(3000):
            if "Syncing" in caplog.text:
                break
            time.sleep(0.01)
        with pytest.raises(Unavailable, match="may not survive a power loss: check the disk, then send them again"):
            store.append([record(1)])
    finally:
        os.close(pipe)
        wal.unlink()
        (tmp_path / "aside").rename(wal)
    assert store.append([record(1)]).seqs == [2]
    store.close()


def test_fast_takes_nothing_while_the_disk_does_not_sync_and_then_writes_everything_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "events.db", "fast")
    fsync = os.fsync

    def failing(fd: int) -> None:
        raise OSError(5, "Input/output error")

    store.append([record(0)])
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Unavailable, match=r"events\.db-wal failed"):
        store.sync()
    for number in range(1, 4):
        with pytest.raises(Unavailable, match=r"Syncing .* failed .Input/output error.; events of the last second may"):
            store.append([record(number)])
    assert store.seq == 1
    monkeypatch.setattr(os, "fsync", fsync)
    assert store.append([record(1)]).seqs == [2]
    # What the failed sync left open stands in the database itself by now: the write-ahead log holds the new event only.
    shutil.copy(tmp_path / "events.db", tmp_path / "copy.db")
    alone = open_store(tmp_path / "copy.db", read_only=True)
    assert [one.id for one in everything(alone)] == ["e0"]
    alone.close()
    store.close()


def test_after_a_failure_the_log_is_looked_at_anew(tmp_path: Path) -> None:
    disk = Disk("looked-at-anew")
    store = SqliteStore(tmp_path / "events.db", vfs=disk.vfs_name)
    store.append([record(0)])
    disk.broken = True
    with pytest.raises(Unavailable):
        store.append([record(1), record(2)])
    disk.broken = False
    other = SqliteStore(tmp_path / "events.db")  # as if the failed batch had been stored after all
    other.append([record(1), record(2)])
    other.close()
    assert store.append([record(2), record(3)]).seqs == [0, 4]
    assert [one.id for one in everything(store)] == ["e0", "e1", "e2", "e3"]
    store.close()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    open_store(path).close()
    with apsw.Connection(str(path)) as connection:
        connection.pragma("user_version", FORMAT + 1)
    connection.close()
    with pytest.raises(CorruptArtefact, match=rf"has format {FORMAT + 1}, and this version .* up to {FORMAT}: install"):
        open_store(path)
    with pytest.raises(CorruptArtefact, match="has format"):
        open_store(path, read_only=True)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(CorruptArtefact, match="is a database of another program, not an event log: check the path"):
        open_store(other)
    text = tmp_path / "text.db"
    text.write_bytes(b"hello " * 1000)
    with pytest.raises(CorruptArtefact, match="is damaged or not an event log"):
        open_store(text)
    with pytest.raises(NotFound, match=r"There is no event log at .*absent.db: ingest something first"):
        open_store(tmp_path / "absent.db", read_only=True)
    with pytest.raises(Unavailable, match=r"Cannot open .*: check the disk and the rights, then try again"):
        open_store(tmp_path / "no" / "such" / "directory.db")


def test_a_creation_cut_short_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.touch()  # what a process leaves that was killed before its first transaction
    store = open_store(path)
    assert store.append([record(0)]).seq == 1
    store.close()


def test_a_reader_follows_the_writer(tmp_path: Path) -> None:
    writer = open_store(tmp_path / "events.db")
    reader = open_store(tmp_path / "events.db", read_only=True)
    assert reader.seq == 0
    writer.append([record(0), record(1)])
    assert (reader.seq, reader.count(), len(everything(reader))) == (2, 2, 2)
    with pytest.raises(Unavailable, match="was opened for reading only"):
        reader.append([record(2)])
    writer.close()
    assert len(everything(reader)) == 2
    reader.close()


def test_a_foreign_writer_is_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "events.db", busy_ms=0)
    other = apsw.Connection(str(tmp_path / "events.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="is locked by another process: stop it, then send the events again"):
        store.append([record(0)])
    other.execute("ROLLBACK")
    other.close()
    assert store.append([record(0)]).seq == 1
    store.close()
