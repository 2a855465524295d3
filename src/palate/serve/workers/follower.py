"""A worker that follows: it folds what the leader commits, and sends it the events that it accepts itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from palate import rights
from palate.background import BackgroundSnapshot
from palate.config import Settings
from palate.erasure import Forgotten
from palate.errors import Conflict, PalateError, Unavailable
from palate.explaining.item import ItemExplanation
from palate.feedback.summary import AspectOpinion
from palate.line import warm_up
from palate.opening import Parts, go_on, new_catalogue, restore_state
from palate.serve.workers.board import BEHIND, COMMITTED, PUBLISHED, REFOLDED, Board, Slot
from palate.serve.workers.channel import (
    Ask,
    Hello,
    Link,
    Message,
    Stored,
    Told,
    Welcome,
    failure_of,
    gone,
    knock,
)
from palate.serve.workers.member import Member, MemberDecisions
from palate.serve.workers.placer import Placer
from palate.serve.workers.sender import Sender
from palate.serve.workers.tail import Tail, with_events
from palate.types import (
    Counts,
    FieldValue,
    ModelInfo,
    Ranking,
    RecommendRequest,
    TrainReport,
    UserProfile,
)
from palate.wire import now_ms

_log = logging.getLogger("palate.serve")
_model_info = msgspec.msgpack.Decoder(ModelInfo).decode

TICK_SECONDS = 0.02
"""How often a follower that nobody asks folds what is new."""
_PATIENCE = 120.0
_PAUSE_SECONDS = 1.0


class Follower(Member):
    """An engine whose events are stored elsewhere. ``catch_up`` stands before everything that it answers."""

    learns = False

    def __init__(
        self,
        parts: Parts,
        decisions: MemberDecisions,
        settings: Settings,
        board: Board,
        slot: Slot,
        tail: Tail,
        refolded: int = 0,
    ) -> None:
        self._tail = tail
        self._refolded = refolded
        self._refolding: threading.Thread | None = None
        self._feeding = threading.Lock()  # taken before ``_lock``
        self._applied = parts.state.seq
        self._link: Link | None = None
        parts.committing, parts.encoding = Sender, Placer
        # Training, and snapshots, are the leader's.
        quiet = msgspec.structs.replace(settings, train=msgspec.structs.replace(settings.train, auto_events=0))
        super().__init__(parts, decisions, quiet, board, slot)
        self._saver = BackgroundSnapshot(lambda: None, events=sys.maxsize)
        self.arms.elsewhere = self.ask
        self.arms.watch.close()  # the leading worker looks after guardrails

    @property
    def sender(self) -> Sender:
        """Where accepted events go."""
        assert isinstance(self._committer, Sender)
        return self._committer

    # ------------------------------------------------------------------------ following

    def catch_up(self) -> None:
        """Fold what any worker has acknowledged before this call. 0.1 µs where there is nothing."""
        until = self.board.marks[PUBLISHED]
        if until > self._applied:
            with self._feeding:
                while until > self._applied and self._fold_next(until):
                    pass

    def tick(self) -> bool:
        """Fold the next part of what is committed; whether more waits. Acknowledged or not: it will not go away."""
        if self.board.marks[REFOLDED] != self._refolded and self._refolding is None:
            self._refolding = threading.Thread(target=self._refold, name="palate-refold", daemon=True)
            self._refolding.start()
        until = self.board.marks[COMMITTED]
        if until <= self._applied:
            return False
        with self._feeding:
            return self._fold_next(until) and until > self._applied

    def _refold(self) -> None:
        """The leader's state lost what was erased: so does this one, from the snapshot that the leader wrote."""
        try:
            number = self.board.marks[REFOLDED]
            state = restore_state(self.path, self.parts.store, self.settings, self._applied)
            catalogue = new_catalogue(state, self.catalogue.cache, self.settings)
            catalogue.words()
            with self._feeding, self._swapping, self._lock:
                go_on(state, catalogue, self.parts.store, self._applied)
                self._serve_from(state, catalogue)
            self._refolded = number
        except Exception as error:  # whatever it is: it is tried again with the next tick but one
            _log.error("The state without what was erased can't be made; it is tried again. %s", error)
            time.sleep(_PAUSE_SECONDS)
        finally:
            self._refolding = None

    def _fold_next(self, until: int) -> bool:
        records = self._tail.next(self._applied, until)
        if not records:
            if until > self._applied and self.parts.store.seq >= until:  # what is missing was erased
                with self._swapping, self._lock:
                    self.state.apply([], until)
                self._applied = until
                return True
            if until > self._applied:
                raise Unavailable(
                    f"The log ends at position {self._applied:,}, and {until:,} was acknowledged: restart."
                )
            return False
        self._fold(with_events(records), [])
        self._applied = records[-1].seq
        return True

    def answer(self, request: RecommendRequest, now: int | None = None) -> Ranking:
        self.catch_up()
        return super().answer(request, now)

    def clock(self) -> int:
        """Event time now, by the leader's state: events without a time are dated alike, whoever accepts them."""
        return now_ms() - self.board.marks[BEHIND]

    def explain(
        self, ranking: str, item: str, words: str = "", counterfactuals: bool = False, local: bool = False
    ) -> ItemExplanation:
        self.catch_up()
        return super().explain(ranking, item, words, counterfactuals, local)

    def user(self, user: str | None = None, session: str | None = None) -> UserProfile:
        self.catch_up()
        return super().user(user, session)

    def item(self, item: str) -> dict[str, FieldValue]:
        self.catch_up()
        return super().item(item)

    def opinions(self, item: str) -> list[AspectOpinion]:
        self.catch_up()
        return super().opinions(item)

    def title(self, item: str) -> str:
        self.catch_up()
        return super().title(item)

    def users(self, prefix: str = "", limit: int = 50) -> list[tuple[str, int]]:
        self.catch_up()
        return super().users(prefix, limit)

    def counts(self) -> Counts:
        self.catch_up()
        return super().counts()

    # --------------------------------------------------------------- what the leader does

    def attach(self, link: Link | None) -> None:
        """In the loop: the connection to the leader, None while there is none."""
        self._link = link
        self.sender.attach(link)

    def ask(self, what: str, argument: str = "") -> bytes:
        """Have the leader do something; not in the loop. Errors: the leader's, ``Unavailable``."""
        link = self._link
        if link is None:
            raise gone()
        try:
            return link.call(what, argument).result(_PATIENCE)
        except TimeoutError:
            raise Unavailable(f"The leading worker did not answer within {_PATIENCE:g} seconds: try again.") from None

    def activate(self, version: str) -> ModelInfo:
        return _model_info(self.ask("activate", version))

    def rollback(self) -> ModelInfo:
        return _model_info(self.ask("rollback"))

    def forget(self, user: str | None = None, session: str | None = None) -> Forgotten:
        subject = rights.subject(user, session, self.settings.limits)
        return msgspec.msgpack.decode(self.ask("forget", subject), type=Forgotten)

    def train_in_background(self) -> None:
        self.ask("train")

    @property
    def training(self) -> str:
        return self.board.training

    def serve_active(self, version: str) -> None:
        """Rank with the model that is active; ``version`` is the leader's. Errors: ``Conflict`` where it can't be."""
        if self.model == version:
            return
        with self._swapping:
            model = self.shelf.usable()
            if model.note:  # that this worker falls back to what the leader doesn't would give two kinds of answers
                raise Conflict(f"The model {version} serves in the leading worker and can't be used in this one.")
            warm_up(model)
            with self._lock:
                self._model = model

    def train(self, progress: Any = None, activate: bool = True, tier: Any = None) -> TrainReport:
        raise _elsewhere()

    def snapshot(self) -> Path:
        raise _elsewhere()

    def rebuild(self, progress: Any = None) -> dict[str, Any]:
        raise _elsewhere()

    def close(self) -> None:
        with self._lock:
            self._at_snapshot = self.state.seq  # the leader writes it
        super().close()


