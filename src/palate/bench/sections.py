"""Sections that need no load: the state from the log, a start from a snapshot, training."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from palate.bench.common import Figures, Say, middle
from palate.bench.load import server
from palate.config import Tier
from palate.errors import PalateError


def rebuild(directory: Path, say: Say) -> Figures:
    """The state from the whole log."""
    import palate

    say("rebuild", 0, 1)
    with palate.open(directory) as engine:
        cpu = time.process_time()
        report = engine.rebuild(lambda _, done, total: say("rebuild", min(done, total - 1), total))
        cpu, total = time.process_time() - cpu, engine.state.seq
    say("rebuild", total, total)
    per_s = report["events"] / report["seconds"]
    return {
        "events": report["events"],
        "events_per_s": round(per_s, 1),
        "million_s": round(1e6 / per_s, 2),
        "cpu_us": round(cpu / report["events"] * 1e6, 2),
    }


def start(directory: Path, tries: int, say: Say) -> Figures:
    """A start from the newest snapshot in a process of its own, the middle of some ``tries``: until the engine is open,
    and from nothing until the service answers, kernels loaded and warm."""
    import palate

    with palate.open(directory) as engine:
        engine.snapshot()
    opened: list[float] = []
    ready: list[float] = []
    for _ in range(tries):
        say("start", 2 * len(ready), 2 * tries)
        command = [sys.executable, "-m", "palate.bench.serving", "open", str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PalateError(f"The directory of the benchmark didn't open: {done.stderr.strip().splitlines()[-1]}")
        opened.append(float(done.stdout))
        say("start", 2 * len(ready) + 1, 2 * tries)
        begun = time.perf_counter()
        with server("palate", directory):
            ready.append(time.perf_counter() - begun)
    say("start", 2 * tries, 2 * tries)
    return {"snapshot_s": round(middle(opened), 3), "ready_s": round(middle(ready), 3)}


def train(directory: Path, say: Say) -> Figures:
    """Training on the whole log, first the cheap tier, then the full one (``full_…``). The texts (``encode_s``: read,
    encoded where the world hasn't, and placed) are counted apart. No model is put into service."""
    import palate

    found: Figures = {}
    with palate.open(directory) as engine:
        events = engine.state.events
        tiers: tuple[tuple[str, Tier], ...] = (("", "cheap"), ("full_", "full"))
        for number, (name, tier) in enumerate(tiers):
            begun, cpu = time.perf_counter(), time.process_time()
            report = engine.train(partial(_share, say, number), False, tier)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            texts = report.seconds["encode"]
            found |= {
                f"{name}seconds": round(seconds - texts, 1),
                f"{name}cpu_s": round(cpu, 1),
                f"{name}encode_s": round(texts, 3),
                f"{name}decisions": report.decisions,
                f"{name}million_s": round((seconds - texts) * 1e6 / events, 1),
            }
    say("train", 2, 2)
    return found | {"events": events}


def _share(say: Say, number: int, stage: str, done: int, total: int) -> None:
    """How far both tiers are, by the parts of the one under way."""
    say("train", number, 2)
