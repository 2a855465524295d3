"""What the processes of a service share: a few numbers, counters by name, the latest part of the log.

One anonymous mapping, made by the supervisor before it forks. Every word has one writer, and words are aligned, so that
none is ever read half-written. What is longer than a word carries a checksum or is written before its length.
"""

from __future__ import annotations

import mmap
import zlib
from array import array
from collections.abc import Iterator
from struct import Struct

PUBLISHED = 0
"""Position of the log up to which everything may have been acknowledged: whoever answers must have folded it."""
COMMITTED = 1
"""Position up to which the log is durable, folded by the leader or not."""
BEHIND = 8
"""Milliseconds that event time is behind the wall clock: nothing on live traffic, years on an imported history."""
REFOLDED = 9
"""How often the leader has made its state anew from a log that has lost events (``erasure``)."""
_RESERVED = 2
_WRITTEN = 3
_DRAINING = 4
_RESTARTS = 5
_TEXT = 6
_HURRYING = 7
_MARKS = 16

_PID = 0
_STAGE = 1
_SEGMENT = 2
_NAMES = 3
_FIXED = 8
_CELLS = 2048
_NAME_BYTES = 128
_TEXT_BYTES = 2048
SESSIONS = 1024
SESSION_BYTES = 40
RECENT = 2048
"""Latencies remembered of each route."""

STARTING, READY = 1, 2
"""Stages of a worker; 0: there is none."""

_FRAME = Struct("<IIqq")
RING_BYTES = 4 * 1024 * 1024


class Slot:
    """What one worker tells the others. It outlives the worker: its successor counts on."""

    def __init__(self, memory: memoryview, routes: int) -> None:
        self._fixed = memory[: 8 * _FIXED].cast("q")
        end = 8 * _FIXED + 8 * _CELLS
        self.cells = memory[8 * _FIXED : end].cast("q")
        self._names = memory[end : end + _CELLS * _NAME_BYTES]
        end += _CELLS * _NAME_BYTES
        self.recent = [memory[end + 8 * RECENT * n :][: 8 * RECENT].cast("d") for n in range(routes)]
        end += 8 * RECENT * routes
        self.sessions = memory[end : end + SESSIONS * SESSION_BYTES]
        self._known: dict[str, int] = {}

    @staticmethod
    def size(routes: int) -> int:
        """Bytes of a slot."""
        return 8 * _FIXED + _CELLS * (8 + _NAME_BYTES) + 8 * RECENT * routes + SESSIONS * SESSION_BYTES

    @property
    def pid(self) -> int:
        """The process of the worker, 0 where there is none."""
        return self._fixed[_PID]

    @property
    def stage(self) -> int:
        """0, ``STARTING`` or ``READY``."""
        return self._fixed[_STAGE]

    @stage.setter
    def stage(self, value: int) -> None:
        self._fixed[_STAGE] = value

    @property
    def segment(self) -> int:
        """The segment of the decision log that the worker writes into, 0 where there is none."""
        return self._fixed[_SEGMENT]

    @segment.setter
    def segment(self, value: int) -> None:
        self._fixed[_SEGMENT] = value

    def take(self, pid: int) -> None:
        """A worker begins here (``pid`` 0: has ended)."""
        self._fixed[_STAGE] = STARTING if pid else 0
        self._fixed[_PID] = pid
        self._fixed[_SEGMENT] = 0
        self._known = {name: place for place, name in enumerate(self.names())}
        self.cell("other")

    def cell(self, name: str) -> int:
        """The place of the counter ``name`` in ``cells``, made now where it is new; only the slot's own worker asks.

        Where no room is left, that of ``other``.
        """
        place = self._known.get(name)
        if place is not None:
            return place
        data, place = name.encode(), len(self._known)
        if place == _CELLS or len(data) >= _NAME_BYTES:
            return 0
        at = place * _NAME_BYTES
        self._names[at + 1 : at + 1 + len(data)] = data
        self._names[at] = len(data)
        self._known[name] = place
        self._fixed[_NAMES] = place + 1
        return place

    def counter(self, name: str) -> int:
        """The value of the counter ``name``, 0 where this slot has none; any process may ask."""
        return next((self.cells[place] for place, known in enumerate(self.names()) if known == name), 0)

    def names(self) -> Iterator[str]:
        """The names of the counters, in the order of ``cells``."""
        for at in range(0, self._fixed[_NAMES] * _NAME_BYTES, _NAME_BYTES):
            yield bytes(self._names[at + 1 : at + 1 + self._names[at]]).decode()


