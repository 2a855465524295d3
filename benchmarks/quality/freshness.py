"""Quality against what is withheld: the same trained model, asked while the last n events haven't arrived yet.

Run by ``benchmarks.quality`` in a process of its own: argv[1] is a folder with ``request.json`` (data, seen, test,
seed, train_seed), where ``found.npz`` is put. Palate is trained once, on what lies before the test window, in a
directory; each amount is asked of replicas opened on copies of it, that are told of every event at its time or late.

- ``log``: of everybody, the last n events before the moment are withheld, as if the log were read late.
- ``own``: only the last n events of the person that is asked for. People are dealt into ``GROUPS`` groups, and a
  replica withholds from one group, so that of what the others did at most that share is late for a while.

Withheld is never more than what came since training: a model that knew the events would not be asked without them.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.found import Found
from benchmarks.quality.variants import WHOLE, named
from palate import datasets
from palate.config import Settings
from palate.errors import PalateError
from palate.evaluate import Progress
from palate.evaluate.metrics import rank_and_top
from palate.evaluate.protocol import Plan, draw, query_at, removed
from palate.evaluate.stream import EventStream, Histories, from_source
from palate.evaluate.systems import PalateSystem
from palate.types import F64, I64, Event

AMOUNTS = (0, 1, 2, 5, 10, 20, 50, 100, -1)
"""Events withheld; −1: all since training."""
KINDS = ("log", "own")
GROUPS = 4
NEVER = np.inf


class Replica(PalateSystem):
    """An engine on a directory that was trained before, and is told of events in any order that keeps each person's."""

    def follow(self, stream: EventStream, stop: int) -> None:
        """Open the directory; it knows the events before ``stop``."""
        import palate as imported

        module: Any = imported
        self._notes = {}
        self._stream = stream
        self._codes = {name: code for code, name in enumerate(stream.item_ids)}
        self._at = stop
        self._side = sum(1 for position, _ in stream.side if position <= stop)
        self._engine = module.open(self._directory, settings=self._settings)

    def tell(self, positions: list[int], now: int) -> None:
        """Ingest these interactions, and what the catalogue and people's fields say up to position ``now``."""
        batch: list[Event] = []
        self._place(batch, now)
        batch += [self._stream.interaction(position) for position in positions]
        if batch and (result := self._engine.ingest(batch)).rejected:
            raise PalateError(f"Palate rejected an event of the evaluation: {result.rejected[0].error}")


def log_keys(stop: int, n: int, amount: int) -> F64:
    """(n − stop,) when each event of the test window is told: before whatever is asked at a later position."""
    if amount < 0:
        return np.full(n - stop, NEVER)
    return np.arange(stop, n, dtype=np.float64) + amount


def own_keys(stream: EventStream, histories: Histories, stop: int, amount: int, asked: I64) -> F64:
    """The same where of each person only the last ``amount`` events before each of the positions ``asked`` are late."""
    keys = np.arange(stop, len(stream), dtype=np.float64)
    for position in asked.tolist():  # ascending: the last that withholds an event decides
        own = histories.positions(int(stream.users[position]), position)
        own = own[own >= stop]
        late = own if amount < 0 else own[len(own) - min(amount, len(own)) :]
        keys[late - stop] = position
    return keys


def walk(
    replica: Replica,
    stream: EventStream,
    plan: Plan,
    chosen: I64,
    keys: F64,
    histories: Histories,
    ranks: dict[str, F64],
) -> None:
    """Ask at the events numbered ``chosen`` of the plan, told by ``keys``; put mid-ranks into ``ranks``."""
    order = np.argsort(keys, kind="stable")
    due = keys[order]
    at = 0
    for index in chosen.tolist():
        position = int(plan.positions[index])
        until = int(np.searchsorted(due, position, side="left"))
        replica.tell((order[at:until] + plan.test).tolist(), position)
        at = until
        for mode, main in plan.main.items():
            if not main[index]:
                continue
            query = query_at(stream, position, "drop" if mode == "drop" else "keep")
            gone = removed(stream, histories, query)
            ranks[mode][index] = rank_and_top(replica.score(query), gone, int(stream.items[position]), 1)[0]


def parts(stream: EventStream, histories: Histories, plan: Plan, kind: str, amount: int) -> Iterator[tuple[I64, F64]]:
    """Numbers of the plan's events that one replica is asked, and its keys."""
    asked = np.flatnonzero(np.logical_or.reduce(list(plan.main.values())))
    stop, n = plan.test, len(stream)
    if kind == "log" or amount == 0:
        yield asked, log_keys(stop, n, amount)
        return
    group = stream.users[plan.positions[asked]] % GROUPS
    for one in range(GROUPS):
        own = asked[group == one]
        if len(own):
            yield own, own_keys(stream, histories, stop, amount, plan.positions[own])


def measure(stream: EventStream, plan: Plan, settings: Settings, folder: Path, progress: Progress) -> Found:
    """Ranks by ``KIND AMOUNT MODE``, e.g. ``own 5 drop``, of the plan's sample."""
    histories = Histories(stream)
    whole = folder / "trained.palate"
    shutil.rmtree(whole, ignore_errors=True)
    first = PalateSystem(settings, whole)
    first.start(stream, plan.train, plan.test, progress)
    first.close()
    found = Found("freshness", "Palate", notes=first.notes())
    steps = [(kind, amount) for amount in AMOUNTS for kind in KINDS if amount or kind == "log"]
    for done, (kind, amount) in enumerate(steps):
        progress("freshness", done, len(steps))
        ranks = {mode: np.full(len(plan.positions), np.nan) for mode in plan.main}
        for chosen, keys in parts(stream, histories, plan, kind, amount):
            copy = folder / "replica.palate"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole, copy)
            replica = Replica(settings, copy)
            replica.follow(stream, plan.test)
            try:
                walk(replica, stream, plan, chosen, keys, histories, ranks)
            finally:
                replica.close()
        for name in KINDS if not amount else (kind,):
            found.ranks |= {f"{name} {amount} {mode}": values for mode, values in ranks.items()}
    shutil.rmtree(folder / "replica.palate", ignore_errors=True)
    shutil.rmtree(whole)
    return found


def main() -> None:
    """Measure one data set; leave ``found.npz``."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))

    def progress(stage: str, done: int, total: int) -> None:
        sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        sys.stdout.flush()

    stream = from_source(datasets.load(asked["data"]), Settings())
    plan = draw(stream, asked["seen"], asked["test"], asked["seed"])
    measure(stream, plan, named(WHOLE).made(asked["train_seed"]), folder, progress).write(folder / "found.npz")


if __name__ == "__main__":
    main()
