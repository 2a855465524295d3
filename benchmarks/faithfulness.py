"""Whether the reasons of a trained model are what moves its rankings, on data sets: one line of JSON each.

    python -m benchmarks.faithfulness FOLDER… [--decisions 2000] [--encoder hashing] [--items 2000]

FOLDER is a folder of events, or the name of a data set of Palate's. The model is trained on all of it, and asked about
the decisions that its training replayed. Of each the item that it puts first loses its top reason (the features of the
group with the largest contribution are set to other candidates'), and, for comparison, another group in its favour,
drawn by chance. ``difference`` is by how much further the score moves without the top reason, with its 95 % interval,
bootstrap over people; ``top_places`` and ``other_places`` how far the item falls.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

import palate
from palate import datasets
from palate.explaining.faithfulness import faithfulness
from palate.explaining.rows import decisions_of, read_cases
from palate.train.replay import feature_key


def measure(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Train on one data set, and judge the reasons."""
    started = time.perf_counter()
    data = datasets.load(name)
    settings: dict[str, Any] = {
        "language": {"encoder": given.encoder},
        "train": {"decisions": given.decisions},
        "decisions": {"sample": 1.0},
        "durability": "fast",
    }
    with tempfile.TemporaryDirectory() as folder, palate.open(Path(folder) / "e.palate", **settings) as engine:
        for chunk in data.stream():
            engine.ingest(chunk)
        engine.wait_encoded()
        report = engine.train()
        model = engine._model
        key = feature_key(engine.line.off.names)
        sources = decisions_of(None, Path(folder) / "e.palate")
        cases = [
            case
            for _, decisions in sources
            for case in read_cases(decisions, key, model, engine.parts.store, engine.settings)
        ]
        found = faithfulness(model, cases, most=given.items)
    told = {"data": data.name, "kind": report.kind, "decisions": len(cases)}
    result = {} if found is None else msgspec.to_builtins(found)
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}
    return {**told, **rounded, "seconds": round(time.perf_counter() - started, 1)}


def main(argv: list[str]) -> int:
    """Prints one JSON object a data set; 1 where a top reason does not move items further."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faithfulness")
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--decisions", type=int, default=2_000)
    parser.add_argument("--encoder", default="hashing")
    parser.add_argument("--items", type=int, default=2_000)
    given = parser.parse_args(argv)
    failed = 0
    for name in given.folders:
        result = measure(name, given)
        failed += not result.get("low", -1.0) > 0
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
