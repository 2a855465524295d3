"""R4 and R5: events three times, shuffled, hours late, with clocks a day ahead, over restarts: as in one clean pass."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import numpy as np

import palate
from benchmarks.connection import Connection, Dropped, Refused
from palate.config import Settings
from palate.state import State, snapshot
from palate.state.state import Stamped
from palate.testing.state import assert_lawful
from palate.types import Event
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.service import Served, together

CONNECTIONS = 8
COPIES = 3
AHEAD = 20
"""One event in so many comes from a clock a day ahead."""


def made(count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Events of the last 24 hours, some of which say that they are of tomorrow."""
    now = int(time.time() * 1000)
    found = shop.catalogue()
    for item in found:
        item["timestamp"] = now - shop.DAY
    for number in range(count):
        when = now - 60_000 - int(rng.integers(shop.DAY - 120_000))
        ahead = number % AHEAD == 0
        found.append(shop.event(f"e{number}", number, rng, now + shop.DAY + number if ahead else when))
    return found


async def deliver(served: Served, batches: list[list[dict[str, Any]]], restarts: int, size: int) -> int:
    """Send everything over ``CONNECTIONS`` connections, again where no answer came; how often none came."""
    waiting = list(reversed(batches))
    unanswered = 0

    async def client() -> None:
        nonlocal unanswered
        connection, url = Connection(served.url), served.url
        while waiting:
            batch = waiting.pop()
            while True:
                if served.url != url:
                    connection, url = Connection(served.url), served.url
                try:
                    reply = await connection.post("/v1/events", batch)
                except (Refused, Dropped) as error:
                    unanswered += isinstance(error, Dropped)
                    await asyncio.sleep(0.02)
                    continue
                assert reply.status == 200, reply.body
                told = reply.json()
                assert told["accepted"] + told["duplicates"] == len(batch)
                break
            await asyncio.sleep(0.01)
        await connection.close()

    async def restarter() -> None:
        for number in range(restarts):
            while len(waiting) > size * (restarts - number) / (restarts + 1):
                await asyncio.sleep(0.005)
            await asyncio.to_thread(served.stop if number % 2 else served.kill)
            await asyncio.to_thread(served.start)

    await together(restarter(), *(client() for _ in range(CONNECTIONS)))
    return unanswered


def test_repeats_and_late_events_make_the_state_of_one_clean_pass(begin: Begin, size: Size, record: Record) -> None:
    rng = np.random.default_rng(4)
    count = size(
        1_500, 5_000
    )  # no more a person than a history holds: pairs of what it no longer holds are beyond the law
    events = made(count, rng)
    copies = [events[n] for n in rng.permutation(np.repeat(np.arange(len(events)), COPIES))]
    ends = np.cumsum(rng.integers(1, 16, len(copies)))
    batches = [list(part) for part in np.split(np.array(copies, object), ends[ends < len(copies)])]
    served = begin(faults={"snapshots": "0.3"})
    restarts = size(2, 20)
    again = asyncio.run(deliver(served, batches, restarts, len(batches)))
    assert again >= restarts // 2, "restarts met clients at work"
    assert served.stop() == 0
    slack = int(Settings().state.future_seconds * 1000)
    with palate.open(served.directory, language=HASHING) as engine:
        arrived = {one.id: one.received for records in engine.parts.store.read() for one in records}
        assert len(arrived) == engine.counts().seq == engine.counts().events == len(events)
        pass_: list[Stamped] = []
        ahead = 0
        for raw in events:
            event, received = msgspec.convert(raw, Event), arrived[raw["id"]]
            when = raw["timestamp"]
            ahead += when > received + slack
            pass_.append((when, received, event))
        pass_.sort(key=lambda one: min(one[0], one[1]))
        clean = State(Settings())
        clean.apply(pass_, len(events))
        assert_lawful(engine.state, clean)
        assert engine.counts().clamped == clean.clamped == ahead == -(-count // AHEAD)
        assert engine.state.clock_ts <= time.time() * 1000, "the clock of one doesn't move everybody's"
        assert engine.rebuild()["equal"]
        assert snapshot.digest(engine.state) != snapshot.digest(clean), "another order of the log, another layout"
    record("R4", events=len(events), sent=len(copies), connections=CONNECTIONS, restarts=restarts, sent_again=again)
    record("R5", late_events=len(events) - ahead, hours_late_at_most=24, clocks_ahead=ahead, clamped=ahead)
