"""The journal of a search: one line of JSON for each finished trial, so that a search goes on where it was ended.

::

    tune/trials.ndjson    the fingerprint of what is searched, then a trial a line, each synced before the next begins

A line that a crash tore is left out, and its trial made again. A journal of another log, other settings or another
search is begun anew.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from palate.config import Settings
from palate.disk import make_directory, sync_directory
from palate.errors import Unavailable
from palate.train.replay import feature_key

FILE = "trials.ndjson"
_FORMAT = 1


class Trial(msgspec.Struct):
    """params: by full name of the setting; value: on the half that chooses; held: gains on the other half."""

    params: dict[str, Any]
    value: float
    held: list[float]


class _Head(msgspec.Struct):
    format: int
    fingerprint: str


def fingerprint(settings: Settings, seq: int, names: list[str], seed: int) -> str:
    """What a journal belongs to: settings, features, log position, and what is searched from which seed."""
    parts = [msgspec.json.encode(part) for part in (settings, feature_key(), seq, names, seed)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Journal:
    """Trials on disk, or in memory where there is no directory. Errors: ``Unavailable`` when the disk refuses."""

    def __init__(self, directory: Path | None, mark: str) -> None:
        self.trials: list[Trial] = []
        self._file: BinaryIO | None = None
        if directory is None:
            return
        path = directory / FILE
        try:
            make_directory(directory)
            kept = self._read(path, mark)
            self._file = path.open("r+b" if kept else "wb")
            if kept:
                self._file.truncate(kept)
                self._file.seek(kept)
            else:
                self._write(_Head(_FORMAT, mark))
                sync_directory(directory)
        except OSError as error:
            raise Unavailable(f"The journal {path} can't be used: {error}.") from error

    def _read(self, path: Path, mark: str) -> int:
        """Take the trials of ``path``, if it is of this search; the bytes that are whole, 0 to begin anew."""
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return 0
        try:
            head = msgspec.json.decode(lines[0], type=_Head)
        except (IndexError, msgspec.MsgspecError, UnicodeDecodeError):
            return 0
        if head != _Head(_FORMAT, mark):
            return 0
        whole = len(lines[0])
        for line in lines[1:]:
            try:
                trial = msgspec.json.decode(line, type=Trial) if line.endswith(b"\n") else None
            except (msgspec.MsgspecError, UnicodeDecodeError):
                trial = None
            if trial is None:
                break
            self.trials.append(trial)
            whole += len(line)
        return whole

    def add(self, trial: Trial) -> None:
        """A finished trial, on disk when this returns."""
        self.trials.append(trial)
        if self._file is not None:
            try:
                self._write(trial)
            except OSError as error:
                raise Unavailable(f"The journal of trials can't be written: {error}.") from error

    def _write(self, line: msgspec.Struct) -> None:
        assert self._file is not None
        self._file.write(msgspec.json.encode(line) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
