"""Runs each system in a process of its own, and keeps what it left."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.quality.environments import python_of
from benchmarks.quality.exchange import Exchange, PeerFailed, Told, run_told
from benchmarks.quality.found import Found
from benchmarks.quality.own import judge
from benchmarks.quality.peer import Chosen, PeerSystem, Spec
from palate.config import Settings
from palate.evaluate import SeenMode
from palate.evaluate.protocol import Plan, draw
from palate.evaluate.report import SYSTEMS
from palate.evaluate.stream import EventStream, from_source

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Asked:
    """What is to be run. data: of Palate or a folder; test, seed: how many test events, and what draws them; seeds:
    with how many seeds what is trained at random is trained; trials: how many each peer has."""

    data: str
    seen: tuple[SeenMode, ...]
    test: int | Literal["all"]
    seed: int
    seeds: int
    trials: int


class Runs:
    """Systems on one data set. ``dataset``: what ``datasets.load`` gave for ``asked.data``."""

    def __init__(self, asked: Asked, dataset: object, work: Path, told: Told) -> None:
        self.stream: EventStream = from_source(dataset, Settings())
        self.plan: Plan = draw(self.stream, asked.seen, asked.test, asked.seed)
        self._asked, self._told = asked, told
        self._work = work
        self._folder = work / "runs" / self.stream.name
        self._exchange: Exchange | None = None

    def own(self, name: str, seed: int) -> Found:
        """One of ``palate evaluate``'s systems, Palate included. Never raises for what goes wrong in its process."""
        folder = self._folder / f"{name}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        left = folder / "found.npz"
        left.unlink(missing_ok=True)
        asked = self._asked
        request = {
            "data": asked.data, "system": name, "seen": asked.seen, "test": asked.test, "seed": asked.seed,
            "train_seed": seed,
        }  # fmt: skip
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        try:
            run_told([sys.executable, "-m", "benchmarks.quality.own", str(folder)], folder, self._told, cwd=ROOT)
        except PeerFailed as failure:
            return Found(name, SYSTEMS[name][0], failed=str(failure))
        return Found.read(left)

    def peer(self, spec: Spec, fresh: bool = False) -> list[Found]:
        """A peer with each seed; what it chose with the first one stands for all. Read again where nothing that it is
        made of has changed, unless ``fresh``."""
        found: list[Found] = []
        chosen: Chosen | None = None  # with the first seed
        for seed in range(1, self._asked.seeds + 1):
            kept = self._work / "results" / f"{self.stream.name}-{spec.name}-{seed}-{self._digest(spec)}.npz"
            if kept.exists() and not fresh:
                found.append(Found.read(kept))
                continue
            if found and found[0].chosen:
                chosen = Chosen(**found[0].chosen)
            try:
                one = self._peer(spec, seed, chosen)
                one.write(kept)
            except PeerFailed as failure:
                one = Found(spec.name, spec.label, failed=str(failure))
            found.append(one)
        return found

    def _peer(self, spec: Spec, seed: int, chosen: Chosen | None) -> Found:
        self._told(f"{spec.name}: its environment", 0, 1)
        python = python_of(spec.folder / "requirements.txt", self._work / "environments")
        self._told(f"{spec.name}: its environment", 1, 1)
        if self._exchange is None:
            self._exchange = Exchange(self.stream, self._folder / "log", Settings())
        folder = self._folder / f"{spec.name}-{seed}"
        system = PeerSystem(spec, python, self._exchange, self.plan, folder, seed, self._asked.trials, chosen)
        try:
            found = judge(system, system.frozen(), self.stream, self.plan, self._told)
        finally:
            system.close()
        found.label, found.peak_mb = spec.label, system.peak_mb
        found.start_seconds, found.test_seconds = system.start_seconds, system.test_seconds
        if system.chosen is not None:
            found.chosen = json.loads(json.dumps(asdict(system.chosen)))  # as it is when read again
        return found

    def _digest(self, spec: Spec) -> str:
        """Of all that a peer's ranks follow from, but for the machine."""
        plan = self.plan
        mark = hashlib.blake2b(digest_size=8)
        mark.update(
            f"{spec.digest()} {self._asked.trials} {plan.train} {plan.test} {sys.version} {os.cpu_count()}".encode()
        )
        for part in (self.stream.users, self.stream.items, self.stream.times, self.stream.known_from, plan.positions):
            mark.update(np.ascontiguousarray(part).tobytes())
        for mode in sorted(plan.scored):
            mark.update(mode.encode() + plan.scored[mode].tobytes())
        return mark.hexdigest()
