"""Palate's rating predictor beside Surprise's, on the same folds of 100,000 ratings of films.

    python -m venv peers && peers/bin/pip install scikit-surprise==1.1.5
    python -m benchmarks.ratings --surprise peers/bin/python

Prints a table in Markdown. Five folds by seed; Surprise with its own settings, KNNBaseline with the similarity that its
authors name as the best. Cost: about five minutes, nearly all of it SVD++.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from palate import datasets
from palate.evaluate.ratings import folds_of, judge_ratings, ratings_of

FOLDS, SEED = 5, 1
PEER = Path(__file__).parent / "peers" / "surprise_ratings.py"


def main() -> None:
    """Run both; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="movies", help="a data set of Palate's with ratings")
    parser.add_argument("--surprise", type=Path, required=True, help="a Python that has Surprise")
    asked = parser.parse_args()
    dataset = datasets.load(asked.data, None, lambda *_: None)
    users, items, ratings = ratings_of(dataset.events)
    fold = np.empty(len(ratings), np.int64)
    for number, part in enumerate(folds_of(len(ratings), FOLDS, SEED)):
        fold[part] = number
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "folds.npz"
        np.savez(file, users=users, items=items, ratings=ratings, fold=fold)
        run = [str(asked.surprise), str(PEER), str(file)]
        peers = json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout)
    result = judge_ratings(dataset.events, dataset.name, FOLDS, SEED)
    rows = [(name, one["rmse"], one["mae"], one["seconds"]) for name, one in peers.items()]
    rows += [(f"Palate: {one.system}", one.rmse.value, one.mae.value, one.seconds) for one in result.systems]
    lines = ["| system | RMSE | MAE | seconds a fold |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {rmse:.4f} | {mae:.4f} | {seconds:.1f} |" for name, rmse, mae, seconds in rows]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
