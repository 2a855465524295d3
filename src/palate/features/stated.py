"""What somebody says they like, as evidence of what they will have: as much of it as histories bear out.

Whoever is known from the first event on is taken for a newcomer who said what most of these ``FIRST`` events were of:
up to two tags. What such people had next tells two things, neither of which is known of a catalogue beforehand:

- how far people keep to a kind: the share λ of what they have that comes of what they said, the rest being what
  everybody has. Measured among the ``COMMON`` items that most had, since these compete for the top of a newcomer's
  ranking: what a film that everybody sees is about says little of who sees it. An item with tag t then is
  1 + λ / ((1 − λ) p_t) times as likely as one without, p_t being the share of everybody's choices that have it, so that
  a tag that half of all have can't move much, and one that hardly anybody has not everything;
- which items they had more often than everybody, and than the kind alone lets expect, shrunk by ``SHRINK`` choices.

Several wishes are a geometric mean. With few histories λ is near ``UNKNOWN``: whoever asks gets what they ask for.
Logarithms are in nats; ``NAT`` is what one is worth beside the popularity of the blend without training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from palate.kernels import kernel
from palate.state import State
from palate.state.history import kind_at
from palate.types import F32, F64, I32, I64, FieldValue

ASKED = 5
"""Wishes that count: the last ones of a list."""
FIRST = 3
"""First choices of somebody, whose tags they are taken to have asked for."""
NEXT = 20
"""Choices after these that tell what came of it."""
CLEAR = 2
"""Of these so many must have a tag for it to be a taste: one may be by chance."""
LEAST = 6
"""Different items that somebody must have had."""
PEOPLE = 2000
"""Histories that are looked at, at the most."""
COMMON = 100
SHRINK = 50.0
UNKNOWN, _DOUBT = 0.5, 0.25
"""λ before anything is known, and its standard deviation."""
RARE = 0.01
"""Share of everybody's choices that a tag counts as having, at the least; ten times that is a wish that is no tag."""
NAT = 0.55
"""The sum of the prior weights of popularity, each of which is of a log lift."""
_GROWN = 0.25
_KEPT = 2048
_NONE: I32 = np.zeros(0, np.int32)


@dataclass(slots=True)
class Asked:
    """What somebody asked for. codes: tags; texts: (q, d) unit rows, one a wish; words: the same in words; …_worth:
    what each weighs, below 0 where less of it is wanted. kinds: the codes that were said to be liked, and are to be
    looked up by popularity; items: ascending rows that weigh more or less than their tags alone."""

    codes: I32
    texts: F32
    words: list[str]
    code_worth: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    text_worth: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    kinds: I32 = field(default_factory=lambda: _NONE)
    items: I32 = field(default_factory=lambda: _NONE)
    item_worth: F32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def fill(self, rows: I32, out: F32) -> None:
        """Add what ``items`` weigh to candidate ``rows`` (m,); out: (m,), which may be a column."""
        place = np.minimum(np.searchsorted(self.items, rows), len(self.items) - 1)
        found = self.items[place] == rows
        out[found] += self.item_worth[place[found]]


NOTHING = Asked(_NONE, np.zeros((0, 0), np.float32), [])


def texts_of(value: FieldValue | None) -> list[str]:
    """The texts of a field: of a list, or one alone."""
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


@dataclass(slots=True, frozen=True)
class Followed:
    """What came of first choices. keeps: λ; share: (n_tags,) of everybody's choices; items: ascending rows that were
    had; had: (p, NEXT) places among these, −1 for none; began: (p, 2) codes of the first choices, −1 for none."""

    keeps: float
    share: F64
    items: I32
    had: I32
    began: I32

    def tag(self, code: int) -> float:
        """Log odds of an item with the tag against one without, nats."""
        share = max(RARE, float(self.share[code]) if code < len(self.share) else 0.0)
        return float(np.log1p(self.keeps / ((1 - self.keeps) * share)))

    def wish(self) -> float:
        """The same of a wish that is no tag."""
        return float(np.log1p(self.keeps / ((1 - self.keeps) * 10 * RARE)))

    def lifts(self, code: int, tags: I32) -> F64:
        """(items,) nats by which people who began with the tag had each more often than the tag lets expect."""
        n = len(self.items)
        mine = self.had[(self.began == code).any(axis=1)].ravel()
        had = np.bincount(mine[mine >= 0], minlength=n).astype(np.float64)
        everybody = np.bincount(self.had[self.had >= 0], minlength=n)
        share = max(RARE, float(self.share[code]) if code < len(self.share) else 0.0)
        kind = np.where((tags[self.items] == code).any(axis=1), self.keeps / share, 0.0) + 1 - self.keeps
        expected = everybody * (had.sum() / max(1, everybody.sum()))
        return np.log((had / kind + SHRINK) / (expected + SHRINK))


