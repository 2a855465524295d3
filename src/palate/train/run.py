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
from palate.features import PRIOR
from palate.language.cache import VectorCache
from palate.line import prior_model
from palate.store import Store
from palate.store.decision import Decision
from palate.store.lock import DirectoryLock
from palate.train.examples import Examples
from palate.train.fit import Fitted, fit
from palate.train.gate import fit_gate, outcomes
from palate.train.history import Progress, read_history
from palate.train.manifest import Manifest
from palate.train.prepare import Watch, prepare
from palate.train.tiers import planned
from palate.types import Margin

MINIMUM = 50
"""Interactions below which nothing can be learnt."""
_QUERY_DECISIONS = 200


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
) -> Trained:
    """Train on everything in ``store`` but the positions ``dead``, and on logged ``live`` decisions.

    decisions_dir: where the replayed decisions are logged (replacing those of the last training).
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
    found = prepare(history, settings, cache, live, decisions_dir, progress, watch)
    fresh, valid, context = found.fresh, found.valid, found.context
    fitted = fit(fresh, valid, context, settings.train, progress, found.late, (found.cold, found.cold_late))
    watch.lap("fit")
    whole = found.learner.learn(len(history.interactions), progress)
    watch.lap("learn_all")
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
            "queries": sum(1 for d in found.logged if d.request and d.request.query) >= _QUERY_DECISIONS,
            "missed": valid.missed,
            **whole.told,
            "interactions": len(history.interactions),
            "decisions": {
                "live": len(found.logged), "replay": found.replayed, "validation": len(valid) + valid.missed,
                "taught": found.taught,
            },
            "winner": fitted.name,
            "single": fitted.single,
            "margins": {name: _rounded(one) for name, one in fitted.margins.items()},
            "examination": [round(value, 5) for value in fitted.examination.tolist()],
            "gate": msgspec.to_builtins(
                fit_gate(outcomes(live, {one.ranking: one.clicked for one in found.logged}))
            ),
            "importance": _importance(fitted.scorer, valid),
            "scale": _scale(fitted.scorer, valid),
            "seconds": watch.seconds,
        },
    )  # fmt: skip
    arrays = {f"scorer.{name}": array for name, array in fitted.scorer.arrays().items()}
    arrays |= whole.arrays
    return Trained(arrays, manifest, len(found.logged) + found.replayed, rows, watch.seconds, fitted)


def _rounded(margin: Margin) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in msgspec.structs.asdict(margin).items()}


def _scale(scorer: Any, valid: Examples) -> float:
    """The spread of the scorer's scores within a validation decision over that of the prior's, median of up to 500."""
    prior = prior_model().scorer
    spreads = [
        (float(scorer.score(x).std()), float(prior.score(np.ascontiguousarray(x[:, : len(PRIOR)])).std()))
        for x in valid.x[:500]
    ]
    ratios = [mine / theirs for mine, theirs in spreads if theirs > 1e-9]
    return round(float(np.median(ratios)), 6) if ratios else 1.0


def _importance(scorer: Any, valid: Examples) -> dict[str, float]:
    """Mean |contribution| of each feature over up to 2,000 validation candidates."""
    if not valid.x:
        return {}
    rows = np.concatenate([x[:10] for x in valid.x[:200]])
    terms, _ = scorer.contributions(rows)
    return {name: round(float(v), 5) for name, v in zip(scorer.features, np.abs(terms).mean(axis=0), strict=True)}
