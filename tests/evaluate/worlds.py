"""Small event logs whose answers are known by construction, and systems that answer them in known ways."""

from __future__ import annotations

import numpy as np

from palate.config import Settings
from palate.evaluate.stream import EventStream, from_source
from palate.types import Interaction, Item

HOUR = 3_600_000


def events(rows, kind="click", step=HOUR):
    """(user, item) pairs, one an hour from hour 1 on."""
    return [
        Interaction(user=str(user), item=str(item), type=kind, timestamp=(at + 1) * step)
        for at, (user, item) in enumerate(rows)
    ]


def catalogue(names):
    """Item events that name no time: the items exist from the start."""
    return [Item(item=str(name), fields={"title": f"thing {name}", "genres": f"g{len(str(name))}"}) for name in names]


def stream(rows, names=()) -> EventStream:
    return from_source([*catalogue(names), *events(rows)], Settings())


def popular_world(n=3000, items=60, seed=0):
    """Everybody draws from the same steep distribution, independently of what they had: popularity is all there is."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, items + 1) ** 1.5
    drawn = rng.choice(items, size=n, p=shares / shares.sum())
    return [(int(rng.integers(0, 200)), int(item)) for item in drawn], range(items)


def paired_world(n=4000, pairs=100, seed=0):
    """Items come in pairs, 2m and 2m + 1, all equally popular; whoever takes one takes the other next."""
    rng = np.random.default_rng(seed)
    rows, waiting = [], {}
    for _ in range(n):
        user = int(rng.integers(0, 150))
        item = waiting.pop(user) if user in waiting else None
        if item is None:
            item = int(rng.integers(0, 2 * pairs))
            waiting[user] = item ^ 1
        rows.append((user, item))
    return rows, range(2 * pairs)


class Fixed:
    """Scores that depend on the item's code alone."""

    def __init__(self, name="fixed", scores=None):
        self.name = name
        self.scores = scores
        self.fed = []
        self.closed = False

    def start(self, stream, train, stop, progress):
        self.stream = stream
        self.fed = [stop]

    def feed(self, stop):
        self.fed.append(stop)

    def score(self, query):
        assert self.fed[-1] == query.position
        given = np.arange(query.size) if self.scores is None else self.scores
        return np.asarray(given, dtype=np.float32)[: query.size]

    def notes(self):
        return {}

    def close(self):
        self.closed = True
