"""The decision log: what was shown, why, with what probability, and the features that it was chosen by.

One compact record a decision in append-only segment files. Appending never waits for the disk: a thread writes
and syncs every ``flush_seconds``, so a crash or a power loss costs at most the decisions of the last
``flush_seconds`` and the one flush that was under way. What the caps (bytes, days) push out goes by whole segments,
the oldest first.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path

from palate import ids
from palate.config import DecisionSettings
from palate.disk import make_directory, sync_directory
from palate.errors import Unavailable
from palate.store import segments
from palate.store.decision import (
    Asked,
    Decision,
    Shown,
    Unshown,
    concerns_any,
    decode,
    gone,
    not_found,
    pack,
    try_encode,
)
from palate.store.segments import Key, Segment

__all__ = ["Asked", "Decision", "DecisionLog", "Shown", "Unshown", "pack"]

_log = logging.getLogger("palate.store")

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_PENDING = 10_000
MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Decisions, and their bytes, that may wait while the disk refuses; further ones are dropped and counted."""
_DAY_MS = 86_400_000
_NONCES = 512
_AT_ONCE = 16
"""Records that are written without a pause, about a fifth of a millisecond's work."""


class DecisionLog:
    """The decisions of a directory. Safe to use from several threads; one process writes, others may read.

    ``directory`` is created where absent. ``clock``: Unix seconds. Memory: what waits to be written, and 12 bytes a
    decision once ``get`` has looked into its segment. A decision lives at most ``max_days``, and no less than that
    minus a quarter (minus a day, from four days on), unless ``max_bytes`` pushes it out before.
    """

    def __init__(
        self,
        directory: Path,
        settings: DecisionSettings,
        read_only: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.settings = settings
        self.appended = 0
        self.dropped = 0
        self._read_only = read_only
        self._segment_bytes = min(segment_bytes, max(settings.max_bytes // 4, 4096))
        self._clock = clock
        self._lock = threading.Lock()  # guards the plain state
        self._io = threading.RLock()  # guards what is written; taken before _lock
        self._looking = threading.Lock()  # guards _segments, so that a look-up never waits for a sync
        self._pending: dict[Key, bytes] = {}
        self._pending_bytes = 0
        self._segments: dict[int, Segment] = {}
        self._ordinal = 0
        self._current = 1
        self._fd: int | None = None
        self._size = 0
        self._files: dict[int, tuple[int, int]] = {}  # segment: bytes, creation time in ms
        self._closed = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._nonces: list[int] = []
        self._drawn_by = 0
        if read_only or not settings.enabled:
            return
        try:
            make_directory(directory)
            for number in segments.numbers(directory):
                self._learn(number)
            # Always a new segment: whatever a crash left at the end of the last one is never written over.
            self._current = max(self._files, default=0) + 1
            self._expire(0)
        except OSError as error:
            raise unavailable(directory, error) from None
        self._thread = threading.Thread(target=self._run, name="palate-decisions", daemon=True)
        self._thread.start()

    def reserve(self) -> str:
        """A fresh id for a ranking: where to look for its decision, and 64 random bits. About 2 µs."""
        with self._lock:
            self._ordinal += 1
            return Key(self._current, self._ordinal, self._nonce()).text()

    def _nonce(self) -> int:
        """64 bits from the system's generator, which is asked for many at a time, and by every process for its own."""
        if not self._nonces or self._drawn_by != os.getpid():
            self._nonces = ids.random_words(_NONCES)
            self._drawn_by = os.getpid()
        return self._nonces.pop()

    def keeps_unshown(self, ranking: str) -> bool:
        """Whether this decision is of the sample (``settings.sample``) that keeps its unshown candidates."""
        return segments.sampled(ranking, self.settings.sample)

    def append(self, ranking: str, decision: Decision) -> None:
        """Log ``decision`` under the reserved id ``ranking``; it must not change afterwards. Never waits for the disk.

        Errors: ``NotFound`` for an id that no ``reserve`` gave, ``Unavailable`` when closed or opened for reading.
        While the disk refuses, ``MAX_PENDING`` decisions wait, or those of ``MAX_PENDING_BYTES``; more are dropped,
        counted in ``dropped``. Cost: about 2 µs, 5 µs with 400 unshown candidates.
        """
        key = segments.parse_key(ranking)
        if key is None:
            raise not_found(ranking)
        if not self.settings.enabled:
            return
        decision.ranking = ranking
        body = try_encode(decision)
        with self._lock:
            if self._closed or self._read_only:
                raise Unavailable(
                    f"The decision log {self.directory} is closed or was opened for reading: open the engine again."
                )
            waiting = len(self._pending)
            full = waiting >= MAX_PENDING or (waiting and self._pending_bytes + len(body or b"") > MAX_PENDING_BYTES)
            if body is None or full:
                self.dropped += 1
                return
            self.appended += 1
            self._pending_bytes += len(body) - len(self._pending.get(key, b""))
            self._pending[key] = body
        if not self._wake.is_set():  # it is cleared before what waits is looked at
            self._wake.set()

    def get(self, ranking: str) -> Decision:
        """The decision with this id, whether written yet or not.

        Errors: ``NotFound`` for an id that is none, or whose decision a crash lost; ``Gone`` once it has expired.
        Cost: a look into one segment, 0.1 ms once it has been read.
        """
        key = segments.parse_key(ranking)
        if key is None or not self.settings.enabled:
            raise not_found(ranking)
        with self._lock:
            waiting = self._pending.get(key)
        if waiting is not None:
            return decode(waiting, "memory")
        with self._looking:
            present = segments.numbers(self.directory)
            # A decision lies in the segment of its reservation, or in a later one when it took its time.
            for number in present:
                if number >= key.segment and (found := self._look(number, key)) is not None:
                    return found
        if present and key.segment < present[0]:
            raise gone(ranking, self.settings)
        raise not_found(ranking)

    def _look(self, number: int, key: Key) -> Decision | None:
        path = segments.path_of(self.directory, number)
        segment = self._segments.setdefault(number, Segment(path))
        try:
            body = segment.find(key)
        except FileNotFoundError:  # expired a moment ago, by the process that writes
            self._segments.pop(number, None)
            return None
        except OSError as error:
            raise unavailable(self.directory, error) from None
        return None if body is None else decode(body, str(path))

    def read(self) -> Iterator[Decision]:
        """Every decision, oldest first; what waits is written before. Damaged segments are read up to the damage.

        Cost: about 20 µs a decision with 100 features for 10 items. Errors: ``Unavailable``, ``CorruptArtefact``.
        """
        return self.of(())

    def of(self, subjects: Collection[str]) -> Iterator[Decision]:
        """Those about any of ``subjects`` (a user, or a NUL and a session), all for none. Errors: as ``read``."""
        if not self._read_only and self.settings.enabled and not self._closed:
            self.flush()
        for number in segments.numbers(self.directory):
            path = segments.path_of(self.directory, number)
            try:
                if segments.created(path) is None:
                    continue
                for body in segments.bodies(path, subjects):
                    if not subjects or concerns_any(body, subjects):
                        yield decode(body, str(path))
            except FileNotFoundError:  # expired meanwhile
                continue
            except OSError as error:
                raise unavailable(self.directory, error) from None

    def erase(self, subjects: Collection[str]) -> int:
        """Take every decision about any of ``subjects`` out of the files; returns how many. Errors: ``Unavailable``."""
        if self._read_only or not self.settings.enabled:
            return 0
        try:
            self.seal()
            with self._io:
                count = 0
                for number in self._sealed():
                    path = segments.path_of(self.directory, number)
                    count += segments.rewrite(path, lambda body: not concerns_any(body, subjects), subjects)
                    self._learn(number)
                return count
        except OSError as error:
            raise unavailable(self.directory, error) from None

    def seal(self) -> None:
        """Write what waits, and go on in another segment. Errors: ``Unavailable``."""
        self.flush()
        with self._io:
            self._rotate()

    def _sealed(self) -> list[int]:
        """Segments that nobody writes into any more."""
        return segments.numbers(self.directory)

    def flush(self) -> None:
        """Write and sync what waits. Errors: ``Unavailable``; then everything unwritten still waits."""
        try:
            self._flush()
        except OSError as error:
            raise unavailable(self.directory, error) from None

    def close(self) -> None:
        """Write what waits and let go of the files. Closing twice is fine. Errors: ``Unavailable``, but closed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            try:
                self.flush()
            finally:
                self._release()

    def _run(self) -> None:
        failing = False
        while not self._stop.is_set():
            self._wake.wait(3600.0)  # the hour is for what expires while nothing is appended
            half = self.settings.flush_seconds / 2
            self._stop.wait(half)
            self._wake.clear()
            try:
                self._flush(half)
                failing = False
            except OSError as error:
                if not failing:
                    _log.error(
                        "Writing decisions to %s failed: %s. They wait and are tried again.", self.directory, error
                    )
                failing = True
                self._wake.set()

    def _flush(self, over: float = 0.0) -> None:
        with self._io:
            while True:
                with self._lock:
                    batch = list(islice(self._pending.items(), 1024))
                if not batch:
                    break
                done = self._write(batch, over)
                with self._lock:
                    for key, _ in batch[:done]:
                        self._pending_bytes -= len(self._pending.pop(key, b""))
            self._expire(0)

    def _write(self, batch: list[tuple[Key, bytes]], over: float) -> int:
        """Write the head of ``batch`` that fits into the current segment, and sync; returns how many.

        over: seconds to take for it, a few records at a time: written at once they would hold requests up for
        milliseconds.
        """
        now = self._now()
        if self._size and (self._size >= self._segment_bytes or now - self._files[self._current][1] > self._turn_ms):
            self._rotate()
        begun = self._size or segments.HEAD_BYTES
        size, fits = begun, 0
        for _, body in batch:
            record = segments.RECORD_BYTES + len(body)
            if size + record > self._segment_bytes and (fits or begun != segments.HEAD_BYTES):
                break  # only an empty segment takes a record that is larger than a segment should be
            size += record
            fits += 1
        if not fits:
            self._rotate()
            return 0
        self._expire(size - begun + segments.HEAD_BYTES)
        fd = self._begin() if self._fd is None else self._fd
        os.ftruncate(fd, self._size)  # whatever an earlier failure left behind
        at = self._size
        for start in range(0, fits, _AT_ONCE):
            if start and over:
                self._stop.wait(over * _AT_ONCE / fits)
            some = batch[start : min(fits, start + _AT_ONCE)]
            payload = b"".join([part for key, body in some for part in (segments.record_head(key, body), body)])
            segments.write_at(fd, payload, at)
            at += len(payload)
        os.fsync(fd)
        self._size = at
        self._files[self._current] = (self._size, self._files[self._current][1])
        return fits

    def _begin(self) -> int:
        """Create the current segment, durably; returns its descriptor."""
        fd = os.open(segments.path_of(self.directory, self._current), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._write_head(fd, self._current)
        return fd

    def _write_head(self, fd: int, number: int) -> None:
        """The head of a segment that was created, durably; what comes next goes there. Errors: ``OSError``."""
        now = self._now()
        try:
            segments.write_at(fd, segments.head(now), 0)
            os.fsync(fd)
            sync_directory(self.directory)
        except OSError:
            os.close(fd)
            raise
        self._fd, self._size = fd, segments.HEAD_BYTES
        self._files[number] = (self._size, now)

    @property
    def _turn_ms(self) -> float:
        return min(1.0, self.settings.max_days / 4) * _DAY_MS

    def _rotate(self) -> None:
        self._release()
        with self._lock:
            self._current += 1
            self._ordinal = 0

    def _release(self) -> None:
        fd, self._fd, self._size = self._fd, None, 0
        if fd is not None:
            os.close(fd)

    def _expire(self, extra: int) -> None:
        """Delete the oldest segments until the caps hold with ``extra`` bytes more; never the current one."""
        oldest = self._oldest()
        if self._size and self._files[self._current][1] < oldest:
            self._rotate()
        total = sum(size for size, _ in self._files.values()) + extra
        for number in sorted(self._files):
            size, begun = self._files[number]
            if number == self._current or (total <= self.settings.max_bytes and begun >= oldest):
                break
            segments.path_of(self.directory, number).unlink(missing_ok=True)
            del self._files[number]
            self._segments.pop(number, None)
            total -= size
            if not self._files:
                self._begin()  # segment numbers must never start again, or ids long gone would look like new ones

    def _learn(self, number: int) -> bool:
        """Note size and age of a segment. False where it is gone. Errors: ``CorruptArtefact``, ``OSError``."""
        path, known = segments.path_of(self.directory, number), self._files.get(number)
        try:
            begun = known[1] if known is not None else segments.created(path) or self._now()
            self._files[number] = (path.stat().st_size, begun)
        except FileNotFoundError:
            self._files.pop(number, None)
            return False
        return True

    def _oldest(self) -> float:
        """Unix ms before which a segment must have been begun to have expired."""
        return self._now() - self.settings.max_days * _DAY_MS

    def _now(self) -> int:
        return int(self._clock() * 1000)


def unavailable(directory: Path, error: OSError) -> Unavailable:
    """The error for a decision log whose disk refuses."""
    return Unavailable(f"The decision log {directory} fails ({error.strerror}): check the disk and the rights.")
