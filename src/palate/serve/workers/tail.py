"""The newest part of the log, as a follower reads it: from the ring in shared memory, else from the log itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palate.errors import CorruptArtefact
from palate.intake import EventRecord
from palate.serve.workers.board import Board
from palate.store import ERASED, Record
from palate.store.sqlite import SqliteStore
from palate.train.history import event_of

Row = tuple[int, str, int, str, str | None, int, bytes]
"""A record as it travels, in the order of ``Record``'s fields."""
CHUNK = 1_000
"""Records read, and folded, at a time."""
_SINCE = f"SELECT {', '.join(Record.__struct_fields__)} FROM event WHERE seq > ? ORDER BY seq LIMIT ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Row]).decode


def row_of(record: Record) -> Row:
    """``record`` as it travels."""
    return (
        record.seq, record.id, record.timestamp, record.kind, record.subject, record.received, record.payload
    )  # fmt: skip


def with_events(records: Sequence[Record]) -> list[Record]:
    """The same with their events decoded, where they aren't yet; what the fold takes."""
    return [
        record if isinstance(record, EventRecord) else EventRecord(*row_of(record), event_of(record))
        for record in records
    ]


def share(board: Board, records: Sequence[Record]) -> None:
    """Put what was just committed where followers find it. About 1 µs a record."""
    for start in range(0, len(records), CHUNK):
        part = records[start : start + CHUNK]
        board.append(part[0].seq, part[-1].seq, _encode([row_of(record) for record in part]))


class LogReader(SqliteStore):
    """The log, opened for reading beside the process that writes it."""

    def since(self, after: int, most: int = CHUNK) -> list[Record]:
        """Up to ``most`` records behind position ``after``, in order, without erased ones; none at the end of the log.

        Some 50 µs, and 1.5 µs a record. Errors: ``CorruptArtefact`` where one is missing, ``Unavailable``.
        """
        while rows := self._query(_SINCE, (after, most)):
            if rows[-1][0] != after + len(rows):
                raise CorruptArtefact(f"{self.path} is damaged after position {after:,}: restore it from a backup.")
            if found := [Record(*row) for row in rows if row[3] != ERASED]:
                return found
            after = rows[-1][0]
        return []


class Tail:
    """Where a follower stands in the log. Not thread-safe."""

    def __init__(self, board: Board, log: LogReader) -> None:
        self._board = board
        self._log = log
        self._at: int | None = None

    def next(self, after: int, until: int) -> list[Record]:
        """The records behind ``after``, at most ``CHUNK`` or so; none only where the log has none up to ``until``."""
        while self._at is not None:
            if self._at == self._board.ring_end:
                if after >= until:
                    return []
                self._at = None  # what is missing was too large for the ring
                break
            found = self._board.frame(self._at)
            if found is None or found[0] > after + 1:
                self._at = None
                break
            _, last, self._at, body = found
            if last > after:
                return [Record(*row) for row in _decode(body) if row[0] > after]
        # The ring goes on from here once the log has been read to its end: every frame before this one is in the log.
        end = self._board.ring_end
        records = self._log.since(after)
        if len(records) < CHUNK:
            self._at = end
        return records
