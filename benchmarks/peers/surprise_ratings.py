"""Run by ``benchmarks.ratings`` with a Python that has Surprise: its predictors on given folds, as JSON on stdout.

argv[1]: an .npz with users, items, ratings (n,) and fold (n,), the number of the fold that holds each back.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from surprise import SVD, BaselineOnly, Dataset, KNNBaseline, Reader, SVDpp  # pyright: ignore


class Frame:
    """As much of a data frame as Surprise asks of one."""

    def __init__(self, rows: list[tuple[int, int, float]]) -> None:
        self.columns = ["user", "item", "rating"]
        self.rows = rows

    def itertuples(self, index: bool = True) -> Any:
        del index
        return iter(self.rows)


def main() -> None:
    """Print a line of JSON: by system, root mean squared error, mean absolute error and seconds a fold."""
    data = np.load(sys.argv[1])
    users, items, ratings, fold = (data[name] for name in ("users", "items", "ratings", "fold"))
    reader = Reader(rating_scale=(float(ratings.min()), float(ratings.max())))
    quiet = {"verbose": False}
    similar = {"name": "pearson_baseline"}
    systems = {
        "Surprise BaselineOnly": lambda: BaselineOnly(**quiet),
        "Surprise KNNBaseline": lambda: KNNBaseline(sim_options=similar, **quiet),
        "Surprise SVD": lambda: SVD(random_state=1),
        "Surprise SVD++": lambda: SVDpp(random_state=1, cache_ratings=True),
    }
    found: dict[str, dict[str, float]] = {}
    for name, make in systems.items():
        errors, seconds = np.empty(len(ratings)), 0.0
        for number in np.unique(fold):
            train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            rows = [(int(users[n]), int(items[n]), float(ratings[n])) for n in train]
            begun = time.perf_counter()
            model = make()
            model.fit(Dataset.load_from_df(Frame(rows), reader).build_full_trainset())
            seconds += time.perf_counter() - begun
            errors[test] = [model.predict(int(users[n]), int(items[n])).est - ratings[n] for n in test]
        found[name] = {
            "rmse": float(np.sqrt(np.mean(errors**2))),
            "mae": float(np.mean(np.abs(errors))),
            "seconds": seconds / len(np.unique(fold)),
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
