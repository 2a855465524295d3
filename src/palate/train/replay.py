"""Imported histories become decisions: the line runs as of each sampled interaction; what was chosen is the label.

Nothing of the future leaks: an example sees the state folded up to just before its interaction, and EASE fitted on
what came before the replayed window. (Item fields are those of today: catalogues rarely say when they changed.)
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.features import NAMES, PRIOR
from palate.line import Line, Model, Scored
from palate.state import State
from palate.state.state import subject_of
from palate.store.decision import Asked, Decision, Shown, Unshown, pack
from palate.train.history import History, Progress
from palate.types import I64, Interaction, RecommendRequest

SHOWN = 10


@dataclass(slots=True)
class Window:
    """begin: first interaction (place in ``History.interactions``) of the replayed window; valid: first of validation.
    sampled: (d,) interactions to make decisions of, in order."""

    begin: int
    valid: int
    sampled: I64


def choose_window(history: History, settings: Settings) -> Window:
    """The last ``window_share`` of the interactions; its last ``valid_share`` validates; decisions drawn evenly."""
    train = settings.train
    n = len(history.interactions)
    begin = int(n * (1 - train.window_share))
    valid = int(n - (n - begin) * train.valid_share)
    rng = np.random.default_rng(train.seed)
    inside = np.arange(begin, n)
    if len(inside) > train.decisions:
        share = max(train.valid_share, min(0.5, 1200 / train.decisions))
        late, early = inside[inside >= valid], inside[inside < valid]
        n_late = min(len(late), int(train.decisions * share))
        n_early = min(len(early), train.decisions - n_late)
        inside = np.sort(np.concatenate([rng.choice(early, n_early, False), rng.choice(late, n_late, False)]))
    return Window(begin, valid, inside)


def replay(
    state: State, catalogue: Catalogue, history: History, window: Window, model: Model, progress: Progress | None = None
) -> Iterator[tuple[int, Decision]]:
    """Yield (interaction, decision) for every sampled interaction of the window, oldest first.

    ``state`` must be folded up to the window's begin and is moved on. Candidates of training decisions are thinned to
    ``train.candidates``, drawn evenly, the chosen one always among them; validation keeps all.
    An item the user had before is judged among everything; a new one half the time among new items only.
    """
    settings = state.settings
    line = Line(state, catalogue, settings)
    rng = np.random.default_rng(settings.train.seed + 1)
    at = int(history.interactions[window.begin]) if window.begin < len(history.interactions) else len(history.events)
    for done, chosen in enumerate(window.sampled.tolist()):
        place = int(history.interactions[chosen])
        if place > at:
            changed = state.apply(history.events[at:place])
            catalogue.update(changed)
            at = place
        ts, _, event = history.events[place]
        assert isinstance(event, Interaction)
        user = state.users.get(subject_of(event.user, event.session) or "")
        again = state.has_seen(user, state.items.get(event.item))
        seen = "keep" if again or rng.random() < 0.5 else "drop"
        request = RecommendRequest(user=event.user, session=event.session, seen=seen)
        scored = line.run(request, ts, model)
        keep = None if chosen >= window.valid else settings.train.candidates
        yield chosen, _decision(scored, request, event, ts, model, keep, rng)
        if progress is not None and done % 50 == 0:
            progress("replay", done, len(window.sampled))
    if progress is not None:
        progress("replay", len(window.sampled), len(window.sampled))


def _decision(
    scored: Scored,
    request: RecommendRequest,
    event: Interaction,
    ts: int,
    model: Model,
    limit: int | None,
    rng: np.random.Generator,
) -> Decision:
    ids = list(scored.candidates.ids)
    order = np.argsort(-np.nan_to_num(scored.scores, nan=-np.inf), kind="stable")
    if limit is not None and len(order) > limit:
        # Evenly, never by strength: negatives picked for a high score teach that what makes it high is bad.
        drawn = rng.permutation(len(order))[:limit]
        target = [place for place, name in enumerate(ids) if name == event.item]
        order = order[np.sort(np.union1d(drawn, np.flatnonzero(np.isin(order, target))))]
    top, others = order[:SHOWN], order[SHOWN:]
    return Decision(
        timestamp=ts,
        as_of=0,
        subject=subject_of(event.user, event.session),
        model=model.version,
        features=feature_key(scored.off),
        shown=Shown(
            [ids[place] for place in top.tolist()],
            [float(value) if np.isfinite(value) else None for value in scored.scores[top]],
            list(range(1, len(top) + 1)),
            [1.0] * len(top),
            [False] * len(top),
            pack(scored.x[top]),
        ),
        unshown=Unshown([ids[place] for place in others.tolist()], pack(scored.x[others])),
        source="replay",
        request=Asked("recommend", event.user, event.session, SHOWN, seen=request.seen, candidates=len(ids)),
        clicked=[event.item],
    )


@functools.cache
def feature_key(off: frozenset[str] = frozenset()) -> str:
    """Names the features of a decision, their prior weights and what was off, so that training never mixes columns."""
    hidden = "".join(f"-{name}" for name in sorted(off))
    return f"{zlib.crc32((','.join(NAMES) + hidden).encode() + PRIOR.tobytes()):08x}"
