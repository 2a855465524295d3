"""The towers that a training fits: on what came before the replayed window for the replay, on everything to serve."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from palate.catalogue import TAGS, Catalogue
from palate.config import Settings
from palate.feedback.kinds import kind_of
from palate.train.history import History, Progress
from palate.train.towers import Interactions
from palate.train.towers.als import AlsSettings, fit_als
from palate.train.towers.choose import choose_als
from palate.train.towers.hybrid import Found, choose_hybrid, fit_hybrid
from palate.train.towers.pack import Fitted
from palate.types import F32, I32, Interaction

SECONDS = 60.0
"""After which no round of a fit begins."""
HYBRID_SECONDS = 12.0
"""Of one core, that a hybrid factorisation takes at most, about."""
SEQUENCE_SECONDS = 120.0
"""After which a sequence model hands back the best that it has."""
_LEAST = 0.1
"""Weight of what a person thought least of."""


@dataclass(slots=True)
class Choices:
    """What was chosen on what came before the replayed window, and holds for the fit on everything."""

    factors: AlsSettings | None = None
    hybrid: Found | None = None


def interactions(
    history: History, items: I32, ids: list[str], catalogue: Catalogue, settings: Settings
) -> Interactions:
    """Everything that was done, as towers are trained on it. items: (n,) codes of ``ids``. Texts must be encoded.

    A weight is that of the type, a rating's by how far it lies above its person's mean, as in ``tastes.recall``.
    """
    n = len(history.interactions)
    times, weights = np.empty(n, np.int64), np.ones(n, np.float32)
    values = np.full(n, np.nan)
    for at, position in enumerate(history.interactions.tolist()):
        ts, _, event = history.events[int(position)]
        assert isinstance(event, Interaction)
        times[at], weights[at] = ts, settings.weight(kind_of(event, settings))
        if event.type == "rating" and event.value is not None:
            values[at] = event.value
    rated = np.flatnonzero(np.isfinite(values))
    if len(rated) > 1:
        users, given = history.users[rated], values[rated]
        mean, spread = float(given.mean()), max(1e-6, float(given.std()))
        counts = np.bincount(users).astype(np.float64)
        own = (np.bincount(users, given) + 5 * mean) / (counts + 5)
        weights[rated] *= np.clip(1.0 + 0.5 * (given - own[users]) / spread, _LEAST, 2.0).astype(np.float32)
    side = catalogue.side()
    rows = np.array([catalogue.state.items.get(name) for name in ids], np.int64)
    known = rows >= 0
    text: F32 = np.zeros((len(ids), side.vectors.shape[1]), np.float32)
    tags: I32 = np.full((len(ids), TAGS), -1, np.int32)
    tags[known] = side.tags[rows[known]]
    of = np.where(known, side.text_of[np.maximum(rows, 0)], -1) if len(side.text_of) else np.full(len(ids), -1)
    text[of >= 0] = side.vectors[of[of >= 0]]
    return Interactions(
        history.users, items, times, np.maximum(weights, np.float32(_LEAST)), len(ids), text, tags, side.n_tags
    )


def until(data: Interactions, stop: int) -> Interactions:
    """The first ``stop`` of them; items stay as they are."""
    return data._replace(
        users=data.users[:stop], items=data.items[:stop], times=data.times[:stop], weights=data.weights[:stop]
    )


def fit_towers(
    data: Interactions, settings: Settings, choices: Choices, progress: Progress | None = None
) -> list[Fitted]:
    """Every tower of ``train.towers``, in the order of the features. choices: made here where they aren't yet."""
    if not len(data.users):
        return []
    fitted: list[Fitted] = []
    if "factors" in settings.train.towers:
        began, seed = time.perf_counter(), settings.train.seed
        choices.factors = choices.factors or choose_als(data, seed, progress)
        tower, items = fit_als(data, choices.factors, seed, progress, SECONDS)
        fitted.append(Fitted("factors", tower, items, time.perf_counter() - began, dict(choices.factors._asdict())))
    if "hybrid" in settings.train.towers:
        began = time.perf_counter()
        seed = settings.train.seed
        choices.hybrid = choices.hybrid or choose_hybrid(data, seed, progress, HYBRID_SECONDS)
        tower, items = fit_hybrid(data, None, seed, progress, HYBRID_SECONDS, choices.hybrid)
        fitted.append(Fitted("hybrid", tower, items, time.perf_counter() - began, tower.meta()))
    kind = next((name for name in settings.train.towers if name in ("sasrec", "lstm", "ncf")), None)
    if kind is not None and int(np.bincount(data.users).max()) > 1:
        from palate.train.towers.sequence import fit_sequence

        tower, items, found = fit_sequence(data, None, settings.train.seed, progress, SEQUENCE_SECONDS, kind)
        fitted.append(Fitted("sequence", tower, items, found.seconds, found._asdict()))
    return fitted
