"""``POST /v1/recommend`` from catalogues of several sizes, and how exact the search for near vectors is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from palate.bench.common import Bar, Figures, Plan, Say, encode, whole
from palate.bench.load import closed, cores, post, server
from palate.bench.world import short
from palate.bench.worlds import Size, Worlds

_TASTES = 50
_WARM = 30


def recommend(worlds: Worlds, plan: Plan, say: Say) -> Figures:
    """CPU and latency by the number of items, the least recall of all, and the memory that an item takes.

    rss_item_bytes: by how much more the server of the largest catalogue holds than that of the one before it.
    """
    found: Figures = {}
    recalls: list[float] = []
    memory: list[tuple[int, int]] = []
    for items in plan.catalogues:
        size = plan.base._replace(items=items)
        with worlds.use(size, say) as directory:
            memory.append((items, _measure(directory, size, plan.recommends, say, found)))
            recalls.append(_recall_of(directory, size.users))
    found["recall_at_100"] = round(min(recalls), 4)
    (few, less), (many, more) = memory[-2:]
    found["rss_item_bytes"] = round((more - less) / (many - few))
    return found


def _measure(directory: Path, size: Size, count: int, say: Say, found: Figures) -> int:
    """One catalogue's figures into ``found``; returns the resident bytes of its server."""
    rng = np.random.default_rng(4)
    users = rng.integers(0, size.users, count + _WARM).tolist()
    bodies = [post("/v1/recommend", encode({"user": f"user-{user}", "k": 10})) for user in users]
    name = short(size.items)
    bar = Bar(say, f"recommend {name}", count)
    with server("palate", directory, cores()[0]) as served:
        closed(served, bodies[:_WARM], 1)
        run = whole(closed(served, bodies[_WARM:], 1, bar.tick), f"recommend of {name}")
        memory = served.memory()
    bar.end()
    found[f"{name}_cpu_us"] = round(run.cpu_us, 1)
    found[f"{name}_p50_ms"] = round(run.ms(0.5), 3)
    found[f"{name}_p99_ms"] = round(run.ms(0.99), 3)
    found[f"{name}_rss_mb"] = round(memory / 1e6, 1)
    return memory


def _recall_of(directory: Path, users: int) -> float:
    import palate

    with palate.open(directory) as engine:
        return recall(engine, users)


def recall(engine: Any, users: int) -> float:
    """Of the exact hundred nearest items to each taste, the share that ``VectorIndex.search`` names; ties count."""
    side = engine.catalogue.side()
    allowed = np.ones(engine.state.n_items, np.bool_)
    rng = np.random.default_rng(5)
    shares: list[float] = []
    for _ in range(_TASTES):
        subject = engine.line.computer.subject(engine.state.users.get(f"user-{rng.integers(0, users)}"), side)
        if not len(subject.tastes):
            continue
        probe = subject.tastes[:1]
        texts = side.vectors @ probe[0]
        exact = np.where(side.text_of >= 0, texts[side.text_of], -np.inf)[: len(allowed)]
        k = min(100, int(np.isfinite(exact).sum()))
        least = np.partition(exact, -k)[-k]
        found = engine.catalogue.vectors.search(probe, k, allowed)[0][0]
        shares.append(float(np.count_nonzero(exact[found] >= least - 1e-6)) / k)
    return float(np.mean(shares)) if shares else 1.0
