"""Snapshots while serving: one when it is due, at most one at a time, none missed for a failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.background import BackgroundSnapshot
from palate.engine import Engine
from palate.opening import replay_state
from palate.state import snapshot
from tests.engines import HASHING, did


def often(path: Path, events: int) -> Engine:
    """An engine that writes a snapshot after ``events`` events, however little time has passed."""
    engine = palate.open(path, language=HASHING, policy={"explore": False})
    engine._saver = BackgroundSnapshot(engine.snapshot, seconds=0.0, events=events)
    engine._saver.tick(engine.state.seq)
    return engine


def until(what: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def positions(path: Path) -> list[int]:
    return [int(found.name) for found in snapshot.available(path / "snapshots")]


def take(engine: Engine, first: int, count: int) -> None:
    engine.ingest([did(number, f"u{number % 7}", f"i{number % 11}") for number in range(first, first + count)])


def test_a_snapshot_appears_while_serving(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with often(path, 50) as engine:
        take(engine, 0, 49)
        assert positions(path) == []
        take(engine, 49, 1)
        until(lambda: positions(path) == [50])
        state, _ = snapshot.read(path / "snapshots" / f"{50:012d}", engine.settings)
        assert snapshot.digest(state) == snapshot.digest(replay_state(engine.parts.store, engine.settings, 50))
    assert positions(path) == [50], "closing writes none when nothing is new"


def test_ingestion_waits_for_no_snapshot_and_one_is_written_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, go_on, at_once = snapshot.write, threading.Event(), [0, 0]

    def slowly(*arguments: Any) -> Path:
        at_once[0] += 1
        at_once[1] = max(at_once)
        assert go_on.wait(30)
        found = written(*arguments)
        at_once[0] -= 1
        return found

    monkeypatch.setattr(snapshot, "write", slowly)
    path = tmp_path / "e.palate"
    with often(path, 10) as engine:
        for start in range(0, 100, 10):
            take(engine, start, 10)
        assert engine.state.seq == 100
        assert positions(path) == []
        go_on.set()
    assert positions(path)[-1] == 100
    assert at_once == [0, 1]


def test_a_failed_snapshot_is_logged_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "e.palate"
    with often(path, 20) as engine, caplog.at_level(logging.ERROR, "palate"):
        (path / "snapshots").write_text("in the way")
        take(engine, 0, 20)
        engine._saver.close()
        assert "The state could not be written beside the log" in caplog.text
        (path / "snapshots").unlink()
        take(engine, 20, 19)
        assert positions(path) == []
        take(engine, 39, 1)
        until(lambda: positions(path) == [40])


def test_closing_after_a_failed_snapshot_writes_one(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with often(path, 20) as engine:
        (path / "snapshots").write_text("in the way")
        take(engine, 0, 20)
        engine._saver.close()
        (path / "snapshots").unlink()
    assert positions(path) == [20]
