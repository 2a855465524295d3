"""Factors: the contract, a low-rank world that is recovered, the closed form, new items by their text."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.testing.tower import DAY, NOW, TowerContract
from palate.towers import Reading, Tower
from palate.towers.als import AlsTower
from palate.towers.load import load_tower
from palate.train.towers import Interactions
from palate.train.towers.als import AlsSettings, factorise, fit_als, fit_map, tower_of
from palate.train.towers.choose import UNOBSERVED, choose_als
from palate.types import F32, F64, I32

SETTINGS = AlsSettings(dim=8, rounds=12, fading=0.0)


@dataclass
class Planted:
    """data: of people who choose by the products of planted factors; kinds (n_items,): what an item is."""

    data: Interactions
    kinds: I32


@functools.cache
def planted(people: int = 200, per_kind: int = 15, each: int = 12, kinds: int = 4, unmet: int = 0) -> Planted:
    """People of ``kinds`` kinds who choose items of theirs nine times out of ten; the text of an item is its kind and a
    little noise. The last ``unmet`` items of each kind were never chosen."""
    rng = np.random.default_rng(4)
    n = kinds * per_kind
    of = np.arange(n, dtype=np.int32) % kinds
    directions = np.linalg.qr(rng.normal(size=(16, 16)))[0][:kinds]
    text = directions[of] + 0.1 * rng.normal(size=(n, 16)) / 4
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    open_to = np.arange(n) < n - unmet * kinds
    users, items = [], []
    for person in range(people):
        mine = np.flatnonzero(open_to & (of == person % kinds))
        for _ in range(each):
            users.append(person)
            items.append(rng.choice(mine if rng.random() < 0.9 else np.flatnonzero(open_to)))
    times = NOW - 200 * DAY + np.arange(len(users), dtype=np.int64) * 1000
    order = rng.permutation(len(users))
    data = Interactions(
        np.array(users, np.int32)[order], np.array(items, np.int32)[order], times, np.ones(len(users), np.float32), n,
        text.astype(np.float32), np.full((n, 8), -1, np.int32), 0,
    )  # fmt: skip
    return Planted(data, of)


@functools.cache
def fitted(unmet: int = 0) -> tuple[AlsTower, F32]:
    return fit_als(planted(unmet=unmet).data, SETTINGS)


@functools.cache
def faded() -> tuple[AlsTower, F32]:
    return fit_als(planted().data, SETTINGS._replace(fading=0.5))


class TestAlsContract(TowerContract):
    def fitted(self) -> tuple[Tower, F32]:
        return faded()


def reading(items: F32, history: list[int], weights: list[float] | None = None) -> Reading:
    """``history``, oldest first."""
    rows = np.array(history[::-1], np.int32)
    worth = np.array((weights or [1.0] * len(rows))[::-1])
    return Reading(rows, items[rows], worth, NOW - np.arange(len(rows), dtype=np.int64) * DAY, NOW)


def scores(tower: Tower, items: F32, history: list[int]) -> F64:
    return (items @ tower.read(reading(items, history))[0]).astype(np.float64)


def test_a_planted_world_is_recovered() -> None:
    """Whoever has three items of a kind, is given that kind before any other."""
    tower, items = fitted()
    kinds = planted().kinds
    for kind in range(4):
        mine = np.flatnonzero(kinds == kind)
        found = scores(tower, items, mine[:3].tolist())
        others = np.argsort(-found)[:15]
        assert (kinds[others] == kind).mean() > 0.9


def test_the_fold_in_is_the_closed_form() -> None:
    """(a VᵀV + λI + Σ c v vᵀ) u = Σ c v, with the factors as they were trained and not as they are served."""
    settings = SETTINGS._replace(fading=1.5)
    found = factorise(planted().data, settings, 1)
    tower, items = tower_of(found, settings)
    history = [3, 17, 9, 3, 40]
    v = found.items.astype(np.float64)
    c = (1.0 + np.arange(5)) ** -1.5
    mine = v[history[::-1]]
    gram = settings.unobserved * v.T @ v + found.penalty * np.eye(8) + (mine * c[:, None]).T @ mine
    person = np.linalg.solve(gram, (mine * c[:, None]).sum(axis=0))
    np.testing.assert_allclose(scores(tower, items, history), v @ person, rtol=1e-3, atol=1e-5)


def test_the_training_converges_to_the_minimum() -> None:
    """At the end every person's factors solve their own equations."""
    data = planted().data._replace(text=np.zeros((60, 16), np.float32))
    found = factorise(data, SETTINGS._replace(rounds=60, exponent=0.0), 1)
    v = found.items.astype(np.float64)
    for user in (0, 7, 31):
        counts = np.bincount(data.items[data.users == user], minlength=60).astype(np.float64)
        gram = SETTINGS.unobserved * v.T @ v + SETTINGS.penalty * np.eye(8) + (v * counts[:, None]).T @ v
        np.testing.assert_allclose(found.users[user], np.linalg.solve(gram, counts @ v), atol=0.02)


