"""The group commit: one order for all, results before futures, failures that hit only whom they must."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from palate.errors import Overloaded, Unavailable
from palate.store import AppendResult, Record
from palate.store.commit import GroupCommitter, _Window  # pyright: ignore[reportPrivateUsage]
from palate.store.memory import MemoryStore
from palate.store.sqlite import SqliteStore
from palate.testing.store import everything, record


class Gate(MemoryStore):
    """A store whose appends wait until the gate is open, so that submissions pile up."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.entered = threading.Event()
        self.sizes: list[int] = []

    def append(self, records: Sequence[Record]) -> AppendResult:
        self.sizes.append(len(records))
        self.entered.set()
        self.open.wait()
        return super().append(records)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "events.db")
    yield store
    store.close()


def test_results_say_what_happened_to_each_record(store: SqliteStore) -> None:
    committer = GroupCommitter(store)
    assert committer.append([record(0), record(1), record(0)]) == AppendResult([1, 2, 0], 2)
    assert committer.append([record(1)]) == AppendResult([0], 2)
    assert committer.append([]) == AppendResult([], 2)
    assert committer.flush() == 2
    committer.close()


def test_waiting_submissions_share_a_transaction_up_to_the_cap() -> None:
    gate = Gate()
    calls: list[tuple[list[int], list[AppendResult]]] = []
    committer = GroupCommitter(gate, lambda rs, results: calls.append(([r.seq for r in rs], results)), group=10)
    first = committer.submit([record(0)])
    gate.entered.wait()
    rest = [committer.submit([record(n) for n in range(start, start + 4)]) for start in (1, 3, 20, 30)]
    huge = committer.submit([record(n) for n in range(100, 125)])
    assert committer.waiting == 41
    gate.open.set()
    assert huge.result().seq == 40
    assert gate.sizes == [1, 8, 8, 25]
    assert first.result() == AppendResult([1], 1)
    assert [future.result() for future in rest[:2]] == [AppendResult([2, 3, 4, 5], 5), AppendResult([0, 0, 6, 7], 7)]
    assert calls[1] == ([2, 3, 4, 5, 6, 7], [AppendResult([2, 3, 4, 5], 5), AppendResult([0, 0, 6, 7], 7)])
    assert [seq for seqs, _ in calls for seq in seqs] == list(range(1, 41))
    assert committer.waiting == 0
    committer.close()


def test_on_commit_comes_before_the_future_and_in_log_order(store: SqliteStore) -> None:
    applied: list[int] = []
    committer = GroupCommitter(store, lambda records, _: applied.extend(one.seq for one in records))
    late: list[int] = []

    def work(worker: int) -> None:
        for number in range(50):
            result = committer.append([record(worker * 1000 + number)])
            if result.seqs[0] not in applied:
                late.append(result.seqs[0])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert late == []
    assert applied == list(range(1, 201))
    committer.close()


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    gate = Gate()
    committer = GroupCommitter(gate, max_records=10)
    committer.submit([record(0)])
    gate.entered.wait()
    committer.submit([record(n) for n in range(1, 9)])
    with pytest.raises(Overloaded, match="8 events wait to be stored and 10 may: send these again") as caught:
        committer.submit([record(n) for n in range(20, 23)])
    assert caught.value.retry_after > 0
    last = committer.submit([record(30), record(31)])
    gate.open.set()
    assert last.result().seq == 11
    assert committer.append([record(n) for n in range(50, 100)]).seq == 61, "alone, even more than the queue holds"
    committer.close()


def test_a_queue_full_of_bytes_refuses_too() -> None:
    gate = Gate()
    committer = GroupCommitter(gate, max_bytes=1000)
    committer.submit([record(0)])
    gate.entered.wait()
    first = committer.submit([record(1, payload=bytes(400)), record(2, payload=bytes(400))])
    with pytest.raises(Overloaded, match="800 bytes of events wait to be stored, these have 201, and 1000 may") as full:
        committer.submit([record(3, payload=bytes(201))])
    assert full.value.retry_after > 0
    assert first.cancel()
    last = committer.submit([record(4, payload=bytes(200))])
    gate.open.set()
    assert last.result().seq == 2
    assert committer.append([record(5, payload=bytes(5000))]).seq == 3, "alone, even more than the queue holds"
    assert committer.append([record(6, payload=bytes(1000))]).seq == 4, "what was taken no longer counts"
    committer.close()


