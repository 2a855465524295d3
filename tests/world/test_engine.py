"""Palate itself in the world: what it hears, what it logs, and what off-policy estimates make of that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import palate
from palate.config import load
from palate.errors import InvalidInput
from palate.evaluate.replay import Target, replay
from palate.line import prior_model
from palate.world import InProcess, Play, World, WorldSettings, play
from palate.world.judging import contexts_of

SMALL = WorldSettings(visits=260, people=12, items=60, days=6.0, candidates=12, places=3, shift_day=99.0, level=-2.0)


def settings(temperature: float, **more: object) -> palate.Settings:
    policy = {"rank": "plackett_luce", "recommend": "plackett_luce", "temperature": temperature}
    return load(overrides={"policy": policy, "language": {"encoder": "hashing"}, "decisions": {"sample": 1.0}, **more})


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    world = World(SMALL)
    path = tmp_path_factory.mktemp("played") / "world.palate"
    with palate.open(path, settings=settings(2.0)) as engine:
        played = play(world, InProcess(engine, world))
    assert np.isfinite(played.propensity).all()
    assert ((played.propensity > 0) & (played.propensity <= 1)).all()
    return world, path


def test_the_engine_hears_all_of_it_and_learns_from_it() -> None:
    world = World(WorldSettings(visits=400, people=10, items=60, candidates=20, shift_day=99.0))
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        going = Play(world, InProcess(engine, world))
        going.run(1)
        assert engine.counts().items == 60
        played = going.run()
        counts = engine.counts()
        assert counts.users == 10
        assert counts.items == len(world.arrival)
        assert counts.impressions == 400
        assert counts.interactions >= played.clicks.sum()
        assert counts.rankings == 400
        title = engine.title("i3")
        assert title == world.item(3).fields["title"]
    late = played.reward[200:].sum() / played.best[200:].sum()
    assert late > 1.3 * played.at_random[200:].sum() / played.best[200:].sum()


def test_the_engine_may_retrieve_from_all_items_and_leave_out_what_people_tire_of() -> None:
    world = World(WorldSettings(visits=60, people=4, items=40, candidates=0, repeat=0.0, level=0.0))
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        played = play(world, InProcess(engine, world, policy="greedy"))
    assert (played.items >= 0).all()
    assert played.reward.min() > 0.2  # an item that was clicked is worth nothing, and isn't shown again


def test_contexts_are_the_decisions_with_their_truth(logged: tuple[World, Path]) -> None:
    world, path = logged
    found = contexts_of(path, settings(2.0), world)
    assert len(found.cases) == 260
    assert np.array_equal(np.sort(found.people), np.sort(world.visitors))
    own = found.truth(Target(settings(2.0), prior_model(), "cascade"), draws=40)
    shown = [world.worth(alpha[case.order]) for case, alpha in zip(found.cases, found.attraction, strict=True)]
    assert own.mean() == pytest.approx(np.mean(shown), rel=0.1)
    clicks = sum(float(case.rewards.sum()) for case in found.cases) / 260
    assert clicks == pytest.approx(np.mean(shown), rel=0.25)


def test_what_replay_estimates_is_what_the_world_says(logged: tuple[World, Path]) -> None:
    world, path = logged
    found, truths, doubly = contexts_of(path, settings(2.0), world), [], []
    for temperature in (1.2, 2.0, 4.0):
        judged = replay(path, settings(temperature), logging=settings(2.0), least=20.0)
        assert judged.judged_on == 260
        truth = found.truth(Target(settings(temperature), prior_model(), "cascade"), draws=40).mean()
        for name in ("ips", "snips", "dr", "dros"):
            one = judged.estimates[name]
            wide = one.high - one.low  # twice as wide as 95 %: four standard errors
            assert one.low - wide / 2 <= truth <= one.high + wide / 2, (name, one, truth)
            assert wide < truth
        truths.append(truth)
        doubly.append(judged.estimates["dr"].value)
    assert truths == sorted(truths, reverse=True)
    assert doubly == sorted(doubly, reverse=True)
    assert truths[0] > 1.05 * truths[2]


def test_logs_drawn_anew_have_the_same_contexts_and_unbiased_weights(logged: tuple[World, Path]) -> None:
    world, path = logged
    found = contexts_of(path, settings(2.0), world)
    logging, target = (Target(settings(t), prior_model(), "cascade") for t in (2.0, 1.0))
    which = np.arange(260)
    truth = found.truth(target, draws=60)[which].mean()
    values = []
    for seed in range(12):
        cases = found.again(logging, which, seed)
        scores = list(target.scores(cases))
        total = 0.0
        for case, score in zip(cases, scores, strict=True):
            chances = target.policy("rank").chances(score, case.order)[np.arange(3), case.order]
            total += float(np.cumprod(chances / case.logged) @ case.rewards)
        values.append(total / 260)
    error = np.std(values) / len(values) ** 0.5
    assert abs(np.mean(values) - truth) < 4 * error


def test_a_log_that_cannot_be_judged_says_why(tmp_path: Path, logged: tuple[World, Path]) -> None:
    world = World(SMALL)
    with palate.open(tmp_path / "x", language={"encoder": "hashing"}) as engine:
        play(world, InProcess(engine, world), 20)
    with pytest.raises(InvalidInput, match="no decision that was drawn whole"):
        contexts_of(tmp_path / "x", settings(1.0), world)
    with pytest.raises(InvalidInput, match="repeat is 1"):
        contexts_of(logged[1], settings(1.0), World(WorldSettings(repeat=0.5)))
