"""Sequence models learn planted rules; what PyTorch computes is what is served; a seed decides everything."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from palate.errors import InvalidInput, MissingExtra
from palate.towers import Reading
from palate.train.towers import sequence
from palate.train.towers.losses import Sampler, loss_of
from palate.train.towers.networks import Shape
from palate.train.towers.sequence import SequenceSettings, _Fit, fit_sequence, load_torch
from palate.train.towers.windows import batch_of
from tests.train.towers.worlds import HOUR, cycle, hits, interactions, reading_of, second_order

torched = pytest.mark.skipif(find_spec("torch") is None, reason="trains in PyTorch, which is not installed")
KINDS = ("lstm", "sasrec", "ncf")
QUICK = SequenceSettings(shape=Shape(16, 16, 16, 2, 2, 0.1), epochs=2, targets=256, white=4)
RULES = SequenceSettings(shape=Shape(24, 32, 32, 2, 2, 0.0), epochs=16, targets=384, rate=8e-3, patience=3, warm_up=20)


def test_without_torch_the_error_names_package_and_extra(monkeypatch):
    monkeypatch.setattr(sequence, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'torch'.*pip install 'palate\[train\]'"):
        fit_sequence(cycle(5, 5, 5))


def test_an_unknown_kind_is_refused():
    with pytest.raises(InvalidInput, match="gru"):
        fit_sequence(cycle(5, 5, 5), kind="gru")


@torched
def test_people_with_one_event_teach_no_sequence():
    with pytest.raises(InvalidInput, match="two interactions"):
        fit_sequence(interactions([(HOUR, 0, 1), (HOUR, 1, 2)], 3), QUICK)


@torched
@pytest.mark.parametrize("world", [cycle, second_order])
@pytest.mark.parametrize("kind", ["lstm", "sasrec"])
def test_a_planted_rule_is_learnt(kind, world):
    data = world()
    tower, items, report = fit_sequence(data, RULES, kind=kind)
    assert report.valid[report.best - 1] > 0.9
    fresh = world(seed=0, users=330)  # the same rule; the last thirty people were never met
    assert hits(tower, items, fresh, range(300, 330), range(1, 12)) >= 0.9


@torched
def test_the_mean_of_a_history_learns_a_cycle_too():
    data = cycle()
    tower, items, _ = fit_sequence(data, RULES, kind="ncf")
    assert hits(tower, items, data, range(30), range(1, 8)) >= 0.5  # of 30 items: chance is .03


@torched
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trained_is_what_is_served(kind):
    torch = load_torch()
    data = second_order(users=40, steps=30)
    data = data._replace(weights=np.random.default_rng(0).choice([0.3, 1.0, 2.0], len(data.users)).astype(np.float32))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fit = _Fit(torch, data, QUICK._replace(finish=0), 3, kind, None, None)
        tower, items, _ = fit.run()
        windows = fit._whole
        chosen = np.flatnonzero(windows.first == 0)[:20]
        batch = batch_of(windows, chosen)
        with torch.no_grad():
            persons = fit._network.persons(fit._p, torch.as_tensor(items), fit._tensors(windows, chosen, 0), False)
    rows, places = np.nonzero(batch.counted)
    assert len(rows) == len(persons) > 200
    for person, row, place in zip(persons.numpy(), rows, places, strict=True):
        start = windows.start[chosen[row]]
        own = np.arange(start, start + place + 1)[::-1]
        weights = data.weights[windows.order[own]].astype(np.float64)
        now = int(batch.next_times[row, place])
        rows_of = windows.items[own].astype(np.int32)
        found = tower.read(Reading(rows_of, items[rows_of], weights, windows.times[own], now))[0]
        assert found[:-1] == pytest.approx(person, abs=1e-4)


@torched
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_tower(kind):
    data = cycle(12, 40, 10)
    one, two, other = (fit_sequence(data, QUICK, seed=seed, kind=kind) for seed in (1, 1, 2))
    assert np.array_equal(one[1], two[1])
    assert all(np.array_equal(array, two[0].arrays()[name]) for name, array in one[0].arrays().items())
    assert one[2].losses == two[2].losses
    assert not np.array_equal(one[1], other[1])


@torched
def test_training_leaves_the_callers_random_numbers_alone():
    torch = load_torch()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_sequence(cycle(8, 20, 6), QUICK)
    assert torch.equal(torch.rand(3), expected)


def texts(n, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@torched
def test_new_items_stand_where_their_texts_say():
    """Two topics that nobody mixes; items that nobody had yet are ranked by their topic on day zero."""
    rng = np.random.default_rng(1)
    topic = np.arange(60) % 2
    text = texts(60) * 0.3
    text[:, 0] += np.where(topic == 0, 1.0, -1.0)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    rows = [
        (step * HOUR + user, user, int(rng.integers(20) * 2 + user % 2)) for user in range(200) for step in range(10)
    ]
    data = interactions(rows, 60, text.astype(np.float32))  # items 40 to 59 are new
    tower, items, _ = fit_sequence(data, QUICK._replace(epochs=8, rate=5e-3))
    assert items[40:] == pytest.approx(tower.place(data.text[40:]), abs=1e-6)
    right = []
    for user in range(20):
        history, _ = reading_of(data, user, items, 1)
        scores = items[40:] @ tower.read(history)[0]
        right.append(scores[topic[40:] == user % 2].mean() > scores[topic[40:] != user % 2].mean())
    assert np.mean(right) == 1.0


@torched
def test_items_that_nobody_had_and_that_have_no_text_have_no_vector():
    data = cycle(10, 30, 8)
    data = data._replace(n_items=12, text=np.zeros((12, 8), np.float32))
    _, items, _ = fit_sequence(data, QUICK)
    assert not items[10:].any()
    assert items[:10].any(axis=1).all()


@torched
def test_own_differences_stay_within_their_bound():
    data = cycle(20, 60, 10)
    data = data._replace(text=texts(20))
    tower, items, _ = fit_sequence(data, QUICK._replace(bound=0.25, epochs=5, rate=1e-2))
    own = np.linalg.norm((items - tower.place(data.text))[:, :-1], axis=1)
    assert own.max() <= 0.2501
    assert own.max() > 0.1


@torched
def test_the_report_and_the_progress_tell_of_every_epoch():
    told = []
    _, _, report = fit_sequence(
        cycle(10, 40, 10), QUICK, progress=lambda stage, done, total: told.append((stage, done, total))
    )
    assert len(report.losses) == len(told) == 3  # two, and one over everything
    assert len(report.valid) == 2
    assert [done for _, done, _ in told] == [1, 2, 3]
    assert all(f"loss {loss:.4f}" in stage for (stage, _, _), loss in zip(told, report.losses, strict=True))
    assert report.device in ("cpu", "cuda")
    assert not report.cut


@torched
def test_no_time_gives_what_there_is_and_says_so():
    tower, items, report = fit_sequence(cycle(10, 40, 10), QUICK, seconds=0.0)
    assert report.cut
    assert len(report.losses) == 1
    assert np.isfinite(items).all()
    assert tower.kind == "sasrec"


@torched
def test_a_sampled_softmax_estimates_the_full_one():
    torch = load_torch()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sampler = Sampler(torch, np.random.default_rng(0).integers(0, 9, 300), 4000, 0.75, "cpu")
        vectors = torch.randn(sampler.items, 9)
        targets = torch.as_tensor(np.random.default_rng(1).integers(sampler.items, size=40))
        persons = torch.randn(40, 8)
        full = loss_of(torch, "softmax", persons, vectors, targets, sampler)
        found = torch.stack([loss_of(torch, "sampled", persons, vectors, targets, sampler) for _ in range(20)])
        assert float(found.mean()) == pytest.approx(float(full), rel=0.02)


@torched
def test_the_softmax_in_chunks_has_the_loss_and_the_gradients_of_autograd():
    torch = load_torch()
    random = torch.Generator().manual_seed(0)
    persons = (torch.randn(600, 8, generator=random) * 3).requires_grad_()
    vectors = torch.randn(50, 9, generator=random).requires_grad_()
    targets = torch.randint(50, (600,), generator=random)
    sampler = Sampler(torch, np.ones(50, np.int64), 4, 0.75, "cpu")
    loss = loss_of(torch, "softmax", persons, vectors, targets, sampler)
    found = torch.autograd.grad(loss, [persons, vectors])
    plain = torch.nn.functional.cross_entropy(persons @ vectors[:, :-1].T + vectors[:, -1], targets)
    expected = torch.autograd.grad(plain, [persons, vectors])
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        assert one.numpy() == pytest.approx(other.numpy(), abs=1e-6)


@torched
@pytest.mark.parametrize("loss", ["sampled", "gbce"])
def test_large_catalogues_learn_by_samples(loss):
    settings = RULES._replace(loss=loss, negatives=16)
    tower, items, report = fit_sequence(cycle(), settings)
    assert report.loss == loss
    assert hits(tower, items, cycle(), range(20), range(1, 8)) >= 0.9
