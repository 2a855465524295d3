"""What a correction that is learnt while serving is worth, in a world whose truth is known.

    python -m benchmarks.online [--seeds 8]
    python -m benchmarks.online --world [--seeds 5]

Each ranking shows the best 8 of 40 candidates by the score and, while it is applied, the correction. Whether an item is
taken up depends on the score (1 in log odds a deviation), the place (−0.3 a logarithm), and in the middle third of the
rankings on one of ten features (0.8 a deviation) that the score knows nothing of. Rewards are items taken up a ranking.

Beside the correction (``palate.online``) stand: the score alone; the same with FTRL-Proximal (McMahan et al. 2013,
α = .05, β = 1, λ₁ = 0, λ₂ = 1) in the place of dynamic logistic regression; and the truth itself as the score.
Intervals are 95 % over seeds. At the end, what a ranking costs: joining it with its answers, predicting, learning.

--world plays Palate itself, the built-in blend, in the simulated world (``palate.world``), where everybody's tastes
change on the fifteenth of thirty days: the share of the clicks that the best possible slates would bring, without the
correction, and by how much it is more with it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import palate
from palate.config import Settings
from palate.features import NAMES
from palate.online.learner import Learner
from palate.online.lists import Lists, Shown
from palate.settings_online import OnlineSettings
from palate.store.decision import Decision, pack
from palate.store.decision import Shown as Logged
from palate.train.replay import feature_key
from palate.types import F64, I64, Interaction

K, CANDIDATES, THIRD = 8, 40, 2_000
FEATURES = OnlineSettings().features
COLUMNS: I64 = np.array([NAMES.index(name) for name in FEATURES], np.int64)
TRUTH = 0.8
START = 1_700_000_000_000


class Ftrl:
    """FTRL-Proximal of the same logistic model, with the methods of ``palate.online.logistic.Logistic``."""

    def __init__(self, mean: F64, alpha: float = 0.05, beta: float = 1.0, ridge: float = 1.0) -> None:
        self._start, self._alpha, self._beta, self._ridge = mean.copy(), alpha, beta, ridge
        self._z, self._n = np.zeros(len(mean)), np.zeros(len(mean))
        self.mean: F64 = mean.copy()

    def learn(self, x: F64, y: F64, weight: F64, haste: float = 1.0) -> F64:
        x = x[:, : len(self.mean)]
        p = np.clip(1.0 / (1.0 + np.exp(-np.clip(x @ self.mean, -30.0, 30.0))), 1e-6, 1.0 - 1e-6)
        for row, label, worth in zip(x, y, weight, strict=True):
            off = self.mean - self._start
            gradient = worth * (1.0 / (1.0 + math.exp(-float(row @ self.mean))) - label) * row
            sigma = (np.sqrt(self._n + gradient**2) - np.sqrt(self._n)) / self._alpha
            self._z += gradient - sigma * off
            self._n += gradient**2
            self.mean = self._start - self._z / ((self._beta + np.sqrt(self._n)) / self._alpha + self._ridge)
        return -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))

    def forget(self, share: float) -> None:
        self._z, self._n = self._z * share, self._n * share


def play(seed: int, make: Callable[[], Learner] | None, oracle: bool = False) -> tuple[list[float], list[bool], float]:
    """Rewards by ranking, whether a correction was applied, and seconds spent on learning."""
    rng = np.random.default_rng(seed)
    settings = Settings(online=OnlineSettings(correct="auto"))
    learner = None if make is None else make()
    lists = None
    if learner is not None:

        def settled(shown: Shown) -> None:
            learner.settled(shown)

        lists = Lists(settings, COLUMNS, feature_key(), learner.learn, settled)
    rewards: list[float] = []
    applied: list[bool] = []
    spent = 0.0
    for number in range(3 * THIRD):
        truth = TRUTH if THIRD <= number < 2 * THIRD else 0.0
        scores, x = rng.normal(size=CANDIDATES), rng.normal(size=(CANDIDATES, len(COLUMNS)))
        wanted = scores + truth * x[:, 0]
        rows = np.zeros((CANDIDATES, len(NAMES)), np.float32)
        rows[:, COLUMNS] = x
        shift = None if learner is None else learner.shift()
        moved = np.zeros(CANDIDATES) if shift is None else shift.of(rows)
        best = np.argsort(-(wanted if oracle else scores + moved), kind="stable")[:K]
        places = np.arange(1, K + 1)
        taken = rng.random(K) < 1 / (1 + np.exp(-(-3.0 + wanted[best] - 0.3 * np.log(places))))
        rewards.append(float(taken.sum()))
        applied.append(shift is not None)
        if lists is None:
            continue
        logged = Logged(
            [f"i{place}" for place in range(K)], (scores + moved)[best].tolist(), places.tolist(), [1.0] * K,
            [False] * K, pack(rows[best]),
        )  # fmt: skip
        decision = Decision(
            ranking=f"r{number}", timestamp=START + number * 20_000, as_of=0, subject="u", model="v1",
            features=feature_key(), shown=logged, online=moved[best].tolist() if shift is not None else [],
        )  # fmt: skip
        began = time.process_time()
        lists.decision(decision)
        for place in np.flatnonzero(taken).tolist():
            lists.event(Interaction(item=f"i{place}", user="u", ranking=f"r{number}"), "u")
        spent += time.process_time() - began
    return rewards, applied, spent


def dynamic() -> Learner:
    return Learner("v1", COLUMNS, OnlineSettings(correct="auto", drift=True))


def following() -> Learner:
    """With FTRL-Proximal instead."""
    learner: Any = dynamic()
    learner._full, learner._plain = Ftrl(learner._full.mean), Ftrl(learner._plain.mean)
    return learner


def interval(values: list[float]) -> str:
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def taste_shift(seeds: range) -> None:
    """The table of ``--world``."""
    from palate.world import InProcess, Play, World, WorldSettings

    found: dict[str, list[list[float]]] = {"off": [], "auto": []}
    for seed in seeds:
        world = World(WorldSettings(seed=seed, visits=4_000, people=60, shift_day=15.0, shift_share=1.0))
        for correct, rows in found.items():
            online = {"correct": correct, "half_life": 3_000.0}
            with palate.open(
                ":memory:", language={"encoder": "hashing"}, policy={"explore": False}, online=online
            ) as engine:
                play = Play(world, InProcess(engine, world))
                for _ in range(80):
                    played = play.run(50)
                    if correct != "off":
                        engine.online.catch_up()
            day = (played.times - world.settings.start) / 86_400_000
            spans = (day > 12) & (day < 15), (day >= 15) & (day < 19), day >= 19
            rows.append([float(played.reward[span].sum() / played.best[span].sum()) for span in spans])
    plain, more = np.array(found["off"]), np.array(found["auto"]) - np.array(found["off"])
    sys.stdout.write("| | three days before | four days after | later |\n|---|---|---|---|\n")
    for name, rows in (("without", plain), ("more with it", more)):
        sys.stdout.write(f"| {name} | {' | '.join(interval(column.tolist()) for column in rows.T)} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--world", action="store_true")
    asked = parser.parse_args()
    if asked.world:
        taste_shift(range(1, 1 + (asked.seeds or 5)))
        return
    seeds = range(asked.seeds or 8)
    systems: dict[str, tuple[Callable[[], Learner] | None, bool]] = {
        "the score alone": (None, False),
        "corrected": (dynamic, False),
        "corrected, FTRL-Proximal": (following, False),
        "the truth": (None, True),
    }
    sys.stdout.write(
        "| | before | the feature counts | its last half | it no longer does | applied |\n|---|---|---|---|---|---|\n"
    )
    costs: list[tuple[str, float]] = []
    for name, (make, oracle) in systems.items():
        parts: list[list[float]] = [[], [], [], []]
        shares: list[str] = []
        on = np.zeros((0, 3))
        spent = 0.0
        for seed in seeds:
            rewards, applied, seconds = play(seed, make, oracle)
            spans = (0, THIRD), (THIRD, 2 * THIRD), (3 * THIRD // 2, 2 * THIRD), (2 * THIRD, 3 * THIRD)
            for part, (start, end) in zip(parts, spans, strict=True):
                part.append(float(np.mean(rewards[start:end])))
            on = np.vstack([on, np.array(applied).reshape(3, THIRD).mean(axis=1)])
            spent += seconds
        shares = [f"{share:.0%}" for share in on.mean(axis=0)] if make else ["–"]
        sys.stdout.write(f"| {name} | {' | '.join(map(interval, parts))} | {', '.join(shares)} |\n")
        if make:
            costs.append((name, 1e6 * spent / (len(seeds) * 3 * THIRD)))
    sys.stdout.write("\n")
    for name, cost in costs:
        sys.stdout.write(f"{name}: {cost:.0f} µs of CPU a ranking of {K}\n")


if __name__ == "__main__":
    main()
