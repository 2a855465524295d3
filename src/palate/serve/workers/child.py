"""What a worker is made of, and its life after the fork: open its parts, join the others, answer, drain, leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import PalateError
from palate.language import make_generator
from palate.language.cache import VectorCache
from palate.language.followed import FollowedVectors
from palate.language.served import Choice
from palate.opening import Parts, kept, new_catalogue, restore_state
from palate.serve.app import PalateApp
from palate.serve.run import Server, bind, run_server
from palate.serve.workers.board import READY, REFOLDED, Board
from palate.serve.workers.follower import Follower, Following
from palate.serve.workers.leader import Court, Leader
from palate.serve.workers.member import MemberDecisions, Writers
from palate.serve.workers.metrics import SharedMetrics, SharedSessions
from palate.serve.workers.tail import LogReader, Tail
from palate.state import State
from palate.store import erasing, open_store
from palate.store.shared_decisions import SharedDecisionLog

_log = logging.getLogger("palate.serve")

LEADER = 0
"""The number of the worker that leads."""
_GRACE_SECONDS = 5.0
_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Loaded:
    """What the supervisor has read before it forks: state, vectors and what follows from both."""

    state: State
    cache: VectorCache
    catalogue: Catalogue


@dataclass(slots=True)
class Plan:
    """What a worker is told. doors: see ``channel.door``. lifeline: reads as closed once the supervisor has ended.

    loaded: None for a worker that is started again; it reads the newest snapshot and the rest of the log.
    """

    directory: Path
    settings: Settings
    chosen: Choice
    board: Board
    doors: tuple[socket.socket, socket.socket]
    lifeline: int
    loaded: Loaded | None


def work(plan: Plan, number: int) -> int:
    """Run worker ``number`` until it is told to stop; the exit status. The process is a fresh fork."""
    slot = plan.board.slots[number]
    slot.take(os.getpid())
    _name_lines(number)
    threading.Thread(target=_leave_with_supervisor, args=(plan.lifeline,), daemon=True).start()
    try:
        (_lead if number == LEADER else _follow)(plan, number)
    except PalateError as error:
        _log.error("%s", error.message)
        return 1
    except Exception:  # the supervisor starts another one; why this one ended is said here
        _log.exception("The worker ends.")
        return 1
    return 0


def _lead(plan: Plan, number: int) -> None:
    board, slot, directory, settings = plan.board, plan.board.slots[number], plan.directory, plan.settings
    with contextlib.ExitStack() as opened:
        if plan.loaded is None:
            erasing.begin(directory)
        store = open_store(directory / "events.db", settings.durability)
        opened.callback(store.close)
        if plan.loaded is None:
            erasing.finish(directory, store)
            cache = VectorCache(directory / "vectors", plan.chosen.encoder)
            state = restore_state(directory, store, settings, store.seq)
            catalogue = new_catalogue(state, cache, settings)
        else:
            state, cache, catalogue = plan.loaded.state, plan.loaded.cache, plan.loaded.catalogue
            catalogue.vectors.use_graph(settings.retrieve.graph_above)
        writers = Writers(board, slot)
        decisions = _decisions(plan, writers, keeper=True)
        generator = make_generator(settings.language.generator)
        opened.pop_all()
    parts = Parts(
        directory, store, cache, state, catalogue, decisions, True, language=plan.chosen.settings, generator=generator,
        erases=True,
    )  # fmt: skip
    parts.coming = "later" if plan.chosen.coming else ""
    with contextlib.closing(Leader(parts, decisions, settings, board, slot)) as engine:

        async def begin() -> Court:
            court = Court(engine, plan.doors[0])
            court.open()
            writers.writing = court.write_decisions
            writers.sealing = partial(court.write_decisions, None, "seal")
            return court

        async def end(court: Court) -> None:
            await court.close(settings.serve.drain_seconds + _GRACE_SECONDS)

        _serve(plan, number, engine, begin, end)


def _follow(plan: Plan, number: int) -> None:
    board, slot, directory, settings = plan.board, plan.board.slots[number], plan.directory, plan.settings
    refolded = board.marks[REFOLDED] if plan.loaded is None else 0  # before the state is read that this is about
    with contextlib.ExitStack() as opened:
        store = LogReader(directory / "events.db", settings.durability, read_only=True)
        opened.callback(store.close)
        if plan.loaded is None:
            cache = FollowedVectors(directory / "vectors", plan.chosen.encoder)
            state = restore_state(directory, store, settings, store.seq)
            catalogue = new_catalogue(state, cache, settings)
        else:
            state, catalogue = plan.loaded.state, plan.loaded.catalogue
            catalogue.cache = cache = FollowedVectors(directory / "vectors", plan.chosen.encoder, plan.loaded.cache)
            plan.loaded.cache.close()
            catalogue.vectors.use_graph(settings.retrieve.graph_above)
        writers = Writers(board, slot)
        decisions = _decisions(plan, writers, keeper=False)
        generator = make_generator(settings.language.generator)
        opened.pop_all()
    parts = Parts(directory, store, cache, state, catalogue, decisions, True, generator=generator)
    tail = Tail(board, store)
    with contextlib.closing(Follower(parts, decisions, settings, board, slot, tail, refolded)) as engine:
        writers.writing = lambda: engine.ask("write")

        async def begin() -> Following:
            following = Following(engine, number, plan.doors[1])
            await following.open()
            return following

        async def end(following: Following) -> None:
            following.close()

        _serve(plan, number, engine, begin, end)


def _decisions(plan: Plan, writers: Writers, keeper: bool) -> MemberDecisions:
    directory, board = plan.directory / "decisions", plan.board
    log = SharedDecisionLog(directory, kept(plan.settings), writers, len(board.slots), keeper)
    return MemberDecisions(log, board)


def _serve(
    plan: Plan, number: int, engine: Leader | Follower, begin: Callable[[], Awaitable[Any]], end: Callable[[Any], Any]
) -> None:
    board, slot = plan.board, plan.board.slots[number]
    engine.warm()
    metrics, sessions = SharedMetrics(board, slot), SharedSessions(board, slot)
    app = PalateApp(engine, plan.settings, metrics, sessions)
    with contextlib.closing(bind(plan.settings.serve, shared=True)) as listener:
        run_server(WorkerServer(app, plan, number, engine, begin, end), listener)


class WorkerServer(Server):
    """A ``Server`` that listens once its worker has joined the others, and stays with them until its last answer."""

    def __init__(
        self,
        app: PalateApp,
        plan: Plan,
        number: int,
        engine: Leader | Follower,
        begin: Callable[[], Awaitable[Any]],
        end: Callable[[Any], Awaitable[None]],
    ) -> None:
        super().__init__(app, plan.settings, None)
        self._board, self._slot = plan.board, plan.board.slots[number]
        self._engine = engine
        self._begin = begin
        self._end = end
        self._joined: Any = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Join, catch up, listen."""
        joining = asyncio.ensure_future(self._begin())
        while not joining.done() and not self.should_exit:
            await asyncio.wait({joining}, timeout=_LOOK_SECONDS)
        if self.should_exit:
            joining.cancel()
            return
        self._joined = await joining
        while isinstance(self._engine, Follower) and self._engine.tick():
            await asyncio.sleep(0)
        await super().startup(sockets)
        self._slot.stage = READY

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is in flight, then leave the others."""
        hurrying = asyncio.ensure_future(self._hurry())
        await super().shutdown(sockets)
        await self._end(self._joined)
        hurrying.cancel()

    async def _hurry(self) -> None:
        while not self._board.hurrying:
            await asyncio.sleep(_LOOK_SECONDS)
        self.force_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain. A terminal sends SIGINT to all, and a service manager SIGTERM: the supervisor's signal is not a second
        one, nor is it for this worker to say that nothing is to be waited for."""
        if sig != signal.SIGINT and not self._app.draining:
            super().handle_exit(sig, frame)


def _leave_with_supervisor(lifeline: int) -> None:
    """End this process once the supervisor has ended, whatever it died of: nothing may keep the port and the lock."""
    os.read(lifeline, 1)
    os._exit(1)


def _name_lines(number: int) -> None:
    """Every line of the log says which worker it is from."""
    make = logging.getLogRecordFactory()

    def named(*values: Any, **options: Any) -> logging.LogRecord:
        record = make(*values, **options)
        record.msg = f"worker {number + 1}: {record.msg}"
        return record

    logging.setLogRecordFactory(named)
