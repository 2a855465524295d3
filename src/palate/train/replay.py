"""Imported histories become decisions: the line runs as of each sampled interaction; what was chosen is the label.

Nothing of the future leaks: an example sees the state folded up to just before its interaction, and EASE fitted on
what came before the replayed window. (Item fields are those of today: catalogues rarely say when they changed.)
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.features import NAMES, PRIOR
from palate.line import Line, Model, Scored
from palate.state import State
from palate.state.state import subject_of
from palate.store.decision import Asked, Decision, Shown, Unshown, pack
from palate.train.history import History, Progress
from palate.types import F32, F64, I32, I64, Candidate, Interaction, RankRequest, RecommendRequest

SHOWN = 10
HIDDEN = 0.1
"""Of the training decisions, those in which nobody is told whose they are; the first ones of newcomers where there are
as many."""
FIRST = 3
"""Choices of somebody that are a newcomer's: of a person without a history they tell what is chosen next."""
COLD = 3
"""Interactions up to which an item is cold: hardly known, and marked so in answers."""
COLD_SHARE = 0.2
"""Of ``train.decisions``: as many decisions for cold items, at the most, are replayed among cold items alone."""
OTHERS = 60
"""Cold items drawn beside the chosen one of such a decision."""
COLD_WEIGHT = 6.0
"""What a training decision for such an item counts for beside another."""


def _none() -> I64:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Window:
    """begin: first interaction (place in ``History.interactions``) of the replayed window; valid: first of validation.
    sampled: (d,) interactions to make decisions of, in order; cold: (c,) those with a cold item, or some of them, of
    which more is to be learnt, in order; first: (n,) those that were among a person's ``FIRST``, or some of them."""

    begin: int
    valid: int
    sampled: I64
    cold: I64 = field(default_factory=_none)
    first: I64 = field(default_factory=_none)


def choose_window(history: History, settings: Settings, valid: int | None = None) -> Window:
    """The last ``window_share`` of the interactions; its last ``valid_share`` validates; decisions drawn evenly.

    valid: where validation begins, whatever the window; its decisions then are the same for every window.
    """
    train = settings.train
    n = len(history.interactions)
    begin = int(n * (1 - train.window_share))
    rng = np.random.default_rng(train.seed)
    of_late = rng
    if valid is None:
        valid = int(n - (n - begin) * train.valid_share)
    else:
        of_late = np.random.default_rng([train.seed, 1])
    inside = np.arange(begin, n)
    if len(inside) > train.decisions:
        share = max(train.valid_share, min(0.5, 1200 / train.decisions))
        late, early = inside[inside >= valid], inside[inside < valid]
        n_late = min(len(late), int(train.decisions * share))
        n_early = min(len(early), train.decisions - n_late)
        drawn = rng.choice(early, n_early, False)
        inside = np.sort(np.concatenate([drawn, of_late.choice(late, n_late, False)]))
    cold = _cold(history, begin, int(train.decisions * COLD_SHARE), train.seed)
    return Window(begin, valid, inside, cold, _first(history.users, begin, int(train.decisions * HIDDEN), train.seed))


def _first(users: I32, begin: int, most: int, seed: int) -> I64:
    """Up to ``most`` interactions from ``begin`` on that were among the ``FIRST`` of their person, drawn evenly."""
    order = np.argsort(users, kind="stable")
    starts = np.flatnonzero(np.diff(users[order], prepend=-1))
    nth = np.empty(len(users), np.int64)
    nth[order] = np.arange(len(users)) - np.repeat(starts, np.diff(starts, append=len(users)))
    every = begin + np.flatnonzero(nth[begin:] < FIRST)
    if len(every) <= most:
        return every
    return np.sort(np.random.default_rng([seed, 4]).choice(every, most, False))


def _cold(history: History, begin: int, most: int, seed: int) -> I64:
    """Up to ``most`` interactions from ``begin`` on whose item had at most ``COLD`` before, drawn evenly; in order."""
    before: dict[str, int] = {}
    found: list[int] = []
    for place, name in enumerate(history.items):
        count = before.get(name, 0)
        if place >= begin and count <= COLD:
            found.append(place)
        before[name] = count + 1
    every = np.array(found, np.int64)
    if len(every) <= most:
        return every
    return np.sort(np.random.default_rng([seed, 2]).choice(every, most, False))


