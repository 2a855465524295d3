"""What workers share: counters that outlive them, the ring and the log behind it, messages, sessions."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from palate import errors
from palate.errors import CorruptArtefact, Overloaded, PalateError, Unavailable
from palate.serve.metrics import Histogram, Metrics
from palate.serve.workers.board import RECENT, Board
from palate.serve.workers.channel import Failure, Link, Message, Stored, Submit, admit, door, failure_of, knock
from palate.serve.workers.metrics import ROUTES, SharedMetrics, SharedSessions
from palate.serve.workers.sender import Sender
from palate.serve.workers.tail import CHUNK, LogReader, Tail, row_of, share, with_events
from palate.store import Record, open_store
from palate.store.memory import MemoryStore
from palate.types import IngestResult, Interaction
from palate.wire import encode_event


def board(workers: int = 2, ring: int = 4096) -> Board:
    made = Board(workers, len(ROUTES), time.time(), ring)
    for number, slot in enumerate(made.slots):
        slot.take(1000 + number)
    return made


def records(first: int, last: int, text: str = "") -> list[Record]:
    found: list[Record] = []
    for seq in range(first, last + 1):
        event = Interaction(id=f"e{seq}", timestamp=seq, user="u", item="i", text=text or None)
        found.append(Record(seq, f"e{seq}", seq, "interaction", "u", seq, encode_event(event)))
    return found


# --------------------------------------------------------------------------------- counters


def test_counters_are_summed_and_outlive_their_worker() -> None:
    made = board()
    for number, slot in enumerate(made.slots):
        slot.cells[slot.cell("a")] += 10 + number
        slot.cells[slot.cell("b")] += 1
    made.slots[1].take(0)
    made.slots[1].take(2000)  # its successor finds them
    made.slots[1].cells[made.slots[1].cell("b")] += 1
    assert made.totals() == {"other": 0, "a": 21, "b": 3}
    assert (made.slots[1].counter("b"), made.slots[1].counter("nothing")) == (2, 0)


def test_counters_without_room_are_summed_as_others() -> None:
    slot = board(1).slots[0]
    for number in range(3000):
        slot.cells[slot.cell(f"counter {number}")] += 1
    slot.cells[slot.cell("x" * 500)] += 1
    totals = {name: slot.cells[place] for place, name in enumerate(slot.names())}
    assert sum(totals.values()) == 3001
    assert totals["other"] > 900


def test_another_process_sees_all_of_it() -> None:
    made = board()
    child = os.fork()
    if child == 0:
        slot = made.slots[1]
        slot.cells[slot.cell("from the child")] = 2**40
        slot.segment = 7
        made.training = "failed: ü"
        made.append(1, 1, b"frame")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert made.totals()["from the child"] == 2**40
    assert (made.slots[1].segment, made.training, made.ring_end) == (7, "failed: ü", 32)
    assert made.frame(0) == (1, 1, 32, b"frame")


def test_the_page_is_the_sum_of_single_pages() -> None:
    """Two workers' metrics against one ``Metrics`` that saw everything."""
    made = board()
    shared = [SharedMetrics(made, slot) for slot in made.slots]
    alone = Metrics()
    draw = random.Random(1)
    for step in range(500):
        seconds = 10 ** draw.uniform(-5, 1.2)
        for one in (shared[step % 2], alone):
            one.latency["rank"].observe(seconds)
            one.request("/v1/rank", (200, 429)[step % 3 == 0])
            one.ingested(IngestResult(3, 1, [], 0))
            one.waits(2)
    shared[0].waits(-1000)
    assert isinstance(alone.latency["rank"], Histogram)
    assert (shared[0].queue, shared[1].queue) == (0, 0)
    assert shared[0].latency["rank"].latency() == alone.latency["rank"].latency()
    totals = made.totals()
    assert [totals[f"latency rank {n}"] for n in range(len(alone.latency["rank"].buckets))] == alone.latency[
        "rank"
    ].buckets
    assert totals["latency rank ns"] / 1e9 == pytest.approx(alone.latency["rank"].sum, abs=1e-6)
    assert totals["events accepted"] == 1500
    for _ in range(RECENT):
        shared[1].latency["rank"].observe(1.0)
    assert shared[0].latency["rank"].latency().count == 500 + RECENT


# ------------------------------------------------------------------------------------- ring


