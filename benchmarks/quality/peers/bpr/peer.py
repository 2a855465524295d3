"""implicit's Bayesian personalised ranking (Rendle et al. 2009). It has no fold-in: a person is either as of the last
fit, or the items of the current history, by cosine, which is how implicit itself compares items."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract import Array, Asked, Log, by_history, serve  # pyright: ignore
from implicit.cpu.bpr import BayesianPersonalizedRanking  # pyright: ignore
from scipy.sparse import csr_matrix  # pyright: ignore


class Bpr:
    """A reading is ``{"of": "user"}``, or ``{"of": "history", "decay": …}``."""

    def __init__(self, settings: dict[str, Any], seed: int, threads: int) -> None:
        # More than one thread updates without locks, so that two runs differ; quality does not.
        self._make = lambda: BayesianPersonalizedRanking(**settings, num_threads=threads, random_state=seed)

    def fit(self, log: Log) -> None:
        users, items, weights = log.pairs()
        self._model = self._make()
        matrix = csr_matrix((weights, (users, items)), shape=(log.n_users, log.n_items))
        self._model.fit(matrix, show_progress=False)
        self._unknown = np.bincount(items, minlength=log.n_items) == 0
        self._met = np.bincount(users, minlength=log.n_users) > 0

    def score(self, asked: Asked, reading: dict[str, Any]) -> Array:
        items = self._model.item_factors
        if reading["of"] == "history":
            scores = by_history(np.where(self._unknown[:, None], 0, items[:, :-1]), asked, reading["decay"])
        else:
            people = self._model.user_factors[asked.users]
            # The last column of the items is their bias, to which somebody new is left.
            people[~self._met[asked.users], :-1] = 0
            people[~self._met[asked.users], -1] = 1
            scores = people @ items.T
        scores[:, self._unknown] = -np.inf
        return scores


if __name__ == "__main__":
    serve(Bpr)
