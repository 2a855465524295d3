"""Fitting: learners against what they should find, the judge, and the winner that ships."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.config import TrainSettings
from palate.features import NAMES, PRIOR, column
from palate.score.linear import LinearScorer
from palate.store.decision import Asked, Decision, Shown, Unshown, pack
from palate.train.examples import Examples, context_fields, ndcg_at_10
from palate.train.fit import fit, fit_linear, fit_trees, judge
from palate.train.learners import _best_round  # pyright: ignore[reportPrivateUsage]
from palate.types import F32

SMALL = TrainSettings(trees=30, leaves=7)


def groups(n: int, rule: Any, seed: int = 0, m: int = 12, noise: float = 0.0) -> Examples:
    """n groups of m random rows; the one where ``rule`` (plus noise) is largest was chosen."""
    rng = np.random.default_rng(seed)
    out = Examples()
    for _ in range(n):
        x: F32 = rng.normal(size=(m, len(NAMES))).astype(np.float32)
        worth = rule(x) + noise * rng.gumbel(size=m)
        out.x.append(x)
        out.chosen.append(np.array([int(np.argmax(worth))], np.int64))
    return out


A, B = column("taste_long"), column("idle")


def linear_rule(x: F32) -> Any:
    return 3.0 * x[:, A] - 2.0 * x[:, B]


def crossed_rule(x: F32) -> Any:
    return 3.0 * x[:, A] * np.sign(x[:, B])


def test_the_linear_model_finds_the_weights() -> None:
    scorer = fit_linear(groups(1500, linear_rule, noise=1.0), NAMES)
    weights = scorer.weights / scorer.scale
    assert weights[A] == pytest.approx(3.0, rel=0.15)
    assert weights[B] == pytest.approx(-2.0, rel=0.15)
    others = np.delete(weights, [A, B])
    assert np.abs(others).max() < 0.3


def test_a_column_that_hardly_moved_gets_no_steep_slope() -> None:
    """A hundred-thousandth up or down told a little in training: the day when it is one it must not decide alone."""
    rng = np.random.default_rng(3)
    examples = groups(600, linear_rule, noise=1.0)
    for x, chosen in zip(examples.x, examples.chosen, strict=True):
        x[:, 5] = 1e-5 * (rng.normal(size=len(x)) + (np.arange(len(x)) == chosen[0]))
    scorer = fit_linear(examples, NAMES)
    slopes = scorer.weights / scorer.scale
    assert abs(slopes[5]) < abs(slopes[A])


def test_the_linear_model_takes_missing_values_and_constant_columns() -> None:
    examples = groups(200, linear_rule)
    for x in examples.x:
        x[:, 5] = np.nan
        x[:, 6] = 7.0
    scorer = fit_linear(examples, NAMES)
    assert np.isfinite(scorer.weights).all()


def test_trees_find_what_a_line_cannot() -> None:
    train, valid = groups(600, crossed_rule), groups(150, crossed_rule, seed=1)
    fitted = fit(train, valid, (), SMALL)
    assert fitted.metrics["trees"] > fitted.metrics["linear"] + 0.1
    assert fitted.kind in ("trees", "blend")
    assert fitted.best == max(fitted.metrics.values())


def test_a_linear_world_ships_what_won() -> None:
    train, valid = groups(600, linear_rule), groups(150, linear_rule, seed=1)
    fitted = fit(train, valid, (), SMALL)
    assert fitted.metrics["linear"] > 0.9 > fitted.metrics["prior"]
    assert fitted.kind in ("linear", "blend")
    assert judge(fitted.scorer, groups(150, linear_rule, seed=2)) > 0.9
    assert {"prior", "linear", "trees"} <= fitted.metrics.keys()


def test_a_world_that_the_prior_describes_keeps_the_prior() -> None:
    rule = lambda x: x.astype(np.float64) @ PRIOR  # noqa: E731
    fitted = fit(groups(60, rule), groups(200, rule, seed=1), (), SMALL)
    assert fitted.metrics["prior"] == pytest.approx(1.0)
    assert fitted.kind == "prior"
    assert isinstance(fitted.scorer, LinearScorer)
    np.testing.assert_array_equal(fitted.scorer.weights, PRIOR)


def test_too_little_for_learning_keeps_the_prior() -> None:
    for n, kinds in ((0, {"prior"}), (19, {"prior"}), (30, {"prior", "linear"})):
        fitted = fit(groups(n, linear_rule), groups(5, linear_rule, seed=1), (), SMALL)
        assert set(fitted.metrics) == kinds
    empty = fit(Examples(), Examples(), (), SMALL)
    assert (empty.kind, empty.best) == ("prior", 0.0)


def test_noise_breaks_nothing() -> None:
    nothing = lambda x: np.zeros(len(x))  # noqa: E731
    train, valid = groups(200, nothing, noise=1.0), groups(60, nothing, seed=1, noise=1.0)
    fitted = fit(train, valid, (), SMALL)
    assert fitted.best >= fitted.metrics["prior"]
    scores = fitted.scorer.score(valid.x[0])
    assert np.isfinite(scores).all()


def test_the_same_data_give_the_same_model() -> None:
    found = [fit(groups(200, crossed_rule), groups(50, crossed_rule, seed=1), (), SMALL) for _ in range(2)]
    assert found[0].metrics == found[1].metrics
    x = groups(3, crossed_rule, seed=9).x[0]
    np.testing.assert_array_equal(found[0].scorer.score(x), found[1].scorer.score(x))


def test_trees_stop_early() -> None:
    nothing = lambda x: np.zeros(len(x))  # noqa: E731
    _, count = fit_trees(groups(150, nothing, noise=1.0), groups(80, nothing, 1, noise=1.0), NAMES, SMALL, 200)
    assert count < 200


def test_a_lone_lucky_round_does_not_end_the_forest() -> None:
    metric = np.concatenate([np.linspace(0.1, 0.2, 100), np.linspace(0.2, 0.15, 60)])
    metric[3] = 0.3
    assert 90 <= _best_round(metric) <= 106
    assert _best_round(np.array([0.2])) == 1
    assert _best_round(np.full(50, 0.2)) == 1


def test_progress_is_said_to_the_end() -> None:
    said: list[tuple[int, int]] = []
    fit(groups(30, linear_rule), Examples(), (), SMALL, lambda _, done, total: said.append((done, total)))
    assert said[0][0] == 0
    assert said[-1][0] == said[-1][1]


# ------------------------------------------------------------------------------ the judge


@pytest.mark.parametrize(
    ("scores", "chosen", "expected"),
    [
        ([3.0, 2.0, 1.0], 0, 1.0),
        ([3.0, 2.0, 1.0], 1, 1 / np.log2(3)),
        ([1.0, 1.0, 1.0], 0, 1 / np.log2(3)),
        ([1.0, 1.0], 1, 1 / np.log2(2.5)),
        ([float(-n) for n in range(12)], 9, 1 / np.log2(11)),
        ([float(-n) for n in range(12)], 10, 0.0),
    ],
)
def test_ndcg(scores: list[float], chosen: int, expected: float) -> None:
    examples = Examples([np.zeros((len(scores), 1), np.float32)], [np.array([chosen], np.int64)])
    assert ndcg_at_10([np.array(scores)], examples) == pytest.approx(expected)
    examples.missed = 1
    assert ndcg_at_10([np.array(scores)], examples) == pytest.approx(expected / 2)


# ------------------------------------------------------------------------------ examples


def decision(context: dict[str, Any] | None = None, source: Any = "live") -> Decision:
    x = np.arange(3 * len(NAMES), dtype=np.float32).reshape(3, -1)
    return Decision(
        timestamp=1,
        as_of=1,
        subject="u",
        model="m",
        features="f",
        source=source,
        shown=Shown(["a", "b"], [1.0, 0.5], [1, 2], [1.0, 1.0], [False, False], pack(x[:2])),
        unshown=Unshown(["c"], pack(x[2:])),
        clicked=["b", "c"],
        request=Asked("recommend", "u", context=context or {}),
    )


def test_context_fields_are_those_that_many_decisions_name() -> None:
    many = [decision({"device": "phone", "hour": 3, "rare": 1 if n < 49 else 2} if n < 60 else {}) for n in range(80)]
    assert context_fields(many) == ("context.device", "context.rare")
    assert context_fields(many[:49]) == ()
    assert context_fields([decision({"z": 1}), decision({"hour": 1, "weekday": 1})] * 60) == ("context.z",)
    wide = [decision({f"c{n:02d}": n for n in range(12)}) for _ in range(50)]
    assert context_fields(wide) == tuple(f"context.c{n:02d}" for n in range(8))


def test_context_becomes_columns_of_every_candidate() -> None:
    examples = Examples()
    examples.add(decision({"n": 4}), ("context.n", "context.absent"))
    (x,) = examples.x
    assert x.shape == (3, len(NAMES) + 2)
    assert x[:, -2].tolist() == [4.0] * 3
    assert np.isnan(x[:, -1]).all()
    assert examples.chosen[0].tolist() == [1, 2]
    rows, labels, sizes = examples.stacked()
    assert (rows.shape[0], labels.tolist(), sizes.tolist()) == (3, [0, 1, 1], [3])
