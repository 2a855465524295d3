"""Content-kNN: items whose texts are near those of the latest items of the person. What a new item is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from palate.config import Settings
from palate.content.text import item_text
from palate.evaluate import Query
from palate.evaluate.stream import EventStream, Histories
from palate.language import Encoder, make_encoder
from palate.language.cache import VectorCache
from palate.types import F32, I32

CONTENT = "content_knn"


class ContentKnn:
    """A ``Baseline``: score(i) = Σ decay^age · cos(i, j), or the greatest of these, over the latest ``HISTORY``
    distinct items j. ``itself``: whether an item of the history may be named by its own text. No text scores 0.

    Cost of a query: texts × components multiplications for each variant.
    """

    HISTORY = 20

    def __init__(self, encoder: Encoder | None = None) -> None:
        self.name = CONTENT
        self.shared: str | None = None
        self.variants: Sequence[dict[str, Any]] = [
            {"decay": decay, "greatest": greatest, "itself": itself}
            for decay in (0.5, 0.8, 1.0)
            for greatest in (False, True)
            for itself in (False, True)
        ]
        self._encoder = encoder

    def begin(self, stream: EventStream, histories: Histories, stop: int) -> None:
        language = Settings().language
        texts = [item_text(fields, language.text_fields, language.max_chars) for fields in stream.fields]
        cache = VectorCache(None, self._encoder or make_encoder(language.encoder))
        self._vectors, found = cache.distinct(texts)
        self._of: I32 = np.asarray(found, dtype=np.int32)
        self._histories = histories

    def settle(self, chosen: Sequence[int], train: int, stop: int) -> None:
        pass

    def feed(self, stop: int) -> None:
        """Nothing: texts don't change, and histories are read as of the query."""

    def score(self, query: Query, chosen: Sequence[int]) -> F32:
        recent = self._histories.latest(query.user, query.position, self.HISTORY)
        out = np.zeros((len(chosen), query.size), dtype=np.float32)
        if not len(recent):
            return out
        near = self._vectors @ self._vectors[self._of[recent]].T
        of = self._of[: query.size]
        for row, index in enumerate(chosen):
            variant = self.variants[index]
            weighted = near * (variant["decay"] ** np.arange(len(recent))).astype(np.float32)
            texts = weighted.max(axis=1) if variant["greatest"] else weighted.sum(axis=1)
            out[row] = texts[of]
            if not variant["itself"]:
                out[row, recent[recent < query.size]] = -np.inf
        return out

    def notes(self) -> dict[str, Any]:
        return {"history": f"the latest {self.HISTORY} distinct items", "texts": len(self._vectors)}

    def close(self) -> None:
        pass
