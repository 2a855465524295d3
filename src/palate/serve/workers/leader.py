"""The worker that writes: it commits everybody's events, tells the others what changed, and answers like the rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import msgspec

from palate.config import Settings
from palate.errors import PalateError, Unavailable
from palate.experiment import Experiment
from palate.line import Model
from palate.opening import Parts
from palate.serve.workers.board import BEHIND, COMMITTED, PUBLISHED, REFOLDED, Board, Slot
from palate.serve.workers.channel import (
    Ask,
    Hello,
    Link,
    Message,
    Outcome,
    Stored,
    Submit,
    Told,
    Welcome,
    admit,
    failure_of,
)
from palate.serve.workers.member import Member, MemberDecisions
from palate.serve.workers.tail import Row, share, with_events
from palate.store import AppendResult, Record, Settle
from palate.types import ModelInfo
from palate.wire import now_ms

_log = logging.getLogger("palate.serve")
_encode = msgspec.msgpack.Encoder().encode

_PATIENCE = 60.0
"""Seconds that a follower has to do as it is told, which is to load a model or to write its decisions."""
_MIRROR_SECONDS = 0.05
_THREADS = 4


class Leader(Member):
    """The engine that holds the log. Followers see what it commits, and in that order."""

    def __init__(self, parts: Parts, decisions: MemberDecisions, settings: Settings, board: Board, slot: Slot) -> None:
        self._court: Court | None = None
        board.reopen_ring()
        super().__init__(parts, decisions, settings, board, slot)
        board.training = self.training
        board.marks[COMMITTED] = self.state.seq
        self._publish(self.state.seq)
        self.erasure.refolded = self._refolded

    def lead(self, court: Court) -> None:
        """From now on the followers of ``court`` hear of every change."""
        self._court = court

    def take(self, records: Sequence[Record], settle: Settle) -> None:
        """Queue the records of a follower, as ``offer`` does its own. Errors as there."""
        assert self._committer is not None
        self._committer.offer(records, settle)

    def _fold(self, records: list[Record], _: list[AppendResult]) -> None:
        """See ``Engine._fold``; in between the followers learn of it, and fold it at the same time."""
        if records:
            records = with_events(records)
            share(self.board, records)
            self.board.marks[COMMITTED] = records[-1].seq
        super()._fold(records, _)
        self._publish(self.state.seq)  # also where only known events came: the fold of these may not have been said yet

    def _publish(self, seq: int) -> None:
        """Everything up to ``seq`` may be acknowledged now: no worker answers any more without having folded it."""
        wall = now_ms()
        self.board.marks[BEHIND] = wall - self.state.now(wall)
        self.board.marks[PUBLISHED] = seq

    def _refolded(self) -> None:
        """A snapshot of a state without what was erased is there: followers take it, too."""
        self.board.marks[REFOLDED] += 1

    def _swap(self, choose: Callable[[], Model]) -> ModelInfo:
        """See ``Engine._swap``; done once every worker serves it."""
        with self._swapping:
            info = super()._swap(choose)
            if self._court is not None:
                self._court.serve(info.version)
        return info

    def train_in_background(self) -> None:
        """See ``Engine.train_in_background``."""
        super().train_in_background()
        self.board.training = self.training

    def mirror_training(self) -> None:
        """Let the followers see how training stands."""
        if self.board.training != self.training:
            self.board.training = self.training


class Court:
    """The leader's side of all connections."""

    def __init__(self, leader: Leader, door: socket.socket) -> None:
        self._leader = leader
        self._door = door
        self._loop = asyncio.get_running_loop()
        self._links: set[Link] = set()
        self._threads = ThreadPoolExecutor(_THREADS, "palate-leader")  # their own: whoever waits for it waits elsewhere
        self._replies: deque[tuple[Link, Outcome]] = deque()
        self._woken = False
        self._mirror: asyncio.TimerHandle | None = None
        self._closed = False

    def open(self) -> None:
        """Let followers in."""
        self._loop.add_reader(self._door, self._admit)
        self._leader.lead(self)
        self._watch()

    async def close(self, seconds: float) -> None:
        """Serve the followers until the last has gone, ``seconds`` at most where the whole service is leaving."""
        end = self._loop.time() + seconds
        while self._links and self._leader.board.draining and self._loop.time() < end:
            await asyncio.sleep(0.02)
        self._closed = True
        self._loop.remove_reader(self._door)
        if self._mirror is not None:
            self._mirror.cancel()
        for link in list(self._links):
            link.close()
        self._threads.shutdown(wait=False)

    def serve(self, version: str) -> None:
        """Have every follower rank with ``version``; not in the loop. One that can't is ended, and begins with it."""
        calls = self._order("serve", version, None)
        done, late = wait(calls, _PATIENCE)
        for call in late | {call for call in done if call.exception() is not None}:
            self._end(calls[call])

    def write_decisions(self, but: Link | None = None, order: str = "write") -> None:
        """Have every follower (``but`` one) write the decisions that wait; not in the loop. order: ``seal`` has them go
        on in other segments. Errors: ``Unavailable``."""
        calls = self._order(order, "", but)
        done, late = wait(calls, _PATIENCE)
        for call in done:
            error = call.exception()
            if error is not None and not calls[call].closed:
                raise error
        if late:
            raise Unavailable(f"A worker did not write its decisions within {_PATIENCE:g} seconds: try again.")

    def _order(self, what: str, argument: str, but: Link | None) -> dict[Future[bytes], Link]:
        found: Future[list[Link]] = Future()
        try:
            self._loop.call_soon_threadsafe(lambda: found.set_result([link for link in self._links if link is not but]))
        except RuntimeError:  # the loop has been closed: there are no followers any more
            return {}
        return {link.call(what, argument): link for link in found.result(_PATIENCE)}

    def _end(self, link: Link) -> None:
        if link.closed:
            return
        pid = self._leader.board.slots[link.slot].pid
        _log.error("Worker %d (process %d) can't serve the model that is active: it is ended.", link.slot + 1, pid)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # --------------------------------------------------------------------- in the event loop

    def _admit(self) -> None:
        for theirs in admit(self._door):
            task = self._loop.create_task(self._connect(theirs))
            task.add_done_callback(lambda done: done.exception())

    async def _connect(self, theirs: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: Link(self._received, self._lost), theirs)

    def _lost(self, link: Link) -> None:
        self._links.discard(link)

    def _received(self, link: Link, message: Message) -> None:
        if isinstance(message, Submit):
            for number, rows in message.calls:
                self._store(link, number, rows)
        elif isinstance(message, Hello):
            link.slot = message.slot
            self._links.add(link)
            link.send(Welcome(self._leader.model))
        elif isinstance(message, Ask) and not self._closed:
            self._threads.submit(self._serve, link, message)

    def _store(self, link: Link, number: int, rows: list[Row]) -> None:
        try:
            self._leader.take([Record(*row) for row in rows], partial(self._stored, link, number))
        except PalateError as error:
            self._stored(link, number, error)

    def _stored(self, link: Link, number: int, outcome: AppendResult | BaseException) -> None:
        """In the committer's thread, mostly: what it has settled at once goes out at once."""
        if isinstance(outcome, AppendResult):
            self._replies.append((link, (number, outcome.seqs, outcome.seq, None)))
        else:
            self._replies.append((link, (number, [], 0, failure_of(outcome))))
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop has been closed, and with it the connection
                self._loop.call_soon_threadsafe(self._reply)

    def _reply(self) -> None:
        self._woken = False  # before the first is taken: whoever comes later than the last wakes the loop again
        sent: dict[Link, list[Outcome]] = {}
        while self._replies:
            link, outcome = self._replies.popleft()
            sent.setdefault(link, []).append(outcome)
        for link, outcomes in sent.items():
            link.send(Stored(outcomes))

    def _serve(self, link: Link, ask: Ask) -> None:
        """In a thread: what a follower may ask for."""
        try:
            body, failure = self._do(link, ask), None
        except Exception as error:  # whatever it is, somebody waits to be told
            body, failure = b"", failure_of(error)
        with contextlib.suppress(RuntimeError):  # the loop has been closed, and with it the connection
            self._loop.call_soon_threadsafe(link.send, Told(ask.number, body, failure))

    def _do(self, link: Link, ask: Ask) -> bytes:
        leader = self._leader
        if ask.what == "activate":
            return _encode(leader.activate(ask.argument))
        if ask.what == "rollback":
            return _encode(leader.rollback())
        if ask.what == "experiment":
            wanted = msgspec.json.decode(ask.argument, type=Experiment)
            return _encode(leader.arms.start(wanted, leader.clock()))
        if ask.what == "experiment.stop":
            return _encode(leader.arms.stop(ask.argument, leader.clock()))
        if ask.what == "forget":
            return _encode(leader.erasure.forget(ask.argument))
        if ask.what == "train":
            leader.train_in_background()
            return b""
        if ask.what == "write":
            leader.decisions.flush_own()
            self.write_decisions(link)
            return b""
        raise PalateError(f"A worker asked for {ask.what[:40]!r}, which the leader doesn't know.")

    def _watch(self) -> None:
        self._leader.mirror_training()
        if self._leader.bandits.due():
            self._threads.submit(self._leader.bandits.publish)
        self._mirror = self._loop.call_later(_MIRROR_SECONDS, self._watch)
