"""The file of an event log: its format, how it is opened, and what is said when that, or anything with it, fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import apsw

from palate.errors import CorruptArtefact, PalateError, Unavailable
from palate.store import Durability

FORMAT = 2
"""Kept in ``PRAGMA user_version``. Raised with every change of the schema."""
_APPLICATION = 0x50414C54  # "PALT", so that file(1) and this module know whose database it is

_TABLE = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    received INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
"""
_VERSION = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {FORMAT};"
COLUMNS = "seq, id, timestamp, kind, subject, received, payload"
# Format 1 had a unique index of ids and one of subjects, each of which made a commit write a page for every event.
_MIGRATION = f"""
DROP INDEX event_subject;
ALTER TABLE event RENAME TO event_1;
{_TABLE}
INSERT INTO event SELECT {COLUMNS} FROM event_1 ORDER BY seq;
DROP TABLE event_1;
"""

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


class LogFile:
    """``path`` as SQLite opens it; see ``SqliteStore`` for what is what. Errors of both: ``apsw.Error``,
    ``CorruptArtefact``, ``Unavailable``."""

    def __init__(self, path: Path, durability: Durability, read_only: bool, vfs: str | None, busy_ms: int) -> None:
        self.path = path
        self.durability = durability
        self.read_only = read_only
        self.vfs = vfs
        self.busy_ms = busy_ms

    def writer(self) -> apsw.Connection:
        """A connection that appends; it makes what is missing and brings an older format up to date."""
        writer = apsw.Connection(str(self.path), apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE, vfs=self.vfs)
        try:
            writer.set_busy_timeout(self.busy_ms)
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
                version = writer.pragma("user_version")
                if version < FORMAT:
                    writer.execute((_MIGRATION if version else _TABLE) + _VERSION)
        except BaseException:
            writer.close()
            raise
        return writer

    def reader(self) -> apsw.Connection:
        """A connection that reads."""
        # Not SQLITE_OPEN_READONLY: after a crash even a reader has to recover the write-ahead log's index.
        reader = apsw.Connection(str(self.path), apsw.SQLITE_OPEN_READWRITE, vfs=self.vfs)
        try:
            reader.set_busy_timeout(self.busy_ms)
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
        tables = fetch(connection, "SELECT count(*) FROM sqlite_schema")[0][0]
        if connection.pragma("application_id") != _APPLICATION and (version or tables):
            raise CorruptArtefact(f"{self.path} is a database of another program, not an event log: check the path.")
        if self.read_only and not tables:
            raise CorruptArtefact(f"{self.path} holds no event log yet: ingest something first, or restore a backup.")

    def sentence(self, error: apsw.Error | UnicodeDecodeError, verb: str) -> PalateError:
        """What to tell of a failure to ``verb`` (open, read, write to) the file."""
        if isinstance(error, apsw.CorruptError | apsw.NotADBError | UnicodeDecodeError):
            return CorruptArtefact(f"{self.path} is damaged or not an event log ({error}): restore it from a backup.")
        if isinstance(error, apsw.FullError):
            return Unavailable(f"The disk of {self.path} is full and nothing was stored: make room, then send again.")
        if isinstance(error, apsw.ConstraintError):
            return Unavailable(f"{self.path} was written to by another process: stop it, then send the events again.")
        if isinstance(error, apsw.BusyError | apsw.LockedError):
            return Unavailable(f"{self.path} is locked by another process: stop it, then send the events again.")
        if isinstance(error, _DISK_ERRORS):
            return Unavailable(f"Cannot {verb} {self.path} ({error}): check the disk and the rights, then try again.")
        return PalateError(f"Cannot {verb} {self.path}: {error}. This is a fault of Palate's; please report it.")


def fetch(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every row of a query."""
    return cast("list[tuple[Any, ...]]", connection.execute(sql, values).fetchall())


def last(connection: apsw.Connection) -> int:
    """The position of the last event."""
    return int(fetch(connection, "SELECT coalesce(max(seq), 0) FROM event")[0][0])
