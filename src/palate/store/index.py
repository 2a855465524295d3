"""Which ids and subjects the log holds: the newest in memory, the others in runs beside the log (``runs``).

A unique index inside the log would touch a page of its own for almost every event, because ids come in no order, and
each of these pages would go through the write-ahead log with every commit. Runs are written once each ``FRESH``
events, in the background, and merged while two neighbours are of like size (O'Neil 1996), so that there are about
log₂(events / ``FRESH``) of them.

All of it follows from the log. What is missing, torn, or of another log is made anew from it when the log is opened.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from palate.state.keys import hashes
from palate.store import erased_hash, erased_id
from palate.store.runs import Run, id_hashes, make, merge, without

_log = logging.getLogger("palate.store")

FRESH = 16_384
"""Events that are kept in memory until a run is made of them."""


class _Fresh:
    """Events from position ``first`` on that no run holds yet."""

    __slots__ = ("erased", "first", "ids", "known", "subjects")

    def __init__(self, first: int) -> None:
        self.first = first
        self.ids: list[str] = []
        self.known: set[str] = set()
        self.erased: set[int] = set()  # hashes of ids
        self.subjects: list[str | None] = []

    def add(self, ids: Sequence[str], subjects: Sequence[str | None]) -> None:
        """Events behind those that are there; of erased ones the ids are ``erased_id``s."""
        self.ids += ids
        self.known.update(ids)
        self.subjects += subjects
        if None in subjects:  # nearly never: items, and erased events
            self.erased.update(erased_hash(name) for name in ids if name[:1] == "\0")

    def erase(self, positions: Sequence[int]) -> None:
        """The events at ``positions``, which it holds, have been erased."""
        places = [position - self.first for position in positions]
        gone = [self.ids[place] for place in places]
        self.known.difference_update(gone)
        for place, hashed in zip(places, id_hashes(gone).tolist(), strict=True):
            self.ids[place], self.subjects[place] = erased_id(hashed), None
            self.erased.add(hashed)


class LogIndex:
    """Of one log, for the process that writes it. Thread-safe.

    directory: where the runs are, created when the first is written. ids_at: the ids at positions, from the log.
    Memory: 2 MB; the runs are mapped, 24 bytes an event on disk.
    """

    def __init__(self, directory: Path, ids_at: Callable[[Sequence[int]], dict[int, str]]) -> None:
        self._directory = directory
        self._ids_at = ids_at
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        self._fresh: deque[_Fresh] = deque([_Fresh(1)])
        self._full = threading.Event()
        self._filing = threading.Lock()  # held while runs are made, merged, or written anew; taken before _lock
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def last(self) -> int:
        """The position up to which the log is known."""
        newest = self._fresh[-1]
        return newest.first + len(newest.ids) - 1

    def open(self, seq: int, clean: bool) -> None:
        """Read the runs of a log that ends at ``seq``; what comes after ``last`` then has to be added.

        clean: remove what can't be used. Errors: those of ``ids_at``.
        """
        found = usable(self._directory)
        while found and not (found[-1].last <= seq and self._fits(found[-1])):
            _log.warning(
                "%s is of another log, or of events that this one has lost: it is made anew.", found.pop().path
            )
        if clean:
            used = {run.path for run in found}
            for path in {*self._directory.glob("*.run"), *self._directory.glob("*.part")} - used:
                with contextlib.suppress(OSError):
                    path.unlink()
        self._runs = found
        self._fresh = deque([_Fresh(found[-1].last + 1 if found else 1)])

    def _fits(self, run: Run) -> bool:
        """Whether the log holds the run's last event where the run says; then it holds those before it, too."""
        return int(id_hashes([self._ids_at([run.last]).get(run.last, "")])[0]) == run.mark

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of ``ids`` that the log holds. About 0.3 µs each, and 0.2 µs for every run."""
        with self._lock:
            found: set[str] = set()
            erased: set[int] = set()
            for fresh in self._fresh:
                found |= fresh.known.intersection(ids)
                erased |= fresh.erased
            runs = list(self._runs)
        if runs or erased:
            hashed = hashes(ids)
            if erased:
                found |= {name for name, one in zip(ids, hashed.tolist(), strict=True) if one in erased}
            maybe = [(index, run.first + place) for run in runs for index, place in run.ids.find(hashed)]
            if maybe:
                there = self._ids_at([position for _, position in maybe])
                found |= {
                    ids[index]
                    for index, position in maybe
                    if (name := there.get(position)) == ids[index] or name == erased_id(int(hashed[index]))
                }
        return found

    def positions(self, subject: str, after: int = 0) -> list[int]:
        """Where the log has events of ``subject`` behind position ``after``, ascending; others' may be among them.

        Cost: a comparison for each event behind it that is in memory, and 0.3 µs for each that is found.
        """
        with self._lock:
            recent: list[int] = []
            for fresh in self._fresh:
                begin = max(0, after + 1 - fresh.first)
                owners = enumerate(fresh.subjects[begin:], fresh.first + begin)
                recent += [position for position, owner in owners if owner == subject]
            runs = [run for run in self._runs if run.last > after]
        hashed = hashes([subject])
        found = [run.first + place for run in runs for _, place in run.subjects.find(hashed)]
        return sorted([position for position in found if position > after] + recent)

    def add(self, ids: Sequence[str], subjects: Sequence[str | None]) -> None:
        """Events that the log took after ``last``."""
        with self._lock:
            fresh = self._fresh[-1]
            fresh.add(ids, subjects)
            full = len(fresh.ids) >= FRESH
            if full:
                self._fresh.append(_Fresh(self.last + 1))
        if full:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="palate-index", daemon=True)
                self._thread.start()
            self._full.set()

    def erase(self, positions: Sequence[int]) -> None:
        """The events at ``positions`` (ascending) have been erased: their ids stay known by hash, in memory now.

        What the runs say of whose they were stays until ``purge``.
        """
        with self._lock:
            for fresh in self._fresh:
                last = fresh.first + len(fresh.ids) - 1
                fresh.erase([one for one in positions if fresh.first <= one <= last])

    def purge(self, positions: Sequence[int]) -> None:
        """Write those runs anew that say whose events at ``positions`` were. Errors: ``OSError``."""
        gone = np.array(sorted(positions), np.int64)
        with self._filing:
            for place, run in enumerate(self._runs):
                mine = gone[(gone >= run.first) & (gone <= run.last)] - run.first
                if len(mine) and np.isin(run.subjects.places, mine).any():
                    made = without(self._directory, run, mine)
                    with self._lock:
                        self._runs[place] = made

    def close(self) -> None:
        """Finish the run in hand; those that aren't begun are made when the log is opened again."""
        self._closed = True
        self._full.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed:
            self._full.wait()
            self._full.clear()
            try:
                self._file()
            except OSError as error:  # what is in memory stays there, and is tried again with the next run
                _log.error("The index %s can't be written (%s); it is tried again.", self._directory, error)

    def _file(self) -> None:
        """Runs of what is full, merged with those before it."""
        while len(self._fresh) > 1 and not self._closed:
            with self._filing:
                self._file_one()

    def _file_one(self) -> None:
        """The oldest that is full."""
        fresh = self._fresh[0]
        self._directory.mkdir(exist_ok=True)
        run = make(self._directory, fresh.first, fresh.ids, fresh.subjects)
        list(run.ids.find(hashes(fresh.ids[:1])))  # compiles here what an append would have to wait for
        with self._lock:
            self._runs.append(run)
            self._fresh.popleft()
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]) and not self._closed:
            old = self._runs[-2:]
            merged = merge(self._directory, *old)
            with self._lock:
                self._runs[-2:] = [merged]
            for one in old:
                with contextlib.suppress(OSError):  # a system that holds on to mapped files; the next start removes it
                    one.path.unlink()


def usable(directory: Path) -> list[Run]:
    """Runs in ``directory`` that follow one another from the first event on, whole ones; the longest of those that
    begin at one position."""
    found: list[Run] = []
    at = 1
    names = sorted(path.name for path in directory.glob("*.run")) if directory.is_dir() else []
    while True:
        for name in sorted((name for name in names if name.startswith(f"{at:012d}-")), reverse=True):
            try:
                run = Run(directory / name)
            except (OSError, ValueError) as error:
                _log.warning("A part of the index is left out and made anew: %s", error)
                continue
            found.append(run)
            at = run.last + 1
            break
        else:
            return found
