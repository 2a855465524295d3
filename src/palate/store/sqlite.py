"""The event log in SQLite, with a write-ahead log.

Durability. ``durable``: synchronous=FULL, the write-ahead log is on disk before ``append`` returns; a power loss
costs nothing that was acknowledged. ``fast``: synchronous=NORMAL and a thread that syncs at most each half second
while there is something to sync; a power loss costs at most the last second of acknowledged events, a killed
process costs none. Source: https://sqlite.org/wal.html and https://sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import apsw

from palate.errors import CorruptArtefact, NotFound, PalateError, Unavailable
from palate.store import AppendResult, Durability, Record
from palate.store.commit import GroupCommitter
from palate.store.memory import concerns

__all__ = ["FORMAT", "GroupCommitter", "SqliteStore"]

_log = logging.getLogger("palate.store")

FORMAT = 1
"""Kept in ``PRAGMA user_version``. Raised with every change of the schema."""
_APPLICATION = 0x50414C54  # "PALT", so that file(1) and this module know whose database it is

_SCHEMA = f"""
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    received INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX event_subject ON event (subject, timestamp) WHERE subject IS NOT NULL;
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {FORMAT};
"""
_COLUMNS = "seq, id, timestamp, kind, subject, received, payload"
_INSERT = f"INSERT INTO event ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_KNOWN = "SELECT id FROM event WHERE id IN carray(?)"
_SYNC_SECONDS = 0.5

_DISK_ERRORS = (
    apsw.IOError,
    apsw.FullError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.NoMemError,
)


class SqliteStore:
    """A ``Store`` in one SQLite file. Appending costs 6 to 13 µs of CPU a record in batches of
    10,000 (the more, the larger the log, as ids come in no order), plus one fsync.

    ``vfs`` names a registered SQLite VFS (None: the default one); tests use it to make a disk fail. ``busy_ms``:
    how long to wait for another process that writes to the same file, which ``DirectoryLock`` should keep away.
    Errors of opening: ``NotFound``, ``Unavailable``, ``CorruptArtefact``.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability = "durable",
        read_only: bool = False,
        vfs: str | None = None,
        busy_ms: int = 5000,
    ) -> None:
        self.path = path
        self.durability: Durability = durability
        self.read_only = read_only
        self._vfs = vfs
        self._busy_ms = busy_ms
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._seq = 0
        self._closed = False
        self._syncer: _Syncer | None = None
        if read_only and not path.is_file():
            raise NotFound(f"There is no event log at {path}: ingest something first, or check the path.")
        try:
            if not read_only:
                self._writer = self._connect_writer()
                self._seq = _last(self._writer)
            self._reader = self._connect_reader()
        except apsw.Error as error:
            raise self._sentence(error, "open") from error
        if not read_only:
            # SQLite removes the journal of the creation without syncing the directory; were it back after a power
            # loss, it would undo the creation and whatever was acknowledged since.
            _sync_directory(path.parent)
        if durability == "fast" and not read_only:
            self._syncer = _Syncer(path.with_name(path.name + "-wal"))

    def append(self, records: Sequence[Record]) -> AppendResult:
        """See ``Store.append``."""
        with self._write_lock:
            self._check_open()
            if self.read_only:
                raise Unavailable(f"{self.path} was opened for reading only: append through the process that writes.")
            if not records:
                return AppendResult([], self._seq)
            if self._syncer is not None:
                self._syncer.check()
            try:
                if self._writer is None:
                    self._writer = self._connect_writer()
                seqs, last = self._insert(self._writer, records)
            except apsw.Error as error:
                raise self._sentence(error, "write to") from error
            for record, seq in zip(records, seqs, strict=True):
                if seq:
                    record.seq = seq
            self._seq = last
        if self._syncer is not None:
            self._syncer.dirty()
        return AppendResult(seqs, last)

    def _insert(self, writer: apsw.Connection, records: Sequence[Record]) -> tuple[list[int], int]:
        try:
            writer.execute("BEGIN IMMEDIATE")
            last = _last(writer)
            known = {row[0] for row in _fetch(writer, _KNOWN, (apsw.carray(tuple(r.id for r in records)),))}
            rows: list[tuple[Any, ...]] = []
            seqs: list[int] = []
            for r in records:
                if r.id in known:
                    seqs.append(0)
                    continue
                known.add(r.id)
                last += 1
                seqs.append(last)
                rows.append((last, r.id, r.timestamp, r.kind, r.subject, r.received, r.payload))
            writer.executemany(_INSERT, rows)
            writer.execute("COMMIT")
            return seqs, last
        except BaseException:  # whatever went wrong, an interrupt included, must not leave the transaction open
            self._roll_back(writer)
            raise

    def _roll_back(self, writer: apsw.Connection) -> None:
        try:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        except apsw.Error:
            _log.exception("Rolling back failed on %s; the connection is opened anew.", self.path)
            self._writer = None

    def read(self, after: int = 0, until: int | None = None, chunk: int = 10_000) -> Iterator[list[Record]]:
        """See ``Store.read``. About 1.5 µs a record. Each chunk is a statement of its own, so that a slow reader
        holds no snapshot that would keep the write-ahead log from being recycled."""
        self._check_open()
        stop = self.seq if until is None else until
        reader: apsw.Connection | None = None
        try:
            reader = self._connect_reader()
            query = f"SELECT {_COLUMNS} FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
            stop = min(stop, _last(reader))
            while after < stop:
                due = min(chunk, stop - after)
                rows = _fetch(reader, query, (after, stop, chunk))
                # A damaged page can hide records without SQLite noticing; skipping them would make another state.
                if len(rows) != due or rows[-1][0] != after + due:
                    raise CorruptArtefact(
                        f"{self.path} is damaged (of positions {after + 1:,} to {after + due:,} only {len(rows):,} are "
                        "there): restore it from a backup."
                    )
                records = [Record(*row) for row in rows]
                after = records[-1].seq
                yield records
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._sentence(error, "read") from error
        finally:
            if reader is not None:
                reader.close()

    def find(self, user: str, item: str | None, timestamp: int | None) -> list[Record]:
        """See ``Store.find``. One index look-up, then the subject's events."""
        query = f"SELECT {_COLUMNS} FROM event WHERE subject = ?"
        values: tuple[Any, ...] = (user,)
        if timestamp is not None:
            query, values = f"{query} AND timestamp = ?", (user, timestamp)
        found = [Record(*row) for row in self._query(f"{query} ORDER BY seq", values)]
        return found if item is None else [record for record in found if concerns(record, item)]

    @property
    def seq(self) -> int:
        """See ``Store.seq``. Opened for reading only, it is asked of the file, so that it follows the writer."""
        return int(self._query("SELECT coalesce(max(seq), 0) FROM event", ())[0][0]) if self.read_only else self._seq

    def count(self) -> int:
        """See ``Store.count``; positions are dense, so it is the last one."""
        return self.seq

    def sync(self) -> None:
        """See ``Store.sync``."""
        if self._syncer is not None:
            self._syncer.now()

    def close(self) -> None:
        """See ``Store.close``."""
        with self._write_lock, self._read_lock:
            if self._closed:
                return
            self._closed = True
            if self._syncer is not None:
                self._syncer.close()
            for connection in (self._reader, self._writer):
                if connection is not None:
                    try:
                        connection.close()
                    except apsw.Error:
                        # The last connection copies the write-ahead log into the database; the log itself is safe.
                        _log.exception("Closing %s failed; what was acknowledged is in its write-ahead log.", self.path)

    def _query(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._read_lock:
            self._check_open()
            try:
                if self._reader is None:
                    self._reader = self._connect_reader()
                return _fetch(self._reader, sql, values)
            except (apsw.Error, UnicodeDecodeError) as error:
                raise self._sentence(error, "read") from error

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The event log is closed: open the engine again.")

    def _connect_writer(self) -> apsw.Connection:
        writer = apsw.Connection(str(self.path), apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs=self._vfs)
        try:
            writer.set_busy_timeout(self._busy_ms)
            self._check_format(writer)
            if writer.pragma("journal_mode", "wal") != "wal":
                raise Unavailable(
                    f"{self.path} can't use a write-ahead log here: put the directory on a local file system."
                )
            writer.pragma("synchronous", "FULL" if self.durability == "durable" else "NORMAL")
            writer.pragma("cache_size", -65_536)  # KiB
            writer.pragma("temp_store", "MEMORY")
            writer.pragma(
                "wal_autocheckpoint", 16_000
            )  # pages, 64 MB; rarer than the default, so that an import writes less
            writer.pragma("journal_size_limit", 64 * 1024 * 1024)
            with writer:  # one transaction: a process killed here leaves nothing or everything
                if writer.pragma("user_version") == 0:
                    writer.execute(_SCHEMA)
        except BaseException:
            writer.close()
            raise
        return writer

    def _connect_reader(self) -> apsw.Connection:
        # Not SQLITE_OPEN_READONLY: after a crash even a reader has to recover the write-ahead log's index.
        reader = apsw.Connection(str(self.path), apsw.SQLITE_OPEN_READWRITE, vfs=self._vfs)
        try:
            reader.set_busy_timeout(self._busy_ms)
            reader.pragma("query_only", 1)
            reader.pragma("mmap_size", 256 * 1024 * 1024)
            self._check_format(reader)
        except BaseException:
            reader.close()
            raise
        return reader

    def _check_format(self, connection: apsw.Connection) -> None:
        version = connection.pragma("user_version")
        if version > FORMAT:
            raise CorruptArtefact(
                f"{self.path} has format {version}, and this version of Palate knows formats up to {FORMAT}: "
                "install the version that wrote it, or a newer one."
            )
        tables = _fetch(connection, "SELECT count(*) FROM sqlite_schema")[0][0]
        if connection.pragma("application_id") != _APPLICATION and (version or tables):
            raise CorruptArtefact(f"{self.path} is a database of another program, not an event log: check the path.")
        if self.read_only and not tables:
            raise CorruptArtefact(f"{self.path} holds no event log yet: ingest something first, or restore a backup.")

    def _sentence(self, error: apsw.Error | UnicodeDecodeError, verb: str) -> PalateError:
        if isinstance(error, apsw.CorruptError | apsw.NotADBError | UnicodeDecodeError):
            return CorruptArtefact(f"{self.path} is damaged or not an event log ({error}): restore it from a backup.")
        if isinstance(error, apsw.FullError):
            return Unavailable(f"The disk of {self.path} is full and nothing was stored: make room, then send again.")
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return Unavailable(f"{self.path} is locked by another process: stop it, then send the events again.")
        if isinstance(error, _DISK_ERRORS):
            return Unavailable(f"Cannot {verb} {self.path} ({error}): check the disk and the rights, then try again.")
        return PalateError(f"Cannot {verb} {self.path}: {error}. This is a fault of Palate's; please report it.")


def _fetch(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return cast("list[tuple[Any, ...]]", connection.execute(sql, values).fetchall())


def _last(connection: apsw.Connection) -> int:
    return int(_fetch(connection, "SELECT coalesce(max(seq), 0) FROM event")[0][0])


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class _Syncer:
    """Syncs the write-ahead log of a ``fast`` store in a thread of its own, at most each ``_SYNC_SECONDS``.

    It opens the file anew each time: SQLite holds its locks on the database and the index, never on this file,
    so closing a second descriptor here drops none of them.
    """

    def __init__(self, wal: Path) -> None:
        self._wal = wal
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="palate-sync", daemon=True)
        self._thread.start()

    def dirty(self) -> None:
        self._wake.set()

    def check(self) -> None:
        """Errors: ``Unavailable``, once, when a sync failed since the last append."""
        error, self._error = self._error, None
        if error is not None:
            raise self._failed(error)

    def now(self) -> None:
        """Sync in this thread. Errors: ``Unavailable``."""
        try:
            self._sync()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"Syncing {self._wal} failed ({error.strerror}); events of the last second may not survive a power "
            "loss: check the disk, then send them again."
        )

    def _sync(self) -> None:
        try:
            fd = os.open(self._wal, os.O_RDONLY)
        except FileNotFoundError:
            return  # nothing was written since the log was folded into the database, which syncs both
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._sync()
            except OSError as error:
                _log.exception("Syncing %s failed.", self._wal)
                self._error = error
            self._stop.wait(_SYNC_SECONDS)
