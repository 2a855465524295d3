"""Opening a directory: lock, log, snapshot and tail, vectors, decision log; and closing them in the right order."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from palate.catalogue import Catalogue
from palate.config import DecisionSettings, LanguageSettings, Settings
from palate.disk import make_directory
from palate.errors import CorruptArtefact, NotFound, PalateError, Unavailable
from palate.language import Generator as LanguageModel
from palate.language import encoder_of, make_generator, served
from palate.language.asked import AskedLog
from palate.language.cache import VectorCache
from palate.language.mute import MuteGenerator
from palate.state import State, snapshot
from palate.state.folding import Batch, fold_log
from palate.store import Committer, OnCommit, Record, Store, erasing, open_decisions, open_store
from palate.store import Decisions as DecisionLog
from palate.store.commit import GroupCommitter
from palate.store.decision import Decision
from palate.store.lock import DirectoryLock
from palate.train import artefact
from palate.train.history import stamped

_log = logging.getLogger("palate")
_LEAST_BYTES = 512
"""SQLite's smallest page. What is shorter it takes for a new database, and writes over it."""
Progress = Callable[[str, int, int], None]


class Decisions:
    """The decisions of an engine: of a directory that it may write to in files there, of others in memory.

    log: what training reads of them; None in an engine opened for reading, which trains nothing.
    """

    def __init__(self, kept: DecisionLog, writable: bool = True) -> None:
        self._kept = kept
        self.log = kept if writable else None

    @property
    def dropped(self) -> int:
        """How many were answered and could not be kept: the disk refused for long."""
        return self._kept.dropped

    def reserve(self) -> str:
        return self._kept.reserve()

    def samples(self, ranking: str) -> bool:
        """Whether this decision keeps the features of its unshown candidates."""
        return self._kept.keeps_unshown(ranking)

    def append(self, ranking: str, decision: Decision) -> None:
        self._kept.append(ranking, decision)

    def get(self, ranking: str) -> Decision:
        """Errors: ``NotFound``, ``Gone``."""
        return self._kept.get(ranking)

    def of(self, subjects: Collection[str]) -> Iterator[Decision]:
        """Those about any of ``subjects``."""
        return self._kept.of(subjects)

    def erase(self, subjects: Collection[str]) -> int:
        """Take out those about any of ``subjects``; how many. Errors: ``Unavailable``."""
        return self._kept.erase(subjects)

    def close(self) -> None:
        self._kept.close()


class Encoding(Protocol):
    """What places the vectors of new texts; ``background.BackgroundEncoder`` says what each method promises."""

    def wake(self) -> None: ...

    def wait(self, timeout: float) -> bool: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Parts:
    """What an engine is made of. path: None in memory. writable: False when opened with ``until``.

    committing, encoding: what makes the queue before the log, and what places vectors (None: a ``BackgroundEncoder``);
    a worker that follows another one has its own. saved: position of the snapshot that the state was read from, 0
    where it was folded from the log alone, None where another process cares for snapshots. language: the settings of
    the encoder that serves, None for those of the engine; coming: whether these ask for another
    one, and when it may take its place: in this process, or (``later``) at the next start. generator: of conversations.
    erases: whether people who are to be erased are so by this process (``erasure``).
    """

    path: Path | None
    store: Store
    cache: VectorCache
    state: State
    catalogue: Catalogue
    decisions: Decisions
    writable: bool
    lock: DirectoryLock | None = None
    notes: list[str] = field(default_factory=list[str])
    committing: Callable[[Store, OnCommit, int, int], Committer] = GroupCommitter
    encoding: Callable[[threading.RLock, Callable[[], Catalogue], Callable[[], None]], Encoding] | None = None
    saved: int | None = None
    language: LanguageSettings | None = None
    coming: Literal["", "now", "later"] = ""
    generator: LanguageModel = field(default_factory=MuteGenerator)
    erases: bool = False
    costs: AskedLog | None = None

    @property
    def asked(self) -> AskedLog:
        """What questions of requests cost."""
        if self.costs is None:
            self.costs = AskedLog(self.path)
        return self.costs

    def close(self) -> None:
        """Generator, decision log, vectors, log, lock: the lock goes last; all of them, whichever fails."""
        with ExitStack() as closing:
            if self.lock is not None:
                closing.callback(self.lock.release)
            closing.callback(self.store.close)
            closing.callback(self.cache.close)
            closing.callback(self.decisions.close)
            closing.callback(self.generator.close)


