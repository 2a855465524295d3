"""One training: read the log, replay it into decisions, fit, judge. Needs no lock on the directory."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings, TrainSettings
from palate.errors import Conflict, InvalidInput, Locked
from palate.features import Neighbours, off
from palate.language.cache import VectorCache
from palate.line import Model, prior_model
from palate.score.linear import LinearScorer
from palate.state import State
from palate.state.state import subject_of
from palate.store import Store
from palate.store.decision import Decision
from palate.store.decisions import DecisionLog
from palate.store.lock import DirectoryLock
from palate.train.ease import fit_ease
from palate.train.examples import Examples, context_fields
from palate.train.fit import fit
from palate.train.history import History, Progress, read_history
from palate.train.linar import fit_linar
from palate.train.manifest import Manifest
from palate.train.neighbours import bind_neighbours, pack_neighbours
from palate.train.replay import choose_window, feature_key, replay
from palate.train.segments import bind_segments, fit_segments, pack_segments
from palate.train.towers.fit import fit_towers, interactions, until
from palate.train.towers.pack import pack_towers, place_all
from palate.types import I32, FieldValue, Interaction

MINIMUM = 50
"""Interactions below which nothing can be learnt."""
_HOUR_MS = 3_600_000
_QUERY_DECISIONS = 200


@dataclass(slots=True)
class Trained:
    """What ``artefact.save`` takes, and what a report says."""

    arrays: dict[str, np.ndarray[Any, Any]]
    manifest: Manifest
    decisions: int
    rows: int
    seconds: dict[str, float]


def training_lock(models: Path) -> DirectoryLock:
    """Held while a training runs: two would write the same replayed decisions. Errors: ``Conflict`` while one does."""
    models.mkdir(parents=True, exist_ok=True)
    try:
        return DirectoryLock(models)
    except Locked:
        raise Conflict("A training is running in this directory already: wait until it has ended.") from None


class _Watch:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._at, 3)
        self._at = now


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
    watch = _Watch()
    history = read_history(store, settings, progress, dead)
    if len(history.interactions) < MINIMUM:
        raise InvalidInput(
            f"There are {len(history.interactions)} interactions; training needs at least {MINIMUM}. "
            "Until then the blend that works from event one ranks: just ingest more events."
        )
    watch.lap("read")
    window = choose_window(history, settings)
    item_codes, ids = _codes(history)
    watch.lap("order")
    state = State(settings)
    catalogue = Catalogue(state, cache, settings.language)
    catalogue.update(state.apply(history.content))
    catalogue.encode_now(None if progress is None else lambda done, total: progress("encode", done, total))
    watch.lap("encode")
    begin = int(history.interactions[window.begin])
    for start in range(0, begin, 50_000):
        stop = min(begin, start + 50_000)
        catalogue.update(state.apply(history.events[start:stop]))
        if progress is not None:
            progress("fold", stop, begin)
    watch.lap("fold")
    early = fit_neighbours(history.users[: window.begin], item_codes[: window.begin], len(ids), settings.train)
    n = len(history.interactions)
    fields = _user_fields(history, state)
    groups = fit_segments(
        history.users[: window.begin], item_codes[: window.begin], len(ids), fields, settings.train.ease_items
    )
    packed, told = pack_segments(groups)
    arrays = pack_neighbours(early, ids) | packed
    watch.lap("ease")
    data = interactions(history, item_codes, ids, catalogue, settings)
    towers = fit_towers(until(data, window.begin), settings, progress)
    met = np.bincount(item_codes[: window.begin], minlength=len(ids)) > 0
    model = Model(
        "replay", prior_model().scorer, bind_neighbours(arrays, state.items), (), True,
        lifts=bind_segments(arrays, told, state.items),
        towers=place_all(towers, ids, met, state.items, catalogue.vectors),
    )  # fmt: skip
    watch.lap("towers")

    logged = _labelled(list(live), history, feature_key(off(settings.features.off).names))
    context = context_fields(logged)
    fresh, valid, late = Examples(), Examples(), Examples()
    # A live decision of the validation window must not teach what that window then asks.
    judged = history.events[int(history.interactions[window.valid])][0] if window.valid < n else 1 << 62
    for decision in logged:
        (late if decision.timestamp >= judged else fresh).add(decision, context)
    log = _replay_log(decisions_dir, settings)
    n_replayed = 0
    for place, decision in replay(state, catalogue, history, window, model, progress):
        (valid if place >= window.valid else fresh).add(decision, context)
        n_replayed += 1
        if log is not None:
            log.append(log.reserve(), decision)
            if n_replayed % 500 == 0:
                log.flush()
    if log is not None:
        log.close()
    watch.lap("replay")
    fitted = fit(fresh, valid, context, settings.train, progress, late)
    watch.lap("fit")
    whole = fit_neighbours(history.users, item_codes, len(ids), settings.train)
    packed, told = pack_segments(fit_segments(history.users, item_codes, len(ids), fields, settings.train.ease_items))
    watch.lap("ease_all")
    tower_arrays, built = pack_towers(fit_towers(data, settings, progress), ids, np.ones(len(ids), np.bool_))
    watch.lap("towers_all")
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
            "queries": sum(1 for d in logged if d.request and d.request.query) >= _QUERY_DECISIONS,
            "missed": valid.missed,
            "segments": told,
            "interactions": len(history.interactions),
            "decisions": {"live": len(logged), "replay": n_replayed, "validation": len(valid) + valid.missed},
            "importance": _importance(fitted.scorer, valid),
            "towers": built,
            "seconds": watch.seconds,
        },
    )
    arrays = {f"scorer.{name}": array for name, array in fitted.scorer.arrays().items()}
    return Trained(
        arrays | packed | pack_neighbours(whole, ids) | tower_arrays,
        manifest, len(logged) + n_replayed, rows, watch.seconds,
    )  # fmt: skip


def fit_neighbours(users: I32, items: I32, n_items: int, settings: TrainSettings) -> Neighbours:
    """EASE and the linear sequence model of the same interactions, (n,) codes in time order."""
    follows = fit_linar(users, items, n_items, settings.ease_items)
    return Neighbours(*fit_ease(users, items, n_items, settings.ease_items)[:3], *follows)


def _user_fields(history: History, state: State) -> list[dict[str, FieldValue]]:
    """Of every code of ``history.users`` the user's fields."""
    fields: list[dict[str, FieldValue]] = []
    for place, code in enumerate(history.users.tolist()):
        if code == len(fields):  # codes count in this order
            _, _, event = history.events[int(history.interactions[place])]
            assert isinstance(event, Interaction)
            name = subject_of(event.user, event.session) or ""
            fields.append(state.user_fields.get(state.users.get(name), {}))
    return fields


