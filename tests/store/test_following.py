"""Following a decision log: each decision once, whoever writes, whatever rotates, expires or is written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.config import DecisionSettings
from palate.errors import CorruptArtefact
from palate.store.decision import Decision
from palate.store.following import DecisionTail, MemoryTail, tail_of
from palate.store.memory import MemoryDecisionLog
from tests.store.store_helpers import add, decision, log_at
from tests.store.test_shared_decisions import logs


def numbers(found: list[Decision]) -> list[int]:
    return [one.timestamp for one in found]


def test_each_once_across_segments(tmp_path: Path) -> None:
    with log_at(tmp_path, segment_bytes=4096) as log:
        tail = DecisionTail(tmp_path)
        assert tail.begin(10) == []
        seen: list[int] = []
        for number in range(200):
            add(log, number)
            if number % 7 == 0:
                log.flush()
                seen += numbers(tail.next())
        log.flush()
        seen += numbers(tail.next())
        assert seen == list(range(200))
        assert len(list(tmp_path.glob("*.decisions"))) > 3
        assert tail.next() == []


def test_a_beginning_looks_back_at_the_newest_and_goes_on_from_there(tmp_path: Path) -> None:
    with log_at(tmp_path, segment_bytes=4096) as log:
        for number in range(100):
            add(log, number)
        log.flush()
        tail = DecisionTail(tmp_path)
        found = numbers(tail.begin(30))
        assert found == list(range(found[0], 100))
        assert 30 <= len(found) < 60
        add(log, 100)
        log.flush()
        assert numbers(tail.next()) == [100]


def test_what_several_write_is_seen_of_all(tmp_path: Path) -> None:
    with logs(tmp_path, 2) as several:
        tail = DecisionTail(tmp_path)
        tail.begin(10)
        for number in range(10):
            add(several.logs[number % 2], number)
        several.logs[0].flush()
        assert sorted(numbers(tail.next())) == list(range(10))
        add(several.logs[1], 10)
        several.logs[1].flush_own()
        assert numbers(tail.next()) == [10]


def test_a_record_that_is_half_there_waits(tmp_path: Path) -> None:
    with log_at(tmp_path) as log:
        add(log, 1)
        log.flush()
        (path,) = tmp_path.glob("*.decisions")
        whole = path.read_bytes()
        tail = DecisionTail(tmp_path)
        path.write_bytes(whole[:-5])
        assert tail.begin(10) == []
        path.write_bytes(whole)
        assert numbers(tail.next()) == [1]


def test_what_is_erased_is_not_given_and_nothing_is_given_twice(tmp_path: Path) -> None:
    with log_at(tmp_path) as log:
        for number in range(6):
            add(log, number, subject="gone" if number % 2 else "kept")
        log.flush()
        tail = DecisionTail(tmp_path)
        assert len(tail.begin(10)) == 6
        assert log.erase({"gone"}) == 3
        add(log, 6)
        log.flush()
        assert numbers(tail.next()) == [6]


def test_in_memory(tmp_path: Path) -> None:
    log = MemoryDecisionLog(DecisionSettings())
    for number in range(5):
        log.append(log.reserve(), decision(number))
    tail = tail_of(log, None)
    assert isinstance(tail, MemoryTail)
    assert numbers(tail.begin(3)) == [2, 3, 4]
    assert tail.next() == []
    log.append(log.reserve(), decision(5))
    assert numbers(tail.next()) == [5]
    assert isinstance(tail_of(object(), tmp_path), DecisionTail)
    with pytest.raises(CorruptArtefact, match="can't be followed"):
        tail_of(object(), None)


def test_in_memory_what_the_cap_has_deleted_is_left_out() -> None:
    log = MemoryDecisionLog(DecisionSettings(max_bytes=2_000))
    tail = MemoryTail(log)
    for number in range(50):
        log.append(log.reserve(), decision(number))
    found = numbers(tail.next())
    assert 0 < len(found) < 50
    assert found == list(range(50 - len(found), 50))
