"""Company: what the people somebody follows had, what they asked for, and what people like them choose.

Three sources of a taste beside a person's own history, each bounded, each nothing for whom it doesn't concern:

- ``follows``, a field of a user with ids of others: what of their newest ``NEWEST`` choices, recency-weighted;
- ``likes``, a field with tags or words: what they ask for, fading as their own history comes;
- people alike: the segments of their fields, and, for a history of a few events, the groups that training found,
  as a difference to everybody's taste, shrunk, and fading too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from palate.features.alike import EVERYBODY, Segments
from palate.features.boosts import Signed, boosts_of
from palate.features.groups import NO_GROUPS, Bound, Groups
from palate.features.stated import ASKED, NOTHING, Asked, Stated, texts_of
from palate.kernels import kernel
from palate.profile import Subject
from palate.state import State
from palate.state.fold import DAY_MS
from palate.state.history import WIDE_TYPE, kind_at, time_of
from palate.state.silence import since
from palate.summary import FIELD as IN_WORDS
from palate.tastes import dot
from palate.types import F32, F64, I32, I64, FieldValue
from palate.wishes import FIELD as WISHES
from palate.wishes import MEMORY

FOLLOWS, LIKES = "follows", "likes"
PRIVATE = (FOLLOWS, LIKES, WISHES, MEMORY, IN_WORDS)
"""Fields of a user that make no segment and tell nothing of an attribute."""
FRIENDS = 50
"""People followed that count: the last ones of the list."""
NEWEST = 20
"""Newest choices of each of them."""
HALF_LIFE = 30.0
"""Days in which what somebody followed had counts half."""
_ASKED_FADE, _ASKED_UNTIL = 5.0, 50
_ALIKE_FADE, _ALIKE_UNTIL = 3.0, 20
_SHRINK = 10.0
_PSEUDO = 0.5
"""What the tastes of a group weigh beside those of a segment that is as sure."""
_KEPT = 2048
_NONE: I32 = np.zeros(0, np.int32)


class Carried(Protocol):
    """A map learnt in another catalogue: ``language.transfer.Map``."""

    @property
    def mean(self) -> F32: ...

    def taste(self, text: F32) -> F32:
        """(d,) v such that (t − mean) · v says how well a text t goes with ``text`` (d,)."""
        ...


@dataclass(slots=True)
class Hints:
    """Of one person at one moment. followed: how many known people they follow; rows (m,) what these had, worth (m,) in
    (0, followed]; fresh: how nearly unknown the person is; asked, weighing ``fade``; alike_tags (n_tags,), alike (d,):
    differences to everybody, empty or faded; carried (d,): the taste by the map of another catalogue, and what it says
    of the mean text.
    """

    followed: int = 0
    rows: I32 = field(default_factory=lambda: _NONE)
    worth: F64 = field(default_factory=lambda: np.zeros(0))
    asked: Asked = field(default_factory=lambda: NOTHING)
    fade: float = 0.0
    fresh: float = 0.0
    alike_tags: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    alike: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    carried: F32 = field(default_factory=lambda: np.zeros(0, np.float32))
    mean: float = 0.0


@kernel
def _had(
    friends: I64, start: I64, size: I32, keys: I32, words: I64, wide_start: I64, wide_kinds: I32, signs: I32,
    until: int, ends: I64, skipped: I64, mark: I32, by: I32, rows: I32, worth: F64,
) -> int:  # fmt: skip
    """What ``friends`` had, each item once a friend: Σ 2^(−age / HALF_LIFE). mark: (n,) zeros; place + 1 after."""
    n = 0
    for one in range(len(friends)):
        user = int(friends[one])
        first, wide = int(start[user]), int(wide_start[user])
        left = int(NEWEST)
        for at in range(first + size[user] - 1, first - 1, -1):
            if left == 0:
                break
            word = words[at]
            kind = (word >> 8) & WIDE_TYPE
            if kind == WIDE_TYPE:  # calls cost more than what they do here
                kind = kind_at(words, at, first, wide_kinds, wide)
            if signs[kind] <= 0:
                continue
            left -= 1
            row = keys[at]
            place = mark[row] - 1
            if place < 0:
                place = n
                rows[n], worth[n], by[n] = row, 0.0, -1
                n += 1
                mark[row] = n
            if by[place] != one:  # newest first: an item's newest time is met first
                by[place] = one
                ts = time_of(word)
                age = max(0, until - ts) if len(ends) == 0 else since(ts, until, ends, skipped)
                worth[place] += np.exp2(-age / (DAY_MS * HALF_LIFE))
    return n


@kernel
def _columns(
    rows: I32, mark: I32, worth: F64, followed: int, tags: I32, codes: I32, code_worth: F32, text_of: I32, vectors: F32,
    asked: F32, text_worth: F32, alike_tags: F32, alike: F32, fresh: float, carried: F32, mean: float, out: F32,
) -> None:  # fmt: skip
    """friends_had, friends_share, friends_new, asked_tags, asked_taste, alike_tags, alike_taste, carried: (m, 8).

    fresh: how much of what friends had is said of somebody nearly unknown. mean: what ``carried`` is of the mean text.
    """
    for m in range(len(rows)):
        row = rows[m]
        if len(mark):
            place = mark[row] - 1
            if place >= 0:
                out[m, 0] = np.log1p(worth[place]) * (1.0 - fresh)
                out[m, 1] = worth[place] / followed * (1.0 - fresh)
                out[m, 2] = np.log1p(worth[place]) * fresh
        if len(codes) or len(alike_tags):
            for place in range(tags.shape[1]):
                code = tags[row, place]
                if code < 0:
                    continue
                for one in range(len(codes)):
                    if codes[one] == code:
                        out[m, 3] += code_worth[one]
                if code < len(alike_tags):
                    out[m, 5] += alike_tags[code]
        text = text_of[row]
        if text >= 0:
            best, worst = np.float32(0.0), np.float32(0.0)
            for one in range(len(asked)):
                near = np.float32(dot(vectors[text], asked[one])) * text_worth[one]
                if text_worth[one] < 0:  # what is unlike something unwanted is not thereby wanted
                    worst = min(worst, near)
                else:
                    best = max(best, near)
            out[m, 4] = best + worst
            if len(alike):
                out[m, 6] = dot(vectors[text], alike)
            if len(carried):
                out[m, 7] = dot(vectors[text], carried) - mean


class Company:
    """Hints and their features over one state. Scratch memory: 4 bytes an item. Under the engine's lock.

    tag_names, meaning, map: the names of tag codes, the unit vector of a text, and what was carried from another
    catalogue; set by whoever has a catalogue.
    enabled: the sources that count, for measuring each by leaving it out.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.segments = Segments(state)
        self.stated = Stated(state)
        self.tag_names: list[str] = []
        self.meaning: Callable[[str], F32] | None = None
        self.map: Carried | None = None
        self.enabled = {"follows", "likes", "segments", "groups", "transfer"}
        self.gains: dict[str, float] = {}
        self._groups: Groups = NO_GROUPS
        self._bound: Bound | None = None
        self._mark: I32 = np.zeros(0, np.int32)
        self._by: I32 = np.zeros(FRIENDS * NEWEST, np.int32)
        self._rows: I32 = np.zeros(FRIENDS * NEWEST, np.int32)
        self._worth: F64 = np.zeros(FRIENDS * NEWEST)
        self._marked = 0
        self._signs: tuple[int, I32] = -1, _NONE
        self._followed: dict[int, tuple[FieldValue, int, I64]] = {}

    def learn(self, groups: Groups, gains: dict[str, float]) -> None:
        """What a trained model knows: groups of tastes, and what each field of people tells of them (nats)."""
        if groups is not self._groups:
            self._groups, self._bound, self.gains = groups, None, gains

    @property
    def groups(self) -> Groups:
        """Those of the model that ranked last."""
        return self._groups

    def asking(self, user: int) -> list[str]:
        """The wishes of a user row, whose texts are to be encoded before ``of``. Needs no lock."""
        found = self.state.user_fields.get(user)
        if not found:
            return []
        return texts_of(found.get(LIKES))[-ASKED:] + [text for text, _ in boosts_of(found.get(WISHES)).words]

    def of(self, subject: Subject, vectors: F32, text_of: I32, tags: I32, n_tags: int, now: int) -> Hints | None:
        """Hints of a subject at ``now`` (ms), None where there are none, which is found at once for most people.

        Cost: ≤ 30 µs with 50 people followed, 5 µs with wishes; 300 µs now and then
        for somebody nearly unknown who said something of themselves (see ``Segments.taste``).
        """
        self._clear()
        fields = self.state.user_fields.get(subject.row) if subject.row >= 0 else None
        near_cold = subject.count <= _ALIKE_UNTIL
        carried = self.map if len(subject.tastes) and "transfer" in self.enabled else None
        said = fields and (near_cold or FOLLOWS in fields or LIKES in fields or WISHES in fields)
        if not said and carried is None and not (near_cold and subject.count and len(self._groups.centres)):
            return None
        hints = Hints(fresh=_ALIKE_FADE / (_ALIKE_FADE + subject.count) if near_cold else 0.0)
        if fields:
            if FOLLOWS in fields and "follows" in self.enabled:
                self._follow(hints, fields[FOLLOWS], subject.row, now)
            if LIKES in fields and "likes" in self.enabled and subject.count < _ASKED_UNTIL:
                hints.fade = _ASKED_FADE / (_ASKED_FADE + subject.count)
                hints.asked = self.stated.liked(
                    subject.row, fields[LIKES], self.tag_names, self.meaning, tags, self.signs(), hints.fade
                )
            if fields.get(WISHES):
                self._said(hints, fields[WISHES], vectors, text_of, tags)
        if near_cold:
            self._alike(hints, subject, vectors, text_of, tags, n_tags)
        if carried is not None:
            hints.carried = carried.taste(subject.tastes[0])
            hints.mean = float(carried.mean @ hints.carried)
        asked = hints.asked
        found = (hints.carried, asked.words, asked.codes, asked.texts, hints.alike_tags, hints.alike)
        return hints if hints.followed or any(map(len, found)) else None

    def columns(self, hints: Hints, rows: I32, vectors: F32, text_of: I32, tags: I32, out: F32) -> None:
        """The eight features of candidate ``rows``, of the hints that ``of`` gave last. out: (m, 8), zeros."""
        mark = self._mark if len(hints.rows) else _NONE
        asked = hints.asked.texts if len(hints.asked.texts) else np.zeros((0, vectors.shape[1]), np.float32)
        alike = hints.alike if len(hints.alike) == vectors.shape[1] else np.zeros(0, np.float32)
        _columns(
            rows, mark, hints.worth, max(1, hints.followed), tags, hints.asked.codes, hints.asked.code_worth, text_of,
            vectors, asked, hints.asked.text_worth, hints.alike_tags, alike, hints.fresh, hints.carried, hints.mean,
            out,
        )  # fmt: skip
        if len(hints.asked.items):
            hints.asked.fill(rows, out[:, 3])

    # --------------------------------------------------------------------------------- follows

    def followed(self, value: FieldValue, user: int) -> I64:
        """Rows of the people whom a ``follows`` field names, the known ones of its last ``FRIENDS``, each once."""
        state = self.state
        kept = self._followed.get(user)
        if kept is not None and kept[0] is value and kept[1] == len(state.users):
            rows = kept[2]
        else:
            names = dict.fromkeys(texts_of(value)[-FRIENDS:])
            rows = np.array([row for row in state.users.find(names) if row is not None and row != user], np.int64)
            if len(self._followed) >= _KEPT:
                self._followed.pop(next(iter(self._followed)))
            self._followed[user] = value, len(state.users), rows
        count = state.user_columns["count"]
        rows = rows[rows < min(len(state.history.start), len(count))]
        return rows[count[rows] > 0]

    def _follow(self, hints: Hints, value: FieldValue, user: int, now: int) -> None:
        friends = self.followed(value, user)
        hints.followed = len(friends)
        if not len(friends):
            return
        state = self.state
        if len(self._mark) < state.n_items:
            self._mark = np.zeros(max(state.n_items, 2 * len(self._mark), 256), np.int32)
        h, w = state.history, state.wide
        self._marked = _had(
            friends, h.start, h.size, h.keys, h.columns["word"], w.start, w.keys, self.signs(),
            *state.silences.arrays(now), self._mark, self._by, self._rows, self._worth,
        )  # fmt: skip
        hints.rows, hints.worth = self._rows[: self._marked], self._worth[: self._marked]

    def _clear(self) -> None:
        if self._marked:
            self._mark[self._rows[: self._marked]] = 0
            self._marked = 0

    def signs(self) -> I32:
        """By type: the sign of its weight."""
        names = self.state.types.ids
        if self._signs[0] != len(names):
            signs = [int(np.sign(self.state.settings.weight(name))) for name in names] or [1]
            self._signs = len(names), np.array(signs, np.int32)
        return self._signs[1]

    # ----------------------------------------------------------------------------------- wishes

    def _said(self, hints: Hints, value: FieldValue, vectors: F32, text_of: I32, tags: I32) -> None:
        """Adds the wishes of a talk to what was asked for; they don't fade, for they are taken back by words."""
        liked = hints.asked
        both = Signed(liked.codes, liked.code_worth, liked.texts, liked.text_worth)
        names, row_of = boosts_of(value), self.state.items.get
        words = [word for text, sign in names.words for word in both.words(self._read(text), sign)]
        for name, sign in names.items:
            both.item(row_of(name), sign, vectors, text_of, tags)
        hints.asked = replace(liked, words=liked.words + words, **both.arrays())
        if both.wants:
            hints.fade = 1.0

    def _read(self, text: str) -> Asked:
        return self.stated.asked(-1, [text], self.tag_names, self.meaning, False)

    # ----------------------------------------------------------------------------------- alike

    def _alike(self, hints: Hints, subject: Subject, vectors: F32, text_of: I32, tags: I32, n_tags: int) -> None:
        fade = _ALIKE_FADE / (_ALIKE_FADE + subject.count)
        shares, text = np.zeros(n_tags, np.float32), np.zeros(vectors.shape[1], np.float32)
        some = False
        keys = self.segments.of(subject.row) if "segments" in self.enabled and subject.row >= 0 else []
        keys = [key for key in keys if key[0] not in PRIVATE]
        if self.gains:
            keys = [key for key in keys if self.gains.get(key[0], 0.0) > 0]
        if keys:
            place = vectors, text_of, tags, n_tags, self.signs()
            everybody = self.segments.taste(EVERYBODY, *place)
            total = sum(self.gains.get(name, 0.0) for name, _ in keys)
            for key in keys if everybody is not None else ():
                taste = self.segments.taste(key, *place)
                if taste is None or everybody is None:
                    continue
                share = self.gains[key[0]] / total if total > 0 else 1 / len(keys)
                weight = np.float32(fade * np.sqrt(share) * taste.people / (taste.people + _SHRINK))
                shares += weight * (taste.tags - everybody.tags)
                text += weight * (taste.text - everybody.text)
                some = True
        if "groups" in self.enabled and subject.count and len(self._groups.centres):
            if self._bound is None or not self._bound.fits(self.tag_names):
                self._bound = self._groups.bind(self.tag_names)
            found = self._bound.of(subject, vectors, text_of)
            if found is not None:
                sure, group_tags, group_text = found
                weight = np.float32(_PSEUDO * sure * fade)
                shares[: len(group_tags)] += weight * group_tags
                if len(group_text) == len(text):
                    text += weight * group_text
                some = True
        if some:
            hints.alike_tags, hints.alike = shares, text
