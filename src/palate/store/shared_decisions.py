"""The decision log of a directory that several processes write into, each into segments of its own.

A segment's number belongs to whoever created its file. Any process finds any decision: what another one has not
written yet, it writes when asked. One of them, the keeper, deletes what the caps push out.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from palate.config import DecisionSettings
from palate.errors import CorruptArtefact, Gone, NotFound
from palate.store import segments
from palate.store.decision import Decision, gone
from palate.store.decisions import SEGMENT_BYTES, DecisionLog, unavailable

_LOOK_SECONDS = 1.0
_NEVER = -1e9


class Writers(Protocol):
    """The processes that write into the directory."""

    def mine(self, segment: int) -> None:
        """This process writes into ``segment`` from now on."""
        ...

    def segments(self) -> set[int]:
        """The segments that any process writes into now."""
        ...

    def write_all(self) -> None:
        """Every other process writes what waits. Errors: ``Unavailable``."""
        ...

    def seal_all(self) -> None:
        """Every other process writes what waits, and goes on in another segment. Errors: ``Unavailable``."""
        ...


class SharedDecisionLog(DecisionLog):
    """See ``DecisionLog``. count: how many processes write. keeper: whether this one deletes what has expired.

    Each process holds one segment open, which never expires under it: ``max_bytes`` is kept to within these.
    """

    def __init__(
        self,
        directory: Path,
        settings: DecisionSettings,
        writers: Writers,
        count: int,
        keeper: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writers = writers
        self._keeper = keeper
        self._count = count
        self._looked = _NEVER
        super().__init__(
            directory, settings, False, min(SEGMENT_BYTES, max(settings.max_bytes // (4 * count), 4096)), clock
        )
        if settings.enabled:
            try:
                with self._io:
                    self._begin()
            except OSError as error:
                self.close()
                raise unavailable(directory, error) from None

    def get(self, ranking: str) -> Decision:
        """See ``DecisionLog.get``; a decision of another process, made a moment ago, is found too."""
        try:
            return super().get(ranking)
        except Gone:
            raise
        except NotFound:
            key, present = segments.parse_key(ranking), segments.numbers(self.directory)
            if key is None or not present or key.segment > present[-1]:
                raise
            if key.segment not in present:  # it was claimed once, as younger ones were
                raise gone(ranking, self.settings) from None
            self._writers.write_all()
            return super().get(ranking)

    def flush(self) -> None:
        """See ``DecisionLog.flush``; the other processes write too."""
        super().flush()
        if not self._closed:
            self._writers.write_all()

    def flush_own(self) -> None:
        """Write and sync what waits in this process. Errors: ``Unavailable``."""
        super().flush()

    def seal(self) -> None:
        """See ``DecisionLog.seal``; the other processes do so too."""
        self._writers.seal_all()
        self.seal_own()

    def seal_own(self) -> None:
        """Of this process alone."""
        self.flush_own()
        with self._io:
            self._rotate()
            self._writers.mine(0)

    def _sealed(self) -> list[int]:
        """See ``DecisionLog._sealed``. One that was begun just now has no records before its writer says that it is
        theirs; so those with records are looked for first."""
        paths = [(number, segments.path_of(self.directory, number)) for number in segments.numbers(self.directory)]
        filled: list[int] = []
        for number, path in paths:
            with contextlib.suppress(FileNotFoundError):
                filled += [number] if path.stat().st_size > segments.HEAD_BYTES else []
        return sorted(set(filled) - self._writers.segments())

    def _begin(self) -> int:
        """Claim a segment: its file is created, so that no other process can."""
        number = max((*segments.numbers(self.directory), self._current - 1)) + 1
        while True:
            try:
                fd = os.open(segments.path_of(self.directory, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                break
            except FileExistsError:
                number += 1
        self._write_head(fd, number)
        with self._lock:
            self._current, self._ordinal = number, 0
        self._writers.mine(number)
        return fd

    def _rotate(self) -> None:
        """The next write claims another segment; until then ids name this one, and are found in the next."""
        self._release()

    def _expire(self, extra: int) -> None:
        oldest = self._oldest()
        if self._size and self._files[self._current][1] < oldest:
            self._rotate()
        now = time.monotonic()
        if not self._keeper or now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        found: list[int] = []
        for number in segments.numbers(self.directory):
            with contextlib.suppress(CorruptArtefact):  # no segment of ours; opening the log names it
                found += [number] if self._learn(number) else []
        total = sum(self._files[number][0] for number in found) + extra
        # The newest are spared as well, one for each process: it may have claimed it, and not have said so yet.
        spared = {*self._writers.segments(), self._current, *found[-self._count :]}
        for number in found:
            size, begun = self._files[number]
            if total <= self.settings.max_bytes and begun >= oldest:
                break
            if number not in spared:
                segments.path_of(self.directory, number).unlink(missing_ok=True)
                del self._files[number]
                self._segments.pop(number, None)
                total -= size
