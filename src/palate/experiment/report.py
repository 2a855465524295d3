"""What came of an experiment: people and what they did, out of the decision log and the event log, judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec
import numpy as np

from palate.experiment import INTERLEAVED, Experiment, Guardrail, Metric, arm_of
from palate.experiment.measured import DAY_MS, Measured, People, outcome
from palate.experiment.statistics import FEWEST, Difference, adjusted, difference, sample_ratio
from palate.store import Store
from palate.store.decision import Decision
from palate.types import I64, Bools

BROKEN = 0.001
"""Below this p-value people didn't come to the arms as declared, and nothing else of the report is to be believed."""
Verdict = Literal["better", "worse", "open", "too_few"]
Guarded = Literal["held", "broken", "open", "too_few"]


class ArmFigures(msgspec.Struct):
    """people: who were ranked for by this arm; counted: those of them whose horizon has passed, whom the means are of;
    rankings: of these within it. means: by metric, None where nobody counts. unusable: rankings of this arm that
    another model made, since its own couldn't be used; whoever had one is left out."""

    arm: str
    people: int
    counted: int
    rankings: int
    means: dict[str, float | None]
    unusable: int = 0


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


class GuardrailFigures(msgspec.Struct):
    """Of an arm in a guardrail. verdict: ``broken`` where the arm is worse than the guardrail bears, ``held`` where it
    is not, both beyond doubt at all times together. value: the arm's mean less the control's, relative to that; low,
    high: of the arm's mean less the worst that is borne."""

    metric: str
    arm: str
    verdict: Guarded
    stop: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Preference(msgspec.Struct):
    """Of interleaved arms, by metric: rankings in which the second's items were credited more often, less often, and
    equally often. Those without any credit count as none."""

    metric: str
    wins: int
    losses: int
    ties: int


class ExperimentReport(msgspec.Struct):
    """comparisons: by metric, then arm; the first metric's is what decides. sample_ratio_p: whether people came to the
    arms as declared; below .001 ``trustworthy`` is False. moved: people whom another arm ranked for as well, who are
    left out. guardrails: by guardrail, then arm. preferences: of interleaved arms. notes: sentences on what the figures
    don't say."""

    experiment: Experiment
    as_of: int
    arms: list[ArmFigures]
    comparisons: list[Comparison]
    sample_ratio_p: float
    trustworthy: bool
    moved: int
    notes: list[str]
    guardrails: list[GuardrailFigures] = []
    preferences: list[Preference] = []


def judge(
    experiment: Experiment,
    decisions: Iterable[Decision],
    store: Store,
    now: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> ExperimentReport:
    """The report at event time ``now``, of arms that people are spread over. Both logs are read once."""
    people = People(experiment, decisions)
    horizon = int(experiment.horizon_days * DAY_MS)
    arm = people.arm
    stays = np.ones(len(arm), np.bool_)
    stays[list(people.moved | people.elsewhere)] = False
    counts = np.bincount(arm, minlength=len(experiment.arms))
    weights = np.array([one.weight for one in experiment.arms])
    p = sample_ratio(counts, weights) if len(arm) else 1.0
    ripe = stays & (people.first + horizon <= now)
    told = Measured(experiment.metrics, people, horizon)
    guard_days = int(min(experiment.guard_days, experiment.horizon_days) * DAY_MS)
    guarded = Measured(experiment.guardrails, people, guard_days)
    total = store.seq
    for records in store.read():
        told.take(records)
        if experiment.guardrails:
            guarded.take(records)
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
            people.unusable[place],
        )
        for place, one in enumerate(experiment.arms)
    ]
    comparisons = [
        _compare(experiment, told, n, metric, arm, ripe, place)
        for n, metric in enumerate(experiment.metrics)
        for place in range(1, len(experiment.arms))
    ]
    early = stays & (people.first + guard_days <= now)
    guardrails = [
        _guard(experiment, guarded, n, one, arm, early, place)
        for n, one in enumerate(experiment.guardrails)
        for place in range(1, len(experiment.arms))
    ]
    notes = list(_notes(experiment, arms, len(people.moved), len(people.elsewhere), told.unnamed))
    return ExperimentReport(experiment, now, arms, comparisons, p, p >= BROKEN, len(people.moved), notes, guardrails)


