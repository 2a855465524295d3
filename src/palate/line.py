"""The fixed line of stages, from a request to scored candidates: query → candidates → filters → features → score.

The engine adds policy, answer and decision log; training and evaluation run the very same line. It reads top to
bottom in ``Line.run``. Nothing vanishes: every stage says what it kept and what it removed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.content.text import tokens
from palate.features import (
    NAMES,
    NO_EASE,
    NO_GROUPS,
    NO_LIFTS,
    OWN,
    PRIOR,
    Computer,
    Crowd,
    Groups,
    ItemSide,
    Neighbours,
    Placed,
    Query,
    Reach,
    SegmentLifts,
    Signals,
    Subject,
    column,
)
from palate.features.off import Off, off
from palate.language.gate import RULE, Gate
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.score.shift import Shift
from palate.sourcing import REPEATS, Sourcing
from palate.state import State
from palate.state.state import subject_of
from palate.types import F32, F64, I32, Candidates, FieldValue, RankRequest, RecommendRequest, Stage

QUERY_COLUMNS = (column("query_words"), column("query_meaning"))
_OWN = slice(OWN[0], OWN[-1] + 1)
_COUNT = column("user_count")
_MASKS = 64
_LARGEST = 1e18
"""Numbers of a context are cut to this, so that no product of theirs is infinite."""


@dataclass(slots=True, frozen=True)
class Model:
    """What ranks: a scorer over the declared features (plus ``context.*`` columns), and what else was learnt.

    queries: whether the scorer learnt from decisions with queries; where not, the prior weights of the query features
    are added to its score as terms of their own. note: what every answer says of it in ``degraded``, or ''. scale: of
    the scorer's scores, over the prior's; strangers: the same for people without a history. groups, gains: for people
    nearly unknown, see ``features.company.Company.learn``. people, topics: a ``people.attributes.People`` and a
    ``content.taxonomy.Taxonomy``, or None; they rank nothing. gate: whom a language model is asked about
    (``reranking``).
    """

    version: str
    scorer: Scorer
    ease: Neighbours = NO_EASE
    context: tuple[str, ...] = ()
    queries: bool = False
    note: str = ""
    lifts: SegmentLifts = NO_LIFTS
    towers: tuple[Placed, ...] = ()
    scale: float = 1.0
    strangers: float = 1.0
    groups: Groups = NO_GROUPS
    gains: dict[str, float] = field(default_factory=dict[str, float])
    people: object = None
    topics: object = None
    gate: Gate = RULE


def prior_model() -> Model:
    """The blend that works from event one."""
    return Model("prior", LinearScorer(NAMES, PRIOR), queries=True)


@dataclass(slots=True)
class Scored:
    """Candidates with features (m, f) and scores (m,), NaN where not scored; ``removed`` by reason; off:
    features that read 0 because they are switched off; moved: (m,) of each score what was learnt online, if anything.
    """

    subject: Subject
    side: ItemSide
    candidates: Candidates
    x: F32
    scores: F64
    seen: str
    stages: list[Stage] = field(default_factory=list[Stage])
    degraded: list[str] = field(default_factory=list[str])
    removed: dict[str, int] = field(default_factory=dict[str, int])
    non_finite: int = 0
    off: frozenset[str] = frozenset()
    moved: F64 | None = None


class _Clock:
    """Times the stages of one request."""

    def __init__(self, stages: list[Stage]) -> None:
        self.stages = stages
        self.at = time.perf_counter()

    def ran(self, name: str, counts: dict[str, int] | None = None) -> None:
        now = time.perf_counter()
        self.stages.append(Stage(name, round((now - self.at) * 1000, 4), "ran", None, counts or {}))
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
        self.computer.company.tag_names = catalogue.tags.ids
        self.computer.company.meaning = catalogue.cache.query
        self.computer.company.map = catalogue.cache.transfer
        self.off: Off = off(settings.features.off)
        self.reach = Reach(state)
        self.crowd = Crowd(state)
        self.sourcing = Sourcing(state, catalogue, settings)
        self.shift: Shift | None = None
        """What was learnt of the scores of one model while it served."""

    def run(self, request: RecommendRequest, now: int, model: Model, other: Subject | None = None) -> Scored:
        """Everything up to the scores. ``now``: event time, ms. Errors: ``InvalidInput`` for a bad filter.

        other: the person with another history than the state's, for asking what would be (``explaining``).
        """
        stages: list[Stage] = []
        clock = _Clock(stages)
        side = self.catalogue.side()
        name = subject_of(request.user, request.session)
        row = -1 if name is None else self.state.users.get(name)
        subject = self.computer.subject(row, side) if other is None else other
        self.crowd.follow(subject)
        signals = Signals(model.lifts, model.lifts.of(self.state.user_fields.get(row)), self.crowd, model.towers)
        self.computer.company.learn(model.groups, model.gains)
        hints = self.computer.hints(subject, side, now)
        seen = self.seen_mode(request)
        for placed in model.towers:
            placed.follow(self.catalogue.vectors, self.state.n_items)
        clock.ran("subject", {"history": len(subject.items)})
        held = self.sourcing.wished.of(row)
        if held is not None:
            clock.ran("wishes", held.counts())

        query = self._query(request, clock)
        if isinstance(request, RankRequest):
            candidates = self.sourcing.given(request.items)
            clock.ran("candidates", {"given": len(candidates)})
            candidates, removed = self.sourcing.filtered(candidates, request, subject, seen)
        else:
            if query is None:
                clock.skipped("lexical", "no query")
            else:
                clock.skipped("taste retrieval", "the query names what is wanted; taste orders it")
            self.reach.follow(subject, model.ease)
            candidates, counts, removed = self.sourcing.retrieved(
                request, subject, self.reach, now, query, seen, signals, hints
            )
            clock.ran("candidates", counts)
        clock.ran("filters", removed | {"kept": len(candidates)})

        known = np.flatnonzero(candidates.rows >= 0)
        every = len(known) == len(candidates)
        rows = candidates.rows if every else candidates.rows[known]
        relevance = self._relevance(query, rows)
        if isinstance(request, RankRequest):
            strengths = self.computer.strengths_of(subject, rows, model.ease)
        else:
            strengths = self.reach.of(rows)
        x = self.computer.matrix(subject, rows, side, now, strengths, relevance, request.context, signals, hints)
        if self.off:
            x[:, self.off.columns] = 0.0
        if model.context:
            x = np.concatenate([x, context_columns(model.context, request.context, len(rows))], axis=1)
        clock.ran("features", {"candidates": len(rows), "features": x.shape[1]})

        own = hints is not None  # nothing else writes those columns
        scores = total_score(model, x, query is not None, own) if len(rows) else np.zeros(0)
        non_finite = len(scores) - int(np.count_nonzero(np.isfinite(scores)))
        moved = None
        if self.shift is not None and self.shift.version == model.version and len(rows):
            moved = self.shift.of(x)
            scores = scores + moved
        if not every:
            few, x, scores = (
                (x, scores),
                np.zeros((len(candidates), x.shape[1]), np.float32),
                np.full(len(candidates), np.nan),
            )
            x[known], scores[known] = few
            if moved is not None:
                few_moved, moved = moved, np.zeros(len(candidates))
                moved[known] = few_moved
        clock.ran("score", {"scored": len(rows), "non_finite": non_finite})
        degraded = ["vectors_pending"] if self.catalogue.pending else []
        if model.note:
            degraded.append(model.note)
        if query is not None and not self.catalogue.cache.answered(self._asked(request)):
            degraded.append("query_not_encoded")
        left = self.off.names
        return Scored(subject, side, candidates, x, scores, seen, stages, degraded, removed, non_finite, left, moved)

    def prepare(self, request: RecommendRequest) -> None:
        """What of a request needs no lock: the query's vector, which takes milliseconds the first time."""
        if request.query and request.query.strip():
            self.catalogue.cache.query(self._asked(request))
        name = subject_of(request.user, request.session)
        if name is not None:
            for wish in self.computer.company.asking(self.state.users.get(name)):
                self.catalogue.cache.query(wish.split(":", 1)[-1])

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
        meaning = self.catalogue.cache.query(self._asked(request))
        clock.ran("query", {"words": len(words)})
        return words, meaning

    def _asked(self, request: RecommendRequest) -> str:
        """The part of the query that is encoded."""
        return (request.query or "")[: self.catalogue.settings.max_chars]

    def _relevance(self, query: tuple[list[str], F32] | None, rows: I32) -> Query | None:
        if query is None:
            return None
        words, meaning = query
        return Query(self.catalogue.words().score(words, rows), self.catalogue.vectors.score(meaning, rows))


