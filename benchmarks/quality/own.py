"""Run by ``benchmarks.quality`` in a process of its own, so that its memory can be measured: one of the systems that
``palate evaluate`` has, as it learns and frozen at the split.

argv[1]: a folder with ``request.json`` (data, system, variant, seen, test, seed, train_seed), where ``found.npz`` is
put.
Progress goes to stdout, a line of JSON each.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.quality.content import CONTENT, ContentKnn
from benchmarks.quality.found import Found
from benchmarks.quality.variants import WHOLE, named
from palate import datasets
from palate.config import Settings, TrainSettings
from palate.evaluate import Progress, Query, System
from palate.evaluate.baselines import Tuned
from palate.evaluate.protocol import Plan, draw, walk
from palate.evaluate.report import SYSTEMS
from palate.evaluate.stream import EventStream, Histories, from_source
from palate.evaluate.systems import PalateSystem, make_systems
from palate.types import F32, F64

K = 10
LABELS = {name: english for name, (english, _) in SYSTEMS.items()} | {
    CONTENT: "Content-kNN",
    "sasrec": "SASRec, ours",
}


class Frozen:
    """A started system that learns nothing more: asked at any moment, it ranks from the events before ``stop``.

    What a person had before is taken out of the ranking all the same, as of the moment: that is not the model's.
    """

    def __init__(self, system: System, stop: int) -> None:
        self.name = f"{system.name}, frozen"
        self._system, self._stop = system, stop

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """Nothing: it has started."""

    def feed(self, stop: int) -> None:
        """Nothing: it learns no more."""

    def score(self, query: Query) -> F32 | F64:
        return self._system.score(replace(query, position=min(query.position, self._stop)))

    def notes(self) -> dict[str, Any]:
        return self._system.notes()

    def close(self) -> None:
        """Nothing: who started the system closes it."""


def judge(system: System, frozen: System | None, stream: EventStream, plan: Plan, progress: Progress) -> Found:
    """Start ``system``; rank the plan by ``frozen``, which must not learn, if any, then by the system itself."""
    histories = Histories(stream)
    found = Found(system.name, LABELS.get(system.name, system.name))
    began = time.perf_counter()
    system.start(stream, plan.train, plan.test, progress)
    found.start_seconds = time.perf_counter() - began
    if frozen is not None:
        found.frozen, _ = walk(frozen, stream, plan, histories, K, progress)
    began = time.perf_counter()
    found.ranks, _ = walk(system, stream, plan, histories, K, progress)
    found.test_seconds = time.perf_counter() - began
    found.notes = system.notes()
    return found


def make(name: str, variant: str, seed: int) -> System:
    """The system ``name``; of Palate, a variant."""
    if name == "palate":
        chosen = named(variant)
        return PalateSystem(chosen.made(seed), trained=chosen.trained)
    if name == CONTENT:
        return Tuned(ContentKnn(), seed)
    settings = Settings(train=TrainSettings(seed=seed))
    (system,) = make_systems([name], settings, seed)
    return system


def main() -> None:
    """Judge one system; leave ``found.npz``."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))

    def progress(stage: str, done: int, total: int) -> None:
        sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        sys.stdout.flush()

    stream = from_source(datasets.load(asked["data"]), Settings())
    plan = draw(stream, asked["seen"], asked["test"], asked["seed"])
    variant = asked["variant"]
    system = make(asked["system"], variant, asked["train_seed"])
    try:
        found = judge(system, Frozen(system, plan.test) if variant == WHOLE else None, stream, plan, progress)
    finally:
        system.close()
    if variant != WHOLE:
        found.name, found.label = variant, named(variant).label
    found.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found.write(folder / "found.npz")


if __name__ == "__main__":
    main()
