"""What people took before and what they took next, as texts to learn from; split by the time of the events."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.errors import InvalidInput
from palate.train.history import History
from palate.types import I32, I64

FEWEST = 640
_TAKEN = 10


class Pairs(NamedTuple):
    """texts: distinct, of items. taken: (n, 10) places of what one person took before, the newest last, −1 where there
    was less; following: (n,) of what they took next. In the order of time; those from ``split`` on are to stop by."""

    texts: list[str]
    taken: I32
    following: I32
    split: int


def pairs_of(
    history: History, catalogue: Catalogue, until: float = 0.8, valid: float = 0.1, most: int = 200_000
) -> Pairs:
    """The pairs of the first ``until`` of the interactions, of which the newest ``valid`` are to stop by: what comes
    later is for judging, and isn't looked at. An item that somebody had is no next one. ``most``: the newest are kept.

    Cost: 5 µs an interaction. Errors: ``InvalidInput`` for fewer than 640 pairs.
    """
    end = int(len(history.items) * until)
    rows: dict[str, int] = {}
    places: dict[str, int] = {}
    for item in dict.fromkeys(history.items[:end]):
        row = catalogue.state.items.get(item)
        text = catalogue.text(row) if row >= 0 else ""
        if text:
            places[item] = rows.setdefault(text, len(rows))
    had: dict[int, dict[int, None]] = {}
    taken: list[list[int]] = []
    following: list[int] = []
    for user, item in zip(history.users[:end].tolist(), history.items[:end], strict=True):
        place = places.get(item)
        if place is None:
            continue
        before = had.setdefault(user, {})
        if before and place not in before:
            taken.append(list(before)[-_TAKEN:])
            following.append(place)
        before.pop(place, None)
        before[place] = None
    if len(taken) < FEWEST:
        raise InvalidInput(
            f"There are {len(taken):,} steps from one text to the next in the first {until:.0%} of the log; "
            f"fine-tuning on events needs {FEWEST} or more: give items texts, and people histories.",
            "--events",
        )
    early = int(len(taken) * (1.0 - valid))
    drop = max(0, len(taken) - most)
    filled = np.full((len(taken) - drop, _TAKEN), -1, np.int32)
    for row, before in enumerate(taken[drop:]):
        filled[row, _TAKEN - len(before) :] = before
    return Pairs(list(rows), filled, np.array(following[drop:], np.int32), max(0, early - drop))


def drawn(rows: I64, pairs: Pairs, batch: int, chance: np.random.Generator) -> I64:
    """``batch`` of ``rows``, no next text twice: one that is right for a row must not be wrong for another."""
    found: dict[int, int] = {}
    for row in chance.choice(rows, min(len(rows), 4 * batch), replace=False).tolist():
        found.setdefault(int(pairs.following[row]), row)
        if len(found) == batch:
            break
    return np.array(list(found.values()), np.int64)
