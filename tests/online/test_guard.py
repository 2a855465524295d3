"""A worse model is taken back, an equal one hardly ever, whenever one looks."""

from __future__ import annotations

import json

import msgspec
import numpy as np

from palate.online.guard import BLOCK, BLOCKS, LEAST, Guard


def played(guard: Guard, model: str, rng: np.random.Generator, rankings: int, rate: float) -> int | None:
    """After how many rankings it was found to be worse."""
    for number in range(1, rankings + 1):
        if guard.settled(model, float(rng.poisson(rate))):
            return number
    return None


def test_an_equal_model_is_hardly_ever_taken_back_however_often_one_looks() -> None:
    found = 0
    for seed in range(60):
        guard, rng = Guard(), np.random.default_rng(seed)
        played(guard, "v1", rng, 1_000, 0.3)
        guard.begin("v2", "v1")
        found += played(guard, "v2", rng, 2_000, 0.3) is not None
    assert found <= 3  # alpha of 60


def test_a_worse_model_is_taken_back_before_long() -> None:
    for seed in range(5):
        guard, rng = Guard(), np.random.default_rng(seed)
        played(guard, "v1", rng, 5_000, 0.3)
        guard.begin("v2", "v1")
        when = played(guard, "v2", rng, 5_000, 0.2)
        assert when is not None
        assert LEAST <= when < 4_000
        trial = guard.trial
        assert trial is not None
        assert trial.verdict == "worse"
        assert trial.high is not None
        assert trial.low is not None
        assert trial.low < -0.1 < 0.0
        assert trial.high < 0
        assert guard.taken_back == 1
        assert not guard.settled("v2", 0.0)  # once


def test_a_better_model_stays() -> None:
    guard, rng = Guard(), np.random.default_rng(1)
    played(guard, "v1", rng, 6_000, 0.2)
    guard.begin("v2", "v1")
    assert played(guard, "v2", rng, 6_000, 0.3) is None
    assert guard.trial is not None
    assert (guard.trial.low or 0.0) > 0


def test_nothing_is_said_of_few() -> None:
    guard = Guard()
    for _ in range(LEAST - 1):
        guard.settled("v1", 1.0)
    guard.begin("v2", "v1")
    assert not any(guard.settled("v2", 0.0) for _ in range(3 * LEAST))
    assert guard.trial is not None
    assert guard.trial.value is None


def test_the_former_is_judged_by_its_last_rankings_in_bounded_memory() -> None:
    guard = Guard()
    for reward in (5.0, 1.0):
        for _ in range(BLOCK * BLOCKS):
            guard.settled("v1", reward)
    blocks = guard.state()["of"]["v1"]
    assert len(blocks) == BLOCKS
    assert {block.mean for block in blocks} == {1.0}


def test_models_of_long_ago_are_forgotten() -> None:
    guard = Guard()
    guard.begin("v1", "v0")
    for number in range(30):
        guard.settled(f"v{number}", 1.0)
    assert len(guard.state()["of"]) == 8
    assert {"v0", "v1", "v29"} <= set(guard.state()["of"])


def test_state_and_back() -> None:
    guard, rng = Guard(), np.random.default_rng(1)
    played(guard, "v1", rng, 700, 0.3)
    guard.begin("v2", "v1")
    played(guard, "v2", rng, 700, 0.3)
    again = Guard()
    again.restore(json.loads(msgspec.json.encode(guard.state())))
    assert msgspec.to_builtins(again.state()) == msgspec.to_builtins(guard.state())
