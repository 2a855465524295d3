"""R10: snapshots written while events come in hold exactly what the log held at their position, and restore quickly."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import palate
from palate.opening import replay_state
from palate.state import snapshot
from palate.types import Interaction
from tests.engines import HASHING
from tests.faults.conftest import Record, Size

BATCH = 2_000


def clicks(count: int, users: int, items: int) -> Iterator[list[Interaction]]:
    """Clicks of many people, a second apart, in batches."""
    rng = np.random.default_rng(10)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        people, things = rng.integers(users, size=size), (items * rng.random(size) ** 2).astype(int)
        yield [
            Interaction(
                id=f"e{start + n:09d}",
                timestamp=1_700_000_000_000 + (start + n) * 1000,
                user=f"u{people[n]}",
                item=f"i{things[n]}",
                type="click" if n % 9 else "hide",
            )
            for n in range(size)
        ]


def test_a_snapshot_under_writes_restores_to_the_same_state(tmp_path: Path, size: Size, record: Record) -> None:
    count = size(20_000, 500_000)
    path, over, positions = tmp_path / "e.palate", threading.Event(), list[int]()
    stalls: list[float] = []
    with palate.open(path, language=HASHING) as engine:

        def keep() -> None:
            while not over.wait(0.05):
                positions.append(int(engine.snapshot().name))

        keeper = threading.Thread(target=keep)
        keeper.start()
        for batch in clicks(count, size(500, 50_000), size(200, 20_000)):
            begun = time.perf_counter()
            engine.ingest(batch)
            stalls.append(time.perf_counter() - begun)
            # However fast events are taken, three snapshots are begun among them.
            while keeper.is_alive() and len(positions) < 3 * BATCH * len(stalls) // count:
                time.sleep(0.001)
        over.set()
        keeper.join()
        engine.snapshot()
        engine.ingest(next(clicks(BATCH, 10, 10)))  # ids that are there already: the log stays as it is
        assert engine.state.seq == count
        digest = snapshot.digest(engine.state)
        shutil.copytree(path, tmp_path / "copy.palate")
    assert len(positions) > 2
    assert positions == sorted(positions)
    assert any(0 < position < count for position in positions), "written while events came"

    copy = tmp_path / "copy.palate"
    begun = time.perf_counter()
    with palate.open(copy, language=HASHING) as engine:
        restored = time.perf_counter() - begun
        assert snapshot.digest(engine.state) == digest
        kept = snapshot.available(copy / "snapshots")
        for one in kept:
            state, _ = snapshot.read(one, engine.settings)
            due = engine.state if state.seq == count else replay_state(engine.parts.store, engine.settings, state.seq)
            assert snapshot.digest(state) == snapshot.digest(due)
    shutil.rmtree(copy / "snapshots")
    begun = time.perf_counter()
    with palate.open(copy, language=HASHING) as engine:
        replayed = time.perf_counter() - begun
        assert snapshot.digest(engine.state) == digest
    million = 1_000_000 / count
    record(
        "R10",
        events=count,
        snapshots=len(positions) + 1,
        equal=True,
        restored_s_a_million=round(restored * million, 2),
        replayed_s_a_million=round(replayed * million, 1),
        ingest_of_2000_s_max=round(max(stalls), 2),
    )