def open_parts(path: Path | str | Parts, settings: Settings, until: int | None) -> Parts:
    """Open everything; ``Parts`` are open already. Errors: ``Locked``, ``Unavailable``, ``CorruptArtefact`` (the log),
    ``NotFound``."""
    if isinstance(path, Parts):
        return path
    with _uncollected():
        return _open(path, settings, until)


@contextmanager
def _uncollected() -> Generator[None]:
    """No collector of garbage meanwhile: it would look through a million new objects a few times, and find nothing."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _open(path: Path | str, settings: Settings, until: int | None) -> Parts:
    generator = make_generator(settings.language.generator)
    if str(path) == ":memory:":
        cache = VectorCache(None, encoder_of(settings.language))
        state = State(settings)
        decisions = Decisions(open_decisions(None, settings.decisions))
        return Parts(
            None, open_store(":memory:"), cache, state, new_catalogue(state, cache, settings), decisions, True,
            generator=generator, erases=True,
        )  # fmt: skip
    directory = Path(path)
    writable = until is None
    if writable:
        try:
            make_directory(directory)
        except OSError as error:
            raise Unavailable(
                f"The directory {directory} can't be made: {error.strerror}. Name one that this process may write to."
            ) from None
    elif not directory.is_dir():
        raise NotFound(f"There is no directory {directory} to read.", "path")
    with ExitStack() as opened:  # what was opened is closed again where the rest can't be
        lock = DirectoryLock(directory) if writable else None
        if lock is not None:
            opened.callback(lock.release)
        chosen = serving(directory, settings, writable)
        check_log(directory)
        if writable:
            erasing.begin(directory)
        store = open_store(directory / "events.db", settings.durability, read_only=not writable)
        opened.callback(store.close)
        if writable:
            erasing.finish(directory, store)
        notes: list[str] = []
        state, saved = _restore(directory, store, settings, until, notes)
        cache = VectorCache(directory / "vectors", chosen.encoder, read_only=not writable)
        opened.callback(cache.close)
        log = open_decisions(directory / "decisions" if writable else None, kept(settings))
        opened.callback(log.close)
        catalogue = new_catalogue(state, cache, settings)
        opened.pop_all()
    for note in notes:
        _log.warning("%s", note)
    return Parts(
        directory, store, cache, state, catalogue, Decisions(log, writable), writable, lock, notes, saved=saved,
        language=chosen.settings, coming="now" if chosen.coming and writable else "", generator=generator,
        erases=writable,
    )  # fmt: skip


def serving(directory: Path, settings: Settings, writable: bool) -> served.Choice:
    """The encoder that serves a directory, which isn't the one of the settings until that has encoded all texts.

    writable: a change that was decided is finished, and what is chosen is kept. Errors: as ``encoder_of``."""
    folder = directory / "vectors"
    found = served.read(folder)
    if writable and found is not None and found.model:
        _activate(directory / "models", found.model)
    chosen = served.choose(folder, settings.language)
    now = served.Served(chosen.settings, chosen.encoder.name)
    if writable and (found is None or (found.name, found.model) != (now.name, "")):
        try:
            served.write(folder, now)
        except Unavailable as error:  # it matters once the settings change; a full disk must not close the directory
            _log.warning("%s", error.message)
    return chosen


def _activate(models: Path, version: str) -> None:
    """The model of an encoder that was decided to serve. Where it can't be: the prior ranks, and says so."""
    try:
        if artefact.active(models) != version:
            artefact.activate(models, version)
    except PalateError as error:
        _log.warning("The model %s can't be made active. %s", version, error.message)


def kept(settings: Settings) -> DecisionSettings:
    """How long decisions are kept: no longer than events of people."""
    days = settings.retention.days
    if not days:
        return settings.decisions
    return msgspec.structs.replace(settings.decisions, max_days=min(days, settings.decisions.max_days))


def check_log(directory: Path) -> None:
    """Nothing is created in the place of a log that is gone. Reads no events; a new directory passes.

    Errors: ``CorruptArtefact`` where ``events.db`` is missing or empty, and a snapshot or a write-ahead log says that
    it wasn't.
    """
    log, ahead = directory / "events.db", directory / "events.db-wal"
    size = log.stat().st_size if log.is_file() else -1
    if size >= _LEAST_BYTES:
        return
    what = {-1: "is missing", 0: "is empty"}.get(size, f"is cut to {size} bytes")
    if snapshot.available(directory / "snapshots"):
        raise log_lost(directory, what)
    if size > 0 or (ahead.is_file() and ahead.stat().st_size):
        raise CorruptArtefact(
            f"{log} {what}, and is no new log: restore it from a backup, or move events.db* away to begin a new one."
        )