def _importance(scorer: Any, valid: Examples) -> dict[str, float]:
    """Mean |contribution| of each feature over up to 2,000 validation candidates."""
    if not valid.x:
        return {}
    rows = np.concatenate([x[:10] for x in valid.x[:200]])
    if isinstance(scorer, LinearScorer) and not len(rows):
        return {}
    terms, _ = scorer.contributions(rows)
    return {name: round(float(v), 5) for name, v in zip(scorer.features, np.abs(terms).mean(axis=0), strict=True)}


def _codes(history: History) -> tuple[I32, list[str]]:
    codes: dict[str, int] = {}
    column = np.fromiter((codes.setdefault(name, len(codes)) for name in history.items), np.int32, len(history.items))
    return column, list(codes)


def _replay_log(directory: Path | None, settings: Settings) -> DecisionLog | None:
    if directory is None or not settings.decisions.enabled:
        return None
    if directory.is_dir():
        for old in directory.iterdir():
            old.unlink(missing_ok=True)
    return DecisionLog(directory, settings.decisions)


def _labelled(live: list[Decision], history: History, key: str) -> list[Decision]:
    """Live decisions with the features ``key`` that something came of: an interaction that names the ranking, or one by
    the same person with a shown item within the hour after."""
    by_ranking: dict[str, list[str]] = {}
    by_subject: dict[str, list[tuple[int, str]]] = {}
    wanted = {decision.ranking for decision in live}
    subjects = {decision.subject for decision in live}
    for position in history.interactions:
        ts, _, event = history.events[int(position)]
        if not isinstance(event, Interaction):
            continue
        if event.ranking is not None and event.ranking in wanted:
            by_ranking.setdefault(event.ranking, []).append(event.item)
        name = event.user if event.user is not None else "\0" + (event.session or "")
        if name in subjects and event.ranking is None:
            by_subject.setdefault(name, []).append((ts, event.item))
    out: list[Decision] = []
    for decision in live:
        if decision.features != key:
            continue
        clicked = by_ranking.get(decision.ranking, [])
        if not clicked and decision.subject is not None:
            shown = set(decision.shown.ids)
            clicked = [
                item
                for ts, item in by_subject.get(decision.subject, [])
                if decision.timestamp < ts <= decision.timestamp + _HOUR_MS and item in shown
            ]
        if clicked:
            out.append(msgspec.structs.replace(decision, clicked=clicked))
    return out