@kernel
def _histories(
    people: I64, start: I64, size: I32, keys: I32, words: I64, wide_start: I64, wide_kinds: I32, signs: I32, tags: I32,
    began: I32, had: I32,
) -> None:  # fmt: skip
    """Of each of ``people`` the two commonest tags that ``CLEAR`` of their first choices have, the one met first where
    two are as common, into ``began`` (p, 2), and the items of the next ones into ``had`` (p, NEXT); both full of −1,
    and left so for whoever had fewer than ``LEAST``."""
    seen = np.empty(FIRST + NEXT, np.int32)
    codes, counts = np.empty(FIRST * tags.shape[1], np.int32), np.empty(FIRST * tags.shape[1], np.int32)
    for one in range(len(people)):
        user = int(people[one])
        first, wide = int(start[user]), int(wide_start[user])
        n = 0
        for at in range(first, first + size[user]):
            if n == len(seen):
                break
            if signs[kind_at(words, at, first, wide_kinds, wide)] <= 0 or keys[at] >= len(tags):
                continue
            new = True
            for place in range(n):
                new = new and seen[place] != keys[at]
            if new:
                seen[n] = keys[at]
                n += 1
        if n < LEAST:
            continue
        for place in range(FIRST, n):
            had[one, place - FIRST] = seen[place]
        met = 0
        for place in range(FIRST):
            for column in range(tags.shape[1]):
                code = tags[seen[place], column]
                if code < 0:
                    continue
                at = 0
                while at < met and codes[at] != code:
                    at += 1
                if at == met:
                    codes[at], counts[at] = code, 0
                    met += 1
                counts[at] += 1
        for slot in range(2):
            best = -1
            for at in range(met):
                if counts[at] >= CLEAR and (best < 0 or counts[at] > counts[best]):
                    best = at
            if best >= 0:
                began[one, slot] = codes[best]
                counts[best] = 0


@kernel
def _kept(began: I32, had: I32, tags: I32, common: I32, of_common: F64, total: float, num: F64, den: F64) -> None:
    """Of each person, over what they asked for: by how many of the ``common`` things they had next (places of ``had``,
    1 where they count) more have the tag than among everybody else's, and by how many could."""
    for one in range(len(began)):
        for slot in range(began.shape[1]):
            code = began[one, slot]
            if code < 0:
                continue
            n, mine = 0, 0
            for place in range(had.shape[1]):
                row = had[one, place]
                if row < 0 or common[row] == 0:
                    continue
                n += 1
                for column in range(tags.shape[1]):
                    if tags[row, column] == code:
                        mine += 1
                        break
            share = (of_common[code] - mine) / max(1.0, total - n)
            num[one] += mine - n * share
            den[one] += n * (1.0 - share)


