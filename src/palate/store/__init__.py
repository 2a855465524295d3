"""The event log: every accepted event once, in the order in which it was accepted.

``open_store`` gives the SQLite log of a directory (``events.db``) or, for ``":memory:"``, one in memory.
Both keep the same contract, which ``palate.testing.store.StoreContract`` checks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from palate.config import DecisionSettings

if TYPE_CHECKING:
    from palate.store.decision import Decision

Durability = Literal["durable", "fast"]


class Record(msgspec.Struct, gc=False):
    """One event in the log.

    seq: position in the log, from 1, dense; 0 until accepted. id: the event's id, unique in the log.
    timestamp, received: Unix ms, when it happened and when it arrived. kind: the event's tag (``interaction``, …).
    subject: whose event it is (user, else session), None for an item. payload: MessagePack of the ``Event``.
    What was erased (``Store.erase``) is no record any more.
    """

    seq: int
    id: str
    timestamp: int
    kind: str
    subject: str | None
    received: int
    payload: bytes


ERASED = "erased"
"""The kind of a row whose event was erased; ``read`` and ``find`` never give one."""


def erased_id(hashed: int) -> str:
    """What stands for the id of an erased event: its 64-bit hash (``keys.hashes``), behind a NUL, which no id holds."""
    return f"\0{hashed:016x}"


def erased_hash(name: str) -> int:
    """The inverse of ``erased_id``."""
    return int(name[1:], 16)


class AppendResult(msgspec.Struct, gc=False):
    """seqs: one a record, in the order given, 0 for a duplicate. seq: the log position after it."""

    seqs: list[int]
    seq: int


class Store(Protocol):
    """An append-only event log. Safe to use from several threads; one process writes, others may read."""

    def append(self, records: Sequence[Record]) -> AppendResult:
        """Append in one transaction: all or nothing, durable on return ("fast": within a second of it).

        Idempotent by id: the first record of an id wins, across appends and inside one. Once committed, ``seq`` is
        set in place on each accepted record; that of a duplicate is left as it was.
        Errors: ``Unavailable`` when the disk refuses or the store is closed; then nothing was appended.
        """
        ...

    def read(self, after: int = 0, until: int | None = None, chunk: int = 10_000) -> Iterator[list[Record]]:
        """Records with after < seq ≤ until (by default, the position when reading begins), in order, each once.

        Lists of 1 to ``chunk`` records; positions of what was erased are left out, whether before, between or after
        them. Reading never blocks an append, nor the other way round.
        """
        ...

    def find(self, user: str, item: str | None, timestamp: int | None) -> list[Record]:
        """Records of the subject ``user``, in order; only those of ``item`` and at ``timestamp`` (ms) when given."""
        ...

    def erase(self, positions: Sequence[int]) -> int:
        """Erase the events at ``positions``; returns how many were there. Durable on return, all or nothing.

        Their positions stay taken, and so do their ids, of which a hash is kept: an event with such an id is a
        duplicate. Nothing else of them is left in the files, in what was freed either.
        Errors: ``Unavailable`` when the disk refuses; then nothing was erased.
        """
        ...

    @property
    def seq(self) -> int:
        """The position of the last record, 0 for an empty log; erased ones count."""
        ...

    def count(self) -> int:
        """How many positions the log has given."""
        ...

    def sync(self) -> None:
        """Make what was appended durable now; "durable" logs are. Errors: ``Unavailable`` when the disk refuses."""
        ...

    def close(self) -> None:
        """Make everything durable and let go of the files. Closing twice is fine."""
        ...


OnCommit = Callable[[list[Record], list[AppendResult]], None]
"""Called with what was just committed: the accepted records, and one result a submission."""


Settle = Callable[[AppendResult | BaseException], None]
"""Takes what became of a submission, in the committer's thread; it must be quick, and raise nothing."""


class Committer(Protocol):
    """The queue before a log; ``palate.store.commit.GroupCommitter`` says what each method promises."""

    def offer(self, records: Sequence[Record], settle: Settle) -> None: ...

    def close(self) -> None: ...


class Decisions(Protocol):
    """A log of decisions; ``palate.store.decisions.DecisionLog`` says what each method promises."""

    appended: int
    dropped: int

    def reserve(self) -> str: ...

    def keeps_unshown(self, ranking: str) -> bool: ...

    def append(self, ranking: str, decision: Decision) -> None: ...

    def get(self, ranking: str) -> Decision: ...

    def read(self) -> Iterator[Decision]: ...

    def of(self, subjects: Collection[str]) -> Iterator[Decision]: ...

    def erase(self, subjects: Collection[str]) -> int: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def open_decisions(directory: Path | None, settings: DecisionSettings, read_only: bool = False) -> Decisions:
    """The decision log of ``directory`` (created where absent), or in memory for None. Errors: ``Unavailable``."""
    from palate.store.decisions import DecisionLog
    from palate.store.memory import MemoryDecisionLog

    return MemoryDecisionLog(settings) if directory is None else DecisionLog(directory, settings, read_only)


def open_store(path: Path | str, durability: Durability = "durable", read_only: bool = False) -> Store:
    """The log at ``path`` (a file, created where absent unless ``read_only``), or in memory for ``":memory:"``.

    Errors: ``NotFound`` (read_only and absent), ``Unavailable``, ``CorruptArtefact`` (not a log, or a newer format).
    """
    if str(path) == ":memory:":
        from palate.store.memory import MemoryStore

        return MemoryStore()
    from palate.store.sqlite import SqliteStore

    return SqliteStore(Path(path), durability, read_only)