def context_columns(names: tuple[str, ...], context: dict[str, FieldValue], n: int) -> F32:
    """(n, len(names)) context fields as numbers, equal for every candidate; texts by a stable hash, NaN if absent."""
    values = np.full(len(names), np.nan, np.float32)
    for place, name in enumerate(names):
        value = context.get(name.removeprefix("context."))
        if isinstance(value, bool | int | float):
            values[place] = max(-_LARGEST, min(_LARGEST, float(value)))
        elif value is not None:
            text = value if isinstance(value, str) else ",".join(value)
            values[place] = sum((at + 1) * byte for at, byte in enumerate(text.encode())) % 4093
    return np.tile(values, (n, 1))


def total_score(model: Model, x: F32, has_query: bool, own: bool = True) -> F64:
    """(n,) scores: the scorer's, plus the terms of their own: ``OWN``, and those of the query where it never learnt
    from queries, at their prior weights. own: False where the columns ``OWN`` are known to be 0."""
    weights = _own_terms(model, x, has_query, own)
    if weights is None:
        return model.scorer.score(x)
    plain = x.copy()
    plain[:, list(weights)] = 0.0
    return model.scorer.score(plain) + x[:, list(weights)].astype(np.float64) @ np.array(list(weights.values()))


def contributions(model: Model, x: F32, has_query: bool) -> tuple[F64, F64]:
    """(n, f) contributions and (n,) base whose sum is ``total_score``."""
    weights = _own_terms(model, x, has_query)
    if weights is None:
        return model.scorer.contributions(x)
    plain = x.copy()
    plain[:, list(weights)] = 0.0
    terms, base = model.scorer.contributions(plain)
    for place, weight in weights.items():
        terms[:, place] += x[:, place].astype(np.float64) * weight
    return terms, base


def _own_terms(model: Model, x: F32, has_query: bool, own: bool = True) -> dict[int, float] | None:
    """Weights of the columns that the scorer doesn't see, None where all of them are 0."""
    weights: dict[int, float] = {}
    if has_query and not model.queries:
        weights = {place: float(PRIOR[place]) for place in QUERY_COLUMNS}
    if own and np.any(x[:, _OWN]):
        # A scorer tells the candidates of a stranger apart by other features than those of a person with a history.
        scale = model.scale if x[0, _COUNT] > 0 else model.strangers
        weights |= {place: float(PRIOR[place]) * scale for place in OWN}
    return weights or None


def warm_up(model: Model) -> None:
    """Build the scorer's tables and compile its kernels before the first request needs them."""
    x = np.zeros((300, len(model.scorer.features)), np.float32)
    for rows in (1, 100, 300):  # trees are scored in three ways: few rows, a ranking's, many
        model.scorer.score(x[:rows])
    model.scorer.contributions(x[:1])
    for placed in model.towers:
        placed.warm()
