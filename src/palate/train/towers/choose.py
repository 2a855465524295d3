"""Which settings the factors are fitted with: those that name best what people did in the last tenth of the time."""

from __future__ import annotations

import numpy as np

from palate.towers import Reading, Tower
from palate.train.history import Progress
from palate.train.towers import Interactions
from palate.train.towers.als import AlsSettings, factorise, tower_of
from palate.types import F32, I64

FADING = (0.5, 1.0, 1.5, 2.0, 3.0)
UNOBSERVED = (0.03, 0.1, 0.3)
_ROUNDS = 5
_EVENTS = 400
_RECENT = 400_000
"""Interactions that are looked at, the newest."""
_HISTORY = 100
_FEWEST = 50
"""Events to judge by, below which the settings stay as they are."""


def choose_als(data: Interactions, seed: int, progress: Progress | None = None) -> AlsSettings:
    """The best of ``UNOBSERVED`` × ``FADING``. Cost: half of a fit for each of the former.

    Judged by the mean of 1 / log2(1 + rank) of what was new to a person, among all items that training met and the
    person hadn't had.
    """
    begin = max(0, len(data.users) - _RECENT)
    users, items, times, weights = (part[begin:] for part in data[:4])
    recent = data._replace(users=users, items=items, times=times, weights=weights)
    split = len(users) - len(users) // 10
    early = recent._replace(users=users[:split], items=items[:split], times=times[:split], weights=weights[:split])
    judged = _histories(recent, split, seed)
    if len(judged) < _FEWEST:
        return AlsSettings()
    best, chosen = -1.0, AlsSettings()
    for turn, unobserved in enumerate(UNOBSERVED):
        settings = AlsSettings(rounds=_ROUNDS, unobserved=unobserved)
        found = factorise(early, settings, seed)
        for fading in FADING:
            tower, vectors = tower_of(found, settings._replace(fading=fading))
            worth = _judge(tower, vectors, recent, judged)
            if worth > best:
                best, chosen = worth, AlsSettings(unobserved=unobserved, fading=fading)
        if progress is not None:
            progress("choose", turn + 1, len(UNOBSERVED))
    return chosen


def _histories(data: Interactions, split: int, seed: int) -> list[tuple[int, I64]]:
    """Events from ``split`` on that were new to people with a history, and the events before each, newest first."""
    order = np.argsort(data.users, kind="stable")
    starts = np.searchsorted(data.users[order], np.arange(int(data.users.max()) + 2 if len(order) else 1))
    met = np.bincount(data.items[:split], minlength=data.n_items) > 0
    out: list[tuple[int, I64]] = []
    for event in np.random.default_rng(seed).permutation(np.arange(split, len(order))).tolist():
        user = int(data.users[event])
        own = order[starts[user] : starts[user + 1]]
        before = own[: np.searchsorted(own, event)][::-1][:_HISTORY]
        if len(before) and met[data.items[event]] and not (data.items[before] == data.items[event]).any():
            out.append((event, before.astype(np.int64)))
            if len(out) == _EVENTS:
                break
    return out


def _judge(tower: Tower, vectors: F32, data: Interactions, judged: list[tuple[int, I64]]) -> float:
    total = 0.0
    for event, before in judged:
        rows = data.items[before]
        reading = Reading(
            rows, vectors[rows], data.weights[before].astype(np.float64), data.times[before], int(data.times[event])
        )
        scores = vectors @ tower.read(reading)[0]
        due = scores[data.items[event]]
        scores[rows] = -np.inf
        total += 1.0 / np.log2(2.0 + np.count_nonzero(scores > due) + 0.5 * (np.count_nonzero(scores == due) - 1))
    return total / len(judged)
