"""R1: kill -9 under load, again and again: nothing acknowledged is lost or doubled, and the state equals a replay."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import palate
from benchmarks.connection import Connection, Dropped, Refused
from palate.config import Settings
from palate.opening import replay_state
from palate.state import State, snapshot
from palate.store import open_store
from palate.train.history import stamped
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.service import Account, Served, pour, together

CONNECTIONS = 6
RATE = 1_500.0
"""Events a second over all connections."""


class Reference:
    """The log as it is read after each kill, folded on its own: what the directory must hold and say."""

    def __init__(self) -> None:
        self.state = State(Settings())
        self.ids: list[str] = []

    def read(self, directory: Path) -> None:
        """Fold what came since. What was there before stays as it was."""
        store = open_store(directory / "events.db")
        for records in store.read(self.state.seq):
            self.ids += [one.id for one in records]
            self.state.apply(stamped(records), records[-1].seq)
        store.close()


async def load(served: Served, account: Account, cycle: int, seconds: float, rng: np.random.Generator) -> list[Any]:
    """Post and rank until the kill after ``seconds``; returns what had no answer."""

    async def killer() -> None:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(served.kill)

    async def ranker() -> None:
        connection = Connection(served.url)
        for number in range(1_000_000):
            try:
                reply = await connection.post(*shop.request(number, rng))
            except (Refused, Dropped):
                return
            account.answered(reply)

    def pause(count: int) -> float:
        return count * CONNECTIONS / RATE

    clients = [
        pour(served.url, shop.batches(f"c{cycle}-{n}", np.random.default_rng((cycle, n))), account, pause)
        for n in range(CONNECTIONS)
    ]
    _, _, *left = await together(killer(), ranker(), *clients)
    return left


def test_kill_9_under_load_loses_and_doubles_nothing(begin: Begin, tmp_path: Path, size: Size, record: Record) -> None:
    cycles = size(3, 200)
    served = begin(faults={"snapshots": "0.3"})
    account, reference, rng = Account(), Reference(), np.random.default_rng(1)
    served.fill()
    starts: list[float] = []
    cpu: list[float] = []
    loads: list[float] = []
    left: list[Any] = []
    for cycle in range(cycles):
        for batch in left:  # as clients do that had no answer: it may have been stored, or not
            if batch:
                reply = served.post("/v1/events", batch)
                assert reply.status_code == 200
                account.acknowledged.update((event["id"], 0.0) for event in batch)
        seconds, before = 0.2 + 0.5 * rng.random(), len(account.acknowledged)
        left = asyncio.run(load(served, account, cycle, seconds, rng))
        loads.append((len(account.acknowledged) - before) / seconds)
        copy = tmp_path / "copy.palate"  # opened as the kill left it, while the service itself starts again
        shutil.copytree(served.directory, copy)
        with ThreadPoolExecutor() as beside:
            starting = beside.submit(served.start)
            reference.read(copy)
            with palate.open(copy, language=HASHING) as engine:
                assert snapshot.digest(engine.state) == snapshot.digest(reference.state)
            shutil.rmtree(copy)
            starts.append(starting.result())
            cpu.append(served.cpu())
        assert len(reference.ids) == len(set(reference.ids)) == served.counts()["seq"]
        assert account.acknowledged.keys() <= set(reference.ids)
    assert set(reference.ids) <= account.sent | {event["id"] for event in shop.catalogue()}
    assert account.wrong == []
    assert len(account.acknowledged) > 10 * cycles
    assert set(account.statuses) == {200}
    assert served.stop() == 0
    with palate.open(served.directory, language=HASHING) as engine:
        assert [event.id for event in engine.export()] == reference.ids
        whole = replay_state(engine.parts.store, engine.settings, engine.state.seq)
        assert snapshot.digest(whole) == snapshot.digest(engine.state) == snapshot.digest(reference.state)
    record(
        "R1",
        cycles=cycles,
        events_per_s=round(float(np.mean(loads))),
        acknowledged=len(account.acknowledged),
        lost=0,
        doubled=0,
        ready_s_max=round(max(starts), 2),
        ready_s_median=round(float(np.median(starts)), 2),
        ready_cpu_s=round(float(np.median(cpu)), 2),
    )
