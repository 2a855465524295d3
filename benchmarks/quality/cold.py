"""The cold-start report of ``palate evaluate --cold-start``, in a process of its own.

argv[1]: a folder with ``request.json`` (data, train_seed, carried), where ``found.npz`` is put; its notes are the
report. carried: the data from which a map from meaning to behaviour is carried, '' for none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.quality.found import Found
from benchmarks.quality.variants import WHOLE, named
from palate import datasets
from palate.evaluate import Progress
from palate.language.transfer import Map


def learnt(name: str, settings: Any, progress: Progress) -> Map:
    """The map of the data ``name``, as ``palate models carry`` learns it."""
    import palate
    from palate.train.transfer import fit_map

    with palate.open(":memory:", settings=settings) as engine:
        for done, chunk in enumerate(datasets.load(name).stream()):
            engine.ingest(chunk)
            progress(f"map of {Path(name).name}", done, done + 1)
        engine.wait_encoded()
        return fit_map(engine.state, engine.catalogue)


def main() -> None:
    """Make the report of one data set; leave ``found.npz``."""
    from palate.evaluate.cold import cold_start

    folder = Path(sys.argv[1])
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))

    def progress(stage: str, done: int, total: int) -> None:
        sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        sys.stdout.flush()

    seed = asked["train_seed"]
    settings = named(WHOLE).made(seed)
    carried = learnt(asked["carried"], settings, progress) if asked["carried"] else None
    data = datasets.load(asked["data"])
    report = cold_start(data, seed=seed, settings=settings, progress=progress, carried=carried)
    Found("cold-start", "Palate", notes=msgspec.to_builtins(report)).write(folder / "found.npz")


if __name__ == "__main__":
    main()
