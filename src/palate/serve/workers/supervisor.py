"""The process that starts, watches and stops the workers. It holds the lock and the port, and answers nobody.

It has one thread, so that it may fork at any time. What it has read is given away to the first workers: kept here, it
would grow apart from theirs page by page. Workers that are started again read the newest snapshot and the rest of the
log; they inherit the compiled kernels and the weights of the encoder.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import msgspec

from palate.config import Settings
from palate.disk import make_directory
from palate.engine import Engine
from palate.errors import ConfigError, Unavailable
from palate.language import make_generator
from palate.language.cache import VectorCache
from palate.opening import Decisions, Parts, check_log, new_catalogue, restore_state, serving
from palate.serve.rehearsal import warm
from palate.serve.run import Announce, bind, url_of
from palate.serve.workers.board import READY, Board
from palate.serve.workers.channel import door
from palate.serve.workers.child import LEADER, Loaded, Plan, work
from palate.serve.workers.metrics import ROUTES
from palate.store import Record, Settle, erasing, open_decisions, open_store
from palate.store.lock import DirectoryLock

_log = logging.getLogger("palate.serve")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_LOOK_SECONDS = 0.05
_WATCH_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_SAME_SECONDS = 0.5
"""Signals this close are one: some managers send theirs to the process and to its group."""
_SHORT_LIFE = 10.0
_MOST_PAUSE = 10.0


def supervise(directory: Path | None, settings: Settings, announce: Announce | None) -> None:
    """Serve ``directory`` with ``settings.serve.workers`` workers until SIGTERM or SIGINT; then drain and return.

    Errors: as ``serve.run.serve``; ``ConfigError`` where this process can't be forked; ``Unavailable`` when a worker
    can't start.
    """
    if directory is None:
        raise ConfigError("Several workers share a directory, and ':memory:' is none: use one worker.", "serve.workers")
    with contextlib.ExitStack() as opened:
        # Everything that can refuse to start does so before the state is read, which may take seconds.
        reserved = opened.enter_context(contextlib.closing(_reserve(settings)))
        if threading.current_thread() is not threading.main_thread() or threading.active_count() > 1:
            raise ConfigError(
                "Several workers are forked, which a process with threads can't do safely: start them with `palate "
                "serve`, or from a program that has no other thread.",
                "serve.workers",
            )
        make_directory(directory)
        opened.enter_context(DirectoryLock(directory))
        located = msgspec.structs.replace(settings.serve, port=reserved.getsockname()[1])
        settings = msgspec.structs.replace(settings, serve=located)
        Supervisor(directory, settings, reserved, announce).run()


def _reserve(settings: Settings) -> socket.socket:
    """The port, kept for the workers: bound and not listening. Errors: ``ConfigError`` where somebody has it."""
    with contextlib.closing(bind(settings.serve)) as alone:  # another service on it is an error, not company
        port = alone.getsockname()[1]
    return bind(msgspec.structs.replace(settings.serve, port=port), shared=True)


class Supervisor:
    """See ``supervise``."""

    def __init__(self, directory: Path, settings: Settings, reserved: socket.socket, announce: Announce | None) -> None:
        self._reserved = reserved
        self._announce = announce
        workers = settings.serve.workers
        self._seconds = settings.serve.drain_seconds
        self._board = Board(workers, len(ROUTES), time.time())
        self._pids: dict[int, int] = {}  # of the workers that live, by number
        self._begun = [0.0] * workers
        self._short = [0] * workers  # lives in a row that were short
        self._due: dict[int, float] = dict.fromkeys(range(workers), 0.0)
        self._signals = 0
        self._told = 0
        self._stopped = 0.0
        self._killing = float("inf")
        self._up = False  # all workers, once
        self._failed = False
        self._lifeline = os.pipe()
        self._wakeup = os.pipe()
        chosen = serving(directory, settings, True)
        loaded = load(directory, settings, VectorCache(directory / "vectors", chosen.encoder))
        self._plan = Plan(directory, settings, chosen, self._board, door(), self._lifeline[0], loaded)

    def run(self) -> None:
        """Until a signal, and every worker has ended."""
        gc.collect()
        gc.freeze()  # or else every worker's collector would write to, and so copy, what they share
        try:
            with self._listening():
                while self._turn():
                    pass
        finally:
            for pid in self._pids.values():  # only where this process fails itself
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            for handle in (*self._lifeline, *self._wakeup):
                os.close(handle)
            for end in self._plan.doors:
                end.close()
            gc.unfreeze()
        if self._failed:
            raise Unavailable("A worker could not start: the lines above say why.")

    def _turn(self) -> bool:
        self._reap()
        if self._signals > self._told:
            self._stop()
        if self._board.draining:
            self._hurry()
            if not self._pids:
                return False
        else:
            self._start()
            if not self._up and self._board.ready:
                self._up = True
                if self._announce is not None:
                    self._announce(url_of(self._reserved))
        quiet = self._up and not self._due and not self._board.draining
        select.select([self._wakeup[0]], [], [], _WATCH_SECONDS if quiet else _LOOK_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup[0], 4096)
        return True

    # ------------------------------------------------------------------------- starting

    def _start(self) -> None:
        now = time.monotonic()
        for number in sorted(self._due):
            if self._due[number] <= now:
                del self._due[number]
                self._begun[number] = now
                try:
                    self._pids[number] = self._fork(number)
                except OSError as error:  # no memory, or too many processes; those that live go on answering
                    _log.error("Worker %d can't be started now (%s); it is tried again.", number + 1, error.strerror)
                    self._due[number] = now + _MOST_PAUSE
        if self._plan.loaded is not None and not self._due:
            self._plan.loaded.cache.close()
            self._plan = replace(self._plan, loaded=None)
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _fork(self, number: int) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if pid:
            return pid
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for sign, handler in zip(_SIGNALS, (signal.SIG_DFL, signal.SIG_IGN, signal.SIG_DFL), strict=True):
                signal.signal(sign, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for handle in (self._lifeline[1], *self._wakeup):
                os.close(handle)
            self._reserved.close()
            status = work(self._plan, number)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # never back into the code that forked

    # ------------------------------------------------------------------------- watching

    def _reap(self) -> None:
        for number, pid in list(self._pids.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._pids[number]
                was = self._board.slots[number].stage
                self._board.slots[number].take(0)
                self._ended(number, pid, os.waitstatus_to_exitcode(status), was == READY)

    def _ended(self, number: int, pid: int, code: int, was_ready: bool) -> None:
        if self._board.draining:
            if code and (was_ready or code != -signal.SIGTERM):  # one that was starting has nothing to finish
                _log.error("Worker %d (process %d) ended with %s while it was stopped.", number + 1, pid, _how(code))
            return
        if not self._up and not was_ready and code:
            self._failed = True
            self._stop()
            return
        brief = time.monotonic() - self._begun[number] < _SHORT_LIFE
        self._short[number] = self._short[number] + 1 if brief else 0
        pause = min(_MOST_PAUSE, 0.1 * 2 ** min(self._short[number], 10)) if brief else 0.0
        _log.error("Worker %d (process %d) ended with %s; it is started again.", number + 1, pid, _how(code))
        self._due[number] = time.monotonic() + pause
        self._board.restarted()

    # ------------------------------------------------------------------------- stopping

    def _stop(self) -> None:
        """Tell every worker to drain; when told again, to leave now."""
        now, self._told = time.monotonic(), self._signals
        if not self._board.draining:
            self._board.drain()
            self._stopped, self._killing = now, now + self._seconds + _GRACE_SECONDS
        elif now > self._stopped + _SAME_SECONDS:
            self._board.hurry()
            self._killing = now + _GRACE_SECONDS
        for pid in self._pids.values():
            os.kill(pid, signal.SIGTERM)

    def _hurry(self) -> None:
        """A follower that doesn't leave is ended: the leader, which writes a snapshot, waits for it."""
        if time.monotonic() > self._killing:
            self._killing = float("inf")
            for number, pid in self._pids.items():
                if number != LEADER:
                    _log.error("Worker %d (process %d) did not stop in time and is ended.", number + 1, pid)
                    os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _listening(self) -> Generator[None]:
        """Signals wake ``_turn``; as they were, afterwards."""

        def heard(sign: int, frame: FrameType | None) -> None:
            self._signals += sign != signal.SIGCHLD

        for handle in self._wakeup:
            os.set_blocking(handle, False)
        before = [signal.signal(sign, heard) for sign in _SIGNALS]
        wakeup = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for sign, handler in zip(_SIGNALS, before, strict=True):
                signal.signal(sign, handler)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"


