"""A new model against the one that serves, before it takes its place: the gate of every training.

The newest choices of the log are held back. The former model had not been trained on them (they came after it), and the
new one is first trained without them, as it would have been where they begin. Both then rank what would have been
ranked before each of these choices, each with what it retrieves itself; NDCG@10 of what was chosen says how good
that was. Where the new one is the worse beyond doubt (95 %, paired, over people drawn with all their choices) it
isn't to be activated. What ships is the new model fitted once more, on everything, with what was chosen before:
learners, shares, numbers of trees.

Held back are half of the choices made since the former model was trained, at least ``LEAST`` and at most as many as
validate; of these at most ``MOST`` are judged, drawn evenly.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palate.errors import Conflict, CorruptArtefact, NotFound, Unavailable
from palate.features import NAMES
from palate.line import Line, Model
from palate.settings import Settings
from palate.state.state import subject_of
from palate.train import artefact
from palate.train.examples import Examples
from palate.train.fit import Fitted
from palate.train.history import History, Progress
from palate.train.judge import margin, scale_for_strangers, scale_of
from palate.train.learnt import bind
from palate.train.manifest import Artefact
from palate.train.prepare import Prepared
from palate.train.replay import folded
from palate.train.serving import model_of
from palate.types import F64, I64, Against, Interaction, RecommendRequest

LEAST = 50
"""Choices below which nothing is said."""
USUAL = 200
"""As many are held back, where there are so many, however few validate."""
MOST = 1000


@dataclass(slots=True)
class Held:
    """What is held back: the interactions (places in ``History.interactions``) from ``begin`` on; judged: (d,) those to
    judge on, in order."""

    former: Artefact
    begin: int
    judged: I64


def active_model(models: Path) -> Artefact | None:
    """The artefact that serves; None where none does, or it can't be read."""
    try:
        version = artefact.active(models)
        return None if version is None else artefact.load(artefact.locate(models, version))
    except (CorruptArtefact, NotFound, Unavailable):
        return None


def hold_back(history: History, settings: Settings, former: Artefact | None) -> Held | Against | None:
    """What to hold back; or why nothing can be; None where there is no former model, or it isn't to be judged."""
    if former is None or not settings.train.former:
        return None
    unseen = np.flatnonzero(history.positions > former.manifest.log_position)
    n, train = len(history.interactions), settings.train
    most = max(USUAL, int(n * train.window_share * train.valid_share))
    # What came late, such as an import of old events, is no last slice: most that lies after it was seen.
    late = np.arange(1, len(unseen) + 1) * 2 >= n - unseen[::-1]
    there = int(np.flatnonzero(late)[-1]) + 1 if late.any() else 0
    count = min(max(there // 2, LEAST), most)
    if there < LEAST or unseen[-count] < 2 * LEAST:
        return Against(former.manifest.version, "untold", "few", there)
    judged = unseen[-count:]
    if count > MOST:
        judged = np.sort(np.random.default_rng([train.seed, 5]).choice(judged, MOST, replace=False))
    return Held(former, int(unseen[-count]), judged)


@dataclass(slots=True)
class Judged:
    """against: the verdict. examples: the judged choices, as the new model's features saw them, to learn from."""

    against: Against
    examples: Examples


def judge_former(
    held: Held, fitted: Fitted, found: Prepared, history: History, settings: Settings, progress: Progress | None = None
) -> Judged:
    """Rank before every held choice with both models, as validation does: an item the person had before among
    everything, a new one half the time among new items only.

    ``found`` has been replayed up to where the held choices begin, and its state is moved on.
    Cost: what is learnt beside the scorer once more, and two rankings a choice.
    """
    learner, train = found.learner, settings.train
    catalogue, state, version = learner.catalogue, learner.catalogue.state, held.former.manifest.version
    at = folded(state, catalogue, history, found.folded, int(history.interactions[held.begin]))
    learnt = learner.learn(held.begin, progress)
    bound = bind(*learnt, state.items, catalogue.vectors)
    scale = scale_of(fitted.scorer, found.valid)
    strangers = scale_for_strangers(fitted.scorer, found.fresh.joined(found.late), scale)
    new = Model(
        "new", fitted.scorer, context=found.context, queries=found.queries, scale=scale, strangers=strangers, **bound
    )
    models = [new]
    with contextlib.suppress(Conflict, CorruptArtefact):
        models.append(model_of(held.former, catalogue))
    line, examples = Line(state, catalogue, settings), Examples()
    gains: F64 = np.zeros((len(held.judged), 2))
    whose: I64 = np.zeros(len(held.judged), np.int64)
    for number, chosen in enumerate(held.judged.tolist()):
        place = int(history.interactions[chosen])
        at = folded(state, catalogue, history, at, place)
        ts, _, event = history.events[place]
        assert isinstance(event, Interaction)
        whose[number] = history.users[chosen]
        item, row = state.items.get(event.item), state.users.get(subject_of(event.user, event.session) or "")
        rng = np.random.default_rng([train.seed, 6, chosen])
        seen = "keep" if state.has_seen(row, item) or rng.random() < 0.5 else "drop"
        request = RecommendRequest(user=event.user, session=event.session, seen=seen)
        for which, model in enumerate(models):
            scored = line.run(request, ts, model)
            mine: I64 = np.flatnonzero(scored.candidates.rows == item) if item >= 0 else np.zeros(0, np.int64)
            gains[number, which] = gain_of(scored.scores, mine)
            if which == 0:  # to be learnt from in the end
                keep = np.sort(rng.permutation(len(scored.x))[: train.candidates])
                keep = np.union1d(keep, mine)
                x = scored.x[keep, : len(NAMES)]
                examples.add_rows(x, np.searchsorted(keep, mine).astype(np.int64), found.context)
        if progress is not None and number % 50 == 0:
            progress("former", number, len(held.judged))
    if len(models) < 2:
        return Judged(Against(version, "untold", "unusable", len(gains)), examples)
    difference = margin(gains[:, 0], gains[:, 1], seed=train.seed, people=whose)
    verdict = "better" if difference.low > 0 else "worse" if difference.high < 0 else "even"
    ndcg, before = (round(float(value), 6) for value in gains.mean(axis=0))
    return Judged(Against(version, verdict, "", len(gains), len(np.unique(whose)), ndcg, before, difference), examples)


def gain_of(scores: F64, chosen: I64) -> float:
    """NDCG@10 of one choice among the scored candidates, ties at mid-rank; 0 where it isn't one of them."""
    if not len(chosen) or not np.isfinite(scores[chosen[0]]):
        return 0.0
    value = scores[chosen[0]]
    rank = 1.0 + np.count_nonzero(scores > value) + 0.5 * (np.count_nonzero(scores == value) - 1)
    return float(1.0 / np.log2(1.0 + rank)) if rank <= 10 else 0.0