def _mean(told: Measured, place: int, metric: Metric, who: Bools) -> float | None:
    found = outcome(told, place, metric, who) if who.any() else None
    return None if found is None else float(found[0].mean())


def _compare(
    experiment: Experiment, told: Measured, n: int, metric: Metric, arm: I64, ripe: Bools, place: int
) -> Comparison:
    name = experiment.arms[place].name
    control, other = ripe & (arm == 0), ripe & (arm == place)
    mine, theirs = outcome(told, n, metric, other), outcome(told, n, metric, control)
    if mine is None or theirs is None or min(len(mine[0]), len(theirs[0])) < FEWEST:
        return Comparison(metric.name, name, "too_few")
    few = len(theirs[0])
    found, before = np.concatenate([theirs[0], mine[0]]), np.concatenate([theirs[1], mine[1]])
    less = adjusted(found, before)
    within = [part.var() for part in (found[:few], found[few:], less[:few], less[few:])]
    saved = 1 - (within[2] + within[3]) / (within[0] + within[1]) if within[0] + within[1] > 0 else 0.0
    others = len(experiment.arms) - 1
    alpha = experiment.alpha / others
    told_apart = difference(less[:few], less[few:], alpha, experiment.people)
    assert told_apart is not None
    base = float(theirs[0].mean())
    return Comparison(
        metric.name,
        name,
        verdict_of(told_apart),
        told_apart.value,
        told_apart.low,
        told_apart.high,
        told_apart.value / base if base else None,
        min(1.0, told_apart.p * others),
        max(0.0, float(saved)),
    )


def _guard(
    experiment: Experiment, told: Measured, n: int, one: Guardrail, arm: I64, ripe: Bools, place: int
) -> GuardrailFigures:
    """What an arm's mean is held against is the control's, as much worse as the guardrail bears."""
    name = experiment.arms[place].name
    mine, theirs = outcome(told, n, one, ripe & (arm == place)), outcome(told, n, one, ripe & (arm == 0))
    alpha = experiment.alpha / (len(experiment.arms) - 1)
    borne = 1.0 + one.worst if one.less else 1.0 - one.worst
    found = None
    if mine is not None and theirs is not None:
        found = difference(borne * theirs[0], mine[0], alpha, experiment.people)
    if found is None or mine is None or theirs is None:
        return GuardrailFigures(one.name, name, "too_few", one.stop)
    low, high = (-found.high, -found.low) if one.less else (found.low, found.high)
    verdict: Guarded = "broken" if high < 0 else "held" if low >= 0 else "open"
    base = float(theirs[0].mean())
    value = (float(mine[0].mean()) - base) / base if base else None
    return GuardrailFigures(one.name, name, verdict, one.stop, value, found.low, found.high)


def verdict_of(found: Difference) -> Verdict:
    """Beyond doubt or not."""
    return "better" if found.low > 0 else "worse" if found.high < 0 else "open"


def _notes(experiment: Experiment, arms: list[ArmFigures], moved: int, elsewhere: int, unnamed: int) -> Iterator[str]:
    waiting = sum(one.people - one.counted for one in arms)
    if waiting:
        yield (
            f"Not counted yet: {waiting:,}; everybody is once {experiment.horizon_days:g} days have passed since "
            "their first ranking."
        )
    if moved:
        yield f"Left out: {moved:,} for whom more than one arm ranked."
    if elsewhere:
        told = ", ".join(f"{one.arm} {one.unusable:,}" for one in arms if one.unusable)
        yield (
            f"Left out: {elsewhere:,} whose arm's model couldn't be used, so that another one ranked (rankings: "
            f"{told}). They are missing in that arm alone; stop the experiment, mend the model, and start another."
        )
    if experiment.stopped_by:
        yield f"Ended by a guardrail: {experiment.stopped_by}."
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
    return "" if arm is None else INTERLEAVED if experiment.kind == "interleaved" else arm.name
