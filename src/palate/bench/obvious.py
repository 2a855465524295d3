"""The obvious implementation, written fairly: FastAPI, pydantic, state in dicts and arrays, ``Booster.predict``.

What a good engineer builds from these in a day, and nothing in it is slow on purpose: what a request needs is kept in
arrays by item and by person, every family of features that Palate has is computed from it in vectorised NumPy (simpler
ones: five tastes rather than three interests, fifty neighbours an item), one person's taste is kept and not computed
anew, the same embeddings are used, the forest predicts on one thread, the answer is validated and encoded as FastAPI
does it. It lacks everything that would only make it slower: it takes no events, so that it needs no lock and nothing in
it ever changes, keeps no log of decisions, and gives no reasons.
"""

# No ``from __future__ import annotations`` here: FastAPI reads the annotations of the route.
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from palate.bench.world import DAY, forest
from palate.features import NAMES, column
from palate.types import F32, F64, I64, Interaction, Item

NEIGHBOURS = 50
WINDOW = 5
"""Clicks apart that still make two items neighbours."""
PARTS = 8
"""Of the week, by which an item's clicks are counted."""
HALF_LIVES = np.array([1.0, 7.0, 30.0])
_RECENT = 20
_SHORT = 5


@dataclass
class _Person:
    """What is kept of one person: items and times (ms), newest first; taste: (d,) the decayed mean of their vectors."""

    items: I64
    times: I64
    taste: F32


