"""Palate in a world whose truth is known (``palate.world``).

    python -m benchmarks.world policies [--policies greedy,…] [--visits 3000] [--people 40] [--seeds 1,2] [--train 1000]
    python -m benchmarks.world adaptation [--visits 6000] [--people 40] [--seeds 1,2,3,4] [--train 2500] [--wipe]
    python -m benchmarks.world coverage [--runs 200] [--rankings 500] [--people 166] [--temperature 0.7]
    python -m benchmarks.world speed [--visits 100000]

``policies``: every policy that the settings know ranks the same visits of the same worlds, in process, beside random,
popularity, clicks counted by the true topics, and the best possible; the engine trains once after ``--train`` visits
(0: never), before tastes shift. Regret against the best, and its paired difference to greedy's and to random's;
interactions of a person after the shift until quality is back at 90 % of before; what new items get of their fair
exposure, and when. Intervals are over the people of all seeds.
``adaptation``: everybody's tastes change, and greedy Palate, the ideal learner and a rule of thumb are each held
against themselves in the same world without that. All candidates are logged, so that nothing hangs on the ids of
rankings, and until the shift both plays are equal. With ``--wipe`` everybody's history is deleted as tastes change:
what a perfect detector would do that forgets all of before.
``coverage``: a play's decisions judge another configuration (``palate replay``'s estimators),
beside what the world says it would really earn; and how often 95 % intervals hold the truth over logs drawn anew.
``speed``: visits a second beside the ranker's own time.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import palate
from palate.config import load
from palate.evaluate.bootstrap import Estimate, paired
from palate.evaluate.expected import RewardModel
from palate.evaluate.judgement import Judgement
from palate.evaluate.replay import Target, judge, rounds_of
from palate.features import NAMES
from palate.line import prior_model
from palate.settings import POLICIES
from palate.types import Event, Interaction, User
from palate.world import InProcess, Play, Played, Popular, World, WorldSettings, at_random, best_possible, play
from palate.world.judging import contexts_of
from palate.world.measure import EVENTS, FAIR, PROMISED, RECOVERED, WINDOW, measured, recovery
from palate.world.play import pooled
from palate.world.rankers import Numbers, Shown, Visit
from palate.world.text import TOPICS

SMALL: dict[str, Any] = {"trees": 100, "leaves": 7, "decisions": 2000, "candidates": 40, "towers": ["factors"]}
"""Of the training, that a play isn't longer than it must be."""
KEEP: Path | None = None
"""Folder of plays, by ``--keep``."""


def policies(names: Sequence[str], base: WorldSettings, seeds: Sequence[int], train: int, encoder: str) -> None:
    """A line a ranker."""
    worlds = [World(dataclasses.replace(base, seed=seed)) for seed in seeds]
    parts: dict[str, list[Played]] = {}
    seconds: dict[str, float] = {}
    for world in worlds:
        for ranker in (best_possible(), Topics(world), Popular(world), at_random(world.settings.seed)):
            parts.setdefault(ranker.name, []).append(play(world, ranker))
        for name in names:
            started = time.perf_counter()
            parts.setdefault(name, []).append(_kept(world, name, train, encoder))
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
            say(f"({name}, seed {world.settings.seed}: {time.perf_counter() - started:.0f} s)")
    whole = {name: pooled(each) for name, each in parts.items()}
    after = np.tile(np.arange(base.visits) >= train, len(seeds))
    for name, played in whole.items():
        found = measured(played)
        say(f"{name}: share of the best {show(found.quality)}, skill {show(found.skill)}")
        say(f"  regret a ranking {show(found.regret)}; after training {show(_mean(played, after))}")
        for other in ("greedy", "random"):
            if other in whole and other != name:
                say(f"  regret − {other}'s {show(paired(played.regret, whole[other].regret, played.people))}")
        for what, shift in (("quality", found.adaptation), ("skill", found.adaptation_skill)):
            if shift is not None:
                events = _events(shift.recovered)
                between = f"{_events(shift.recovered_low)} to {_events(shift.recovered_high)}"
                first = " ".join(f"{value:.2f}" for value in shift.after.value[:8] if value is not None)
                say(f"  {what} before the shift {show(shift.before)}; at 90 % of it after {events} [{between}] events")
                say(f"    by twos of events since: {first}")
        if found.exposure is not None:
            fresh = found.exposure
            first = " ".join(f"{value:.2f}" for value in fresh.by_chances.value if value is not None)
            say(f"  new items get {show(fresh.ratio)} of their fair exposure (the best gives them {fresh.best:.2f})")
            say(
                f"    at {FAIR:.0%} after {fresh.chances} rankings that could have shown them, {fresh.impressions} "
                f"impressions; by rankings since {first}"
            )


