"""Several workers against one: what a ranking costs, alone and among events, and how many events are stored."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import re
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from palate.bench.common import WARM, Figures, Plan, Say, clicks, encode, rankings, whole
from palate.bench.load import Run, Served, closed, post, server

COUNTS = (1, 2)
CONNECTIONS = 16
_EVENT_CONNECTIONS = 32
_RANKINGS, _EVENTS = 1_000, 5_000
"""Different ones, for each second of a run; then they come again."""
_MEMORY = re.compile(r"^process_resident_memory_bytes (\S+)$", re.MULTILINE)
_OF_EACH = 5
"""One request in five of the mix is an event."""


def workers(directory: Path, plan: Plan, say: Say) -> Figures:
    """CPU microseconds a request (of all processes) and requests a second, with 1 worker and with 2, by turns.

    directory: a world of ``world.build``; events are added to it. Every figure is the best of ``plan.rounds``, since
    what disturbs only adds. Connections lead to a worker by chance, as anybody's do. Memory counts once what processes
    share.
    """
    best: dict[int, dict[str, float]] = {count: {} for count in COUNTS}
    done, total = 0, plan.rounds * len(COUNTS)
    say("workers", 0, total)
    for turn in range(plan.rounds):
        for count in COUNTS:
            with _serving(directory, count) as served:
                for name, value in _figures(served, plan, turn).items():
                    better = max if name.endswith("per_s") else min
                    best[count][name] = round(better(value, best[count].get(name, value)), 1)
            done += 1
            say("workers", done, total)
    found: Figures = {str(count): figures for count, figures in best.items()}
    one, two = (best[count] for count in COUNTS)
    for kind in ("rank", "mixed", "events"):
        found[f"times_{kind}_cpu"] = round(two[f"{kind}_cpu_us"] / one[f"{kind}_cpu_us"], 3)
    return found


@contextlib.contextmanager
def _serving(directory: Path, workers: int) -> Generator[Served]:
    name, before = "PALATE_SERVE__WORKERS", os.environ.get("PALATE_SERVE__WORKERS")
    os.environ[name] = str(workers)
    try:
        with server("palate", directory) as served:
            yield served
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _figures(served: Served, plan: Plan, turn: int) -> dict[str, float]:
    seconds, base = plan.seconds, plan.base
    asked = rankings(base, max(WARM, int(_RANKINGS * seconds)), seed=21 + turn)
    count = max(WARM, int(_EVENTS * seconds))
    events = [post("/v1/events", encode(event)) for event in clicks(base, 2 * count, f"{time.time_ns():x}")]
    mixed = [events[n] if n % _OF_EACH == 0 else asked[n % len(asked)] for n in range(count)]
    _for(served, asked, 0.0, CONNECTIONS)
    ranked = whole(_for(served, asked, seconds, CONNECTIONS), "rankings of several workers")
    both = whole(_for(served, mixed, seconds, CONNECTIONS), "rankings and events of several workers")
    alone = whole(_for(served, events[count:], seconds, _EVENT_CONNECTIONS), "events of several workers")
    return {
        "rank_cpu_us": ranked.cpu_us,
        "rank_per_s": ranked.per_s,
        "mixed_cpu_us": both.cpu_us,
        "mixed_per_s": both.per_s,
        "events_cpu_us": alone.cpu_us,
        "events_per_s": alone.per_s,
        "memory_mb": float(_MEMORY.findall(_get(served, "/metrics"))[0]) / 1e6,
    }


def _for(served: Served, requests: Sequence[bytes], seconds: float, connections: int) -> Run:
    """So many of ``requests`` as take about ``seconds``, and ``WARM`` at least."""
    first = closed(served, requests[:WARM], connections)
    count = max(WARM, int(first.per_s * seconds))
    more = itertools.islice(itertools.cycle(requests), WARM, WARM + count)
    return closed(served, list(more), connections)


def _get(served: Served, path: str) -> str:
    connection = http.client.HTTPConnection(served.host, served.port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
