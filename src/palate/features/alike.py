"""Segments: people who said the same of themselves, by field and value; an index that follows the state.

A field that takes few values makes segments: texts and booleans as they are, numbers by fifths of what is known. Lists
make none, nor does a field that has nearly as many values as people. Bounded: ``MEMBERS`` people a segment are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from palate.state import State
from palate.types import F32, I32, FieldValue

MEMBERS = 256
"""People kept of a segment, those described last."""
LEAST = 10
"""Active people that a segment needs before anything is concluded from it, or said of it."""
SAMPLE = 32
"""People of a segment whose newest choices make up its taste: those last active."""
NEWEST = 10
"""Choices of each of them."""
AFRESH = 64
"""Interactions, of anybody, after which the taste of a segment is taken anew."""
_DOUBLED = 4096
_MAX_CHARS = 64
EVERYBODY = ("", "")
Key = tuple[str, str]


class Taste(NamedTuple):
    """people: how many active ones were looked at; tags (n_tags,) mean shares; text (d,) mean of their unit vectors."""

    people: int
    tags: F32
    text: F32


class Segments:
    """The segments of one state. Under the engine's lock."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.members: dict[Key, dict[int, None]] = {}
        self._of: dict[int, list[Key]] = {}
        self._values: dict[str, int] = {}
        self._edges: dict[str, list[float]] = {}
        self._at = -1
        self._built = 0
        self._tastes: dict[Key, tuple[int, int, Taste]] = {}

    def of(self, user: int) -> list[Key]:
        """The segments of a user row; fields with too many values make none."""
        self._catch_up()
        return [key for key in self._of.get(user, ()) if self._values[key[0]] <= 20 + len(self._of) // 10]

    def _catch_up(self) -> None:
        changed, self._at = self.state.described.since(self._at)
        people = len(self.state.user_fields)
        if changed is None or (people >= 2 * self._built and self._built < _DOUBLED and people > self._built):
            self._build()
        else:
            for user in sorted(changed):
                self._put(user)

    def _build(self) -> None:
        """From nothing. O(people who said something)."""
        self.members, self._of, self._values, self._tastes = {}, {}, {}, {}
        numbers: dict[str, list[float]] = {}
        for fields in self.state.user_fields.values():
            for name, value in fields.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    numbers.setdefault(name, []).append(float(value))
        self._edges = {
            name: sorted(set(np.quantile(values, (0.2, 0.4, 0.6, 0.8)).tolist())) for name, values in numbers.items()
        }
        for user in self.state.user_fields:
            self._put(user)
        self._built = len(self.state.user_fields)

    def _put(self, user: int) -> None:
        for key in self._of.pop(user, ()):
            self.members[key].pop(user, None)
        fields = self.state.user_fields.get(user)
        if not fields:
            return
        keys = [(name, text) for name, value in fields.items() if (text := self._text(name, value))]
        if not keys:
            return
        self._of[user] = keys
        for key in (*keys, EVERYBODY):
            found = self.members.get(key)
            if found is None:
                found = self.members[key] = {}
                self._values[key[0]] = self._values.get(key[0], 0) + 1
            found[user] = None
            if len(found) > MEMBERS:
                del found[next(iter(found))]

    def _text(self, name: str, value: FieldValue) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            edges = self._edges.get(name, [])
            return f"{int(np.searchsorted(edges, value, side='right'))}" if edges else ""
        return value if isinstance(value, str) and len(value) <= _MAX_CHARS else ""

    def taste(self, key: Key, vectors: F32, text_of: I32, tags: I32, n_tags: int, signs: I32) -> Taste | None:
        """What the people of a segment chose lately; None with fewer than ``LEAST`` active ones.

        Kept until ``AFRESH`` interactions more, by anybody. Cost of taking it: some 300 µs. signs: by type.
        """
        moment = int(self.state.totals[0]) // AFRESH
        kept = self._tastes.get(key)
        if kept is not None and kept[:2] == (moment, n_tags):
            return kept[2] if kept[2].people >= LEAST else None
        taste = self._taken(key, vectors, text_of, tags, n_tags, signs)
        self._tastes[key] = moment, n_tags, taste
        return taste if taste.people >= LEAST else None

    def _taken(self, key: Key, vectors: F32, text_of: I32, tags: I32, n_tags: int, signs: I32) -> Taste:
        state = self.state
        known = len(state.user_columns["last"])
        people = np.array([user for user in self.members.get(key, ()) if user < known], np.int64)
        last = state.user_columns["last"][people]
        people = people[np.argsort(-last, kind="stable")[: int((last > 0).sum())]]
        shares, text = np.zeros(n_tags, np.float32), np.zeros(vectors.shape[1], np.float32)
        seen = texts = tagged = 0
        for user in people[:SAMPLE].tolist():
            items, _, kinds, _ = state.history_of(user)
            liked = items[signs[kinds] > 0][-NEWEST:]
            if not len(liked):
                continue
            seen += 1
            codes = tags[liked].ravel()
            codes = codes[codes >= 0]
            if len(codes):
                np.add.at(shares, codes, np.float32(1 / len(codes)))
                tagged += 1
            rows = text_of[liked]
            if len(rows := rows[rows >= 0]):
                text += vectors[rows].mean(axis=0)
                texts += 1
        return Taste(seen, shares / np.float32(max(1, tagged)), text / np.float32(max(1, texts)))