class Topics:
    """Told every item's true topic; counts each person's clicks by it, a click losing 3 % with every later one, and
    ranks by the counts, equals by chance: what a tidy rule of thumb does."""

    name = "topics"

    def __init__(self, world: World) -> None:
        self._world, self._counts = world, np.zeros((world.settings.people, len(TOPICS)))
        self._numbers = Numbers(world)

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        for event in news:
            if isinstance(event, Interaction) and event.type == "click":
                mine = self._counts[self._numbers.of(event.user or "")]
                mine *= 0.97
                mine[self._world.topic[self._numbers.of(event.item)]] += 1.0
        chance = np.random.default_rng(visit.number).random(len(visit.candidates))
        score = self._counts[visit.person, self._world.topic[visit.candidates]] + 0.5 * chance
        return Shown(visit.candidates[np.argsort(-score)[: visit.k]].tolist())

    def end(self, news: Sequence[Event]) -> None:
        pass


class Ideal:
    """The most that can be learnt from what it shows: told all of the world but who loves which topics, it holds every
    pair of topics as likely as Bayes' rule has it after each click and each place that got none, and reckons at every
    visit with a chance of one in a hundred that they have changed. It ranks by the expected α, and explores nothing.

    when: it is told the moment of the shift as well, and forgets at it all that it believed of whose tastes change: no
    detector of changes can be better than that."""

    def __init__(self, world: World, when: bool = False) -> None:
        one = world.settings
        self.name = "ideal, told when" if when else "ideal"
        self._told, self._when = when, one.shift if when else None
        self._world, self._numbers = world, Numbers(world)
        pairs = list(itertools.permutations(range(len(TOPICS)), one.interests))
        self._taste = np.zeros((len(pairs), len(TOPICS)))
        for row, pair in enumerate(pairs):
            self._taste[row, list(pair)] = one.taste * 0.8 ** np.arange(one.interests)
        self._belief = np.full((one.people, len(pairs)), 1.0 / len(pairs))
        self._open: dict[int, tuple[np.ndarray[Any, Any], list[int]]] = {}
        self._clicked: dict[int, set[int]] = {}

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        world, person = self._world, visit.person
        for event in news:
            if isinstance(event, Interaction) and event.type == "click":
                self._clicked.setdefault(self._numbers.of(event.user or ""), set()).add(self._numbers.of(event.item))
        if self._when is not None and visit.time >= self._when:
            self._belief[world.shifted] = 1.0 / self._belief.shape[1]
            self._open = {who: left for who, left in self._open.items() if not world.shifted[who]}
            self._clicked = {who: items for who, items in self._clicked.items() if not world.shifted[who]}
            self._when = None
        belief = self._belief[person]
        if person in self._open:
            alpha, items = self._open.pop(person)
            clicked = np.isin(items, list(self._clicked.pop(person, ())))
            looked = world.examination[: len(items)] * alpha
            belief = belief * np.where(clicked, looked, 1.0 - looked).prod(axis=1)
            belief /= belief.sum()
            if not self._told:
                belief = 0.99 * belief + 0.01 / len(belief)
            self._belief[person] = belief
        first, second = world.topic[visit.candidates], world.second[visit.candidates]
        own = world.taste(np.array([person]), np.array([visit.time]))[0]
        rest = np.log(visit.truth / (1.0 - visit.truth)) - 0.8 * own[first] - 0.2 * own[second]
        alpha = 1.0 / (1.0 + np.exp(-(rest + 0.8 * self._taste[:, first] + 0.2 * self._taste[:, second])))
        best = np.argsort(-(belief @ alpha), kind="stable")[: visit.k]
        self._open[person] = alpha[:, best], visit.candidates[best].tolist()
        return Shown(visit.candidates[best].tolist())

    def end(self, news: Sequence[Event]) -> None:
        pass


def _kept(
    world: World, policy: str, train: int, encoder: str, more: dict[str, Any] | None = None, wipe: bool = False
) -> Played:
    """``_palate``, or what ``KEEP`` holds of the same play: so a measurement goes on where it was ended."""
    if KEEP is None:
        return _palate(world, policy, train, encoder, more, wipe)
    given = [dataclasses.asdict(world.settings), policy, train, encoder, more or {}, *(["wipe"] if wipe else [])]
    mark = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:12]
    path = KEEP / f"{policy}-{world.settings.seed}-{mark}.npz"
    if not path.is_file():
        played = _palate(world, policy, train, encoder, more, wipe)
        KEEP.mkdir(parents=True, exist_ok=True)
        values = {one.name: getattr(played, one.name) for one in dataclasses.fields(played)}
        np.savez(path, **{name: one for name, one in values.items() if name != "settings"})
    with np.load(path) as file:
        found: dict[str, Any] = {name: file[name] for name in file.files}
    found |= {"ranker": str(found["ranker"]), "purchases": int(found["purchases"])}
    return Played(settings=world.settings, **found)


