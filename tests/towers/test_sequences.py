"""What all towers that read sequences promise: memory saves work and changes nothing, and the rest of the contract."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.testing.tower import TowerContract
from palate.towers import Reading
from palate.towers.window import BUCKETS, EDGES, bucket, buckets, level, levels, window
from tests.towers.made import TEXT, TOWERS, life, reading

ITEMS = np.random.default_rng(0).normal(size=(30, 10)).astype(np.float32)


class TestLstm(TowerContract):
    tower = TOWERS["lstm"]()

    def fitted(self):
        return self.tower, ITEMS


class TestSasrec(TowerContract):
    tower = TOWERS["sasrec"]()

    def fitted(self):
        return self.tower, ITEMS


class TestNcf(TowerContract):
    tower = TOWERS["ncf"]()

    def fitted(self):
        return self.tower, ITEMS


@pytest.fixture(params=sorted(TOWERS))
def kind(request):
    return request.param


@pytest.fixture
def tower(kind):
    return TOWERS[kind]()


@pytest.mark.parametrize("most", [100, 30, 5])
def test_memory_changes_nothing(tower, most):
    events = life(260, seed=most)
    memory = None
    for upto in range(261):
        found, memory = tower.read(reading(events, upto, most), memory)
        assert found == pytest.approx(tower.read(reading(events, upto, most))[0], abs=1e-5)


def test_a_memory_may_be_used_again_and_of_anybody(tower):
    mine, other = life(90, seed=1), life(90, seed=2)
    _, memory = tower.read(reading(mine, 60))
    expected = tower.read(reading(mine, 64))[0]
    for _ in range(2):  # the first continuation must not spoil the memory for the second
        assert tower.read(reading(mine, 64), memory)[0] == pytest.approx(expected, abs=1e-5)
        assert tower.read(reading(other, 64), memory)[0] == pytest.approx(tower.read(reading(other, 64))[0], abs=1e-5)
    for strange in (object(), "memory", (1, 2)):
        assert tower.read(reading(mine, 64), strange)[0] == pytest.approx(expected, abs=1e-5)
    for strange in (make(seed=3) for make in TOWERS.values()):
        _, foreign = strange.read(reading(other, 64))
        assert tower.read(reading(mine, 64), foreign)[0] == pytest.approx(expected, abs=1e-5)


def test_an_item_that_was_given_another_vector_is_read_anew(tower):
    items, times, weights, vectors = life(20, seed=3)
    _, memory = tower.read(reading((items, times, weights, vectors), 19))
    changed = vectors.copy()
    changed[items[15]] += 0.01
    events = (items, times, np.abs(weights), changed)
    assert tower.read(reading(events, 20), memory)[0] == pytest.approx(tower.read(reading(events, 20))[0], abs=1e-5)


def test_nothing_read_gives_zeros(tower):
    events = life(10)
    assert not tower.read(reading(events, 0))[0].any()
    items, times, weights, vectors = events
    assert not tower.read(reading((items, times, -np.abs(weights), vectors), 10))[0].any()
    assert not tower.read(reading((items * 0, times, weights, vectors), 10))[0].any()


def test_negative_entries_and_items_without_a_vector_are_not_read(tower):
    items, times, weights, vectors = life(40, seed=5)
    kept = (weights > 0) & (items != 0)
    assert 0 < kept.sum() < 40
    last = int(times[-1])
    first = tower.read(reading((items, times, weights, vectors), 40)._replace(now=last))[0]
    fewer = reading((items[kept], times[kept], weights[kept], vectors), int(kept.sum()))._replace(now=last)
    assert np.array_equal(first, tower.read(fewer)[0])


def test_the_bias_is_the_last_component(tower):
    found, _ = tower.read(reading(life(5), 5))
    assert found.shape == (tower.dim,)
    assert found.dtype == np.float32
    assert found[-1] == 1.0


def test_a_clock_that_runs_behind_is_no_gap(tower):
    history = reading(life(12), 12)
    at = int(history.ts[0])
    assert np.array_equal(tower.read(history._replace(now=at))[0], tower.read(history._replace(now=at - 10**9))[0])


def test_the_moment_of_asking_matters(tower):
    history = reading(life(12), 12)
    later = history._replace(now=history.now + 10**10)
    assert not np.allclose(tower.read(history)[0], tower.read(later)[0], atol=1e-4)


def test_order_and_weight_matter_where_they_should(kind, tower):
    items, times, weights, vectors = life(8, seed=7)
    weights, items = np.ones(8), np.maximum(items, 1)
    first = tower.read(reading((items, times, weights, vectors), 8))[0]
    turned = tower.read(reading((items[::-1].copy(), times, weights, vectors), 8))[0]
    assert not np.allclose(first, turned, atol=1e-4)
    if kind != "ncf":
        assert not np.allclose(first, tower.read(reading((items, times, 3 * weights, vectors), 8))[0], atol=1e-4)


def test_place_is_affine_in_the_text_and_knows_nothing_of_none(tower):
    text = np.random.default_rng(0).normal(size=(4, TEXT)).astype(np.float32)
    text[2] = 0.0
    found = tower.place(text)
    arrays = tower.arrays()
    assert found == pytest.approx(
        np.where(text.any(axis=1)[:, None], text @ arrays["text_map"] + arrays["text_offset"], 0.0), abs=1e-5
    )
    assert tower.place(text[:0]).shape == (0, tower.dim)


def test_arrays_and_meta_make_an_equal_tower(tower):
    again = type(tower)(tower.arrays(), tower.meta())
    history = reading(life(70), 70)
    assert np.array_equal(again.read(history)[0], tower.read(history)[0])
    assert again.kind == tower.kind


def test_spoilt_arrays_are_refused(tower):
    for name, array in tower.arrays().items():
        rest = {key: value for key, value in tower.arrays().items() if key != name}
        for spoilt in (rest, rest | {name: array[..., :-1]}, rest | {name: array * np.nan}):
            with pytest.raises(CorruptArtefact, match=name):
                type(tower)(spoilt, tower.meta())


def test_spoilt_widths_are_refused(tower):
    for name in tower.meta():
        rest = {key: value for key, value in tower.meta().items() if key != name}
        for spoilt in (rest, rest | {name: 0}, rest | {name: "10"}, rest | {name: tower.meta()[name] + 1}):
            with pytest.raises(CorruptArtefact, match=r"train again"):
                type(tower)(tower.arrays(), spoilt)


def test_buckets_of_one_and_of_many_agree():
    gaps = np.unique(np.concatenate((EDGES - 1, EDGES, EDGES + 1, [-5, 0, 10**12])))
    found = buckets(gaps)
    assert [bucket(gap, EDGES) for gap in gaps.tolist()] == found.tolist()
    assert found.min() == 0
    assert found.max() == BUCKETS - 1
    weights = np.array([0.1, 0.6, 1.0, 1.5, 3.0])
    assert levels(weights).tolist() == [level(weight) for weight in weights.tolist()] == [0, 1, 1, 2, 2]


def test_a_window_moves_its_beginning_seldom_and_depends_on_what_is_in_sight_alone():
    limit, events = 20, life(400, seed=11)
    begins, sizes = [], []
    for upto in range(100, 401):
        history = reading(events, upto)
        places, _ = window(history.items, history.ts, history.weights, history.vectors, limit)
        assert (np.diff(places) < 0).all()
        good = np.flatnonzero((history.weights > 0) & (history.items != 0))
        assert places.tolist() == good[: len(places)][::-1].tolist()
        begins.append((int(history.items[places[0]]), int(history.ts[places[0]])))
        sizes.append(len(places))
        shorter = Reading(*(part[: good[limit - 1] + 1] for part in history[:4]), history.now)
        again, _ = window(shorter.items, shorter.ts, shorter.weights, shorter.vectors, limit)
        assert np.array_equal(places, again)
    assert min(sizes) > limit // 2
    assert max(sizes) <= limit
    moves = sum(a != b for a, b in itertools.pairwise(begins))
    assert 10 < moves < 150  # of 300 events, of which about a tenth aren't read


def test_serving_a_sequence_needs_no_torch():
    assert "torch" not in {
        name for module in ("lstm", "sasrec", "ncf") for name in vars(sys.modules[f"palate.towers.{module}"])
    }
