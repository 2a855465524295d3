"""Judging a configuration on rankings that another one drew: yesterday's traffic, before anything ships.

Two passes over the decision log, in bounded memory: the first learns the reward model and counts, the second scores
every candidate of every decision with the model to be judged, and asks its policy how likely it would have shown what
was shown. Candidates and features are those of the log.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from scipy.special import stdtrit

from palate.answer import seeded
from palate.config import Settings
from palate.errors import InvalidInput
from palate.evaluate import offpolicy
from palate.evaluate.bootstrap import Estimate, by_user
from palate.evaluate.expected import RewardModel
from palate.evaluate.judgement import Judgement, Overlap, Remark
from palate.evaluate.logged import Case, Progress, Variant, cases, choose_variant, keys_of, read_outcomes
from palate.evaluate.target import Target, learnt_of
from palate.evaluate.verdict import notes_of, reasons_of
from palate.features import NAMES
from palate.line import Model, prior_model
from palate.policy import Policy
from palate.settings_policy import CERTAIN
from palate.store import open_decisions, open_store
from palate.store.decision import Decision
from palate.train import artefact
from palate.train.serving import scoring_of
from palate.types import F64, I64

_ROWS = 50_000
"""Candidates that are scored at once."""
_LAST = -1e12
"""The score of what was shown and the model to be judged can't score: it comes last, as in an answer."""
_DRAWS = 4
"""Slates drawn of a policy that leaves something to chance, for what the reward model expects of it."""


@dataclass(slots=True)
class Rounds:
    """What estimators need, a row a ranking, padded to K places with weight as above and reward 0.

    target, logged: (n, K) chances given what stands above; rewards: (n, K); base: (n,) and errors: (n, K) as in
    ``offpolicy.dr``; subjects: whose."""

    target: F64
    logged: F64
    rewards: F64
    base: F64
    errors: F64
    subjects: list[str]


def replay(
    directory: Path,
    settings: Settings,
    *,
    logging: Settings | None = None,
    model: str | None = None,
    reward: str = "click",
    window_minutes: float = 60.0,
    variant: Variant | None = None,
    depth: int = 10,
    clip: float | None = None,
    least: float = 100.0,
    progress: Progress | None = None,
) -> Judgement:
    """Judge ``settings`` (their policy and ``features.off``) and a model on the decisions of an engine's directory.

    logging: the settings that the directory is served with, by default ``settings``. model: a version of the shelf,
    ``prior``, or by default the active one. reward: a type of interaction, worth 1, or ``weights``, each type its
    weight in ``settings``; of interactions that name the ranking within ``window_minutes``. variant: ``cascade`` (by
    default where rankings were drawn whole), ``slate``, or ``slot`` (the exploration slot alone). depth: places judged.
    clip: weights above are cut; by default √n. least: rankings' worth of evidence below which it can't tell.

    Reads only; works while a service holds the directory. Errors: ``NotFound`` for an unknown model,
    ``CorruptArtefact``, ``InvalidInput`` for bad arguments. Cost: about 0.1 ms a decision and 0.3 ms one that is
    judged on; memory: some hundred bytes a ranking.
    """
    started = time.perf_counter()
    if not 1 <= depth <= 100:
        raise InvalidInput(f"depth is {depth}; it must lie between 1 and 100.", "depth")
    if not window_minutes > 0:
        raise InvalidInput(f"window_minutes is {window_minutes:g}; it must be above 0.", "window_minutes")
    if clip is not None and not clip >= 1.0:
        raise InvalidInput(f"clip is {clip:g}; it must be at least 1, the weight of a ranking that fits.", "clip")
    if not least >= 0.0:
        raise InvalidInput(f"least is {least:g}; it must be at least 0, in rankings.", "least")
    if not reward:
        raise InvalidInput("reward is empty: name a type of interaction, such as click, or weights.", "reward")
    served = settings if logging is None else logging
    chosen, notes = _model_of(directory, model)
    log = open_decisions(directory / "decisions", served.decisions, read_only=True)
    store = open_store(directory / "events.db", read_only=True)
    try:
        outcomes = read_outcomes(store, settings, reward, int(window_minutes * 60_000), progress)
    finally:
        store.close()
    found_variant, counts = choose_variant(_told(log.read(), "decisions", progress))
    target = Target(settings, chosen, variant or found_variant)
    if target.bandits:
        target.learner, learnt = learnt_of(directory, settings)
        notes += learnt
    depth = 1 if target.variant == "slot" else depth
    keys, skipped = keys_of(settings, served), Counter[str]()
    expected = RewardModel(len(NAMES), depth)
    for case in cases(
        _told(log.read(), "learn", progress, counts["decisions"]), outcomes, target.variant, keys, skipped,
        target.bandits,
    ):  # fmt: skip
        expected.add(case)
    expected.fit()
    told = _told(log.read(), "judge", progress, counts["decisions"])
    again = cases(told, outcomes, target.variant, keys, Counter(), target.bandits)
    rounds = rounds_of(again, target, expected, depth)
    shape = Judgement(
        "judged", [], target.variant, chosen.version, reward, window_minutes, depth, counts["decisions"],
        skipped=dict(skipped), notes=notes + notes_of(settings, served, target.variant),
    )  # fmt: skip
    judged = judge(rounds, shape, clip, least, bool(outcomes.by_ranking))
    return _timed(judged, time.perf_counter() - started)


