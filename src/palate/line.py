"""The fixed line of stages, from a request to scored candidates: query → candidates → filters → features → score.

The engine adds policy, answer and decision log; training and evaluation run the very same line. It reads top to
bottom in ``Line.run``. Nothing vanishes: every stage says what it kept and what it removed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.content.text import tokens
from palate.features import NAMES, NO_EASE, PRIOR, Computer, Neighbours, Query, Subject, column
from palate.features.neighbours import EASE_RECENT, NEAR_20, NEAR_ALL, NEXT_5, NEXT_COS
from palate.filters import Fields, available, compile_filter
from palate.retrieve.fusion import fuse
from palate.retrieve.item_to_item import ItemToItem
from palate.retrieve.recent_popular import RecentPopular
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.state import State
from palate.state.state import subject_of
from palate.types import F32, F64, I32, Bools, Candidate, Candidates, FieldValue, RankRequest, RecommendRequest, Stage

QUERY_COLUMNS = (column("query_words"), column("query_meaning"))
REPEATS = 0.05
"""Repeat rate of the log from which ``seen: auto`` keeps items that the user had before."""
_MASKS = 64


@dataclass(slots=True, frozen=True)
class Model:
    """What ranks: a scorer over the declared features (plus ``context.*`` columns), and EASE neighbours.

    queries: whether the scorer learnt from decisions with queries; where not, the prior weights of the query
    features are added to its score as terms of their own.
    """

    version: str
    scorer: Scorer
    ease: Neighbours = NO_EASE
    context: tuple[str, ...] = ()
    queries: bool = False


def prior_model() -> Model:
    """The blend that works from event one."""
    return Model("prior", LinearScorer(NAMES, PRIOR), queries=True)


@dataclass(slots=True)
class Scored:
    """Candidates with features (m, f) and scores (m,), NaN where not scored; ``removed`` by reason."""

    subject: Subject
    candidates: Candidates
    x: F32
    scores: F64
    seen: str
    stages: list[Stage] = field(default_factory=list[Stage])
    degraded: list[str] = field(default_factory=list[str])
    removed: dict[str, int] = field(default_factory=dict[str, int])
    non_finite: int = 0


class _Clock:
    """Times the stages of one request."""

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages
        self.at = time.perf_counter()

    def ran(self, name: str, counts: dict[str, int] | None = None) -> None:
        now = time.perf_counter()
        self.stages.append(Stage(name, round((now - self.at) * 1000, 4), "ran", counts=counts or {}))
        self.at = now

    def skipped(self, name: str, reason: str) -> None:
        self.stages.append(Stage(name, 0.0, "skipped", reason))


class Line:
    """The stages over one state and catalogue. Not thread-safe: the engine holds its lock."""

    def __init__(self, state: State, catalogue: Catalogue, settings: Settings) -> None:
        self.state = state
        self.catalogue = catalogue
        self.settings = settings
        self.computer = Computer(state)
        self._masks: dict[bytes, tuple[int, int, Bools]] = {}

    def run(self, request: RecommendRequest, now: int, model: Model) -> Scored:
        """Everything up to the scores. ``now``: event time, ms. Errors: ``InvalidInput`` for a bad filter."""
        stages: list[Stage] = []
        clock = _Clock(stages)
        side = self.catalogue.side()
        name = subject_of(request.user, request.session)
        subject = self.computer.subject(-1 if name is None else self.state.users.get(name), side)
        reached = self.computer.reach(subject, model.ease)
        seen = self.seen_mode(request)
        clock.ran("subject", {"history": len(subject.items)})

        query = self._query(request, clock)
        if isinstance(request, RankRequest):
            candidates = self._given(request.items)
            clock.ran("candidates", {"given": len(candidates)})
            candidates, removed = self._filter(candidates, request, subject, seen)
        else:
            candidates, removed = self._retrieve(request, subject, reached, now, query, seen, clock)
        clock.ran("filters", removed | {"kept": len(candidates)})

        known = np.flatnonzero(candidates.rows >= 0)
        rows = candidates.rows[known]
        relevance = self._relevance(query, rows)
        x = self.computer.matrix(subject, rows, side, now, relevance, request.context)
        if model.context:
            x = np.concatenate([x, context_columns(model.context, request.context, len(rows))], axis=1)
        clock.ran("features", {"candidates": len(rows), "features": x.shape[1]})

        scores = np.full(len(candidates), np.nan)
        if len(rows):
            scores[known] = total_score(model, x, query is not None)
        full = np.zeros((len(candidates), x.shape[1]), np.float32)
        full[known] = x
        non_finite = int(np.count_nonzero(~np.isfinite(scores[known])))
        clock.ran("score", {"scored": len(rows), "non_finite": non_finite})
        degraded = ["vectors_pending"] if self.catalogue.pending else []
        return Scored(subject, candidates, full, scores, seen, stages, degraded, removed, non_finite)

    def prepare(self, request: RecommendRequest) -> None:
        """What of a request needs no lock: the query's vector, which takes milliseconds the first time."""
        if request.query and request.query.strip():
            self.catalogue.cache.query(request.query[: self.catalogue.settings.max_chars])

    def seen_mode(self, request: RecommendRequest) -> str:
        """drop or keep. ``auto`` keeps what a caller chose (rank), else follows setting, scene, the log's habits."""
        if request.seen != "auto":
            return request.seen
        if isinstance(request, RankRequest):
            return "keep"
        if self.settings.seen != "auto":
            return self.settings.seen
        scene = self.settings.scene
        if scene in ("video", "news"):
            return "drop"
        return "keep" if scene == "shop" or self.state.repeat_rate >= REPEATS else "drop"

    # ---------------------------------------------------------------------------- query

    def _query(self, request: RecommendRequest, clock: _Clock) -> tuple[list[str], F32] | None:
        if request.query is None or not request.query.strip():
            clock.skipped("query", "no query")
            return None
        words = tokens(request.query)
        meaning = self.catalogue.cache.query(request.query[: self.catalogue.settings.max_chars])
        clock.ran("query", {"words": len(words)})
        return words, meaning

    def _relevance(self, query: tuple[list[str], F32] | None, rows: I32) -> Query | None:
        if query is None:
            return None
        words, meaning = query
        return Query(self.catalogue.words().score(words, rows), self.catalogue.vectors.score(meaning, rows))

    # ----------------------------------------------------------------------- candidates

    def _given(self, items: list[str | Candidate]) -> Candidates:
        ids = [item if isinstance(item, str) else item.id for item in items]
        fields = {n: item.fields for n, item in enumerate(items) if not isinstance(item, str) and item.fields}
        rows = np.array([self.state.items.get(name) for name in ids], np.int32)
        return Candidates(rows, ids, fields, np.zeros(len(ids), np.int64))

    def _retrieve(
        self,
        request: RecommendRequest,
        subject: Subject,
        reached: I32,
        now: int,
        query: tuple[list[str], F32] | None,
        seen: str,
        clock: _Clock,
    ) -> tuple[Candidates, dict[str, int]]:
        """Retrieve from every source that applies, fuse by reciprocal rank; and what the filters took away."""
        sizes = self.settings.retrieve
        allowed, removed = self._allowed(request, subject, seen)
        lists: dict[str, I32] = {}
        if query is not None:
            words, meaning = query
            lists["lexical"] = self.catalogue.words().search(words, sizes.lexical, allowed)[0]
            if np.any(meaning):
                lists["vector"] = self.catalogue.vectors.search(meaning[None], sizes.lexical, allowed)[0][0]
            clock.skipped("taste retrieval", "the query names what is wanted; taste orders it")
        else:
            decayed = self.state.decayed(now)
            for place, label in ((0, "trending"), (2, "popular")):
                lists[label] = RecentPopular(decayed[:, place])(sizes.popular, allowed)[0]
            strengths = self.computer.strengths(reached)
            for label, value in (
                ("next", strengths[:, NEXT_COS] + strengths[:, NEXT_5]),
                ("near", strengths[:, NEAR_20] + strengths[:, NEAR_ALL]),
                ("ease", strengths[:, EASE_RECENT]),
            ):
                lists[label] = ItemToItem(reached, value)(sizes.item_to_item // 2, allowed)[0]
            if seen == "keep" and len(subject.seen):
                worth = np.log1p(subject.seen_count) + 2.0 ** ((subject.seen_last - now) / (30 * 86_400_000.0))
                lists["again"] = ItemToItem(subject.seen, worth)(sizes.again, allowed)[0]
            if len(subject.tastes):
                # The long-term taste, or the interests that make it up, and what the last events say.
                probes = subject.tastes[1:] if len(subject.tastes) > 2 else subject.tastes[::-1]
                found = self.catalogue.vectors.search(probes, sizes.vector // 2, allowed)
                for place, (near, _) in enumerate(found):
                    lists["taste_now" if place == 0 else f"taste_{place}"] = near
            clock.skipped("lexical", "no query")
        rows, _, held, names = fuse(lists, sizes.candidates, sizes.rrf)
        wanted = request.k or 10
        if query is None and len(rows) < wanted:
            newest = self._newest(rows, allowed, wanted - len(rows))
            rows, names = np.concatenate([rows, newest]), (*names, "catalogue")
            held = np.concatenate([held, np.full(len(newest), 1 << (len(names) - 1), np.int64)])
        clock.ran("candidates", {"retrieved": len(rows)} | {name: len(found) for name, found in lists.items()})
        ids = self.state.items.ids
        return Candidates(rows, [ids[row] for row in rows.tolist()], {}, held, names), removed

    def _newest(self, rows: I32, allowed: Bools, n: int) -> I32:
        """``n`` newest catalogue items not in ``rows``, so that a list is full even before the first event."""
        rest = allowed.copy()
        rest[rows] = False
        others = np.flatnonzero(rest)
        return others[np.lexsort((others, -self.state.item("created")[others]))][:n].astype(np.int32)

    # -------------------------------------------------------------------------- filters

    def _allowed(self, request: RecommendRequest, subject: Subject, seen: str) -> tuple[Bools, dict[str, int]]:
        """(n_items,) rows that retrieval may return, and how many each rule took from the catalogue, in this order."""
        allowed = np.ones(self.state.n_items, np.bool_)
        removed: dict[str, int] = {}
        left = len(allowed)

        def count(reason: str) -> None:
            nonlocal left
            now = int(np.count_nonzero(allowed))
            if now < left:
                removed[reason] = left - now
            left = now

        for name in request.exclude:
            row = self.state.items.get(name)
            if row >= 0:
                allowed[row] = False
        count("excluded")
        allowed &= self.state.alive
        count("deleted")
        allowed &= self.catalogue.showable()
        count("unavailable")
        if len(subject.seen):
            allowed[subject.seen[subject.seen_neg > subject.seen_last]] = False
            count("blocked")
            if seen == "drop":
                allowed[subject.seen[subject.seen_count > 0]] = False
                count("seen")
        if request.filter:
            allowed &= self._passing(request.filter)
            count("filter")
        return allowed, removed

    def _passing(self, expression: dict[str, Any]) -> Bools:
        """(n_items,) items that a request's filter lets through; kept until an item changes."""
        key = msgspec.json.encode(expression)
        version, n = self.catalogue.version, self.state.n_items
        cached = self._masks.get(key)
        if cached is None or cached[:2] != (version, n):
            predicate = compile_filter(expression)
            fields = self.state.item_fields
            passing = np.fromiter((predicate(fields.get(row, {})) for row in range(n)), np.bool_, n)
            while len(self._masks) >= _MASKS:
                self._masks.pop(next(iter(self._masks)))
            cached = self._masks[key] = (version, n, passing)
        return cached[2]

    def _filter(
        self, candidates: Candidates, request: RankRequest, subject: Subject, seen: str
    ) -> tuple[Candidates, dict[str, int]]:
        """Drop given candidates that may not be shown, with the count of each reason."""
        predicate = compile_filter(request.filter) if request.filter else None
        if not (request.exclude or candidates.fields or predicate) and self._all_plain(candidates.rows, subject, seen):
            return candidates, {}
        excluded = set(request.exclude)
        dropped = set(subject.seen[subject.seen_count > 0].tolist()) if seen == "drop" else set[int]()
        blocked = set(subject.seen[subject.seen_neg > subject.seen_last].tolist())
        keep: list[int] = []
        removed: dict[str, int] = {}
        for place, (row, name) in enumerate(zip(candidates.rows.tolist(), candidates.ids, strict=True)):
            reason = self._reason(row, name, candidates.fields.get(place), excluded, dropped, blocked)
            if reason is None and predicate is not None and not predicate(self._fields(row, candidates, place)):
                reason = "filter"
            if reason is None:
                keep.append(place)
            else:
                removed[reason] = removed.get(reason, 0) + 1
        if len(keep) == len(candidates):
            return candidates, removed
        return (
            Candidates(
                candidates.rows[keep],
                [candidates.ids[place] for place in keep],
                {n: candidates.fields[place] for n, place in enumerate(keep) if place in candidates.fields},
                candidates.held[keep],
                candidates.retrievers,
            ),
            removed,
        )

    def _all_plain(self, rows: I32, subject: Subject, seen: str) -> bool:
        """Whether no candidate is deleted, unavailable, blocked or seen: the common case, decided without a loop."""
        if not self.catalogue.are_showable(rows[rows >= 0]):
            return False
        gone = subject.seen_neg > subject.seen_last
        if seen == "drop":
            gone = gone | (subject.seen_count > 0)
        return not (gone.any() and np.isin(rows, subject.seen[gone]).any())

    def _fields(self, row: int, candidates: Candidates, place: int) -> Fields:
        return self.state.item_fields.get(row, {}) | candidates.fields.get(place, {})

    def _reason(
        self,
        row: int,
        name: str,
        fields: dict[str, FieldValue] | None,
        excluded: set[str],
        dropped: set[int],
        blocked: set[int],
    ) -> str | None:
        if name in excluded:
            return "excluded"
        if fields is not None and not available(fields):
            return "unavailable"
        if row < 0:
            return None
        if not self.state.alive[row]:
            return "deleted"
        if (fields is None or not {"available", "in_stock"} & fields.keys()) and not available(
            self.state.item_fields.get(row, {})
        ):
            return "unavailable"
        if row in blocked:
            return "blocked"
        return "seen" if row in dropped else None


def context_columns(names: tuple[str, ...], context: dict[str, FieldValue], n: int) -> F32:
    """(n, len(names)) context fields as numbers, equal for every candidate; texts by a stable hash, NaN if absent."""
    values = np.full(len(names), np.nan, np.float32)
    for place, name in enumerate(names):
        value = context.get(name.removeprefix("context."))
        if isinstance(value, bool | int | float):
            values[place] = float(value)
        elif value is not None:
            text = value if isinstance(value, str) else ",".join(value)
            values[place] = sum((at + 1) * byte for at, byte in enumerate(text.encode())) % 4093
    return np.tile(values, (n, 1))


def total_score(model: Model, x: F32, has_query: bool) -> F64:
    """(n,) scores: the scorer's, plus the query terms at their prior weights where it never learnt from queries."""
    if not has_query or model.queries:
        return model.scorer.score(x)
    plain = x.copy()
    plain[:, QUERY_COLUMNS] = 0.0
    return model.scorer.score(plain) + x[:, QUERY_COLUMNS].astype(np.float64) @ PRIOR[list(QUERY_COLUMNS)]


def contributions(model: Model, x: F32, has_query: bool) -> tuple[F64, F64]:
    """(n, f) contributions and (n,) base whose sum is ``total_score``."""
    if not has_query or model.queries:
        return model.scorer.contributions(x)
    plain = x.copy()
    plain[:, QUERY_COLUMNS] = 0.0
    terms, base = model.scorer.contributions(plain)
    for place in QUERY_COLUMNS:
        terms[:, place] += x[:, place].astype(np.float64) * PRIOR[place]
    return terms, base


def warm_up(model: Model) -> None:
    """Build the scorer's tables and compile its kernels before the first request needs them."""
    x = np.zeros((8, len(model.scorer.features)), np.float32)
    model.scorer.score(x)
    model.scorer.score(x[:1])
    model.scorer.contributions(x[:1])