def test_frames_go_round_and_none_is_taken_for_another() -> None:
    made = board(1, 512)
    draw = random.Random(2)
    at, seq, taken = 0, 0, 0
    for _ in range(2000):
        for _ in range(draw.randint(1, 4)):
            seq += 1
            made.append(seq, seq, bytes([seq % 251]) * draw.randint(0, 90))
        if draw.random() < 0.7:
            while at is not None and at < made.ring_end:
                frame = made.frame(at)
                if frame is None:  # overtaken
                    at = made.ring_end
                    break
                first, last, at, body = frame
                assert first == last <= seq
                assert set(body) <= {first % 251}
                taken += 1
    assert taken > 1000


def test_what_was_written_over_or_is_too_large_is_not_read() -> None:
    made = board(1, 512)
    made.append(1, 1, b"a" * 60)
    assert made.frame(0) is not None
    for seq in range(2, 12):
        made.append(seq, seq, b"b" * 60)
    assert made.frame(0) is None
    end = made.ring_end
    made.append(12, 12, b"c" * 400)
    assert made.ring_end == end


def test_a_leader_that_ended_amid_a_frame_is_gone_on_from() -> None:
    made = board(1, 512)
    made.append(1, 1, b"whole")
    end = made.ring_end
    made.marks[2] += 64  # reserved, and never written
    made.reopen_ring()
    made.append(2, 2, b"next")
    assert made.frame(end) == (2, 2, made.ring_end, b"next")


@pytest.mark.parametrize("ring", [2048, 1 << 20])
def test_a_follower_reads_every_record_once_whatever_the_ring_loses(tmp_path: Path, ring: int) -> None:
    made = board(1, ring)
    store = open_store(tmp_path / "events.db", "fast")
    log = LogReader(tmp_path / "events.db", "fast", read_only=True)
    tail = Tail(made, log)
    draw = random.Random(3)
    seq, applied, found = 0, 0, list[Record]()
    for step in range(400):
        batch = records(seq + 1, seq + draw.choice((1, 1, 2, 3, 40)), "x" * draw.choice((0, 0, 700)))
        store.append(batch)
        seq = batch[-1].seq
        if step != 200:  # a leader that ended between committing and telling
            share(made, batch)
        if draw.random() < 0.3 or step == 399:
            while applied < seq:
                part = tail.next(applied, seq)
                assert part
                found += part
                applied = part[-1].seq
            assert tail.next(applied, seq) == []
    assert [record.seq for record in found] == list(range(1, seq + 1))
    assert [row_of(record) for record in found] == [row_of(record) for chunk in store.read() for record in chunk]
    log.close()
    store.close()


def test_the_log_alone_is_read_in_chunks(tmp_path: Path) -> None:
    store = open_store(tmp_path / "events.db", "fast")
    store.append(records(1, 2 * CHUNK + 5))
    log = LogReader(tmp_path / "events.db", "fast", read_only=True)
    tail = Tail(board(1), log)
    sizes, applied = list[int](), 0
    while part := tail.next(applied, 2 * CHUNK + 5):
        sizes.append(len(part))
        applied = part[-1].seq
    assert sizes == [CHUNK, CHUNK, 5]
    store.close()
    writer: Any = open_store(tmp_path / "events.db", "fast")
    writer._writer.execute("DELETE FROM event WHERE seq = 7")
    with pytest.raises(CorruptArtefact):
        log.since(5)
    log.close()
    writer.close()


def test_events_are_decoded_where_they_are_not(tmp_path: Path) -> None:
    plain = records(1, 3)
    decoded = with_events(plain)
    assert [one.event.id for one in decoded] == ["e1", "e2", "e3"]  # pyright: ignore[reportAttributeAccessIssue]
    assert with_events(decoded) == decoded
    assert with_events(decoded)[0] is decoded[0]


# ------------------------------------------------------------------------------------- links


def test_every_error_arrives_as_it_was_sent() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PalateError)]
    assert len(kinds) > 15
    for kind in kinds:
        if kind is errors.MissingExtra:
            sent: PalateError = errors.MissingExtra("a", "b", "c")
        else:
            sent = kind("A sentence.") if kind is not Overloaded else Overloaded("A sentence.", 2.5)
        sent.where = "items[3]"
        body = msgspec.msgpack.encode(failure_of(sent))
        got = msgspec.msgpack.decode(body, type=Failure).error()
        assert (got.message, got.where) == (sent.message, "items[3]")
        if kind is not errors.MissingExtra:
            assert type(got) is kind
        if isinstance(got, Overloaded):
            assert got.retry_after == 2.5
    assert Failure("Path", "no error of ours").error().status == 500


