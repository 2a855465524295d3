"""Off-policy estimates held against the truth.

    python -m benchmarks.offpolicy coverage [--runs 500] [--rankings 500] [--temperature 0.7]
    python -m benchmarks.offpolicy speed [--decisions 100000]
    python -m benchmarks.offpolicy obd FOLDER

``coverage``: how often 95 % intervals cover the value that a known-answer world (``palate.testing.rankings``) gives.
``speed``: seconds of ``palate replay`` on so many decisions, a tenth of them with all their candidates, as by default.
``obd``: the Open Bandit data (Saito et al. 2021; FOLDER holds random/all and bts/all): the uniform policy's log judges
Bernoulli Thompson sampling and the other way round, beside what the other policy really earned. The policy to be
judged is known by its marginal (place, item) frequencies, as in that paper.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from palate.config import PolicySettings, Settings, load
from palate.evaluate import offpolicy
from palate.evaluate.bootstrap import by_user
from palate.evaluate.expected import RewardModel
from palate.evaluate.judgement import Judgement
from palate.evaluate.replay import Target, judge, replay, rounds_of
from palate.features import NAMES
from palate.line import Model
from palate.policy import make_policy
from palate.score.linear import LinearScorer
from palate.store.decision import Asked, Decision, Shown, Unshown, pack
from palate.store.decisions import DecisionLog
from palate.testing.rankings import COLUMNS, RankingWorld
from palate.train.replay import feature_key
from palate.types import F64, Interaction


def coverage(runs: int, rankings: int, temperature: float) -> None:
    """A line a target and variant: how many intervals cover the truth, and their mean width beside it."""
    world = RankingWorld()
    logging = make_policy("plackett_luce", PolicySettings(temperature=1.0))
    weights = np.zeros(len(NAMES))
    weights[list(COLUMNS)] = world.pull
    model = Model("better", LinearScorer(NAMES, weights))
    names = ("ips", "snips", "dm", "dr", "dros")
    settings = Settings(policy=PolicySettings(recommend="plackett_luce", temperature=temperature))
    drawn = make_policy("plackett_luce", settings.policy)
    truth = world.value(drawn, model.scorer.score, 50_000, 1)
    covered = {variant: dict.fromkeys((*names, "lift"), 0) for variant in ("cascade", "slate")}
    width = {variant: dict.fromkeys((*names, "lift"), 0.0) for variant in ("cascade", "slate")}
    uniform = world.value(logging, lambda x: np.zeros(len(x)), 50_000, 2)
    told = 0
    for run in range(runs):
        cases = list(world.log(logging, lambda x: np.zeros(len(x)), rankings, 1000 + run, rankings // 3))
        expected = RewardModel(len(NAMES), world.places)
        for case in cases:
            expected.add(case)
        expected.fit()
        rounds = rounds_of(cases, Target(settings, model, "cascade"), expected, world.places)
        for variant in ("cascade", "slate"):
            shape = Judgement("judged", [], variant, "m", "click", 60.0, world.places, rankings)
            found = judge(rounds, shape, None, 100.0, True)
            told += variant == "cascade" and found.verdict == "judged"
            for name in names:
                one = found.estimates[name]
                covered[variant][name] += bool(one.low <= truth <= one.high)
                width[variant][name] += (one.high - one.low) / runs
            width[variant]["lift"] += (found.lift.high - found.lift.low) / runs
            covered[variant]["lift"] += bool(found.lift.low <= truth - uniform <= found.lift.high)
    say(f"temperature {temperature}: truth {truth:.4f}, logged {uniform:.4f}; verdict judged in {told} of {runs}")
    for variant, counts in covered.items():
        parts = [f"{name} {count / runs:.3f} (width {width[variant][name]:.3f})" for name, count in counts.items()]
        say(f"  {variant}: " + ", ".join(parts))


def speed(decisions: int, candidates: int = 100) -> None:
    """A directory with so many decisions of ten shown items out of ``candidates``, and clicks; then a replay of it."""
    import palate

    rng = np.random.default_rng(1)
    policy = make_policy("plackett_luce", PolicySettings())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.palate"
        settings = load(overrides={"decisions": {"max_bytes": 8 << 30}})
        with palate.open(path, settings=settings) as engine:
            log, clicks = engine.parts.decisions.log, []
            assert isinstance(log, DecisionLog)
            ids = [f"i{n}" for n in range(candidates)]
            for number in range(decisions):
                x = rng.random((candidates, len(NAMES)), np.float32)
                slate = policy.choose(x[:, 0] + x[:, 1], 10, rng)
                name, order = log.reserve(), slate.order.tolist()
                left = sorted(set(range(candidates)) - set(order))
                shown = Shown(
                    [ids[n] for n in order], x[order, 0].tolist(), list(range(1, 11)), slate.propensity.tolist(),
                    [False] * 10, pack(x[order]),
                )  # fmt: skip
                unshown = Unshown([ids[n] for n in left], pack(x[left])) if log.keeps_unshown(name) else None
                log.append(
                    name,
                    Decision(
                        timestamp=1_700_000_000_000 + number, as_of=0, subject=f"u{number % 5000}", model="prior",
                        features=feature_key(), shown=shown, unshown=unshown, policy="plackett_luce",
                        request=Asked("recommend", f"u{number % 5000}", k=10, candidates=candidates),
                    ),
                )  # fmt: skip
                if number % 10 == 0:
                    item = shown.ids[int(rng.integers(10))]
                    when = 1_700_000_000_000 + number
                    clicks.append(Interaction(item=item, type="click", user="u", ranking=name, timestamp=when))
                if number % 5000 == 0:
                    log.flush()
            engine.ingest(clicks)
        started = time.perf_counter()
        wanted = load(overrides={"policy": {"recommend": "plackett_luce", "temperature": 0.8}})
        found = replay(path, wanted, logging=settings)
        seconds, cpu = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
        say(
            f"{found.decisions:,} decisions, judged on {found.judged_on:,}: {seconds:.1f} s, peak memory "
            f"{cpu.ru_maxrss / 1024:,.0f} MB, verdict {found.verdict}"
        )


def obd(folder: Path) -> None:
    """Each policy's log judges the other."""
    import pandas as pd

    logs = {name: pd.read_csv(folder / name / "all" / "all.csv", index_col=0) for name in ("random", "bts")}
    items = 1 + max(int(log["item_id"].max()) for log in logs.values())
    for source, target in (("random", "bts"), ("bts", "random")):
        log, other = logs[source], logs[target]
        place = log["position"].to_numpy() - 1
        item, reward = log["item_id"].to_numpy(), log["click"].to_numpy(float)
        logged = log["propensity_score"].to_numpy(float)
        chances = frequencies(other, items, target == "random")
        weights = offpolicy.clipped((chances[place, item] / logged)[:, None], float(np.sqrt(len(log))))
        model = reward_model(log, items)
        n = np.arange(len(log))
        q = model[n % 5]
        base = np.einsum("ni,ni->n", chances[place], q[n, place])
        errors = (reward - q[n, place, item])[:, None]
        shrinkage = offpolicy.best_shrinkage(errors, weights, base)
        rows = {
            "ips": offpolicy.ips(reward[:, None], weights),
            "snips": offpolicy.snips_linear(reward[:, None], weights),
            "dm": base,
            "dr": offpolicy.dr(base, errors, weights),
            f"dros λ={shrinkage:g}": offpolicy.dros(base, errors, weights, shrinkage),
        }
        (truth,) = by_user(other["click"].to_numpy(float)[:, None], np.arange(len(other)))
        size = offpolicy.effective_size(weights[:, 0])
        say(
            f"{source} → {target}: {int(reward.sum())} clicks in {len(log):,}; effective size {size:,.0f}, "
            f"mean weight {weights.mean():.3f}, largest {weights.max():.1f}"
        )
        say(f"  truth {truth.value:.4f} [{truth.low:.4f}, {truth.high:.4f}], {int(other['click'].sum())} clicks")
        for name, values in rows.items():
            (one,) = by_user(values[:, None], n)
            error = abs(one.value - truth.value) / truth.value
            say(f"  {name:>14} {one.value:.4f} [{one.low:.4f}, {one.high:.4f}], relative error {error:.3f}")


