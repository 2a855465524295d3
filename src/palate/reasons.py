"""Reasons: why an item stands there, in words that are true of it.

Made of features that speak for the item: those with the largest positive contribution, or, where contributions were
not asked for, the largest evidence. Words of a reason hold by the value of its feature, never by its weight alone.
"""

from __future__ import annotations

import numpy as np

from palate.catalogue import Catalogue
from palate.features import FEATURES, NAMES, Computer, Neighbours, Subject, column
from palate.features.speakers import TOP, lifts, strongest, two_of
from palate.types import F32, F64, I32, I64, Reason

REASONS = 2
_FIRST_CHANNEL = column("next_1")
_SHORT = column("pop_short")
_ALL = column("pop_all")
_NEW = np.log1p(30.0)
"""log days up to which an item is called new."""
_CODES = [feature.reason for feature in FEATURES]
_WORDS = {
    "again": "You had it before.",
    "popular": "Popular with everybody.",
    "trending": "Popular right now.",
    "new": "New in the catalogue.",
    "query": "Matches your words.",
}
_RANKED = "No single reason stands out: many small ones together make its score."


class Reasons:
    """Words reasons for the items of one request. Under the engine's lock."""

    def __init__(self, computer: Computer, catalogue: Catalogue, subject: Subject, ease: Neighbours) -> None:
        self.computer = computer
        self.catalogue = catalogue
        self.subject = subject
        self.ease = ease
        self.side = catalogue.side()

    def of(self, rows: I32, weights: F64, x: F32) -> list[list[Reason]]:
        """At most two reasons for each of ``rows`` (k,), by the ``weights`` (k, f) of its features ``x`` (k, f).

        A feature only gives a reason where its value says what the words say: nothing is "popular" for being less
        unpopular than others.
        """
        places = np.empty((len(rows), TOP), np.int32)
        strongest(np.ascontiguousarray(weights[:, : len(NAMES)]), places)
        out: list[list[Reason]] = []
        for row, features, values in zip(rows.tolist(), places.tolist(), x, strict=True):
            found: list[Reason] = []
            codes: set[str] = set()
            for place in features:
                if place < 0 or len(found) == REASONS:
                    break
                code = _CODES[place]
                if not code or code in codes or not _holds(code, place, values):
                    continue
                codes.add(code)
                reason = self._reason(code, place, row)
                if reason is not None:
                    found.append(reason)
            out.append(found or [Reason("ranked", _RANKED)])
        return out

    def _reason(self, code: str, place: int, row: int) -> Reason | None:
        words = _WORDS.get(code)
        if words is not None:
            return Reason(code, words)
        if code == "tag":
            return self._tag(row)
        return self._because(place, row) if code == "because_of" else self._taste(place, row)

    def _because(self, place: int, row: int) -> Reason | None:
        parts = self.computer.parts(self.subject, row, self.ease)
        return self._naming("because_of", "goes with", row, parts[place - _FIRST_CHANNEL])

    def _taste(self, place: int, row: int) -> Reason | None:
        strength = self.computer.liking(self.subject, row, self.side, NAMES[place])
        return None if strength is None else self._naming("taste", "is close in content to", row, strength)

    def _naming(self, code: str, verb: str, row: int, strength: F64) -> Reason | None:
        found = two_of(strength, self.subject.items, self.subject.weights, row)
        rows = [one for one in found if one >= 0]
        if not rows:
            return None
        titles = [self.catalogue.title(one) for one in rows]
        return Reason(code, f"It {verb} {' and '.join(titles)}.", [self.computer.state.items.ids[one] for one in rows])

    def _tag(self, row: int) -> Reason | None:
        liked = self.subject.tags_long
        codes = self.side.tags[row].tolist()
        best = sorted((c for c in codes if 0 <= c < len(liked) and liked[c] > 0), key=lambda c: (-float(liked[c]), c))
        if not best:
            return None
        tags: list[str] = [self.catalogue.tags.ids[c] for c in best[:2]]
        return Reason("tag", f"You often choose {', '.join(t.split(':', 1)[-1] for t in tags)}.", tags=tags)


def _holds(code: str, place: int, x: F32) -> bool:
    if code == "trending":
        return bool(x[_SHORT] > 0)
    if code == "popular":
        return bool(x[place] > 0 and x[_ALL] > 0)
    return bool(x[place] < _NEW if code == "new" else x[place] > 0)


def evidence(x: F32, order: I64, prior: F64) -> F64:
    """(k, f) how much each feature speaks for the shown items: prior-weighted difference to the mean candidate.

    Cheap and model-free; used for reasons when exact contributions weren't asked for. x: (m, f), order: (k,).
    """
    out: F64 = np.zeros((len(order), len(prior)))
    lifts(x, order, prior, out)
    return out
