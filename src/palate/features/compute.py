"""From a subject and candidates to the feature matrix (m, f), float32, columns as declared."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from palate.features import neighbours
from palate.features.declared import NAMES, column
from palate.features.neighbours import CHANNELS, NO_EASE, Neighbours
from palate.kernels import kernel
from palate.profile import Subject, subject_of_row
from palate.state import State
from palate.state.fold import DAY_MS, bucket_of
from palate.state.rows import find
from palate.types import F32, F64, I32, I64, FieldValue

HOUR_MS = 3_600_000.0
_NEXT_1 = column("next_1")
_CACHE = 2048


@dataclass(slots=True)
class ItemSide:
    """What is known of the items' content: vectors (t, d) unit rows of distinct texts, text_of (n,) text row or −1,
    tags (n, w) codes or −1, n_tags how many codes there are. version: changes whenever any of these does; placed: only
    when an item has another vector."""

    vectors: F32
    text_of: I32
    tags: I32
    n_tags: int
    version: int = 0
    placed: int = 0


@dataclass(slots=True)
class Query:
    """A query against the candidates: words (m,) BM25, meaning (m,) cosine."""

    words: F32
    meaning: F32


@kernel
def _again(rows: I32, keys: I32, count: I32, ages: I64, start: int, cap: int, total: float, out: F32) -> None:
    """Columns again_count, again_share, again_day, again_month, again_gap of every candidate. out: (m, 5).

    ages: (cap,) ms since the last time, of the entries of the row.
    """
    for m in range(len(rows)):
        slot = find(keys, start, cap, rows[m])
        if slot < 0 or count[slot] <= 0:
            continue
        days = ages[slot - start] / 86_400_000.0
        out[m, 0] = np.log1p(count[slot])
        out[m, 1] = count[slot] / max(1.0, total)
        out[m, 2] = 2.0 ** (-days)
        out[m, 3] = 2.0 ** (-days / 30.0)
        out[m, 4] = np.log1p(days * 24.0)


def _within(value: FieldValue | None, high: float, default: float) -> float:
    """A number of the context in [0, high], or ``default`` where it isn't one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        return default
    return float(value)


