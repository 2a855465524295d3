"""What is measured, each section by itself: figures by name, in the units of their names."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.bench import world
from palate.bench.load import Run, closed, opened, post, server
from palate.errors import PalateError
from palate.types import F32, RankRequest

Figures = dict[str, float]
Say = Callable[[str, int, int], None]
_encode = msgspec.json.Encoder().encode
WARM = 300


def _whole(run: Run, what: str) -> Run:
    if run.bad:
        raise PalateError(f"{run.bad} of {run.count} requests of the benchmark {what!r} were not answered with 200.")
    return run


def rank(directory: Path, items: int, users: int, count: int, rate: float, obvious: bool, say: Say) -> Figures:
    """``POST /v1/rank`` with 100 candidates: the empty handler, the obvious one, and Palate, one after another."""
    bodies = [post("/v1/rank", _plain(one)) for one in world.requests(items, users, count, 100)]
    found: Figures = {}
    for place, (kind, prefix) in enumerate((("empty", "empty_"), ("obvious", "baseline_"), ("palate", ""))):
        say("rank", place, 3)
        if kind == "obvious" and not obvious:
            continue
        some = bodies if kind != "obvious" else bodies[: max(WARM, count // 5)]
        with server(kind, directory) as served:
            closed(served, bodies[:WARM], 1)
            run = _whole(closed(served, some, 1), f"rank, {kind}")
            found[f"{prefix}cpu_us"] = round(run.cpu_us, 1)
            found[f"{prefix}per_s"] = round(run.per_s, 1)
            if kind != "obvious":
                late = _whole(opened(served, bodies[: int(rate * 8)], rate), f"rank at {rate:g}/s, {kind}")
                found[f"{prefix}p50_ms"] = round(late.p50_ms, 3)
                found[f"{prefix}p99_ms"] = round(late.p99_ms, 3)
            if kind == "palate":
                found["memory_mb"] = round(served.memory() / 1e6, 1)
    found["rate_per_s"] = rate
    found["times_empty"] = round(found["cpu_us"] / found["empty_cpu_us"], 2)
    if obvious:
        found["times_less_than_baseline"] = round(found["baseline_cpu_us"] / found["cpu_us"], 2)
    say("rank", 3, 3)
    return found


def _plain(request: RankRequest) -> bytes:
    return _encode({"user": request.user, "items": request.items, "k": request.k})


def events(directory: Path, items: int, users: int, count: int, say: Say) -> Figures:
    """``POST /v1/events``: one event a request on 32 connections, then 100 a request; durable before each answer."""
    rng = np.random.default_rng(3)
    stamp = f"{time.time_ns():x}"

    def event(n: int) -> dict[str, Any]:
        user, item = int(rng.integers(0, users)), int(rng.integers(0, items))
        return {"event": "interaction", "id": f"{stamp}-{n}", "user": f"user-{user}", "item": f"item-{item}"}

    single = [post("/v1/events", _encode(event(n))) for n in range(count)]
    batches = [
        post("/v1/events", _encode([event(count + 100 * b + n) for n in range(100)])) for b in range(count // 50)
    ]
    ranked = [post("/v1/rank", _plain(one)) for one in world.requests(items, users, count // 4, 100)]
    mixed: list[bytes] = []
    for n, request in enumerate(ranked):
        mixed += [request] if n % 4 else [request, post("/v1/events", _encode(event(10 * count + n)))]
    with server("palate", directory) as served:
        closed(served, single[:100], 8)
        say("events", 1, 4)
        one = _whole(closed(served, single[100:], 32), "events")
        say("events", 2, 4)
        many = _whole(closed(served, batches, 8), "events in batches")
        say("events", 3, 4)
        both = _whole(closed(served, mixed, 8), "rankings and events")
    say("events", 4, 4)
    return {
        "fsync_per_s": round(commits(directory), 1),
        "durable_per_s": round(one.per_s, 1),
        "durable_cpu_us": round(one.cpu_us, 1),
        "durable_p99_ms": round(one.p99_ms, 3),
        "batch_per_s": round(many.per_s * 100, 1),
        "batch_cpu_us": round(many.cpu_us / 100, 2),
        "mixed_per_s": round(both.per_s, 1),
        "mixed_cpu_us": round(both.cpu_us, 1),
    }


def commits(directory: Path, seconds: float = 1.0) -> float:
    """Appends of 100 bytes with fdatasync that the disk of ``directory`` takes in a second."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        begun = time.perf_counter()
        done = 0
        while time.perf_counter() - begun < seconds:
            file.write(b"x" * 100)
            file.flush()
            os.fdatasync(file.fileno())
            done += 1
        return done / (time.perf_counter() - begun)