class Board:
    """The mapping. workers: how many slots. routes: how many latencies a slot keeps. started: Unix seconds.

    Memory: 4 MB, and 450 kB a worker, of which only what is written to is ever allocated.
    """

    def __init__(self, workers: int, routes: int, started: float, ring_bytes: int = RING_BYTES) -> None:
        size = Slot.size(routes)
        begin = 8 * _MARKS + _TEXT_BYTES
        self._memory = memoryview(mmap.mmap(-1, begin + workers * size + ring_bytes))
        self.started = started
        self.marks = self._memory[: 8 * _MARKS].cast("q")
        self._text = self._memory[8 * _MARKS : begin]
        self.slots = [Slot(self._memory[begin + n * size :][:size], routes) for n in range(workers)]
        self._ring = self._memory[begin + workers * size :]

    @property
    def draining(self) -> bool:
        """Whether the whole service is being stopped."""
        return bool(self.marks[_DRAINING])

    def drain(self) -> None:
        """Readiness is off from now on, in every worker."""
        self.marks[_DRAINING] = 1

    @property
    def hurrying(self) -> bool:
        """Whether it is being stopped at once, finished or not."""
        return bool(self.marks[_HURRYING])

    def hurry(self) -> None:
        """Nothing in flight is waited for any more."""
        self.marks[_HURRYING] = 1

    @property
    def restarts(self) -> int:
        """How many workers ended unbidden and were started again."""
        return self.marks[_RESTARTS]

    def restarted(self) -> None:
        """One more did. Only the supervisor says so."""
        self.marks[_RESTARTS] += 1

    @property
    def ready(self) -> bool:
        """Whether every worker takes traffic."""
        return not self.draining and all(slot.stage == READY for slot in self.slots)

    @property
    def training(self) -> str:
        """How training stands with the leader."""
        return bytes(self._text[: self.marks[_TEXT]]).decode("utf-8", "replace")

    @training.setter
    def training(self, text: str) -> None:
        data = text.encode("utf-8", "replace")[:_TEXT_BYTES]
        self._text[: len(data)] = data
        self.marks[_TEXT] = len(data)

    def totals(self) -> dict[str, int]:
        """Every counter, summed over the workers, those that have ended included."""
        found: dict[str, int] = {}
        for slot in self.slots:
            for place, name in enumerate(slot.names()):
                found[name] = found.get(name, 0) + slot.cells[place]
        return found

    def recent(self, route: int, counts: list[int]) -> array[float]:
        """The latest latencies of a route, seconds, unordered; ``counts``: observations a slot."""
        found = array("d")
        for slot, count in zip(self.slots, counts, strict=True):
            found.extend(slot.recent[route][: min(count, RECENT)])
        return found

    # ------------------------------------------------------------------------- the ring

    @property
    def ring_end(self) -> int:
        """Bytes ever written to the ring: where its next frame begins."""
        return self.marks[_WRITTEN]

    def reopen_ring(self) -> None:
        """A new leader goes on behind the last whole frame."""
        self.marks[_RESERVED] = self.marks[_WRITTEN]

    def append(self, first: int, last: int, body: bytes) -> None:
        """A frame with the log's records ``first`` to ``last``. One that would fill much of the ring is left out:
        whoever misses it reads the log."""
        length = _FRAME.size + len(body)
        padded = -length % 8
        if length > len(self._ring) // 4:
            return
        start = self.marks[_RESERVED]
        self.marks[_RESERVED] = start + length + padded  # said before writing, so that readers notice what it destroys
        self._put(start, _FRAME.pack(len(body), zlib.crc32(body), first, last))
        self._put(start + _FRAME.size, body)
        self.marks[_WRITTEN] = start + length + padded

    def frame(self, at: int) -> tuple[int, int, int, bytes] | None:
        """(first, last, where the next frame begins, body) of the frame at ``at``, which lies before ``ring_end``.

        None where it has been written over.
        """
        size, checksum, first, last = _FRAME.unpack(self._get(at, _FRAME.size))
        if self.marks[_RESERVED] - at > len(self._ring) or size > len(self._ring):
            return None
        body = self._get(at + _FRAME.size, size)
        if self.marks[_RESERVED] - at > len(self._ring) or zlib.crc32(body) != checksum:
            return None
        length = _FRAME.size + size
        return first, last, at + length + -length % 8, body

    def _put(self, at: int, data: bytes) -> None:
        place = at % len(self._ring)
        head = min(len(data), len(self._ring) - place)
        self._ring[place : place + head] = data[:head]
        if head < len(data):
            self._ring[: len(data) - head] = data[head:]

    def _get(self, at: int, size: int) -> bytes:
        place = at % len(self._ring)
        head = min(size, len(self._ring) - place)
        found = bytes(self._ring[place : place + head])
        return found if head == size else found + bytes(self._ring[: size - head])
