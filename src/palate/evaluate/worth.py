"""What each language part gains beside what it costs: out of the logs, where chance decided; else that nobody can tell.

The gain of a part is a difference of mean rewards a ranking between rankings with it and without it, where a draw
decided which: for the model in the loop the one of each request (``reranking``, weighted by inverse propensity), for
what only training knows of, the arms of an experiment whose models differ in that alone. The reward of a ranking is the
discounted gain of what came of the items it showed, by interactions that name it. Intervals are 95 %, of the linearised
ratio (Hájek 1971), over people, since one person's rankings are no independent witnesses.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from palate.engine import Engine
from palate.errors import PalateError
from palate.evaluate import measure
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.logged import Progress, read_outcomes
from palate.experiment import label
from palate.language.asked import Asked, Use
from palate.language.offline import Run, runs
from palate.settings import GeneratorSettings
from palate.store.decision import Decision
from palate.train.artefact import read_manifest
from palate.train.text.scores import wilson
from palate.types import F64, I64, Bools

LEAST, FEWEST = 200, 30
"""Rankings, and people, that each side must have before anything is concluded."""
RELATIVE = 0.05
"""Of the mean reward: the gain for which ``needed`` says how many rankings it takes to tell."""
Verdict = Literal["gains", "loses", "can't tell", "nothing to gain"]
Reward = Callable[[Decision], float]


class PartCost(msgspec.Struct):
    """What a part used, as far as it was logged. asked: rankings, or questions, for which it was; failed: those that
    gave nothing; used: those whose answer became something, where that is logged. since: Unix ms of the first question
    that is still logged, of what requests ask. seconds: of waiting, or of the runs; ms, ms_95: added to a ranking, or
    waited for an answer, median and 95 %. money: by the prices set; None where none are. thousand: the same for a
    thousand rankings, or questions."""

    asked: int = 0
    failed: int = 0
    used: int | None = None
    since: int | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    ms: float | None = None
    ms_95: float | None = None
    money: float | None = None
    thousand: float | None = None


class Side(msgspec.Struct):
    """The rankings with a part, or without it. reward: their weighted mean."""

    rankings: int
    people: int
    reward: float | None


class Part(msgspec.Struct):
    """A language part. gain: in reward a ranking, with its interval; relative: of the reward without it. needed: about
    how many rankings more it takes to tell a gain of 5 %; None where that can't be said. why: sentences."""

    part: str
    verdict: Verdict
    why: list[str]
    gain: Estimate = Estimate(None)
    relative: float | None = None
    needed: int | None = None
    sides: dict[str, Side] = {}
    cost: PartCost = msgspec.field(default_factory=PartCost)


class WorthReport(msgspec.Struct):
    """decisions: live ones that were read. window_minutes: in which what came of a ranking counts."""

    decisions: int
    window_minutes: float
    parts: list[Part]


class Contrast(NamedTuple):
    """A difference of means and its standard error over people."""

    gain: Estimate
    error: float
    sides: dict[str, Side]


def contrast(rewards: F64, chances: F64, treated: Bools, people: I64, names: tuple[str, str]) -> Contrast:
    """The mean reward of those ``treated`` less that of the others, each weighing 1 / chance. All (n,)."""
    weights = 1.0 / chances
    influence, means, sides = np.zeros(len(rewards)), [0.0, 0.0], dict[str, Side]()
    for side, chosen in enumerate((treated, ~treated)):
        total = float(weights[chosen].sum())
        mean = float((weights * rewards)[chosen].sum()) / total if total else math.nan
        means[side] = mean
        sides[names[side]] = Side(
            int(chosen.sum()), len(np.unique(people[chosen])), None if math.isnan(mean) else round(mean, 6)
        )
        if total:
            influence += (1 if side == 0 else -1) * np.where(chosen, weights * (rewards - mean) / total, 0.0)
    _, code = np.unique(people, return_inverse=True)
    sums = np.bincount(code, influence) if len(code) else np.zeros(0)
    n = len(sums)
    error = math.sqrt(float(sums @ sums) * n / (n - 1)) if n > 1 else math.inf
    difference = means[0] - means[1]
    if not math.isfinite(difference):
        return Contrast(Estimate(None), math.inf, sides)
    half = 1.96 * error
    told = [round(one, 6) for one in (difference, difference - half, difference + half)]
    return Contrast(Estimate(*told) if math.isfinite(error) else Estimate(told[0]), error, sides)


