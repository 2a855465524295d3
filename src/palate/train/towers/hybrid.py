"""A hybrid factorisation by BPR (Rendle 2009) or WARP (Weston 2011) over ids, tags and texts (Kula 2015: LightFM).

People are what they had before each event, as ``HybridTower`` reads them, so that everybody is folded in. Some of the
steps leave the ids of items out (DropoutNet, Volkovs 2017): the text learns to stand for an item that nobody met.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from palate.towers import Tower
from palate.towers.hybrid import HybridTower
from palate.train.history import Progress
from palate.train.towers import Interactions
from palate.train.towers.hybrid_kernels import BPR, WARP
from palate.train.towers.hybrid_model import Choice, Features, Learner, Log, Manner, describe
from palate.types import F32, F64

STEPS_A_SECOND = 50_000
"""Events learnt from in a second of one core, measured with 64 factors and some thousand items."""
SECONDS = 30.0
_CELLS = 12_000_000
"""Scores that one judgement may cost."""


class HybridSettings(NamedTuple):
    """What is tried, one property after the other, each with the best found so far; of one value it isn't chosen.

    trial: events that each trial learns from; most: events that the last learning learns from at most; passes: the
    same, as a multiple of the log. valid: the newest share of the log, which chooses; judged: events of it, at most.
    units: whether vectors are read at length 1, then with one of ``biases`` as the weight of the bias, else with one of
    ``plain``; all decays are tried for reading, too.
    """

    decays: Sequence[float] = (0.3, 0.15, 0.5, 0.8, 0.95)
    recencies: Sequence[float] = (4.0, 0.0, 8.0, 16.0, 32.0)
    ties: Sequence[bool] = (True, False)
    losses: Sequence[str] = ("warp", "bpr")
    drops: Sequence[float] = (0.3, 0.6)
    factors: Sequence[int] = (64,)
    trial: int = 60_000
    most: int = 1_000_000
    passes: float = 20.0
    valid: float = 0.1
    judged: int = 1_000
    units: Sequence[bool] = (False, True)
    biases: Sequence[float] = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
    plain: Sequence[float] = (1.0, 1.5, 2.5)


class Found(NamedTuple):
    """What to learn by, from how many events, how to read it, and NDCG@10 on the validation part of all trials."""

    choice: Choice
    steps: int
    manner: Manner
    tried: list[tuple[Choice, int, Manner, float]]


def fit_hybrid(
    data: Interactions,
    settings: HybridSettings | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    seconds: float | None = None,
    found: Found | None = None,
) -> tuple[Tower, F32]:
    """The tower, and vectors (n_items, dim) of all items: what the text says where an item has no interaction.

    seconds: about how long it may take on one core (30 if None); it counts events, not the clock, so that the same
    arguments give the same bits. Hyper-parameters are those of ``found``, or else chosen as ``choose_hybrid`` does,
    which takes half of the time; then all events are learnt anew.
    """
    say = progress or _silent
    features = describe(data)
    if found is None:
        found = choose(data, features, settings or HybridSettings(), seed, _limit(seconds), say)
    log = Log(data, len(data.users))
    learner = Learner(features, log, found.choice, seed)
    parts = 10
    for part in range(parts):
        say("hybrid: learning", part, parts)
        learner.run(found.steps * (part + 1) // parts - found.steps * part // parts)
    say("hybrid: learning", parts, parts)
    choice, manner = found.choice, found.manner
    tower = HybridTower(*learner.placing(manner), choice.factors, choice.tied, manner.decay, manner.unit)
    return tower, np.ascontiguousarray(learner.vectors(manner), np.float32)


def choose_hybrid(
    data: Interactions, seed: int = 1, progress: Progress | None = None, seconds: float | None = None
) -> Found:
    """What ``fit_hybrid`` would choose by itself, for more than one fit of a log that grows. seconds: of that fit."""
    return choose(data, describe(data), HybridSettings(), seed, _limit(seconds), progress or _silent)


def _limit(seconds: float | None) -> int:
    """Events that so much time is enough for."""
    return int(STEPS_A_SECOND * (SECONDS if seconds is None else seconds))


def choose(
    data: Interactions, features: Features, settings: HybridSettings, seed: int, limit: int, say: Progress
) -> Found:
    """Hyper-parameters by NDCG@10 of what is new to people in the newest part, learning from what came before it.

    limit: events in all, half of them for choosing. With fewer than 20 events to judge by nothing is chosen.
    """
    n = len(data.users)
    stop = n - int(n * settings.valid)
    most = int(min(settings.most, limit / 2, settings.passes * n))
    first = Choice(
        loss=_loss(settings.losses[0]), factors=settings.factors[0], tied=settings.ties[0], decay=settings.decays[0],
        recency=settings.recencies[0], drop=settings.drops[0],
    )  # fmt: skip
    whole = Log(data, n)
    window = np.arange(stop, n)
    window = window[whole.fresh[whole.place_of[window]]]
    rng = np.random.default_rng(seed)
    judged = np.sort(rng.permutation(window)[: settings.judged])
    tried: list[tuple[Choice, int, Manner, float]] = []
    if len(judged) < 20 or not stop:
        return Found(first, most, Manner(first.decay, settings.units[-1], 0.0 if settings.units[-1] else 1.0), tried)
    judged = judged[:: max(1, min(len(judged) * data.n_items // _CELLS, len(judged) // 200))]
    log, places = Log(data, stop), whole.place_of[judged]
    allowed = np.bincount(data.items, minlength=data.n_items) > 0
    axes = _axes(settings)
    count = 1 + sum(len(values) - 1 for _, values in axes)
    trial = max(1, min(settings.trial, int(limit / 2 / (count + 4)), int(settings.passes * stop)))

    def judge(learner: Learner, steps: int, manners: list[Manner]) -> tuple[Manner, float]:
        values = [float(_ndcg(learner.ranks(whole, places, allowed, manner)).mean()) for manner in manners]
        tried.extend((learner.choice, steps, *pair) for pair in zip(manners, values, strict=True))
        at = int(np.argmax(values))
        return manners[at], values[at]

    best, best_value, done = first, -1.0, 0
    for at, (name, values) in enumerate(axes):
        for value in values:
            choice = best._replace(**{name: value})
            if at and choice == best:
                continue
            say("hybrid: choosing", done, count)
            learner = Learner(features, log, choice, seed)
            learner.run(trial)
            done += 1
            manners = [Manner(choice.decay, unit, 0.0 if unit else 1.0) for unit in settings.units]
            score = judge(learner, trial, manners)[1]
            if score > best_value:
                best, best_value = choice, score
    # How long, and how it is read: the curve of the best, as long as it rises.
    learner = Learner(features, log, best, seed)
    manners = [
        Manner(decay, unit, 0.0 if unit else 1.0)
        for decay in sorted({best.decay, *settings.decays})
        for unit in settings.units
    ]
    steps, best_steps, best_value = 0, trial, -1.0
    while steps < min(4 * trial, most):
        learner.run(trial)
        steps += trial
        manner, score = judge(learner, steps, manners)
        manners = [manner]
        if score > best_value:
            best_steps, best_value = steps, score
    biases = settings.biases if manners[0].unit else settings.plain
    manner, _ = judge(learner, steps, [manners[0]._replace(bias=bias) for bias in biases])
    say("hybrid: choosing", count, count)
    # Still rising at the end: as long as it may.
    return Found(best, most if best_steps == steps else int(min(most, best_steps * n / stop)), manner, tried)


def _axes(settings: HybridSettings) -> list[tuple[str, Sequence[object]]]:
    return [
        ("decay", settings.decays), ("recency", settings.recencies), ("tied", settings.ties),
        ("loss", [_loss(name) for name in settings.losses]), ("drop", settings.drops), ("factors", settings.factors),
    ]  # fmt: skip


def _loss(name: str) -> int:
    return {"bpr": BPR, "warp": WARP}[name]


def _ndcg(ranks: F64) -> F64:
    return np.where(ranks <= 10, 1.0 / np.log2(1.0 + np.maximum(ranks, 1.0)), 0.0)


def _silent(stage: str, done: int, total: int) -> None:
    pass
