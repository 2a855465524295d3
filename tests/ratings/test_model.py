"""The rating model on worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from palate.errors import CorruptArtefact, InvalidInput
from palate.ratings import RatingModel, fit, gibbs
from palate.types import F64, I64

USERS, ITEMS, RANK, NOISE = 120, 80, 3, 0.3


def world(seed: int = 0) -> tuple[F64, I64, I64, F64]:
    """What everybody would give to everything, and the 40 % of it that they did give, with noise."""
    rng = np.random.default_rng(seed)
    truth = 3.0 + 0.4 * rng.normal(size=(USERS, 1)) + 0.4 * rng.normal(size=ITEMS)
    truth = truth + 0.5 * rng.normal(size=(USERS, RANK)) @ rng.normal(size=(RANK, ITEMS))
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.4)
    return truth, users, items, truth[users, items] + NOISE * rng.normal(size=len(users))


@pytest.fixture(scope="module")
def known() -> tuple[F64, I64, I64, F64, RatingModel]:
    truth, users, items, ratings = world()
    return truth, users, items, ratings, fit(users, items, ratings, USERS, ITEMS, factors=6)


def unseen(users: I64, items: I64) -> tuple[I64, I64]:
    there = np.zeros((USERS, ITEMS), np.bool_)
    there[users, items] = True
    return np.nonzero(~there)


def test_it_finds_the_truth_and_how_sure_it_may_be(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    truth, users, items, _, model = known
    people, things = unseen(users, items)
    found, spread = model.predict(people, things)
    wanted = np.clip(truth[people, things], *model.scale[1:])
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.6 * NOISE
    assert float(np.mean(1 / model.alpha)) == pytest.approx(NOISE**2, rel=0.25)
    given_now = truth[people, things] + NOISE * np.random.default_rng(1).normal(size=len(people))
    assert 0.9 < np.mean(np.abs(given_now - found) < 1.96 * spread) < 0.99


def test_somebody_new_is_as_well_known_as_somebody_learnt(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    _, users, items, ratings, model = known
    for user in (0, 7, 50):
        mine = users == user
        rater = model.rater(items[mine], ratings[mine])
        every = np.arange(ITEMS)
        found, _ = model.predict_for(rater, every)
        learnt, _ = model.predict(np.full(ITEMS, user), every)
        assert np.abs(found - learnt).max() < 0.35
        assert np.sqrt(np.mean((found - learnt) ** 2)) < 0.1


def test_nothing_known_is_the_average_and_little_is_unsure(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    _, _, _, ratings, model = known
    found, wide = model.predict([-1], [-1])
    assert found[0] == pytest.approx(ratings.mean(), abs=0.1)
    nobody = model.rater([], [])
    of_item, _ = model.predict_for(nobody, np.arange(ITEMS))
    assert np.std(of_item) > 0.3, "items differ whoever asks"
    assert model.predict_for(nobody, [-1])[0][0] == pytest.approx(ratings.mean(), abs=0.1)
    _, narrow = model.predict([0], [0])
    assert narrow[0] > NOISE * 0.8
    assert wide[0] == pytest.approx(np.std(ratings), rel=0.3), "as unsure as ratings differ"
    assert wide[0] > 2 * narrow[0]
    mine = np.arange(20)
    some = [model.predict_for(model.rater(mine[:count], ratings[:count]), [60])[1][0] for count in (0, 3, 20)]
    assert some[0] > some[1] > some[2]
    _, unseen_item = model.predict([0], [-1])
    assert narrow[0] < unseen_item[0] < wide[0] * 1.1


def test_one_rating_moves_what_is_like_it(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    _, _, _, _, model = known
    before, _ = model.predict_for(model.rater([], []), [3])
    after, _ = model.predict_for(model.rater([3], [float(model.scale[2])]), [3])
    assert after[0] > before[0]


def test_the_same_seed_gives_the_same_bits() -> None:
    _, users, items, ratings = world(3)
    one, same, other = (
        fit(users, items, ratings, USERS, ITEMS, factors=4, draws=3, seed=seed).user_factors for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_arrays_come_back(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    model = known[-1]
    arrays = load(save({name: np.ascontiguousarray(array) for name, array in model.arrays().items()}))
    again = RatingModel.load(arrays)
    pairs = np.arange(50), np.arange(50)
    assert np.array_equal(again.predict(*pairs)[0], model.predict(*pairs)[0])
    for name in arrays:
        with pytest.raises(CorruptArtefact):
            RatingModel.load({other: array for other, array in arrays.items() if other != name})
    with pytest.raises(CorruptArtefact):
        RatingModel.load(arrays | {"alpha": arrays["alpha"][:-1]})
    with pytest.raises(CorruptArtefact):
        RatingModel.load(arrays | {"item_bias": np.full_like(arrays["item_bias"], np.nan)})


@settings(max_examples=30, deadline=None)
@given(data=st.data(), count=st.integers(1, 30), k=st.integers(1, 4))
def test_whatever_is_rated_predictions_lie_between_what_was_given(data: st.DataObject, count: int, k: int) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    users, items = rng.integers(0, 5, count), rng.integers(0, 6, count)
    ratings = rng.choice([1.0, 5.0], count) if data.draw(st.booleans()) else np.full(count, 4.0)
    model = fit(users, items, ratings, 5, 6, factors=k, draws=2)
    found, spread = model.predict(np.repeat(np.arange(-1, 5), 7), np.tile(np.arange(-1, 6), 6))
    assert ((found >= ratings.min()) & (found <= ratings.max())).all()
    assert (np.isfinite(spread) & (spread > 0)).all()


def test_the_mean_of_a_posterior_is_ridge_regression() -> None:
    """Without noise, ``solve`` is the closed form that anybody can check."""
    rng = np.random.default_rng(4)
    factors, bias, left = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal(size=9)
    mean, root = rng.normal(size=3), rng.normal(size=(3, 3))
    precision = root @ root.T + np.eye(3)
    out, out_bias = np.zeros((1, 3)), np.zeros(1)
    start, every = np.array([0, 9]), np.arange(9)
    gibbs.solve(start, every, left, factors, bias, mean, precision, 0.7, 2.0, np.zeros((1, 4)), out, out_bias)
    x = np.column_stack([factors, np.ones(9)])
    prior = np.zeros((4, 4))
    prior[:3, :3], prior[3, 3] = precision, 0.7
    want = np.linalg.solve(prior + 2.0 * x.T @ x, prior @ np.append(mean, 0.0) + 2.0 * x.T @ (left - bias))
    assert np.allclose(np.append(out[0], out_bias), want)


def test_bad_input_is_told(known: tuple[F64, I64, I64, F64, RatingModel]) -> None:
    model, some = known[-1], np.array([0, 1])
    for users, items, ratings in (
        (some, some, np.array([1.0, np.nan])),
        (some, some, np.array([1.0])),
        (np.array([0, 9]), some, np.array([1.0, 2.0])),
        (np.array([0, -1]), some, np.array([1.0, 2.0])),
        (some[:0], some[:0], np.zeros(0)),
    ):
        with pytest.raises(InvalidInput):
            fit(users, items, ratings, 2, 2)
    for call in (
        lambda: model.predict([0, 1], [0]),
        lambda: model.predict([USERS], [0]),
        lambda: model.predict([0], [-2]),
        lambda: model.rater([ITEMS], [1.0]),
        lambda: model.rater([-1], [1.0]),
        lambda: model.predict_for(model.rater([], []), [ITEMS]),
        lambda: model.rater([1], [1.0, 2.0]),
    ):
        with pytest.raises(InvalidInput):
            call()
