"""The process that trains never outlives the one that serves, and no two trainings share a directory."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import palate
from palate import models
from palate.engine import Engine
from palate.errors import Conflict
from palate.store.lock import DirectoryLock
from palate.testing.world import make_world
from palate.train.run import training_lock
from tests.engines import HASHING, SMALL

WORLD = make_world(people=25, interactions=6000, follow=0.5)
LONG = {"trees": 10_000, "leaves": 63, "decisions": 20_000, "candidates": 500, "window_share": 0.9}
"""A training of many seconds, which no test waits for."""

SERVES = """
import sys, time
import palate
from tests.test_training_apart import HASHING, LONG
engine = palate.open(sys.argv[1], language=HASHING, train=LONG)
engine.train_in_background()
print("ready", flush=True)
time.sleep(600)
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.readline()
open(sys.argv[1], "w").close()
time.sleep(600)
"""


def at(path: Path, train: dict[str, float] = LONG) -> Engine:
    return palate.open(path, language=HASHING, train=train, policy={"explore": False})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
    return tmp_path / "e.palate"


def until(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def held(path: Path) -> bool:
    """Whether somebody trains on the directory."""
    if not (path / "models" / "LOCK").exists():
        return False
    with (path / "models" / "LOCK").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def worker_of(engine: Engine) -> subprocess.Popen[str]:
    until(lambda: bool(engine.shelf._workers))
    return engine.shelf._workers[-1]


def test_closing_ends_the_training_before_the_directory_is_let_go(path: Path) -> None:
    engine = at(path)
    engine.train_in_background()
    until(lambda: held(path))
    worker = worker_of(engine)
    engine.close()
    assert worker.returncode == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
    assert engine.training == (
        "failed: Palate is closing: the training was stopped. Train again once the directory is open."
    )
    assert not held(path)
    with DirectoryLock(path):
        pass
    with at(path, SMALL) as other:
        assert other.model == "prior"
        other.train_in_background()
        until(lambda: other.training != "running")
        assert (other.training, other.model) == ("idle", "v0001")


def test_closing_at_once_starts_no_training(path: Path) -> None:
    engine = at(path)
    engine.train_in_background()
    engine.close()
    assert engine.training.startswith("failed: Palate is closing")
    assert not held(path)
    assert [one for one in engine.shelf._workers if one.returncode is None] == []


def test_the_training_ends_when_the_serving_process_is_killed(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SERVES, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    until(lambda: held(path))
    child.kill()
    child.stdout.close()
    child.wait()
    until(lambda: not held(path))
    with at(path, SMALL) as engine:
        assert engine.train().version == "v0001"


def test_a_process_that_will_not_end_is_killed(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_PATIENCE", 0.1)
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    begun = tmp_path / "begun"
    start = subprocess.Popen

    def stubborn(_: list[str], **options: object) -> subprocess.Popen[str]:
        return start([sys.executable, str(program), str(begun)], **options)  # pyright: ignore

    with at(path) as engine:
        monkeypatch.setattr(subprocess, "Popen", stubborn)
        engine.train_in_background()
        until(begun.exists)
        worker = worker_of(engine)
    assert worker.returncode == -signal.SIGKILL
    assert "Palate is closing" in engine.training


def test_training_is_refused_while_one_runs_in_the_background(path: Path) -> None:
    with at(path) as engine:
        engine.train_in_background()
        with pytest.raises(Conflict, match="A training is running in the background: wait until it has finished"):
            engine.train()
        until(lambda: held(path))
        with pytest.raises(Conflict, match="running in the background"):
            engine.train()
        assert engine.training == "running"


def test_two_trainings_never_share_a_directory(path: Path) -> None:
    with at(path, SMALL) as engine, training_lock(path / "models"):
        with pytest.raises(Conflict, match="is running in this directory already: wait until it has ended"):
            engine.train()
        engine.train_in_background()
        until(lambda: engine.training != "running")
        assert "is running in this directory already" in engine.training
        assert not (path / "replay").exists()
    assert engine.models() == []
