"""``POST /v1/events``: one at a time and in batches, durable before each answer; and rankings and events mixed."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from palate.bench.common import WARM, Bar, Figures, Plan, Say, clicks, encode, rankings, whole
from palate.bench.disk import commits
from palate.bench.load import closed, post, server
from palate.bench.paced import paced
from palate.types import Bools, IngestResult

CONNECTIONS = 32
BATCH = 100
_MIXED = 8
_MADE = 50
"""Batches whose events are made beforehand; each gets new ids."""
_AHEAD = 8
_OF_EACH = 5
"""One request in five of the mix is an event."""


def events(directory: Path, plan: Plan, say: Say) -> Figures:
    """Durable events one by one on 32 connections, a hundred a request on eight, and a hundred at a time in process."""
    count = max(_OF_EACH * CONNECTIONS, plan.requests)
    some = clicks(plan.base, 3 * count, f"{time.time_ns():x}")
    single = [post("/v1/events", encode(event)) for event in some[: count + CONNECTIONS]]
    rest = some[count + CONNECTIONS :]
    batches = [post("/v1/events", encode(rest[at : at + BATCH])) for at in range(0, len(rest), BATCH)]
    bar = Bar(say, "events", len(single) + len(batches))
    with server("palate", directory) as served:
        closed(served, single[:CONNECTIONS], _MIXED)
        one = whole(closed(served, single[CONNECTIONS:], CONNECTIONS, bar.tick), "events")
        bar.ran(len(single))
        many = whole(closed(served, batches, 8, bar.tick), "events in batches")
    bar.end()
    return {
        "fsync_per_s": round(commits(directory), 1),
        "batch_per_s": round(in_process(directory, plan), 1),
        "durable_per_s": round(one.per_s, 1),
        "durable_cpu_us": round(one.cpu_us, 1),
        "durable_p50_ms": round(one.ms(0.5), 3),
        "durable_p99_ms": round(one.ms(0.99), 3),
        "http_batch_per_s": round(many.per_s * len(rest) / len(batches), 1),
        "http_batch_cpu_us": round(many.cpu_us * len(batches) / len(rest), 2),
    }


def in_process(directory: Path, plan: Plan) -> float:
    """Events a second that an engine takes in batches of a hundred, each durable and in the state; eight batches ahead
    of the one that is waited for. The search for near texts is prepared before, as a service does; so are the events,
    whose making isn't the engine's work."""
    import palate

    stamp, done, round_, spent = f"in-process-{time.time_ns():x}", 0, 0, 0.0
    some = clicks(plan.base, _MADE * BATCH, stamp)
    with palate.open(directory) as engine:
        engine.warm()
        while spent < plan.seconds / 2:
            batches = [
                [event | {"id": f"{stamp}-{round_}-{batch}-{n}"} for n, event in enumerate(some[at : at + BATCH])]
                for batch in range(plan.batches)
                for at in [batch % _MADE * BATCH]
            ]
            round_ += 1
            waiting: deque[Future[IngestResult]] = deque()
            begun = time.perf_counter()
            for batch in batches:
                waiting.append(engine.submit(batch))
                if len(waiting) > _AHEAD:
                    done += waiting.popleft().result().accepted
            done += sum(future.result().accepted for future in waiting)
            spent += time.perf_counter() - begun
        return done / spent


def mixed(directory: Path, plan: Plan, say: Say) -> Figures:
    """Four rankings to one event: CPU as fast as it goes, beside each alone; latency of each at half that rate."""
    count = max(WARM, plan.requests // 2)
    events = [
        post("/v1/events", encode(event))
        for event in clicks(plan.base, count + count // 2, f"mixed-{time.time_ns():x}")
    ]
    asked = rankings(plan.base, 3 * count, seed=11)
    both, is_event = _mix(asked[count : 2 * count], events, count)
    later, later_event = _mix(asked[2 * count :], events[count // _OF_EACH + 1 :], count)
    alone = events[-(count // 4) :]
    bar = Bar(say, "mixed", WARM + 3 * count + len(alone))
    with server("palate", directory) as served:
        closed(served, asked[:WARM], _MIXED, bar.tick)
        bar.ran(WARM)
        ranked = whole(closed(served, asked[:count], _MIXED, bar.tick), "rankings alone")
        bar.ran(count)
        posted = whole(closed(served, alone, _MIXED, bar.tick), "events alone")
        bar.ran(len(alone))
        run = whole(closed(served, both, _MIXED, bar.tick), "rankings and events")
        bar.ran(count)
        rate = run.per_s / 2
        due = whole(paced(served, later, rate, tick=bar.tick), f"rankings and events at {rate:.0f}/s")
    bar.end()
    share = float(np.mean(is_event))
    apart = (1 - share) * ranked.cpu_us + share * posted.cpu_us
    return {
        "per_s": round(run.per_s, 1),
        "cpu_us": round(run.cpu_us, 1),
        "rank_alone_cpu_us": round(ranked.cpu_us, 1),
        "events_alone_cpu_us": round(posted.cpu_us, 1),
        "times_apart": round(run.cpu_us / apart, 2),
        "rate_per_s": round(rate, 1),
        "rank_p50_ms": round(due.ms(0.5, ~later_event), 3),
        "rank_p99_ms": round(due.ms(0.99, ~later_event), 3),
        "events_p50_ms": round(due.ms(0.5, later_event), 3),
        "events_p99_ms": round(due.ms(0.99, later_event), 3),
    }


def _mix(asked: list[bytes], events: list[bytes], count: int) -> tuple[list[bytes], Bools]:
    """``count`` requests, every fifth of them an event, and which ones are."""
    is_event = np.arange(count) % _OF_EACH == _OF_EACH - 1
    ranked, posted = iter(asked), iter(events)
    return [next(posted if one else ranked) for one in is_event.tolist()], is_event
