"""Kept answers of a generator, bounded, in memory or in a file (SQLite) of which a part is in memory too."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from pathlib import Path

import apsw

from palate.errors import Unavailable

_IN_MEMORY = 4096
_log = logging.getLogger("palate")


class Answers:
    """At most ``limit`` answers by key; the least recently used go first. Safe for several threads and processes.

    path: the file, made when absent; one that is no such file any more is kept aside as ``.broken`` and begun anew.
    Errors: ``Unavailable`` where the file can't be opened. Later trouble with the disk costs answers, never a call.
    """

    def __init__(self, path: Path | None, limit: int) -> None:
        self._limit = limit
        self._memory: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._file: apsw.Connection | None = None
        self._puts = 0
        if path is not None and limit:
            self._file = _opened(path)

    @property
    def on_disk(self) -> bool:
        """Whether there is more than what is in memory."""
        return self._file is not None

    def recent(self, key: bytes) -> str | None:
        """The answer if it is in memory. Never waits for a disk."""
        with self._lock:
            found = self._memory.get(key)
            if found is not None:
                self._memory.move_to_end(key)
            return found

    def get(self, key: bytes) -> str | None:
        """The answer from memory or file."""
        found = self.recent(key)
        if found is not None:
            return found
        with self._disk, contextlib.suppress(apsw.Error):
            if self._file is None:
                return None
            for (text,) in self._file.execute("SELECT text FROM answers WHERE key = ?", (key,)):
                found = str(text)
            if found is not None:
                self._file.execute("UPDATE answers SET used = ? WHERE key = ?", (time.time_ns(), key))
        if found is not None:
            self._remember(key, found)
        return found

    def put(self, key: bytes, text: str) -> None:
        """Keep it."""
        if not self._limit:
            return
        self._remember(key, text)
        with self._disk:
            if self._file is None:
                return
            try:
                self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, text, time.time_ns()))
                self._puts += 1
                if self._puts % 16 == 1:
                    self._file.execute(
                        "DELETE FROM answers WHERE key IN "
                        "(SELECT key FROM answers ORDER BY used DESC LIMIT -1 OFFSET ?)",
                        (max(1, self._limit - 16) if self._limit > 16 else self._limit,),
                    )
            except apsw.Error as error:
                _log.warning("An answer of the generator could not be kept: %s", error)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        with self._disk:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _remember(self, key: bytes, text: str) -> None:
        with self._lock:
            self._memory[key] = text
            self._memory.move_to_end(key)
            while len(self._memory) > min(self._limit, _IN_MEMORY):
                self._memory.popitem(last=False)


def _opened(path: Path) -> apsw.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _begun(path)
        except (apsw.NotADBError, apsw.CorruptError):
            path.replace(path.with_name(path.name + ".broken"))
            _log.warning("The kept answers %s are broken: kept as %s.broken, begun anew.", path, path.name)
            return _begun(path)
    except (OSError, apsw.Error) as error:
        raise Unavailable(
            f"The kept answers {path} can't be opened: {error}. The file is a cache: it may go."
        ) from None


def _begun(path: Path) -> apsw.Connection:
    file = apsw.Connection(str(path))
    try:
        file.set_busy_timeout(1000)
        file.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")
        file.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, text TEXT NOT NULL, used INTEGER NOT NULL) "
            "WITHOUT ROWID; CREATE INDEX IF NOT EXISTS by_use ON answers (used)"
        )
    except BaseException:
        file.close()
        raise
    return file
