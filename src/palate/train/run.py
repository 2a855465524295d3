"""One training: read the log, replay it into decisions, fit, judge. Needs no lock on the directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import Conflict, InvalidInput, Locked
from palate.features import NAMES
from palate.language.cache import VectorCache
from palate.store import Store
from palate.store.decision import Decision
from palate.store.lock import DirectoryLock
from palate.train.examples import Examples
from palate.train.fit import Fitted, fit, fit_again
from palate.train.former import Held, hold_back, judge_former
from palate.train.gate import fit_gate, outcomes
from palate.train.history import Progress, read_history
from palate.train.judge import scale_for_strangers, scale_of
from palate.train.manifest import Artefact, Manifest
from palate.train.prepare import Watch, prepare
from palate.train.tiers import planned
from palate.types import Margin

MINIMUM = 50
"""Interactions below which nothing can be learnt."""


@dataclass(slots=True)
class Trained:
    """What ``artefact.save`` takes, and what a report says."""

    arrays: dict[str, np.ndarray[Any, Any]]
    manifest: Manifest
    decisions: int
    rows: int
    seconds: dict[str, float]
    fitted: Fitted


def training_lock(models: Path) -> DirectoryLock:
    """Held while a training runs: two would write the same replayed decisions. Errors: ``Conflict`` while one does."""
    models.mkdir(parents=True, exist_ok=True)
    try:
        return DirectoryLock(models)
    except Locked:
        raise Conflict("A training is running in this directory already: wait until it has ended.") from None


def train(
    store: Store,
    settings: Settings,
    cache: VectorCache,
    live: Iterable[Decision] = (),
    decisions_dir: Path | None = None,
    progress: Progress | None = None,
    dead: Iterable[int] = (),
    former: Artefact | None = None,
) -> Trained:
    """Train on everything in ``store`` but the positions ``dead``, and on logged ``live`` decisions.

    decisions_dir: where the replayed decisions are logged (replacing those of the last training). former: the model
    that serves, against which the new one is judged (``train.former``).
    Errors: ``InvalidInput`` with fewer than ``MINIMUM`` interactions: there is nothing to learn from.
    """
    settings = planned(settings)
    watch = Watch()
    history = read_history(store, settings, progress, dead)
    if len(history.interactions) < MINIMUM:
        raise InvalidInput(
            f"There are {len(history.interactions)} interactions; training needs at least {MINIMUM}. "
            "Until then the blend that works from event one ranks: just ingest more events."
        )
    watch.lap("read")
    live = list(live)
    held = hold_back(history, settings, former)
    until = held.begin if isinstance(held, Held) else None
    found = prepare(history, settings, cache, live, decisions_dir, progress, watch, until=until)
    fresh, valid, context = found.fresh, found.valid, found.context
    fitted = fit(fresh, valid, context, settings.train, progress, found.late, (found.cold, found.cold_late))
    watch.lap("fit")
    against, more = held, 0
    if isinstance(held, Held):
        judged = judge_former(held, fitted, found, history, settings, progress)
        watch.lap("judge")
        against, more = judged.against, len(judged.examples)
        everything = fresh.joined(found.late, valid, found.last, judged.examples)
        fitted.scorer = fit_again(
            fitted, everything, NAMES + context, settings.train, found.cold.joined(found.cold_late)
        )
        watch.lap("fit_again")
    whole = found.learner.learn(len(history.interactions), progress)
    watch.lap("learn_all")
    scale = scale_of(fitted.scorer, valid)
    rows = sum(map(len, fresh.x)) + sum(map(len, valid.x))
    metrics = {f"ndcg@10.{kind}": round(value, 6) for kind, value in fitted.metrics.items()}
    manifest = Manifest(
        kind=fitted.kind,
        features=list(fitted.scorer.features),
        encoder=cache.encoder.name,
        log_position=history.seq,
        events=len(history.events),
        metrics=metrics | {"ndcg@10": round(fitted.best, 6)},
        settings={"train": msgspec.to_builtins(settings.train), "state": msgspec.to_builtins(settings.state)},
        extra={
            "scorer": fitted.scorer.meta(),
            "context": list(context),
            "queries": found.queries,
            "missed": valid.missed,
            **whole.told,
            "interactions": len(history.interactions),
            "decisions": {
                "live": len(found.logged), "replay": found.replayed, "validation": len(valid) + valid.missed,
                "taught": found.taught,
            },
            "against": None if against is None else msgspec.to_builtins(against),
            "winner": fitted.name,
            "single": fitted.single,
            "margins": {name: _rounded(one) for name, one in fitted.margins.items()},
            "examination": [round(value, 5) for value in fitted.examination.tolist()],
            "gate": msgspec.to_builtins(
                fit_gate(outcomes(live, {one.ranking: one.clicked for one in found.logged}))
            ),
            "importance": _importance(fitted.scorer, valid),
            "scale": scale,
            "strangers": scale_for_strangers(fitted.scorer, fresh.joined(found.late), scale),
            "seconds": watch.seconds,
        },
    )  # fmt: skip
    arrays = {f"scorer.{name}": array for name, array in fitted.scorer.arrays().items()}
    arrays |= whole.arrays
    decisions = len(found.logged) + found.replayed + more
    return Trained(arrays, manifest, decisions, rows, watch.seconds, fitted)


def _rounded(margin: Margin) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in msgspec.structs.asdict(margin).items()}


def _importance(scorer: Any, valid: Examples) -> dict[str, float]:
    """Mean |contribution| of each feature over up to 2,000 validation candidates."""
    if not valid.x:
        return {}
    rows = np.concatenate([x[:10] for x in valid.x[:200]])
    terms, _ = scorer.contributions(rows)
    return {name: round(float(v), 5) for name, v in zip(scorer.features, np.abs(terms).mean(axis=0), strict=True)}