def _timed(judged: Judgement, seconds: float) -> Judgement:
    return msgspec.structs.replace(judged, seconds=round(seconds, 2))


def _told(decisions: Iterable[Decision], stage: str, progress: Progress | None, total: int = 0) -> Iterator[Decision]:
    done = 0
    for done, decision in enumerate(decisions, 1):
        yield decision
        if progress is not None and done % 500 == 0:
            progress(stage, done, max(total, done))
    if progress is not None:
        progress(stage, done, done)


def _model_of(directory: Path, version: str | None) -> tuple[Model, list[Remark]]:
    """The scorer of a version; what else it learnt is in the logged features already, or can't be."""
    models = directory / "models"
    active = artefact.active(models) if models.is_dir() else None
    version = version or active or "prior"
    if version == "prior":
        return prior_model(), []
    found = artefact.load(artefact.locate(models, version))
    made = scoring_of(found)
    notes: list[Remark] = []
    if version != active and any(not name.startswith("scorer.") for name in found.arrays):
        notes.append(
            Remark(
                "learnt_columns",
                f"What {version} learnt beside its scorer (EASE, towers, groups) is not judged: those columns are as "
                "the model that served computed them.",
            )
        )
    return made, notes


def rounds_of(found: Iterable[Case], target: Target, expected: RewardModel, depth: int) -> Rounds:
    """Every case through the target, some at a time."""
    parts: list[tuple[F64, F64, F64, float, F64]] = []
    subjects: list[str] = []
    group: list[Case] = []
    rows = 0

    def scored() -> None:
        for case, scores in zip(group, target.scores(group), strict=True):
            parts.append(_round(case, scores, target.policy(case.kind, case), expected, depth))
            subjects.append(case.subject)

    for case in found:
        group.append(case)
        rows += len(case.x)
        if rows >= _ROWS:
            scored()
            group, rows = [], 0
    if group:
        scored()
    if not parts:
        empty = np.zeros((0, depth))
        return Rounds(empty, empty, empty, np.zeros(0), empty, [])
    columns = list(zip(*parts, strict=True))
    stacked = [np.array(column) for column in columns]
    return Rounds(stacked[0], stacked[1], stacked[2], stacked[3], stacked[4], subjects)


def _round(
    case: Case, scores: F64, policy: Policy, expected: RewardModel, depth: int
) -> tuple[F64, F64, F64, float, F64]:
    """chances, propensities, rewards (K,) each, base, errors (K,) of one ranking."""
    k = min(len(case.order), depth)
    order = case.order[:k]
    places = np.arange(k)
    lost = case.order[~np.isfinite(scores[case.order])]
    if len(lost):
        scores = scores.copy()
        scores[lost] = _LAST
    target, logged, rewards, errors = np.ones(depth), np.ones(depth), np.zeros(depth), np.zeros(depth)
    full = case.order if getattr(policy, "explore", None) is not None else order
    chances = policy.chances(scores, full)[:k]
    target[:k], logged[:k], rewards[:k] = chances[places, order], case.logged[:k], case.rewards[:k]
    q = expected.places(case, k)
    by_place = np.einsum("kn,kn->k", chances, q)
    after = np.zeros(k + 1)
    if k > 1:
        certain = policy.name in CERTAIN and full is order
        chance = seeded(case.ranking)
        drawn = [policy.choose(scores, len(full), chance).order[:k] for _ in range(1 if certain else _DRAWS)]
        each = np.mean([q[places, slate] for slate in drawn], axis=0)
        after[:k] = np.cumsum(each[::-1])[::-1]
    own = q[places, order]
    follow = np.zeros(k)
    follow[:-1] = by_place[1:] + after[2 : k + 1]
    errors[:k] = rewards[:k] + follow - own - after[1 : k + 1]
    return target, logged, rewards, float(by_place[0] + after[1]), errors


