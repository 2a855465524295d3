"""The way of a follower's events to the leader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from palate.errors import Overloaded, Unavailable
from palate.serve.workers.channel import Link, Stored, Submit, gone
from palate.serve.workers.tail import Row, row_of
from palate.store import AppendResult, OnCommit, Record, Settle, Store


class Sender:
    """In the place of the group commit: events go to the leader, all of one turn of the event loop in one message.

    Errors: as ``GroupCommitter``; an outcome may also be ``Unavailable``, when the leader ends before it has answered.
    """

    def __init__(self, store: Store, on_commit: OnCommit, max_records: int, max_bytes: int) -> None:
        self._most = max_records, max_bytes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: Link | None = None
        self._calls: list[tuple[int, list[Row]]] = []
        self._sent: dict[int, tuple[Settle, int, int]] = {}
        self._number = 0
        self._records = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._thread = 0
        self._closed = False

    def attach(self, link: Link | None) -> None:
        """In the loop: the connection to use, None while there is none; what was under way over the former is lost."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        with self._lock:
            self._link = link
            lost, self._sent, self._calls = self._sent, {}, []
            self._records = self._bytes = 0
        for settle, _, _ in lost.values():
            settle(gone())

    def offer(self, records: Sequence[Record], settle: Settle) -> None:
        """See ``GroupCommitter.offer``; ``settle`` is called in the loop. About 3 µs, and 1 µs a record."""
        size = sum([len(record.payload) for record in records])
        with self._lock:
            if self._closed:
                raise Unavailable("Palate is closing and takes no more events: send them to the next process.")
            if self._link is None or self._loop is None:
                raise gone()
            for waiting, more, most, what in (
                (self._records, len(records), self._most[0], "events"),
                (self._bytes, size, self._most[1], "bytes of events"),
            ):
                if waiting and waiting + more > most:
                    raise Overloaded(
                        f"{waiting} {what} of one worker wait to be stored and {most} may: send these again later."
                    )
            self._number += 1
            self._sent[self._number] = settle, len(records), size
            self._records += len(records)
            self._bytes += size
            if not self._calls:
                soon = self._thread == threading.get_ident()
                (self._loop.call_soon if soon else self._loop.call_soon_threadsafe)(self._flush)
            self._calls.append((self._number, [row_of(record) for record in records]))

    def _flush(self) -> None:
        with self._lock:
            calls, self._calls, link = self._calls, [], self._link
        if link is not None and calls:
            link.send(Submit(calls))

    def settle(self, message: Stored) -> None:
        """In the loop: what the leader says."""
        for number, seqs, seq, failure in message.calls:
            with self._lock:
                settle, records, size = self._sent.pop(number)
                self._records -= records
                self._bytes -= size
            settle(AppendResult(seqs, seq) if failure is None else failure.error())

    def close(self) -> None:
        """Refuse new submissions. Those under way have been answered: the connection is closed last."""
        with self._lock:
            self._closed = True
