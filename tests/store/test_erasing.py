"""What is erased leaves the index and the logs of decisions as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palate.config import DecisionSettings
from palate.errors import NotFound
from palate.store import Decisions, index, segments
from palate.store.decisions import Asked, DecisionLog
from palate.store.memory import MemoryDecisionLog
from palate.store.sqlite import SqliteStore
from palate.testing.store import record
from tests.store.store_helpers import Clock, decision
from tests.store.test_index import filled, settled
from tests.store.test_shared_decisions import logs


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "FRESH", 8)


def test_runs_forget_whose_events_were_and_know_their_ids(tmp_path: Path) -> None:
    filled(tmp_path)
    gone = list(range(2, 101, 3))
    for reopened in (False, True):
        store = SqliteStore(tmp_path / "events.db")
        if not reopened:
            assert [one.seq for one in store.find("u1", None, None)] == gone
            store.erase(gone)
        runs = store._index._runs  # pyright: ignore[reportPrivateUsage]
        places = {run.first + place for run in runs for place in run.subjects.places.tolist()}
        assert places.isdisjoint(gone)
        assert len(places) >= 60
        assert sum(len(run.ids.places) for run in runs) >= 96
        assert store.find("u1", None, None) == []
        assert [one.id for one in store.find("u0", None, None)] == [f"e{n}" for n in range(0, 100, 3)]
        assert store.append([record(number) for number in range(100)]).seqs == [0] * 100
        store.close()


def test_an_index_made_anew_from_the_log_knows_what_was_erased(tmp_path: Path) -> None:
    folder = filled(tmp_path)
    store = SqliteStore(tmp_path / "events.db")
    store.erase([1, 50, 97, 100])
    store.close()
    for run in folder.glob("*.run"):
        run.unlink()
    store = SqliteStore(tmp_path / "events.db")
    settled(store)
    assert store.append([record(number) for number in range(101)]).seqs == [0] * 100 + [101]
    store.close()


def test_a_reader_that_remembers_whose_events_were_where_finds_none_that_were_erased(tmp_path: Path) -> None:
    filled(tmp_path)
    writer, reader = SqliteStore(tmp_path / "events.db"), SqliteStore(tmp_path / "events.db", read_only=True)
    mine = [one.seq for one in reader.find("u1", None, None)]
    assert len(mine) > 10
    writer.erase(mine[:5])
    assert [one.seq for one in reader.find("u1", None, None)] == mine[5:]
    reader.close()
    writer.close()


def about(log: Decisions | DecisionLog, number: int, **asked: Any) -> str:
    """A decision about whoever the request names."""
    name = log.reserve()
    subject = asked.get("user") or ("\0" + asked["session"] if "session" in asked else None)
    log.append(name, decision(number, subject=subject, request=Asked("recommend", **asked)))
    return name


PEOPLE: list[dict[str, Any]] = [
    {"user": "ann"}, {"user": "bob"}, {"session": "ann"}, {}, {"user": "bob", "query": "a gift for ann"},
    {"user": "ann"},
]  # fmt: skip


@pytest.mark.parametrize("kind", ["memory", "files"])
def test_decisions_about_one_person_are_found_and_erased(tmp_path: Path, kind: str) -> None:
    settings = DecisionSettings(flush_seconds=3600.0)
    log = MemoryDecisionLog(settings) if kind == "memory" else DecisionLog(tmp_path, settings, segment_bytes=4096)
    names = [about(log, number, **asked) for number, asked in enumerate(PEOPLE * 10)]
    mine = [name for name, asked in zip(names, PEOPLE * 10, strict=True) if asked.get("user") == "ann"]
    assert [found.ranking for found in log.of(["ann"])] == mine
    assert log.get(mine[0]).ranking == mine[0]  # what was looked up is remembered
    assert log.erase(["ann"]) == 20
    assert log.erase(["ann"]) == 0
    assert list(log.of(["ann"])) == []
    assert [found.ranking for found in log.read()] == [name for name in names if name not in mine]
    for name in names:
        if name in mine:
            with pytest.raises(NotFound):
                log.get(name)
        else:
            assert log.get(name).ranking == name
    assert len(list(log.of(["\0ann"]))) == 10
    later = about(log, 1, user="ann")
    assert log.get(later).subject == "ann"
    log.close()


def test_what_a_crash_tore_off_goes_with_the_rest(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path, DecisionSettings(flush_seconds=3600.0))
    about(log, 1, user="bob")
    about(log, 2, user="ann-1b2c")
    log.close()
    (number,) = segments.numbers(tmp_path)
    path = segments.path_of(tmp_path, number)
    path.write_bytes(path.read_bytes()[:-5])
    assert b"ann-1b2c" in path.read_bytes()
    log = DecisionLog(tmp_path, DecisionSettings(flush_seconds=3600.0))
    log.erase(["ann-1b2c"])
    log.close()
    assert b"ann-1b2c" not in path.read_bytes()


def test_decisions_of_several_processes(tmp_path: Path) -> None:
    with logs(tmp_path, 3, Clock()) as several:
        names = [about(log, number, user="ann") for number, log in enumerate(several.logs * 2)]
        others = [about(log, number, user="bob") for number, log in enumerate(several.logs)]
        assert several.logs[0].erase(["ann"]) == 6
        for log in several.logs:
            for name in names:
                with pytest.raises(NotFound):
                    log.get(name)
            for name in others:
                assert log.get(name).subject == "bob"
        after = [about(log, number, user="bob") for number, log in enumerate(several.logs)]
        assert {found.ranking for found in several.logs[1].read()} == {*others, *after}
