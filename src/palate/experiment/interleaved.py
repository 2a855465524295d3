"""What came of interleaved arms: whose items people took up of rankings that both had drafted.

Team draft (Radlinski, Kurup and Joachims 2008): in each ranking, the arm wins whose items were taken up more often. A
person's preference is how many of their rankings the second arm won, less how many it lost; the mean is that over all
rankings with any credit (as Chapelle et al. 2012), with the variance of a ratio over people, and a confidence sequence
that holds whenever one looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from palate.experiment import Experiment, Metric, label
from palate.experiment.measured import DAY_MS
from palate.experiment.report import BROKEN, ArmFigures, Comparison, ExperimentReport, Preference, verdict_of
from palate.experiment.statistics import FEWEST, Difference, mixture, p_value, radius, ratio, sample_ratio
from palate.store import Record, Store
from palate.store.decision import Decision
from palate.train.history import event_of
from palate.types import F64, Interaction


class _Drafted(NamedTuple):
    """A ranking: whose, when, and the team of each item."""

    row: int
    when: int
    team: dict[str, int]


class _Rankings:
    """Of the people of an experiment."""

    def __init__(self, experiment: Experiment, decisions: Iterable[Decision]) -> None:
        name = label(experiment, experiment.arms[0])
        self.rows: dict[str, int] = {}
        self.first: list[int] = []
        self.drafted: dict[str, _Drafted] = {}
        self.began = [0, 0]
        self.alone = 0
        """Rankings that one arm made alone, as a model couldn't be used."""
        for one in decisions:
            if one.arm != name or one.subject is None or one.source != "live":
                continue
            if not one.teams:
                self.alone += 1
                continue
            row = self.rows.setdefault(one.subject, len(self.rows))
            if row == len(self.first):
                self.first.append(one.timestamp)
            self.first[row] = min(self.first[row], one.timestamp)
            self.began[one.teams[0]] += 1
            team = dict(zip(one.shown.ids, one.teams, strict=False))
            self.drafted[one.ranking] = _Drafted(row, one.timestamp, team)


def judge(
    experiment: Experiment,
    decisions: Iterable[Decision],
    store: Store,
    now: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> ExperimentReport:
    """The report at event time ``now``, of interleaved arms. Both logs are read once; memory: every ranking's items."""
    found = _Rankings(experiment, decisions)
    horizon = int(experiment.horizon_days * DAY_MS)
    names = [arm.name for arm in experiment.arms]
    metrics = experiment.metrics
    credit: list[dict[tuple[str, str], int]] = [{} for _ in metrics]
    total, unnamed = store.seq, 0
    for records in store.read():
        for record in records:
            unnamed += _credit(record, found, metrics, horizon, credit)
        if progress is not None:
            progress("experiment", min(records[-1].seq, total - 1), total)
    if progress is not None and total:
        progress("experiment", total, total)
    first = np.array(found.first, np.int64)
    ripe = first + horizon <= now
    within = [one for one in found.drafted.values() if one.when < first[one.row] + horizon and ripe[one.row]]
    figures = [ArmFigures(name, len(first), int(ripe.sum()), len(within), {}, found.alone if n else 0)
               for n, name in enumerate(names)]  # fmt: skip
    comparisons: list[Comparison] = []
    preferences: list[Preference] = []
    for metric, credited in zip(metrics, credit, strict=True):
        balance: dict[str, list[int]] = {}
        for (ranking, _), team in credited.items():
            if ripe[found.drafted[ranking].row]:
                balance.setdefault(ranking, [0, 0])[team] += 1
        for place, one in enumerate(figures):
            taken = sum(counts[place] for counts in balance.values())
            one.means[metric.name] = taken / len(within) if within else None
        outcomes = {ranking: (b > a) - (b < a) for ranking, (a, b) in balance.items()}
        wins, losses = (sum(sign == way for sign in outcomes.values()) for way in (1, -1))
        preferences.append(Preference(metric.name, wins, losses, len(outcomes) - wins - losses))
        comparisons.append(_compare(experiment, metric, names[1], outcomes, found, int(ripe.sum()), ripe))
    p = sample_ratio(np.array(found.began, np.int64), np.ones(2)) if sum(found.began) else 1.0
    notes: list[str] = []
    waiting = len(first) - int(ripe.sum())
    if waiting:
        notes.append(
            f"Not counted yet: {waiting:,}; everybody is once {experiment.horizon_days:g} days have passed since their "
            "first ranking."
        )
    if found.alone:
        notes.append(f"Left out: {found.alone:,} rankings that one arm made alone, as a model couldn't be used.")
    if unnamed:
        notes.append(
            f"Events that name no ranking, and so count for no per_ranking metric: {unnamed:,}. Send the answer's id "
            "as ranking of what people do with it."
        )
    if len(metrics) > 1:
        notes.append("Only the first metric decides; among many others one differs by chance.")
    return ExperimentReport(
        experiment, now, figures, comparisons, p, p >= BROKEN, 0, notes, preferences=preferences
    )  # fmt: skip


def _credit(
    record: Record,
    found: _Rankings,
    metrics: list[Metric],
    horizon: int,
    credit: list[dict[tuple[str, str], int]],
) -> bool:
    """Note whose item was taken up; every item of a ranking once a metric. True where the event names no ranking."""
    row = found.rows.get(record.subject or "") if record.kind == "interaction" else None
    if row is None or not 0 <= min(record.timestamp, record.received) - found.first[row] < horizon:
        return False
    event = event_of(record)
    if not isinstance(event, Interaction):
        return False
    wanted = [place for place, metric in enumerate(metrics) if metric.type in (event.type, "*")]
    if not wanted or event.ranking is None:
        return bool(wanted)
    drafted = found.drafted.get(event.ranking)
    team = None if drafted is None or drafted.row != row else drafted.team.get(event.item)
    for place in wanted:
        least = metrics[place].at_least
        if team is not None and (least is None or (event.value is not None and event.value >= least)):
            credit[place][event.ranking, event.item] = team
    return False


def _compare(
    experiment: Experiment,
    metric: Metric,
    name: str,
    outcomes: dict[str, int],
    found: _Rankings,
    people: int,
    ripe: np.ndarray,
) -> Comparison:
    above, below = np.zeros(len(ripe)), np.zeros(len(ripe))
    for ranking, sign in outcomes.items():
        row = found.drafted[ranking].row
        above[row] += sign
        below[row] += 1
    if people < FEWEST or not below.sum():
        return Comparison(metric.name, name, "too_few")
    told = preference(ratio(above[ripe], below[ripe]), experiment.alpha, experiment.people)
    return Comparison(metric.name, name, verdict_of(told), told.value, told.low, told.high, None, told.p)


def preference(each: F64, alpha: float, people: float) -> Difference:
    """Mean of one number a person (n,), with the bounds of a 1 − ``alpha`` confidence sequence and its p-value."""
    n, value, variance = len(each), float(each.mean()), float(each.var(ddof=1))
    rho2 = mixture(alpha, people)
    half = radius(n, variance, alpha, rho2) if variance > 0 else 0.0
    return Difference(value, value - half, value + half, p_value(n, variance, value, rho2))
