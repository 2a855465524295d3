"""What several tests of the store need."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.config import DecisionSettings
from palate.store import Decisions, decisions
from palate.store.decisions import Decision, DecisionLog, Shown, pack


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes: writes come back short, then fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


DAY = 86_400.0


def decision(number: int, **changes: Any) -> Decision:
    """A decision of two items with three features; its timestamp is ``number``."""
    features = np.arange(6, dtype=np.float32).reshape(2, 3) + number
    shown = Shown([f"i{number}", "b"], [1.5, None], [1, 2], [1.0, 0.25], [False, True], pack(features))
    plain = Decision(timestamp=number, as_of=number, subject="u", model="v0001", features="v0001", shown=shown)
    return msgspec.structs.replace(plain, **changes)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def log_at(
    directory: Path, segment_bytes: int = decisions.SEGMENT_BYTES, clock: Any = None, **changes: Any
) -> Iterator[DecisionLog]:
    keep = DecisionSettings(**{"flush_seconds": 3600.0, **changes})
    log = DecisionLog(directory, keep, segment_bytes=segment_bytes, **({"clock": clock} if clock else {}))
    try:
        yield log
    finally:
        log.close()


def add(log: Decisions, number: int, **changes: Any) -> str:
    ranking = log.reserve()
    log.append(ranking, decision(number, **changes))
    return ranking


def timestamps(log: Decisions) -> list[int]:
    return [one.timestamp for one in log.read()]
