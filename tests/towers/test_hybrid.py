from __future__ import annotations

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.testing.tower import NOW, TowerContract
from palate.towers import Reading, Tower
from palate.towers.hybrid import LATEST, HybridTower, unit_parts
from palate.types import F32
from tests.towers.hybrid_world import learnt


class TestTied(TowerContract):
    def fitted(self) -> tuple[Tower, F32]:
        return learnt()


class TestTwoVectors(TowerContract):
    def fitted(self) -> tuple[Tower, F32]:
        return learnt("bpr", False)


class TestOfLengthOne(TowerContract):
    def fitted(self) -> tuple[Tower, F32]:
        return learnt("warp", False, True)


def test_parts_of_length_one_leave_the_bias() -> None:
    for tied in (True, False):
        _, items = learnt("warp", tied, True)
        for begin in range(0, items.shape[1] - 1, 16):
            np.testing.assert_allclose(np.linalg.norm(items[:, begin : begin + 16], axis=1), 1.0, rtol=1e-5)
    made = unit_parts(np.array([[3.0, 4.0, 0.0, 0.0, 7.0]], np.float32), 2)
    np.testing.assert_allclose(made, [[0.6, 0.8, 0.0, 0.0, 7.0]])


def tower(tied: bool = False, decay: float = 0.5) -> HybridTower:
    dim = 3 if tied else 5
    return HybridTower(np.arange(2 * dim, dtype=np.float32).reshape(2, dim), np.ones(dim, np.float32), 2, tied, decay)


def reading(items: list[int], vectors: list[list[float]], weights: list[float] | None = None) -> Reading:
    """Newest first."""
    h = len(items)
    worth = np.ones(h) if weights is None else np.array(weights)
    ts = NOW - np.arange(h, dtype=np.int64)
    return Reading(np.array(items, np.int32), np.array(vectors, np.float32).reshape(h, -1), worth, ts, NOW)


def test_a_person_is_the_fading_mean_of_what_distinct_items_say() -> None:
    first, second, third = [9.0, 9.0, 1.0, 0.0, 7.0], [9.0, 9.0, 0.0, 1.0, 7.0], [9.0, 9.0, 4.0, 4.0, 7.0]
    # Newest first; the repeat of item 5 doesn't count again, nor the disliked item 6.
    history = reading([5, 6, 5, 8], [first, third, first, second], [1.0, -1.0, 1.0, 1.0])
    person, _ = tower().read(history)
    np.testing.assert_allclose(person, [2 / 3, 1 / 3, 0.0, 0.0, 1.0], rtol=1e-6)


def test_an_item_that_is_unknown_takes_nothing_from_the_others() -> None:
    known, unknown = [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]
    person, _ = tower(tied=True).read(reading([1, 2], [unknown, known]))
    np.testing.assert_allclose(person, [1.0, 2.0, 1.0])
    nothing, _ = tower(tied=True).read(reading([1], [unknown]))
    np.testing.assert_array_equal(nothing, [0.0, 0.0, 1.0])


def test_the_latest_distinct_items_are_read() -> None:
    vectors = np.eye(LATEST + 5, 2 * LATEST + 10).tolist()
    wide = HybridTower(np.zeros((2, 2 * LATEST + 11), np.float32), np.zeros(2 * LATEST + 11, np.float32), 2 * LATEST + 10, True, 1.0)  # fmt: skip  # noqa: E501
    history = reading(list(range(LATEST + 5)), [[*row, 0.0] for row in vectors])
    person, _ = wide.read(history)
    np.testing.assert_allclose(person[:LATEST], np.full(LATEST, 1 / LATEST), rtol=1e-6)
    assert not person[LATEST:-1].any()


def test_parts_and_the_bias_sum_to_the_score() -> None:
    model, items = learnt("bpr", False)
    assert isinstance(model, HybridTower)
    rows = [3, 9, 3, 20, 1]
    history = reading(rows, items[rows].tolist(), [1.0, 0.5, 1.0, -1.0, 2.0])
    person, _ = model.read(history)
    parts = model.parts(history, items[7])
    assert parts[2] == parts[3] == 0
    np.testing.assert_allclose(parts.sum() + items[7, -1], person @ items[7], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("damage", ["map", "offset", "factors", "decay", "tied", "unit"])
def test_what_contradicts_itself_is_corrupt(damage: str) -> None:
    arrays, meta = dict(tower().arrays()), dict(tower().meta())
    if damage == "map":
        arrays["text_map"] = arrays["text_map"][:, :4]
    elif damage == "offset":
        del arrays["offset"]
    else:
        meta[damage] = {"factors": 3, "decay": 0.0, "tied": 1, "unit": None}[damage]
    with pytest.raises(CorruptArtefact):
        HybridTower.load(arrays, meta)