def linked(use: Any) -> None:
    """Run ``use(follower's link, leader's link, messages the leader got)`` over a real connection."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        inner, outer = door()
        got: list[Message] = []
        lost: list[Link] = []
        mine = await knock(outer)
        (theirs,) = admit(inner)
        assert admit(inner) == []
        _, near = await loop.create_unix_connection(lambda: Link(lambda _, m: None, lost.append), sock=mine)
        _, far = await loop.connect_accepted_socket(lambda: Link(lambda _, m: got.append(m), lost.append), theirs)
        await use(near, far, got)
        near.close()
        far.close()
        await asyncio.sleep(0.05)
        assert set(lost) == {near, far}
        inner.close()
        outer.close()

    asyncio.run(run())


async def until(what: Any) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def test_events_of_one_turn_are_one_message_and_limits_hold() -> None:
    async def use(near: Link, far: Link, got: list[Message]) -> None:
        sender = Sender(MemoryStore(), lambda *_: None, 10, 5_000)
        outcomes: list[Any] = []
        with pytest.raises(Unavailable):
            sender.offer(records(1, 1), outcomes.append)
        sender.attach(near)
        for n in (1, 5):
            sender.offer(records(n, n + 3), outcomes.append)
        with pytest.raises(Overloaded):
            sender.offer(records(9, 12), outcomes.append)
        with pytest.raises(Overloaded):
            sender.offer(records(9, 9, "x" * 6_000), outcomes.append)
        await until(lambda: got)
        (message,) = got
        assert isinstance(message, Submit)
        assert [[row[1] for row in rows] for _, rows in message.calls] == [
            ["e1", "e2", "e3", "e4"], ["e5", "e6", "e7", "e8"],
        ]  # fmt: skip
        refused = failure_of(Overloaded("Too much.", 3.0))
        sender.settle(Stored([(2, [], 0, refused), (1, [1, 0, 2, 3], 3, None)]))
        refusal, stored = outcomes
        assert (type(refusal), refusal.message, refusal.retry_after) == (Overloaded, "Too much.", 3.0)
        assert (stored.seqs, stored.seq) == ([1, 0, 2, 3], 3)
        sender.offer(records(1, 50), outcomes.append)  # a batch that meets an empty queue is always taken
        sender.attach(None)
        assert isinstance(outcomes[2], Unavailable)
        with pytest.raises(Unavailable):
            sender.offer(records(1, 1), outcomes.append)
        sender.attach(near)
        await asyncio.to_thread(sender.offer, records(1, 1), outcomes.append)
        await until(lambda: len(got) == 2)
        sender.settle(Stored([(4, [9], 9, None)]))
        assert outcomes[3].seq == 9
        sender.close()
        with pytest.raises(Unavailable):
            sender.offer(records(1, 1), outcomes.append)

    linked(use)


def test_a_question_is_answered_or_fails_with_the_connection() -> None:
    async def use(near: Link, far: Link, got: list[Message]) -> None:
        asked = near.call("write", "x" * 300_000)
        await until(lambda: got)
        far.close()
        with pytest.raises(Unavailable):
            await asyncio.wrap_future(asked)
        await until(lambda: near.closed)
        with pytest.raises(Unavailable):
            await asyncio.wrap_future(near.call("write"))

    linked(use)


def test_sessions_are_known_to_every_worker_and_end_everywhere() -> None:
    made = board(3)
    sessions = [SharedSessions(made, slot) for slot in made.slots]
    tokens = [one.create() for one in sessions for _ in range(3)]
    assert len(set(tokens)) == 9
    assert all(one.valid(token) for one in sessions for token in tokens)
    sessions[2].end(tokens[0])
    assert [one.valid(tokens[0]) for one in sessions] == [False] * 3
    assert not sessions[0].valid("nothing")
    brief = SharedSessions(made, made.slots[0], seconds=-1.0)
    assert not brief.valid(brief.create())
    for _ in range(1100):
        newest = sessions[1].create()
    assert sessions[0].valid(newest)
    assert not sessions[0].valid(tokens[3])


def test_the_log_of_a_store_is_shared_in_chunks() -> None:
    made = board(1, 1 << 20)
    share(made, records(1, 2 * CHUNK + 1))
    spans: list[Sequence[int]] = []
    at = 0
    while at < made.ring_end:
        frame = made.frame(at)
        assert frame is not None
        spans.append(frame[:2])
        at = frame[2]
    assert spans == [(1, CHUNK), (CHUNK + 1, 2 * CHUNK), (2 * CHUNK + 1, 2 * CHUNK + 1)]
