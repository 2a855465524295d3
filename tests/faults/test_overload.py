"""R6: five times as much as can be answered: most is refused at once with 429, what is taken is answered soon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.openloop import Seen, drive
from tests.faults.service import Served, quantile

CONNECTIONS = 128
BATCH = 200


def packed(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def rankings() -> Callable[[int], bytes]:
    """Rankings of 60 candidates, the same few hundred again and again."""
    bodies = [
        {"user": f"u{number % shop.USERS}", "items": [shop.thing(n) for n in range(60)], "k": 10}
        for number in range(200)
    ]
    made = [packed("/v1/rank", json.dumps(body).encode()) for body in bodies]
    return lambda number: made[number % len(made)]


def posts() -> Callable[[int], bytes]:
    """Posts of ``BATCH`` events without ids, so that the same few bodies are new events whenever they come: a driver
    that had to make each would be slower than what it drives."""
    made = [
        packed("/v1/events", json.dumps([plain(number * BATCH + n) for n in range(BATCH)]).encode())
        for number in range(20)
    ]
    return lambda number: made[number % len(made)]


def plain(number: int) -> dict[str, str]:
    return {"event": "interaction", "user": f"u{number % shop.USERS}", "item": f"tea-{number % 15 * 4}"}


def recovered(served: Served, request: Callable[[int], bytes], per_s: float) -> float:
    """Seconds until a whole quarter of a second passes in which everything that comes at ``per_s`` is taken."""
    begun = time.monotonic()
    while True:
        at = time.monotonic()
        if set(drive(served.url, request, per_s, 0.25, 16).statuses()) == {200}:
            return at - begun
        assert at - begun < 60, "it never takes everything again"


@pytest.mark.parametrize("kind", ["rank", "events"])
def test_overload_is_refused_and_what_is_taken_is_fast(begin: Begin, size: Size, record: Record, kind: str) -> None:
    served, rng = begin(), np.random.default_rng(6)
    served.fill()
    events = [shop.event(f"w{n}", n, rng) for n in range(3_000)]
    assert served.post("/v1/events", events).status_code == 200
    request = rankings() if kind == "rank" else posts()
    seconds = size(3, 20)
    # Closed loop: as fast as a few connections are answered. What would stand in a queue isn't sent.
    most = drive(served.url, request, 100_000, size(1, 5), 8, 0)
    capacity = len(most.latencies()) / most.seconds
    calm = drive(served.url, request, capacity / 2, size(1, 10), CONNECTIONS)
    before = served.memory()
    seen = drive(served.url, request, 5 * capacity, seconds, CONNECTIONS)
    grown = served.memory() / before - 1
    back = recovered(served, request, capacity / 2)
    taken = len(seen.latencies())
    assert set(seen.statuses()) == {200, 429}
    assert taken > 0
    assert all(b"\r\nretry-after: 1" in head for _, _, status, head in seen.answers if status == 429)
    counts = served.counts()
    if kind == "events":
        stored = sum(len(run.latencies()) for run in (most, calm, seen)) * BATCH
        assert counts["seq"] >= stored + len(events), "what was acknowledged is there"
    assert served.get("/readyz").status_code == 200
    assert served.stop() == 0
    record("R6", **figures(kind, capacity, calm, seen, grown, back))


def figures(kind: str, capacity: float, calm: Seen, seen: Seen, grown: float, back: float) -> dict[str, float]:
    """Latencies of the overload without its first second, in which it isn't known to be one yet."""
    late = seen.latencies(after=1.0)
    p99, calm_p99 = quantile(late, 0.99), quantile(calm.latencies(), 0.99)
    return {
        f"{kind}_per_s_at_most": round(capacity),
        f"{kind}_taken_per_s": round(len(seen.latencies()) / seen.seconds),
        f"{kind}_refused": seen.statuses().get(429, 0),
        f"{kind}_p99_ms_at_half": round(calm_p99 * 1000, 1),
        f"{kind}_p99_ms_overloaded": round(p99 * 1000, 1),
        f"{kind}_p99_ratio": round(p99 / calm_p99, 1),
        f"{kind}_memory_grown_percent": round(100 * grown, 1),
        f"{kind}_recovered_s": round(back, 2),
    }