def judge(rounds: Rounds, shape: Judgement, clip: float | None, least: float, named: bool) -> Judgement:
    """Estimates, intervals and a verdict from the arrays. named: whether any event names a ranking."""
    n = len(rounds.base)
    if n == 0:
        return msgspec.structs.replace(
            shape, verdict="can't tell", reasons=reasons_of(shape, None, 0.0, 0.0, least, named)
        )
    make = offpolicy.slate_weights if shape.variant == "slate" else offpolicy.cascade_weights
    raw = make(rounds.target, rounds.logged)
    most = float(np.sqrt(n)) if clip is None else clip
    weights = offpolicy.clipped(raw, most)
    shrinkage = offpolicy.best_shrinkage(rounds.errors, weights, rounds.base)
    logged = rounds.rewards.sum(axis=1)
    rows = {
        "ips": offpolicy.ips(rounds.rewards, weights),
        "snips": offpolicy.snips_linear(rounds.rewards, weights),
        "dm": offpolicy.dm(rounds.base),
        "dr": offpolicy.dr(rounds.base, rounds.errors, weights),
        "dros": offpolicy.dros(rounds.base, rounds.errors, weights, shrinkage),
    }
    values = np.stack([*rows.values(), logged, rows["dr"] - logged], axis=1)
    _, codes = np.unique(np.array(rounds.subjects), return_inverse=True)
    *estimates, of_logged, lift = intervals(values, codes, _slack(rounds, raw, weights, shrinkage, codes))
    people = int(codes.max()) + 1
    overlap = _overlap(rounds, raw, weights, most)
    spread = raw.std(axis=0) / np.sqrt(n)
    support = float((raw.mean(axis=0) + 2.0 * spread).min())
    reasons = reasons_of(shape, overlap, support, float(logged.any()), least, named)
    by_person = [np.bincount(codes, rows[name]) * people / n for name in ("ips", "dr")]
    return msgspec.structs.replace(
        shape,
        verdict="can't tell" if reasons else "judged",
        reasons=reasons,
        judged_on=n,
        people=people,
        rewarded=int(np.count_nonzero(logged)),
        logged=of_logged,
        estimates=dict(zip(rows, estimates, strict=True)),
        bernstein={name: offpolicy.bernstein(each) for name, each in zip(("ips", "dr"), by_person, strict=True)},
        lift=lift,
        shrinkage=None if np.isinf(shrinkage) else shrinkage,
        overlap=overlap,
    )


def intervals(values: F64, people: I64, slack: F64) -> list[Estimate]:
    """(n, m) rankings to m means with 95 % intervals over people, wider by ``slack`` (m,) on either side.

    Percentiles of the bootstrap, expanded by Student's t, for they are too narrow for few people (Hesterberg, "What
    Teachers Should Know About the Bootstrap", 2015, 6.4).
    """
    count = len(np.unique(people))
    wider = float(stdtrit(count - 1, 0.975) / 1.959964 * (count / (count - 1)) ** 0.5) if count > 1 else 1.0
    found: list[Estimate] = []
    for one, more in zip(by_user(values, people), slack.tolist(), strict=True):
        value, low, high = one.value, one.low, one.high
        if value is None or low is None or high is None:
            found.append(one)
        else:
            found.append(Estimate(value, value + (low - value) * wider - more, value + (high - value) * wider + more))
    return found


def _slack(rounds: Rounds, raw: F64, weights: F64, shrinkage: float, people: I64) -> F64:
    """By how much cutting and shrinking weights is seen to have moved each estimate: ips, snips, dm, dr, dros, the
    logged value and the lift.

    What shrinking moved is seen with an error of its own, and λ was chosen where little of it is seen: so that of dros
    has a standard error over people added, as in the choice of λ. people: (n,) whose each ranking is.
    """
    small = offpolicy.shrunk(weights, shrinkage)
    ips = abs(float(((raw - weights) * rounds.rewards).sum(axis=1).mean()))
    dr = abs(float(((raw - weights) * rounds.errors).sum(axis=1).mean()))
    lost = ((raw - small) * rounds.errors).sum(axis=1)
    dros = abs(float(lost.mean()))
    if not np.isinf(shrinkage):
        off = np.bincount(people, lost - lost.mean())
        dros += float(np.sqrt((off**2).sum())) / len(lost)
    return np.array([ips, ips, 0.0, dr, dros, 0.0, dr])


def _overlap(rounds: Rounds, raw: F64, weights: F64, most: float) -> Overlap:
    n = len(raw)
    brought = np.abs(rounds.rewards).sum(axis=0)
    share = brought / brought.sum() if brought.any() else np.full(len(brought), 1.0 / len(brought))
    effective = float(sum(s * offpolicy.effective_size(w) for s, w in zip(share, weights.T, strict=True)))
    rewarded = offpolicy.effective_size(np.abs((weights * rounds.rewards).sum(axis=1)))
    means = [round(float(mean), 6) for mean in raw.mean(axis=0)]
    cut = int(np.count_nonzero((raw > most).any(axis=1)))
    return Overlap(
        effective, effective / n, rewarded, means, None if np.isinf(most) else most, cut, float(raw.max(initial=0.0))
    )
