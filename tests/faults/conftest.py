"""The fault tests: short by default, in full under ``FAULTS=full``, which ``make faults`` and ``make soak`` set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.service import Served

FULL = os.environ.get("FAULTS") == "full"
FIGURES = Path(__file__).parents[2] / "build" / "faults"

Size = Callable[[int, int], int]
Record = Callable[..., None]
Begin = Callable[..., Served]


@pytest.fixture(scope="session")
def size() -> Size:
    """``size(short, full)``: how much of something this run does."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """``record("R1", cycles=200, …)``: figures that a run in full leaves in ``build/faults``, for the table."""

    def write(row: str, **figures: Any) -> None:
        print(f"{row}: {json.dumps(figures)}")
        if not FULL:
            return
        FIGURES.mkdir(parents=True, exist_ok=True)
        file = FIGURES / f"{row}.json"
        known = json.loads(file.read_text()) if file.is_file() else {}
        file.write_text(json.dumps(known | figures, indent=1))

    return write


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts a ``palate serve`` (see ``Served``); whatever still runs at the end of the test is killed."""
    running: list[Served] = []

    def start(directory: Path | None = None, **options: Any) -> Served:
        served = Served(directory or tmp_path / "shop.palate", tmp_path / "service.log", **options)
        running.append(served)
        served.start()
        return served

    yield start
    for served in running:
        if served.process is not None and served.process.poll() is None:
            served.kill()
