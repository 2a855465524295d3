from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.towers import Reading
from palate.towers.hybrid import LATEST, HybridTower
from palate.train.towers.hybrid_kernels import BPR, WARP, adagrad, block, latest, ranks, read_people
from palate.train.towers.hybrid_model import Choice, Learner, Log, describe
from palate.types import F32
from tests.towers.hybrid_world import world

N, K, EVENTS = 7, 3, 6


class Small:
    """Two people, seven items; the loss and the gradients of one block over all events."""

    def __init__(self, loss: int, drop: float) -> None:
        rng = np.random.default_rng(4)
        self.loss, self.drop = loss, drop
        self.items = np.array([0, 3, 1, 2, 3, 5], np.int32)
        self.owner = np.array([0, 0, 0, 1, 1, 1], np.int32)
        self.starts = np.array([0, 0, 0, 3, 3, 3], np.int64)
        self.had, self.had_start = np.array([0, 1, 3, 2, 3, 5], np.int32), np.array([0, 3, 6], np.int64)
        self.weights = np.array([1.0, 0.5, 2.0, 1.0, 1.5, 1.0], np.float32)
        self.out, self.out_told = (rng.normal(size=(N, K + 1)).astype(np.float32) for _ in range(2))
        self.inn, self.in_told = (rng.normal(size=(N, K)).astype(np.float32) for _ in range(2))

    def run(self) -> tuple[float, list[F32], Any]:
        """Loss; gradients: own and all of each side; which rows of each side were touched."""
        gradients = [np.zeros((N, K + 1 - side // 2), np.float32) for side in range(4)]
        touched = np.zeros(N, np.bool_), np.zeros(N, np.bool_)
        loss = block(
            np.arange(EVENTS), self.items, self.weights, self.starts, self.owner, self.had, self.had_start,
            np.arange(N, dtype=np.int32), self.out, self.out_told, self.inn, self.in_told, *gradients, *touched, K,
            self.loss, 50, 0.7, self.drop, np.full(N, -1, np.int64), np.array([11], np.uint64),
        )  # fmt: skip
        return float(loss), gradients, touched

    def slope(self, values: F32) -> F32:
        """The gradient by central differences."""
        found = np.zeros_like(values)
        for at in np.ndindex(*values.shape):
            kept, step = values[at], np.float32(1e-3)
            sides: list[float] = []
            for sign in (1, -1):
                values[at] = kept + sign * step
                sides.append(self.run()[0])
            values[at] = kept
            found[at] = (sides[0] - sides[1]) / (2e-3)
        return found


@pytest.mark.parametrize("loss", [BPR, WARP])
@pytest.mark.parametrize("drop", [0.0, 0.5])
def test_gradients_are_those_of_the_loss(loss: int, drop: float) -> None:
    small = Small(loss, drop)
    value, (own_out, all_out, own_in, all_in), touched = small.run()
    assert value > 0
    near = {"rtol": 5e-3, "atol": 5e-3}
    np.testing.assert_allclose(own_out, small.slope(small.out), **near)
    np.testing.assert_allclose(own_in, small.slope(small.inn), **near)
    np.testing.assert_allclose(all_out - own_out, small.slope(small.out_told), **near)
    np.testing.assert_allclose(all_in - own_in, small.slope(small.in_told), **near)
    assert bool((own_out == all_out).all() and (own_in == all_in).all()) == (drop == 0)
    np.testing.assert_array_equal(all_out.any(axis=1), touched[0] & all_out.any(axis=1))
    np.testing.assert_array_equal(all_in.any(axis=1), touched[1] & all_in.any(axis=1))


def test_warp_asks_for_more_the_sooner_a_negative_is_found() -> None:
    # Everything stands far above the target: the first draw is wrong. Then only one of six does.
    small = Small(WARP, 0.0)
    small.inn[:] = 0.0
    small.out[:] = 0.0
    small.out[:, K] = 5.0
    small.out[[0, 3, 1, 2, 5], K] = 0.0
    hard = np.abs(small.run()[1][0][:, K]).sum()
    small.out[4, K] = -5.0
    small.out[5, K] = 5.0
    easier = np.abs(small.run()[1][0][:, K]).sum()
    assert 0 < easier < hard


def test_nothing_is_asked_where_all_negatives_are_far_below() -> None:
    small = Small(WARP, 0.0)
    small.out[:, K] = -50.0
    small.out[[0, 1, 2, 3, 5], K] = 50.0
    small.owner[:] = 0
    small.had, small.had_start = np.array([0, 1, 2, 3, 5], np.int32), np.array([0, 5], np.int64)
    loss, gradients, touched = small.run()
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients)
    assert not touched[0].any()


def test_training_reads_a_person_as_the_tower_does() -> None:
    rng = np.random.default_rng(2)
    n, k, m = 90, 4, 200
    items, weights = rng.integers(0, n, m).astype(np.int32), rng.uniform(0.2, 2.0, m).astype(np.float32)
    said = rng.normal(size=(n, k)).astype(np.float32)
    for decay in (1.0, 0.9, 0.3):
        model = HybridTower(np.zeros((2, k + 1), np.float32), np.zeros(k + 1, np.float32), k, True, decay)
        places = np.array([0, 1, 7, m], np.int64)
        people = np.zeros((len(places), k), np.float32)
        starts = np.zeros(m + 1, np.int64)
        read_people(places, items, weights, starts, said, decay, np.full(n, -1, np.int64), people)
        for place, person in zip(places.tolist(), people, strict=True):
            own = items[:place][::-1]
            vectors = np.concatenate([said[own], np.ones((place, 1), np.float32)], axis=1)
            ts = np.arange(place, dtype=np.int64)[::-1]
            found, _ = model.read(Reading(own, vectors, weights[:place][::-1].astype(np.float64), ts, m))
            np.testing.assert_allclose(found[:k], person, rtol=1e-4, atol=1e-5)


def test_latest_leaves_its_workspace_clean() -> None:
    stamp = np.full(5, -1, np.int64)
    rows, shares = np.empty(LATEST, np.int32), np.empty(LATEST, np.float32)
    size = latest(np.array([1, 2, 1, 3], np.int32), np.ones(4, np.float32), 0, 4, 0.5, stamp, rows, shares)
    assert rows[:size].tolist() == [3, 1, 2]
    np.testing.assert_allclose(shares[:size], np.array([4, 2, 1]) / 7, rtol=1e-6)
    assert (stamp == -1).all()


def test_adagrad_divides_by_what_was_before() -> None:
    values, squares = np.ones((2, 1), np.float32), np.full((2, 1), 7.0, np.float32)
    gradient = np.full((2, 1), 3.0, np.float32)
    adagrad(values, squares, gradient, np.array([True, False]), 0.1)
    np.testing.assert_allclose(values[:, 0], [1 - 0.1 * 3 / 4, 1.0])
    assert gradient[:, 0].tolist() == [0.0, 3.0]


def test_ranks_leave_out_what_the_person_had_by_then() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 3.0, 9.0]], np.float32)
    allowed = np.array([True, True, True, True, False])
    out = np.zeros(1)
    had, start = np.array([0, 1, 2], np.int32), np.array([0, 3], np.int64)
    # Item 0 was had before, item 1 only after; item 3 ties.
    ranks(scores, np.array([2], np.int32), np.zeros(1, np.int32), np.array([4]), had, np.array([1, 6, 4]), start, allowed, out)  # fmt: skip  # noqa: E501
    assert out[0] == 2.5


def test_newer_events_are_drawn_more_often() -> None:
    data, features = world(), describe(world())
    log = Log(data, len(data.users))
    late = log.order >= len(data.users) // 2
    counts: list[float] = []
    for recency in (0.0, 6.0):
        learner = Learner(features, log, Choice(factors=4, recency=recency), 1)
        reach = np.diff(learner._reach, prepend=0.0)  # pyright: ignore[reportPrivateUsage]
        counts.append(float(reach[late].sum() / reach.sum()))
    assert counts[0] == pytest.approx(0.5)
    assert counts[1] == pytest.approx(8 / 9, abs=0.01)
