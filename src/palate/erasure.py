"""Erasing people, and what has become too old: out of the log, the decisions, the snapshots, the state.

``forget`` writes a deletion, an ordinary event, so that the person is unknown from the next request on. Then, in a
thread of its own: old snapshots go; their events go out of the log, that deletion among them (``Store.erase``), and
their decisions out of both logs of decisions; a state is folded anew from what is left, beside the one that serves, and
takes its place; a snapshot of it is written. What is wanted stands in ``erasing.json`` until all of that is done: a
process that ends before is followed by one that first erases from the log (``erasing.finish``), and does it all again.
So the state is that of a log which never held the events; only positions of the log are taken, by hashes of ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from palate import opening
from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import Unavailable
from palate.opening import Parts
from palate.state import State
from palate.store.decisions import DecisionLog
from palate.store.erasing import Job, Wanted, aged, positions, read_job, remove_snapshots, write_job
from palate.types import IngestResult, User

_log = logging.getLogger("palate")
_DAY_MS = 86_400_000
_FEW = 2_000
"""Events that are folded under the engine's lock, when the new state takes the place of the old one."""
_PATIENCE = 0.5
_AGAIN = 60.0
"""Seconds until what failed is tried again."""


class Forgotten(msgspec.Struct):
    """The answer to ``forget``. user: or the session. as_of: the position from which on the person is unknown. state:
    ``erasing`` goes on in the background."""

    user: str
    as_of: int
    state: str = "erasing"


class Host(Protocol):
    """What of an engine this needs."""

    settings: Settings
    parts: Parts
    path: Path | None

    @property
    def state(self) -> State: ...
    @property
    def catalogue(self) -> Catalogue: ...
    @property
    def training(self) -> str: ...
    def ingest(self, events: object) -> IngestResult: ...
    def clock(self) -> int: ...
    def snapshot(self) -> Path: ...


