"""Items that hardly anybody chose: copies in which items are new, and decisions for them that weigh more."""

from __future__ import annotations

import numpy as np

from palate.config import TrainSettings
from palate.features import FEATURES, NAMES, column
from palate.features.columns import NEVER
from palate.score import Scorer
from palate.train.examples import Examples
from palate.train.fit import compare, fit_linear, fit_trees
from palate.train.novel import SHARE, novel
from palate.types import F32

TEXT, NEXT, POPULAR, IDLE = (column(name) for name in ("taste_newest", "next_cos", "pop_all", "idle"))
SMALL = TrainSettings(trees=60, leaves=7)


def world(n: int, seed: int, fresh: float) -> Examples:
    """n decisions among 20 items, of which six are new: who chose wanted the one that follows, which pairs tell of old
    items and texts of all; in a share ``fresh`` of the decisions it was a new one."""
    rng = np.random.default_rng(seed)
    out = Examples()
    for _ in range(n):
        x: F32 = np.zeros((20, len(NAMES)), np.float32)
        x[:, POPULAR], x[:, IDLE] = rng.normal(0, 1, 20), rng.random(20)
        x[:6, POPULAR], x[:6, IDLE] = -4.0, NEVER
        x[:, TEXT] = rng.uniform(0.0, 0.85, 20)
        chosen = int(rng.integers(0, 6)) if rng.random() < fresh else int(rng.integers(6, 20))
        x[chosen, TEXT] = rng.uniform(0.5, 0.95) if chosen >= 6 else 0.95
        if chosen >= 6:
            x[chosen, NEXT] = 4.0
        out.add_rows(x, np.array([chosen]))
    return out


def test_copies_lose_what_interactions_tell_and_nothing_else() -> None:
    examples = world(200, 1, 0.0)
    copies = novel(examples, 3)
    assert len(copies) == int(200 * SHARE)
    told = [column(f.name) for f in FEATURES if f.group in ("item_to_item", "people", "towers")]
    shares: list[float] = []
    for x, chosen in zip(copies.x, copies.chosen, strict=True):
        (before,) = [one for one in examples.x if np.array_equal(one[:, TEXT], x[:, TEXT])]
        new = x[:, IDLE] == NEVER
        assert new[chosen].all()
        assert (x[new][:, told] == 0.0).all()
        assert (x[new, POPULAR] == -4.0).all()
        np.testing.assert_array_equal(x[~new], before[~new])
        shares.append(float(new.mean()))
    assert 0.4 < np.mean(shares) < 0.7  # the six that were new, and a third of the others


def test_copies_follow_from_the_seed_and_leave_what_was_shown_alone() -> None:
    examples = world(100, 2, 0.0)
    first, again, other = novel(examples, 1), novel(examples, 1), novel(examples, 2)
    assert all(np.array_equal(a, b) for a, b in zip(first.x, again.x, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first.x, other.x, strict=True))
    shown = Examples(examples.x, examples.chosen, positions=[np.arange(1, 21) for _ in examples.x])
    assert len(novel(shown, 1)) == len(novel(Examples(), 1)) == 0


def ranks(scorer: Scorer, examples: Examples) -> list[int]:
    """How many rows stand above the chosen one."""
    scores = [scorer.score(x) for x in examples.x]
    return [int((s > s[chosen[0]]).sum()) for s, chosen in zip(scores, examples.chosen, strict=True)]


def test_a_new_item_near_the_taste_ranks_high_though_nobody_ever_chose_a_new_one() -> None:
    train, valid = world(600, 1, 0.0), world(150, 2, 0.0)
    without, _ = fit_trees(train, valid, NAMES, SMALL, SMALL.trees)
    found = compare(train, valid, NAMES, SMALL).scorers
    assert np.median(ranks(without, world(200, 3, 1.0))) > 2
    assert np.median(ranks(found["trees"], world(200, 3, 1.0))) == 0
    assert np.mean(ranks(found["trees"], world(200, 4, 0.0))) < 0.5  # and the others stand where they stood


def test_a_decision_counts_for_its_weight() -> None:
    """One in ten wants the first of two items, told apart by nothing else: weighing ten, it wins."""
    rng = np.random.default_rng(1)
    plain, heavy = Examples(), Examples()
    for n in range(400):
        x: F32 = np.zeros((2, len(NAMES)), np.float32)
        x[0, TEXT] = 1.0
        x[:, POPULAR] = rng.normal(size=2)
        chosen = np.array([0 if n % 10 == 0 else 1])
        plain.add_rows(x, chosen)
        heavy.add_rows(x, chosen, weight=30.0 if n % 10 == 0 else 1.0)
    pair = np.zeros((2, len(NAMES)), np.float32)
    pair[0, TEXT] = 1.0
    for weighed, first in ((plain, False), (heavy, True)):
        for scorer in (fit_linear(weighed, NAMES), fit_trees(weighed, None, NAMES, SMALL, 30)[0]):
            one, other = scorer.score(pair).tolist()
            assert (one > other) is first


def test_weights_go_with_their_groups() -> None:
    examples = world(4, 5, 0.0)
    x, chosen = examples.x[0], examples.chosen[0]
    examples.add_rows(x, chosen, weight=6.0)
    assert examples.worth().tolist() == [1.0, 1.0, 1.0, 1.0, 6.0]
    assert examples.taken([4, 0]).worth().tolist() == [6.0, 1.0]
    assert examples.joined(examples.taken([4])).worth().tolist() == [1.0, 1.0, 1.0, 1.0, 6.0, 6.0]
    assert Examples([x], [chosen]).worth().tolist() == [1.0]
