"""Position bias in a planted world: people look at the top first, and what stood there is no better for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.config import TrainSettings
from palate.features import NAMES, column
from palate.score import Scorer
from palate.score.linear import LinearScorer
from palate.testing.world import make_world
from palate.train import artefact
from palate.train.examination import ENOUGH, examination, no_bias
from palate.train.examples import Examples
from palate.train.fit import compare, fit, fit_linear, fit_trees
from palate.train.rankers import fit_ranker
from palate.types import F64
from tests.engines import HASHING, SMALL, did

SETTINGS = TrainSettings(trees=60, leaves=7)
LOOKED: F64 = np.array([1.0, 0.6, 0.4, 0.3, 0.22, 0.17, 0.13, 0.1])
"""By position: how likely it is looked at."""
GOOD, PLACED = column("taste_long"), column("pop_all")
"""What makes an item good, and what the old ranking put on top, which says nothing of how good it is."""


def shown(lists: int, looked: F64 = LOOKED, seed: int = 0, noise: float = 0.7, unshown: int = 0) -> Examples:
    """Lists that somebody saw: ranked by ``PLACED`` with noise, so that exploration has moved items about; one click
    each, on what was looked at and is good."""
    rng = np.random.default_rng(seed)
    out = Examples()
    k = len(looked)
    while len(out) < lists:
        x = rng.normal(size=(k + unshown, len(NAMES))).astype(np.float32)
        order = np.argsort(-(x[:, PLACED] + noise * rng.gumbel(size=len(x))))
        x = x[order]
        chance = looked * np.exp(1.5 * x[:k, GOOD])
        chosen = int(np.argmax(np.log(chance) + rng.gumbel(size=k)))
        positions = np.concatenate([np.arange(1, k + 1), np.zeros(unshown, np.int64)])
        out.add_rows(x, np.array([chosen]), positions=positions)
    return out


def fair(lists: int, seed: int) -> Examples:
    """Lists of which everything is looked at: what a ranking should be judged on."""
    rng = np.random.default_rng(seed)
    out = Examples()
    for _ in range(lists):
        x = rng.normal(size=(8, len(NAMES))).astype(np.float32)
        out.add_rows(x, np.array([int(np.argmax(1.5 * x[:, GOOD] + rng.gumbel(size=8)))]))
    return out


def pull(scorer: Scorer) -> tuple[float, float]:
    """How the score grows with what is good, and with what was placed on top: slopes over random rows."""
    x = np.random.default_rng(9).normal(size=(4000, len(NAMES))).astype(np.float32)
    scores = scorer.score(x)
    good, placed = (float(np.cov(scores, x[:, at])[0, 1]) for at in (GOOD, PLACED))
    return good, placed


def test_examination_is_found() -> None:
    found = examination(shown(12_000))
    assert found.shape == (9,)
    assert found[1] == 1.0
    np.testing.assert_allclose(found[1:], LOOKED, rtol=0.25)


def test_where_everything_is_looked_at_there_is_no_bias() -> None:
    found = examination(shown(12_000, np.ones(8)))
    np.testing.assert_allclose(found[1:], 1.0, atol=0.15)


def test_what_was_not_shown_could_not_be_clicked() -> None:
    found = examination(shown(2000, unshown=6))
    assert found[0] < 0.02
    np.testing.assert_allclose(found[1:6], LOOKED[:5], rtol=0.35)


def test_few_lists_and_replayed_ones_say_nothing_of_positions() -> None:
    np.testing.assert_array_equal(examination(shown(ENOUGH - 1)), no_bias())
    np.testing.assert_array_equal(examination(fair(300, 1)), no_bias())
    assert len(examination(shown(ENOUGH))) == 9


def test_naive_training_prefers_what_stood_on_top_and_the_unbiased_does_not() -> None:
    examples = shown(3000)
    examined = examination(examples)
    offset = examples.offsets(examined)
    naive_line, line = fit_linear(examples, NAMES), fit_linear(examples, NAMES, offset)
    naive_trees, trees = (fit_trees(examples, None, NAMES, SETTINGS, 60, one)[0] for one in (None, offset))
    for naive, unbiased in ((naive_line, line), (naive_trees, trees)):
        good, placed = pull(naive)
        assert placed > 0.2 * good, "the world has a bias to be found"
        good, placed = pull(unbiased)
        assert abs(placed) < 0.12 * good


def test_of_two_items_the_better_wins_though_the_worse_was_on_top() -> None:
    """The true order is recovered: a little better but usually at the bottom, against what was always put on top."""
    examples = shown(3000)
    worse, better = np.zeros((2, len(NAMES)), np.float32)
    worse[PLACED], better[PLACED], better[GOOD] = 2.0, -2.0, 0.6
    pair = np.stack([worse, better])
    naive = fit_linear(examples, NAMES).score(pair)
    assert naive[0] > naive[1]
    scorer = fit(examples, fair(300, 5), (), SETTINGS).scorer
    found = scorer.score(pair)
    assert found[1] > found[0]


@pytest.mark.parametrize("name", ["logistic", "svm", "forest"])
def test_back_ends_weigh_clicks_by_inverse_propensity(name: str) -> None:
    pytest.importorskip("sklearn")
    examples = shown(2000)
    settings = TrainSettings(trees=40, leaves=15)
    naive = pull(fit_ranker(name, examples, NAMES, settings, no_bias()))
    unbiased = pull(fit_ranker(name, examples, NAMES, settings, examination(examples)))
    assert naive[1] / naive[0] > 0.15
    assert abs(unbiased[1] / unbiased[0]) < 0.5 * naive[1] / naive[0]


def test_replayed_decisions_have_no_offset() -> None:
    replayed, live = fair(3, 1), shown(2, unshown=1)
    both = replayed.joined(live)
    offsets = both.offsets(np.array([0.01, 1.0, 0.5]))
    assert offsets[:24].tolist() == [0.0] * 24
    expected = np.log([1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.01])
    np.testing.assert_allclose(offsets[24:], np.tile(expected, 2))


def test_the_report_says_what_was_believed() -> None:
    settings: Any = TrainSettings(trees=10, leaves=4, ranker="linear")
    found = compare(fair(100, 1).joined(shown(1500)), fair(50, 2), NAMES, settings)
    assert len(found.examination) == 9
    assert isinstance(found.scorers["linear"], LinearScorer)
    assert (np.diff(found.examination[1:5]) < 0).all()


def test_an_engine_learns_from_its_own_lists_how_far_people_look(tmp_path: Path) -> None:
    """From answers and clicks that name them to the manifest: people who click by place alone, mostly at the top."""
    rng = np.random.default_rng(4)
    world = make_world(people=20, interactions=600)
    options: dict[str, Any] = {"language": HASHING, "train": SMALL, "policy": {"recommend": "plackett_luce"}}
    with palate.open(tmp_path / "e.palate", **options) as engine:
        engine.ingest(world.events)
        for number in range(480):
            person = f"p{number % 20}"
            ranking = engine.recommend(person, 5, seen="keep")
            place = int(rng.choice(5, p=[0.5, 0.25, 0.13, 0.08, 0.04]))
            click = did(900_000 + number, person, ranking.items[place].id, ranking=ranking.ranking)
            engine.ingest([click])
        report = engine.train()
    found = artefact.load(tmp_path / "e.palate" / "models" / report.version).manifest.extra["examination"]
    assert len(found) == 6
    assert found[1] == 1.0
    assert 0.25 < found[2] < 0.9
    assert found[5] < found[3] < found[1]
    assert found[0] < 0.2, "what wasn't shown couldn't be clicked"