class State:
    """Everything looked up in a request, in memory."""

    def __init__(self, directory: Path) -> None:
        import palate

        users: dict[str, int] = {}
        self.row: dict[str, int] = {}
        kinds: list[int] = []
        codes: dict[str, int] = {}
        log: list[tuple[int, int, int]] = []
        with palate.open(directory) as engine:
            for event in engine.export():
                if isinstance(event, Item):
                    self.row[event.item] = len(self.row)
                    kinds.append(codes.setdefault(str(event.fields["category"]), len(codes)))
                elif isinstance(event, Interaction):
                    who = users.setdefault(event.user or "", len(users))
                    log.append((who, int(event.timestamp or 0), self.row[event.item]))
            side = engine.catalogue.side()
            rows = [engine.state.items.get(name) for name in self.row]
            self.vectors: F32 = side.vectors[side.text_of[rows]]
        n = len(self.row)
        self.kind = np.array(kinds)
        self.kinds = len(codes)
        table = np.array(sorted(log), np.int64).reshape(-1, 3)
        who, when, what = table.T
        self.now = int(when.max(initial=0))
        self.count: F64 = np.bincount(what, minlength=n).astype(np.float64)
        ages = (self.now - when)[:, None] / DAY / HALF_LIVES
        self.mean = float(self.count.mean()) + 0.5
        self.decayed: F64 = np.zeros((n, 3))
        for place in range(3):
            self.decayed[:, place] = np.bincount(what, np.exp2(-ages[:, place]), n)
        self.first = np.full(n, self.now)
        self.last = np.zeros(n, np.int64)
        np.minimum.at(self.first, what, when)
        np.maximum.at(self.last, what, when)
        self.part: F64 = np.bincount(what * PARTS + _part(when), minlength=n * PARTS).reshape(n, PARTS) / 1.0
        self.near, self.strength = self._neighbours(who, what, n)
        ends = np.append(np.flatnonzero(np.diff(who)) + 1, len(who))
        names = list(users)
        self.people: dict[str, _Person] = {}
        begin = 0
        for end in ends.tolist():
            items, times = what[begin:end][::-1], when[begin:end][::-1]
            weights = np.exp2(-np.arange(len(items)) / 30.0)
            taste = weights @ self.vectors[items] / weights.sum()
            self.people[names[who[begin]]] = _Person(items, times, taste.astype(np.float32))
            begin = end

    def _neighbours(self, who: I64, what: I64, n: int) -> tuple[I64, F32]:
        """(n, 50) items that were clicked near each item, and their cosines; of strength 0 where there are fewer."""
        pairs: Any = sparse.csr_matrix((n, n), dtype=np.float32)
        for lag in range(1, WINDOW + 1):
            same = who[lag:] == who[:-lag]
            a, b = what[:-lag][same], what[lag:][same]
            pairs = pairs + sparse.coo_matrix((np.ones(len(a), np.float32), (a, b)), (n, n)).tocsr()
        pairs = (pairs + pairs.T).tocoo()
        a: I64 = pairs.row.astype(np.int64)
        b: I64 = pairs.col.astype(np.int64)
        value: F32 = pairs.data / np.sqrt((self.count[a] + 5.0) * (self.count[b] + 5.0))
        order = np.lexsort((-value, a))
        a, b, value = a[order], b[order], value[order]
        place = np.arange(len(a)) - np.searchsorted(a, a)
        kept = place < NEIGHBOURS
        near = np.zeros((n, NEIGHBOURS), np.int64)
        strength = np.zeros((n, NEIGHBOURS), np.float32)
        near[a[kept], place[kept]] = b[kept]
        strength[a[kept], place[kept]] = value[kept]
        return near, strength

    def features(self, user: str | None, names: list[str]) -> F32:
        """(m, f) the columns that the forest was fitted on, 0 where Palate's are 0 for everybody in this world."""
        rows = np.array([self.row.get(name, 0) for name in names])
        x = np.zeros((len(rows), len(NAMES)), np.float32)
        self._popularity(x, rows)
        x[:, column("hour")] = self.now // 3_600_000 % 24
        x[:, column("weekday")] = (self.now // DAY + 3) % 7
        person = self.people.get(user or "")
        if person is None:
            return x
        self._item_to_item(x, rows, person.items[:_RECENT])
        self._content(x, rows, person)
        self._own(x, rows, person)
        return x

    def _popularity(self, x: F32, rows: I64) -> None:
        count = self.count[rows]
        x[:, 0] = np.log((count + 0.5) / self.mean)
        x[:, 1:4] = np.log(self.decayed[rows] + 0.05)
        x[:, 4] = x[:, 1] - x[:, 3]
        x[:, 5] = np.log1p((self.now - self.first[rows]) / DAY)
        x[:, 6] = np.log1p((self.now - self.last[rows]) / DAY)
        x[:, 8] = np.log((self.part[rows, _part(self.now)] + 1.0) / (count + 8.0))

    def _item_to_item(self, x: F32, rows: I64, recent: I64) -> None:
        """How the candidates stand to the newest clicks: through the neighbours of those that are candidates."""
        order = np.argsort(rows)
        place = np.searchsorted(rows, self.near[recent], sorter=order)
        candidate = order[np.minimum(place, len(rows) - 1)]
        ago, slot = np.nonzero(rows[candidate] == self.near[recent])
        at, value = candidate[ago, slot], self.strength[recent][ago, slot]
        where = column("next_1")
        for decay in (0.0, 0.7, 0.8, 0.5, 0.9, 1.0):
            x[:, where] = np.arcsinh(1000.0 * np.bincount(at, value * decay**ago, len(rows)))
            where += 1
        strongest = np.zeros(len(rows))
        np.maximum.at(strongest, at, value)
        x[:, where] = np.arcsinh(1000.0 * strongest)

    def _content(self, x: F32, rows: I64, person: _Person) -> None:
        mine = self.vectors[rows]
        near = mine @ self.vectors[person.items[:_RECENT]].T
        where = column("taste_long")
        x[:, where] = mine @ person.taste
        x[:, where + 1] = near[:, :_SHORT].mean(axis=1)
        x[:, where + 2] = near.max(axis=1)
        x[:, where + 3] = near[:, :_SHORT].max(axis=1)
        kinds = self.kind[person.items]
        long = np.bincount(kinds, minlength=self.kinds) / len(kinds)
        short = np.bincount(kinds[:_SHORT], minlength=self.kinds) / len(kinds[:_SHORT])
        x[:, column("tags_long")] = long[self.kind[rows]]
        x[:, column("tags_short")] = short[self.kind[rows]]

    def _own(self, x: F32, rows: I64, person: _Person) -> None:
        same = rows[:, None] == person.items[None, :100]
        count = same.sum(axis=1)
        days = (self.now - np.where(same, person.times[None, :100], 0).max(axis=1)) / DAY
        had = count > 0
        where = column("again_count")
        x[:, where] = np.log1p(count)
        x[:, where + 1] = count / len(person.items)
        x[:, where + 2] = np.where(had, np.exp2(-days), 0.0)
        x[:, where + 3] = np.where(had, np.exp2(-days / 30.0), 0.0)
        x[:, where + 4] = np.where(had, np.log1p(days * 24.0), 0.0)
        where = column("user_count")
        x[:, where] = np.log1p(len(person.items))
        x[:, where + 1] = 1.0 - len(set(person.items.tolist())) / len(person.items)
        x[:, where + 2] = np.log1p((self.now - person.times[0]) / 3_600_000)
        x[:, where + 3] = np.log1p(np.count_nonzero(person.times > self.now - 1_800_000))


def _part(when: Any) -> Any:
    """The part of the week in which each time (ms) lies: six hours of a working day, or of the weekend."""
    return when // 21_600_000 % 4 + 4 * ((when // DAY + 3) % 7 >= 5)


def make_app(directory: Path) -> Any:
    """The FastAPI application. Errors: ``ImportError`` without FastAPI."""
    import fastapi
    import pydantic

    state = State(directory)
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
