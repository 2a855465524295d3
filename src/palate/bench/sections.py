"""Sections that need no load: the state from the log, a start from a snapshot, training."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from palate.bench.common import Figures, Say, middle
from palate.bench.load import server
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
    """Training on the whole log, encoding apart (it is done when the world is). The model isn't put into service."""
    import palate

    with palate.open(directory) as engine:
        begun, cpu = time.perf_counter(), time.process_time()
        report = engine.train(lambda _, done, total: say("train", min(done, max(1, total) - 1), max(1, total)), False)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        events = engine.state.events
    say("train", 1, 1)
    return {
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu, 1),
        "decisions": report.decisions,
        "events": events,
        "million_s": round(seconds * 1e6 / events, 1),
    }
