"""What a request costs and what a person takes, from thousands of people to a million over one catalogue."""

from __future__ import annotations

import time
from pathlib import Path

from palate.bench.common import WARM, Bar, Figures, Plan, Say, clicks, encode, middle, rankings, whole
from palate.bench.disk import taken
from palate.bench.load import Served, closed, cores, post, server
from palate.bench.world import short
from palate.bench.worlds import Size, Worlds

MOST = 16
"""Clicks of a person stay below this, so that a million people are ten million events."""
_EVENTS_AT_ONCE = 8
_RUNS = 3
"""CPU is that of the middle one."""


def scale(worlds: Worlds, plan: Plan, say: Say) -> Figures:
    """By the number of people: CPU of a ranking and of an event, resident memory, disk, seconds to start.

    rank_growth, events_growth: CPU at the number of people that costs most, over that at the fewest. rss_user_bytes:
    by how much more the server holds, a person more. disk_event_bytes: of the directory, snapshots included, an event.
    """
    points: list[Figures] = []
    smaller: Size | None = None
    for users in plan.people:
        size = plan.base._replace(users=users, most=MOST)
        with worlds.use(size, say, smaller) as directory:
            points.append(_measure(directory, size, max(WARM, plan.requests // 4), say))
        smaller = size
    few, many = points[0], points[-1]
    more = plan.people[-1] - plan.people[0]
    return dict(zip(map(short, plan.people), points, strict=True)) | {
        "rank_growth": round(max(point["rank_cpu_us"] for point in points) / few["rank_cpu_us"], 3),
        "events_growth": round(max(point["events_cpu_us"] for point in points) / few["events_cpu_us"], 3),
        "rss_user_bytes": round((many["rss_mb"] - few["rss_mb"]) * 1e6 / more),
        "disk_event_bytes": round(many["disk_mb"] * 1e6 / many["events"]),
    }


def _measure(directory: Path, size: Size, count: int, say: Say) -> Figures:
    asked = rankings(size, count + WARM, seed=21)
    stamp = f"scale-{time.time_ns():x}"
    posted = [post("/v1/events", encode(event)) for event in clicks(size, count + WARM, stamp)]
    bar = Bar(say, f"scale {short(size.users)}", 2 * (count + WARM))
    begun = time.perf_counter()
    with server("palate", directory, cores()[0]) as served:
        started = time.perf_counter() - begun
        closed(served, asked[:WARM], 1, bar.tick)
        bar.ran(WARM)
        ranked = _cpu_us(served, asked[WARM:], 1, bar, "rankings")
        closed(served, posted[:WARM], _EVENTS_AT_ONCE, bar.tick)
        bar.ran(WARM)
        taken_in = _cpu_us(served, posted[WARM:], _EVENTS_AT_ONCE, bar, "events")
        memory = served.memory()
    bar.end()
    return {
        "users": size.users,
        "events": size.items + (4 + size.most) // 2 * size.users,
        "rank_cpu_us": round(ranked, 1),
        "events_cpu_us": round(taken_in, 1),
        "rss_mb": round(memory / 1e6, 1),
        "disk_mb": round(taken(directory) / 1e6, 1),
        "start_s": round(started, 2),
    }


def _cpu_us(served: Served, requests: list[bytes], connections: int, bar: Bar, what: str) -> float:
    found: list[float] = []
    for some in (requests[place::_RUNS] for place in range(_RUNS)):
        found.append(whole(closed(served, some, connections, bar.tick), what).cpu_us)
        bar.ran(len(some))
    return middle(found)
