"""What bandits cost a ranking, and what they are worth in a world whose truth is known (``palate.world``).

    python -m benchmarks.bandits cost [--rankings 2000] [--items 20000]
    python -m benchmarks.bandits regret [--seeds 1,2,3] [--visits 3000] [--people 40] [--train 1000] [--only greedy,…]
    python -m benchmarks.bandits floor [--seeds 1,2,3] [--visits 3000]

``cost``: µs of processor time of ``rank`` over 100 candidates in process, decisions logged, by policy, with a trained
model and towers; each ranking is followed by a click that names it, whose cost is told apart. ``regret``: every policy
ranks the same visits of the same worlds, the engine trains once after ``--train`` visits; regret a ranking (expected
clicks less than the best possible), and its paired difference to greedy's and to random's, with 95 % intervals over the
people of all seeds. ``floor``: what new items get of their fair exposure, and how long it takes, with and without
``policy.new_floor``; requests are ``recommend`` then.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import palate
from palate.engine import Engine
from palate.evaluate.bootstrap import Estimate, paired
from palate.testing.world import make_world
from palate.types import Interaction, RankRequest
from palate.world import InProcess, Play, Played, World, WorldSettings, at_random, best_possible, play
from palate.world.measure import measured
from palate.world.play import pooled

HASHING = {"encoder": "hashing"}
SMALL: dict[str, Any] = {"trees": 100, "leaves": 7, "decisions": 2000, "candidates": 40}
ARMS: dict[str, dict[str, Any]] = {
    "greedy": {"rank": "greedy"},
    "epsilon_greedy": {"rank": "epsilon_greedy"},
    "plackett_luce": {"rank": "plackett_luce"},
    "linucb": {"rank": "linucb"},
    "thompson": {"rank": "thompson"},
    "thompson, forgetting in 7 days": {"rank": "thompson", "forget_days": 7.0},
}
"""Policies that are compared, with their settings."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(one: Estimate) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "none"
    return f"{one.value:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"


def cost(rankings: int, items: int) -> None:
    """A line a policy."""
    world = make_world(people=200, per_genre=items // 5, interactions=5_000, seed=1)
    names = list(world.genre_of)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.palate"
        with palate.open(path, language=HASHING, train=SMALL) as engine:
            engine.ingest(world.events)
            engine.wait_encoded()
            engine.train()
        for label, policy in {
            "greedy, nothing learnt": {},
            "greedy, policy.learn": {"learn": True},
            "plackett_luce": {"rank": "plackett_luce"},
            "epsilon_greedy": {"rank": "epsilon_greedy"},
            "linucb": {"rank": "linucb"},
            "thompson, 128 worlds": {"rank": "thompson"},
            "thompson, 32 worlds": {"rank": "thompson", "samples": 32},
        }.items():
            with palate.open(path, language=HASHING, policy=policy, train=SMALL) as engine:
                engine.warm()
                say(f"{label}: {_cost(engine, names, rankings)}")


def _cost(engine: Engine, names: list[str], rankings: int) -> str:
    rng = np.random.default_rng(1)
    took: list[tuple[float, float, float]] = []
    for number in range(rankings + 100):
        some = [names[place] for place in rng.choice(len(names), 100, replace=False).tolist()]
        request = RankRequest(user=f"p{number % 200}", items=list(some), k=10)
        started = time.process_time()
        answer = engine.answer(request)
        middle = time.process_time()
        click = Interaction(user=request.user, item=answer.items[number % 3].id, ranking=answer.ranking)
        engine.ingest(click)
        told = time.process_time() - middle
        stage = next(one.ms for one in answer.stages if one.name == "policy")
        took.append((1e6 * (middle - started), 1e3 * stage, 1e6 * told))
    ranking, policy, told = np.median(np.array(took[100:]), axis=0).tolist()
    return f"ranking {ranking:.0f} µs, of it the policy {policy:.0f} µs; a click {told:.0f} µs (medians)"


def regret(only: Sequence[str], base: WorldSettings, seeds: Sequence[int], train: int, encoder: str) -> None:
    """A block a policy."""
    worlds = [World(dataclasses.replace(base, seed=seed)) for seed in seeds]
    parts: dict[str, list[Played]] = {}
    for world in worlds:
        for ranker in (best_possible(), at_random(world.settings.seed)):
            parts.setdefault(ranker.name, []).append(play(world, ranker))
        for name, policy in ARMS.items():
            if only and name not in only:
                continue
            started = time.perf_counter()
            parts.setdefault(name, []).append(_played(world, name, policy, train, encoder))
            say(f"({name}, seed {world.settings.seed}: {time.perf_counter() - started:.0f} s)")
    whole = {name: pooled(each) for name, each in parts.items()}
    late = np.tile(np.arange(base.visits) >= base.visits // 2, len(seeds))
    for name, played in whole.items():
        found = measured(played)
        second = paired(played.regret[late], np.zeros(int(late.sum())), played.people[late])
        say(f"{name}: regret a ranking {show(found.regret)}; in the second half {show(second)}")
        for other in ("greedy", "random"):
            if other in whole and other != name:
                say(f"  less {other}'s: {show(paired(played.regret, whole[other].regret, played.people))}")


def _played(world: World, name: str, policy: dict[str, Any], train: int, encoder: str) -> Played:
    with palate.open(":memory:", language={"encoder": encoder}, policy=policy, train=SMALL) as engine:
        going = Play(world, InProcess(engine, world, name=name))
        if train:
            going.run(train)
            engine.train()
        played = going.run()
        if engine.bandits.on:
            counts = engine.bandits.learner.counts
            say(f"({name} learnt {', '.join(f'{count} {what}' for what, count in counts.items())})")
        return played


def floor(base: WorldSettings, seeds: Sequence[int], encoder: str) -> None:
    """A block with the floor, and those without."""
    arms: dict[str, dict[str, Any]] = {
        "greedy, no slot": {"explore": False},
        "greedy, one slot": {},
        "the same slots, new items first": {"new_floor": 30, "new_days": 10.0},
        "half of the slots, new items first": {"new_floor": 30, "new_days": 10.0, "explore_share": 0.1},
    }
    worlds = [World(dataclasses.replace(base, seed=seed, candidates=0)) for seed in seeds]
    first: Played | None = None
    for name, policy in arms.items():
        played = pooled([_played(world, name, policy, 0, encoder) for world in worlds])
        first = first or played
        found = measured(played)
        price = paired(played.regret, first.regret, played.people)
        say(f"{name}: regret a ranking {show(found.regret)}; less without a slot {show(price)}")
        if found.exposure is not None:
            fresh = found.exposure
            say(f"  new items get {show(fresh.ratio)} of their fair exposure; after {fresh.impressions} impressions "
                f"[{fresh.impressions_low}, {fresh.impressions_high}]")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cost", "regret", "floor"])
    parser.add_argument("--rankings", type=int, default=2000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--visits", type=int, default=3000)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--only", default="")
    parser.add_argument("--encoder", default="hashing")
    asked = parser.parse_args()
    seeds = [int(one) for one in asked.seeds.split(",")]
    base = WorldSettings(visits=asked.visits, people=asked.people)
    if asked.what == "cost":
        cost(asked.rankings, asked.items)
    elif asked.what == "regret":
        only = [one for one in asked.only.split(";") if one]
        regret(only, base, seeds, asked.train, asked.encoder)
    else:
        floor(base, seeds, asked.encoder)


if __name__ == "__main__":
    main()