class Computer:
    """Computes subjects and features over one state. Holds scratch memory: one per engine, under its lock."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._scratch: F64 = np.zeros((0, CHANNELS), np.float64)
        self._mark: I32 = np.zeros(0, np.int32)
        self._touched: I32 = np.zeros(0, np.int32)
        self._n = 0
        self._subjects: OrderedDict[int, tuple[tuple[float, ...], Subject]] = OrderedDict()

    def subject(self, user: int, side: ItemSide) -> Subject:
        """The subject of user row ``user`` (−1: nobody), from the cache where nothing changed."""
        state = self.state
        if user < 0 or user >= len(state.user_columns["count"]):
            return subject_of_row(state, -1, side.vectors, side.text_of, side.tags, side.n_tags)
        start, stop = state.history.span(user)
        newest = int(state.history.columns["key"][stop - 1]) if stop > start else 0
        rated = float(state.totals[4]) if state.user_columns["ratings"][user] else 0.0
        raters = int(state.totals[3]) if state.user_columns["ratings"][user] else 0
        version = (
            int(state.user_columns["count"][user]), stop - start, newest, raters, rated, side.placed, side.n_tags,
        )  # fmt: skip
        cached = self._subjects.get(user)
        if cached is not None and cached[0] == version:
            self._subjects.move_to_end(user)
            return cached[1]
        subject = subject_of_row(state, user, side.vectors, side.text_of, side.tags, side.n_tags)
        self._subjects[user] = (version, subject)
        if len(self._subjects) > _CACHE:
            self._subjects.popitem(last=False)
        return subject

    def forget(self) -> None:
        """Drop cached subjects (item vectors or tags changed)."""
        self._subjects.clear()

    def reach(self, subject: Subject, ease: Neighbours = NO_EASE) -> I32:
        """Rows that the history reaches through pairs and EASE; their strengths stay until the next call."""
        state = self.state
        neighbours.clear(self._scratch, self._touched, self._n, self._mark)
        n = state.n_items
        if len(self._mark) < n:
            size = max(n, 2 * len(self._mark), 256)
            self._scratch = np.zeros((size, CHANNELS), np.float64)
            self._mark = np.zeros(size, np.int32)
            self._touched = np.zeros(size, np.int32)
        pairs = state.pairs
        self._n = neighbours.accumulate(
            subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
            pairs.cap, state.item_columns["count"], ease.indptr, ease.indices, ease.values,
            self._scratch, self._touched, self._mark,
        )  # fmt: skip
        return self._touched[: self._n]

    def strengths(self, rows: I32) -> F64:
        """(m, 10) item-to-item strengths of rows, after ``reach``; columns as in ``neighbours``."""
        return self._scratch[rows]

    def parts(self, subject: Subject, row: int, ease: Neighbours = NO_EASE) -> F64:
        """(10, h): what each history entry gives to one item."""
        pairs = self.state.pairs
        return neighbours.parts(
            row, subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"], pairs.start,
            pairs.cap, self.state.item_columns["count"], ease.indptr, ease.indices, ease.values,
        )  # fmt: skip

    def matrix(
        self,
        subject: Subject,
        rows: I32,
        side: ItemSide,
        now: int,
        query: Query | None = None,
        context: dict[str, FieldValue] | None = None,
    ) -> F32:
        """Features of candidate ``rows`` (m,) at ``now`` (ms), after ``reach(subject)``. (m, f) float32.

        Cost: about 0.3 ms for 400 candidates. Rows must be known (≥ 0).
        """
        x = np.zeros((len(rows), len(NAMES)), np.float32)
        if len(rows):
            self._popularity(x, rows, now)
            x[:, _NEXT_1 : _NEXT_1 + CHANNELS] = np.arcsinh(1000.0 * self._scratch[rows])
            self._content(x, subject, rows, side)
            self._again(x, subject, rows, now)
            if query is not None:
                x[:, column("query_words")] = query.words
                x[:, column("query_meaning")] = query.meaning
            self._person(x, subject, now, context or {})
        return x

    def _popularity(self, x: F32, rows: I32, now: int) -> None:
        state = self.state
        n = max(1, state.n_items)
        counts = state.item_columns["count"][rows]
        mean = state.totals[1] / n
        x[:, column("pop_all")] = np.log((counts + 0.5) / (mean + 0.5))
        since = state.silences.since
        days = np.maximum(0, state.silences.live(now) - state.item_columns["decayed_ts"][rows]) / DAY_MS
        decayed = state.item_columns["decayed"][rows] * np.exp2(-days[:, None] / state.half_lives)
        means = state.decayed_totals(now) / n
        first = column("pop_short")
        lift = np.log((decayed + 0.05) / (means + 0.05))
        x[:, first : first + 3] = lift
        x[:, column("trend")] = lift[:, 0] - lift[:, 2]
        seen_first = state.item_columns["first"][rows]
        created = state.item_columns["created"][rows]
        born = np.where(seen_first > 0, np.where(created > 0, np.minimum(created, seen_first), seen_first), created)
        x[:, column("age")] = np.log1p(since(np.where(born > 0, born, now), now) / DAY_MS)
        last = state.item_columns["last"][rows]
        x[:, column("idle")] = np.where(last > 0, np.log1p(since(last, now) / DAY_MS), 9.0)
        shown = state.item_columns["shown"][rows]
        x[:, column("click_rate")] = np.where(shown > 0, np.log((counts + 1.0) / (shown + 10.0)), 0.0)
        bucket = bucket_of(now)
        share = (state.bucket_totals[bucket] + 1.0) / (state.bucket_totals.sum() + 8.0)
        mine = state.item_columns["buckets"][rows, bucket]
        x[:, column("daypart")] = np.log((mine + 10.0 * share) / ((counts + 10.0) * share))

    def _content(self, x: F32, subject: Subject, rows: I32, side: ItemSide) -> None:
        texts = side.text_of[rows]
        probes = [subject.tastes, subject.last, subject.disliked]
        if len(side.vectors) and any(map(len, probes)):
            stacked = np.concatenate(probes)
            # einsum, not BLAS: threads that wake for so small a product cost more than they save.
            cosines = np.einsum("md,qd->mq", side.vectors[texts], stacked)
            cosines[texts < 0] = 0.0
            n_tastes, n_last = len(subject.tastes), len(subject.last)
            if n_tastes:
                x[:, column("taste_long")] = cosines[:, 0]
                x[:, column("taste_short")] = cosines[:, 1]
                x[:, column("taste_interest")] = cosines[:, 2 if n_tastes > 2 else 0 : n_tastes].max(axis=1)
                x[:, column("taste_last")] = cosines[:, n_tastes : n_tastes + n_last].max(axis=1)
            if len(subject.disliked):
                x[:, column("dislike")] = np.maximum(0.0, cosines[:, n_tastes + n_last :].max(axis=1))
        if side.n_tags and len(subject.tags_long):
            codes = side.tags[rows]
            x[:, column("tags_long")] = np.where(codes >= 0, subject.tags_long[codes], 0.0).sum(axis=1)
            x[:, column("tags_short")] = np.where(codes >= 0, subject.tags_short[codes], 0.0).sum(axis=1)

    def _again(self, x: F32, subject: Subject, rows: I32, now: int) -> None:
        if not len(subject.seen):
            return
        seen = self.state.seen
        first = column("again_count")
        start, cap = int(seen.start[subject.row]), int(seen.cap[subject.row])
        ages = self.state.silences.since(seen.columns["last"][start : start + cap], now)
        _again(
            rows, seen.keys, seen.columns["count"], ages, start, cap, float(subject.seen_count.sum()),
            x[:, first : first + 5],
        )  # fmt: skip

    def _person(self, x: F32, subject: Subject, now: int, context: dict[str, FieldValue]) -> None:
        x[:, column("user_count")] = np.log1p(subject.count)
        x[:, column("user_repeats")] = subject.repeats
        if len(subject.ts):
            x[:, column("user_idle")] = np.log1p(self.state.silences.since(subject.ts[:1], now)[0] / HOUR_MS)
            x[:, column("session_length")] = np.log1p(np.count_nonzero(subject.ts > now - HOUR_MS / 2))
        x[:, column("hour")] = _within(context.get("hour"), 24.0, now // 3_600_000 % 24)
        x[:, column("weekday")] = _within(context.get("weekday"), 7.0, (now // 86_400_000 + 3) % 7)
