"""The obvious implementation, written fairly: FastAPI, pydantic, state in dicts and arrays, ``Booster.predict``.

It computes as many feature columns as Palate does, from the same history and counts, vectorised with NumPy, keeps no
decision log, takes no events and gives no reasons: all of that would only make it slower.
"""

# No ``from __future__ import annotations`` here: FastAPI reads the annotations of the route.
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from palate.bench.world import forest
from palate.features import NAMES
from palate.types import F32, Interaction, Item


class _State:
    """Everything looked up in a request, in memory."""

    def __init__(self, directory: Path) -> None:
        import palate

        self.row: dict[str, int] = {}
        kinds: list[int] = []
        codes: dict[str, int] = {}
        self.history: dict[str, list[int]] = defaultdict(list)
        touched: dict[int, int] = defaultdict(int)
        with palate.open(directory) as engine:
            for event in engine.export():
                if isinstance(event, Item):
                    self.row[event.item] = len(self.row)
                    kinds.append(codes.setdefault(str(event.fields["category"]), len(codes)))
                elif isinstance(event, Interaction):
                    row = self.row[event.item]
                    self.history[event.user or ""].append(row)
                    touched[row] += 1
        self.kind = np.array(kinds)
        self.count = np.array([touched[row] for row in range(len(self.row))], np.float32)
        rng = np.random.default_rng(0)
        vectors = rng.normal(size=(len(self.row), 64)).astype(np.float32)
        self.vectors: F32 = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def features(self, user: str | None, items: list[str]) -> F32:
        """(m, f) columns: popularity, tastes as cosines, kinds in common, and the rest filled from these."""
        rows = np.array([self.row.get(name, 0) for name in items])
        x = np.zeros((len(rows), len(NAMES)), np.float32)
        x[:, 0] = np.log1p(self.count[rows])
        history = np.array(self.history.get(user or "", [])[-100:], np.int64)
        if len(history):
            mine = self.vectors[rows]
            recent = history[::-1]
            decay = 0.9 ** np.arange(len(recent), dtype=np.float32)
            x[:, 1] = mine @ (decay @ self.vectors[recent])
            x[:, 2] = mine @ self.vectors[recent[:5]].mean(axis=0)
            x[:, 3] = (mine @ self.vectors[recent].T).max(axis=1)
            x[:, 4] = (self.kind[rows][:, None] == self.kind[recent][None, :]).mean(axis=1)
            x[:, 5] = np.isin(rows, history)
        for column in range(6, x.shape[1]):
            x[:, column] = x[:, column % 6]
        return x


def make_app(directory: Path) -> Any:
    """The FastAPI application. Errors: ``ImportError`` without FastAPI."""
    import fastapi
    import pydantic

    state = _State(directory)
    booster = forest(directory)

    class Request(pydantic.BaseModel):
        user: str | None = None
        session: str | None = None
        items: list[str]
        k: int = 10
        context: dict[str, Any] = {}

    class Ranked(pydantic.BaseModel):
        id: str
        score: float
        position: int

    class Answer(pydantic.BaseModel):
        items: list[Ranked]

    app: Any = fastapi.FastAPI()

    async def rank(request: Request) -> Answer:
        scores = booster.predict(state.features(request.user, request.items), num_threads=1)
        order: list[int] = np.argsort(-scores, kind="stable")[: request.k].tolist()
        ranked = [Ranked(id=request.items[at], score=float(scores[at]), position=n + 1) for n, at in enumerate(order)]
        return Answer(items=ranked)

    app.post("/v1/rank", response_model=Answer)(rank)
    return app
