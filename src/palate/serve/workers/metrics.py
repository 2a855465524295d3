"""What the service counts, summed over its workers; and the dashboard's sessions, valid in all of them."""

from __future__ import annotations

import os
import struct
import time
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path

from palate.engine import Engine
from palate.serve.metrics import BOUNDS, Histogram, Latency, Metrics, percentiles
from palate.serve.security import SESSION_SECONDS, Sessions, hash_key
from palate.serve.workers.board import READY, SESSION_BYTES, SESSIONS, Board, Slot
from palate.types import IngestResult, Ranking

ROUTES = ("events", "rank", "recommend")
_EXPIRY = struct.Struct("<d")
_DIGEST = SESSION_BYTES - _EXPIRY.size
_TICK = os.sysconf("SC_CLK_TCK")


class SharedHistogram(Histogram):
    """Latency of one route in this worker's slot; what is read is every worker's."""

    def __init__(self, board: Board, slot: Slot, route: str) -> None:
        super().__init__()
        self._board = board
        self._route = route
        self._cells = slot.cells
        self._ring = slot.recent[ROUTES.index(route)]
        self._buckets = [slot.cell(f"latency {route} {place}") for place in range(len(BOUNDS) + 1)]
        self._count, self._nanoseconds = slot.cell(f"latency {route} count"), slot.cell(f"latency {route} ns")

    def observe(self, seconds: float) -> None:
        """See ``Histogram.observe``. About 1 µs."""
        cells, count = self._cells, self._cells[self._count]
        cells[self._buckets[bisect_left(BOUNDS, seconds)]] += 1
        self._ring[count % len(self._ring)] = seconds
        cells[self._count] = count + 1
        cells[self._nanoseconds] += int(seconds * 1e9)

    def latency(self) -> Latency:
        """See ``Histogram.latency``; over the recent requests of every worker."""
        route = ROUTES.index(self._route)
        counts = [slot.counter(f"latency {self._route} count") for slot in self._board.slots]
        return percentiles(sum(counts), self._board.recent(route, counts))


class SharedMetrics(Metrics):
    """The counters of this worker's slot; the page of ``/metrics`` sums all workers, those that have ended included."""

    def __init__(self, board: Board, slot: Slot) -> None:
        super().__init__()
        self.started = board.started
        self.latency = {route: SharedHistogram(board, slot, route) for route in ROUTES}
        self._board = board
        self._slot = slot
        slot.cells[slot.cell("queue")] = 0

    @property
    def queue(self) -> int:
        """Events that wait for the disk, in all workers."""
        return self._board.totals().get("queue", 0)

    def waits(self, events: int) -> None:
        self._add("queue", events)

    def request(self, route: str, status: int) -> None:
        self._add(f"requests {status} {route}", 1)

    def ingested(self, result: IngestResult) -> None:
        self._add("events accepted", result.accepted)
        self._add("events duplicate", result.duplicates)
        self._add("events rejected", len(result.rejected))

    def ranked(self, ranking: Ranking) -> None:
        if ranking.degraded:
            self._add("degraded", 1)

    def render(self, engine: Engine) -> str:
        """The page of ``/metrics``, the same at every worker."""
        ready = sum(slot.stage == READY for slot in self._board.slots)
        return _Summed(self._board).render(engine) + (
            "# HELP palate_workers Workers that take traffic.\n# TYPE palate_workers gauge\n"
            f"palate_workers {ready}\n"
            "# HELP palate_worker_restarts_total Workers that ended unbidden and were started again.\n"
            f"# TYPE palate_worker_restarts_total counter\npalate_worker_restarts_total {self._board.restarts}\n"
        )

    def _add(self, name: str, number: int) -> None:
        self._slot.cells[self._slot.cell(name)] += number


class _Summed(Metrics):
    """The counters of all workers at one moment."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.started = board.started
        self._board = board
        totals = board.totals()
        for name, value in totals.items():
            kind, _, rest = name.partition(" ")
            if kind == "requests":
                status, _, route = rest.partition(" ")
                self.requests[route, int(status)] = value
            elif kind == "events":
                self.events[rest] = value
        self.degraded = totals.get("degraded", 0)
        self.waits(totals.get("queue", 0))
        for route, histogram in self.latency.items():
            histogram.buckets = [totals.get(f"latency {route} {place}", 0) for place in range(len(BOUNDS) + 1)]
            histogram.count = totals.get(f"latency {route} count", 0)
            histogram.sum = totals.get(f"latency {route} ns", 0) / 1e9

    def cpu(self) -> float:
        """User and system seconds of all processes, those that have ended included."""
        supervisor = os.getppid()
        used = sum(_seconds(slot.pid, 2) for slot in self._board.slots if slot.pid)
        return used + _seconds(supervisor, 4) or super().cpu()

    def resident(self) -> int:
        """Memory of all processes, bytes; what they share counts once."""
        pids = [os.getppid(), *(slot.pid for slot in self._board.slots if slot.pid)]
        return sum(map(_proportional, pids)) or super().resident()


def _seconds(pid: int, fields: int) -> float:
    """CPU seconds of a process: its first 2 fields of user and system time, or 4, with those of its ended children."""
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[11 : 11 + fields]
    except OSError:  # it has ended, or the system has no /proc
        return 0.0
    return sum(map(int, values)) / _TICK


def _proportional(pid: int) -> int:
    """A process's share of resident memory, bytes (its proportional set size); 0 where it can't be told."""
    try:
        lines: Iterable[str] = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class SharedSessions(Sessions):
    """See ``Sessions``: a session made by one worker is known to all. Cost of a check: about 10 µs a worker."""

    def __init__(self, board: Board, slot: Slot, seconds: float = SESSION_SECONDS) -> None:
        super().__init__(seconds)
        self._board = board
        self._mine = slot.sessions

    def create(self) -> str:
        """See ``Sessions.create``; the oldest of 1,024 sessions of this worker makes room."""
        token = self.new_token()
        at = min(range(0, SESSIONS * SESSION_BYTES, SESSION_BYTES), key=lambda place: _expiry(self._mine, place))
        self._mine[at + _DIGEST : at + SESSION_BYTES] = _EXPIRY.pack(0.0)
        self._mine[at : at + _DIGEST] = bytes.fromhex(hash_key(token))
        self._mine[at + _DIGEST : at + SESSION_BYTES] = _EXPIRY.pack(time.monotonic() + self.seconds)
        return token

    def valid(self, token: str) -> bool:
        found = self._find(token)
        return found is not None and _expiry(*found) > time.monotonic()

    def end(self, token: str) -> None:
        found = self._find(token)
        if found is not None:
            sessions, at = found
            sessions[at + _DIGEST : at + SESSION_BYTES] = _EXPIRY.pack(0.0)

    def _find(self, token: str) -> tuple[memoryview, int] | None:
        digest = bytes.fromhex(hash_key(token))
        for slot in self._board.slots:
            data, at = bytes(slot.sessions), -1
            while (at := data.find(digest, at + 1)) >= 0:
                if at % SESSION_BYTES == 0:
                    return slot.sessions, at
        return None


def _expiry(sessions: memoryview, at: int) -> float:
    return _EXPIRY.unpack_from(sessions, at + _DIGEST)[0]
