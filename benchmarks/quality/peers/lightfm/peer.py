"""LightFM (Kula 2015) in its maintained fork, WARP loss, with the words and tags of the items where that helps. It has
no fold-in: a person is either as of the last fit, or the items of the current history, by cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract import Array, Asked, Log, by_history, serve  # pyright: ignore
from lightfm import LightFM  # pyright: ignore
from scipy.sparse import coo_matrix, csr_matrix, hstack, identity  # pyright: ignore


class Light:
    """settings: LightFM's own, ``epochs``, and ``words``: whether items are also described by theirs.
    A reading is ``{"of": "user"}``, or ``{"of": "history", "decay": …}``."""

    def __init__(self, settings: dict[str, Any], seed: int, threads: int) -> None:
        self._settings = dict(settings)
        self._epochs = self._settings.pop("epochs")
        self._words = self._settings.pop("words")
        self._seed, self._threads = seed, threads

    def _described(self, log: Log, count: int, own: int) -> Any:
        """(count, own + words) features: one of its own for each of the first ``own`` items, and its words."""
        one = identity(count, dtype=np.float32, format="csr")[:, :own]
        if not self._words:
            return one
        words = log.words[:count]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in words])])
        values = np.repeat([1 / max(len(row), 1) for row in words], [len(row) for row in words])
        codes = np.concatenate([*words, np.empty(0, dtype=np.int64)])
        return hstack([one, csr_matrix((values, codes, starts), shape=(count, log.n_words))], dtype=np.float32).tocsr()

    def fit(self, log: Log) -> None:
        users, items, weights = log.pairs()
        self._log = log
        self._own = log.n_items
        self._model = LightFM(**self._settings, random_state=self._seed)
        shape = (log.n_users, log.n_items)
        self._model.fit(
            coo_matrix((np.ones_like(weights), (users, items)), shape=shape),
            item_features=self._described(log, log.n_items, self._own),
            epochs=self._epochs,
            num_threads=self._threads,
        )
        self._unknown = np.bincount(items, minlength=log.n_items) == 0
        self._met = np.bincount(users, minlength=log.n_users) > 0
        self._people = self._model.get_user_representations()[1]

    def score(self, asked: Asked, reading: dict[str, Any]) -> Array:
        # An item that came after the fit has words, and nothing else that was learnt.
        count = max(int(asked.sizes.max()), self._own) if self._words else self._own
        bias, vectors = self._model.get_item_representations(self._described(self._log, count, self._own))
        if reading["of"] == "history":
            scores = by_history(vectors, asked, reading["decay"])
        else:
            people = np.where(self._met[asked.users][:, None], self._people[asked.users], 0)
            scores = people @ vectors.T + bias
        if not self._words:
            scores[:, self._unknown] = -np.inf
        return scores


if __name__ == "__main__":
    serve(Light)
