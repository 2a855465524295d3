"""Logged decisions as rows that a model can be asked about, with what people did of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palate.config import Settings
from palate.features import NAMES
from palate.line import Model, context_columns
from palate.store import Decisions, Store, segments
from palate.store.decision import Decision, decode
from palate.train.history import event_of
from palate.types import F32, Bools, Interaction

MOST = 2_000
"""Newest decisions looked at."""


@dataclass(slots=True)
class Case:
    """The candidates of one decision, those shown first: x (m, f) features; shown: how many of them were; whole:
    whether all that were ranked are there; chosen (m,): which somebody took up."""

    x: F32
    query: bool
    subject: str
    shown: int
    whole: bool
    chosen: Bools


def decisions_of(log: Decisions | None, path: Path | None) -> Iterator[tuple[str, Iterable[Decision]]]:
    """Where decisions are logged, by name: ``live`` ones, and ``replay``, those that the last training made. path: the
    engine's directory, None in memory."""
    if log is not None:
        log.flush()
        yield "live", log.read() if path is None else newest(path / "decisions")
    if path is not None and (path / "replay").is_dir():
        yield "replay", newest(path / "replay")


def newest(directory: Path) -> Iterator[Decision]:
    """The newest ``MOST`` decisions of a directory of segments, oldest first. Errors: ``CorruptArtefact``."""
    found: deque[tuple[bytes, str]] = deque()
    for number in reversed(segments.numbers(directory)):
        path = segments.path_of(directory, number)
        try:
            bodies = deque(segments.bodies(path) if segments.created(path) is not None else (), MOST - len(found))
        except FileNotFoundError:  # expired meanwhile
            continue
        found.extendleft((body, str(path)) for body in reversed(bodies))
        if len(found) >= MOST:
            break
    for body, where in found:
        yield decode(body, where)


def read_cases(decisions: Iterable[Decision], key: str, model: Model, store: Store, settings: Settings) -> list[Case]:
    """The newest ``MOST`` decisions with the features ``key`` (``train.replay.feature_key``), as ``model`` sees them.

    Taken up is what somebody did in answer to the ranking that weighs above 0; of replayed decisions what was chosen.
    Cost: the decision log once, and the event log from the oldest of these on.
    """
    kept = deque((one for one in decisions if one.features == key and one.shown.ids), MOST)
    taken = _taken({one.ranking for one in kept if one.source == "live"}, kept, store, settings)
    return [_case(one, model, taken.get(one.ranking, frozenset())) for one in kept]


def _taken(wanted: set[str], kept: Iterable[Decision], store: Store, settings: Settings) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    if not wanted:
        return found
    oldest = min((one.as_of for one in kept if one.source == "live"), default=0)
    for records in store.read(oldest):
        for record in records:
            event = event_of(record) if record.kind == "interaction" else None
            if isinstance(event, Interaction) and event.ranking in wanted and settings.weight(event.type) > 0:
                found.setdefault(event.ranking, set()).add(event.item)
    return found


def _case(decision: Decision, model: Model, taken: Iterable[str]) -> Case:
    shown, unshown, asked = decision.shown, decision.unshown, decision.request
    there = [place for place, score in enumerate(shown.scores) if score is not None]
    x = shown.matrix()[there][:, : len(NAMES)]
    ids = [shown.ids[place] for place in there]
    if unshown is not None and unshown.ids:
        rest = unshown.matrix()[:, : len(NAMES)]
        known = np.flatnonzero(rest.any(axis=1))  # what was in no catalogue has no features
        x = np.concatenate([x, rest[known]]) if len(x) else rest[known]
        ids += [unshown.ids[place] for place in known.tolist()]
    if model.context:
        context = {} if asked is None else asked.context
        x = np.concatenate([x, context_columns(model.context, context, len(x))], axis=1)
    taken = set(taken) | set(decision.clicked)
    chosen = np.fromiter((name in taken for name in ids), np.bool_, len(ids))
    query = asked is not None and bool(asked.query)
    return Case(
        x, query, decision.subject or f"\1{decision.ranking}", len(there),
        unshown is not None or (asked is not None and asked.candidates <= len(shown.ids)), chosen,
    )  # fmt: skip


def drawn(cases: list[Case], most: int, seed: int) -> tuple[F32, Bools]:
    """At most ``most`` rows of ``cases``, evenly, and which belong to a query; (0, 0) where there are none."""
    if not cases:
        return np.zeros((0, 0), np.float32), np.zeros(0, np.bool_)
    x = np.concatenate([case.x for case in cases])
    query = np.repeat([case.query for case in cases], [len(case.x) for case in cases])
    if len(x) > most:
        picked = np.sort(np.random.default_rng(seed).choice(len(x), most, replace=False))
        x, query = x[picked], query[picked]
    return x, query
