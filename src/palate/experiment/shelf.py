"""Where experiments are kept: one JSON file of the directory, written whole, read again where it has changed."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import msgspec

from palate import ids
from palate.config import PolicySettings
from palate.disk import make_directory, sync_directory
from palate.errors import Conflict, CorruptArtefact, NotFound, Unavailable
from palate.experiment import Arm, Experiment, arm_of, check

_log = logging.getLogger("palate")
_LOOK = 0.5
"""Seconds between two looks at the file: other workers of the service may have changed it."""
_FILE = "experiments.json"
_decode = msgspec.json.Decoder(list[Experiment]).decode


class ExperimentShelf:
    """The experiments of a directory, in order of their start; in memory where ``path`` is None. Thread-safe."""

    def __init__(self, path: Path | None, policy: PolicySettings) -> None:
        self._path = None if path is None else path / _FILE
        self._policy = policy
        self._lock = threading.Lock()
        self._all: list[Experiment] = []
        self._stamp: tuple[int, int] | None = None
        self._damaged = ""  # why the file can't be read, '' where it can
        self._next = 0.0
        self.running: list[Experiment] = []
        self._refresh(time.monotonic())

    def list(self) -> list[Experiment]:
        """Every experiment, in order of creation."""
        self._refresh(time.monotonic())
        return list(self._all)

    def get(self, name: str) -> Experiment:
        """Errors: ``NotFound``."""
        for one in self.list():
            if one.name == name:
                return one
        raise _no_such(name)

    def start(self, experiment: Experiment, now: int) -> Experiment:
        """Keep it, and let it run from now on.

        Errors: ``InvalidInput``; ``Conflict`` for a name that is taken; ``CorruptArtefact`` where the file is damaged,
        which is left as it is; ``Unavailable`` where the disk refuses.
        """
        check(experiment, self._policy)
        started = msgspec.structs.replace(
            experiment,
            salt=experiment.salt or f"{ids.random_words(1)[0]:016x}",
            started=max(1, now),
            stopped=0,
            stopped_by="",
        )
        with self._lock:
            self._read()
            if any(one.name == experiment.name for one in self._all):
                raise Conflict(f"There is an experiment {experiment.name!r} already: choose another name.", "name")
            self._write([*self._all, started])
        return started

    def stop(self, name: str, now: int, why: str = "") -> Experiment:
        """Rank everybody as before from now on. why: the guardrail that wants it. Errors: ``NotFound``, ``Conflict``
        where it has ended; else those of ``start``."""
        with self._lock:
            self._read()
            found = next((one for one in self._all if one.name == name), None)
            if found is None:
                raise _no_such(name)
            if not found.running:
                raise Conflict(f"The experiment {name} has ended already.", "name")
            ended = msgspec.structs.replace(found, stopped=max(1, now), stopped_by=why)
            self._write([ended if one is found else one for one in self._all])
        return ended

    def of(self, subject: str | None) -> tuple[Experiment, Arm] | None:
        """The arm that ranks for a subject: of the experiment that was started first among those that they are in."""
        moment = time.monotonic()
        if moment >= self._next:
            self._refresh(moment)
        if not self.running or subject is None:
            return None
        for experiment in self.running:
            arm = arm_of(experiment, subject)
            if arm is not None:
                return experiment, arm
        return None

    def _refresh(self, moment: float) -> None:
        self._next = moment + _LOOK
        with self._lock:
            self._read()

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            self._set([], None)
            return
        except OSError as error:
            _log.error("%s can't be read: %s. The experiments known before go on.", self._path, error)
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp == self._stamp:
            return
        try:
            self._set(_decode(self._path.read_bytes()), stamp)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.error("%s can't be read: %s. The experiments known before go on.", self._path, error)
            self._stamp, self._damaged = stamp, str(error)

    def _set(self, found: list[Experiment], stamp: tuple[int, int] | None) -> None:
        self._all, self._stamp, self._damaged = found, stamp, ""
        self.running = sorted((one for one in found if one.running), key=lambda one: one.started)

    def _write(self, found: list[Experiment]) -> None:
        if self._path is None:
            self._set(found, None)
            return
        if self._damaged:
            raise CorruptArtefact(
                f"{self._path} can't be read: {self._damaged}. Mend it, or move it away, and try again."
            )
        aside = self._path.with_name(f".{_FILE}.{os.getpid()}")
        try:
            make_directory(self._path.parent)
            with aside.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(found)))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
            sync_directory(self._path.parent)
            status = os.stat(self._path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise Unavailable(f"{self._path} can't be written: {error}. Nothing was changed.") from None
        self._set(found, (status.st_mtime_ns, status.st_ino))


def _no_such(name: str) -> NotFound:
    return NotFound(
        f"There is no experiment {name[:80]!r}: palate experiment list (GET /v1/experiments) names them.", "name"
    )