def frequencies(log: object, items: int, uniform: bool) -> F64:
    """(places, items) chances of the policy that drew ``log``: known where it is uniform, else counted."""
    if uniform:
        return np.full((3, items), 1.0 / items)
    counts = np.zeros((3, items))
    np.add.at(counts, (log["position"].to_numpy() - 1, log["item_id"].to_numpy()), 1.0)
    return counts / counts.sum(axis=1, keepdims=True)


def reward_model(log: object, items: int) -> F64:
    """(5, places, items) click rates of every item and place, shrunk to the item's and to the mean; one a fold, from
    the four others."""
    place, item, reward = log["position"].to_numpy() - 1, log["item_id"].to_numpy(), log["click"].to_numpy(float)
    fold = np.arange(len(log)) % 5
    found = np.zeros((5, 3, items))
    for number in range(5):
        kept = fold != number
        mean = reward[kept].mean()
        shown = np.bincount(item[kept], minlength=items)
        clicks = np.bincount(item[kept], reward[kept], minlength=items)
        of_item = (clicks + 200 * mean) / (shown + 200)
        of_place = np.array([reward[kept & (place == p)].mean() for p in range(3)]) / mean
        found[number] = of_place[:, None] * of_item[None, :]
    return found


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Off-policy estimates held against the truth.")
    parser.add_argument("what", choices=("coverage", "speed", "obd"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rankings", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--decisions", type=int, default=100_000)
    asked = parser.parse_args()
    if asked.what == "coverage":
        coverage(asked.runs, asked.rankings, asked.temperature)
    elif asked.what == "speed":
        speed(asked.decisions)
    else:
        obd(asked.folder)
