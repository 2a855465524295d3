"""A teacher's opinion on logged lists, asked for offline: in which order should these people have seen these items?

Each list is put as ``language.rerank`` puts candidates, with what the person had before it; the orders of the two
questions are added up by rank. ``train.teacher`` names the file: of every list the teacher's first counts as chosen, in
a group of its own, with the weight ``train.teacher_weight`` (a real choice weighs 1); it teaches features what to be
worth, never items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from palate.catalogue import Catalogue
from palate.language.offline import Task
from palate.language.rerank import Described, View, views
from palate.line import Line
from palate.reranking import described
from palate.store.decision import Decision

TOP = 10
HISTORY = 8


def lists(line: Line, catalogue: Catalogue, decisions: Iterable[Decision], orders: int = 2) -> list[Task]:
    """The questions about ``decisions`` that showed two items or more; under the engine's lock. Cost: the history of
    each one's person."""
    found: list[Task] = []
    items = line.state.items
    for decision in decisions:
        shown = [
            (name, items.get(name))
            for name, score in zip(decision.shown.ids, decision.shown.scores, strict=True)
            if score is not None and items.get(name) >= 0
        ][:TOP]
        if len(shown) < 2:
            continue
        row = -1 if decision.subject is None else line.state.users.get(decision.subject)
        subject = line.computer.subject(row, catalogue.side())
        had = [
            int(item)
            for item, ts, weight in zip(subject.items, subject.ts, subject.weights, strict=True)
            if weight > 0 and ts < decision.timestamp
        ]
        history = [described(catalogue, item) for item in dict.fromkeys(had[:HISTORY])]
        query = decision.request.query if decision.request is not None else None
        names, candidates = [name for name, _ in shown], [described(catalogue, item) for _, item in shown]
        found.append(_task(decision.ranking, names, candidates, history, query or "", orders))
    return found


def _task(
    ranking: str, names: list[str], candidates: list[Described], history: list[Described], query: str, orders: int
) -> Task:
    asked = views(candidates, history, query, orders, shuffled=True)
    return Task(ranking, [view.prompt for view in asked], lambda answers: _together(asked, answers, names))


def _together(asked: Sequence[View], answers: Sequence[Any], names: Sequence[str]) -> list[str]:
    """Ids by the sum of their ranks, ties as they stood."""
    ranks = [0] * len(names)
    for view, answer in zip(asked, answers, strict=True):
        for rank, place in enumerate(view.order(answer)):
            ranks[place] += rank
    return [names[place] for place in sorted(range(len(names)), key=lambda place: (ranks[place], place))]
