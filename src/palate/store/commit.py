"""Group commit: one transaction and one fsync serve every caller that waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from palate.errors import Overloaded, Unavailable
from palate.store import AppendResult, OnCommit, Record, Settle, Store

_log = logging.getLogger("palate.store")

_PATIENCE = 0.5
"""How long a group is waited for, as a share of what a transaction takes."""
_MUCH = 200
"""Records that take about as long to apply as the disk takes to sync: worth two threads, and not to wait for more."""
_BEHIND = 2
"""Transactions that are stored and not applied yet, beside the one that waits for them."""
_PAUSE = 32
"""After waiting in vain, at most so many transactions go by until it is tried again."""


class _Submission(NamedTuple):
    records: Sequence[Record]
    settle: Settle
    future: Future[AppendResult] | None
    size: int


class _Group(NamedTuple):
    """Submissions that one transaction has stored. accepted: their records but the repeated ones, in log order."""

    submissions: list[_Submission]
    accepted: list[Record]
    results: list[AppendResult]


class _Window:
    """How many submissions to wait for before a transaction begins, and how long.

    Callers that send again once they are answered come back shortly after the transaction that answered them. Begun at
    once, the next one serves only those who came meanwhile, and half of them always wait for the other half: the disk
    then syncs twice for what one sync could do. So as many are waited for as there were, for up to half the time that
    a transaction takes; and not for a while where that was in vain, because who sends comes back later or never. One
    caller alone is never kept waiting.
    """

    def __init__(self) -> None:
        self.wanted = 1
        self._took = 0.0
        self._skip = 0
        self._pause = 1

    def ended(self, served: int, waiting: int, seconds: float) -> None:
        """A transaction of ``served`` submissions took ``seconds``, and ``waiting`` have come meanwhile."""
        self._took += (0.2 if self._took else 1.0) * (seconds - self._took)
        self.wanted = served + waiting

    def patience(self, waiting: int) -> float:
        """Seconds to wait for ``wanted`` submissions while there are ``waiting``; 0 for not at all."""
        if waiting >= self.wanted:
            return 0.0
        if self._skip:
            self._skip -= 1
            return 0.0
        return _PATIENCE * self._took

    def waited(self, before: int, after: int) -> None:
        """While it was waited ``before`` submissions became ``after``."""
        if after - before > 0.75 * (self.wanted - before):
            self._pause = 1
        else:
            self._skip = self._pause
            self._pause = min(2 * self._pause, _PAUSE)


class _Applier:
    """A second thread for ``apply``, so that the disk takes the next transaction while the last one is applied.

    What is given comes out in its order, one after the other. The thread is begun with the first that is given.
    """

    def __init__(self, apply: Callable[[_Group], None]) -> None:
        self._apply = apply
        self._condition = threading.Condition(threading.Lock())
        self._groups: deque[_Group] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether everything that was given has been applied."""
        return not self._groups

    def give(self, group: _Group) -> None:
        """Have ``group`` applied; waits while there are ``_BEHIND`` before it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="palate-apply", daemon=True)
            self._thread.start()
        with self._condition:
            self._groups.append(group)
            self._condition.notify_all()
            while len(self._groups) > _BEHIND:
                self._condition.wait()

    def close(self) -> None:
        """Wait for everything that was given, and stop."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._groups:
                    if self._closed:
                        return
                    self._condition.wait()
                group = self._groups[0]
            self._apply(group)
            with self._condition:  # only now: who finds it idle may apply what comes next in another thread
                self._groups.popleft()
                self._condition.notify_all()


