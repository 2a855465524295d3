"""R14: half of what it can take, for half an hour: memory stays where it is, and so do descriptors and threads."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import palate
from benchmarks.connection import Connection
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.conftest import FULL, Begin, Record, Size
from tests.faults.models import put
from tests.faults.service import Served, quantile, together

CLIENTS = 8
MODELS = 4


@dataclass
class Sample:
    """What the process held at a moment; memory in bytes."""

    when: float
    memory: int
    descriptors: int
    threads: int


@dataclass
class Mix:
    """All kinds of requests, as a shop sends them. per_s: None for as fast as they are answered."""

    served: Served
    versions: list[str]
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    latency: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])
    kinds: dict[str, int] = field(default_factory=dict[str, int])

    async def run(self, seconds: float, per_s: float | None, swap_every: float) -> float:
        """Requests answered a second."""
        begun, before = time.monotonic(), len(self.latency)
        clients = (self._client(number, begun + seconds, per_s) for number in range(CLIENTS))
        await together(self._swap(begun + seconds, swap_every), *clients)
        return (len(self.latency) - before) / (time.monotonic() - begun)

    async def _client(self, number: int, end: float, per_s: float | None) -> None:
        rng = np.random.default_rng((number, next(self.numbers)))
        connection, ranking, due = Connection(self.served.url), ("", ""), time.monotonic()
        while time.monotonic() < end:
            chance = float(rng.random())
            began = time.perf_counter()
            if chance < 0.6 or not ranking[0]:
                path, body = shop.request(int(rng.integers(100)), rng)
                reply = await self._seen("rank", connection.post(path, body))
                if reply is not None and reply["items"]:
                    ranking = reply["ranking"], reply["items"][0]["id"]
            elif chance < 0.85:
                batch = [shop.event(f"x{n}", n, rng) for n in itertools.islice(self.numbers, int(rng.integers(1, 6)))]
                await self._seen("events", connection.post("/v1/events", batch))
            elif chance < 0.92:
                item = int(rng.integers(shop.ITEMS))
                fields = {"title": f"{shop.KINDS[item % 4]} number {item}, lot {int(rng.integers(50))}"}
                await self._seen(
                    "items",
                    connection.post("/v1/events", {"event": "item", "item": shop.thing(item), "fields": fields}),
                )
            elif chance < 0.97:
                await self._seen("explain", connection.request("GET", f"/v1/explain/{ranking[0]}/{ranking[1]}"))
            else:
                await self._seen("user", connection.request("GET", f"/v1/users/u{int(rng.integers(shop.USERS))}"))
            self.latency.append(time.perf_counter() - began)
            if per_s is not None:
                due += CLIENTS / per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        await connection.close()

    async def _seen(self, kind: str, asking: Awaitable[Any]) -> dict[str, Any] | None:
        reply = await asking
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if reply.status != 200:
            self.wrong.append(f"{kind}: {reply.status} {reply.body[:200]!r}")
            return None
        return reply.json()

    async def _swap(self, end: float, every: float) -> None:
        connection = Connection(self.served.url)
        for number in itertools.count():
            await asyncio.sleep(min(every, max(0.0, end - time.monotonic())))
            if time.monotonic() >= end:
                await connection.close()
                return
            version = self.versions[number % len(self.versions)]
            await self._seen("swaps", connection.request("POST", f"/v1/models/{version}/activate"))


async def watch(served: Served, seconds: float, every: float) -> list[Sample]:
    """Samples of the process, one each ``every`` seconds."""
    found: list[Sample] = []
    begun = time.monotonic()
    while (when := time.monotonic() - begun) < seconds:
        found.append(Sample(when, served.memory(), served.descriptors(), served.threads()))
        await asyncio.sleep(every)
    return found


def prefill(served: Served, count: int) -> None:
    """As many events as fill every bounded history, row and cache: what grows after that is a leak."""
    rng, size = np.random.default_rng(14), 5_000
    for start in range(0, count, size):
        events = (json.dumps(shop.event(f"p{start + n}", start + n, rng)) for n in range(min(size, count - start)))
        body = "\n".join(events).encode()
        reply = httpx.post(
            f"{served.url}/v1/events", content=body, headers={"content-type": "application/x-ndjson"}, timeout=60
        )
        assert reply.status_code == 200


def slope(samples: list[Sample], of: Callable[[Sample], int]) -> float:
    """Growth in percent of the mean in ten minutes, by least squares."""
    times, values = np.array([one.when for one in samples]), np.array([of(one) for one in samples], float)
    return float(np.polyfit(times, values, 1)[0] * 600 / values.mean() * 100)


def flat(samples: list[Sample], of: Callable[[Sample], int]) -> tuple[int, int]:
    """The usual number (median) of something in the first third and in the last."""
    third = max(1, len(samples) // 3)
    first, last = (sorted(map(of, part)) for part in (samples[:third], samples[-third:]))
    return first[len(first) // 2], last[len(last) // 2]


def test_memory_descriptors_and_threads_stay_where_they_are(
    begin: Begin, tmp_path: Path, size: Size, record: Record
) -> None:
    path = tmp_path / "shop.palate"
    versions = put(path, MODELS)
    settings = {"DECISIONS__MAX_BYTES": str(size(4_000_000, 64_000_000))}  # reached while it warms up
    served = begin(path, faults={"snapshots": str(size(3, 60))}, **settings)
    served.fill()
    prefill(served, size(3_000, 400_000))
    mix = Mix(served, versions)
    capacity = asyncio.run(mix.run(size(2, 20), None, 1.0))
    asyncio.run(mix.run(size(2, 300), capacity / 2, size(1, 10)))  # warming up
    mix.latency.clear()
    seconds = float(size(9, 1_800))

    async def everything() -> tuple[float, list[Sample]]:
        answered, samples = await together(
            mix.run(seconds, capacity / 2, size(1, 10)), watch(served, seconds, size(1, 10) / 4)
        )
        return answered, samples

    answered, samples = asyncio.run(everything())
    assert mix.wrong == []
    assert set(mix.kinds) == {"rank", "events", "items", "explain", "user", "swaps"}
    descriptors, threads = flat(samples, lambda one: one.descriptors), flat(samples, lambda one: one.threads)
    assert abs(descriptors[1] - descriptors[0]) <= 2
    assert abs(threads[1] - threads[0]) <= 1
    memory = flat(samples, lambda one: one.memory)
    assert memory[1] < memory[0] * 1.25
    grown = slope(samples, lambda one: one.memory)
    if FULL:
        assert grown < 1.0, f"memory grows by {grown:.2f} % in ten minutes"
    assert served.stop() == 0
    with palate.open(path, language=HASHING) as engine:
        assert engine.rebuild()["equal"]
    record(
        "R14",
        minutes=seconds / 60,
        requests_per_s=round(answered),
        at_most_per_s=round(capacity),
        requests=len(mix.latency),
        errors=0,
        p99_ms=round(1000 * quantile(mix.latency, 0.99), 1),
        memory_mb=round(memory[1] / 2**20),
        memory_percent_in_10_min=round(grown, 2),
        descriptors=descriptors,
        threads=threads,
        of_each=mix.kinds,
    )