@dataclass(slots=True)
class Replayed:
    """One decision as training takes it: its candidates, thinned, best first by what replayed it.

    x: (m, f) features; scores: (m,), NaN where not scored; chosen: which were, none where the choice was no candidate.
    names: the ids, each looked up when it is asked for. considered: candidates before they were thinned. key: names the
    features. weight: what the decision counts for in learning.
    """

    timestamp: int
    subject: str | None
    request: RecommendRequest
    item: str
    model: str
    x: F32
    scores: F64
    chosen: I64
    places: I64
    names: Sequence[str]
    considered: int
    key: str
    weight: float = 1.0
    among_cold: bool = False
    newcomer: bool = False

    def decision(self, unshown: bool = True) -> Decision:
        """What is logged of it; with the candidates that weren't shown where they are wanted."""
        places: list[int] = (self.places if unshown else self.places[:SHOWN]).tolist()
        ids = [self.names[place] for place in places]
        top = min(SHOWN, len(ids))
        shown = Shown(
            ids[:top],
            [float(value) if np.isfinite(value) else None for value in self.scores[:top].tolist()],
            list(range(1, top + 1)),
            [1.0] * top,
            [False] * top,
            pack(self.x[:top]),
        )
        asked = self.request
        return Decision(
            timestamp=self.timestamp,
            as_of=0,
            subject=self.subject,
            model=self.model,
            features=self.key,
            shown=shown,
            unshown=Unshown(ids[top:], pack(self.x[top:])) if unshown else None,
            source="replay",
            request=Asked("recommend", asked.user, asked.session, SHOWN, seen=asked.seen, candidates=self.considered),
            clicked=[self.item],
        )


def replay(
    state: State,
    catalogue: Catalogue,
    history: History,
    window: Window,
    model: Model,
    progress: Progress | None = None,
    apart: bool = False,
) -> Iterator[tuple[int, Replayed]]:
    """Yield (interaction, decision) for every sampled interaction of the window, oldest first.

    ``state`` must be folded up to the window's begin and is moved on. Candidates of training decisions are thinned to
    ``train.candidates``, drawn evenly, the chosen one always among them; validation keeps all.
    An item the user had before is judged among everything; a new one half the time among new items only. Of a share
    ``HIDDEN`` of the training decisions nobody is told whose they are, or a model of people with long histories would
    not know what to show to somebody without one (DropoutNet, Volkovs, Yu and Poutanen 2017). These are the first
    choices of newcomers, as far as there are any: what people with long histories have next is not what anybody
    begins with.
    A decision for an item that was hardly known weighs ``COLD_WEIGHT``: few of them are among the candidates, and what
    is learnt from the others alone is that nobody chooses what nobody chose.
    apart: the chance in a decision depends on its interaction alone, not on those replayed before it.
    """
    settings = state.settings
    line = Line(state, catalogue, settings)
    rng = np.random.default_rng(settings.train.seed + 1)
    at = int(history.interactions[window.begin]) if window.begin < len(history.interactions) else len(history.events)
    early = int(np.count_nonzero(window.first < window.valid))
    hidden = max(0.0, HIDDEN - early / max(1, np.count_nonzero(window.sampled < window.valid)))
    besides = sorted([(place, True) for place in window.cold.tolist()] + [(p, False) for p in window.first.tolist()])
    rest = iter([*besides, (len(history.interactions), True)])
    following, cold = next(rest)
    for done, chosen in enumerate(window.sampled.tolist()):
        while following <= chosen:
            at = _folded(state, catalogue, history, at, int(history.interactions[following]))
            make, mark = (_among_cold, 3) if cold else (_of_newcomer, 5)
            more = make(line, history, following, model, [settings.train.seed, mark, following])
            if more is not None:
                yield following, more
            following, cold = next(rest)
        place = int(history.interactions[chosen])
        at = _folded(state, catalogue, history, at, place)
        ts, _, event = history.events[place]
        assert isinstance(event, Interaction)
        if apart:
            rng = np.random.default_rng([settings.train.seed, chosen])
        name = subject_of(event.user, event.session)
        item = state.items.get(event.item)
        again = state.has_seen(state.users.get(name or ""), item)
        seen = "keep" if again or rng.random() < 0.5 else "drop"
        request = RecommendRequest(user=event.user, session=event.session, seen=seen)
        if chosen < window.valid and rng.random() < hidden:
            name, request = None, RecommendRequest(seen=seen)
        scored = line.run(request, ts, model)
        keep = None if chosen >= window.valid else settings.train.candidates
        order = _order(scored, item, keep, rng)
        yield chosen, Replayed(
            ts, name, request, event.item, model.version, scored.x[order], scored.scores[order],
            np.flatnonzero(scored.candidates.rows[order] == item) if item >= 0 else np.zeros(0, np.int64),
            order, scored.candidates.ids, len(scored.candidates), feature_key(scored.off),
            COLD_WEIGHT if item >= 0 and state.item_columns["count"][item] <= COLD else 1.0,
        )  # fmt: skip
        if progress is not None and done % 50 == 0:
            progress("replay", done, len(window.sampled))
    if progress is not None:
        progress("replay", len(window.sampled), len(window.sampled))


