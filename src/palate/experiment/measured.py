"""What people did, person by person: out of the decision log, who was ranked for by which arm; out of the event log,
what they did within a time of their own."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from palate.experiment import ANY, Experiment, Metric, label
from palate.experiment.statistics import ratio
from palate.feedback.opinion import understand
from palate.store import Record
from palate.store.decision import Decision
from palate.train.history import event_of
from palate.types import F64, I64, Bools, Interaction

DAY_MS = 86_400_000


class People:
    """Of the people of an experiment: (people,) arm and first ranking, (rankings,) whose they are and when.

    moved: for whom more than one arm ranked. elsewhere: for whom another model than their arm's ranked, since that
    couldn't be used; unusable: (arms,) such rankings.
    """

    def __init__(self, experiment: Experiment, decisions: Iterable[Decision]) -> None:
        arms = {label(experiment, arm): place for place, arm in enumerate(experiment.arms)}
        self.rows: dict[str, int] = {}
        arm, self.moved, self.elsewhere = array("b"), set[int](), set[int]()
        self.unusable = [0] * len(experiment.arms)
        models = [one.model for one in experiment.arms]
        whose, when = array("q"), array("q")
        for decision in decisions:
            place = arms.get(decision.arm)
            if place is None or decision.subject is None or decision.source != "live":
                continue
            row = self.rows.setdefault(decision.subject, len(self.rows))
            if row == len(arm):
                arm.append(place)
            elif arm[row] != place:
                self.moved.add(row)
            if models[place] and decision.model != models[place]:
                self.elsewhere.add(row)
                self.unusable[place] += 1
            whose.append(row)
            when.append(decision.timestamp)
        self.arm: I64 = np.array(arm, np.int64)
        self._whose, self._when = np.array(whose, np.int64), np.array(when, np.int64)
        self.first: I64 = np.full(len(arm), np.iinfo(np.int64).max)
        np.minimum.at(self.first, self._whose, self._when)  # several processes may have written decisions, not in order

    def rankings(self, horizon: int) -> I64:
        """(people,) within ``horizon`` ms of the first."""
        within = self._when < self.first[self._whose] + horizon
        return np.bincount(self._whose[within], minlength=len(self.arm))


class Measured:
    """(metrics, people) sums after and before each one's first ranking."""

    def __init__(self, metrics: Sequence[Metric], people: People, horizon: int) -> None:
        shape = len(metrics), len(people.arm)
        self._metrics = metrics
        self._first: list[int] = people.first.tolist()
        self.number, self.value = np.zeros(shape), np.zeros(shape)
        self.number_before, self.value_before = np.zeros(shape), np.zeros(shape)
        self.rankings = people.rankings(horizon)
        self.unnamed = 0
        self._people, self._horizon = people, horizon
        self._wanted: dict[str, list[int]] = {}
        for place, metric in enumerate(metrics):
            self._wanted.setdefault(metric.type, []).append(place)
        self._any = self._wanted.get(ANY, [])

    def take(self, records: list[Record]) -> None:
        """Events of the log."""
        rows, first = self._people.rows, self._first
        for record in records:
            if record.kind != "interaction" or record.subject is None:
                continue
            row = rows.get(record.subject)
            if row is None:
                continue
            since = min(record.timestamp, record.received) - first[row]
            if not -self._horizon <= since < self._horizon:
                continue
            event = event_of(record)
            if isinstance(event, Interaction):
                self._count(event, row, since >= 0)

    def _count(self, event: Interaction, row: int, after: bool) -> None:
        number, value = (self.number, self.value) if after else (self.number_before, self.value_before)
        for place in (*self._wanted.get(event.type, ()), *self._any):
            metric = self._metrics[place]
            found = _counted(metric, event)
            if found is None:
                continue
            if after and metric.of == "per_ranking" and event.ranking is None:
                self.unnamed += 1
                continue
            number[place, row] += 1
            value[place, row] += found


def _counted(metric: Metric, event: Interaction) -> float | None:
    """What an event adds to the sum of values, None where it doesn't count."""
    if metric.of == "sentiment":
        return None if event.text is None else understand(event.text).sentiment
    if metric.of in ("mean_value", "share") and event.value is None:
        return None
    if metric.of == "share":
        return float((event.value or 0.0) >= (metric.at_least or 0.0))
    if metric.at_least is not None and (event.value is None or event.value < metric.at_least):
        return None
    return event.value or 0.0


def outcome(told: Measured, place: int, metric: Metric, who: Bools) -> tuple[F64, F64] | None:
    """What a person counts, and the same before; None where a ratio has nothing below its line."""
    number, value = told.number[place, who], told.value[place, who]
    before = told.number_before[place, who]
    if metric.of == "users":
        return (number > 0).astype(np.float64), (before > 0).astype(np.float64)
    if metric.of == "events":
        return number, before
    if metric.of == "value":
        return value, told.value_before[place, who]
    below = told.rankings[who].astype(np.float64) if metric.of == "per_ranking" else number
    if not below.sum():
        return None
    return ratio(number if metric.of == "per_ranking" else value, below), before
