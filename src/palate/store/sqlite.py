"""The event log in SQLite, with a write-ahead log.

Durability. ``durable``: synchronous=FULL, the write-ahead log is on disk before ``append`` returns; a power loss
costs nothing that was acknowledged. ``fast``: synchronous=NORMAL and a thread that syncs at most each half second
while there is something to sync; a power loss costs at most the last second of acknowledged events, a killed
process costs none. Source: https://sqlite.org/wal.html and https://sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from palate.disk import sync_directory
from palate.errors import CorruptArtefact, NotFound, Unavailable
from palate.state.keys import hashes
from palate.store import ERASED, AppendResult, Durability, Record, erased_id
from palate.store.commit import GroupCommitter
from palate.store.index import FRESH, LogIndex
from palate.store.logfile import COLUMNS, FORMAT, LogFile, fetch
from palate.store.logfile import last as last_of
from palate.store.memory import concerns
from palate.store.syncer import Syncer

__all__ = ["FORMAT", "GroupCommitter", "SqliteStore"]

_log = logging.getLogger("palate.store")

_WIDTH = 7
_SLOTS = "(?, ?, ?, ?, ?, ?, ?)"
_INSERT = f"INSERT INTO event ({COLUMNS}) VALUES {_SLOTS}"
_MANY = 64
"""Rows of one statement. Each statement lets other threads run, and then waits until they let it go on."""
_INSERT_MANY = f"INSERT INTO event ({COLUMNS}) VALUES {', '.join([_SLOTS] * _MANY)}"
_TIMES_AT = "SELECT seq, timestamp FROM event WHERE seq IN carray(?) AND subject = ? ORDER BY seq"
_TIMES_AFTER = "SELECT seq, timestamp FROM event WHERE seq > ? AND seq <= ? AND subject = ? ORDER BY seq"
_ERASE = (
    f"UPDATE event SET id = ?, timestamp = 0, kind = '{ERASED}', subject = NULL, received = 0, payload = x'' "
    "WHERE seq = ?"
)
_CHUNK = 10_000
_TRIES = 100
"""Tenths of a second for which the write-ahead log is tried to be emptied."""


class SqliteStore:
    """A ``Store`` in one SQLite file, with the index of its ids and subjects beside it (``index.LogIndex``).

    Appending costs 2 µs of CPU a record in batches of 100 or more, plus one sync for each batch.

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
        self._file = LogFile(path, durability, read_only, vfs, busy_ms)
        self._write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._find_lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._seq = 0
        self._index = LogIndex(path.with_suffix(".index"), self._ids_at)
        self._indexed = False
        self._subject = _Subject("")
        self._closed = False
        self._syncer: Syncer | None = None
        if read_only and not path.is_file():
            raise NotFound(f"There is no event log at {path}: ingest something first, or check the path.")
        try:
            if not read_only:
                self._writer = self._file.writer()
                self._seq = last_of(self._writer)
            self._reader = self._file.reader()
        except apsw.Error as error:
            raise self._file.sentence(error, "open") from error
        if not read_only:
            # SQLite removes the journal of the creation without syncing the directory; were it back after a power
            # loss, it would undo the creation and whatever was acknowledged since.
            sync_directory(path.parent)
            try:
                self._index_all()
            except CorruptArtefact as error:  # a page of the log; what needs none of it goes on
                _log.error("No event can be taken: %s", error.message)
        if durability == "fast" and not read_only:
            self._syncer = Syncer(path.with_name(path.name + "-wal"), self._rescue)

    def append(self, records: Sequence[Record]) -> AppendResult:
        """See ``Store.append``."""
        if self._syncer is not None:
            self._syncer.check()
        with self._write_lock:
            self._check_open()
            if self.read_only:
                raise Unavailable(f"{self.path} was opened for reading only: append through the process that writes.")
            if not records:
                return AppendResult([], self._seq)
            try:
                writer = self._writer if self._writer is not None else self._reconnect()
                if not self._indexed:
                    self._index_all()
                seqs, columns = self._columns(records)
                self._insert(writer, columns)
            except apsw.Error as error:
                raise self._file.sentence(error, "write to") from error
            for record, seq in zip(records, seqs, strict=True):
                if seq:
                    record.seq = seq
            self._seq += len(columns[0])
            self._index.add(columns[1], columns[4])
        if self._syncer is not None:
            self._syncer.dirty()
        return AppendResult(seqs, self._seq)

    def _columns(self, records: Sequence[Record]) -> tuple[list[int], tuple[list[Any], ...]]:
        """Positions, 0 for duplicates, and the columns to insert: one entry for each of the others."""
        ids = [r.id for r in records]
        known = self._index.known(ids)
        last = self._seq
        if known or len(set(ids)) < len(ids):
            seqs: list[int] = []
            for name in ids:
                last += name not in known
                seqs.append(0 if name in known else last)
                known.add(name)
            records = [r for r, seq in zip(records, seqs, strict=True) if seq]
            ids = [r.id for r in records]
        else:
            last += len(ids)
            seqs = list(range(self._seq + 1, last + 1))
        return seqs, (
            list(range(self._seq + 1, last + 1)),
            ids,
            [r.timestamp for r in records],
            [r.kind for r in records],
            [r.subject for r in records],
            [r.received for r in records],
            [r.payload for r in records],
        )

    def _insert(self, writer: apsw.Connection, columns: tuple[list[Any], ...]) -> None:
        count = len(columns[0])
        try:
            if count == 1:
                writer.execute(_INSERT, [column[0] for column in columns])
            elif count:
                writer.execute("BEGIN IMMEDIATE")
                whole = count - count % _MANY
                for start in range(0, whole, _MANY):
                    values: list[Any] = [None] * (_MANY * _WIDTH)
                    for place, column in enumerate(columns):
                        values[place::_WIDTH] = column[start : start + _MANY]
                    writer.execute(_INSERT_MANY, values)
                if whole < count:
                    writer.executemany(_INSERT, zip(*[column[whole:] for column in columns], strict=True))
                writer.execute("COMMIT")
        except BaseException as error:  # whatever went wrong, an interrupt included, must not leave it open
            self._roll_back(writer)
            if isinstance(error, apsw.Error):
                self._disconnect(writer)
            raise

    def erase(self, positions: Sequence[int]) -> int:
        """See ``Store.erase``. About 10 µs a record; nobody can append meanwhile."""
        if not positions:
            return 0
        with self._write_lock:
            self._check_open()
            if self.read_only:
                raise Unavailable(f"{self.path} was opened for reading only: erase through the process that writes.")
            try:
                writer = self._writer if self._writer is not None else self._reconnect()
                if not self._indexed:
                    self._index_all()
                there = {seq: name for seq, name in self._ids_at(positions).items() if name[:1] != "\0"}
                rows = [
                    (erased_id(mark), seq) for seq, mark in zip(there, hashes([*there.values()]).tolist(), strict=True)
                ]
                writer.pragma("secure_delete", 1)  # what is freed is overwritten
                with writer:
                    writer.executemany(_ERASE, rows)
            except apsw.Error as error:
                raise self._file.sentence(error, "write to") from error
            self._index.erase(positions)
            with self._find_lock:
                self._subject = _Subject("")
        try:
            self._index.purge(positions)  # also of those that were erased before: that may have ended here
        except OSError as error:
            raise Unavailable(f"The index of {self.path} can't be written ({error.strerror}): make room.") from error
        for _ in range(_TRIES):  # the write-ahead log still holds the pages as they were
            with contextlib.suppress(Unavailable):
                self._rescue()
                return len(rows)
            time.sleep(0.1)
        raise Unavailable(f"{self.path} is being read without end, so that its write-ahead log can't be emptied.")

    def _rescue(self) -> None:
        """Everything in the write-ahead log into the database, and that synced. Errors: ``Unavailable``."""
        with self._write_lock:
            try:
                writer = self._writer if self._writer is not None else self._reconnect()
                busy = fetch(writer, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
            except apsw.Error as error:
                raise self._file.sentence(error, "write to") from error
            if busy:
                raise Unavailable(f"{self.path} is being read by another process, and can't be synced: try again.")

    def _disconnect(self, writer: apsw.Connection) -> None:
        """After a failure nothing is believed that was read before it: the next append connects and looks anew."""
        self._writer = None
        self._indexed = False
        with contextlib.suppress(apsw.Error):
            writer.close()

    def _reconnect(self) -> apsw.Connection:
        self._writer = writer = self._file.writer()
        self._seq = last_of(writer)
        return writer

    def _index_all(self) -> None:
        """Make the index hold the whole log. Errors: ``CorruptArtefact``, ``Unavailable``."""
        self._index.open(self._seq, clean=True)
        query = "SELECT id, subject FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
        while (last := self._index.last) < self._seq:
            rows = self._query(query, (last, due := min(_CHUNK, self._seq - last)))
            if len(rows) < due:
                raise self._missing(last + 1, last + due, len(rows))
            self._index.add([row[0] for row in rows], [row[1] for row in rows])
        self._indexed = True

    def _ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        rows = self._query("SELECT seq, id FROM event WHERE seq IN carray(?)", (_carray(positions),))
        return {row[0]: row[1] for row in rows}

    def _missing(self, first: int, last: int, found: int) -> CorruptArtefact:
        return CorruptArtefact(
            f"{self.path} is damaged (of positions {first:,} to {last:,} only {found:,} are there): restore it from a "
            "backup."
        )

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
            reader = self._file.reader()
            query = f"SELECT {COLUMNS} FROM event WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
            stop = min(stop, last_of(reader))
            while after < stop:
                due = min(chunk, stop - after)
                rows = fetch(reader, query, (after, stop, chunk))
                # A damaged page can hide records without SQLite noticing; skipping them would make another state.
                if len(rows) != due or rows[-1][0] != after + due:
                    raise self._missing(after + 1, after + due, len(rows))
                after = rows[-1][0]
                if records := [Record(*row) for row in rows if row[3] != ERASED]:
                    yield records
        except (apsw.Error, UnicodeDecodeError) as error:
            raise self._file.sentence(error, "read") from error
        finally:
            if reader is not None:
                reader.close()

    def find(self, user: str, item: str | None, timestamp: int | None) -> list[Record]:
        """See ``Store.find``. The first time for a subject, a row is read for each of their events."""
        positions = self._events_of(user).at(timestamp)
        query = f"SELECT {COLUMNS} FROM event WHERE seq IN carray(?) ORDER BY seq"
        rows = self._query(query, (_carray(positions),)) if positions else []
        # Another process may have erased some since their positions were remembered.
        found = [Record(*row) for row in rows if row[3] != ERASED]
        return found if item is None else [record for record in found if concerns(record, item)]

    def _events_of(self, user: str) -> _Subject:
        """Positions and times of a subject's events; those of the last one asked for are remembered."""
        seq = self.seq
        with self._find_lock:
            subject = self._subject if self._subject.name == user else _Subject(user)
            if subject.seq == seq:
                return subject
            last = self._index.last if not self.read_only else self._open_index(seq)
            indexed = [one for one in self._index.positions(user, subject.seq) if one <= seq]
            rows = self._query(_TIMES_AT, (_carray(indexed), user)) if indexed else []
            if last < seq:  # another process writes the log: its newest events are in no run yet
                rows += self._query(_TIMES_AFTER, (max(last, subject.seq), seq, user))
            subject.add(rows, seq)
            self._subject = subject
            return subject

    def _open_index(self, seq: int) -> int:
        """Of a log that is only read: opened at first, and again when much was written since."""
        if not self._indexed or seq - self._index.last > 4 * FRESH:
            self._index.open(seq, clean=False)
            self._indexed = True
        return self._index.last

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
        self._index.close()
        with self._write_lock, self._read_lock:
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
                    self._reader = self._file.reader()
                return fetch(self._reader, sql, values)
            except (apsw.Error, UnicodeDecodeError) as error:
                raise self._file.sentence(error, "read") from error

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The event log is closed: open the engine again.")


def _carray(positions: Sequence[int]) -> Any:
    return apsw.carray(array("q", positions))


class _Subject:
    """Where in the log one subject's events are, and when they happened. seq: up to where that is known."""

    __slots__ = ("_at", "_positions", "name", "seq")

    def __init__(self, name: str) -> None:
        self.name = name
        self.seq = 0
        self._positions: list[int] = []
        self._at: dict[int, list[int]] = {}

    def add(self, rows: list[tuple[Any, ...]], seq: int) -> None:
        self._positions += [row[0] for row in rows]
        for position, ts, *_ in rows:
            self._at.setdefault(ts, []).append(position)
        self.seq = seq

    def at(self, timestamp: int | None) -> list[int]:
        """Positions of the events at ``timestamp``, of all of them for None."""
        if timestamp is None:
            return self._positions
        return self._at.get(timestamp, [])
