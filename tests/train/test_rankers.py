"""Back ends of scikit-learn: scores equal to its own, the contract of scorers kept, and the winner ships."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np
import pytest

from palate.config import Settings, TrainSettings, load
from palate.errors import ConfigError, MissingExtra
from palate.features import NAMES, PRIOR, column
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
from palate.testing.scorer import ScorerContract
from palate.train.examination import no_bias
from palate.train.examples import Examples
from palate.train.fit import fit
from palate.train.judge import judge, margin
from palate.train.rankers import BACK_ENDS, boosted_of, fit_ranker, forest_of
from palate.types import F32, F64

pytest.importorskip("sklearn")

SETTINGS = TrainSettings(trees=30, leaves=15)
A, B = column("taste_long"), column("idle")


def world(groups: int, seed: int = 0, m: int = 12) -> Examples:
    """Groups of which the row with the largest 2 a − b, and some noise, is chosen."""
    rng = np.random.default_rng(seed)
    out = Examples()
    for _ in range(groups):
        x: F32 = rng.normal(size=(m, len(NAMES))).astype(np.float32)
        out.add_rows(x, np.array([int(np.argmax(2 * x[:, A] - x[:, B] + 0.3 * rng.gumbel(size=m)))]))
    return out


@functools.cache
def fitted(name: str) -> Scorer:
    return fit_ranker(name, world(300), NAMES, SETTINGS, no_bias())


class BackEndContract(ScorerContract):
    name = ""

    def scorer(self) -> Scorer:
        return fitted(self.name)


class TestForest(BackEndContract):
    name = "forest"


class TestBoosting(BackEndContract):
    name = "boosting"


class TestLogistic(BackEndContract):
    name = "logistic"


class TestSvm(BackEndContract):
    name = "svm"


def rows(missing: bool = False, n: int = 500) -> tuple[F32, Any]:
    rng = np.random.default_rng(3)
    x: F32 = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    y = (2 * x[:, A] - x[:, B] + rng.normal(size=n) > 1).astype(np.int64)
    if missing:
        x[rng.random(x.shape) < 0.1] = np.nan
    return x, y


@pytest.mark.parametrize("missing", [False, True])
def test_a_converted_forest_scores_as_scikit_learn_does(missing: bool) -> None:
    from sklearn.ensemble import RandomForestClassifier

    x, y = rows(missing)
    model: Any = RandomForestClassifier(20, max_leaf_nodes=40, random_state=1).fit(x, y)
    fresh = rows(missing, 300)[0]
    fresh = fresh * np.float32(1.1)
    scorer = forest_of(model, NAMES)
    np.testing.assert_allclose(scorer.score(fresh), model.predict_proba(fresh)[:, 1], atol=1e-6)
    terms, base = scorer.contributions(fresh)
    np.testing.assert_allclose(base + terms.sum(axis=1), scorer.score(fresh), atol=1e-6)


def test_a_forest_whose_trees_saw_one_class_only() -> None:
    from sklearn.ensemble import RandomForestClassifier

    x, _ = rows()
    y = np.zeros(len(x), np.int64)
    y[0] = 1
    model: Any = RandomForestClassifier(5, random_state=2).fit(x, y)
    np.testing.assert_allclose(forest_of(model, NAMES).score(x), model.predict_proba(x)[:, 1], atol=1e-6)


@pytest.mark.parametrize("missing", [False, True])
def test_converted_boosted_trees_score_as_scikit_learn_does(missing: bool) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y = rows(missing)
    model: Any = HistGradientBoostingClassifier(max_iter=25, max_leaf_nodes=9, random_state=1).fit(x, y)
    fresh = rows(missing, 300)[0] * np.float32(1.1)
    scorer = boosted_of(model, NAMES, len(x))
    np.testing.assert_allclose(scorer.score(fresh), model.decision_function(fresh), atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "svm"])
def test_a_linear_back_end_is_scikit_learns_model_but_for_the_intercept(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn import linear_model, svm

    kept: list[Any] = []
    kind: Any = linear_model.LogisticRegression if name == "logistic" else svm.LinearSVC
    original = kind.fit

    def remember(self: Any, *arguments: Any) -> Any:
        kept.append(self)
        return original(self, *arguments)

    monkeypatch.setattr(kind, "fit", remember)
    scorer = fit_ranker(name, world(200), NAMES, SETTINGS, no_bias())
    assert isinstance(scorer, LinearScorer)
    x, _ = rows()
    z = (x - scorer.mean) / scorer.scale
    expected: F64 = kept[0].decision_function(z)
    np.testing.assert_allclose(scorer.score(x) + np.ravel(kept[0].intercept_)[0], expected, atol=1e-6)


@pytest.mark.parametrize("name", BACK_ENDS)
def test_every_back_end_learns_and_ships_where_it_wins(name: str) -> None:
    settings = TrainSettings(trees=60, leaves=15, ranker=name)  # type: ignore[arg-type]
    found = fit(world(1200), world(100, 1), (), settings)
    assert set(found.metrics) == {"prior", "single", name}
    assert found.metrics[name] > found.metrics["single"] > found.metrics["prior"]
    assert (found.kind, found.name) == (name, name)
    assert isinstance(found.scorer, TreeScorer if name in ("forest", "boosting") else LinearScorer)
    assert judge(found.scorer, world(100, 2)) > found.metrics["single"]


def test_the_same_seed_gives_the_same_model() -> None:
    x, _ = rows()
    for name in BACK_ENDS:
        again = fit_ranker(name, world(300), NAMES, SETTINGS, no_bias())
        np.testing.assert_array_equal(again.score(x), fitted(name).score(x))


def test_a_missing_package_is_a_sentence_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(
        MissingExtra, match=r"train\.ranker = 'forest' needs the package 'scikit-learn'.*palate\[tune\]"
    ):
        fit_ranker("forest", world(30), NAMES, SETTINGS, no_bias())


def test_an_unknown_ranker_is_an_error_of_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"train\.ranker"):
        load(overrides={"train": {"ranker": "oracle"}})
    assert Settings().train.ranker == "auto"


# ------------------------------------------------------------------------ fall-backs and margins


def test_where_one_feature_is_everything_it_ships_and_the_report_says_so() -> None:
    def alone(groups: int, seed: int) -> Examples:
        rng = np.random.default_rng(seed)
        out = Examples()
        for _ in range(groups):
            x: F32 = rng.normal(size=(12, len(NAMES))).astype(np.float32)
            out.add_rows(x, np.array([int(np.argmin(x[:, B]))]))
        return out

    found = fit(alone(40, 0), alone(100, 1), (), SETTINGS)
    assert (found.kind, found.name, found.single) == ("single", "single", "-idle")
    assert found.best == 1.0
    assert isinstance(found.scorer, LinearScorer)
    alone_in_it = np.array([-1.0 if name == "idle" else 0.0 for name in NAMES])
    np.testing.assert_allclose(
        found.scorer.weights, alone_in_it + 1e-6 * PRIOR, rtol=0, atol=1e-12
    )  # ties by the prior
    over = found.margins["prior"]
    assert 0 < over.low < over.value < over.high
    assert set(found.margins) == {"prior", "linear"}


def test_the_prior_keeps_its_place_where_it_ties() -> None:
    rule = lambda x: x.astype(np.float64) @ PRIOR  # noqa: E731
    rng = np.random.default_rng(0)
    out = Examples()
    for _ in range(80):
        x: F32 = rng.normal(size=(6, len(NAMES))).astype(np.float32)
        out.add_rows(x, np.array([int(np.argmax(rule(x)))]))
    assert fit(Examples(), out, (), SETTINGS).name == "prior"


def test_a_margin_is_paired_and_counts_what_was_missed() -> None:
    rng = np.random.default_rng(0)
    second = rng.random(400)
    first = np.minimum(1.0, second + 0.02)
    found = margin(first, second)
    assert found.low > 0, "the difference is sure though both vary much"
    assert found.value == pytest.approx(float((first - second).mean()))
    assert margin(first, second, missed=400).value == pytest.approx(found.value / 2)
    assert margin(first, first) == margin(np.zeros(0), np.zeros(0)) == margin(np.ones(1), np.ones(1))
    assert margin(first, second) == found, "from a seed"
