"""Syncing in the background, for logs whose ``durability`` is ``fast``."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from palate.errors import Unavailable

_log = logging.getLogger("palate.store")
_SECONDS = 0.5


class Syncer:
    """Syncs the write-ahead log of a ``fast`` store in a thread of its own, at most each ``_SECONDS``.

    It opens the file anew each time: SQLite holds its locks on the database and the index, never on this file,
    so closing a second descriptor here drops none of them.

    A sync that fails leaves it open what is on the disk: Linux tells of the failure once, takes the pages for clean,
    and the next sync has nothing to write (https://lwn.net/Articles/752063/). So after a failure, and once the disk
    syncs again, ``rescue`` has to write everything that the write-ahead log holds to another place and sync that;
    until then nothing more is taken. Errors of ``rescue``: ``Unavailable``.
    """

    def __init__(self, wal: Path, rescue: Callable[[], None]) -> None:
        self._wal = wal
        self._rescue = rescue
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._error: OSError | None = None
        self._told = False
        self._thread = threading.Thread(target=self._run, name="palate-sync", daemon=True)
        self._thread.start()

    def dirty(self) -> None:
        """Something was written."""
        self._wake.set()

    def check(self) -> None:
        """Errors: ``Unavailable`` when a sync has failed: once, and from then on for as long as the disk refuses."""
        if self._error is None:
            return
        if not self._told:
            self._told = True
            raise self._failed(self._error)
        self.now()

    def now(self) -> None:
        """Sync in this thread. Errors: ``Unavailable``."""
        with self._lock:
            try:
                self._sync()
            except OSError as error:
                self._error = error
                raise self._failed(error) from error
            if self._error is not None:
                self._rescue()
                self._error = None
                self._told = False

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
        """Sync for the last time, and stop."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(None if self._error is None else _SECONDS)
            self._wake.clear()
            known = self._error is not None
            try:
                self.now()
            except Unavailable as error:
                if not known:
                    _log.error("%s", error.message)
            self._stop.wait(_SECONDS)
