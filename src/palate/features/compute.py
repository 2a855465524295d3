"""From a subject and candidates to the feature matrix (m, f), float32, columns as declared."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from palate.features import columns, neighbours, said, speakers
from palate.features.company import Company, Hints
from palate.features.declared import NAMES, column
from palate.features.neighbours import CHANNELS, NO_EASE, Neighbours
from palate.features.signals import Signals
from palate.features.wording import NO_WORDS, Wording, shared
from palate.profile import Subject, subject_of_row, weight_table
from palate.state import State
from palate.state.fold import bucket_of
from palate.tastes import NEWEST_DECAY
from palate.types import F32, F64, I32, I64, FieldValue

HOUR_MS = 3_600_000.0
_POPULARITY = column("pop_all")
_NEXT_1 = column("next_1")
_SESSION = column("near_session")
_CONTENT = column("taste_long")
_TAGS = column("tags_long")
_AGAIN = column("again_count")
_QUERY = column("query_words")
_PERSON = column("user_count")
_COMPANY = column("friends_had")
_SAID = column("said")
_CACHE = 2048


@dataclass(slots=True)
class ItemSide:
    """What is known of the items' content: vectors (t, d) unit rows of distinct texts, text_of (n,) text row or −1,
    tags (n, w) codes or −1, n_tags how many codes there are. version: changes whenever any of these does; placed: only
    when an item has another vector. wording: the words of the texts."""

    vectors: F32
    text_of: I32
    tags: I32
    n_tags: int
    version: int = 0
    placed: int = 0
    wording: Wording = NO_WORDS


@dataclass(slots=True)
class Query:
    """A query against the candidates: words (m,) BM25, meaning (m,) cosine."""

    words: F32
    meaning: F32


def _within(value: FieldValue | None, high: float, default: float) -> float:
    """A number of the context in [0, high], or ``default`` where it isn't one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        return default
    return float(value)


