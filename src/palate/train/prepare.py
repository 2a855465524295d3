"""From a history to examples: what training and tuning share before anything is fitted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import NotFound
from palate.features import NAMES, off
from palate.language.cache import VectorCache
from palate.language.offline import Book
from palate.line import Model, prior_model
from palate.state import State
from palate.store.decision import Decision
from palate.store.decisions import DecisionLog
from palate.train.examples import Examples, context_fields
from palate.train.history import History, Progress
from palate.train.learnt import Learner, bind
from palate.train.replay import Window, choose_window, feature_key, replay
from palate.types import I32, Interaction

_HOUR_MS = 3_600_000


class Watch:
    """Seconds of each part of the work, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._at, 3)
        self._at = now


@dataclass(slots=True)
class Prepared:
    """Examples to learn from and to judge on, and what they were made of.

    fresh: before the validation window; valid: replayed in it; late: live ones in it, which may not be judged on.
    learner: learns the rest, from as much as is wanted. logged: live decisions that something came of. taught:
    groups that a teacher chose in.
    """

    window: Window
    learner: Learner
    context: tuple[str, ...]
    logged: list[Decision]
    fresh: Examples = field(default_factory=Examples)
    valid: Examples = field(default_factory=Examples)
    late: Examples = field(default_factory=Examples)
    cold: Examples = field(default_factory=Examples)
    cold_late: Examples = field(default_factory=Examples)
    replayed: int = 0
    taught: int = 0


def prepare(
    history: History,
    settings: Settings,
    cache: VectorCache,
    live: list[Decision],
    decisions_dir: Path | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
    window: Window | None = None,
) -> Prepared:
    """Fold the history up to the replayed window, learn from what came before it, and replay.

    decisions_dir: where the replayed decisions are logged (replacing those of the last training), None: nowhere.
    window: by default ``choose_window``'s; a given one makes every decision's chance its own, so that replays of
    several windows compare. Cost: see ``docs/performance.md``.
    """
    lap = (watch or Watch()).lap
    apart = window is not None
    chosen = choose_window(history, settings) if window is None else window
    codes, ids = _codes(history)
    lap("order")
    state = State(settings)
    catalogue = Catalogue(state, cache, settings.language)
    catalogue.update(state.apply(history.content))
    catalogue.encode_now(None if progress is None else lambda done, total: progress("encode", done, total))
    lap("encode")
    n = len(history.interactions)
    begin = int(history.interactions[chosen.begin]) if chosen.begin < n else len(history.events)
    for start in range(0, begin, 50_000):
        stop = min(begin, start + 50_000)
        catalogue.update(state.apply(history.events[start:stop]))
        if progress is not None:
            progress("fold", stop, begin)
    lap("fold")
    learner = Learner(history, codes, ids, catalogue, settings)
    early = learner.learn(chosen.begin, progress)
    model = Model(
        "replay", prior_model().scorer, queries=True, **bind(*early, state.items, catalogue.vectors)
    )  # fmt: skip
    lap("learn")
    logged = labelled(live, history, feature_key(off(settings.features.off).names))
    found = Prepared(chosen, learner, context_fields(logged), logged)
    # A live decision of the validation window must not teach what that window then asks.
    judged = history.events[int(history.interactions[chosen.valid])][0] if chosen.valid < n else 1 << 62
    for decision in logged:
        (found.late if decision.timestamp >= judged else found.fresh).add(decision, found.context)
    for decision, best in taught(live, settings.train.teacher, feature_key(off(settings.features.off).names)):
        x, first = decision.shown.matrix()[:, : len(NAMES)], np.array([best], np.int64)
        asked = decision.request.context if decision.request else {}
        into = found.late if decision.timestamp >= judged else found.fresh
        into.add_rows(x, first, found.context, asked, weight=settings.train.teacher_weight)
        found.taught += 1
    log = _replay_log(decisions_dir, settings)
    for place, one in replay(state, catalogue, history, chosen, model, progress, apart):
        if one.among_cold:
            among = found.cold_late if place >= chosen.valid else found.cold
            among.add_rows(one.x, one.chosen, found.context)
            continue
        into = found.fresh if place < chosen.valid else found.late if one.newcomer else found.valid
        into.add_rows(one.x, one.chosen, found.context, weight=one.weight)
        found.replayed += 1
        if log is not None:
            name = log.reserve()
            log.append(name, one.decision(unshown=log.keeps_unshown(name)))
            if found.replayed % 500 == 0:
                log.flush()
    if log is not None:
        log.close()
    lap("replay")
    return found


def _codes(history: History) -> tuple[I32, list[str]]:
    codes: dict[str, int] = {}
    column = np.fromiter((codes.setdefault(name, len(codes)) for name in history.items), np.int32, len(history.items))
    return column, list(codes)


def taught(live: list[Decision], file: str, key: str) -> list[tuple[Decision, int]]:
    """Live decisions with the features ``key`` of which a teacher has said who should come first, and who that is.

    Errors: ``NotFound`` where ``file`` isn't there; ``CorruptArtefact``.
    """
    if not file:
        return []
    if not Path(file).is_file():
        raise NotFound(f"train.teacher names {file}, which isn't there: `palate language teach` makes it.")
    said = Book(Path(file)).read()
    out: list[tuple[Decision, int]] = []
    for decision in live:
        line = said.get(decision.ranking)
        if line is not None and isinstance(line.value, list) and decision.features == key:
            best = next((name for name in line.value if name in decision.shown.ids), None)
            if best is not None:
                out.append((decision, decision.shown.ids.index(best)))
    return out


def _replay_log(directory: Path | None, settings: Settings) -> DecisionLog | None:
    if directory is None or not settings.decisions.enabled:
        return None
    if directory.is_dir():
        for old in directory.iterdir():
            old.unlink(missing_ok=True)
    return DecisionLog(directory, settings.decisions)


def labelled(live: list[Decision], history: History, key: str) -> list[Decision]:
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