def recommend(directory: Path, items: int, users: int, count: int, say: Say) -> Figures:
    """``POST /v1/recommend`` for random people, and how much of the exact best hundred the vector scan finds."""
    import palate

    rng = np.random.default_rng(4)
    bodies = [post("/v1/recommend", _encode({"user": f"user-{rng.integers(0, users)}", "k": 10})) for _ in range(count)]
    with server("palate", directory) as served:
        closed(served, bodies[:30], 1)
        say("recommend", 1, 2)
        run = _whole(closed(served, bodies, 1), "recommend")
    with palate.open(directory) as engine:
        recall = _recall(engine, users)
    say("recommend", 2, 2)
    return {
        f"{_size(items)}_cpu_us": round(run.cpu_us, 1),
        f"{_size(items)}_p99_ms": round(run.p99_ms, 3),
        "recall_at_100": round(recall, 4),
    }


def _recall(engine: Any, users: int) -> float:
    """Of the exact hundred nearest items to each taste, the share that ``VectorIndex.search`` names; ties count."""
    side = engine.catalogue.side()
    allowed = np.ones(engine.state.n_items, np.bool_)
    rng = np.random.default_rng(5)
    shares: list[float] = []
    for _ in range(50):
        subject = engine.line.computer.subject(engine.state.users.get(f"user-{rng.integers(0, users)}"), side)
        if not len(subject.tastes):
            continue
        probe = subject.tastes[:1]
        exact = np.where(side.text_of >= 0, side.vectors[side.text_of] @ probe[0], -np.inf)[: len(allowed)]
        k = min(100, int(np.isfinite(exact).sum()))
        least = np.partition(exact, -k)[-k]
        found = engine.catalogue.vectors.search(probe, k, allowed)[0][0]
        shares.append(float(np.count_nonzero(exact[found] >= least - 1e-6)) / k)
    return float(np.mean(shares)) if shares else 1.0


def _size(items: int) -> str:
    return f"{items // 1_000_000}m" if items >= 1_000_000 else f"{items // 1000}k" if items >= 1000 else str(items)


def trees(directory: Path, items: int, users: int, say: Say) -> Figures:
    """The forest in service against one-thread ``Booster.predict``, on 100 real feature rows."""
    import palate

    booster = world.forest(directory)
    with palate.open(directory) as engine:
        scorer = engine.shelf.active().scorer
        x = world.sample(engine, items, users, 20)
    blocks = [np.ascontiguousarray(x[at : at + 100]) for at in range(0, len(x), 100)]
    mine = np.concatenate([scorer.score(block) for block in blocks])
    theirs = np.concatenate([np.asarray(booster.predict(block, num_threads=1)) for block in blocks])
    figures: Figures = {"max_abs_diff": float(np.abs(mine - theirs).max())}

    def predict(block: F32) -> Any:
        return booster.predict(block, num_threads=1)

    ways: list[tuple[str, Callable[[F32], Any]]] = [("palate_us", scorer.score), ("lightgbm_us", predict)]
    for name, score in ways:
        best = np.inf
        for _ in range(5):
            begun = time.perf_counter()
            for block in blocks:
                score(block)
            best = min(best, (time.perf_counter() - begun) / len(blocks))
        figures[name] = round(best * 1e6, 1)
    say("trees", 1, 1)
    return figures | {"times_faster": round(figures["lightgbm_us"] / figures["palate_us"], 2)}


def rebuild(directory: Path, say: Say) -> Figures:
    """The state from the log, and a start from the snapshot; of the newest one."""
    import palate

    with palate.open(directory) as engine:
        engine.snapshot()
        report = engine.rebuild()
    say("rebuild", 1, 2)
    begun = time.perf_counter()
    with palate.open(directory):
        started = time.perf_counter() - begun
    say("rebuild", 2, 2)
    return {
        "events": float(report["events"]),
        "events_per_s": round(report["events"] / report["seconds"], 1),
        "start_from_snapshot_s": round(started, 3),
    }
