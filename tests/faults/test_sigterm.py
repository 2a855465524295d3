"""R9: SIGTERM under load. Readiness goes off at once, every request that was sent is answered, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import numpy as np

import palate
from benchmarks.connection import Connection, Dropped, Refused
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.service import Account, Served, together

CLIENTS = 12


class Round:
    """Clients that go on until nobody lets them in any more: told that their connection ends, they open another."""

    def __init__(self, served: Served, number: int, account: Account) -> None:
        self.served = served
        self.number = number
        self.account = account
        self.dropped: list[str] = []
        self.unready_s = self.ended_s = 0.0

    async def client(self, number: int) -> None:
        """Every other request is a ranking, and every tenth post is of hundreds of events."""
        connection, rng, step = Connection(self.served.url), np.random.default_rng((self.number, number)), 0
        prefix = f"r{self.number}-{number}"
        while True:
            step += 1
            count = 400 if step % 20 == 1 else 3
            batch = [shop.event(f"{prefix}-{step}-{n}", n, rng) for n in range(count)] if step % 2 else []
            self.account.sent.update(event["id"] for event in batch)
            path, body = ("/v1/events", batch) if batch else shop.request(step, rng)
            try:
                reply = await connection.post(path, body)
            except Refused:
                self.account.sent.difference_update(event["id"] for event in batch)
                return
            except Dropped as error:
                self.dropped.append(f"{error} in step {step}")
                return
            if batch:
                self.account.posted(batch, reply)
            else:
                self.account.answered(reply)

    async def stop(self, after: float) -> None:
        """SIGTERM; note when readiness is off, and when the process has ended."""
        probe = Connection(self.served.url)
        assert (await probe.request("GET", "/readyz")).status == 200
        await asyncio.sleep(after)
        begun = time.perf_counter()
        assert self.served.process is not None
        self.served.process.send_signal(signal.SIGTERM)
        reply = await Connection(self.served.url).request("GET", "/readyz")
        self.unready_s = time.perf_counter() - begun
        assert (reply.status, reply.last) == (503, True), "the very next look says so"
        await probe.close()
        assert await asyncio.to_thread(self.served.wait) == 0
        self.ended_s = time.perf_counter() - begun

    async def run(self, after: float) -> None:
        await together(self.stop(after), *(self.client(number) for number in range(CLIENTS)))


def test_sigterm_under_load_drops_nothing(begin: Begin, tmp_path: Path, size: Size, record: Record) -> None:
    path = tmp_path / "shop.palate"
    account, rng = Account(), np.random.default_rng(9)
    rounds = size(1, 15)
    ended: list[float] = []
    unready: list[float] = []
    served = begin(path)
    served.fill()
    for number in range(rounds):
        if number:
            served.start()
        one = Round(served, number, account)
        asyncio.run(one.run(0.5 + float(rng.random())))
        assert one.dropped == []
        ended.append(one.ended_s)
        unready.append(one.unready_s)
    assert account.wrong == []
    assert set(account.statuses) == {200}
    with palate.open(path, language=HASHING) as engine:
        ids = [str(event.id) for event in engine.export()]
        assert len(ids) == len(set(ids))
        assert account.acknowledged.keys() <= set(ids)
        assert account.sent == account.acknowledged.keys(), "every post was answered"
        assert engine.state.seq == engine.counts().events == len(ids)
    record(
        "R9",
        rounds=rounds,
        requests=sum(account.statuses.values()),
        dropped=0,
        lost=0,
        unready_s_max=round(max(unready), 3),
        ended_s_max=round(max(ended), 2),
        exit_status=0,
    )
