"""Runs each system in a process of its own, and keeps what it left until something that it follows from changes."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from benchmarks.quality.environments import python_of
from benchmarks.quality.exchange import Exchange, PeerFailed, Told, run_told
from benchmarks.quality.found import Found
from benchmarks.quality.own import LABELS, judge
from benchmarks.quality.peer import Chosen, PeerSystem, Spec
from benchmarks.quality.variants import WHOLE, named
from palate.config import Settings
from palate.evaluate import SeenMode
from palate.evaluate.protocol import Plan, draw
from palate.evaluate.stream import EventStream, from_source

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "palate"
HERE = Path(__file__).parent
SIMPLE = ("random", "popular", "recent_popular", "item_knn", "ease", "content_knn")
"""Systems that rest on the evaluation alone, and not on the rest of Palate."""
_EVALUATION = ("baselines.py", "ease.py", "metrics.py", "protocol.py", "stream.py")
UNMEASURED = "not measured yet"
_APART = ("bench", "cli", "datasets", "evaluate", "ratings", "serve", "testing")
"""Parts of Palate that a ranking doesn't run; of data, the stream is hashed."""


@dataclass(frozen=True)
class Asked:
    """What is to be run. data: of Palate or a folder; test, seed: how many test events, and what draws them; seeds:
    with how many seeds what is trained at random is trained; trials: how many each peer has; late: how many events
    freshness is measured at; peer_seeds: with how many seeds peers are, 0 for as many."""

    data: str
    seen: tuple[SeenMode, ...]
    test: int | Literal["all"]
    seed: int
    seeds: int
    trials: int
    late: int = 1000
    peer_seeds: int = 0