def judged(part: str, found: Contrast, cost: PartCost, lacking: str) -> Part:
    """A part by its contrast. lacking: the sentence for too few rankings, with {count} and {people}."""
    few = min((one.rankings for one in found.sides.values()), default=0)
    people = min((one.people for one in found.sides.values()), default=0)
    base = list(found.sides.values())[-1].reward if found.sides else None
    total = sum(one.rankings for one in found.sides.values())
    relative = found.gain.value / base if found.gain.value is not None and base else None
    needed = None
    if base and math.isfinite(found.error) and found.error > 0.0 and few >= FEWEST:
        wanted = total * (2.8 * found.error / (RELATIVE * base)) ** 2  # found in four of five tries
        needed = max(0, math.ceil(wanted - total))
    if few < LEAST or people < FEWEST or found.gain.low is None or found.gain.high is None:
        why, verdict = lacking.format(count=few, people=people), "can't tell"
    elif found.gain.low > 0.0:
        why, verdict = "It gains beyond doubt.", "gains"
    elif found.gain.high < 0.0:
        why, verdict = "It loses beyond doubt.", "loses"
    else:
        why, verdict = "The interval holds nothing as well: the logs don't say yet.", "can't tell"
    rounded = None if relative is None else round(relative, 4)
    return Part(part, verdict, [why], found.gain, rounded, needed, found.sides, cost)


# --------------------------------------------------------------------------------- in the loop


def reranking(decisions: Sequence[Decision], reward: Reward, generator: GeneratorSettings, gate: str, on: bool) -> Part:
    """The model in the loop, of decisions in which chance decided whether it was asked."""
    drawn = [one for one in decisions if one.reordered is not None and 0.0 < one.reordered.chance < 1.0]
    asked = [one for one in decisions if one.reordered is not None and one.reordered.arm == "asked"]
    logs = [one.reordered for one in asked if one.reordered is not None]
    waits = [stage.ms for one in asked for stage in one.stages if stage.name == "language model"]
    cost = PartCost(
        asked=len(asked),
        failed=sum(bool(log.degraded) for log in logs),
        tokens_in=sum(log.tokens_in for log in logs),
        tokens_out=sum(log.tokens_out for log in logs),
        seconds=round(sum(waits) / 1000, 3),
        ms=round(float(np.median(waits)), 2) if waits else None,
        ms_95=round(float(np.quantile(waits, 0.95)), 2) if waits else None,
    )
    _priced(cost, generator)
    found = contrast(
        np.array([reward(one) for one in drawn], np.float64),
        np.array([one.reordered.chance if one.reordered else 1.0 for one in drawn], np.float64),
        np.array([bool(one.reordered and one.reordered.arm == "asked") for one in drawn], np.bool_),
        people_of(drawn),
        ("asked", "held"),
    )
    lacking = (
        f"Chance let it be asked and held it out too seldom: {{count}} rankings of {{people}} people on the smaller "
        f"side; {LEAST} of {FEWEST} are needed."
    )
    made = judged("rerank", found, cost, lacking if drawn or on else "It is off (language.rerank.enabled).")
    if on or drawn:
        made.why.append(f"The gate is {gate}.")
    moved = sum(any(log.moves) for log in logs)
    if asked:
        made.why.append(f"It moved something in {moved / len(asked):.0%} of the rankings in which it was asked.")
    return made


def _priced(cost: PartCost, generator: GeneratorSettings) -> None:
    if generator.price_in or generator.price_out:
        money = (cost.tokens_in * generator.price_in + cost.tokens_out * generator.price_out) / 1e6
        cost.money = round(money, 6)
        cost.thousand = round(1000 * money / cost.asked, 6) if cost.asked else None


# ---------------------------------------------------------------------------------- in words


def in_words(use: Use, questions: Sequence[Asked], generator: GeneratorSettings) -> Part:
    """What a conversation, or reasons in words, asked the model: what it cost, and how often something came of it. No
    draw decides who is helped, so that no gain in reward is told of turns; texts beside reasons rank nothing."""
    mine = [one for one in questions if one.use == use]
    waits = [one.ms for one in mine if not one.kept]
    used = sum(one.used for one in mine)
    cost = PartCost(
        asked=len(mine),
        failed=sum(bool(one.degraded) for one in mine),
        used=used,
        since=min((one.at for one in mine), default=None),
        tokens_in=sum(one.tokens_in for one in mine),
        tokens_out=sum(one.tokens_out for one in mine),
        seconds=round(sum(one.ms for one in mine) / 1000, 3),
        ms=round(float(np.median(waits)), 2) if waits else None,
        ms_95=round(float(np.quantile(waits, 0.95)), 2) if waits else None,
    )
    _priced(cost, generator)
    if use == "words":
        why = [_BESIDE]
        if mine:
            low, high = wilson(used / len(mine), len(mine))
            why.append(f"Its text held in {used} of {len(mine)} ({low:.0%} to {high:.0%}); else the template stood.")
        return Part(use, "nothing to gain", why, cost=cost)
    if not mine:
        return Part(use, "can't tell", ["No turn was asked about."], cost=cost)
    low, high = wilson(used / len(mine), len(mine))
    made = f"Of {len(mine)} turns that nothing else understood it made wishes of {used} ({low:.0%} to {high:.0%})."
    return Part(use, "can't tell", [made, _MEANT], cost=cost)


_BESIDE = "These texts stand beside reasons; no ranking reads them."
_MEANT = "Whether these were meant no draw tells: without it such turns come to nothing."


def people_of(decisions: Sequence[Decision]) -> I64:
    """(n,) a number a person; a ranking for nobody known is a person of its own."""
    codes: dict[str, int] = {}
    names = [one.subject or f"\1{one.ranking}" for one in decisions]
    return np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)


