"""How well a ranker could do at most with Palate's features, in the world whose truth is known.

    python -m benchmarks.ceiling [--seeds 21,22,23] [--train 2500] [--visits 500]

Greedy Palate plays, trains after ``--train`` visits, and goes on for ``--visits`` more, of which every candidate's
features are logged. On these: what the blend ships, the prior, the best single feature in hindsight, and a line and a
forest that are told the truth: fitted to the logit of α, or to α, of half of the people, and judged on the other half,
both ways. What even these miss is hardly to be found by a training that sees clicks. All as a share of what the best
possible ranking would have brought.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm
import numpy as np

import palate
from benchmarks.world import SMALL
from palate.features import NAMES
from palate.line import prior_model
from palate.types import Event
from palate.world import InProcess, Play, World, WorldSettings
from palate.world.rankers import Shown, Visit

_RIDGE = 30.0
"""Candidates that a standard deviation away from no weight counts for."""


@dataclass
class Noting(InProcess):
    """Keeps which ranking answered which visit. visits: the ids of rankings and their visits, in order."""

    visits: list[tuple[str, Visit]] = field(default_factory=list)

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        shown = super().rank(visit, news)
        self.visits.append((shown.ranking or "", visit))
        return shown


def played(seed: int, train: int, visits: int) -> tuple[Any, Any, Any, Any, str]:
    """(n, m, f) features, (n, m) α and (n,) people of the n visits after the training at which all were ranked
    (what somebody hid is not), what share of the best the shipped model had of them, and its name."""
    world = World(WorldSettings(seed=seed, visits=2 * train + 1000, people=40))
    settings: dict[str, Any] = {"language": {"encoder": "hashing"}, "train": SMALL, "decisions": {"sample": 1.0}}
    with palate.open(":memory:", policy={"rank": "greedy"}, **settings) as engine:
        ranker = Noting(engine, world, name="greedy")
        going = Play(world, ranker)
        going.run(train)
        ranker.visits.clear()
        name = engine.train().name
        done = going.run(visits)
        x, truth, people, kept = [], [], [], []
        for ranking, visit in ranker.visits:
            decision = engine.parts.decisions.get(ranking)
            parts, ids = [decision.shown.matrix()], list(decision.shown.ids)
            if decision.unshown is not None and decision.unshown.ids:
                parts, ids = [*parts, decision.unshown.matrix()], ids + decision.unshown.ids
            of = dict(zip(map(world.item_id, visit.candidates.tolist()), visit.truth, strict=True))
            kept.append(set(ids) == set(of))
            if not kept[-1]:
                continue
            x.append(np.concatenate([part[:, : len(NAMES)] for part in parts]))
            truth.append([of[one] for one in ids])
            people.append(visit.person)
    rows = np.arange(train, train + visits)[np.array(kept)]
    share = float(done.reward[rows].sum() / done.best[rows].sum())
    return np.nan_to_num(np.stack(x).astype(np.float64)), np.array(truth), np.array(people), share, name


def ceiling(seed: int, train: int, visits: int) -> dict[str, float]:
    """Shares of the best by what ranks."""
    x, truth, people, share, name = played(seed, train, visits)
    looked = 1.0 / np.arange(1, 6)
    best = (np.sort(truth, axis=1)[:, ::-1][:, :5] * looked).sum(axis=1)

    def earned(scores: Any) -> Any:
        first = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        return (np.take_along_axis(truth, first, axis=1) * looked).sum(axis=1)

    n, m, f = x.shape
    prior = prior_model().scorer.score(x.reshape(-1, f).astype(np.float32)).reshape(n, m)
    alone = {name: float(earned(x[:, :, at]).sum() / best.sum()) for at, name in enumerate(NAMES)}
    top = max(alone, key=lambda one: alone[one])
    z = (x - x.mean((0, 1))) / np.maximum(x.std((0, 1)), 0.05)
    line, forest = np.zeros((n, m)), np.zeros((n, m))
    for half in (people % 2 == 0, people % 2 == 1):
        rows, odds = z[~half].reshape(-1, f), np.log(truth[~half] / (1 - truth[~half])).reshape(-1)
        weights = np.linalg.solve(rows.T @ rows + _RIDGE * np.eye(f), rows.T @ (odds - odds.mean()))
        line[half] = z[half] @ weights
        data = lightgbm.Dataset(rows, label=truth[~half].reshape(-1))
        given = {"num_leaves": 7, "learning_rate": 0.05, "min_data_in_leaf": 100, "feature_fraction": 0.5, "seed": 1}
        fixed = {"objective": "regression", "verbosity": -1, "num_threads": 1, "deterministic": True}
        booster: Any = lightgbm.train({**given, **fixed}, data, 150)
        forest[half] = np.asarray(booster.predict(z[half].reshape(-1, f))).reshape(-1, m)
    found = {f"shipped ({name})": share, "prior": prior, f"alone ({top})": x[:, :, NAMES.index(top)]}
    found |= {"line that is told the truth": line, "forest that is told the truth": forest}
    return {
        what: one if isinstance(one, float) else float(earned(one).sum() / best.sum()) for what, one in found.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How well a ranker could do at most with Palate's features.")
    parser.add_argument("--seeds", default="21,22,23")
    parser.add_argument("--train", type=int, default=2500)
    parser.add_argument("--visits", type=int, default=500)
    asked = parser.parse_args()
    for seed in map(int, asked.seeds.split(",")):
        told = ", ".join(f"{what} {value:.3f}" for what, value in ceiling(seed, asked.train, asked.visits).items())
        sys.stdout.write(f"seed {seed}: {told}\n")
        sys.stdout.flush()
