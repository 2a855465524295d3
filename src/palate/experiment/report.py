"""What came of an experiment: people and what they did, out of the decision log and the event log, judged."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec
import numpy as np

from palate.experiment import Experiment, Metric, arm_of, label
from palate.experiment.statistics import FEWEST, Difference, adjusted, difference, ratio, sample_ratio
from palate.store import Record, Store
from palate.store.decision import Decision
from palate.train.history import event_of
from palate.types import F64, I64, Bools, Interaction

DAY_MS = 86_400_000
BROKEN = 0.001
"""Below this p-value people didn't come to the arms as declared, and nothing else of the report is to be believed."""
Verdict = Literal["better", "worse", "open", "too_few"]


class ArmFigures(msgspec.Struct):
    """people: who were ranked for by this arm; counted: those of them whose horizon has passed, whom the means are of;
    rankings: of these within it. means: by metric, None where nobody counts."""

    arm: str
    people: int
    counted: int
    rankings: int
    means: dict[str, float | None]


class Comparison(msgspec.Struct):
    """An arm less the control in one metric. low, high: hold at all times together; p: whenever one stops, times the
    arms that share alpha (Bonferroni). relative: of the control's mean. adjusted: by how much of the variance what
    people did before explains, 0 to 1."""

    metric: str
    arm: str
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    relative: float | None = None
    p: float | None = None
    adjusted: float = 0.0


class ExperimentReport(msgspec.Struct):
    """comparisons: by metric, then arm; the first metric's is what decides. sample_ratio_p: whether people came to the
    arms as declared; below .001 ``trustworthy`` is False. moved: people whom another arm ranked for as well, who are
    left out. notes: sentences on what the figures don't say."""

    experiment: Experiment
    as_of: int
    arms: list[ArmFigures]
    comparisons: list[Comparison]
    sample_ratio_p: float
    trustworthy: bool
    moved: int
    notes: list[str]


class _People:
    """Of the people of an experiment: (people,) arm and first ranking, (rankings,) whose they are and when."""

    def __init__(self, experiment: Experiment, decisions: Iterable[Decision]) -> None:
        arms = {label(experiment, arm): place for place, arm in enumerate(experiment.arms)}
        self.rows: dict[str, int] = {}
        arm, self.moved = array("b"), set[int]()
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


def judge(
    experiment: Experiment,
    decisions: Iterable[Decision],
    store: Store,
    now: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> ExperimentReport:
    """The report at event time ``now``. Both logs are read once."""
    people = _People(experiment, decisions)
    horizon = int(experiment.horizon_days * DAY_MS)
    arm = people.arm
    stays = np.ones(len(arm), np.bool_)
    stays[list(people.moved)] = False
    counts = np.bincount(arm, minlength=len(experiment.arms))
    weights = np.array([one.weight for one in experiment.arms])
    p = sample_ratio(counts, weights) if len(arm) else 1.0
    ripe = stays & (people.first + horizon <= now)
    told = _Measured(experiment, people, horizon)
    total = store.seq
    for records in store.read():
        told.take(records)
        if progress is not None:
            progress("experiment", min(records[-1].seq, total - 1), total)
    if progress is not None and total:
        progress("experiment", total, total)
    arms = [
        ArmFigures(
            one.name,
            int((stays & (arm == place)).sum()),
            int((ripe & (arm == place)).sum()),
            int(told.rankings[ripe & (arm == place)].sum()),
            {m.name: _mean(told, n, m, ripe & (arm == place)) for n, m in enumerate(experiment.metrics)},
        )
        for place, one in enumerate(experiment.arms)
    ]
    comparisons = [
        _compare(experiment, told, n, metric, arm, ripe, place)
        for n, metric in enumerate(experiment.metrics)
        for place in range(1, len(experiment.arms))
    ]
    notes = list(_notes(experiment, arms, len(people.moved), told.unnamed))
    return ExperimentReport(experiment, now, arms, comparisons, p, p >= BROKEN, len(people.moved), notes)


class _Measured:
    """(metrics, people) sums after and before each one's first ranking."""

    def __init__(self, experiment: Experiment, people: _People, horizon: int) -> None:
        shape = len(experiment.metrics), len(people.arm)
        self._first: list[int] = people.first.tolist()
        self.number, self.value = np.zeros(shape), np.zeros(shape)
        self.number_before, self.value_before = np.zeros(shape), np.zeros(shape)
        self.rankings = people.rankings(horizon)
        self.unnamed = 0
        self._people, self._horizon = people, horizon
        self._wanted: dict[str, list[int]] = {}
        for place, metric in enumerate(experiment.metrics):
            self._wanted.setdefault(metric.type, []).append(place)
        self._by_ranking = [metric.of == "per_ranking" for metric in experiment.metrics]

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
        for place in self._wanted.get(event.type, ()):
            if after and self._by_ranking[place] and event.ranking is None:
                self.unnamed += 1
                continue
            number[place, row] += 1
            value[place, row] += event.value or 0.0


def _outcome(told: _Measured, place: int, metric: Metric, who: Bools) -> tuple[F64, F64] | None:
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


def _mean(told: _Measured, place: int, metric: Metric, who: Bools) -> float | None:
    found = _outcome(told, place, metric, who) if who.any() else None
    return None if found is None else float(found[0].mean())


def _compare(
    experiment: Experiment, told: _Measured, n: int, metric: Metric, arm: I64, ripe: Bools, place: int
) -> Comparison:
    name = experiment.arms[place].name
    control, other = ripe & (arm == 0), ripe & (arm == place)
    mine, theirs = _outcome(told, n, metric, other), _outcome(told, n, metric, control)
    if mine is None or theirs is None or min(len(mine[0]), len(theirs[0])) < FEWEST:
        return Comparison(metric.name, name, "too_few")
    few = len(theirs[0])
    outcome, before = np.concatenate([theirs[0], mine[0]]), np.concatenate([theirs[1], mine[1]])
    less = adjusted(outcome, before)
    within = [part.var() for part in (outcome[:few], outcome[few:], less[:few], less[few:])]
    saved = 1 - (within[2] + within[3]) / (within[0] + within[1]) if within[0] + within[1] > 0 else 0.0
    others = len(experiment.arms) - 1
    alpha = experiment.alpha / others
    found = difference(less[:few], less[few:], alpha, experiment.people)
    assert found is not None
    base = float(theirs[0].mean())
    return Comparison(
        metric.name,
        name,
        _verdict(found),
        found.value,
        found.low,
        found.high,
        found.value / base if base else None,
        min(1.0, found.p * others),
        max(0.0, float(saved)),
    )


def _verdict(found: Difference) -> Verdict:
    return "better" if found.low > 0 else "worse" if found.high < 0 else "open"


def _notes(experiment: Experiment, arms: list[ArmFigures], moved: int, unnamed: int) -> Iterator[str]:
    waiting = sum(one.people - one.counted for one in arms)
    if waiting:
        yield (
            f"Not counted yet: {waiting:,}; everybody is once {experiment.horizon_days:g} days have passed since "
            "their first ranking."
        )
    if moved:
        yield f"Left out: {moved:,} for whom more than one arm ranked."
    if unnamed:
        yield (
            f"Events that name no ranking, and so count for no per_ranking metric: {unnamed:,}. Send the answer's id "
            "as ranking of what people do with it."
        )
    if len(experiment.metrics) > 1:
        yield "Only the first metric decides; among many others one differs by chance."


def assignment(experiment: Experiment, subject: str) -> str:
    """The arm's name, '' for one who takes no part; of an experiment that has ended, what it was."""
    arm = arm_of(experiment, subject)
    return "" if arm is None else arm.name
