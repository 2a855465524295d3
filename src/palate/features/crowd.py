"""User-kNN: what people who had the same things lately did next (V-SKNN, Ludewig and Jannach 2018). Compiled.

The state keeps of every item who had it last (``state.fold.remember``, ``CROWD`` people). Asked for a subject, those of
the last ``ITEMS`` items vote: a person counts .7^q for each of these that they had, at recency q among them; the
``PEOPLE`` who count most speak for the items after the common one in their own history, .9 an entry, and at .3 for
those before it. Cost: O(ITEMS · CROWD + PEOPLE · history), about 10 µs whatever there is.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.profile import Subject
from palate.state import State
from palate.state.rows import EMPTY, hash_slot
from palate.types import F32, F64, I32, I64

ITEMS = 5
PEOPLE = 20
AFTER = 10
BEFORE = 5
_MASK = (1 << 32) - 1
_VOTERS, _SLOTS = 256, 1024
"""Powers of two, above twice the people and the items that there may be."""


class Crowd:
    """The votes for one subject at a time. Scratch memory of 12 kB; under the engine's lock."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._keys: I32 = np.full(_SLOTS, EMPTY, np.int32)
        self._votes: F64 = np.zeros(_SLOTS, np.float64)

    def follow(self, subject: Subject) -> None:
        """Let people like ``subject`` vote; what they gave to the subject before is forgotten."""
        self._keys[:] = EMPTY
        state, h = self.state, self.state.history
        if subject.row >= 0 and len(subject.items):
            _vote(
                subject.row, subject.items, subject.weights, state.item_columns["crowd"], h.keys, h.start, h.size,
                self._keys, self._votes,
            )  # fmt: skip

    @property
    def rows(self) -> I32:
        """Items that got votes, in no order that means anything."""
        return self._keys[self._keys != EMPTY]

    def fill(self, rows: I32, out: F32) -> None:
        """The feature of ``rows`` (m,), log(1 + votes), into ``out`` (m,), zeros, which may be a column. O(m)."""
        _fill(rows, self._keys, self._votes, out)

    def of(self, rows: I32) -> F64:
        """(m,) votes for ``rows``, 0 for those that got none. O(m)."""
        out = np.zeros(len(rows), np.float64)
        _taken(rows, self._keys, self._votes, out)
        return out


@kernel
def _slot(keys: I32, key: int) -> int:
    """Where ``key`` is in an open hash table, or where it would be."""
    slot = hash_slot(key, len(keys))
    while keys[slot] != EMPTY and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    return slot


@kernel
def _add(keys: I32, votes: F64, item: int, vote: float) -> None:
    slot = _slot(keys, item)
    if keys[slot] == EMPTY:
        keys[slot], votes[slot] = item, 0.0
    votes[slot] += vote


@kernel
def _vote(
    me: int, items: I32, weights: F64, crowd: I64, h_item: I32, starts: I64, sizes: I32, keys: I32, votes: F64
) -> None:
    """The votes for the subject ``me`` into the hash table ``keys``, all ``EMPTY``, and ``votes``."""
    common = np.empty(ITEMS, np.int32)
    people, found, shared = (
        np.full(_VOTERS, EMPTY, np.int32),
        np.empty(_VOTERS, np.float64),
        np.empty(_VOTERS, np.int32),
    )
    slots = np.empty(_VOTERS, np.int64)
    n = q = voters = 0
    while q < len(items) and n < ITEMS:
        item, new = items[q], weights[q] > 0 and items[q] < len(crowd)
        for place in range(n):
            new = new and common[place] != item
        if new:
            common[n] = item
            worth = 0.7**n
            for place in range(crowd.shape[1]):
                who = int(crowd[item, place] & _MASK) - 1
                if who < 0 or who == me:
                    continue
                slot = _slot(people, who)
                if people[slot] == EMPTY:
                    people[slot], found[slot], shared[slot] = who, 0.0, item
                    slots[voters] = slot
                    voters += 1
                found[slot] += worth
            n += 1
        q += 1
    for _ in range(PEOPLE):
        best = -1
        for place in range(voters):
            slot = slots[place]
            if found[slot] > 0 and (best < 0 or found[slot] > found[best]):
                best = slot
        if best < 0:
            return
        worth, who = found[best], people[best]
        found[best] = 0.0
        if who >= len(starts):
            continue
        first, last = int(starts[who]), int(starts[who]) + int(sizes[who])
        at = last - 1
        while at >= first and h_item[at] != shared[best]:
            at -= 1
        if at < first:
            continue
        for step in range(min(AFTER, last - 1 - at)):
            _add(keys, votes, int(h_item[at + 1 + step]), worth * 0.9**step)
        for step in range(min(BEFORE, at - first)):
            _add(keys, votes, int(h_item[at - 1 - step]), 0.3 * worth * 0.9**step)


@kernel
def _fill(rows: I32, keys: I32, votes: F64, out: F32) -> None:
    """log(1 + the votes) for ``rows`` (m,) into ``out`` (m,), zeros, which may be a column."""
    for m in range(len(rows)):
        slot = _slot(keys, rows[m])
        if keys[slot] != EMPTY:
            out[m] = np.log1p(votes[slot])


@kernel
def _taken(rows: I32, keys: I32, votes: F64, out: F64) -> None:
    for m in range(len(rows)):
        slot = _slot(keys, rows[m])
        if keys[slot] != EMPTY:
            out[m] = votes[slot]