def test_closing_finishes_what_waits_and_refuses_more() -> None:
    gate = Gate()
    committer = GroupCommitter(gate)
    futures = [committer.submit([record(number)]) for number in range(5)]
    closer = threading.Thread(target=committer.close)
    closer.start()
    gate.open.set()
    closer.join()
    assert [future.result().seq for future in futures] == [1, 2, 3, 4, 5]
    committer.close()
    with pytest.raises(Unavailable, match="is closing and takes no more events"):
        committer.submit([record(9)])


def test_a_cancelled_submission_is_withdrawn() -> None:
    gate = Gate()
    committer = GroupCommitter(gate)
    running = committer.submit([record(0)])
    gate.entered.wait()
    waiting = committer.submit([record(1)])
    assert waiting.cancel()
    assert not running.cancel()
    gate.open.set()
    assert committer.append([record(2)]).seq == 2
    with pytest.raises(CancelledError):
        waiting.result()
    assert [one.id for one in everything(gate)] == ["e0", "e2"]
    committer.close()


@pytest.mark.parametrize(
    ("poison", "error"),
    [
        (lambda: record(1, timestamp=2**70), OverflowError),
        (lambda: record(1, id="\ud800"), UnicodeEncodeError),
        (lambda: record(1, payload=[object()]), TypeError),
    ],
)
def test_a_poisoned_submission_spoils_no_other(
    store: SqliteStore, poison: Callable[[], Record], error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    hold, held = threading.Event(), threading.Event()

    def wait(records: list[Record], results: list[AppendResult]) -> None:
        held.set()
        hold.wait()

    committer = GroupCommitter(store, wait)
    committer.submit([record(99)])
    held.wait()
    before, bad, after = (committer.submit([one]) for one in (record(0), poison(), record(2)))
    hold.set()
    assert (before.result().seq, after.result().seq) == (2, 3)
    with pytest.raises(error):
        bad.result()
    assert [one.id for one in everything(store)] == ["e99", "e0", "e2"]
    assert "could not be stored" in caplog.text
    committer.close()


def test_a_failing_on_commit_reaches_the_caller_and_is_remembered(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    def apply(records: list[Record], results: list[AppendResult]) -> None:
        if any(one.id == "e1" for one in records):
            raise ArithmeticError("folding failed")

    committer = GroupCommitter(store, apply)
    committer.append([record(0)])
    assert committer.unapplied == 0
    with caplog.at_level(logging.ERROR), pytest.raises(ArithmeticError, match="folding failed"):
        committer.append([record(1)])
    assert "they are in the log" in caplog.text
    assert committer.append([record(2)]).seq == 3
    assert committer.unapplied == 2
    assert store.seq == 3
    committer.close()


MUCH = 250
"""Records of one submission that is worth a thread of its own."""


def much(start: int) -> list[Record]:
    return [record(number) for number in range(start, start + MUCH)]


class Held:
    """An ``on_commit`` that waits with much in hand until it is let go on, and notes what it was given."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.seqs: list[int] = []
        self.running = 0

    def __call__(self, records: list[Record], results: list[AppendResult]) -> None:
        self.running += 1
        assert self.running == 1
        assert len(records) < MUCH or self.open.wait(60)
        self.seqs += [one.seq for one in records]
        self.running -= 1


def reached(gate: Gate, seq: int) -> bool:
    deadline = time.monotonic() + 60
    while gate.seq < seq and time.monotonic() < deadline:
        time.sleep(0.001)
    return gate.seq == seq


def test_the_next_transaction_is_stored_while_much_is_applied_and_is_applied_after_it() -> None:
    gate, held = Gate(), Held()
    committer = GroupCommitter(gate, held)
    first = committer.submit([record(0)])
    gate.entered.wait()
    futures = [committer.submit(some) for some in (much(1000), much(2000), [record(1)], [record(1)])]
    gate.open.set()
    assert first.result().seq == 1
    assert reached(gate, 2 + 2 * MUCH), "all of it is stored while the first half is being applied"
    assert not any(future.done() for future in futures)
    held.open.set()
    assert futures[3].result() == AppendResult([0], 2 + 2 * MUCH)
    assert all(future.done() for future in futures)
    assert held.seqs == list(range(1, 3 + 2 * MUCH))
    assert committer.append([record(2)]).seq == held.seqs[-1] == 3 + 2 * MUCH, (
        "alone again, in the committer's own thread"
    )
    committer.close()


def test_half_of_what_waits_is_stored_at_a_time() -> None:
    gate = Gate()
    committer = GroupCommitter(gate)
    committer.submit([record(0)])
    gate.entered.wait()
    rest = [committer.submit(much(1000 * start)) for start in range(1, 5)]
    gate.open.set()
    assert [future.result().seq for future in rest] == [1 + MUCH * n for n in range(1, 5)]
    assert gate.sizes[:2] == [1, 2 * MUCH]
    committer.close()


def test_much_that_cannot_be_applied_is_told_to_whom_it_belongs(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    hold, held = threading.Event(), threading.Event()
    applied: list[int] = []

    def apply(records: list[Record], results: list[AppendResult]) -> None:
        held.set()
        hold.wait()
        if any(one.id == "e2000" for one in records):
            raise ArithmeticError("folding failed")
        applied.extend(one.seq for one in records)

    committer = GroupCommitter(store, apply, group=MUCH)
    committer.submit([record(0)])
    held.wait()
    before, bad, after = (committer.submit(much(start)) for start in (1000, 2000, 3000))
    hold.set()
    assert (before.result().seq, after.result().seq) == (1 + MUCH, 1 + 3 * MUCH)
    with pytest.raises(ArithmeticError, match="folding failed"):
        bad.result()
    assert committer.unapplied == 2 + MUCH
    assert applied == [*range(1, 2 + MUCH), *range(2 + 2 * MUCH, 2 + 3 * MUCH)]
    committer.close()


def test_closing_waits_until_much_is_applied() -> None:
    gate, held = Gate(), Held()
    committer = GroupCommitter(gate, held)
    committer.submit([record(0)])
    gate.entered.wait()
    futures = [committer.submit(much(1000 * start)) for start in range(1, 7)]
    closer = threading.Thread(target=committer.close)
    gate.open.set()
    closer.start()
    assert reached(gate, 1 + 6 * MUCH)
    assert closer.is_alive()
    assert not any(future.done() for future in futures)
    held.open.set()
    closer.join(60)
    assert [future.done() for future in futures] == [True] * 6
    assert held.seqs == list(range(1, 2 + 6 * MUCH))


class Slow(MemoryStore):
    """A store that takes its time, and notes how many records came at once."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.sizes: list[int] = []

    def append(self, records: Sequence[Record]) -> AppendResult:
        self.sizes.append(len(records))
        time.sleep(self.seconds)
        return super().append(records)


def test_callers_who_come_back_are_waited_for_so_that_one_sync_serves_them_all() -> None:
    slow = Slow(0.2)
    committer = GroupCommitter(slow)
    first = committer.submit([record(0)])
    while not slow.sizes:
        time.sleep(0.001)
    others = [committer.submit([record(number)]) for number in (1, 2, 3)]
    first.result()
    for start in (10, 20, 30):
        time.sleep(0.01)  # as answers and requests travel
        others.append(committer.submit([record(start)]))
        for future in others:
            future.result()
        others = []
        for number in (1, 2, 3):
            others.append(committer.submit([record(start + number)]))
            time.sleep(0.01)
    assert [future.result().seq for future in others] == [14, 15, 16]
    assert slow.sizes[:4] == [1, 4, 4, 4]
    committer.close()


def test_whoever_is_alone_is_not_kept_waiting() -> None:
    window = _Window()
    for _ in range(5):
        assert window.patience(1) == 0
        window.ended(1, 0, 10.0)
    assert window.patience(1) == 0


def test_waiting_in_vain_is_given_up_for_a_while() -> None:
    window = _Window()
    patient: list[bool] = []
    for _ in range(200):
        window.ended(8, 0, 1.0)
        seconds = window.patience(1)
        assert seconds in (0.0, pytest.approx(0.5))
        patient.append(seconds > 0)
        if seconds:
            window.waited(1, 2)
    assert patient[:4] == [True, False, True, False]
    assert sum(patient[100:]) <= 4
    while not window.patience(1):
        window.ended(8, 0, 1.0)
    window.waited(1, 8)
    assert window.patience(1) > 0, "those who come back are waited for again"


def test_closing_does_not_wait_for_anybody() -> None:
    slow = Slow(0.3)
    committer = GroupCommitter(slow)
    for future in [committer.submit([record(number)]) for number in range(4)]:
        future.result()
    last = committer.submit([record(9)])
    committer.close()
    assert last.result().seq == 5


def test_somebody_who_cannot_be_told_harms_nobody(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    def deaf(outcome: object) -> None:
        raise RuntimeError("the loop is closed")

    committer = GroupCommitter(store)
    committer.offer([record(0)], deaf)
    assert committer.append([record(1)]).seq == 2
    assert "could not be told" in caplog.text
    committer.close()
