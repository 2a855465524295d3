"""Both logs as one stream: every event behind the decisions that were made before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from palate.store import Decisions, Record, Store
from palate.store.decision import Decision
from palate.store.following import tail_of

MOST = 20_000
"""Newest decisions that a beginning looks back at."""


class Feed:
    """Where a follower of both logs stands. Not thread-safe."""

    def __init__(self, store: Store, log: Decisions, directory: Path | None) -> None:
        """directory: of the decision log's segments, None in memory."""
        self._store, self._log = store, log
        self._tail = tail_of(log, directory)
        self._begun = False
        self._until = 0
        self._waiting: list[Decision] = []
        self.seq = 0
        """Position of the last event given."""

    def flush(self) -> None:
        """Have everybody write the decisions that wait: whoever answered an event has ranked before. Errors:
        ``Unavailable``, and nothing has changed."""
        self._until = self._store.seq
        self._log.flush()

    def next(self) -> Iterator[Decision | Record]:
        """What was logged up to ``flush``; at first, the newest ``MOST`` decisions and the events since the oldest.

        Decisions stand in the order of (``as_of``, time, id), each before the events that it didn't know. One that
        its process wrote late comes late. Errors: ``Unavailable``, ``OSError``, ``CorruptArtefact``; what was not given
        by then comes with the next call.
        """
        until, waiting = self._until, self._waiting
        if self._begun:
            waiting += self._tail.next()
        else:
            waiting += self._tail.begin(MOST)
            self.seq = min((one.as_of for one in waiting), default=until)
            self._begun = True
        waiting.sort(key=lambda one: (one.as_of, one.timestamp, one.ranking), reverse=True)
        for records in self._store.read(self.seq, until):
            for record in records:
                while waiting and waiting[-1].as_of < record.seq:
                    yield waiting.pop()
                yield record
                self.seq = record.seq
        self.seq = max(self.seq, until)
        while waiting:
            yield waiting.pop()