def _folded(state: State, catalogue: Catalogue, history: History, at: int, place: int) -> int:
    """Fold the events from ``at`` up to ``place``, which is returned."""
    if place > at:
        catalogue.update(state.apply(history.events[at:place]))
    return max(at, place)


def _among_cold(line: Line, history: History, chosen: int, model: Model, seed: list[int]) -> Replayed | None:
    """What was chosen among ``OTHERS`` cold items drawn evenly from all that were new to the person; None where the
    item wasn't known yet, or had before. What is retrieved holds only cold items near the taste, and few that were
    chosen: which cold item is the next can't be learnt from it."""
    state = line.state
    ts, _, event = history.events[int(history.interactions[chosen])]
    assert isinstance(event, Interaction)
    name, item = subject_of(event.user, event.session), state.items.get(event.item)
    row = state.users.get(name or "")
    if item < 0 or row < 0 or state.has_seen(row, item):
        return None
    shown, *_ = line.catalogue.shown()
    others = shown & (state.item_columns["count"][: len(shown)] <= COLD)
    others[item] = False
    pool = np.flatnonzero(others)
    drawn = np.random.default_rng(seed).choice(pool, min(OTHERS, len(pool)), False)
    ids = [state.items.ids[one] for one in [item, *drawn.tolist()]]
    items: list[str | Candidate] = list(ids)
    request = RankRequest(items=items, user=event.user, session=event.session, seen="drop")
    scored = line.run(request, ts, model)
    order = _order(scored, item, None, np.random.default_rng(seed))
    return Replayed(
        ts, name, request, event.item, model.version, scored.x[order], scored.scores[order],
        np.flatnonzero(scored.candidates.rows[order] == item), order, scored.candidates.ids, len(scored.candidates),
        feature_key(scored.off), among_cold=True,
    )  # fmt: skip


def _of_newcomer(line: Line, history: History, chosen: int, model: Model, seed: list[int]) -> Replayed:
    """What was chosen, as a ranking for somebody of whom nothing is known."""
    ts, _, event = history.events[int(history.interactions[chosen])]
    assert isinstance(event, Interaction)
    item, request = line.state.items.get(event.item), RecommendRequest(seen="drop")
    scored = line.run(request, ts, model)
    order = _order(scored, item, line.settings.train.candidates, np.random.default_rng(seed))
    return Replayed(
        ts, None, request, event.item, model.version, scored.x[order], scored.scores[order],
        np.flatnonzero(scored.candidates.rows[order] == item) if item >= 0 else _none(), order, scored.candidates.ids,
        len(scored.candidates), feature_key(scored.off), newcomer=True,
    )  # fmt: skip


def _order(scored: Scored, item: int, limit: int | None, rng: np.random.Generator) -> I64:
    """Places of the candidates, best first; at most ``limit`` of them, and the chosen ``item`` besides."""
    order = np.argsort(-np.nan_to_num(scored.scores, nan=-np.inf), kind="stable")
    if limit is not None and len(order) > limit:
        # Evenly, never by strength: negatives picked for a high score teach that what makes it high is bad.
        drawn = rng.permutation(len(order))[:limit]
        target = np.flatnonzero(scored.candidates.rows[order] == item)
        order = order[np.union1d(drawn, target)]
    return order


@functools.cache
def feature_key(off: frozenset[str] = frozenset()) -> str:
    """Names the features of a decision, their prior weights and what was off, so that training never mixes columns."""
    hidden = "".join(f"-{name}" for name in sorted(off))
    return f"{zlib.crc32((','.join(NAMES) + hidden).encode() + PRIOR.tobytes()):08x}"