def log_lost(directory: Path, what: str) -> CorruptArtefact:
    """The error for a log that ends before the newest snapshot; ``what`` is said of it."""
    newest = snapshot.available(directory / "snapshots")[-1]
    return CorruptArtefact(
        f"{directory / 'events.db'} {what}, and the snapshot {newest.name} was taken at position "
        f"{int(newest.name):,}: events are lost. Restore events.db from a backup; or, to go on from the log as it is, "
        f"remove {newest.parent}."
    )


def _restore(
    directory: Path, store: Store, settings: Settings, until: int | None, notes: list[str]
) -> tuple[State, int]:
    """The newest usable snapshot plus the tail of the log, and its position; the whole log and 0 where there is none.

    Errors: ``CorruptArtefact`` where the log ends before a snapshot's position.
    """
    # Listed before the log is asked for its end: another process may be writing both.
    found = snapshot.available(directory / "snapshots")
    known = store.seq
    if found and int(found[-1].name) > known:
        raise log_lost(directory, f"ends at position {known:,}")
    last = known if until is None else min(until, known)
    for path in reversed(found):
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
        saved = state.seq
        return _tail(state, lambda path=path: snapshot.read(path, settings)[0], store, last), saved
    return replay_state(store, settings, last), 0


def _id_at(store: Store, seq: int) -> str:
    """The id of the event at a position of the log, '' where there is none, or it was erased."""
    return next((records[0].id for records in store.read(seq - 1, seq)), "") if seq else ""


def restore_state(path: Path | None, store: Store, settings: Settings, until: int) -> State:
    """The state up to and including position ``until`` as the next start would have it. Errors: ``CorruptArtefact``."""
    return replay_state(store, settings, until) if path is None else _restore(path, store, settings, until, [])[0]


def replay_state(store: Store, settings: Settings, until: int, progress: Progress | None = None) -> State:
    """The state folded from the log alone, up to and including position ``until``."""
    return _tail(State(settings), lambda: State(settings), store, until, progress)


def replay_beside(
    live: State, store: Store, settings: Settings, until: int, progress: Progress | None
) -> tuple[State, dict[str, Any]]:
    """``replay_state``, and how it compares with ``live``: events, seconds, whether they are equal, seq."""
    started = time.perf_counter()
    fresh = replay_state(store, settings, until, progress)
    seconds = round(time.perf_counter() - started, 3)
    equal = snapshot.digest(fresh) == snapshot.digest(live)
    return fresh, {"events": fresh.events, "seconds": seconds, "equal": equal, "seq": fresh.seq}


def _tail(
    state: State, again: Callable[[], State], store: Store, until: int, progress: Progress | None = None
) -> State:
    first = state.seq

    def batches(after: int) -> Iterator[Batch]:
        for records in store.read(after, until):
            yield from stretches(records)

    def told(seq: int) -> None:
        if progress is not None:
            progress("rebuild", seq - first, until - first)

    folded = fold_log(state, again, batches, told)
    if folded.seq < until:  # the last ones were erased
        folded.apply([], until)
    folded.last = _id_at(store, until)
    return folded


def stretches(records: list[Record]) -> Iterator[Batch]:
    """Records in order as batches of neighbours: positions of erased events lie between these."""
    start = 0
    if records[-1].seq - records[0].seq >= len(records):
        for place in range(1, len(records)):
            if records[place].seq != records[place - 1].seq + 1:
                yield list(stamped(records[start:place])), records[place - 1].seq
                start = place
    yield list(stamped(records[start:])), records[-1].seq


def go_on(state: State, catalogue: Catalogue, store: Store, until: int) -> None:
    """Fold what the log holds up to ``until`` into a state and its catalogue. Errors: any that an event may cause."""
    for records in store.read(state.seq, until):
        for events, seq in stretches(records):
            catalogue.update(state.apply(events, seq))
    if state.seq < until:
        state.apply([], until)
    state.last = _id_at(store, until)


def new_catalogue(state: State, cache: VectorCache, settings: Settings, graph: bool = True) -> Catalogue:
    """The content side of ``state``: texts whose vectors are kept are placed now, the others wait to be encoded.

    graph: whether one of near texts may be begun, where the settings ask for it; that is a thread.
    Errors: ``ConfigError`` where usearch isn't installed.
    """
    catalogue = Catalogue(state, cache, settings.language)
    if graph:
        catalogue.vectors.use_graph(settings.retrieve.graph_above)
    catalogue.update(range(state.n_items))
    catalogue.place_kept()
    return catalogue
