"""Opening a directory: lock, log, snapshot and tail, vectors, decision log; and closing them in the right order."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import CorruptArtefact, NotFound
from palate.language import make_encoder
from palate.language.cache import VectorCache
from palate.state import State, snapshot
from palate.store import Store, open_store
from palate.store.decision import Decision
from palate.store.decisions import DecisionLog
from palate.store.lock import DirectoryLock
from palate.train.history import stamped
from palate.wire import new_id

_log = logging.getLogger("palate")
_KEPT = 1000
"""Decisions that an engine without a directory remembers."""
Progress = Callable[[str, int, int], None]


class Decisions:
    """The decision log of a directory, or, without one to write to, the last decisions in memory."""

    def __init__(self, log: DecisionLog | None) -> None:
        self.log = log
        self._recent: OrderedDict[str, Decision] = OrderedDict()

    def reserve(self) -> str:
        return new_id() if self.log is None else self.log.reserve()

    def samples(self, ranking: str) -> bool:
        """Whether this decision keeps the features of its unshown candidates."""
        return self.log is not None and self.log.keeps_unshown(ranking)

    def append(self, ranking: str, decision: Decision) -> None:
        if self.log is not None:
            self.log.append(ranking, decision)
            return
        decision.ranking = ranking
        self._recent[ranking] = decision
        if len(self._recent) > _KEPT:
            self._recent.popitem(last=False)

    def get(self, ranking: str) -> Decision:
        """Errors: ``NotFound``, ``Gone``."""
        if self.log is not None:
            return self.log.get(ranking)
        found = self._recent.get(ranking)
        if found is None:
            raise NotFound(f"There is no ranking {ranking[:80]!r}; its id is in the answer that showed it.", "ranking")
        return found


@dataclass(slots=True)
class Parts:
    """What an engine is made of. path: None in memory. writable: False when opened with ``until``."""

    path: Path | None
    store: Store
    cache: VectorCache
    state: State
    catalogue: Catalogue
    decisions: Decisions
    writable: bool
    lock: DirectoryLock | None = None
    notes: list[str] = field(default_factory=list[str])

    def close(self) -> None:
        """Decision log, vectors, log, lock: in this order, so that the lock goes last."""
        if self.decisions.log is not None:
            self.decisions.log.close()
        self.cache.close()
        self.store.close()
        if self.lock is not None:
            self.lock.release()


def open_parts(path: Path | str, settings: Settings, until: int | None) -> Parts:
    """Open everything. Errors: ``Locked``, ``Unavailable``, ``CorruptArtefact`` (the log), ``NotFound``."""
    encoder = make_encoder(settings.language.encoder, settings.language.threads)
    if str(path) == ":memory:":
        cache = VectorCache(None, encoder)
        state = State(settings)
        return Parts(
            None, open_store(":memory:"), cache, state, new_catalogue(state, cache, settings), Decisions(None), True
        )
    directory = Path(path)
    writable = until is None
    if writable:
        directory.mkdir(parents=True, exist_ok=True)
    elif not directory.is_dir():
        raise NotFound(f"There is no directory {directory} to read.", "path")
    lock = DirectoryLock(directory) if writable else None
    try:
        store = open_store(directory / "events.db", settings.durability, read_only=not writable)
        notes: list[str] = []
        state = _restore(directory, store, settings, until, notes)
        cache = VectorCache(directory / "vectors" if writable else None, encoder)
        log = DecisionLog(directory / "decisions", settings.decisions) if writable else None
        catalogue = new_catalogue(state, cache, settings)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    for note in notes:
        _log.warning("%s", note)
    return Parts(directory, store, cache, state, catalogue, Decisions(log), writable, lock, notes)


def _restore(directory: Path, store: Store, settings: Settings, until: int | None, notes: list[str]) -> State:
    """The newest usable snapshot plus the tail of the log; the whole log where there is none."""
    last = store.seq if until is None else min(until, store.seq)
    for path in reversed(snapshot.available(directory / "snapshots")):
        if int(path.name) > last:
            continue
        try:
            state, _ = snapshot.read(path, settings)
        except CorruptArtefact as error:
            notes.append(f"{error.message} The state is rebuilt from the log instead.")
            continue
        if state.last != _id_at(store, state.seq):
            notes.append(f"The snapshot {path} belongs to another log: the state is rebuilt from this one instead.")
            continue
        return _tail(state, store, last, None)
    return _tail(State(settings), store, last, None)


def _id_at(store: Store, seq: int) -> str:
    """The id of the event at a position of the log, '' where there is none."""
    return next((records[0].id for records in store.read(seq - 1, seq)), "") if seq else ""


def replay_state(store: Store, settings: Settings, until: int, progress: Progress | None = None) -> State:
    """The state folded from the log alone, up to and including position ``until``."""
    return _tail(State(settings), store, until, progress)


def _tail(state: State, store: Store, until: int, progress: Progress | None) -> State:
    first = state.seq
    for records in store.read(first, until):
        state.apply(stamped(records), records[-1].seq)
        if progress is not None:
            progress("rebuild", state.seq - first, until - first)
    return state


def new_catalogue(state: State, cache: VectorCache, settings: Settings) -> Catalogue:
    """The content side of ``state``: texts whose vectors are kept are placed now, the others wait to be encoded."""
    catalogue = Catalogue(state, cache, settings.language)
    catalogue.update(range(state.n_items))
    catalogue.place_kept()
    return catalogue