class Runs:
    """Systems on one data set. ``dataset``: what ``datasets.load`` gave for ``asked.data``; fresh: whether what was
    kept is run again; until: a moment of ``time.monotonic`` after which nothing begins.

    With ``run=False`` a system is only read; where it isn't kept, ``failed`` is ``UNMEASURED``."""

    def __init__(
        self, asked: Asked, dataset: object, work: Path, told: Told, fresh: bool = False, until: float | None = None
    ) -> None:
        self.stream: EventStream = from_source(dataset, Settings())
        self.plan: Plan = draw(self.stream, asked.seen, asked.test, asked.seed)
        self._asked, self.told, self._fresh, self._until = asked, told, fresh, until
        self._work = work
        self._folder = work / "runs" / self.stream.name
        self._exchange: Exchange | None = None
        self._failed: dict[Path, Found] = {}
        self._done: set[Path] = set()

    def own(self, name: str, seed: int, variant: str = WHOLE, run: bool = True) -> Found:
        """One of ``palate evaluate``'s systems, Palate and its variants included. Never raises for what goes wrong in
        its process."""
        label = LABELS.get(name, name) if variant == WHOLE else named(variant).label
        title = name if variant == WHOLE else variant
        request = self._request(seed) | {"system": name, "variant": variant}
        chosen = named(variant)
        mark = self._mark(code_of(name), json.dumps([name, chosen.settings, chosen.trained, seed], default=dict))
        return self._apart("own", title, label, seed, request, mark, run)

    def freshness(self, run: bool = True) -> Found:
        """Palate while the last events are withheld, by ``freshness.AMOUNTS``, at the events of ``late_plan``."""
        late = self._asked.late
        mark = self._mark(code_of("palate"), (HERE / "freshness.py").read_text(encoding="utf-8"), str(late))
        request = self._request(1) | {"test": late}
        return self._apart("freshness", "freshness", "Palate", 1, request, mark, run)

    def cold_start(self, carried: str = "", run: bool = True) -> Found:
        """What each way of knowing new people and items is worth, in ``notes``. carried: the data from which a map from
        meaning to behaviour is carried, '' for none."""
        code = [file.read_text(encoding="utf-8") for file in (SOURCE / "evaluate" / "cold.py", HERE / "cold.py")]
        mark = self._mark(code_of("palate"), *code, Path(carried).name)
        request = self._request(1) | {"carried": carried}
        return self._apart("cold", "cold-start", "Palate", 1, request, mark, run)

    def late_plan(self) -> Plan:
        """The events at which ``freshness`` asks."""
        return draw(self.stream, self._asked.seen, self._asked.late, self._asked.seed)

    def _request(self, seed: int) -> dict[str, object]:
        asked = self._asked
        return {
            "data": asked.data, "seen": asked.seen, "test": asked.test, "seed": asked.seed, "train_seed": seed,
        }  # fmt: skip

    def _apart(
        self, module: str, title: str, label: str, seed: int, request: dict[str, object], mark: str, run: bool
    ) -> Found:
        """What ``benchmarks.quality.MODULE`` leaves in a process of its own, or left before."""

        def begin() -> Found:
            folder = self._folder / f"{title}-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
            command = [sys.executable, "-m", f"benchmarks.quality.{module}", str(folder)]
            run_told(command, folder, self.told, cwd=ROOT)
            return Found.read(folder / "found.npz")

        return self._kept(title, label, seed, mark, begin if run else None)

    def peer(self, spec: Spec, run: bool = True) -> list[Found]:
        """A peer with each seed; what it chose with the first one stands for all. Read again where nothing that it is
        made of has changed."""
        found: list[Found] = []
        mark = self._digest(spec)
        for seed in range(1, (self._asked.peer_seeds or self._asked.seeds) + 1):
            chosen = Chosen(**found[0].chosen) if found and found[0].chosen else None  # with the first seed
            begin = functools.partial(self._peer, spec, seed, chosen) if run else None
            found.append(self._kept(spec.name, spec.label, seed, mark, begin))
        return found

    def _kept(self, title: str, label: str, seed: int, mark: str, begin: Callable[[], Found] | None) -> Found:
        """What was kept under ``mark``, else what ``begin`` gives, which is kept from now on; a failure as long as this
        object is."""
        kept = self._work / "results" / f"{self.stream.name}-{title}-{seed}-{mark}.npz"
        late = self._until is not None and time.monotonic() > self._until
        if kept in self._failed:
            return self._failed[kept]
        if kept.exists() and (kept in self._done or not self._fresh or begin is None):
            return Found.read(kept)
        if begin is None or late:
            return Found(title, label, failed=UNMEASURED)
        try:
            found = begin()
        except PeerFailed as failure:
            self._failed[kept] = Found(title, label, failed=str(failure))
            return self._failed[kept]
        found.write(kept)
        self._done.add(kept)
        return found

    def _peer(self, spec: Spec, seed: int, chosen: Chosen | None) -> Found:
        self.told(f"{spec.name}: its environment", 0, 1)
        python = python_of(spec.folder / "requirements.txt", self._work / "environments")
        self.told(f"{spec.name}: its environment", 1, 1)
        if self._exchange is None:
            self._exchange = Exchange(self.stream, self._folder / "log", Settings())
        folder = self._folder / f"{spec.name}-{seed}"
        system = PeerSystem(spec, python, self._exchange, self.plan, folder, seed, self._asked.trials, chosen)
        try:
            found = judge(system, system.frozen(), self.stream, self.plan, self.told)
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
        return self._hashed(
            f"{spec.digest()} {self._asked.trials} {plan.train} {plan.test} {sys.version} {os.cpu_count()}"
        )

    def _mark(self, *parts: str) -> str:
        """Of ``parts`` and all that the data are: the same mark, the same ranks."""
        return self._hashed("\0".join([*parts, self._described, f"{self.plan.train} {self.plan.test} {sys.version}"]))

    def _hashed(self, text: str) -> str:
        plan = self.plan
        mark = hashlib.blake2b(digest_size=8)
        mark.update(text.encode())
        for part in (self.stream.users, self.stream.items, self.stream.times, self.stream.known_from, plan.positions):
            mark.update(np.ascontiguousarray(part).tobytes())
        for mode in sorted(plan.scored):
            mark.update(mode.encode() + plan.scored[mode].tobytes())
        return mark.hexdigest()

    @functools.cached_property
    def _described(self) -> str:
        """What items are said to be, as a digest."""
        return hashlib.blake2b(msgspec.json.encode(self.stream.fields), digest_size=8).hexdigest()


@functools.cache
def code_of(name: str) -> str:
    """Changes with the code that the system ``name`` runs."""
    if name in SIMPLE:
        files = [SOURCE / "evaluate" / part for part in _EVALUATION]
        files += [HERE / "content.py"] if name == "content_knn" else []
    else:
        files = [file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] not in _APART]
        own = ("systems.py",) if name == "palate" else ("systems.py", "sequence.py")
        files += [file for file in (SOURCE / "evaluate").glob("*.py") if file.name in (*_EVALUATION, *own)]
    mark = hashlib.blake2b(digest_size=8)
    for file in sorted(files):
        mark.update(file.name.encode() + b"\0" + file.read_bytes())
    return mark.hexdigest()