# --------------------------------------------------------------------------------------- trained


class Made(NamedTuple):
    """How the rankings of an arm came about. has: by a model that was trained with the part; rest: everything else that
    two arms must have in common to be compared."""

    has: bool
    rest: str


def trained(part: str, decisions: Iterable[Decision], reward: Reward, arms: Mapping[str, Made], cost: PartCost) -> Part:
    """What only training knows of, by experiments. arms: by ``experiment/arm``."""
    by_test: dict[str, dict[str, list[Decision]]] = {}
    for one in decisions:
        if one.arm in arms and one.subject is not None:
            by_test.setdefault(one.arm.rpartition("/")[0], {}).setdefault(one.arm, []).append(one)
    best: Contrast | None = None
    for mine in by_test.values():
        for first in mine:
            for other in mine:
                if arms[first].has and not arms[other].has and arms[first].rest == arms[other].rest:
                    rows = [*mine[first], *mine[other]]
                    treated = np.arange(len(rows)) < len(mine[first])
                    rewards = np.array([reward(one) for one in rows], np.float64)
                    found = contrast(rewards, np.ones(len(rows)), treated, people_of(rows), ("with", "without"))
                    best = found if best is None or found.error < best.error else best
    lacking = (
        "No experiment compares two models that differ in it alone: palate experiment start."
        if best is None
        else f"The experiment has {{count}} rankings of {{people}} people on its smaller side; {LEAST} of {FEWEST} are "
        "needed."
    )
    return judged(part, best or Contrast(Estimate(None), math.inf, {}), cost, lacking)


def cost_of(runs: Sequence[Run], part: str) -> PartCost:
    """What the runs of ``palate language summarise`` and ``teach`` came to."""
    mine = [run for run in runs if run.part == part]
    money = sum(run.cost for run in mine)
    return PartCost(
        asked=sum(run.asked for run in mine),
        failed=sum(run.failed for run in mine),
        tokens_in=sum(run.tokens_in for run in mine),
        tokens_out=sum(run.tokens_out for run in mine),
        seconds=round(sum(run.seconds for run in mine), 3),
        money=round(money, 6) if money else None,
    )


# ------------------------------------------------------------------------------------- the report


def report(
    engine: Engine, decisions: Iterable[Decision], window_minutes: float, progress: Progress | None = None
) -> WorthReport:
    """The report of an engine. Cost: both logs are read once."""
    settings, folder = engine.settings, engine.path
    live = [one for one in decisions if one.source == "live" and not (one.request and one.request.query)]
    outcomes = read_outcomes(engine.parts.store, settings, "weights", int(window_minutes * 60_000), progress)

    def reward(one: Decision) -> float:
        worth = outcomes.rewards(one, one.shown.ids)
        return float(sum((worth > 0) / np.log2(np.array(one.shown.positions) + 1.0))) if len(worth) else 0.0

    done = [] if folder is None else runs(folder)
    questions = engine.parts.asked.read()
    rerank, language = settings.language.rerank, settings.language
    arms = _arms(engine)
    parts = [
        reranking(live, reward, language.generator, engine.gate.why, rerank.enabled),
        trained("teacher", live, reward, arms, cost_of(done, "teacher")),
        in_words("chat", questions, language.generator),
        in_words("words", questions, language.generator),
        Part("items", "can't tell", [_ONE], cost=cost_of(done, "items")),
        Part("people", "nothing to gain", [_SHOWN], cost=cost_of(done, "people")),
        Part("encoder", "can't tell", [_ONE], cost=_encoder(engine)),
    ]
    return WorthReport(len(live), window_minutes, parts)


_ONE = "One set of vectors serves at a time, so that no log holds both: compare palate evaluate with it and without it."
_SHOWN = "These texts stand on profiles; no ranking reads them."


def _arms(engine: Engine) -> dict[str, Made]:
    found: dict[str, Made] = {}
    for experiment in engine.arms.experiments.list():
        for arm in experiment.arms:
            with contextlib.suppress(PalateError, OSError):
                version = arm.model or engine.model
                train = dict(read_manifest(engine.shelf.directory / version).settings.get("train", {}))
                has = bool(train.pop("teacher", ""))
                train.pop("teacher_weight", None)
                rest = msgspec.json.encode([train, arm.policy], order="deterministic").decode()
                found[label(experiment, arm)] = Made(has, rest)
    return found


def _encoder(engine: Engine) -> PartCost:
    """What ``palate language measure`` found of the encoder that serves: seconds for all texts, and of a query."""
    name = engine.settings.language.encoder
    kept = [] if engine.path is None else measure.load(engine.path / "vectors" / "measured.json")
    found = next((one for one in kept if one.encoder == name and one.texts_per_second), None)
    texts = len({engine.catalogue.text(row) for row in range(engine.state.n_items)} - {""})
    if found is None:
        return PartCost(asked=texts)
    return PartCost(asked=texts, seconds=round(texts / found.texts_per_second, 3), ms=round(found.one_ms, 2))
