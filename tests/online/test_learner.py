"""The correction in a world whose truth is known: it finds what the score misses, or that there is nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from palate.features import NAMES
from palate.online.learner import Learner
from tests.online.world import COLUMNS, World, decision


def run(world: World, rankings: int, truth: tuple[float, float], base: float = -2.0) -> float:
    """The share of rankings in which the correction was applied."""
    on = [world.learner.proven for _ in world.play(rankings, truth, base)]
    return sum(on) / len(on)


def test_what_the_score_misses_is_learnt_proven_and_put_in_its_units() -> None:
    world = World(1)
    run(world, 2_500, (0.8, 0.0))
    shift = world.learner.shift()
    assert shift is not None
    assert shift.version == "v0001"
    assert world.learner.gain[0] > 3 * world.learner.gain[1] > 0
    x = np.zeros((3, len(NAMES)), np.float32)
    x[1, COLUMNS[0]], x[2, COLUMNS[0]] = 1.0, 100.0
    moved = shift.of(x)
    # 0.8 of log odds are 0.8 deviations of the score, whose own weight is 1
    assert moved[1] - moved[0] == pytest.approx(0.8, abs=0.25)
    assert moved[2] == pytest.approx(shift.cap)
    assert shift.cap == pytest.approx(1.0, abs=0.1)


def test_a_score_that_misses_nothing_is_hardly_ever_corrected() -> None:
    shares = [run(World(seed), 1_000, (0.0, 0.0)) for seed in range(8)]
    assert np.mean(shares) < 0.05


def test_it_is_switched_off_when_what_it_learnt_is_no_longer_true() -> None:
    world = World(2)
    run(world, 2_000, (1.0, 0.0))
    assert world.learner.shift() is not None
    states = [world.learner.proven for _ in world.play(1_000, (-1.0, 0.0))]
    assert not all(states[:500])
    assert world.learner.switched >= 2


def test_loss_is_predicted_before_it_is_learnt() -> None:
    world = World(3)
    run(world, 1_500, (0.0, 0.0))
    blend, corrected = world.learner.losses
    # the truth's own entropy is about what either comes to; two weights more cost a little, and never gain
    assert blend == pytest.approx(corrected, abs=0.01)
    assert corrected > blend - 0.002


def test_a_change_for_the_worse_is_found_and_shortens_the_memory() -> None:
    world = World(4, drift=True)
    run(world, 2_500, (0.0, 0.0))
    assert world.alarms == []
    before = world.learner.state()["full"]["spread"][0][0]
    changed = [number for number in world.play(900, (0.0, 0.0), 1.5) if world.alarms]
    assert changed, "more is taken up than was ever predicted"
    assert world.learner.drifts >= 1
    assert world.learner.state()["full"]["spread"][0][0] > before


def test_rankings_of_other_features_teach_nothing() -> None:
    world = World(5)
    for number in range(1, 60):
        one = decision(number, np.arange(8.0)[::-1].copy(), np.zeros((8, 2)))
        one.features = "another"
        world.lists.decision(one)
    assert world.learner.lessons == 0


def test_what_was_corrected_is_judged_by_the_score_as_it_was() -> None:
    world = World(6)
    one = decision(1, np.array([3.0, 2.0]), np.zeros((2, 2)), online=[0.5, -0.25])
    world.lists.decision(one)
    world.lists.decision(decision(60, np.array([1.0]), np.zeros((1, 2))))
    assert world.settled[0].scores.tolist() == [2.5, 2.25]


def test_state_and_back_through_json_is_exact() -> None:
    whole, first = World(7), World(7)
    run(whole, 700, (0.8, 0.0))
    run(first, 400, (0.8, 0.0))
    again = Learner("v0001", COLUMNS, first.settings.online)
    again.restore(json.loads(json.dumps(first.learner.state())))
    first.learner = again
    first.lists._teach = again.learn
    run(first, 300, (0.8, 0.0))
    assert again.state() == whole.learner.state()
    other = Learner("v0001", np.array([1, 2, 3]), first.settings.online)
    with pytest.raises(ValueError, match="features"):
        other.restore(again.state())
