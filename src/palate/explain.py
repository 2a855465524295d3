"""Exact contributions, and where in the history they come from.

Contributions are those of the served scorer and add up to its score (``line.contributions``). Shares of a
contribution among history entries follow the parts of the feature itself (for ``next_5``, the summands of its sum).
What is said of them in words is made in ``reasons``.
"""

from __future__ import annotations

import numpy as np

from palate.catalogue import Catalogue
from palate.features import FEATURES, NAMES, Computer, Subject, column
from palate.feedback.grades import sent
from palate.line import Model, contributions
from palate.types import F32, F64, Contribution, Source

_FIRST_CHANNEL = column("next_1")
_SMALLEST = 1e-12
SOURCES = 3


class Explainer:
    """Explains candidates of one request. Under the engine's lock; ``model`` is the one that scored."""

    def __init__(self, computer: Computer, catalogue: Catalogue, subject: Subject, model: Model) -> None:
        self.computer = computer
        self.catalogue = catalogue
        self.subject = subject
        self.model = model
        self._parts: tuple[int, F64] | None = None

    def contributions(self, row: int, x: F32, has_query: bool, full: bool = True) -> tuple[list[Contribution], float]:
        """Every non-zero contribution of one candidate, largest first, and the base. x: (f,).

        full: with the history entries that item-to-item, tower, content and tag features come from.
        """
        terms, base = contributions(self.model, x[None, :], has_query)
        order = np.argsort(-np.abs(terms[0]), kind="stable")
        out: list[Contribution] = []
        for place in map(int, order):
            if abs(terms[0, place]) < _SMALLEST:
                break
            value = float(x[place])
            out.append(
                Contribution(
                    self.model.scorer.features[place],
                    value if np.isfinite(value) else None,
                    float(terms[0, place]),
                    self.sources(place, row, float(terms[0, place])) if full and place < len(NAMES) else [],
                )
            )
        return out, float(base[0])

    def sources(self, place: int, row: int, contribution: float) -> list[Source]:
        """History entries that feature ``place`` of item ``row`` comes from, strongest first, at most ``SOURCES``.

        Of a positive ``contribution`` only entries that speak for the item: what was hidden never did, it made the
        contribution smaller.
        """
        if row < 0 or not len(self.subject.items):
            return []
        shares = self._shares(place, row)
        if shares is None:
            return []
        if contribution > 0:
            shares = np.maximum(0.0, -shares if NAMES[place] == "dislike" else shares)
        total = float(np.abs(shares).sum())
        if total <= 0:
            return []
        state = self.computer.state
        best = np.argsort(-np.abs(shares), kind="stable")[:SOURCES]
        return [
            Source(
                state.items.ids[self.subject.items[q]],
                sent(state.types.ids[self.subject.kinds[q]]),
                int(self.subject.ts[q]),
                round(float(abs(shares[q]) / total), 4),
            )
            for q in best.tolist()
            if abs(shares[q]) > 0
        ]

    def _shares(self, place: int, row: int) -> F64 | None:
        """(h,) parts of a feature by history entry, or None where it doesn't come from the history."""
        group = FEATURES[place].group
        if group == "item_to_item":
            if self._parts is None or self._parts[0] != row:
                self._parts = row, self.computer.parts(self.subject, row, self.model.ease)
            return self._parts[1][place - _FIRST_CHANNEL]
        if group == "towers":
            placed = next((one for one in self.model.towers if one.column == NAMES[place]), None)
            if placed is None:
                return None
            placed.follow(self.catalogue.vectors, self.computer.state.n_items)
            return placed.parts(self.subject, row)
        if group == "again":
            return (self.subject.items == row).astype(np.float64)
        if group == "content":
            return self._content_shares(NAMES[place], row)
        if group == "tags":
            tags = self.catalogue.side().tags
            mine = set(tags[row][tags[row] >= 0].tolist())
            window = 5 if NAMES[place] == "tags_short" else len(self.subject.items)
            decay = self.subject.weights * 0.5 ** (np.arange(len(self.subject.items)) / 30.0)
            common = np.isin(tags[self.subject.items], list(mine)).sum(axis=1).astype(np.float64)
            return np.maximum(0, decay) * common * (np.arange(len(common)) < window)
        return None

    def _content_shares(self, name: str, row: int) -> F64 | None:
        side = self.catalogue.side()
        text = int(side.text_of[row])
        texts = side.text_of[self.subject.items]
        if name in ("words_last", "words_newest"):
            out = np.zeros(len(texts))
            if text < 0 or not len(self.subject.last):
                return None
            nearest = 0 if name == "words_last" else int(np.argmax(self.computer.worded(self.subject, row, side)))
            out[self.subject.last_at[nearest]] = 1.0
            return out
        if name != "dislike":
            return self.computer.liking(self.subject, row, side, name)
        hated = np.flatnonzero((texts >= 0) & (self.subject.weights < 0))
        if text < 0 or not len(hated):
            return None
        out = np.zeros(len(texts))
        out[hated[np.argmax(side.vectors[texts[hated]] @ side.vectors[text])]] = 1.0
        return out
