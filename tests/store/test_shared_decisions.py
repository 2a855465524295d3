"""Several processes write decisions into one directory: each into segments of its own, all found by each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from palate.config import DecisionSettings
from palate.errors import Gone, NotFound, Unavailable
from palate.store import segments
from palate.store.decisions import DecisionLog
from palate.store.shared_decisions import SharedDecisionLog
from tests.store.store_helpers import DAY, Clock, add, full_disk, log_at, timestamps


class Several:
    """As many processes as are wanted, in this one."""

    def __init__(self) -> None:
        self.logs: list[SharedDecisionLog] = []
        self.held: dict[int, int] = {}


class One:
    """One of them, as ``store.shared_decisions.Writers`` asks of it."""

    def __init__(self, all_: Several, number: int) -> None:
        self.all = all_
        self.number = number

    def mine(self, segment: int) -> None:
        self.all.held[self.number] = segment

    def segments(self) -> set[int]:
        return set(self.all.held.values())

    def write_all(self) -> None:
        for number, log in enumerate(self.all.logs):
            if number != self.number:
                log.flush_own()

    def seal_all(self) -> None:
        for number, log in enumerate(self.all.logs):
            if number != self.number:
                log.seal_own()


@contextmanager
def logs(directory: Path, count: int = 2, clock: Clock | None = None, **changes: float) -> Iterator[Several]:
    keep = DecisionSettings(**{"flush_seconds": 3600.0, **changes})  # pyright: ignore[reportArgumentType]
    several = Several()
    with ExitStack() as opened:
        for number in range(count):
            log = SharedDecisionLog(directory, keep, One(several, number), count, number == 0, clock or Clock())
            several.logs.append(log)
            opened.callback(log.close)
        yield several


def test_a_decision_that_another_process_has_not_written_yet_is_found(tmp_path: Path) -> None:
    with logs(tmp_path, 3) as several:
        rankings = [add(log, number) for number, log in enumerate(several.logs)]
        assert len({ranking[:8] for ranking in rankings}) == 3
        for log in several.logs:
            assert [log.get(ranking).timestamp for ranking in rankings] == [0, 1, 2]
        with pytest.raises(NotFound):
            several.logs[0].get(rankings[1][:16] + "0" * 16)
        with pytest.raises(NotFound):
            several.logs[0].get("0000ffff" + rankings[1][8:])
        with pytest.raises(NotFound):
            several.logs[0].get("nonsense")


def test_training_reads_what_all_have_decided(tmp_path: Path) -> None:
    with logs(tmp_path) as several:
        for number in range(6):
            add(several.logs[number % 2], number)
        assert sorted(timestamps(several.logs[0])) == list(range(6))
    with log_at(tmp_path, clock=Clock()) as alone:
        assert sorted(timestamps(alone)) == list(range(6))


def test_a_process_that_begins_again_writes_over_nothing(tmp_path: Path) -> None:
    with logs(tmp_path) as several:
        first = add(several.logs[1], 1)
        several.logs[1].flush_own()
        several.logs[1].close()
        several.logs[1] = SharedDecisionLog(tmp_path, several.logs[0].settings, One(several, 1), 2, False)
        second = add(several.logs[1], 2)
        assert first[:8] != second[:8]
        assert [several.logs[0].get(ranking).timestamp for ranking in (first, second)] == [1, 2]


def test_the_keeper_alone_deletes_and_spares_what_is_written_into(tmp_path: Path) -> None:
    with logs(tmp_path, max_bytes=40_000, flush_seconds=3600.0) as several:
        keeper, other = several.logs
        old = add(other, 0)
        other.flush_own()
        seen: list[str] = []
        for number in range(1, 400):
            seen.append(add(keeper, number))
            if number % 20 == 0:
                keeper.flush_own()
                keeper._looked = -1e9
        keeper.flush_own()
        assert keeper.get(old).timestamp == 0  # of a segment that is still held
        assert keeper.get(seen[-1]).timestamp == 399
        with pytest.raises(Gone):
            keeper.get(seen[0])
        with pytest.raises(Gone):
            other.get(seen[0])
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 80_000
        before = set(segments.numbers(tmp_path))
        for number in range(400, 800):
            add(other, number)
            if number % 20 == 0:
                other.flush_own()
        assert before < set(segments.numbers(tmp_path))  # the other one deletes nothing


def test_days_pass_for_all(tmp_path: Path) -> None:
    clock = Clock()
    with logs(tmp_path, clock=clock, max_days=4.0) as several:
        keeper, other = several.logs
        old = [add(keeper, 1), add(other, 2)]
        keeper.flush()
        clock.now += 5 * DAY
        fresh = [add(keeper, 3), add(other, 4)]
        other.flush_own()
        keeper._looked = -1e9
        keeper.flush()
        keeper._looked = -1e9
        keeper.flush()
        for ranking in old:
            with pytest.raises(Gone):
                keeper.get(ranking)
        assert [other.get(ranking).timestamp for ranking in fresh] == [3, 4]


def test_nothing_is_kept_where_decisions_are_off(tmp_path: Path) -> None:
    keep = DecisionSettings(enabled=False)
    log = SharedDecisionLog(tmp_path / "none", keep, One(Several(), 0), 2, True)
    with pytest.raises(NotFound):
        log.get(add(log, 1))
    log.close()
    assert not (tmp_path / "none").exists()


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    with full_disk(8), pytest.raises(Unavailable):
        SharedDecisionLog(tmp_path, DecisionSettings(), One(Several(), 0), 2, True)
    with logs(tmp_path) as several:
        ranking = add(several.logs[1], 1)
        with full_disk(20), pytest.raises(Unavailable):
            several.logs[0].get(ranking)
        assert several.logs[0].get(ranking).timestamp == 1
    assert DecisionLog(tmp_path, DecisionSettings(), read_only=True).get(ranking).timestamp == 1