class Erasure:
    """What is being erased from one engine. lock, swapping, writing: the engine's; serve: ranks from another state;
    seq: the position that the state has to hold.

    refolded: called once snapshots are of the new state, for replicas to take it.
    """

    def __init__(
        self,
        host: Host,
        lock: threading.RLock,
        swapping: threading.RLock,
        writing: threading.Lock,
        serve: Callable[[State, Catalogue], None],
        seq: Callable[[], int],
    ) -> None:
        self._host, self._lock, self._swapping, self._writing, self._serve = host, lock, swapping, writing, serve
        self._seq = seq
        self._journal = threading.Lock()
        self._job = Job()
        self._asked: list[Wanted] = []  # written down, and still known to the next request
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.state = "idle"
        """``idle``, ``erasing`` or ``failed: …``; what failed is tried again."""
        self.refolded: Callable[[], None] = lambda: None

    def resume(self) -> None:
        """Go on with what an earlier process was asked for, and look for what is too old, now and once a day."""
        self._job = read_job(self._host.path)
        if self._job or self._host.settings.retention.days:
            self._begin()

    def forget(self, subject: str) -> Forgotten:
        """Make a user (or a NUL and a session) unknown, durably, and erase them in the background. Errors:
        ``Unavailable``."""
        host = self._host
        with self._lock:
            row = host.state.users.get(subject)
            last = int(host.state.user_columns["last"][row]) if 0 <= row < len(host.state.user_columns["last"]) else 0
            stamps = [stamp[0] for stamp in host.state.user_stamps.of(row).values()]
            wanted = Wanted(subject, host.state.seq, max(host.clock(), last, *stamps, 0))
        with self._journal:
            self._asked.append(wanted)
            try:
                self._keep(self._job)
            except Unavailable:
                self._asked.remove(wanted)
                raise
        try:
            name = subject.removeprefix("\0")
            user, session = (name, None) if name == subject else ("", name)
            result = host.ingest(User(user=user, session=session, timestamp=wanted.timestamp, deleted=True))
        finally:
            with self._journal:  # in either case: where the log refuses just now, the person is erased none the less
                self._asked.remove(wanted)
                self._keep(Job([*self._job.people, wanted], self._job.before))
            self._begin()
        return Forgotten(name, result.seq)

    def wait(self, timeout: float = 600.0) -> bool:
        """Wait until nothing is left to erase; False when ``timeout`` seconds were not enough."""
        end = time.monotonic() + timeout
        while self._job and time.monotonic() < end:
            time.sleep(0.005)
        return not self._job

    def close(self) -> None:
        """Stop; what isn't done is done when the directory is next opened."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    # ------------------------------------------------------------------------------ the thread

    def _keep(self, job: Job) -> None:
        """The job is this one from now on. Errors: ``Unavailable``, and it is what it was."""
        if self._host.path is not None:
            try:
                write_job(self._host.path, Job([*job.people, *self._asked], job.before))
            except OSError as error:
                raise Unavailable(f"Who is to be erased can't be written down ({error.strerror}): try again.") from None
        self._job = job

    def _begin(self) -> None:
        with self._journal:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="palate-erase", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        days = self._host.settings.retention.days
        looked = float("-inf")
        while True:
            self._wake.clear()
            if self._closed:  # said before it wakes
                return
            try:
                if days and time.monotonic() - looked >= _DAY_MS / 1000:
                    looked = time.monotonic()
                    self._age(days)
                while self._job and not self._closed:
                    self._erase()
                self.state = "idle"
            except Exception as error:  # whatever it is, the next try may do; the job is written down
                if self._closed:
                    return
                self.state = f"failed: {error}"
                _log.error("Erasing failed and is tried again: %s", error)
            self._wake.wait(_AGAIN if self._job else _DAY_MS / 1000 if days else None)

    def _age(self, days: float) -> None:
        before = int(time.time() * 1000 - days * _DAY_MS)
        if before > 0 and aged(self._host.parts.store, before):
            with self._journal:
                self._keep(Job(self._job.people, before))

    def _erase(self) -> None:
        host, job = self._host, self._job
        self.state = "erasing"
        subjects = {one.subject for one in job.people}
        if host.path is not None:
            with self._writing:  # those to come are of a state that knows nothing of these people any more
                remove_snapshots(host.path)
        gone = host.parts.store.erase(positions(host.parts.store, job))
        if subjects:
            gone += host.parts.decisions.erase(subjects)
        self._refold()
        if host.path is not None:
            with self._writing:
                remove_snapshots(host.path)
            host.snapshot()
        self.refolded()
        if subjects and host.path is not None and (host.path / "replay").is_dir():
            while host.training == "running":  # it writes there, of what it had read before
                self._pause()
            log = DecisionLog(host.path / "replay", host.settings.decisions)
            try:
                log.erase(subjects)
            finally:
                log.close()
        with self._journal:
            left = [one for one in self._job.people if one not in job.people]
            self._keep(Job(left, 0 if self._job.before == job.before else self._job.before))
        _log.info("%d events and decisions were erased.", gone)

    def _pause(self) -> None:
        if self._closed:
            raise Unavailable("Palate is closing.")
        time.sleep(_PATIENCE)

    def _told(self, stage: str, done: int, total: int) -> None:
        if self._closed:
            raise Unavailable("Palate is closing.")

    def _refold(self) -> None:
        """A state of what the log holds now, in the place of the one that serves."""
        host, store = self._host, self._host.parts.store
        fresh = opening.replay_state(store, host.settings, self._seq(), self._told)
        catalogue = opening.new_catalogue(fresh, host.catalogue.cache, host.settings)
        catalogue.words()
        catalogue.vectors.prepare(wait=True)
        while self._seq() - fresh.seq > _FEW:
            self._told("", 0, 0)
            opening.go_on(fresh, catalogue, store, self._seq())
        with self._swapping, self._lock:
            opening.go_on(fresh, catalogue, store, self._seq())
            self._serve(fresh, catalogue)
