"""What it costs to take along and to erase one person: one line of JSON.

    python -m benchmarks.erasure [--events 100000] [--rankings 2000]

A made-up shop with one person in fifty events, one snapshot, and rankings in the decision log. Of one person:
``export_s``; ``unknown_ms``, until ``forget`` answers, from when on nobody of that name is known (``known`` says so);
``erased_s``, until nothing is left to erase, while rankings of somebody else go on, one every 5 ms (``meanwhile``,
beside ``alone``). Then ``named_in``: the files that hold the id (none is right), and ``replay_equal``: whether the
state is what a replay of the log gives. 1 where either is not so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import palate
from palate.engine import Engine
from palate.types import Event, Interaction, Item

ITEMS = 5_000
DAY = 86_400_000
VICTIM, OTHER = "user-7-x", "user-9-x"


def events(count: int, people: int, now: int) -> Iterator[Event]:
    """A catalogue, then clicks over the last sixty days, the first items more often."""
    rng = np.random.default_rng(1)
    for n in range(ITEMS):
        fields: dict[str, Any] = {"title": f"film number {n} of {n % 97}", "genres": [f"g{n % 20}"]}
        yield Item(id=f"i{n}", timestamp=now - 90 * DAY, item=f"f{n}", fields=fields)
    users, items = rng.integers(0, people, count).tolist(), (ITEMS * rng.random(count) ** 2).astype(int).tolist()
    for n, (user, item) in enumerate(zip(users, items, strict=True)):
        when = now - 60 * DAY + n * (50 * DAY // max(1, count))
        yield Interaction(id=f"e{n}", timestamp=when, user=f"user-{user}-x", item=f"f{item}", type="click")


def ranked(engine: Engine) -> float:
    """Milliseconds of one ranking of somebody else."""
    begun = time.perf_counter()
    engine.recommend(OTHER)
    return 1000 * (time.perf_counter() - begun)


def spread(times: list[float]) -> dict[str, float]:
    """Of milliseconds: the middle, the 99th percentile and the largest."""
    whole = {"p50_ms": np.quantile(times, 0.5), "p99_ms": np.quantile(times, 0.99), "max_ms": max(times)}
    return {"rankings": len(times), **{name: round(float(value), 2) for name, value in whole.items()}}


def holding(directory: Path, name: str) -> list[str]:
    """Files with ``name`` in them."""
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return [str(path.relative_to(directory)) for path in found if name.encode() in path.read_bytes()]


def measure(directory: Path, count: int, rankings: int) -> dict[str, Any]:
    """See the module."""
    people = max(10, count // 50)
    with palate.open(directory, language={"encoder": "hashing"}) as engine:
        begun = time.perf_counter()
        engine.ingest(events(count, people, int(time.time() * 1000)))
        engine.wait_encoded()
        filled = time.perf_counter() - begun
        engine.snapshot()
        engine.warm()
        for n in range(rankings):
            engine.recommend(f"user-{n % people}-x")
        mine = engine.user(VICTIM).interactions
        begun = time.perf_counter()
        rows = sum(1 for _ in engine.export(VICTIM))
        exported = time.perf_counter() - begun
        before = holding(directory, VICTIM)
        begun = time.perf_counter()
        engine.forget(VICTIM)
        unknown, known = time.perf_counter() - begun, engine.user(VICTIM).known
        meanwhile: list[float] = []
        while not engine.erasure.wait(0.005):
            meanwhile.append(ranked(engine))
        erased = time.perf_counter() - begun
        alone = [ranked(engine) for _ in range(500)]
        left = holding(directory, VICTIM)
        equal = engine.rebuild()["equal"]
    return {
        "events": count, "people": people, "theirs": mine, "filled_s": round(filled, 2), "export_rows": rows,
        "export_s": round(exported, 3), "named_before": len(before), "unknown_ms": round(1000 * unknown, 2),
        "known": known, "erased_s": round(erased, 2), "meanwhile": spread(meanwhile or [0.0]), "alone": spread(alone),
        "named_in": left, "replay_equal": equal,
    }  # fmt: skip


def main(argv: list[str]) -> int:
    """Prints one JSON object; 1 where something is left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.erasure")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rankings", type=int, default=2_000)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder) / "e.palate", given.events, given.rankings)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["replay_equal"] and not found["known"] and not found["named_in"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
