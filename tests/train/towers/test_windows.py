"""Windows, batches and whitening, without PyTorch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from palate.towers.window import FIRST, buckets
from palate.train.towers.windows import batch_of, batches, ndcg, newest, whitened, windows_of
from tests.train.towers.worlds import HOUR, interactions


def life(n_users=9, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (int(rng.integers(10**6)) * 1000, user, int(rng.integers(50)))
        for user in range(n_users)
        for _ in range([1, 2, 11, 12, 60][user % 5])
    ]
    return interactions(rows, 50)


@pytest.mark.parametrize("limit", [10, 64])
def test_every_event_with_one_before_it_is_predicted_once_from_what_came_before(limit):
    data = life()
    windows = windows_of(data, limit)
    predicted = []
    for chosen in range(len(windows.start)):
        batch = batch_of(windows, np.array([chosen]))
        for place in np.flatnonzero(batch.counted[0]):
            at = windows.order[windows.start[chosen] + place + 1]
            predicted.append(int(at))
            own = np.flatnonzero(data.users[: at + 1] == data.users[at])
            history = own[own < at] if len(set(data.times[own])) == len(own) else own[:-1]
            read = batch.items[0, : place + 1]
            assert batch.targets[0, place] == data.items[at]
            assert read.tolist() == data.items[history][-len(read) :].tolist()
            assert len(read) >= min(len(history), limit - limit // 2 + 1)
            assert batch.ahead[0, place] == buckets(np.array(data.times[at] - data.times[history[-1]]))
            assert batch.gaps[0, 0] == FIRST
    seen, expected = set(), []
    for at, user in enumerate(data.users.tolist()):
        expected += [at] if user in seen else []
        seen.add(user)
    assert sorted(predicted) == expected
    assert max(windows.size) <= limit


def test_only_events_before_the_stop_are_there_and_only_those_since_are_counted():
    data = life(seed=1)
    early = windows_of(data, 10, 100)
    assert early.order.max() < 100
    whole = windows_of(data, 10)
    late = np.flatnonzero(whole.last >= 100)
    counted = batch_of(whole, late, since=100).counted.sum()
    first = {}
    for at, user in enumerate(data.users.tolist()):
        first.setdefault(user, at)
    assert counted == sum(at != first[user] for at, user in enumerate(data.users.tolist()) if at >= 100)


def test_batches_hold_every_window_once_and_alike():
    windows = windows_of(life(60), 16)
    every = np.arange(len(windows.start))
    one, two = (list(batches(windows, every, 40, np.random.default_rng(seed))) for seed in (1, 2))
    for groups in (one, two, list(batches(windows, every, 40, None))):
        assert sorted(np.concatenate(groups).tolist()) == every.tolist()
    assert [group.tolist() for group in one] != [group.tolist() for group in two]
    padded = sum(len(group) * windows.size[group].max() - windows.size[group].sum() for group in one)
    assert padded < 0.3 * windows.size.sum()
    assert list(batches(windows, every[:0], 40, None)) == []


def test_the_newest_windows_are_kept():
    windows = windows_of(life(40), 16)
    chosen = newest(windows, 10)
    assert len(chosen) == 10
    assert windows.last[chosen].min() >= np.sort(windows.last)[-10]
    assert len(newest(windows, 10**6)) == len(windows.start)


def test_nobody_with_two_events_makes_no_window():
    assert len(windows_of(interactions([(HOUR, 0, 1), (HOUR, 1, 2)], 3), 10).start) == 0


def test_whitened_text_has_even_variance_and_rows_of_length_one():
    rng = np.random.default_rng(0)
    text = (rng.normal(size=(500, 6)) * [9, 4, 2, 1, 1, 1] + 3) @ rng.normal(size=(6, 20))
    text = (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)
    text[0] = 0.0
    met = np.arange(500) < 400
    matrix, centre = whitened(text, met, 3)
    found = (text[1:400] - centre) @ matrix
    assert found.shape == (399, 3)
    assert np.square(found).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-3)
    assert found.mean(axis=0) == pytest.approx(0.0, abs=1e-3)
    spread = found.var(axis=0)
    assert spread.max() < 3 * spread.min()  # the text's own are a factor of twenty apart
    changed = text.copy()
    changed[400:] = 7.0
    assert np.array_equal(whitened(changed, met, 3)[0], matrix)


def test_without_text_nothing_is_whitened():
    matrix, centre = whitened(np.zeros((5, 4), np.float32), np.ones(5, bool), 3)
    assert matrix.shape == (4, 1)
    assert not matrix.any()
    assert not centre.any()


def test_ndcg_of_known_ranks():
    assert ndcg(np.array([1, 3, 11])) == pytest.approx((1 + 0.5 + 0) / 3)
    assert ndcg(np.array([], np.int64)) == 0.0


def test_importing_the_trainer_imports_no_torch():
    code = (
        "import sys, palate.train.towers.sequence, palate.evaluate.sequence\n"
        "sys.exit('imported' if 'torch' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
