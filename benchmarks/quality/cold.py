"""The cold-start report of ``palate evaluate --cold-start``, in a process of its own.

argv[1]: a folder with ``request.json`` (data, train_seed), where ``found.npz`` is put; its notes are the report.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from benchmarks.quality.found import Found
from benchmarks.quality.variants import WHOLE, named
from palate import datasets


def main() -> None:
    """Make the report of one data set; leave ``found.npz``."""
    from palate.evaluate.cold import cold_start

    folder = Path(sys.argv[1])
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))

    def progress(stage: str, done: int, total: int) -> None:
        sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
        sys.stdout.flush()

    seed = asked["train_seed"]
    report = cold_start(datasets.load(asked["data"]), seed=seed, settings=named(WHOLE).made(seed), progress=progress)
    Found("cold-start", "Palate", notes=msgspec.to_builtins(report)).write(folder / "found.npz")


if __name__ == "__main__":
    main()