def test_items_that_nobody_had_rank_by_their_text() -> None:
    tower, items = fitted(3)
    kinds, data = planted(unmet=3).kinds, planted(unmet=3).data
    never = np.flatnonzero(np.bincount(data.items, minlength=60) == 0)
    assert len(never) == 12
    np.testing.assert_allclose(items[never], tower.place(data.text[never]), rtol=1e-4, atol=1e-6)
    for kind in range(4):
        mine = np.flatnonzero(kinds == kind)[:3].tolist()
        order = never[np.argsort(-scores(tower, items, mine)[never])]
        assert (kinds[order[:3]] == kind).all()


def test_a_rare_item_is_mostly_its_text() -> None:
    """One person of another kind had it once: its text still says what it is."""
    world = planted(unmet=1)
    rare = int(np.flatnonzero(np.bincount(world.data.items, minlength=60) == 0)[0])
    kind = int(world.kinds[rare])
    stranger = next(user for user in range(200) if user % 4 != kind)
    data = world.data._replace(
        users=np.append(world.data.users, np.int32(stranger)), items=np.append(world.data.items, np.int32(rare)),
        times=np.append(world.data.times, world.data.times[-1]), weights=np.append(world.data.weights, np.float32(1)),
    )  # fmt: skip
    mine, theirs = (np.flatnonzero(world.kinds == one)[:4].tolist() for one in (kind, stranger % 4))
    tower, items = fit_als(data, SETTINGS._replace(text=20.0))
    assert scores(tower, items, mine)[rare] > 10 * abs(scores(tower, items, theirs)[rare])


def test_parts_add_up() -> None:
    tower, items = faded()
    for weights in (None, [1.0, 2.0, -2.0, 0.3]):
        history = reading(items, [4, 8, 8, 30], weights)
        person = tower.read(history)[0]
        for row in (4, 12, 33):
            parts = tower.parts(history, items[row])
            assert parts.sum() == pytest.approx(float(person @ items[row]), abs=1e-5)
            assert weights is None or parts[1] == 0


def test_dislikes_push_away() -> None:
    tower, items = faded()
    liked = tower.read(reading(items, [0, 4, 8]))[0]
    mixed = tower.read(reading(items, [0, 4, 8], [1.0, 1.0, -2.0]))[0]
    assert mixed @ items[8] < liked @ items[8]
    assert not tower.read(reading(items, [0], [-2.0]))[0].any()


def test_a_map_without_texts_says_nothing() -> None:
    items = np.ones((30, 4), np.float32)
    assert not fit_map(np.zeros((30, 16), np.float32), items, np.ones(30)).any()
    assert fit_map(np.zeros((30, 0), np.float32), items, np.ones(30)).shape == (0, 4)


def test_it_is_a_function_of_data_and_seed() -> None:
    first, again = fit_als(planted().data, SETTINGS, seed=3)[1], fit_als(planted().data, SETTINGS, seed=3)[1]
    assert first.tobytes() == again.tobytes()


def test_damaged_artefacts_are_named() -> None:
    tower, _ = fitted()
    with pytest.raises(CorruptArtefact, match="kind 'unheard of'"):
        load_tower("unheard of", tower.arrays(), tower.meta())
    with pytest.raises(CorruptArtefact, match="lack their map"):
        load_tower("als", {}, tower.meta())
    with pytest.raises(CorruptArtefact, match="lack their map"):
        load_tower("als", tower.arrays(), {"kind": "als"})


@functools.cache
def followed() -> Interactions:
    """People who have one kind for a while, then another: only the last few items say what comes next."""
    rng = np.random.default_rng(9)
    users, items = [], []
    for turn in range(40):
        for person in range(60):
            kind = (person + turn // 2) % 4
            users.append(person)
            items.append(int(rng.integers(15)) * 4 + kind)
    n = len(users)
    return planted().data._replace(
        users=np.array(users, np.int32), items=np.array(items, np.int32), weights=np.ones(n, np.float32),
        times=NOW - 90 * DAY + np.arange(n, dtype=np.int64) * 60_000,
    )  # fmt: skip


def test_settings_are_chosen_by_what_came_next() -> None:
    """Where only the last few items tell, what was before them fades fast; where tastes stay, slowly."""
    quick, slow = choose_als(followed(), 1), choose_als(planted().data, 1)
    assert quick.fading > slow.fading
    assert choose_als(followed(), 1) == quick
    assert quick.unobserved in UNOBSERVED


def test_with_little_to_judge_by_the_settings_stay() -> None:
    data = followed()
    few = data._replace(users=data.users[:40], items=data.items[:40], times=data.times[:40], weights=data.weights[:40])
    assert choose_als(few, 1) == AlsSettings()
