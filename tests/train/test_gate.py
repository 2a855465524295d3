"""A gate learnt from decisions in which chance decided: worlds whose answer is known."""

from __future__ import annotations

import numpy as np

from palate.language.gate import RULE, Gate
from palate.store.decision import Decision, Reordered, Shown
from palate.testing.world import make_world
from palate.train.gate import LEAST, Outcome, fit_gate, outcomes
from tests.engines import SMALL, filled


def world(n: int, gain: float, most: int, held: float = 0.3, seed: int = 1) -> list[Outcome]:
    """Rewards of people with 0 to 9 events; asking adds ``gain`` up to ``most`` events, and takes as much above."""
    chance = np.random.default_rng(seed)
    found: list[Outcome] = []
    for _ in range(n):
        events, asked = int(chance.integers(10)), bool(chance.random() >= held)
        mean = 0.4 + (asked * (gain if events <= most else -gain))
        reward = float(chance.random() < mean)
        found.append(Outcome(asked, 1.0 - held if asked else held, events, float(chance.random()), reward))
    return found


def test_too_few_logs_leave_the_rule_and_say_so() -> None:
    gate = fit_gate(world(150, 0.3, 2))
    assert gate.kind == "rule"
    assert gate.opens(10_000, 9.0)
    assert str(LEAST) in gate.why
    assert fit_gate([]).kind == "rule"
    assert RULE.opens(5, 1.0)


def test_people_for_whom_it_gains_are_found() -> None:
    gate = fit_gate(world(6000, 0.3, 3))
    assert gate.kind == "learnt"
    assert gate.events == 3
    assert gate.low > 0.0
    assert gate.opens(3, 0.1)
    assert not gate.opens(5, 0.1)


def test_where_it_gains_nothing_the_rule_stands_and_where_it_loses_nobody_is_asked() -> None:
    assert [fit_gate(world(3000, 0.0, 9, seed=seed)).kind for seed in range(8)].count("rule") >= 7
    shut = fit_gate(world(3000, -0.3, 9))
    assert shut.kind == "shut"
    assert not shut.opens(0, 0.0)
    assert shut.high < 0.0


def test_margins_count_too() -> None:
    chance = np.random.default_rng(4)
    found: list[Outcome] = []
    for _ in range(8000):
        asked, margin = bool(chance.random() < 0.5), float(chance.random())
        mean = 0.4 + asked * (0.3 if margin < 0.5 else -0.3)
        found.append(Outcome(asked, 0.5, int(chance.integers(6)), margin, float(chance.random() < mean)))
    gate = fit_gate(found)
    assert gate.kind == "learnt"
    assert gate.margin is not None
    assert 0.4 < gate.margin < 0.6


def test_a_log_becomes_outcomes() -> None:
    shown = Shown(["a", "b"], [1.0, 0.5], [1, 2], [1.0, 1.0], [False, False], b"")
    made = [
        Decision(ranking=name, timestamp=0, as_of=0, subject="u", model="m", features="", shown=shown, reordered=log)
        for name, log in (
            ("r1", Reordered("asked", 0.9, 2, 0.5)), ("r2", Reordered("held", 0.1, 2, 0.5)), ("r3", None),
            ("r4", Reordered("asked", 1.0, 2, 0.5)),
        )
    ]  # fmt: skip
    found = outcomes(made, {"r1": ["a"], "r3": ["a"]})
    assert [(one.asked, one.reward) for one in found] == [(True, 1.0), (False, 0.0)]


def test_a_gate_is_kept_with_its_model() -> None:
    with filled(make_world(), train=SMALL) as engine:
        engine.train()
        assert isinstance(engine._model.gate, Gate)
        assert engine._model.gate.why.startswith("a rule: 0 logged")
