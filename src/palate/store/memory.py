"""The event log in memory: for ``palate.open(":memory:")``, evaluation and tests. Nothing outlives the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import msgspec

from palate.errors import CorruptArtefact, Unavailable
from palate.store import AppendResult, Record


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
        self._subjects: dict[str, list[int]] = {}
        self._closed = False

    def append(self, records: Sequence[Record]) -> AppendResult:
        """See ``Store.append``."""
        with self._lock:
            self._check_open()
            seqs: list[int] = []
            for record in records:
                if record.id in self._ids:
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
            yield [msgspec.structs.replace(record) for record in self._records[start : min(start + chunk, stop)]]

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
