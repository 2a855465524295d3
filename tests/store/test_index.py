"""The index beside the log: every id counts once and every event of a subject is found, whatever became of its runs."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.errors import CorruptArtefact
from palate.store import index, open_store, runs
from palate.store.sqlite import SqliteStore
from palate.testing.store import everything, record


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FRESH", 8)


def settled(store: SqliteStore) -> list[runs.Run]:
    """The runs of ``store``, once what is full has become one."""
    of = store._index  # pyright: ignore[reportPrivateUsage]
    for _ in range(3000):
        if len(of._fresh) == 1 and _merged(of._runs):  # pyright: ignore[reportPrivateUsage]
            break
        time.sleep(0.01)
    return of._runs  # pyright: ignore[reportPrivateUsage]


def _merged(found: list[runs.Run]) -> bool:
    return len(found) < 2 or len(found[-2]) >= 2 * len(found[-1])


def filled(path: Path, count: int = 100) -> Path:
    store = SqliteStore(path / "events.db")
    for start in range(0, count, 5):
        store.append([record(number) for number in range(start, start + 5)])
    settled(store)
    store.close()
    return path / "events.index"


def check(store: SqliteStore, count: int = 100) -> None:
    """The log holds the first ``count`` records, takes none of them twice, and finds those of each user."""
    assert store.append([record(number) for number in range(count)]).seqs == [0] * count
    for user in range(3):
        assert [one.id for one in store.find(f"u{user}", None, None)] == [f"e{n}" for n in range(user, count, 3)]
    assert [one.id for one in store.find("u1", None, 40_000)] == ["e40"]


def test_runs_are_merged_as_they_grow_and_cover_the_log(tmp_path: Path) -> None:
    directory = filled(tmp_path)
    found = index.usable(directory)
    assert [run.first for run in found] == [1, *(run.last + 1 for run in found[:-1])]
    assert found[-1].last > 100 - 16
    assert len(found) <= 6
    assert len(list(directory.iterdir())) == len(found), "what was merged is gone"
    store = SqliteStore(tmp_path / "events.db")
    check(store)
    store.close()


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=12), min_size=1, max_size=12),
    st.sampled_from([1, 4, 64]),
    st.sets(st.integers(0, 11), max_size=3),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
def test_the_first_of_every_id_counts_even_when_hashes_are_equal(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], bits: int, reopened: set[int]
) -> None:
    def coarse(names: Any) -> Any:
        return exact(names) >> np.uint64(64 - bits) << np.uint64(64 - bits)

    exact = runs.hashes
    with pytest.MonkeyPatch.context() as patch:
        for module in (runs, index):
            patch.setattr(module, "hashes", coarse)
        path = tmp_path_factory.mktemp("log") / "events.db"
        store = SqliteStore(path)
        expected: list[int] = []
        for place, batch in enumerate(batches):
            seqs = store.append([record(number) for number in batch]).seqs
            for number, seq in zip(batch, seqs, strict=True):
                if number in expected:
                    assert seq == 0
                else:
                    expected.append(number)
                    assert seq == len(expected)
            if place in reopened:
                settled(store)
                store.close()
                store = SqliteStore(path)
        assert [one.id for one in everything(store)] == [f"e{number}" for number in expected]
        for user in range(3):
            mine = [f"e{number}" for number in expected if number % 3 == user]
            assert [one.id for one in store.find(f"u{user}", None, None)] == mine
        store.close()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [_cut, _flip, Path.unlink, lambda path: path.write_bytes(b""), os.truncate])
@pytest.mark.parametrize("which", [0, -1])
def test_a_run_that_is_torn_or_gone_is_made_anew(tmp_path: Path, spoil: Callable[..., Any], which: int) -> None:
    path = sorted(filled(tmp_path).glob("*.run"))[which]
    spoil(path, 70) if spoil is os.truncate else spoil(path)
    store = SqliteStore(tmp_path / "events.db")
    check(store)
    settled(store)
    store.close()
    store = SqliteStore(tmp_path / "events.db")
    check(store)
    store.close()


def test_what_a_writer_that_was_killed_left_is_cleared(tmp_path: Path) -> None:
    directory = filled(tmp_path)
    kept = {path.name for path in directory.iterdir()}
    (directory / "000000000101-000000000108.part").write_bytes(b"half")
    shutil.copy(next(directory.glob("*.run")), directory / "000000000009-000000000016.run")
    store = SqliteStore(tmp_path / "events.db")
    assert {path.name for path in directory.iterdir()} == kept
    check(store)
    store.close()


def test_events_that_the_log_has_lost_are_taken_again(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "lost").mkdir()
    store = SqliteStore(tmp_path / "lost" / "events.db")  # a power loss in ``fast`` mode, or an older backup
    store.append([record(number) for number in range(50)])
    store.close()
    shutil.rmtree(tmp_path / "lost" / "events.index", ignore_errors=True)
    shutil.copytree(tmp_path / "events.index", tmp_path / "lost" / "events.index")
    store = SqliteStore(tmp_path / "lost" / "events.db")
    assert store.append([record(number) for number in range(60)]).seqs == [0] * 50 + list(range(51, 61))
    store.close()


def test_the_index_of_another_log_is_no_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path)
    (tmp_path / "other").mkdir()
    store = SqliteStore(tmp_path / "other" / "events.db")
    store.append([record(1000 + number) for number in range(100)])
    settled(store)
    store.close()
    shutil.rmtree(tmp_path / "other" / "events.index")
    shutil.copytree(tmp_path / "events.index", tmp_path / "other" / "events.index")
    store = SqliteStore(tmp_path / "other" / "events.db")
    assert "is of another log" in caplog.text
    assert store.append([record(number) for number in range(100)]).seqs == list(range(101, 201))
    store.close()


def test_a_log_without_a_place_for_its_index_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "events.index").write_text("no directory")
    store = SqliteStore(tmp_path / "events.db")
    for start in range(0, 100, 5):
        store.append([record(number) for number in range(start, start + 5)])
    for _ in range(3000):
        if "can't be written" in caplog.text:
            break
        time.sleep(0.01)
    assert "events.index can't be written" in caplog.text
    check(store)
    store.close()


def test_who_reads_finds_what_is_being_written(tmp_path: Path) -> None:
    filled(tmp_path)
    writer = SqliteStore(tmp_path / "events.db")
    reader = open_store(tmp_path / "events.db", read_only=True)
    for count in (100, 103, 160, 163):
        writer.append([record(number) for number in range(count)])
        for user in range(3):
            found = [one.id for one in reader.find(f"u{user}", None, None)]
            assert found == [f"e{number}" for number in range(user, count, 3)]
        assert [one.id for one in reader.find("u1", "i0", 100_000)] == (["e100"] if count > 100 else [])
    reader.close()
    writer.close()


def test_a_damaged_log_can_be_read_where_it_is_sound_and_takes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(tmp_path / "events.db")
    store.append([record(number, payload=bytes(1000)) for number in range(200)])
    store.close()
    shutil.rmtree(tmp_path / "events.index", ignore_errors=True)
    with (tmp_path / "events.db").open("r+b") as file:
        file.seek(4096 * 10)
        file.write(os.urandom(4096))
    with caplog.at_level(logging.ERROR):
        store = SqliteStore(tmp_path / "events.db")
    assert "No event can be taken" in caplog.text
    assert [one.id for part in store.read(198) for one in part] == ["e198", "e199"]
    with pytest.raises(CorruptArtefact, match="is damaged"):
        store.append([record(1)])
    store.close()
