"""R2: the power goes at any moment. ``durable`` loses nothing acknowledged, ``fast`` only what no sync had reached.

A real engine takes events, ranks, flushes decisions, writes snapshots and swaps models, while cuts are drawn
(``power``); each cut is then opened as the machine would find it, and the engine goes on from there.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import apsw
import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.opening import replay_state
from palate.state import snapshot
from palate.store.decisions import DecisionLog
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.archives import enlarge, unpack
from tests.faults.conftest import Record, Size
from tests.faults.models import put
from tests.faults.power import Image, Lost, Power, lay_out

LOST: tuple[Lost, ...] = ("all", "some", "some", "some", "nothing")


@dataclass
class Promises:
    """What was promised, in order. swaps: versions whose activation began; swapped: how many of these returned."""

    events: list[str] = field(default_factory=list[str])
    times: list[float] = field(default_factory=list[float])
    decisions: list[str] = field(default_factory=list[str])
    swaps: list[str] = field(default_factory=list[str])
    swapped: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> tuple[int, int, int]:
        return len(self.events), len(self.decisions), self.swapped


@dataclass
class Cut:
    """The disk after a power cut at ``when``, and what was promised before it (``Promises.now``)."""

    image: Image
    when: float
    promised: tuple[int, int, int]
    safe: int
    swaps: list[str]


class Life:
    """An engine from its opening to its end, cut at random moments, its opening and closing included."""

    def __init__(self, root: Path, durability: str, seed: int, text: int) -> None:
        self.path = root / "e.palate"
        self.durability = durability
        self.seed = seed
        self.text = text
        self.promises = Promises()
        self.power = Power(root, lambda: len(self.promises.events))
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.cuts: list[Cut] = []

    def run(self, cuts: int, pause: float) -> list[Cut]:
        """``cuts`` cuts, ``pause`` seconds apart on average."""
        with self.power:
            cutter = threading.Thread(target=self._guarded, args=(self._cut, cuts, pause))
            cutter.start()
            with palate.open(self.path, language=HASHING, durability=self.durability) as engine:
                jobs: list[Callable[[Engine, int], None]] = [
                    self._ingest,
                    self._ingest,
                    self._rank,
                    self._keep,
                    self._swap,
                ]
                threads = [
                    threading.Thread(target=self._guarded, args=(job, engine, number))
                    for number, job in enumerate(jobs)
                ]
                for thread in threads:
                    thread.start()
                self.over.wait(cuts * pause * 0.9)
                self.over.set()
                for thread in threads:
                    thread.join()
            cutter.join()
        assert self.failures == []
        return self.cuts

    def _guarded(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # told by the test's own thread
            self.failures.append(error)
            self.over.set()

    def _cut(self, cuts: int, pause: float) -> None:
        rng = np.random.default_rng((self.seed, 99))
        for number in range(cuts):
            time.sleep(float(rng.exponential(pause)))
            promised, began = self.promises.now(), max(0, self.promises.swapped - 1)
            image, safe = self.power.cut(rng, LOST[number % len(LOST)])
            self.cuts.append(Cut(image, time.monotonic(), promised, safe, self.promises.swaps[began:]))

    def _ingest(self, engine: Engine, number: int) -> None:
        rng = np.random.default_rng((self.seed, number))
        for batch in shop.batches(f"{self.seed}-{number}", rng, 20):
            if self.over.is_set():
                return
            for event in batch:
                if event["event"] == "interaction" and self.text:
                    event["text"] = "x" * int(rng.integers(self.text))
            assert engine.ingest(batch).accepted == len(batch)
            with self.promises.lock:
                self.promises.times += [time.monotonic()] * len(batch)
                self.promises.events += [event["id"] for event in batch]

    def _rank(self, engine: Engine, _: int) -> None:
        log = cast(DecisionLog, engine.parts.decisions.log)
        while not self.over.is_set():
            rankings = [engine.recommend(f"u{n}", 3).ranking for n in range(5)]
            log.flush()
            self.promises.decisions += rankings
            time.sleep(0.01)

    def _keep(self, engine: Engine, _: int) -> None:
        while not self.over.wait(0.05):
            engine.snapshot()

    def _swap(self, engine: Engine, number: int) -> None:
        rng = np.random.default_rng((self.seed, number))
        versions = [model.version for model in engine.models()]
        while versions and not self.over.wait(0.05):
            version = str(rng.choice(versions))
            self.promises.swaps.append(version)
            engine.activate(version)
            self.promises.swapped += 1


def examine(cut: Cut, life: Life, before: list[str], root: Path) -> float:
    """Open what a cut left; nothing promised may be missing. Seconds between the cut and the oldest event it lost."""
    events, decisions, swapped = cut.promised
    path = lay_out(cut.image, root) / "e.palate"
    owed = [*before, *life.promises.events[: events if life.durability == "durable" else cut.safe]]
    if not path.exists():
        assert not owed
        return 0.0
    with palate.open(path, language=HASHING, durability=life.durability) as engine:
        ids = [str(event.id) for event in engine.export()]
        assert len(ids) == len(set(ids)) == engine.state.seq
        missing = set(owed) - set(ids)
        assert not missing, f"{len(missing)} of {len(owed)} events are lost"
        replayed = replay_state(engine.parts.store, engine.settings, engine.state.seq)
        assert snapshot.digest(replayed) == snapshot.digest(engine.state)
        for ranking in life.promises.decisions[:decisions]:
            assert engine.parts.decisions.get(ranking).ranking == ranking
        if swapped:  # before the first had returned, the model of before is as good
            assert engine.model in cut.swaps
        assert "model_unusable" not in engine.recommend("u1", 3).degraded
        assert engine.ingest([{"event": "interaction", "id": "after", "user": "u1", "item": "tea-0"}]).accepted == 1
        found = set(ids)
    lost = [
        when for one, when in zip(life.promises.events[:events], life.promises.times, strict=False) if one not in found
    ]
    return cut.when - min(lost) if lost else 0.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with six models."""
    path = tmp_path_factory.mktemp("models") / "e.palate"
    with palate.open(path, language=HASHING) as engine:
        rng = np.random.default_rng(5)
        engine.ingest([*shop.catalogue(), *(shop.event(f"m{n}", n, rng, shop.NOW + n * 60_000) for n in range(400))])
    put(path, 6)
    return path


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose log has format 1, so that opening it brings it up to date."""
    path = tmp_path_factory.mktemp("earlier") / "e.palate"
    unpack("log-1-state-3-decisions-2", path)
    enlarge(path / "events.db", 2_000)
    shutil.rmtree(path / "models")  # of the features of then: it can't be activated any more
    return path


def prepared(root: Path, source: Path | None) -> list[str]:
    """Make a place for a life: empty, or with a directory that exists already; the ids that its log holds."""
    root.mkdir()
    if source is None:
        return []
    shutil.copytree(source, root / "e.palate")
    connection = apsw.Connection(str(source / "events.db"))
    ids = [str(one[0]) for one in connection.execute("SELECT id FROM event ORDER BY seq")]
    connection.close()
    return ids


@pytest.mark.parametrize("durability", ["durable", "fast"])
def test_a_power_cut_costs_no_more_than_promised(
    tmp_path: Path, models: Path, earlier: Path, size: Size, record: Record, durability: str
) -> None:
    worst, losing, cuts, promised, safe = 0.0, 0, 0, 0, 0
    lives, each = size(3, 15), size(4, 10)
    for life_number in range(lives):
        root = tmp_path / f"live-{life_number}"
        before = prepared(root, (None, models, earlier)[life_number % 3])
        life = Life(root, durability, life_number, size(0, 60_000) if life_number % 6 == 4 else 0)
        for number, cut in enumerate(life.run(each, 0.03 if life_number % 3 == 2 else 0.15)):
            left = tmp_path / f"cut-{life_number}-{number}"
            seconds = examine(cut, life, before, left)
            worst, losing = max(worst, seconds), losing + (seconds > 0)
            cuts, promised, safe = cuts + 1, promised + cut.promised[0], safe + cut.safe
            shutil.rmtree(left)
        shutil.rmtree(root)
    assert cuts == lives * each
    assert promised > cuts, "nothing was promised"
    assert safe > cuts, "nothing was synced"
    if durability == "durable":
        assert (worst, losing) == (0.0, 0)
        record("R2", durable_cuts=cuts, durable_lost=0)
    else:
        record("R2", fast_cuts=cuts, fast_cuts_that_lost_events=losing, fast_lost_s_max=round(worst, 2))