def _elsewhere() -> Conflict:
    return Conflict("This worker follows another one, which trains, writes snapshots and rebuilds.")


class Following:
    """The follower's side of its connection, kept open for as long as it runs, and the clock that keeps it current."""

    def __init__(self, follower: Follower, number: int, door: socket.socket) -> None:
        self._follower = follower
        self._number = number
        self._door = door
        self._loop = asyncio.get_running_loop()
        # One thread, and nothing else in it: what the leader waits for must not wait for the leader.
        self._orders = ThreadPoolExecutor(1, "palate-orders")
        self._welcomed = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._closed = False
        self._link: Link | None = None

    async def open(self) -> None:
        """Returns once the leader knows this worker, and this worker ranks as the leader does."""
        self._lost(None)
        self._tick()
        await self._welcomed.wait()

    def close(self) -> None:
        """In the loop, after the last answer."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.close()
        self._orders.shutdown(wait=False, cancel_futures=True)

    def _lost(self, link: Link | None) -> None:
        self._follower.attach(None)
        if not self._closed:
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        while True:
            try:
                mine = await knock(self._door)
                _, link = await self._loop.create_unix_connection(lambda: Link(self._received, self._lost), sock=mine)
            except OSError as error:  # no more descriptors, for instance
                _log.error("No connection to the leading worker (%s); it is tried again.", error.strerror)
                await asyncio.sleep(0.2)
                continue
            self._link = link
            link.send(Hello(self._number))
            return

    def _received(self, link: Link, message: Message) -> None:
        if isinstance(message, Stored):
            self._follower.sender.settle(message)
        elif isinstance(message, Welcome):
            self._orders.submit(self._begin, link, message.model)
        elif isinstance(message, Ask):
            self._orders.submit(self._obey, link, message)

    def _begin(self, link: Link, model: str) -> None:
        """In the thread of orders: rank as the leader does, then take events."""
        try:
            self._follower.serve_active(model)
        except Exception:  # a worker that can't rank as the others do must not rank at all
            _log.exception("The model %s can't be served here; this worker ends.", model)
            os.kill(os.getpid(), signal.SIGKILL)
        self._loop.call_soon_threadsafe(self._attach, link)

    def _attach(self, link: Link) -> None:
        if not link.closed:
            self._follower.attach(link)
            self._welcomed.set()

    def _obey(self, link: Link, ask: Ask) -> None:
        failure = None
        try:
            if ask.what == "serve":
                self._follower.serve_active(ask.argument)
            elif ask.what == "write":
                self._follower.decisions.flush_own()
            elif ask.what == "seal":
                self._follower.decisions.seal_own()
            else:
                raise PalateError(f"The leader told {ask.what[:40]!r}, which this worker doesn't know.")
        except Exception as error:  # whatever it is, the leader waits to be told
            failure = failure_of(error)
        self._loop.call_soon_threadsafe(link.send, Told(ask.number, b"", failure))

    def _tick(self) -> None:
        pause = TICK_SECONDS
        try:
            pause = 0.0 if self._follower.tick() else TICK_SECONDS
        except Exception:  # a request that needs what is missing fails by itself; the clock must go on
            _log.exception("Following the log failed; it is tried again.")
            pause = _PAUSE_SECONDS
        self._ticking = self._loop.call_later(pause, self._tick)