class Computer:
    """Computes subjects and features over one state. Holds scratch memory: one per engine, under its lock."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.company = Company(state)
        self._only: I32 = np.zeros(0, np.int32)
        self._subjects: OrderedDict[int, tuple[tuple[float, ...], Subject]] = OrderedDict()
        self._weights: F64 = np.zeros(0)
        self._weighed = -1

    @property
    def weights(self) -> F64:
        """(n,) the weight of each interaction type that the state knows."""
        names = self.state.types.ids
        if self._weighed != len(names):
            self._weights, self._weighed = weight_table(self.state.settings, names), len(names)
        return self._weights

    def subject(self, user: int, side: ItemSide) -> Subject:
        """The subject of user row ``user`` (−1: nobody), from the cache where nothing changed."""
        state = self.state
        if user < 0 or user >= len(state.user_columns["count"]):
            return subject_of_row(state, -1, side.vectors, side.text_of, side.tags, side.n_tags, self.weights)
        start, stop = state.history.span(user)
        newest = int(state.history.columns["tie"][stop - 1]) if stop > start else 0
        rated = float(state.totals[4]) if state.user_columns["ratings"][user] else 0.0
        raters = int(state.totals[3]) if state.user_columns["ratings"][user] else 0
        version = (
            int(state.user_columns["count"][user]), stop - start, newest, raters, rated, side.placed, side.n_tags,
        )  # fmt: skip
        cached = self._subjects.get(user)
        if cached is not None and cached[0] == version:
            self._subjects.move_to_end(user)
            return cached[1]
        subject = subject_of_row(state, user, side.vectors, side.text_of, side.tags, side.n_tags, self.weights)
        self._subjects[user] = (version, subject)
        if len(self._subjects) > _CACHE:
            self._subjects.popitem(last=False)
        return subject

    def hints(self, subject: Subject, side: ItemSide, now: int) -> Hints | None:
        """What others and the person's own words say of their taste; None for most people (see ``Company.of``)."""
        return self.company.of(subject, side.vectors, side.text_of, side.tags, side.n_tags, now)

    def forget(self) -> None:
        """Drop cached subjects (item vectors or tags changed)."""
        self._subjects.clear()

    def parts(self, subject: Subject, row: int, ease: Neighbours = NO_EASE) -> F64:
        """(13, h): what each history entry gives to one item."""
        pairs = self.state.pairs
        return neighbours.parts(
            row, subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
            pairs.cap, self.state.item_columns["count"], *ease, subject.session,
        )  # fmt: skip

    def liking(self, subject: Subject, row: int, side: ItemSide, taste: str) -> F64 | None:
        """(h,) what each history entry gives to a taste feature of one item; None where the item has no text."""
        text = int(side.text_of[row])
        if text < 0:
            return None
        window, decay = speakers.TASTES[taste]
        interest = -1
        if taste == "taste_interest" and len(subject.tastes) > 2:
            interest = int(np.argmax(subject.tastes[2:] @ side.vectors[text]))
        return speakers.liking(
            row, window, decay, interest, subject.items, subject.weights, subject.interest_of, side.text_of,
            side.vectors,
        )  # fmt: skip

    def worded(self, subject: Subject, row: int, side: ItemSide) -> F32:
        """(≤5,) how much of the words of each of the newest texts an item has, fading: the largest is its feature."""
        words, found = side.wording, np.zeros((len(subject.last), 2), np.float32)
        for place in range(len(found)):
            shared(
                side.text_of[row : row + 1].astype(np.int64), words.codes, words.frequency, words.texts,
                subject.last[place : place + 1], 1.0, found[place : place + 1],
            )  # fmt: skip
        fading: F32 = (NEWEST_DECAY ** np.arange(len(found))).astype(np.float32)
        return found[:, 0] * fading

    def speak(
        self, subject: Subject, rows: I32, weights: F64, x: F32, side: ItemSide, ease: Neighbours, out: I32
    ) -> None:
        """Which features, and whom of the history, speak for ``rows`` (k,): see ``speakers.speak``. out: (k, 2, 3)."""
        pairs = self.state.pairs
        speakers.speak(
            rows, weights, x, subject.items, subject.weights, subject.interest_of, subject.tastes, subject.tags_long,
            side.text_of, side.vectors, side.tags, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
            pairs.cap, self.state.item_columns["count"], *ease, subject.session, out,
        )  # fmt: skip

    def strengths_of(self, subject: Subject, rows: I32, ease: Neighbours = NO_EASE) -> F64:
        """(m, 13) what ``Reach`` gives for ``rows``, without looking at what else is reached."""
        state = self.state
        if len(self._only) < state.n_items:
            self._only = np.zeros(max(state.n_items, 2 * len(self._only), 256), np.int32)
        pairs = state.pairs
        out = np.zeros((len(rows), CHANNELS), np.float64)
        neighbours.gather(
            rows, subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
            pairs.cap, state.item_columns["count"], *ease, subject.session, self._only, out,
        )  # fmt: skip
        return out

    def matrix(
        self,
        subject: Subject,
        rows: I32,
        side: ItemSide,
        now: int,
        strengths: F64,
        query: Query | None = None,
        context: dict[str, FieldValue] | None = None,
        signals: Signals | None = None,
        hints: Hints | None = None,
    ) -> F32:
        """Features of candidate ``rows`` (m,) at ``now`` (ms). (m, f) float32. Rows must be known (≥ 0).

        strengths: (m, 13) of these rows, from ``strengths_of`` or ``Reach.of``. signals: of this person. hints: the
        last that ``hints`` gave. Cost: O(m).
        """
        x = np.zeros((len(rows), len(NAMES)), np.float32)
        if len(rows):
            live = self.state.silences.arrays(now)
            self._popularity(x, rows, now, live)
            columns.compressed(strengths, x[:, _NEXT_1 : _NEXT_1 + CHANNELS])
            if subject.session and now - int(subject.ts[0]) > columns.HALF_HOUR_MS:  # it has ended
                x[:, _SESSION] = 0.0
            if len(side.vectors):
                words = side.wording
                columns.content(
                    rows, side.text_of, side.vectors, words.codes, words.frequency, words.texts,
                    subject.tastes, subject.last, subject.disliked, x[:, _CONTENT : _CONTENT + 7],
                )  # fmt: skip
            if side.n_tags and len(subject.tags_long):
                columns.tags(rows, side.tags, subject.tags_long, subject.tags_short, x[:, _TAGS : _TAGS + 2])
            if len(subject.seen):
                columns.again(
                    rows, *live, subject.seen, subject.seen_at, subject.seen_count, subject.seen_last,
                    float(subject.seen_total), subject.gaps, subject.gaps_sum, self.state.item_columns["gaps"],
                    self.state.totals, x[:, _AGAIN : _AGAIN + 7],
                )  # fmt: skip
            if signals is not None:
                signals.fill(subject, rows, now, x)
            if query is not None:
                x[:, _QUERY] = query.words
                x[:, _QUERY + 1] = query.meaning
            self._person(x, subject, now, context or {})
            if hints is not None:
                into = x[:, _COMPANY : _COMPANY + 8]
                self.company.columns(hints, rows, side.vectors, side.text_of, side.tags, into)
            if len(self.state.said_of):
                said.fill(self.state, subject.row, rows, now, x[:, _SAID : _SAID + 3])
        return x

    def _popularity(self, x: F32, rows: I32, now: int, live: tuple[int, I64, I64]) -> None:
        state = self.state
        item = state.item_columns
        columns.popularity(
            rows, now, *live, item["count"], item["decayed"], item["decayed_ts"], state.half_lives, item["first"],
            item["created"], item["last"], item["shown"], item["buckets"], bucket_of(now), state.totals,
            state.bucket_totals, state.n_items, x[:, _POPULARITY : _POPULARITY + 9],
        )  # fmt: skip

    def _person(self, x: F32, subject: Subject, now: int, context: dict[str, FieldValue]) -> None:
        live = self.state.silences.live
        idle = max(0, live(now) - live(int(subject.ts[0]))) / HOUR_MS if len(subject.ts) else 0.0
        state = self.state
        columns.person(
            subject.ts, now, float(subject.count), subject.repeats, idle,
            _within(context.get("hour"), 24.0, now // 3_600_000 % 24),
            _within(context.get("weekday"), 7.0, (now // 86_400_000 + 3) % 7),
            subject.items, subject.weights, state.item_columns["count"], float(state.totals[1]), state.n_items,
            x[:, _POPULARITY], x[:, _PERSON : _PERSON + 8],
        )  # fmt: skip