@dataclasses.dataclass
class Wiping(InProcess):
    """Deletes everybody as tastes change."""

    wiped: bool = False

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        shift = self.world.settings.shift
        if shift is not None and visit.time >= shift and not self.wiped:
            self.wiped = True
            everybody = map(self.world.user_id, range(self.world.settings.people))
            self.engine.ingest([User(timestamp=shift, user=name, deleted=True) for name in everybody])
        return super().rank(visit, news)


def _palate(
    world: World, policy: str, train: int, encoder: str, more: dict[str, Any] | None = None, wipe: bool = False
) -> Played:
    settings: dict[str, Any] = {"language": {"encoder": encoder}, "train": SMALL, **(more or {})}
    settings["policy"] = {"rank": policy, **settings.get("policy", {})}
    with palate.open(":memory:", **settings) as engine:
        going = Play(world, (Wiping if wipe else InProcess)(engine, world, name=policy))
        if train:
            going.run(train)
            report = engine.train()
            say(f"({policy}: {report.kind} {report.name} ships)")
        return going.run()


def adaptation(
    base: WorldSettings, seeds: Sequence[int], train: int, encoder: str, more: dict[str, Any], wipe: bool
) -> None:
    """Quality after a shift over that of the same visits without one, of the ideal learner, of the one that is told
    when as well, of one that is told topics, and of Palate. more: settings to play with."""
    plays: dict[str, tuple[list[Played], list[Played]]] = {}
    for seed in seeds:
        started = time.perf_counter()
        for at, shift in enumerate((base.shift_day, base.days)):
            world = World(dataclasses.replace(base, seed=seed, shift_share=1.0, shift_day=shift))
            for ranker in (Ideal(world), Ideal(world, when=True), Topics(world)):
                plays.setdefault(ranker.name, ([], []))[at].append(play(world, ranker))
            plays.setdefault("greedy", ([], []))[at].append(
                _kept(world, "greedy", train, encoder, more, wipe and at == 0)
            )
        say(f"(seed {seed}: {time.perf_counter() - started:.0f} s)")
    for (name, (shifted, same)), skill in itertools.product(plays.items(), (False, True)):
        found = recovery(pooled(shifted), pooled(same), skill)
        usual = measured(pooled(same), resamples=200)
        if not skill:
            say(f"{name}: share of the best without a shift {show(usual.quality)}, skill {show(usual.skill)}")
        between = f"{_events(found.recovered_low)} to {_events(found.recovered_high)}"
        say(f"{'skill' if skill else 'quality'} with the shift over that without: {show(found.every)}; after "
            f"{PROMISED} to {PROMISED + WINDOW - 1} events {show(found.at)}; at {RECOVERED:.0%} after "
            f"{_events(found.recovered)} [{between}] events")  # fmt: skip
        for at, value, low, high in zip(
            found.ratio.x, found.ratio.value, found.ratio.low, found.ratio.high, strict=True
        ):
            say(f"  {at:.0f}: {show(Estimate(value, low, high))}")


def _mean(played: Played, rows: np.ndarray[Any, Any]) -> Estimate:
    return paired(played.regret[rows], np.zeros(int(rows.sum())), played.people[rows])


def _events(count: int | None) -> str:
    return f"> {EVENTS}" if count is None else str(count)