class Stated:
    """Reads ``likes`` over one state. Under the engine's lock."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._asked: dict[int, tuple[FieldValue, int, Asked]] = {}
        self._values: dict[str, list[int]] = {}
        self._valued = 0
        self._followed: Followed | None = None
        self._lifts: dict[int, F64] = {}
        self._at = (0.0, 0)

    def asked(
        self, user: int, value: FieldValue, names: list[str], meaning: Callable[[str], F32] | None, keep: bool = True
    ) -> Asked:
        """What a ``likes`` field asks for: ``genre:Drama`` is that tag, ``drama`` every tag of that value; both are
        also words, and meaning where there is an encoder. names: of tag codes."""
        kept = self._asked.get(user) if keep else None
        if kept is not None and kept[0] is value and kept[1] == len(names):
            return kept[2]
        codes: dict[int, None] = {}
        words: list[str] = []
        for wish in dict.fromkeys(texts_of(value)[-ASKED:]):
            codes.update(dict.fromkeys(self.codes(wish, names)))
            words.append(wish.split(":", 1)[-1])
        rows = [meaning(word) for word in words] if meaning is not None else []
        texts = np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)
        asked = Asked(np.array(list(codes), np.int32), texts, words)
        if not keep:
            return asked
        if len(self._asked) >= _KEPT:
            self._asked.pop(next(iter(self._asked)))
        self._asked[user] = value, len(names), asked
        return asked

    def codes(self, wish: str, names: list[str]) -> list[int]:
        """The tags that one wish names."""
        for code in range(self._valued, len(names)):
            self._values.setdefault(names[code].split(":", 1)[-1].casefold(), []).append(code)
        self._valued = len(names)
        mine = self._values.get(wish.split(":", 1)[-1].casefold(), [])
        exact = [code for code in mine if names[code].casefold() == wish.casefold()]
        return exact or mine

    def liked(
        self, user: int, value: FieldValue, names: list[str], meaning: Callable[[str], F32] | None, tags: I32,
        signs: I32, fade: float,
    ) -> Asked:  # fmt: skip
        """The same as evidence: what each tag, each item and each wish that names no tag weighs, in the scale of the
        prior. signs: by type of interaction. fade: how much of it is left. Cost: see ``followed``."""
        found = self.asked(user, value, names, meaning)
        told = self.followed(tags, signs)
        wishes = list(dict.fromkeys(texts_of(value)[-ASKED:]))
        plain = [place for place, wish in enumerate(wishes) if not self.codes(wish, names)]
        weight = NAT * fade / max(1, len(found.codes) + len(plain))
        items, worth = told.items[:0], np.zeros(0)
        if len(found.codes) and len(told.items):
            items, worth = told.items, np.zeros(len(told.items))
            for code in found.codes.tolist():
                if code not in self._lifts:
                    self._lifts[code] = told.lifts(code, tags)
                worth += self._lifts[code]
        texts = found.texts[plain] if len(found.texts) else found.texts
        return Asked(
            found.codes, texts, [found.words[place] for place in plain],
            np.array([weight * told.tag(code) for code in found.codes.tolist()], np.float32),
            np.full(len(texts), weight * told.wish(), np.float32),
            found.codes, items, (weight * worth).astype(np.float32),
        )  # fmt: skip

    def followed(self, tags: I32, signs: I32) -> Followed:
        """What came of first choices; taken anew when a quarter more has happened. Cost of that: 5 ms at most."""
        events, codes = float(self.state.totals[0]), int(tags.max()) + 1 if tags.size else 0
        if self._followed is None or events > self._at[0] * (1 + _GROWN) or codes > 2 * self._at[1]:
            self._followed, self._lifts, self._at = self._taken(tags, codes, signs), {}, (events, codes)
        return self._followed

    def _taken(self, tags: I32, codes: int, signs: I32) -> Followed:
        state, h, w = self.state, self.state.history, self.state.wide
        known = min(len(h.start), len(state.user_columns["count"]))
        size = h.size[:known]
        # Of whoever had more than is kept the first choices are gone.
        people = np.flatnonzero((size >= LEAST) & (state.user_columns["count"][:known] <= size))
        if len(people) > PEOPLE:
            people = people[np.linspace(0, len(people) - 1, PEOPLE).astype(np.int64)]
        began, had = np.full((len(people), 2), -1, np.int32), np.full((len(people), NEXT), -1, np.int32)
        if codes:
            _histories(
                people.astype(np.int64), h.start, h.size, h.keys, h.columns["word"], w.start, w.keys, signs, tags,
                began, had,
            )  # fmt: skip
        items, times = np.unique(had[had >= 0], return_counts=True)
        share = np.zeros(codes)
        if not len(items):
            return Followed(UNKNOWN, share, items.astype(np.int32), had, began)
        found = np.zeros(int(items[-1]) + 1, np.int32)
        common = np.sort(np.argsort(-times, kind="stable")[:COMMON])
        found[items[common]] = 1
        of_common = _times_of(items[common], times[common], tags, codes)
        share = _times_of(items, times, tags, codes) / times.sum()
        num, den = np.zeros(len(people)), np.zeros(len(people))
        _kept(began, had, tags, found, of_common, float(times[common].sum()), num, den)
        places = np.where(had >= 0, np.searchsorted(items, had), -1).astype(np.int32)
        return Followed(_keeps(num, den), share, items.astype(np.int32), places, began)


def _times_of(items: I64 | I32, times: I64, tags: I32, codes: int) -> F64:
    """(codes,) how often items with each tag were had."""
    mine = tags[items]
    each = np.repeat(times, mine.shape[1])[mine.ravel() >= 0]
    return np.bincount(mine[mine >= 0], weights=each, minlength=codes).astype(np.float64)


def _keeps(num: F64, den: F64) -> float:
    """λ = Σ num / Σ den over people, less its standard error, weighed with ``UNKNOWN`` by the inverse of both
    variances; in [0, .9]."""
    people, total = np.count_nonzero(den > 0), float(den.sum())
    if people < 2 or total <= 0:
        return UNKNOWN
    found = float(num.sum()) / total
    # Of few people who happen to agree the spread says too little: each is at least half in doubt.
    variance = max(float(np.square(num - found * den).sum()), 0.25 * people) / total**2
    sure, before = 1 / variance, 1 / _DOUBT**2
    return float(np.clip((sure * (found - variance**0.5) + before * UNKNOWN) / (sure + before), 0.0, 0.9))