class GroupCommitter:
    """One thread that appends for everybody: whatever waits goes into one transaction and shares its fsync.

    After each transaction, and before any of its submissions is settled, ``on_commit(records, results)`` is called
    once at a time and in log order: the accepted records with ``seq`` set, and one result a submission. Where much was
    stored and more waits, that is in a second thread, while the first stores what waits. It must not wait for a future
    of this committer. ``store`` is borrowed: close the committer first, then the store.

    max_records, max_bytes: what may wait, bytes being those of payloads; the transaction in hand comes on top, and at
    most three that are stored and not yet applied.

    A transaction that fails settles its submissions with the error, and the thread goes on to the next. When
    ``on_commit`` fails, the events are in the log all the same: the submissions get its exception, and ``unapplied``
    holds the first position that it missed, from which the caller has to rebuild.
    """

    def __init__(
        self,
        store: Store,
        on_commit: OnCommit | None = None,
        max_records: int = 200_000,
        max_bytes: int = 64 * 1024 * 1024,
        group: int = 20_000,
    ) -> None:
        self._store = store
        self._on_commit = on_commit
        self._max = max_records
        self._max_bytes = max_bytes
        self._group = group
        self._queue: deque[_Submission] = deque()
        self._condition = threading.Condition(threading.Lock())
        self._needed = 1  # submissions for which the thread, where it waits, is woken
        self._window = _Window()
        self._waiting = 0
        self._bytes = 0
        self._rate = 20_000.0  # records a second, a running mean that only serves retry_after
        self._closed = False
        self.unapplied = 0
        self._applier = _Applier(self._apply)
        self._thread = threading.Thread(target=self._run, name="palate-commit", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many records wait for their transaction."""
        return self._waiting

    def submit(self, records: Sequence[Record]) -> Future[AppendResult]:
        """``offer`` with a future that resolves once ``records`` are durable and applied.

        Cancelling the future before its transaction begins withdraws the records.
        Errors: those of ``offer``. Of the future: ``Unavailable`` when the disk refuses.
        """
        future: Future[AppendResult] = Future()

        def settle(outcome: AppendResult | BaseException) -> None:
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self._offer(records, settle, future)
        return future

    def offer(self, records: Sequence[Record], settle: Settle) -> None:
        """Queue ``records``; ``settle`` is called once they are durable and applied. They must not change until then.

        Errors: ``Overloaded`` when the queue is full (a batch that meets an empty queue is always taken),
        ``Unavailable`` when closed.
        """
        self._offer(records, settle, None)

    def _offer(self, records: Sequence[Record], settle: Settle, future: Future[AppendResult] | None) -> None:
        size = sum([len(one.payload) for one in records])
        with self._condition:
            if self._closed:
                raise Unavailable("Palate is closing and takes no more events: send them to the next process.")
            if self._waiting and self._waiting + len(records) > self._max:
                raise Overloaded(
                    f"{self._waiting} events wait to be stored and {self._max} may: send these again in a while.",
                    max(0.1, self._waiting / self._rate),
                )
            if self._waiting and self._bytes + size > self._max_bytes:
                raise Overloaded(
                    f"{self._bytes} bytes of events wait to be stored, these have {size}, and {self._max_bytes} may "
                    "wait: send them again in a while.",
                    max(0.1, self._waiting / self._rate),
                )
            self._queue.append(_Submission(records, settle, future, size))
            self._waiting += len(records)
            self._bytes += size
            if len(self._queue) >= self._needed:
                self._condition.notify()

    def append(self, records: Sequence[Record]) -> AppendResult:
        """``submit`` and wait: for library calls, which so share the order of all others."""
        return self.submit(records).result()

    def flush(self) -> int:
        """Wait for everything submitted so far; returns the log position."""
        return self.append([]).seq

    def close(self) -> None:
        """Refuse new submissions, finish those that wait, stop the thread. Closing twice is fine."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join()

    def _run(self) -> None:
        while taken := self._take():
            begun = time.monotonic()
            self._commit(taken)
            seconds = time.monotonic() - begun
            self._window.ended(len(taken), len(self._queue), seconds)
            records = sum(len(submission.records) for submission in taken)
            if records >= 100:
                self._rate += 0.2 * (records / max(seconds, 1e-6) - self._rate)
        self._applier.close()

    def _take(self) -> list[_Submission]:
        taken: list[_Submission] = []
        with self._condition:
            while not taken:
                while not self._queue:
                    if self._closed:
                        return []
                    self._needed = 1
                    self._condition.wait()
                self._gather()
                size, most = 0, self._group
                if self._waiting >= 2 * _MUCH and self._applier.idle:
                    # Half of it: the other half is stored while this one is applied. Else those who send again once
                    # they are answered would have disk and processor work by turns for ever.
                    most = min(most, (self._waiting + 1) // 2)
                while self._queue and (not taken or size + len(self._queue[0].records) <= most):
                    submission = self._queue.popleft()
                    self._waiting -= len(submission.records)
                    self._bytes -= submission.size
                    if submission.future is None or submission.future.set_running_or_notify_cancel():
                        taken.append(submission)
                        size += len(submission.records)
        return taken

    def _gather(self) -> None:
        """Wait for those who are about to send again."""
        before = len(self._queue)
        seconds = 0.0 if self._closed or self._waiting >= _MUCH else self._window.patience(before)
        if seconds:
            self._needed = self._window.wanted
            self._condition.wait(seconds)
            self._window.waited(before, len(self._queue))

    def _commit(self, taken: list[_Submission]) -> None:
        try:
            whole = self._store.append([r for submission in taken for r in submission.records])
        except Unavailable as error:
            _log.error("%d events were not stored. %s", sum(len(s.records) for s in taken), error.message)
            for submission in taken:
                _settle(submission, error)
            return
        except Exception as error:  # a record that SQLite can't hold; only its own submission may suffer
            if len(taken) > 1:
                for submission in taken:
                    self._commit([submission])
                return
            _log.exception("A submission could not be stored.")
            _settle(taken[0], error)
            return
        group = _Group(taken, [], [])
        start = 0
        position = whole.seq - sum([1 for seq in whole.seqs if seq])
        for submission in taken:
            seqs = whole.seqs[start : start + len(submission.records)]
            start += len(seqs)
            group.accepted.extend([r for r, seq in zip(submission.records, seqs, strict=True) if seq])
            position = max(position, *seqs) if seqs else position
            group.results.append(AppendResult(seqs, position))
        if self._applier.idle and (start < _MUCH or (len(taken) == 1 and not self._queue)):
            self._apply(group)
        else:
            self._applier.give(group)

    def _apply(self, group: _Group) -> None:
        """Tell ``on_commit`` of a group, then those who wait for it."""
        try:
            if self._on_commit is not None:
                self._on_commit(group.accepted, group.results)
        except Exception as error:  # the caller's own code; the events are stored, and everybody must be told
            _log.exception("Applying events after position %d failed; they are in the log.", group.results[-1].seq)
            if group.accepted and not self.unapplied:
                self.unapplied = group.accepted[0].seq
            for submission in group.submissions:
                _settle(submission, error)
            return
        for submission, result in zip(group.submissions, group.results, strict=True):
            _settle(submission, result)


def _settle(submission: _Submission, outcome: AppendResult | BaseException) -> None:
    try:
        submission.settle(outcome)
    except Exception:  # the caller's own code; without this thread nobody's events would be stored
        _log.exception("Somebody could not be told what became of their events.")
