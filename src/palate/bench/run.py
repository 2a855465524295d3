"""One run: the sections that are wanted, over worlds that are built as they are needed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from palate.bench.common import Figures, Plan, Say
from palate.bench.goals import judged
from palate.bench.growth import scale
from palate.bench.memory import memory
from palate.bench.posting import events, mixed
from palate.bench.ranking import rank
from palate.bench.retrieval import recommend
from palate.bench.sections import rebuild, start, train
from palate.bench.trees import trees
from palate.bench.workers import workers
from palate.bench.worlds import Worlds

SECTIONS = (
    *("rank", "mixed", "events", "workers", "recommend", "trees", "memory", "rebuild", "start", "train", "scale"),
)


def run(plan: Plan, wanted: Collection[str], worlds: Worlds, obvious: bool, say: Say) -> Figures:
    """The figures of the ``wanted`` sections by section, what they were taken on, and the goals that they speak of.

    obvious: whether the obvious implementation can be compared with. Cost: up to half an hour, see ``Plan``.
    """
    found: Figures = {"machine": machine(), "items": plan.base.items, "users": plan.base.users}
    of_base: dict[str, Callable[[Path], Figures]] = {
        "rank": lambda directory: rank(directory, plan, obvious, say),
        "mixed": lambda directory: mixed(directory, plan, say),
        "events": lambda directory: events(directory, plan, say),
        "workers": lambda directory: workers(directory, plan, say),
        "trees": lambda directory: trees(directory, plan.base.items, plan.base.users, say),
        "memory": lambda directory: memory(directory, plan.busy, say),
        "rebuild": lambda directory: rebuild(directory, say),
        "start": lambda directory: start(directory, plan.rounds, say),
        "train": lambda directory: train(directory, say),
    }
    if any(name in wanted for name in of_base):
        with worlds.use(plan.base, say) as directory:
            found |= {name: measure(directory) for name, measure in of_base.items() if name in wanted}
    of_worlds = {"recommend": partial(recommend, worlds, plan, say), "scale": partial(scale, worlds, plan, say)}
    found |= {name: measure() for name, measure in of_worlds.items() if name in wanted}
    return found | {"goals": judged(found)}


def machine() -> Figures:
    """What the figures were taken on; load: processes that wanted a core in the minute before."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
