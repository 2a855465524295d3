"""The event and decision logs in memory: for ``palate.open(":memory:")``, evaluation and tests. Nothing outlives the
process."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import msgspec

from palate import ids
from palate.config import DecisionSettings
from palate.errors import CorruptArtefact, Unavailable
from palate.state.keys import hashes
from palate.store import ERASED, AppendResult, Record, erased_id, segments
from palate.store.decision import Decision, concerns_any, decode, gone, not_found, try_encode
from palate.store.segments import Key

MAX_BYTES = 64 * 1024 * 1024
"""Of decisions in memory, whatever ``decisions.max_bytes`` says."""


class _Items(msgspec.Struct):
    item: str | None = None
    items: list[str] = []


_ITEMS = msgspec.msgpack.Decoder(_Items)


def concerns(record: Record, item: str) -> bool:
    """Whether the event of ``record`` names ``item``. Errors: ``CorruptArtefact`` for an unreadable payload."""
    try:
        found = _ITEMS.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptArtefact(
            f"Event {record.id[:80]!r} at position {record.seq} of the log is unreadable ({error}): "
            "restore the directory from a backup."
        ) from None
    return found.item == item or item in found.items


class MemoryStore:
    """A ``Store`` of Python lists. About 400 bytes a record beyond its payload; append costs about 1 µs a record."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._ids: set[str] = set()
        self._erased: set[int] = set()  # hashes of the ids of erased events
        self._subjects: dict[str, list[int]] = {}
        self._closed = False

    def append(self, records: Sequence[Record]) -> AppendResult:
        """See ``Store.append``."""
        with self._lock:
            self._check_open()
            seqs: list[int] = []
            for record in records:
                if record.id in self._ids or (self._erased and int(hashes([record.id])[0]) in self._erased):
                    seqs.append(0)
                    continue
                self._ids.add(record.id)
                # A copy: what the log holds must not change when the caller's record does.
                record.seq = len(self._records) + 1
                self._records.append(msgspec.structs.replace(record))
                seqs.append(record.seq)
                if record.subject is not None:
                    self._subjects.setdefault(record.subject, []).append(record.seq - 1)
            return AppendResult(seqs, len(self._records))

    def read(self, after: int = 0, until: int | None = None, chunk: int = 10_000) -> Iterator[list[Record]]:
        """See ``Store.read``."""
        self._check_open()
        stop = len(self._records) if until is None else min(until, len(self._records))
        for start in range(max(after, 0), stop, chunk):
            part = self._records[start : min(start + chunk, stop)]
            if found := [msgspec.structs.replace(record) for record in part if record.kind != ERASED]:
                yield found

    def erase(self, positions: Sequence[int]) -> int:
        """See ``Store.erase``."""
        with self._lock:
            self._check_open()
            gone = [record for position in positions if (record := self._records[position - 1]).kind != ERASED]
            for record, hashed in zip(gone, hashes([record.id for record in gone]).tolist(), strict=True):
                self._records[record.seq - 1] = Record(record.seq, erased_id(hashed), 0, ERASED, None, 0, b"")
                self._ids.discard(record.id)
                self._erased.add(hashed)
            for subject in {record.subject for record in gone if record.subject is not None}:
                kept = [index for index in self._subjects[subject] if self._records[index].kind != ERASED]
                self._subjects[subject] = kept
                if not kept:
                    del self._subjects[subject]
            return len(gone)

    def find(self, user: str, item: str | None, timestamp: int | None) -> list[Record]:
        """See ``Store.find``. Linear in the subject's events."""
        with self._lock:
            self._check_open()
            found = [self._records[index] for index in self._subjects.get(user, ())]
        return [
            msgspec.structs.replace(record)
            for record in found
            if (timestamp is None or record.timestamp == timestamp) and (item is None or concerns(record, item))
        ]

    @property
    def seq(self) -> int:
        """See ``Store.seq``."""
        return len(self._records)

    def count(self) -> int:
        """See ``Store.count``."""
        return len(self._records)

    def sync(self) -> None:
        """See ``Store.sync``; there is no disk."""

    def close(self) -> None:
        """See ``Store.close``."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The event log is closed: open the engine again.")


class MemoryDecisionLog:
    """A ``DecisionLog`` for engines without a directory to write to, gone with the process.

    It keeps the newest ``decisions.max_bytes``, at most ``MAX_BYTES``.
    """

    def __init__(self, settings: DecisionSettings) -> None:
        self.settings = settings
        self.appended = 0
        self.dropped = 0
        self._lock = threading.Lock()
        self._bodies: dict[Key, bytes] = {}
        self._bytes = 0
        self._ordinal = 0
        self._expired = 0  # the largest ordinal that the cap has deleted
        self._closed = False

    def reserve(self) -> str:
        """See ``DecisionLog.reserve``."""
        with self._lock:
            self._ordinal += 1
            return Key(1, self._ordinal, ids.random_words(1)[0]).text()

    def keeps_unshown(self, ranking: str) -> bool:
        """See ``DecisionLog.keeps_unshown``."""
        return segments.sampled(ranking, self.settings.sample)

    def append(self, ranking: str, decision: Decision) -> None:
        """See ``DecisionLog.append``."""
        key = segments.parse_key(ranking)
        if key is None:
            raise not_found(ranking)
        if not self.settings.enabled:
            return
        decision.ranking = ranking
        body = try_encode(decision)
        with self._lock:
            if self._closed:
                raise Unavailable("The decision log is closed: open the engine again.")
            if body is None:
                self.dropped += 1
                return
            self.appended += 1
            self._bodies[key] = body
            self._bytes += len(body)
            while self._bytes > min(self.settings.max_bytes, MAX_BYTES):
                oldest = next(iter(self._bodies))
                self._bytes -= len(self._bodies.pop(oldest))
                self._expired = max(self._expired, oldest.ordinal)

    def get(self, ranking: str) -> Decision:
        """See ``DecisionLog.get``."""
        key = segments.parse_key(ranking)
        with self._lock:
            body = self._bodies.get(key) if key is not None else None
        if body is not None:
            return decode(body, "memory")
        if key is not None and key.segment == 1 and 0 < key.ordinal <= self._expired:
            raise gone(ranking, self.settings)
        raise not_found(ranking)

    def read(self) -> Iterator[Decision]:
        """See ``DecisionLog.read``."""
        return self.of(())

    def of(self, subjects: Collection[str]) -> Iterator[Decision]:
        """See ``DecisionLog.of``."""
        with self._lock:
            bodies = list(self._bodies.values())
        for body in bodies:
            if not subjects or concerns_any(body, subjects):
                yield decode(body, "memory")

    def after(self, place: int) -> tuple[list[Decision], int]:
        """Decisions appended after the ``place``-th, counted from 1, and the place of the last."""
        with self._lock:
            more = min(self.appended - place, len(self._bodies))
            bodies = list(islice(reversed(self._bodies.values()), max(0, more)))
            last = self.appended
        return [decode(body, "memory") for body in reversed(bodies)], last

    def erase(self, subjects: Collection[str]) -> int:
        """See ``DecisionLog.erase``."""
        with self._lock:
            gone = [key for key, body in self._bodies.items() if concerns_any(body, subjects)]
            for key in gone:
                self._bytes -= len(self._bodies.pop(key))
        return len(gone)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """See ``DecisionLog.close``."""
        self._closed = True
