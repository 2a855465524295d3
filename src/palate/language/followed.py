"""The vector cache of a process that leaves encoding to another one on the same directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from palate.errors import Unavailable
from palate.language import Encoder
from palate.language.cache import VectorCache


class FollowedVectors(VectorCache):
    """Knows the texts that the other process has put into the file, as of the last ``refresh``; queries are its own.

    known: a cache of the same file whose index is taken over (shared memory after a fork), so that the file needn't be
    read again. Nothing is ever written: encoding a text that isn't known gives ``Unavailable``.
    """

    def __init__(self, path: Path, encoder: Encoder, known: VectorCache | None = None) -> None:
        super().__init__(None, encoder)
        self._path = file = path / f"{encoder.name}.bin"
        try:
            self._file = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            if known is not None and known._file is not None and os.path.sameopenfile(known._file, self._file):
                self._row_of, self._rows = known._row_of, known._rows
        except OSError as error:
            raise Unavailable(f"The vector file {file} can't be opened: {error.strerror}.") from error
        self.refresh()

    def refresh(self) -> None:
        """Learn what the other process has written; of another file, once it has put one in its place."""
        assert self._path is not None
        with self._lock:
            file = self._file
            if file is None:
                raise Unavailable(f"The vector file {self._path} is closed.")
            try:
                if self._path.exists() and not os.path.samestat(os.fstat(file), self._path.stat()):
                    fresh = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                    os.close(file)
                    self._file, self._row_of, self._rows = fresh, {}, 0
                    file = fresh
                elif len(self._mapped()) == self._rows:
                    return
                fcntl.flock(file, fcntl.LOCK_SH)  # what is half-written would be taken for damaged
                try:
                    self._refresh()
                finally:
                    fcntl.flock(file, fcntl.LOCK_UN)
            except OSError as error:
                raise Unavailable(f"The vector file {self._path} can't be read: {error.strerror}.") from error
