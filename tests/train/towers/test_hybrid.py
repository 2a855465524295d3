from __future__ import annotations

import numpy as np
import pytest

from palate.towers import Reading, Tower
from palate.train.towers.hybrid import HybridSettings, choose, fit_hybrid
from palate.train.towers.hybrid_model import describe
from palate.types import F32, F64
from tests.towers.hybrid_world import ITEMS, KINDS, NEW, QUICK, learnt, unmet, world

COMBINATIONS = [
    ("warp", True, False), ("warp", False, False), ("bpr", True, False), ("bpr", False, False), ("warp", True, True),
    ("bpr", False, True),
]  # fmt: skip


def scores(tower: Tower, items: F32, history: list[int]) -> F64:
    rows = np.array(history, np.int32)
    ts = np.arange(len(rows), dtype=np.int64)[::-1]
    person, _ = tower.read(Reading(rows, items[rows], np.ones(len(rows)), ts, 10_000))
    return (items @ person).astype(np.float64)


def own_share(tower: Tower, items: F32) -> float:
    """Of the ten best met items for somebody of each kind, how many are of their kind."""
    met = np.setdiff1d(np.arange(ITEMS), unmet())
    found: list[float] = []
    for kind in range(KINDS):
        order = met[np.argsort(-scores(tower, items, [kind, kind + KINDS, kind + 2 * KINDS])[met])]
        found.append(float((order[:10] % KINDS == kind).mean()))
    return float(np.mean(found))


@pytest.mark.parametrize(("loss", "tied", "unit"), COMBINATIONS)
def test_people_get_what_their_kind_wants(loss: str, tied: bool, unit: bool) -> None:
    # At random, and by popularity, a quarter would be of their kind.
    assert own_share(*learnt(loss, tied, unit)) > 0.85


@pytest.mark.parametrize(("loss", "tied", "unit"), COMBINATIONS)
def test_an_item_never_met_ranks_through_its_text(loss: str, tied: bool, unit: bool) -> None:
    tower, items = learnt(loss, tied, unit)
    new = unmet()
    np.testing.assert_allclose(items[new], tower.place(world().text[new]), rtol=1e-3, atol=1e-4)
    for kind in range(KINDS):
        order = new[np.argsort(-scores(tower, items, [kind, kind + KINDS])[new])]
        assert set(order[:NEW] % KINDS) == {kind}


def test_often_met_items_stand_higher_for_everybody() -> None:
    items = learnt()[1]
    met = np.setdiff1d(np.arange(ITEMS), unmet())
    assert np.corrcoef(items[met, -1], met // KINDS)[0, 1] > 0.5


def test_the_same_seed_gives_the_same_bits() -> None:
    _, items = learnt()
    again = fit_hybrid(world(), QUICK, 1)[1]
    other = fit_hybrid(world(), QUICK, 2)[1]
    assert again.tobytes() == items.tobytes()
    assert other.tobytes() != items.tobytes()


def test_the_best_on_validation_is_chosen() -> None:
    settings = HybridSettings(decays=(0.8, 0.3), losses=("warp", "bpr"), factors=(8,), trial=1_000, judged=200)
    found = choose(world(), describe(world()), settings, 1, 100_000, lambda stage, done, total: None)
    tried = [value for choice, steps, _, value in found.tried if steps == 1_000]
    mine = [value for choice, steps, _, value in found.tried if choice == found.choice and steps == 1_000]
    assert max(mine) == max(tried)
    assert len({choice for choice, *_ in found.tried}) == 1 + 1 + 4 + 1 + 1 + 1
    assert found.steps <= settings.passes * len(world().users)


def test_seconds_bound_the_events_learnt_from() -> None:
    found = choose(world(), describe(world()), HybridSettings(), 1, 2_000, lambda stage, done, total: None)
    curve = max(steps for choice, steps, *_ in found.tried if choice == found.choice)
    trials = len({choice for choice, *_ in found.tried}) * min(steps for _, steps, *_ in found.tried)
    assert found.steps + trials + curve <= 2_000 * 1.1


@pytest.mark.parametrize("events", [0, 1, 30])
def test_little_to_learn_from_is_no_error(events: int) -> None:
    data = world()
    few = data._replace(
        users=data.users[:events], items=data.items[:events], times=data.times[:events], weights=data.weights[:events]
    )
    tower, items = fit_hybrid(few, QUICK)
    assert items.shape == (ITEMS, tower.dim)
    assert np.isfinite(items).all()


def test_no_texts_and_no_tags_leave_ids() -> None:
    data = world()
    bare = data._replace(text=np.zeros((ITEMS, 16), np.float32), tags=np.full((ITEMS, 8), -1, np.int32), n_tags=0)
    tower, items = fit_hybrid(bare, QUICK)
    assert own_share(tower, items) > 0.85
    assert not items[unmet()].any()
    assert not tower.place(data.text).any()
