"""Histories with a rule that decides the next item, which neither popularity nor co-occurrence can tell."""

from __future__ import annotations

import numpy as np

from palate.towers import Reading
from palate.train.towers import Interactions

HOUR = 3_600_000


def interactions(rows, n_items, text=None):
    """(time, user, item) rows as ``Interactions``; without text unless given."""
    users, items, times = (np.array(column) for column in (list(zip(*sorted(rows), strict=True))[i] for i in (1, 2, 0)))
    return Interactions(
        users.astype(np.int32), items.astype(np.int32), times.astype(np.int64), np.ones(len(rows), np.float32), n_items,
        np.zeros((n_items, 8), np.float32) if text is None else text, np.full((n_items, 8), -1, np.int32), 0,
    )  # fmt: skip


def cycle(n_items=30, users=300, steps=20, seed=0):
    """Every item has one successor: all are equally popular, and each meets each in long histories."""
    rng = np.random.default_rng(seed)
    following = rng.permutation(n_items)
    rows = []
    for user in range(users):
        item = int(rng.integers(n_items))
        for step in range(steps):
            rows.append((step * HOUR + user, user, item))
            item = int(following[item])
    return interactions(rows, n_items)


def second_order(n_items=8, users=300, steps=20, seed=0):
    """The last two items together decide the next; a Latin square, so that the last alone says nothing."""
    rng = np.random.default_rng(seed)
    first, second = rng.permutation(n_items), rng.permutation(n_items)
    rows = []
    for user in range(users):
        before, item = (int(code) for code in rng.integers(n_items, size=2))
        for step in range(steps):
            rows.append((step * HOUR + user, user, item))
            before, item = item, int((first[before] + second[item]) % n_items)
    return interactions(rows, n_items)


def reading_of(data, user, items, cut):
    """The user's history without the newest ``cut`` events, at the moment of the next of them; and that item."""
    own = np.flatnonzero(data.users == user)[::-1]
    past = own[cut:]
    rows = data.items[past]
    history = Reading(rows, items[rows], np.ones(len(rows)), data.times[past], int(data.times[own[cut - 1]]))
    return history, int(data.items[own[cut - 1]])


def hits(tower, items, data, users, cuts):
    """Share of the events whose item is ranked first."""
    found = [
        int(np.argmax(items @ tower.read(history)[0])) == target
        for user in users
        for history, target in (reading_of(data, user, items, cut) for cut in cuts)
    ]
    return float(np.mean(found))
