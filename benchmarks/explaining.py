"""What an explanation costs, by the size of the forest, and whether reasons are what moves items: lines of JSON.

    python -m benchmarks.explaining [--trees 36 300] [--leaves 31] [--items 5000] [--people 1000] [--rankings 60]
    python -m benchmarks.explaining --faithful movies [--beside FOLDER…]

Costs are of a made-up world (``palate.bench.world``) in one process: recommendations of ten among some 400 candidates,
the fourth item of each explained. Milliseconds of the wall clock, middle and 95th percentile, and of the processor, the
middle (where neighbours are busy, the truer one): ``row``, the contributions of one row by the scorer alone; ``plain``,
a whole explanation with sources; ``counterfactuals``, with up to seven rankings; ``lime``. Goals: plain ≤ 4,
counterfactuals ≤ 20.

``--faithful``: of data sets, named or in folders, the share of items (``won``) that the top reason moves further than
another reason in their favour, as ``benchmarks.faithfulness`` measures it. 1 where the difference isn't beyond doubt.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import palate
from benchmarks import faithfulness
from palate.bench import world
from palate.engine import Engine
from palate.types import Ranking

GOALS = {"plain": 4.0, "counterfactuals": 20.0}
_WARM = 5


def quiet(_: str, __: int, ___: int) -> None:
    """Nobody watches."""


def milliseconds(run: Callable[[int], object], count: int) -> dict[str, float]:
    """Middle and 95th percentile of ``run(n)`` for n < count, and the middle of its processor time, without the first
    few."""
    times: list[tuple[float, float]] = []
    for n in range(count):
        begun, cpu = time.perf_counter(), time.thread_time()
        run(n)
        times.append((1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - cpu)))
    wall, spent = zip(*times[min(_WARM, count - 1) :], strict=True)
    p95 = float(np.quantile(wall, 0.95))
    return {"p50": round(statistics.median(wall), 3), "p95": round(p95, 3), "cpu": round(statistics.median(spent), 3)}


def costs(engine: Engine, rankings: Sequence[Ranking]) -> dict[str, dict[str, float]]:
    """Of explaining the fourth item of each."""
    named = [(one.ranking, one.items[3].id) for one in rankings]
    rows = [engine.parts.decisions.get(one.ranking).shown.matrix()[3:4] for one in rankings]
    scorer = engine._model.scorer

    def explain(**options: bool) -> Callable[[int], object]:
        return lambda n: engine.explain(*named[n], **options)

    for one in (explain(), explain(counterfactuals=True), explain(local=True)):
        one(0)
    return {
        "row": milliseconds(lambda n: scorer.contributions(rows[n]), len(rows)),
        "plain": milliseconds(explain(), len(named)),
        "counterfactuals": milliseconds(explain(counterfactuals=True), len(named)),
        "lime": milliseconds(explain(local=True), len(named)),
    }


def measure(given: argparse.Namespace) -> list[dict[str, Any]]:
    """One line of figures for each number of trees."""
    out: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "e.palate"
        world.build(directory, given.items, given.people, given.trees[0], given.leaves, quiet)
        with palate.open(directory, policy={"explore": False}) as engine:
            for trees in given.trees:
                world.install(engine, directory, given.items, given.people, trees, given.leaves)
                people = np.random.default_rng(1).permutation(given.people)[: given.rankings].tolist()
                rankings = [engine.recommend(f"user-{person}", 10) for person in people]
                found = costs(engine, rankings)
                counted = [stage.counts for stage in rankings[0].stages if stage.name == "score"]
                out.append(
                    {
                        "trees": trees,
                        "leaves": engine._model.scorer.forest.leaves(),  # type: ignore[attr-defined]
                        "rankings": len(rankings),
                        "candidates": sum(counted[0].values()) if counted else None,
                        "ms": found,
                        "met": {name: found[name]["p50"] <= limit for name, limit in GOALS.items()},
                    }
                )
    return out


def main(argv: list[str]) -> int:
    """Prints one JSON object a forest or data set; 1 where reasons don't move items further than others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explaining")
    parser.add_argument("--trees", type=int, nargs="+", default=[36, 300])
    parser.add_argument("--leaves", type=int, default=31)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--rankings", type=int, default=60)
    parser.add_argument("--faithful", nargs="*", default=None, metavar="NAME", help="Data sets of Palate's.")
    parser.add_argument("--beside", nargs="+", default=[], metavar="FOLDER", help="Folders of events.")
    given = parser.parse_args(argv)
    if given.faithful is not None or given.beside:
        return faithfulness.main([*(given.faithful or []), *given.beside])
    for line in measure(given):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
