"""implicit's alternating least squares (Hu, Koren & Volinsky 2008), each person folded in from the current history."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract import Array, Asked, Log, serve  # pyright: ignore
from implicit.cpu.als import AlternatingLeastSquares  # pyright: ignore
from scipy.sparse import csr_matrix  # pyright: ignore
from threadpoolctl import threadpool_limits  # pyright: ignore


class Als:
    """A reading is ``decay``: in the fold-in an event's confidence is its weight × decay^(events after it)."""

    def __init__(self, settings: dict[str, Any], seed: int, threads: int) -> None:
        # implicit runs its own threads, and asks that BLAS start none beside them.
        self._limit = threadpool_limits(1, "blas")
        self._make = lambda: AlternatingLeastSquares(**settings, num_threads=threads, random_state=seed)

    def fit(self, log: Log) -> None:
        users, items, weights = log.pairs()
        self._model = self._make()
        matrix = csr_matrix((weights, (users, items)), shape=(log.n_users, log.n_items))
        self._model.fit(matrix, show_progress=False)
        self._unknown = np.bincount(items, minlength=log.n_items) == 0

    def score(self, asked: Asked, reading: dict[str, Any]) -> Array:
        rows, columns, values = [], [], []
        known = len(self._unknown)
        for row, own in enumerate(asked.histories):
            good = own.items < known
            items, weights = own.items[good], own.weights[good]
            confidence = weights * reading["decay"] ** np.arange(len(items))[::-1]
            rows += [row] * len(items)
            columns += items.tolist()
            values += confidence.tolist()
        matrix = csr_matrix((values, (rows, columns)), shape=(len(asked.users), known), dtype=np.float32)
        matrix.sum_duplicates()
        people = self._model.recalculate_user(np.arange(len(asked.users)), matrix)
        scores = people @ self._model.item_factors.T
        scores[:, self._unknown] = -np.inf
        return scores


if __name__ == "__main__":
    serve(Als)