def load(directory: Path, settings: Settings, cache: VectorCache) -> Loaded:
    """What every worker needs, read once, with all kernels compiled; leaves no thread, and no database open.

    Errors: ``CorruptArtefact``, ``Unavailable``; ``MissingExtra`` and ``ConfigError`` of the generator.
    """
    check_log(directory)
    make_generator(settings.language.generator).close()  # what is wrong with it is said once, and here
    erasing.begin(directory)
    with contextlib.closing(open_store(directory / "events.db", settings.durability)) as store:
        erasing.finish(directory, store)
        state = restore_state(directory, store, settings, store.seq)
        catalogue = new_catalogue(state, cache, settings, graph=False)  # each worker begins its own
        decisions = Decisions(open_decisions(None, settings.decisions), False)
        parts = Parts(directory, store, cache, state, catalogue, decisions, True, None, [], _Idle, _Idle)
        warm(Engine(parts, settings))
    return Loaded(state, cache, catalogue)


class _Idle:
    """In the place of what would start a thread in a process that only looks."""

    def __init__(self, *_: object) -> None: ...

    def offer(self, records: Sequence[Record], settle: Settle) -> None:
        raise Unavailable("This process only looks: it stores nothing.")

    def wake(self) -> None: ...

    def wait(self, timeout: float) -> bool:
        return True

    def close(self) -> None: ...