def coverage(runs: int, rankings: int, people: int, temperature: float) -> None:
    """One log beside the truth, then how often intervals hold it."""
    world = World(WorldSettings(visits=3 * rankings, people=3 * people, days=20.0, shift_day=99.0))
    names = ("ips", "snips", "dm", "dr", "dros")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.palate"
        drawn = {"rank": "plackett_luce", "temperature": 1.0}
        changes: dict[str, Any] = {"policy": drawn, "decisions": {"sample": 1.0}, "language": {"encoder": "hashing"}}
        logged = load(overrides={"durability": "fast", **changes})
        started = time.perf_counter()
        with palate.open(path, settings=logged) as engine:
            play(world, InProcess(engine, world))
        say(f"played in {time.perf_counter() - started:.0f} s")
        wanted = load(overrides={"policy": {"rank": "plackett_luce", "temperature": temperature}})
        contexts = contexts_of(path, logged, world)
    model = prior_model()
    logging, target = Target(logged, model, "cascade"), Target(wanted, model, "cascade")
    truth, own = contexts.truth(target, 50), contexts.truth(logging, 50)
    say(f"{len(contexts.cases)} decisions; truth: target {truth.mean():.4f}, the policy that logged {own.mean():.4f}")
    covered = {variant: dict.fromkeys((*names, "lift"), 0) for variant in ("cascade", "slate")}
    width = {variant: dict.fromkeys((*names, "lift"), 0.0) for variant in ("cascade", "slate")}
    rng = np.random.default_rng(1)
    everybody = np.unique(contexts.people)
    of = {int(person): np.flatnonzero(contexts.people == person) for person in everybody}
    told, k = 0, world.settings.places
    for run in range(runs + 1):
        if run == 0:  # the log as it was, of everybody
            cases = list(contexts.cases)
        else:
            drawn_people = rng.choice(everybody, max(2, len(everybody) * rankings // len(contexts.cases)))
            some = np.concatenate([of[int(person)] for person in drawn_people])
            cases = contexts.again(logging, some, run)
            sizes = [len(of[int(person)]) for person in drawn_people]
            for number, case in enumerate(cases):  # somebody drawn twice is two people
                at = int(np.searchsorted(np.cumsum(sizes), number, "right"))
                cases[number] = dataclasses.replace(case, subject=f"{case.subject}-{at}")
        expected = RewardModel(len(NAMES), k)
        for case in cases:
            expected.add(case)
        expected.fit()
        rounds = rounds_of(cases, target, expected, k)
        for variant in ("cascade", "slate"):
            found = judge(
                rounds, Judgement("judged", [], variant, "prior", "click", 60.0, k, len(cases)), None, 100.0, True
            )
            if run == 0:
                shown = ", ".join(f"{name} {show(one)}" for name, one in found.estimates.items())
                say(f"  {variant}, the log as it was: {found.verdict}; {shown}; lift {show(found.lift)}")
                continue
            told += variant == "cascade" and found.verdict == "judged"
            for name, one in (*found.estimates.items(), ("lift", found.lift)):
                right = truth.mean() - own.mean() if name == "lift" else truth.mean()
                covered[variant][name] += bool(one.low <= right <= one.high)
                width[variant][name] += (one.high - one.low) / runs
    say(f"verdict judged in {told} of {runs} logs of about {rankings} rankings")
    for variant, counts in covered.items():
        parts = [
            f"{name} {count / max(1, runs):.3f} (width {width[variant][name]:.3f})" for name, count in counts.items()
        ]
        say(f"  {variant}: " + ", ".join(parts))


def speed(visits: int) -> None:
    """A ranker that costs next to nothing."""
    world = World(WorldSettings(visits=visits))
    started, used = time.perf_counter(), time.process_time()
    play(world, lambda visit: visit.candidates[: visit.k].tolist())
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    say(f"{visits:,} visits: {seconds:.1f} s, {cpu / visits * 1e6:.0f} µs of CPU each")


def show(one: Estimate) -> str:
    if one.value is None:
        return "none"
    return f"{one.value:.4f}" if one.low is None else f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Palate in a world whose truth is known.")
    parser.add_argument("what", choices=("policies", "adaptation", "coverage", "speed"))
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--visits", type=int)
    parser.add_argument("--people", type=int)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--encoder", default="hashing")
    parser.add_argument(
        "--settings", default='{"decisions": {"sample": 1.0}}', help="JSON of settings to play with, for adaptation"
    )
    parser.add_argument("--wipe", action="store_true", help="delete everybody's history as tastes change")
    parser.add_argument("--keep", type=Path, help="folder of plays, which aren't played again")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rankings", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=0.7)
    asked = parser.parse_args()
    KEEP = asked.keep
    if asked.what in ("policies", "adaptation"):
        world = WorldSettings(
            visits=asked.visits or 3000,
            people=asked.people or 40,
            items=asked.items,
            days=asked.days,
            shift_day=asked.days / 2,
        )
        chosen = [int(seed) for seed in asked.seeds.split(",")]
        if asked.what == "adaptation":
            adaptation(world, chosen, asked.train, asked.encoder, json.loads(asked.settings), asked.wipe)
        else:
            policies(asked.policies.split(",") if asked.policies else [], world, chosen, asked.train, asked.encoder)
    elif asked.what == "coverage":
        coverage(asked.runs, asked.rankings, asked.people or asked.rankings // 3, asked.temperature)
    else:
        speed(asked.visits or 100_000)
